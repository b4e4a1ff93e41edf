//! Parts: what is observed on a car beside its laps. A new part is one line in the list below, and its file.
//!
//! A part that panics is switched off and counted, and its output of that call is dropped; the other parts and the laps continue (E5c).
//! It begins again with the next lap. The same happens to a part that exceeds its bound.

mod counter;
mod flags;
mod frame_context;
mod fuel;
mod part;
mod pits;
#[cfg(test)]
mod probe;
mod states;
mod stopwatch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rmp_serde::encode::Error;
use serde::Deserialize;

use self::part::{Call, Part};
use super::fact::Output;
use super::identity::Origin;

pub(crate) use self::counter::IncidentCounter;
pub(crate) use self::flags::FlagsShown;
pub(crate) use self::frame_context::FrameContext;
pub(crate) use self::fuel::{FUEL_NOISE_L, Fuel};
pub(crate) use self::part::{Guarded, Slow};
pub(crate) use self::pits::Pits;
pub(crate) use self::states::StatesShown;

/// The list of parts, in the order in which they see a frame. Stored states and metrics use these names.
macro_rules! parts {
    ($($(#[$only:meta])* $name:ident: $Part:ty,)+) => {
        /// All parts of one car.
        #[derive(Clone, PartialEq, Debug, Default, Deserialize)]
        #[serde(default)]
        pub(crate) struct Parts {
            $($(#[$only])* pub(crate) $name: Guarded<$Part>,)+
        }

        /// The names of the parts, in order.
        pub const PARTS: &[&str] = &[$($(#[$only])* stringify!($name)),+];

        impl Parts {
            /// Bound of all parts' states together, bytes.
            pub(crate) const MAX_BYTES: usize = {
                let mut bytes = 1;
                $($(#[$only])* { bytes += 1 + stringify!($name).len() + <$Part>::MAX_BYTES; })+
                bytes
            };

            /// Make the call to each part in turn. If a part panics, its output of this call is dropped.
            fn each(&mut self, call: Call<'_>, out: &mut Output) {
                // How many parts have been called, and the lengths of the output before the last of them.
                let (mut turn, mut facts, mut marks) = (0, 0, 0);
                loop {
                    let outcome = catch_unwind(AssertUnwindSafe(|| {
                        let mut number = 0;
                        $($(#[$only])* {
                            number += 1;
                            if number > turn {
                                (turn, facts, marks) = (number, out.facts.len(), out.marks.len());
                                self.$name.call(call, out);
                            }
                        })+
                    }));
                    if outcome.is_ok() {
                        return;
                    }
                    out.facts.truncate(facts);
                    out.marks.truncate(marks);
                    let mut number = 0;
                    $($(#[$only])* {
                        number += 1;
                        if number == turn {
                            self.$name.switch_off(stringify!($name), out);
                        }
                    })+
                }
            }

            /// Switch on the parts that are off, with their default state.
            fn begin_anew(&mut self) {
                $($(#[$only])* self.$name.begin_anew();)+
            }

            /// The states as a map by name, without default states. A part whose state exceeds its bound is switched off.
            pub(crate) fn encode(&mut self, bytes: &mut Vec<u8>, out: &mut Output) -> Result<(), Error> {
                // A map of up to 15 has its length in its first byte, which is written at the end.
                let (head, mut stored) = (bytes.len(), 0);
                bytes.push(0);
                $($(#[$only])* {
                    if self.$name != Guarded::default() {
                        stored += 1;
                        rmp_serde::encode::write(bytes, stringify!($name))?;
                        let begin = bytes.len();
                        rmp_serde::encode::write_named(bytes, &self.$name)?;
                        if bytes.len() - begin > <$Part>::MAX_BYTES {
                            bytes.truncate(begin);
                            self.$name.switch_off(stringify!($name), out);
                            rmp_serde::encode::write_named(bytes, &self.$name)?;
                        }
                    }
                })+
                const { assert!([$($(#[$only])* stringify!($name)),+].len() <= 15) };
                bytes[head] = FIXMAP | stored;
                Ok(())
            }
        }
    };
}

parts! {
    pits: Pits,
    flags: FlagsShown,
    fuel: Fuel,
    counter: IncidentCounter,
    state: StatesShown,
    #[cfg(test)]
    probe: probe::Probe,
}

/// MessagePack: a map of up to 15.
const FIXMAP: u8 = 0x80;

impl Parts {
    /// A frame, after the laps have taken it.
    #[inline]
    pub(crate) fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
        if at.lap_began {
            self.begin_anew();
        }
        self.each(Call::Take(at), out);
    }

    /// A slow frame.
    pub(crate) fn slow(&mut self, at: &Slow<'_>, out: &mut Output) {
        self.each(Call::Slow(at), out);
    }

    /// The simulator went back to `to_us`.
    pub(crate) fn rewind(&mut self, origin: &Origin<'_>, to_us: i64, out: &mut Output) {
        self.each(Call::Rewind(origin, to_us), out);
    }

    /// The states become those with which the driver's next run begins.
    pub(crate) fn hand_over(&mut self, out: &mut Output) {
        self.each(Call::HandOver, out);
    }

    /// Another driver may have driven the car since `us`.
    pub(crate) fn hand_over_car(&mut self, origin: &Origin<'_>, us: i64, in_pits: bool, out: &mut Output) {
        self.each(Call::HandOverCar(origin, us, in_pits), out);
    }

    /// The stream is over; its last frame was at `us`.
    pub(crate) fn end(&mut self, origin: &Origin<'_>, us: i64, out: &mut Output) {
        self.each(Call::End(origin, us), out);
    }
}

#[cfg(test)]
mod tests;
