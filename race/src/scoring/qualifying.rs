//! Qualifying and practice: the order by best laps (`score.qualifying`).

use std::collections::BTreeMap;

use super::classify::{ClassifiedCar, Standing, classify};
use super::driven::{DrivenCar, Ended, Penalty, PenaltyKind};
use super::points::Points;
use super::rules::ClassificationRules;

/// The cars of a qualifying session in their order. Cars without a valid lap have no place, unless the source lists them with one.
pub fn qualify(cars: &[DrivenCar], penalties: &[Penalty], rules: &ClassificationRules) -> Vec<ClassifiedCar> {
    let deleted: BTreeMap<&str, Option<i64>> = penalties
        .iter()
        .filter_map(
            |penalty| if let PenaltyKind::BestLapDeleted { next_us } = &penalty.kind { Some((penalty.entry.as_str(), *next_us)) } else { None },
        )
        .collect();
    // Who set an equal lap first is ahead; where that is not known, as the source lists them; else they share the place.
    let key = |car: &DrivenCar| match deleted.get(car.entry.as_str()) {
        Some(next_us) => next_us.map(|us| (0, us, None, None)),
        None => car.best_lap_us.map(|us| (0, us, car.best_lap_at_us, car.listed)).or(car.listed.map(|listed| (1, 0, None, Some(listed)))),
    };
    let mut keys: Vec<_> = cars.iter().filter_map(key).collect();
    keys.sort_unstable();
    let ranked: Vec<DrivenCar> = cars
        .iter()
        .map(|car| {
            let rank = key(car)
                .and_then(|key| keys.binary_search(&key).ok().map(|at| keys[..at].iter().rposition(|k| *k != key).map_or(0, |last| last + 1)));
            let ended = if rank.is_some() { Ended::Finished } else { Ended::NotStarted };
            DrivenCar { laps: 1, line_us: None, listed: rank.map(|rank| rank as u32 + 1), crossings_us: vec![], ended, ..car.clone() }
        })
        .collect();
    let by_best = ClassificationRules { min_fraction: Points::default(), must_be_running: false, max_laps_down: None, ..rules.clone() };
    let laps: BTreeMap<&str, &DrivenCar> = cars.iter().map(|car| (car.entry.as_str(), car)).collect();
    let mut classified = classify(&ranked, penalties, &by_best);
    for car in &mut classified {
        if let Some(driven) = laps.get(car.car.entry.as_str()) {
            (car.car.laps, car.car.line_us, car.car.listed) = (driven.laps, driven.line_us, driven.listed);
        }
        if car.status == Standing::NotStarted {
            car.why.push("no valid lap".into());
        }
    }
    classified
}
