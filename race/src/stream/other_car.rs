//! [`OtherCar`]: the race state of a car that another client sees.

use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::CarNow;

use super::car::CarState;
use super::fact::{Context, Output, Start};
use super::slips::Slips;

/// The race state of one car as one other client sees it: the lap logic of [`CarState`] with less input (4 Hz, a position, no
/// speed, no fuel, no incidents). Pure, deterministic, small: there is one state for each observed car of each observer.
///
/// Its facts have the observer's driver and run and the observed slot ([`Context`]). Laps have the tags `FIELD` and
/// `TIMING_ESTIMATED` and no spans; pit visits have `field` set. Only a car's own client makes facts about its incidents, flags and rewinds;
/// the observer's [`Fact::Rewind`](super::Fact::Rewind) supersedes its facts about other cars too.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OtherCar(pub(super) CarState);

impl OtherCar {
    /// The state before the first frame of a car.
    pub fn new() -> Self {
        Self(CarState::of_another())
    }

    /// The state in the observer's new run, which continues `from`, the state in the run before (E2).
    pub fn inherit(from: &Self, out: &mut Output) -> Self {
        let mut heir = Self::new();
        heir.0.inherit(&from.0, out);
        heir
    }

    /// The session's metadata, as the observer reports it.
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, out: &mut Output) {
        self.0.on_meta(ctx, meta, out);
    }

    /// The slips of the observer's clock ([`CarState::slips`]). Call this before each record of frames.
    pub fn on_slips(&mut self, slips: Slips) {
        self.0.on_slips(slips);
    }

    /// What the observer knows of the start of the race ([`CarState::start`]). Call this before each record of frames, because frames of
    /// other cars show neither lights nor the session's state.
    pub fn on_start(&mut self, ctx: &Context, start: Start, out: &mut Output) {
        self.0.on_start(ctx, start, out);
    }

    /// One frame of the car (`seen.lap`).
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedFieldFrame, out: &mut Output) {
        self.0.on_field_frame(ctx, seq, frame, out);
    }

    /// The observer's simulator went back to `tick`, session time `us`; `seq` is the sequence number of the rewind event.
    pub fn on_rewind(&mut self, ctx: &Context, tick: u32, us: i64, seq: u64, out: &mut Output) {
        self.0.on_rewind(ctx, tick, us, seq, out);
    }

    /// Sequence numbers `first` to `next` (exclusive) of the observer will never come.
    pub fn on_missing(&mut self, ctx: &Context, first: u64, next: u64, out: &mut Output) {
        self.0.on_missing(ctx, first, next, out);
    }

    /// The observer's stream is over.
    pub fn on_end(&mut self, ctx: &Context, out: &mut Output) {
        self.0.on_end(ctx, out);
    }

    /// Where the car is; `None` before its first frame, and if the car does not compete.
    pub fn now(&self, ctx: &Context) -> Option<CarNow> {
        self.0.now(ctx)
    }

    /// The state as it is stored, see [`CarState::encode`].
    pub fn encode(&mut self, out: &mut Output) -> Result<Vec<u8>, String> {
        self.0.encode(out)
    }

    /// A stored state, see [`CarState::decode`].
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, String> {
        Ok(CarState::decode(bytes)?.map(Self))
    }
}
