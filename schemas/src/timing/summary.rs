//! Each entry's best laps and sectors, theoretical best (domain.md 12.4) and fuel (12.11).

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, EntryId};
use crate::results::{CarNow, Lap};

/// What one entry did in a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Who competes.
    pub entry: EntryId,
    /// Who drove, in order of first lap.
    pub drivers: Vec<DriverId>,
    /// The car's slot in its last lap.
    pub slot: u16,
    /// Laps known.
    pub laps: u32,
    /// Of those, laps that count for best.
    pub valid_laps: u32,
    /// Number of the best lap; the first of equal ones.
    pub best_lap: Option<u32>,
    /// Its time, µs.
    pub best_lap_us: Option<i64>,
    /// Best time of each sector in laps that count for best, µs; empty without one.
    pub best_sectors_us: Vec<i64>,
    /// Numbers of those laps.
    pub best_sectors_lap: Vec<u32>,
    /// Sum of the best sectors, µs.
    pub theoretical_best_us: Option<i64>,
    /// Mean fuel used in the last five laps without yellow that are neither in nor out laps, l (kWh).
    pub fuel_per_lap_l: Option<f32>,
    /// Laps that the fuel aboard lasts for at that rate.
    pub fuel_laps_left: Option<f32>,
}

/// Each entry's best valid lap; of equal ones the one that was first.
pub fn best_laps(laps: &[Lap]) -> Vec<Lap> {
    let _ = laps;
    vec![]
}

/// Summaries of all entries, by entry.
pub fn summaries(laps: &[Lap], cars: &[CarNow]) -> Vec<Summary> {
    let _ = (laps, cars);
    vec![]
}
