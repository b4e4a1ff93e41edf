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
    /// What shows which visits of two drivers are one (`pit.swap`). Versions before this one did not tell it.
    #[serde(default, skip_serializing_if = "PitEnds::are_unknown")]
    pub ends: PitEnds,
}

/// The ends of a visit that its driver did not see begin, or not see end, and who drove on in it (`pit.swap`).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct PitEnds {
    /// The car in the first frame, if the visit was under way by then.
    pub first: Option<PitMoment>,
    /// The car in the last frame so far in which its driver was in it; `None` once its exit was seen.
    pub last: Option<PitMoment>,
    /// It was elsewhere after that: its exit was missed, so that no other driver took it over in this visit.
    pub gone: bool,
    /// Lowest and highest level of fuel in it, l (kWh).
    pub fuel_l: Option<(f32, f32)>,
    /// Of a visit that several drivers drove in: who took the car over, by time. Only in visits that were joined, never in a row.
    pub handovers: Vec<Handover>,
}

impl PitEnds {
    /// Whether nothing is known of them.
    pub fn are_unknown(&self) -> bool {
        *self == Self::default()
    }
}

/// A car in the pits at a moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct PitMoment {
    /// Session time, µs.
    pub us: i64,
    /// It stood in its stall.
    pub standing: bool,
    /// It was being serviced.
    pub in_service: bool,
    /// The simulator's count of laps started.
    pub lap: Option<i16>,
    /// Sets of tyres used.
    pub tyre_sets: Option<u16>,
}

/// A driver took a car over.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Handover {
    /// Session time of their first frame in it, µs.
    pub us: i64,
    /// Who.
    pub driver: DriverId,
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

    /// Who is in the car at its end, as far as it is known.
    pub fn driver_out(&self) -> DriverId {
        self.ends.handovers.last().map_or(self.driver, |taken| taken.driver)
    }

    /// Who is in the car at session time `us`, µs.
    pub fn driver_at(&self, us: i64) -> DriverId {
        self.ends.handovers.iter().rev().find(|taken| taken.us <= us).map_or(self.driver, |taken| taken.driver)
    }
}
