//! [`FieldRace`]: the race state of a car that another client sees, and under which entry its facts are told.

use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::CarNow;
use serde::{Deserialize, Serialize};

use super::stream::StreamRace;
use super::{Context, Fact, Start};

/// The race state of one car as one other client sees it: the lap logic of [`StreamRace`], fed with less (4 Hz, a position, no
/// speed, no fuel, no incidents). Pure, deterministic, serialisable, small: one for each observed car of each observer.
///
/// Its facts carry the observer's driver and run and the observed slot ([`Context`]). Laps carry `FIELD` and `TIMING_ESTIMATED`
/// and no spans, pit visits `field`; incidents and flags are the own client's to tell, and so is a rewind: the observer's
/// [`Fact::Rewind`] supersedes what it told of others too.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FieldRace(StreamRace);

impl FieldRace {
    /// The state before the first frame of a car.
    pub fn new() -> Self {
        Self(StreamRace::of_another())
    }

    /// The state in the observer's new run, which goes on where `from`, its state in the run before, ends (E2).
    pub fn inherit(from: &Self) -> Self {
        let mut heir = Self::new();
        heir.0.inherit(&from.0);
        heir
    }

    /// What the observer knows of the session.
    pub fn on_meta(&mut self, ctx: &Context, meta: &SessionMeta, out: &mut Vec<Fact>) {
        self.0.on_meta(ctx, meta, out);
    }

    /// What the observer knows of the start of the race ([`StreamRace::start`]), to be said before each record of frames: what
    /// shows of other cars has neither lights nor the session's state.
    pub fn on_start(&mut self, ctx: &Context, start: Start, out: &mut Vec<Fact>) {
        self.0.on_start(ctx, start, out);
    }

    /// One frame of the car.
    pub fn on_frame(&mut self, ctx: &Context, seq: u64, frame: &ArchivedFieldFrame, out: &mut Vec<Fact>) {
        self.0.on_field_frame(ctx, seq, frame, out);
    }

    /// The observer's simulator went back to `tick`, session time `us`; `seq` is the sequence number of the event that says so.
    pub fn on_rewind(&mut self, ctx: &Context, tick: u32, us: i64, seq: u64, out: &mut Vec<Fact>) {
        self.0.on_rewind(ctx, tick, us, seq, out);
    }

    /// Sequence numbers `first` to `next` (exclusive) of the observer will never come.
    pub fn on_missing(&mut self, ctx: &Context, first: u64, next: u64, out: &mut Vec<Fact>) {
        self.0.on_missing(ctx, first, next, out);
    }

    /// The observer's stream is over.
    pub fn on_end(&mut self, ctx: &Context, out: &mut Vec<Fact>) {
        self.0.on_end(ctx, out);
    }

    /// Where the car is; `None` before its first frame, and for what does not compete.
    pub fn now(&self, ctx: &Context) -> Option<CarNow> {
        self.0.now(ctx)
    }
}

/// Entry under which an observed car's facts are told: `t:TEAM` if teams race, else `u:USER_ID`, else (no user id, or no
/// metadata) `c:SLOT`; `None` for pace cars and spectators.
pub fn field_entry(meta: Option<&SessionMeta>, slot: u16) -> Option<EntryId> {
    let car = meta.and_then(|m| m.entries.iter().find(|e| e.slot == slot));
    let text = match (meta, car) {
        (_, Some(car)) if matches!(car.special, 1 | 2) => return None,
        (Some(meta), Some(car)) if meta.team_racing == 1 && car.team_id != 0 => format!("t:{}", car.team_id),
        (_, Some(car)) if car.user_id != 0 => format!("u:{}", car.user_id),
        _ => format!("c:{slot}"),
    };
    // A letter, a colon and at most 20 digits are always a valid id.
    EntryId::new(&text).ok()
}
