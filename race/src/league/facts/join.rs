//! A race that was stopped and went on in another session of the simulator (`result.parts`).

use std::collections::BTreeMap;

use super::{Car, Drove, Facts};
use crate::league::ids::CarKey;
use crate::scoring::Ended;

impl Facts {
    /// The facts of a session that is several in the telemetry, in their order (`result.parts`): laps are added, and the order of cars with as
    /// many laps is that of the last part in which they were.
    pub fn joined(parts: Vec<Facts>) -> Facts {
        let mut parts = parts.into_iter();
        let Some(first) = parts.next() else { return Facts::default() };
        parts.fold(first, join)
    }
}

/// `second` goes on where `first` was stopped.
fn join(first: Facts, second: Facts) -> Facts {
    // Everything in the second part is later than everything in the first.
    let stopped_us = first.cars().iter().filter_map(|car| car.line_us.max(car.crossings_us.last().copied())).max().unwrap_or(0);
    let (planned_laps, complete) = (first.planned_laps().max(second.planned_laps()), second.complete());
    let mut cars: BTreeMap<CarKey, Car> = first.told.cars.into_iter().map(|car| (car.key, car)).collect();
    for car in second.told.cars {
        let joined = match cars.remove(&car.key) {
            // It did not come back: it stays as it was when the race was stopped.
            Some(before) if car.ended == Ended::NotStarted => Car { ended: Ended::Retired, ..before },
            Some(before) => goes_on(before, car, stopped_us),
            None => car,
        };
        cars.insert(joined.key, joined);
    }
    Facts::of(cars.into_values().collect(), planned_laps, complete)
}

fn goes_on(before: Car, after: Car, stopped_us: i64) -> Car {
    let known = before.crossings_us.len() == before.laps as usize && after.crossings_us.len() == after.laps as usize;
    let crossings_us =
        if known { before.crossings_us.iter().copied().chain(after.crossings_us.iter().map(|us| us + stopped_us)).collect() } else { vec![] };
    let (earlier, later) = (before.best_lap_us.unwrap_or(i64::MAX), after.best_lap_us.unwrap_or(i64::MAX));
    let (best_lap_us, best_lap_at_us) = match later < earlier {
        true => (after.best_lap_us, after.best_lap_at_us.map(|us| us + stopped_us)),
        false => (before.best_lap_us, before.best_lap_at_us),
    };
    let mut valid_laps = before.valid_laps;
    valid_laps.extend(after.valid_laps.iter().map(|lap| super::ValidLap {
        lap: lap.lap + before.laps,
        at_us: lap.at_us.map(|us| us + stopped_us),
        ..*lap
    }));
    let mut drivers: Vec<Drove> = before.drivers;
    for drove in after.drivers {
        match drivers.iter_mut().find(|other| other.accounts.iter().any(|account| drove.accounts.contains(account))) {
            Some(same) => same.laps += drove.laps,
            None => drivers.push(drove),
        }
    }
    Car {
        drivers,
        disqualified: before.disqualified || after.disqualified,
        laps: before.laps + after.laps,
        // Without a lap in the second part it has the crossing of the first.
        line_us: if after.laps == 0 { before.line_us } else { after.line_us.map(|us| us + stopped_us) },
        crossings_us,
        valid_laps,
        best_lap_us,
        best_lap_at_us,
        laps_led: before.laps_led + after.laps_led,
        grid: before.grid,
        incidents: before.incidents + after.incidents,
        stages: before.stages.into_iter().chain(after.stages).collect(),
        ..after
    }
}
