//! [`Standing`]: one entry in the order of a session, and [`Moment`]: the rows that decide the order.

use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::results::{CarNow, Lap, PitVisit, SessionInfo};
use serde::{Deserialize, Serialize};

/// One entry in the order of a session at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Place overall, 1-based.
    pub position: u32,
    /// Place in its class, 1-based.
    pub class_position: u32,
    /// Who competes.
    pub entry: EntryId,
    /// Who drives, or drove last.
    pub driver: DriverId,
    /// The car's slot.
    pub slot: u16,
    /// The simulator's id of its class; 0 if the description does not say.
    pub class_id: u32,
    /// Laps completed.
    pub laps: u32,
    /// Fraction of the open lap, or that of the last mini-loop if nothing finer is known; `None` if no lap is open.
    pub lap_pct: Option<f64>,
    /// Whole laps behind the leader; the gap in time is then `None`.
    pub laps_down: u32,
    /// Gap to the leader at the last mini-loop that this car passed, and at least the time since the leader passed the next one, µs;
    /// `None` if it is not known. In practice and qualifying: the difference of best laps.
    pub gap_us: Option<i64>,
    /// Whole laps behind the car ahead.
    pub interval_laps: u32,
    /// Interval to the car ahead, measured where the gap is, µs; never more than the gap.
    pub interval_us: Option<i64>,
    /// Whole laps behind the first car of its class.
    pub class_laps_down: u32,
    /// Gap to the first car of its class, µs.
    pub class_gap_us: Option<i64>,
    /// Whole laps behind the car ahead in its class.
    pub class_interval_laps: u32,
    /// Interval to the car ahead in its class, µs.
    pub class_interval_us: Option<i64>,
    /// Time of its last lap, µs.
    pub last_lap_us: Option<i64>,
    /// Time of its best valid lap, µs.
    pub best_lap_us: Option<i64>,
    /// In the pits; `None` if that is not known.
    pub in_pits: Option<bool>,
    /// It has taken the chequered flag; later laps do not count.
    pub finished: bool,
    /// Only other clients see it.
    pub field: bool,
    /// Session time of the newest data about it, not after the moment asked for, µs.
    pub at_us: i64,
}

/// A moment in a session, and the rows that decide the order at it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The session.
    pub session: &'a SessionInfo,
    /// The moment, session time, µs; `None`: now.
    pub at_us: Option<i64>,
    /// When the winner crossed the line ([`chequered_us`](super::chequered_us)), if it has.
    pub chequered_us: Option<i64>,
    /// For each entry the last two laps that began at or before the moment and before the chequered flag. More laps change nothing.
    pub recent: &'a [Lap],
    /// The best lap of each entry that ended by the moment ([`Counting::best`](super::Counting::best)); no other laps.
    pub bests: &'a [Lap],
    /// Where cars are, from any number of streams.
    pub cars: &'a [CarNow],
    /// Visits to the pits as each stream reports them; needed only for a moment in the past.
    pub pit_visits: &'a [PitVisit],
}

impl Standing {
    /// An entry of which nothing is known but who drives.
    pub(super) fn unplaced(entry: EntryId, driver: DriverId) -> Self {
        Self {
            position: 0,
            class_position: 0,
            entry,
            driver,
            slot: 0,
            class_id: 0,
            laps: 0,
            lap_pct: None,
            laps_down: 0,
            gap_us: None,
            interval_laps: 0,
            interval_us: None,
            class_laps_down: 0,
            class_gap_us: None,
            class_interval_laps: 0,
            class_interval_us: None,
            last_lap_us: None,
            best_lap_us: None,
            in_pits: None,
            finished: false,
            field: false,
            at_us: 0,
        }
    }
}
