//! [`OtherCar`]: the race state of a car that another client sees.

use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::CarNow;

use super::car::CarState;
use super::fact::{Context, Reports, Start};

/// The race state of one car as one other client sees it: the lap logic of [`CarState`], fed with less (4 Hz, a position, no
/// speed, no fuel, no incidents). Pure, deterministic, small: one for each observed car of each observer.
///
/// Its facts carry the observer's driver and run and the observed slot ([`Context`]). Laps carry `FIELD` and `TIMING_ESTIMATED`
/// and no spans, pit visits `field`; incidents and flags are the own client's to report, and so is a rewind: the observer's
/// [`Fact::Rewind`](super::Fact::Rewind) supersedes what it reported of others too.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct OtherCar(pub(super) CarState);

impl OtherCar {
    /// The state before the first frame of a car.
    pub fn new() -> Self {
        Self(CarState::of_another())
    }

    /// The state in the observer's new run, which goes on where `from`, its state in the run before, ends (E2).
    pub fn inherit(from: &Self, out: &mut Reports) -> Self {
        let mut heir = Self::new();
        heir.0.inherit(&from.0, out);
        heir
    }

    /// What the observer knows of the session.
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, out: &mut Reports) {
        self.0.on_meta(ctx, meta, out);
    }

    /// What the observer knows of the start of the race ([`CarState::start`]), to be said before each record of frames: what
    /// shows of other cars has neither lights nor the session's state.
    pub fn on_start(&mut self, ctx: &Context, start: Start, out: &mut Reports) {
        self.0.on_start(ctx, start, out);
    }

    /// One frame of the car.
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedFieldFrame, out: &mut Reports) {
        self.0.on_field_frame(ctx, seq, frame, out);
    }

    /// The observer's simulator went back to `tick`, session time `us`; `seq` is the sequence number of the event that says so.
    pub fn on_rewind(&mut self, ctx: &Context, tick: u32, us: i64, seq: u64, out: &mut Reports) {
        self.0.on_rewind(ctx, tick, us, seq, out);
    }

    /// Sequence numbers `first` to `next` (exclusive) of the observer will never come.
    pub fn on_missing(&mut self, ctx: &Context, first: u64, next: u64, out: &mut Reports) {
        self.0.on_missing(ctx, first, next, out);
    }

    /// The observer's stream is over.
    pub fn on_end(&mut self, ctx: &Context, out: &mut Reports) {
        self.0.on_end(ctx, out);
    }

    /// Where the car is; `None` before its first frame, and for what does not compete.
    pub fn now(&self, ctx: &Context) -> Option<CarNow> {
        self.0.now(ctx)
    }

    /// The state as it is stored, as [`CarState::encode`] has it.
    pub fn encode(&mut self, out: &mut Reports) -> Result<Vec<u8>, String> {
        self.0.encode(out)
    }

    /// A stored state, as [`CarState::decode`] has it.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, String> {
        Ok(CarState::decode(bytes)?.map(Self))
    }
}
