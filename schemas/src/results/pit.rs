//! [`PitVisit`]: a car between entering and leaving the pit lane (`pit.visit` of docs/RULES.md).

use serde::{Deserialize, Serialize};

use super::{Row, RowHead, RowKey, RowKind};
use crate::frame::codes;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

codes! {
    /// The kind of a pit visit.
    PitKind(u8, ArchivedPitKind) {
        /// The car stood in its own stall for at least half a second.
        STOP = 1;
        /// It drove through without standing in its stall.
        DRIVE_THROUGH = 2;
        /// It came by tow or reset, not by driving.
        TOW = 3;
        /// The stream's first frame showed it there, or in the garage.
        START = 4;
    }
}

/// One pit visit, as one stream sees it. Keyed by (session, driver, run, slot, timeline, tick).
///
/// It is emitted at entry, and again with the same key when it becomes a stop, when the car drives off, and at exit.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct PitVisit {
    /// The session.
    pub session: SessionId,
    /// The entry.
    pub entry: EntryId,
    /// The entry under which another client sees the car, if it differs from `entry`, which is then that of the car's owner (E3b).
    #[serde(default)]
    pub seen_as: Option<EntryId>,
    /// The stream's driver.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The car's slot.
    pub slot: u16,
    /// The stream's timeline.
    pub timeline: u32,
    /// Tick of the first frame in the pit lane.
    pub tick: u32,
    /// Another client sees the car; false for the car's own client.
    pub field: bool,
    /// Its kind so far.
    pub kind: PitKind,
    /// Number of the lap in which the car came in; 0 if no lap was open.
    pub lap: u32,
    /// When it entered, session time, µs (between two frames: half-way).
    pub enter_us: i64,
    /// When it left, µs; `None` while it is there, and for good if the exit was not seen.
    pub exit_us: Option<i64>,
    /// How long it stood in its stall, slower than 0.5 m/s, µs.
    pub stationary_us: i64,
    /// How long it was being serviced, µs; `None` if the simulator does not say.
    pub service_us: Option<i64>,
    /// Fuel added, l (kWh): the largest rise of the level.
    pub fuel_added_l: Option<f32>,
    /// Whether the number of tyre sets used rose; `None` if the simulator does not say.
    pub tyres_changed: Option<bool>,
    /// Highest speed in the lane, m/s.
    pub speed_max_mps: f32,
    /// The car exceeded the limit by more than 0.5 m/s in two frames or more.
    pub speeding: bool,
    /// A rewind went back to before it (E4). The row is kept but does not count.
    pub superseded: bool,
    /// A record after the session's close changes `superseded`, but only when the session is opened again (E9b): until then a row that
    /// came late is superseded, and a row that was superseded late is not.
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
    /// A visit with at least this much standing in the stall is a stop (`pit.stop`), µs.
    pub const STOP_US: i64 = 500_000;

    /// Time between entering and leaving, µs.
    pub fn lane_us(&self) -> Option<i64> {
        self.exit_us.map(|exit| exit - self.enter_us)
    }
}
