//! [`PitVisit`]: a car between entering and leaving the pit lane (`pit.visit` of docs/RULES.md).

use serde::{Deserialize, Serialize};

use super::{Row, RowHead, RowKey, RowKind};
use crate::frame::codes;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

codes! {
    /// What a visit to the pit lane was.
    PitKind(u8, ArchivedPitKind) {
        /// The car stood in its own stall for at least half a second.
        STOP = 1;
        /// It drove through without standing in its stall.
        DRIVE_THROUGH = 2;
        /// It came by tow or reset, not by driving.
        TOW = 3;
        /// It began the session there, or in the garage.
        START = 4;
    }
}

/// One visit to the pit lane, as one stream tells it. Keyed by (session, driver, run, slot, timeline, tick).
///
/// Told when it begins, and again, with the same key, when the car stands, drives off and leaves.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PitVisit {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// As whom the teller knows the car, where that is not `entry`: another client saw it, and `entry` is its own client's.
    #[serde(default)]
    pub seen_as: Option<EntryId>,
    /// Whose stream tells it.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The car's slot.
    pub slot: u16,
    /// The stream's timeline.
    pub timeline: u32,
    /// Tick of the first frame in the pit lane.
    pub tick: u32,
    /// Seen by another client, not told by the car's own.
    pub field: bool,
    /// What it was, so far.
    pub kind: PitKind,
    /// Number of the lap in which the car came in; 0 if no lap was open.
    pub lap: u32,
    /// When it entered, session time, µs (between two frames: half-way).
    pub enter_us: i64,
    /// When it left, µs; `None` while it is there, and for good if nobody saw it leave.
    pub exit_us: Option<i64>,
    /// How long it stood in its stall, slower than 0.5 m/s, µs.
    pub stationary_us: i64,
    /// How long it was serviced, µs; `None` if the simulator does not say.
    pub service_us: Option<i64>,
    /// Fuel that came in, l (kWh): the largest rise of the level.
    pub fuel_added_l: Option<f32>,
    /// Sets of tyres used rose in it; `None` if the simulator does not say.
    pub tyres_changed: Option<bool>,
    /// Highest speed in the lane, m/s.
    pub speed_max_mps: f32,
    /// Driven faster than the limit and 0.5 m/s for two frames or more.
    pub speeding: bool,
    /// E4: a rewind went back to before it. Kept for the record, not shown.
    pub superseded: bool,
    /// E9: a record behind the session's close turned `superseded` over; that takes effect when the session is opened again.
    /// What was told late is superseded until then, what was taken back late is not yet.
    #[serde(default)]
    pub late: bool,
}

impl Row for PitVisit {
    const KIND: RowKind = RowKind::known("pit_visit");

    fn head(&self) -> RowHead {
        RowHead {
            session: self.session,
            key: RowKey { driver: self.driver, run: self.run, timeline: self.timeline, slot: self.slot, tick: self.tick },
            entry: self.entry,
            seen_as: self.seen_as,
            field: self.field,
            sim_time_us: self.enter_us,
            until_us: self.exit_us,
            superseded: self.superseded,
            late: self.late,
        }
    }

    fn set_head(&mut self, head: &RowHead) {
        let RowKey { driver, run, timeline, slot, tick } = head.key;
        (self.session, self.driver, self.run, self.timeline, self.slot, self.tick) = (head.session, driver, run, timeline, slot, tick);
        (self.entry, self.seen_as, self.field, self.enter_us, self.exit_us) = (head.entry, head.seen_as, head.field, head.sim_time_us, head.until_us);
        (self.superseded, self.late) = (head.superseded, head.late);
    }
}

impl PitVisit {
    /// Standing in the stall for so long makes a visit a stop (`pit.stop`), µs.
    pub const STOP_US: i64 = 500_000;

    /// Time between entering and leaving, µs.
    pub fn lane_us(&self) -> Option<i64> {
        self.exit_us.map(|exit| exit - self.enter_us)
    }
}
