//! [`Part`]: what watches a car beside its laps; [`Guarded`]: one that is on or off.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::moment::Moment;
use crate::stream::fact::Reports;
use crate::stream::identity::Reporter;
use crate::stream::mark::Mark;

/// A part of a car's state: it watches one thing, and reports facts and marks of the open lap.
///
/// A part sees what the laps have made of a frame and changes nothing of them, so that laps are the same with it and without it,
/// but for its marks. Its state is a function of the frames since its `default`, so that reprocessing gives the same (E11).
pub(crate) trait Part: Clone + PartialEq + Default + Serialize + DeserializeOwned {
    /// Its state is at most this long, bytes of MessagePack. A longer one is given up: the part begins anew with the next lap.
    const MAX_BYTES: usize;
    /// What the open lap is marked with while the part is off, if its silence would be taken for something.
    const LAP_WITHOUT: Option<Mark> = None;

    /// A frame, after the laps have taken it.
    fn take(&mut self, at: &Moment<'_>, out: &mut Reports);

    /// What changes slowly on the car.
    fn slow(&mut self, _at: &Slow<'_>, _out: &mut Reports) {}

    /// The simulator went back to `to_us`: take back what happened after it. `by` reports in the new timeline already.
    fn rewind(&mut self, by: &Reporter<'_>, to_us: i64, out: &mut Reports);

    /// The state becomes what the driver's next run begins with. Without a word it goes on as it is.
    fn hand_over(&mut self) {}

    /// The stream is over; its last frame was at `us`.
    fn end(&mut self, _by: &Reporter<'_>, _us: i64, _out: &mut Reports) {}
}

/// What a slow frame shows; absent is `None`.
#[derive(Clone, Copy)]
pub(crate) struct Slow<'a> {
    pub(crate) by: Reporter<'a>,
    pub(crate) us: i64,
    /// Sets of tyres used so far.
    pub(crate) tyre_sets: Option<u16>,
}

/// One of the calls of [`Part`], to be made to each.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Take(&'a Moment<'a>),
    Slow(&'a Slow<'a>),
    Rewind(&'a Reporter<'a>, i64),
    HandOver,
    End(&'a Reporter<'a>, i64),
}

/// A part that is on, or was switched off after it panicked or grew beyond its bound.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Guarded<P> {
    On(P),
    Off,
}

impl<P: Part> Guarded<P> {
    /// Make the call; a part that is off reports nothing.
    #[inline]
    pub(super) fn call(&mut self, call: Call<'_>, out: &mut Reports) {
        let Self::On(part) = self else {
            // The lap that a rewind opens again was not watched to its end either.
            if let (Some(mark), Call::Rewind(..)) = (P::LAP_WITHOUT, call) {
                out.mark(mark, i64::MIN);
            }
            return;
        };
        match call {
            Call::Take(at) => part.take(at, out),
            Call::Slow(at) => part.slow(at, out),
            Call::Rewind(by, to_us) => part.rewind(by, to_us, out),
            Call::HandOver => part.hand_over(),
            Call::End(by, us) => part.end(by, us, out),
        }
    }

    pub(super) fn switch_off(&mut self, name: &'static str, out: &mut Reports) {
        *self = Self::Off;
        out.failed.push(name);
        if let Some(mark) = P::LAP_WITHOUT {
            out.mark(mark, i64::MIN);
        }
    }

    /// A part that is off begins anew.
    pub(super) fn begin_anew(&mut self) {
        if matches!(self, Self::Off) {
            *self = Self::default();
        }
    }
}

impl<P: Default> Default for Guarded<P> {
    fn default() -> Self {
        Self::On(P::default())
    }
}

/// Stored as the part, or nothing.
impl<P: Serialize> Serialize for Guarded<P> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::On(part) => part.serialize(to),
            Self::Off => to.serialize_none(),
        }
    }
}

impl<'de, P: Deserialize<'de>> Deserialize<'de> for Guarded<P> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(Option::<P>::deserialize(from)?.map_or(Self::Off, Self::On))
    }
}
