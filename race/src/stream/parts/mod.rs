//! What watches a car beside its laps. A new part is one line in the list below, and its file.
//!
//! Each part has a guard: one that panics is switched off, and what it reported in that call is dropped; it is counted, and the
//! other parts and the laps go on. With the next lap that opens it begins anew. The same happens to a part that outgrows its bound.

mod counter;
mod flags;
mod fuel;
mod moment;
mod part;
mod pits;
#[cfg(test)]
mod probe;
mod stopwatch;

use std::panic::{AssertUnwindSafe, catch_unwind};

use rmp_serde::encode::Error;
use serde::Deserialize;

use self::part::{Call, Part};
use super::fact::Reports;
use super::identity::Reporter;

pub(crate) use self::counter::Counter;
pub(crate) use self::flags::FlagsShown;
pub(crate) use self::fuel::Fuel;
pub(crate) use self::moment::Moment;
pub(crate) use self::part::{Guarded, Slow};
pub(crate) use self::pits::Pits;

/// The list of parts, in the order in which they see a frame. The name is what is stored and counted.
macro_rules! parts {
    ($($(#[$only:meta])* $name:ident: $Part:ty,)+) => {
        /// All parts of one car.
        #[derive(Clone, PartialEq, Debug, Default, Deserialize)]
        #[serde(default)]
        pub(crate) struct Parts {
            $($(#[$only])* pub(crate) $name: Guarded<$Part>,)+
        }

        impl Parts {
            /// Their states together are at most this long, bytes.
            pub(crate) const MAX_BYTES: usize = {
                let mut bytes = 1;
                $($(#[$only])* { bytes += 1 + stringify!($name).len() + <$Part>::MAX_BYTES; })+
                bytes
            };

            /// The call to each part in turn. What a part reports in a call in which it panics is dropped.
            fn each(&mut self, call: Call<'_>, out: &mut Reports) {
                // How many parts have had their turn, and what was reported before the last of them.
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

            /// Parts that are off begin anew.
            fn begin_anew(&mut self) {
                $($(#[$only])* self.$name.begin_anew();)+
            }

            /// Their states, as a map by name of those that are not as at the beginning. A part whose state is longer than its
            /// bound is switched off.
            pub(crate) fn encode(&mut self, bytes: &mut Vec<u8>, out: &mut Reports) -> Result<(), Error> {
                // A map of up to 15 has its length in its first byte, which is known at the end.
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
    counter: Counter,
    #[cfg(test)]
    probe: probe::Probe,
}

/// MessagePack: a map of up to 15.
const FIXMAP: u8 = 0x80;

impl Parts {
    /// A frame, after the laps have taken it.
    #[inline]
    pub(crate) fn take(&mut self, at: &Moment<'_>, out: &mut Reports) {
        if at.lap_began {
            self.begin_anew();
        }
        self.each(Call::Take(at), out);
    }

    /// What changes slowly on the car.
    pub(crate) fn slow(&mut self, at: &Slow<'_>, out: &mut Reports) {
        self.each(Call::Slow(at), out);
    }

    /// The simulator went back to `to_us`.
    pub(crate) fn rewind(&mut self, by: &Reporter<'_>, to_us: i64, out: &mut Reports) {
        self.each(Call::Rewind(by, to_us), out);
    }

    /// They become what the driver's next run begins with.
    pub(crate) fn hand_over(&mut self, out: &mut Reports) {
        self.each(Call::HandOver, out);
    }

    /// The stream is over; its last frame was at `us`.
    pub(crate) fn end(&mut self, by: &Reporter<'_>, us: i64, out: &mut Reports) {
        self.each(Call::End(by, us), out);
    }
}

#[cfg(test)]
mod tests;
