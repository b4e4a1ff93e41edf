//! The inputs of the race logic beside frames, and its output: facts.

use boxbox_schemas::ids::{DriverId, EntryId, RunId, SessionId};
use boxbox_schemas::results::{AnyRow, Lap, Row};
use serde::{Deserialize, Serialize};

use super::mark::Mark;

/// The ids that every fact of a stream has. They change only with the stream's metadata or slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The session.
    pub session: SessionId,
    /// The stream's driver.
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

/// What a client knows of the race that the frames of the cars that it sees do not show: lights, the state, flags of the course.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Start {
    /// The field waits for the green light.
    pub waiting: bool,
    /// When the race started (green light or green flag), µs.
    pub green_us: Option<i64>,
    /// A full-course caution or a red flag is out ([`NO_RACING`](boxbox_schemas::results::FlagChange::NO_RACING)).
    pub no_racing: bool,
}

/// What the race logic derives from one stream (E3a).
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// A timed lap, keyed by (session, entry, number, driver, run, timeline). It is emitted at the crossing, and once
    /// more with a higher revision when the lap settles, with or without the simulator's own time.
    ///
    /// Its spans contain every frame that it was computed from. After a rewind, an earlier span ends with frames that the rewind undid:
    /// those whose tick is not below the first tick of the next span.
    Lap(Lap),
    /// A row of another kind, keyed by (session, kind, key): a row that is emitted again replaces the row before. A change of the
    /// driver's incident counter and a change of the flags shown to the car are emitted once. A pit visit is emitted at its
    /// entry, when it becomes a stop, when the car drives off, and at its exit.
    Row(AnyRow),
    /// The stream went back (E4). Facts of (`driver`, `run`) of timelines below `timeline` that end after `to_us` are superseded.
    ///
    /// This includes the stream's facts about other cars. A pit visit whose exit was not seen counts as ending after any time: a visit
    /// that was under way at `to_us` is emitted again under the new timeline. A stream that inherited its state emits a rewind
    /// for each run before it too.
    Rewind {
        /// Who competes.
        entry: EntryId,
        /// The stream's driver.
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
    /// The fact that consists of this row.
    pub fn row<T: Row>(row: &T) -> Self {
        Fact::Row(AnyRow::of(row))
    }
}

/// The output of one call or of several, in order.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Output {
    /// Facts, for the book of the session.
    pub facts: Vec<Fact>,
    /// Names of the parts of a car's state that were switched off, because they panicked or exceeded their bound.
    pub failed: Vec<&'static str>,
    /// Units of work beyond that of the frames: one for about each 0.2 µs that an event spends on the cars that a client sees.
    pub work: u64,
    /// Marks that parts set on the open lap, and since when, µs; since the start of the lap if that is later.
    pub(super) marks: Vec<(Mark, i64)>,
}

impl Output {
    /// Mark the open lap from `us` on, or from its start if that is later.
    pub(super) fn mark(&mut self, mark: Mark, us: i64) {
        self.marks.push((mark, us));
    }
}
