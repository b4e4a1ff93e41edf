//! Steps 2 to 6: the order of the cars.

use std::collections::BTreeMap;

use super::decided::Decided;
use crate::scoring::{ClassificationRules, ClassifiedCar, DrivenCar, Ended, Penalty, PenaltyKind, Standing, classify, qualify};

/// A race: laps, then time.
pub(super) fn race(cars: &[DrivenCar], decided: &Decided<'_>, rules: &ClassificationRules) -> Vec<ClassifiedCar> {
    classify(cars, &decided.scoring(), rules)
}

/// Practice and qualifying (`score.qualifying`). Time penalties change nothing; drops of places, deleted laps and disqualifications do.
pub(super) fn best_laps(cars: &[DrivenCar], decided: &Decided<'_>, rules: &ClassificationRules) -> Vec<ClassifiedCar> {
    let acts =
        |penalty: &Penalty| matches!(penalty.kind, PenaltyKind::Disqualified | PenaltyKind::Positions { .. } | PenaltyKind::BestLapDeleted { .. });
    let penalties: Vec<Penalty> = decided.scoring().into_iter().filter(acts).collect();
    let ended: BTreeMap<&str, Ended> = cars.iter().map(|car| (car.entry.as_str(), car.ended)).collect();
    let mut out = qualify(cars, &penalties, rules);
    for car in &mut out {
        car.why.clear();
        car.car.ended = ended.get(car.car.entry.as_str()).copied().unwrap_or_default();
        // Who drove and has no valid lap was there.
        if car.status == Standing::NotStarted && car.car.ended != Ended::NotStarted {
            car.status = Standing::NotClassified;
        }
    }
    out.sort_by_key(|car| car.status);
    out
}
