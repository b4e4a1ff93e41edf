//! Steps 1 to 6 of a session's score (`score.order`): from the cars as they were driven to places with penalties.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::driven::{DrivenCar, Ended, Penalty, PenaltyKind};
use super::points::Points;
use super::rules::{ClassificationRules, DropCounts, Leader, RetiredOrder, Rounding, TimePenalty};

/// A car with its place.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct ClassifiedCar {
    /// The car as it was driven, with corrected laps.
    pub car: DrivenCar,
    /// What became of it.
    pub status: Standing,
    /// Place overall; several cars can share one. Classified cars alone have places.
    pub place: Option<u32>,
    /// Place in its class.
    pub class_place: Option<u32>,
    /// Its time with penalties, µs.
    pub time_us: Option<i64>,
    /// The time that was added, µs.
    pub added_us: i64,
    /// What was decided about the car, in words.
    pub why: Vec<String>,
}

/// What became of a car.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has a place.
    Classified,
    /// It completed too little, or did not take the flag where that is needed.
    NotClassified,
    /// It did not start.
    NotStarted,
    /// It is out of the results.
    Disqualified,
}

/// The cars in their order: classified, not classified, not started, disqualified. The order of `cars` and `penalties` changes nothing.
pub fn classify(cars: &[DrivenCar], penalties: &[Penalty], rules: &ClassificationRules) -> Vec<ClassifiedCar> {
    let flag_us = flag(cars);
    let mut of_entry: BTreeMap<&str, Vec<&PenaltyKind>> = BTreeMap::new();
    let mut sorted: Vec<&Penalty> = penalties.iter().collect();
    sorted.sort();
    sorted.into_iter().for_each(|penalty| of_entry.entry(&penalty.entry).or_default().push(&penalty.kind));
    let none = vec![];
    let mut all: Vec<ClassifiedCar> =
        cars.iter().map(|car| decided(car, of_entry.get(car.entry.as_str()).unwrap_or(&none), flag_us, rules)).collect();
    unknown_times(&mut all);
    // The entry, last, makes the order of the input irrelevant.
    all.sort_by(|a, b| key(a, rules).cmp(&key(b, rules)).then_with(|| a.car.entry.cmp(&b.car.entry)));
    test_distance(&mut all, rules);
    all.sort_by_key(|car| car.status);
    let mut order = Order::new(&all, rules);
    order.drop_places(&all, &of_entry, rules);
    order.place(all)
}

/// When the flag fell: the last crossing of the car that won as driven, µs.
fn flag(cars: &[DrivenCar]) -> Option<i64> {
    let running = cars.iter().filter(|car| car.ended == Ended::Finished);
    running.filter_map(|car| Some((std::cmp::Reverse(car.laps), car.line_us?))).min().map(|(_, us)| us)
}

/// Steps 1 to 3: corrections of laps, disqualification, time.
fn decided(car: &DrivenCar, penalties: &[&PenaltyKind], flag_us: Option<i64>, rules: &ClassificationRules) -> ClassifiedCar {
    let (mut car, mut added_us, mut why, mut disqualified) = (car.clone(), 0i64, vec![], false);
    for penalty in penalties {
        match penalty {
            PenaltyKind::Laps { laps } => {
                car.laps = car.laps.saturating_add_signed(*laps);
                if let Some(us) = (car.laps as usize).checked_sub(1).and_then(|last| car.crossings_us.get(last)) {
                    car.line_us = Some(*us);
                }
                why.push(format!("{laps:+} laps by decision"));
            }
            PenaltyKind::BestLapDeleted { next_us } => {
                (car.best_lap_us, car.best_lap_at_us) = (*next_us, None);
                why.push("best lap deleted".into());
            }
            PenaltyKind::Disqualified => disqualified = true,
            PenaltyKind::Time { us } => added_us += us,
            PenaltyKind::DriveThrough => added_us += rules.drive_through_us,
            PenaltyKind::StopAndGo { seconds } => added_us += rules.stop_and_go_us + i64::from(*seconds) * 1_000_000,
            PenaltyKind::Positions { places } => why.push(format!("{places} places back")),
            PenaltyKind::Points { points } => why.push(format!("{} points taken off", points.shown())),
            PenaltyKind::NoBonus => why.push("no bonus".into()),
        }
    }
    if added_us != 0 {
        why.push(format!("{} s added", added_us as f64 / 1e6));
    }
    let time_us = match rules.time_penalty {
        TimePenalty::LapEquivalent if added_us != 0 => shifted(&mut car, added_us, flag_us),
        _ => car.line_us.map(|us| us + added_us),
    };
    let status = match (disqualified, car.ended) {
        (true, _) => Standing::Disqualified,
        (false, Ended::NotStarted) => Standing::NotStarted,
        (false, _) => Standing::Classified,
    };
    ClassifiedCar { car, status, place: None, class_place: None, time_us, added_us, why }
}

/// `lap_equivalent`: every crossing is later by the penalty, and the first at or after the flag is the car's last.
fn shifted(car: &mut DrivenCar, added_us: i64, flag_us: Option<i64>) -> Option<i64> {
    let last = flag_us.and_then(|flag| car.crossings_us.iter().position(|us| us + added_us >= flag));
    match last {
        Some(at) if at < car.laps as usize => {
            car.laps = at as u32 + 1;
            Some(car.crossings_us[at] + added_us)
        }
        // Its crossings are not known, or it stopped before the flag.
        _ => car.line_us.map(|us| us + added_us),
    }
}

/// Where the time of a car is not known, cars of equal laps stay as they are listed, and their penalties can change nothing.
fn unknown_times(all: &mut [ClassifiedCar]) {
    let unknown: BTreeSet<u32> = all.iter().filter(|car| car.status == Standing::Classified && car.time_us.is_none()).map(|c| c.car.laps).collect();
    for car in all.iter_mut().filter(|car| unknown.contains(&car.car.laps)) {
        if car.added_us != 0 {
            car.why.push("time penalty without effect: the times of cars with as many laps are not known".into());
        }
        car.time_us = None;
    }
}

type Key = (bool, std::cmp::Reverse<u32>, Option<i64>, Option<u32>);

/// Step 4: more laps, then the earlier time.
fn key(car: &ClassifiedCar, rules: &ClassificationRules) -> Key {
    let behind = rules.retired == RetiredOrder::FinishersFirst && car.car.ended != Ended::Finished;
    let listed = if car.time_us.is_none() { car.car.listed } else { None };
    (behind, std::cmp::Reverse(car.car.laps), car.time_us, listed)
}

/// Step 4: who has completed enough. The leader is taken among those who are left after disqualifications.
fn test_distance(all: &mut [ClassifiedCar], rules: &ClassificationRules) {
    let mut leaders: BTreeMap<String, u32> = BTreeMap::new();
    for car in all.iter().filter(|car| car.status == Standing::Classified) {
        let most = leaders.entry(group(&car.car, rules.of == Leader::Class)).or_default();
        *most = (*most).max(car.car.laps);
    }
    for car in all.iter_mut().filter(|car| car.status == Standing::Classified) {
        let most = leaders.get(&group(&car.car, rules.of == Leader::Class)).copied().unwrap_or(0);
        let needed = Points::from(i64::from(most)) * &rules.min_fraction;
        let needed = match rules.rounding {
            Rounding::Floor => Points::from(needed.floor()),
            Rounding::Ceil => Points::from(needed.ceil()),
            Rounding::None => needed,
        };
        let reason = if car.car.laps == 0 && car.car.ended == Ended::Retired && !rules.min_fraction.is_zero() {
            // The leader of its class may have completed none either.
            "completed no lap".to_owned()
        } else if Points::from(i64::from(car.car.laps)) < needed {
            format!("{} laps of the {} that are needed", car.car.laps, needed.shown())
        } else if rules.must_be_running && car.car.ended != Ended::Finished {
            "did not take the flag".into()
        } else if rules.max_laps_down.is_some_and(|down| car.car.laps + down < most) {
            format!("{} laps down", most - car.car.laps)
        } else {
            continue;
        };
        car.status = Standing::NotClassified;
        car.why.push(format!("not classified: {reason}"));
    }
}

fn group(car: &DrivenCar, by_class: bool) -> String {
    if by_class { car.class.clone() } else { String::new() }
}

/// Step 5: the order of the classified cars, as indices, and who shares a place with the car before.
struct Order {
    cars: Vec<(usize, bool)>,
    classified: usize,
}

impl Order {
    fn new(all: &[ClassifiedCar], rules: &ClassificationRules) -> Self {
        let classified = all.iter().take_while(|car| car.status == Standing::Classified).count();
        let tied =
            |at: usize| at > 0 && key(&all[at - 1], rules) == key(&all[at], rules) && (all[at].time_us.is_some() || all[at].car.listed.is_some());
        Self { cars: (0..classified).map(|at| (at, tied(at))).collect(), classified }
    }

    /// From the last car with such a penalty to the first: the car goes behind the n-th classified car that follows it, or to the end.
    fn drop_places(&mut self, all: &[ClassifiedCar], of_entry: &BTreeMap<&str, Vec<&PenaltyKind>>, rules: &ClassificationRules) {
        let places = |index: usize| -> usize {
            let kinds = of_entry.get(all[index].car.entry.as_str());
            kinds.into_iter().flatten().map(|kind| if let PenaltyKind::Positions { places } = kind { *places as usize } else { 0 }).sum()
        };
        for index in (0..self.classified).rev().filter(|index| places(*index) > 0) {
            let Some(at) = self.cars.iter().position(|(car, _)| *car == index) else { continue };
            let class = &all[index].car.class;
            let counts = |car: usize| rules.drop_counts == DropCounts::Overall || all[car].car.class == *class;
            let behind = (at + 1..self.cars.len()).filter(|next| counts(self.cars[*next].0)).take(places(index)).last();
            let Some(mut behind) = behind else { continue };
            // Cars that share a place are passed together.
            while self.cars.get(behind + 1).is_some_and(|(_, tied)| *tied) {
                behind += 1;
            }
            // The car behind no longer shares its place with this one.
            let first_of_its_place = !self.cars[at].1;
            if let Some(next) = self.cars.get_mut(at + 1).filter(|_| first_of_its_place) {
                next.1 = false;
            }
            self.cars.remove(at);
            self.cars.insert(behind, (index, false));
        }
    }

    /// Step 6: places overall and in class; who shares a place takes up as many places as they are (1 2 2 4).
    fn place(self, all: Vec<ClassifiedCar>) -> Vec<ClassifiedCar> {
        let mut all: Vec<Option<ClassifiedCar>> = all.into_iter().map(Some).collect();
        let mut out: Vec<ClassifiedCar> = vec![];
        let mut class_seen: BTreeMap<String, u32> = BTreeMap::new();
        for (at, (index, tied)) in self.cars.iter().enumerate() {
            let Some(mut car) = all[*index].take() else { continue };
            let before = out.last();
            car.place = if *tied { before.and_then(|before| before.place) } else { Some(at as u32 + 1) };
            let seen = class_seen.entry(car.car.class.clone()).or_default();
            *seen += 1;
            let same = out.iter().rev().take_while(|other| *tied && other.place == car.place).find(|other| other.car.class == car.car.class);
            car.class_place = same.map_or(Some(*seen), |same| same.class_place);
            out.push(car);
        }
        out.extend(all.into_iter().flatten());
        out
    }
}
