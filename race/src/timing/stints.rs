//! Stints: the laps of one driver between two pit stops (`stint.is`).

use serde::{Deserialize, Serialize};

use super::by_entry;
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::results::{Lap, PitKind, PitVisit};

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
    /// Known laps in it.
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
    /// It began with new tyres; `None` if the simulator does not say.
    pub new_tyres: Option<bool>,
}

/// Stints of all entries, by (entry, number), from chosen laps and folded visits ([`pit_visits`](super::pit_visits)).
pub fn stints(laps: &[Lap], visits: &[PitVisit]) -> Vec<Stint> {
    let ends = by_entry(visits.iter().filter(|v| v.kind == PitKind::STOP || has_swap(v)), |v| v.entry);
    let mut stints: Vec<Stint> = vec![];
    for (entry, mut of) in by_entry(laps.iter().filter(|l| !l.superseded), |l| l.entry) {
        of.sort_by_key(|l| l.number);
        let mut ends: Vec<&PitVisit> = ends.get(&entry).cloned().unwrap_or_default();
        ends.sort_by_key(|v| v.enter_us);
        // The lap in which the car came in belongs to the old stint, the next one to the new.
        let ends_before = |lap: &Lap| ends.partition_point(|v| v.enter_us <= lap.start_us);
        // Who began the lap: another than the driver who ended it, if the car was taken over in a visit that began in it.
        let begun_by = |lap: &Lap| ends.get(ends_before(lap)).filter(|v| v.enter_us < lap.end_us && has_swap(v)).map_or(lap.driver, |v| v.driver);
        let mut number = 0;
        for laps in of.chunk_by(|a, b| a.driver == begun_by(b) && ends_before(a) == ends_before(b)) {
            number += 1;
            let end = ends_before(laps[0]).checked_sub(1).map(|i| ends[i]);
            // A driver who takes over without a stop keeps the tyres that are on the car.
            let began_with_it = end.is_some_and(|v| stints.last().is_none_or(|s| s.entry != entry || s.start_us < v.enter_us));
            // Only a stop can change tyres (`stint.tyres`).
            let stop = end.filter(|v| began_with_it && v.kind == PitKind::STOP);
            stints.push(Stint { driver: begun_by(laps[0]), ..stint(entry, number, laps, stop.and_then(|v| v.tyres_changed)) });
        }
    }
    stints
}

/// Whether the car left the pits with another driver.
fn has_swap(visit: &PitVisit) -> bool {
    visit.driver_out() != visit.driver
}

fn stint(entry: EntryId, number: u32, laps: &[&Lap], new_tyres: Option<bool>) -> Stint {
    let (first, last) = (laps[0], laps[laps.len() - 1]);
    // Other laps are no measure of pace (`stint.pace`).
    let counting: Vec<i64> = laps.iter().filter(|l| l.valid()).map(|l| l.time_us).collect();
    let fuel: Vec<f32> = laps.iter().filter_map(|l| l.fuel_used_l).collect();
    Stint {
        entry,
        number,
        driver: first.driver,
        first_lap: first.number,
        last_lap: last.number,
        laps: laps.len() as u32,
        start_us: first.start_us,
        end_us: last.end_us,
        best_us: counting.iter().min().copied(),
        mean_us: (!counting.is_empty()).then(|| counting.iter().sum::<i64>() / counting.len() as i64),
        fuel_used_l: (!fuel.is_empty()).then(|| fuel.iter().sum()),
        new_tyres,
    }
}
