//! Steps 2 to 6: the order of the cars.

use super::decided::Decided;
use crate::scoring::{ClassificationRules, ClassifiedCar, DrivenCar, Ended, Leader, Penalty, PenaltyKind, Points, classify};

/// A race: laps, then time.
pub(super) fn race(cars: &[DrivenCar], decided: &Decided<'_>, rules: &ClassificationRules) -> Vec<ClassifiedCar> {
    classify(cars, &decided.scoring(), rules)
}

/// Practice and qualifying: the best valid lap, of equal ones who set it first; a car without one has no place (`score.qualifying`). Time
/// penalties change nothing; drops of places, deleted laps and disqualifications do.
pub(super) fn best_laps(cars: &[DrivenCar], decided: &Decided<'_>, rules: &ClassificationRules) -> Vec<ClassifiedCar> {
    let penalties = decided.scoring();
    let deleted = |car: &DrivenCar| {
        penalties.iter().find_map(|penalty| match penalty.kind {
            PenaltyKind::BestLapDeleted { next_us } if penalty.entry == car.entry => Some(next_us),
            _ => None,
        })
    };
    let mut cars: Vec<DrivenCar> = cars.to_vec();
    for car in &mut cars {
        if let Some(next_us) = deleted(car) {
            (car.best_lap_us, car.best_lap_at_us) = (next_us, None);
        }
    }
    let mut keys: Vec<(i64, Option<i64>)> = cars.iter().filter_map(|car| Some((car.best_lap_us?, car.best_lap_at_us))).collect();
    keys.sort_unstable();
    let laps: Vec<(String, u32, Option<i64>)> = cars.iter().map(|car| (car.entry.clone(), car.laps, car.line_us)).collect();
    for car in &mut cars {
        let rank = car.best_lap_us.and_then(|us| keys.iter().position(|key| *key == (us, car.best_lap_at_us)));
        // One lap, or none; of cars with one, that in which they are listed decides. Equal keys share a place.
        (car.laps, car.line_us, car.listed) = (u32::from(rank.is_some()), None, rank.map(|rank| rank as u32 + 1));
        car.crossings_us.clear();
        if car.ended == Ended::Retired {
            car.ended = Ended::Finished;
        }
    }
    let acts = |penalty: &&Penalty| matches!(penalty.kind, PenaltyKind::Disqualified | PenaltyKind::Positions { .. });
    let penalties: Vec<Penalty> = penalties.iter().filter(acts).cloned().collect();
    let rules =
        ClassificationRules { min_fraction: Points::from(1), of: Leader::Overall, max_laps_down: None, must_be_running: false, ..rules.clone() };
    let mut out = classify(&cars, &penalties, &rules);
    for car in &mut out {
        // The laps and the crossing that it had.
        if let Some((_, laps, line_us)) = laps.iter().find(|(entry, _, _)| *entry == car.car.entry) {
            (car.car.laps, car.car.line_us) = (*laps, *line_us);
        }
        car.why.clear();
    }
    out
}
