//! [`Part`]: what is observed on a car beside its laps; [`Guarded`]: a part that is on or off.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::frame_context::FrameContext;
use crate::stream::fact::Output;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;

/// A part of a car's state: it observes one thing, emits facts, and marks the open lap.
///
/// A part sees a frame after the laps have processed it and cannot change the laps, so laps are the same with and without the part,
/// except for its marks. Its state is a function of the frames since its `default`, so that reprocessing gives the same (E11).
pub(crate) trait Part: Clone + PartialEq + Default + Serialize + DeserializeOwned {
    /// Bound of its state, bytes of MessagePack. If the state is longer, the part is switched off and begins again with the next lap.
    const MAX_BYTES: usize;
    /// The mark of the open lap while the part is off, if the missing facts of the part would be misread.
    const MARK_WHILE_OFF: Option<Mark> = None;

    /// A frame, after the laps have processed it.
    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output);

    /// A slow frame.
    fn slow(&mut self, _at: &Slow<'_>, _out: &mut Output) {}

    /// The simulator went back to `to_us`: undo what happened after it. `origin` has the new timeline already.
    fn rewind(&mut self, origin: &Origin<'_>, to_us: i64, out: &mut Output);

    /// The state becomes the one with which the driver's next run begins. By default it stays as it is.
    fn hand_over(&mut self) {}

    /// The stream is over; its last frame was at `us`.
    fn end(&mut self, _by: &Origin<'_>, _us: i64, _out: &mut Output) {}

    /// Another driver may have driven the car since `us` (`swap.stretch`): what the next frames show of it begins anew. `in_pits`: the car was in
    /// the pits at `us`, as far as is known.
    fn hand_over_car(&mut self, _by: &Origin<'_>, _us: i64, _in_pits: bool, _out: &mut Output) {}
}

/// The values of a slow frame; absent values are `None`.
#[derive(Clone, Copy)]
pub(crate) struct Slow<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) us: i64,
    /// Sets of tyres used so far.
    pub(crate) tyre_sets: Option<u16>,
}

/// One of the methods of [`Part`], with its arguments.
#[derive(Clone, Copy)]
pub(super) enum Call<'a> {
    Take(&'a FrameContext<'a>),
    Slow(&'a Slow<'a>),
    Rewind(&'a Origin<'a>, i64),
    HandOver,
    End(&'a Origin<'a>, i64),
    HandOverCar(&'a Origin<'a>, i64, bool),
}

/// A part that is on, or that was switched off because it panicked or exceeded its bound.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Guarded<P> {
    On(P),
    Off,
}

impl<P: Part> Guarded<P> {
    /// Make the call; a part that is off emits no facts.
    #[inline]
    pub(super) fn call(&mut self, call: Call<'_>, out: &mut Output) {
        let Self::On(part) = self else {
            // The lap that a rewind opens again was not observed to its end either.
            if let (Some(mark), Call::Rewind(..)) = (P::MARK_WHILE_OFF, call) {
                out.mark(mark, i64::MIN);
            }
            return;
        };
        match call {
            Call::Take(at) => part.take(at, out),
            Call::Slow(at) => part.slow(at, out),
            Call::Rewind(origin, to_us) => part.rewind(origin, to_us, out),
            Call::HandOver => part.hand_over(),
            Call::End(origin, us) => part.end(origin, us, out),
            Call::HandOverCar(origin, us, in_pits) => part.hand_over_car(origin, us, in_pits, out),
        }
    }

    pub(super) fn switch_off(&mut self, name: &'static str, out: &mut Output) {
        *self = Self::Off;
        out.failed.push(name);
        if let Some(mark) = P::MARK_WHILE_OFF {
            out.mark(mark, i64::MIN);
        }
    }

    /// Switch the part on if it is off, with its default state.
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

/// Stored as the part's state, or as nil if the part is off.
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
