//! Each entry's best laps and sectors, theoretical best (`sector.theoretical`) and fuel (`fuel.per-lap`).

use serde::{Deserialize, Serialize};

use super::{Counting, Facts, by_entry, finish};
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::results::{CarNow, Lap, Tags};

/// Number of laps over which fuel use is averaged.
const FUEL_LAPS: usize = 5;

/// The laps, sectors and fuel of one entry in a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Who competes.
    pub entry: EntryId,
    /// Who drove, in order of first lap.
    pub drivers: Vec<DriverId>,
    /// The car's slot in its last lap.
    pub slot: u16,
    /// Laps completed: the number of its last known lap, as in order and results (`order.laps`).
    pub laps: u32,
    /// Laps that are known; fewer than `laps` if some were driven before a client came, or were broken off.
    pub known_laps: u32,
    /// Of those, laps that count for best.
    pub valid_laps: u32,
    /// Number of the best lap that counts; the first of equal ones.
    pub best_lap: Option<u32>,
    /// Its time, µs: the simulator's own where it reported one.
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

/// Summaries of all entries that have a lap, by entry.
pub fn summaries(facts: &Facts<'_>) -> Vec<Summary> {
    let counting = Counting::of(facts, finish(facts).as_ref());
    let laps = by_entry(facts.laps.iter().filter(|l| !l.superseded), |l| l.entry);
    laps.into_iter().map(|(entry, of)| summary(entry, of, facts.cars, &counting)).collect()
}

fn summary(entry: EntryId, mut laps: Vec<&Lap>, cars: &[CarNow], counting: &Counting) -> Summary {
    laps.sort_by_key(|l| l.number);
    let mut drivers: Vec<DriverId> = vec![];
    for lap in &laps {
        if !drivers.contains(&lap.driver) {
            drivers.push(lap.driver);
        }
    }
    let valid: Vec<&Lap> = laps.iter().copied().filter(|l| l.valid()).collect();
    let best = counting.best(laps.iter().copied());
    // All laps of a session have equally many sectors, except laps that were driven before the lines moved.
    let sectors = valid.iter().map(|l| l.sectors_us.len()).max().unwrap_or(0);
    let bests: Vec<(i64, u32)> =
        (0..sectors).filter_map(|k| valid.iter().filter(|l| l.sectors_us.len() == sectors).map(|l| (l.sectors_us[k], l.number)).min()).collect();
    let flying = laps.iter().rev().filter(|l| !l.tags.any(Tags::IN_LAP.with(Tags::OUT_LAP).with(Tags::HAD_YELLOW)));
    let fuel: Vec<f32> = flying.filter_map(|l| l.fuel_used_l).take(FUEL_LAPS).collect();
    let fuel_per_lap_l = (!fuel.is_empty()).then(|| fuel.iter().sum::<f32>() / fuel.len() as f32).filter(|l| *l > 0.0);
    let aboard = super::newest_car(cars.iter().filter(|c| c.entry == entry && !c.field)).and_then(|c| c.fuel_l);
    Summary {
        entry,
        drivers,
        slot: laps.last().map_or(0, |l| l.slot),
        laps: laps.last().map_or(0, |l| l.number),
        known_laps: laps.len() as u32,
        valid_laps: valid.len() as u32,
        best_lap: best.map(|l| l.number),
        best_lap_us: best.map(Lap::deciding_us),
        theoretical_best_us: (!bests.is_empty()).then(|| bests.iter().map(|(us, _)| us).sum()),
        best_sectors_us: bests.iter().map(|(us, _)| *us).collect(),
        best_sectors_lap: bests.iter().map(|(_, n)| *n).collect(),
        fuel_per_lap_l,
        fuel_laps_left: fuel_per_lap_l.zip(aboard).map(|(per_lap, l)| l / per_lap),
    }
}
