//! The order of a session at a moment, with gaps (domain.md 12.8).

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, EntryId};
use crate::results::{CarNow, Lap, SessionInfo};

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
    /// The simulator's id of its class; 0 where nobody says.
    pub class_id: u32,
    /// Laps completed.
    pub laps: u32,
    /// Fraction of the lap it is in, to the mini-loop passed last where nothing finer is known; `None` if it is in none.
    pub lap_pct: Option<f64>,
    /// Laps behind the leader, whole ones; the gap in time is then not given.
    pub laps_down: u32,
    /// Behind the leader at the mini-loop that it passed last, µs. In practice and qualifying: by best laps.
    pub gap_us: Option<i64>,
    /// Laps behind the car ahead in the order, whole ones.
    pub interval_laps: u32,
    /// Behind the car ahead in the order at the mini-loop that it passed last, µs. In practice and qualifying: by best laps.
    pub interval_us: Option<i64>,
    /// Time of its last lap, µs.
    pub last_lap_us: Option<i64>,
    /// Time of its best valid lap, µs.
    pub best_lap_us: Option<i64>,
    /// In the pits; `None` if nobody says, or for a moment in the past.
    pub in_pits: Option<bool>,
    /// Seen by other clients only.
    pub field: bool,
    /// Session time of the newest that is known of it, µs, not after the moment asked for.
    pub at_us: i64,
}

/// The order of `session` at session time `at_us`; `None`: now.
///
/// `recent`: for each entry the last two laps that began at or before the moment, or more (`Results::laps_at`). `bests`: the
/// best valid lap of each entry that ended by then, or more laps. `cars`: where cars are; of any number of tellers.
pub fn order(session: &SessionInfo, recent: &[Lap], bests: &[Lap], cars: &[CarNow], at_us: Option<i64>) -> Vec<Standing> {
    let _ = (session, recent, bests, cars, at_us);
    vec![]
}
