//! What the race logic is told beside frames, and the facts that it reports.

use boxbox_schemas::ids::{DriverId, EntryId, RunId, SessionId};
use boxbox_schemas::results::{AnyRow, Lap, Row};
use serde::{Deserialize, Serialize};

use super::mark::Mark;

/// What facts carry beside what frames say; it changes only with a stream's metadata or slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The session.
    pub session: SessionId,
    /// The driver whose stream it is.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The car's slot.
    pub slot: u16,
}

/// Which car of the session's metadata a stream's client drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The simulator's user id; 0 if the metadata does not say.
    pub user_id: u64,
    /// The simulator's team id; 0 if the metadata does not say.
    pub team_id: u64,
    /// The car's slot.
    pub slot: u16,
}

/// What a client knows of the start of a race, for the cars that it sees: their frames show neither lights nor state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Start {
    /// The field waits for the green light.
    pub waiting: bool,
    /// When the race was let go, µs.
    pub green_us: Option<i64>,
}

/// What one stream reports (E3).
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// A timed lap, keyed by (session, entry, number, driver, run, timeline). It comes at the crossing, and once more
    /// with a higher revision when the simulator's own time came or it settled without.
    ///
    /// Its spans hold every frame it was computed from. After a rewind an earlier span ends with frames that were undone:
    /// those whose tick is not below the first tick of the next span.
    Lap(Lap),
    /// A row of another kind, keyed by (session, kind, key): when it is reported again it replaces the row before. A change of the
    /// driver's incident counter and a change of the flags shown to the car are reported once; a visit to the pit lane at its begin,
    /// and again when the car stands, drives off and leaves.
    Row(AnyRow),
    /// E4: the stream went back. Facts of (`driver`, `run`) of timelines below `timeline` that end after `to_us` are superseded.
    ///
    /// It means what the stream told of other cars, too. A visit to the pits whose end was not seen ends after any time: one that
    /// was going on at `to_us` is told again, under the new timeline. A stream that inherited its state says this of the runs
    /// before it too.
    Rewind {
        /// Who competes.
        entry: EntryId,
        /// The driver whose stream it is.
        driver: DriverId,
        /// The run whose facts are meant.
        run: RunId,
        /// The timeline that begins.
        timeline: u32,
        /// Session time returned to, µs.
        to_us: i64,
        /// Tick returned to.
        to_tick: u32,
    },
}

impl Fact {
    /// A row, reported.
    pub fn row<T: Row>(row: &T) -> Self {
        Fact::Row(AnyRow::of(row))
    }
}

/// What came of one call or of many, in the order in which it came.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Reports {
    /// Facts, for the book of the session.
    pub facts: Vec<Fact>,
    /// Parts of a car's state that were switched off, by name: each panicked, or grew beyond its bound.
    pub failed: Vec<&'static str>,
    /// What parts say of the open lap, and since when, µs; since its start if that is later.
    pub(super) marks: Vec<(Mark, i64)>,
}

impl Reports {
    /// The open lap is marked from `us` on, or from its start if that is later.
    pub(super) fn mark(&mut self, mark: Mark, us: i64) {
        self.marks.push((mark, us));
    }
}
