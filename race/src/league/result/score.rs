//! Steps 7 and 8: what each car scores for each championship.

use std::collections::{BTreeMap, BTreeSet};

use super::decided::Decided;
use super::{CarScore, Row, Why};
use crate::league::League;
use crate::league::act::{ChampionshipSet, ClassChange, Role};
use crate::league::ids::{ChampionshipSlug, ClassSlug, EntrySlug, EventSlug, SessionSlug};
use crate::league::rules;
use crate::scoring::{ClassifiedCar, Distance, Points, PointsRules, award};

/// What `award` calls points that a decision took off; the decisions say it themselves, each with its act.
const TAKEN_OFF: &str = "points taken off";

/// The scores for each championship that the session counts for.
pub(super) fn scores(
    league: &League,
    (session, event, role): (SessionSlug, EventSlug, Role),
    cars: &[ClassifiedCar],
    rows: &[Row],
    decided: &Decided<'_>,
    distance: &Points,
) -> BTreeMap<ChampionshipSlug, Vec<CarScore>> {
    let mut out = BTreeMap::new();
    let counts_for = league.sessions.get(&session).and_then(|at| at.it.set.counts_for.as_ref());
    let Some(season) = league.events.get(&event).map(|at| at.it.season) else { return out };
    let counts = |id: &ChampionshipSlug| counts_for.is_none_or(|ids| ids.contains(id));
    for championship in league.championships.values().map(|at| &at.it).filter(|of| of.season == season && counts(&of.championship)) {
        let Some(points) = rules::points(league, championship, role, event) else { continue };
        let scoring = Scoring { championship, points: &points, cars, rows, decided, distance };
        out.insert(championship.championship, scoring.all());
    }
    out
}

struct Scoring<'a> {
    championship: &'a ChampionshipSet,
    points: &'a PointsRules,
    cars: &'a [ClassifiedCar],
    rows: &'a [Row],
    decided: &'a Decided<'a>,
    distance: &'a Points,
}

impl Scoring<'_> {
    /// The cars of the championship's classes; if points move with a car to another class, each other class by itself too.
    fn all(&self) -> Vec<CarScore> {
        let own = &self.championship.classes;
        if own.is_empty() {
            return self.of(|_| true);
        }
        let mut scores = self.of(|class| class.is_some_and(|class| own.contains(&class)));
        if self.championship.class_change == ClassChange::PointsMove {
            let others: BTreeSet<ClassSlug> = self.rows.iter().filter_map(|row| row.class).filter(|class| !own.contains(class)).collect();
            for other in others {
                scores.extend(self.of(|class| class == Some(other)));
            }
        }
        scores
    }

    /// Filter, then score: as if only these cars had been there (`league.filter`).
    fn of(&self, is_in: impl Fn(Option<ClassSlug>) -> bool) -> Vec<CarScore> {
        let rows: BTreeMap<&str, &Row> = self.rows.iter().filter(|row| is_in(row.class)).map(|row| (row.entry.as_str(), row)).collect();
        let mut cars: Vec<ClassifiedCar> = self.cars.iter().filter(|car| rows.contains_key(car.car.entry.as_str())).cloned().collect();
        if cars.len() < self.cars.len() {
            close_ranks(&mut cars);
        }
        let distance = Distance { part: self.distance.clone(), ..Distance::default() };
        let scores = award(&cars, &self.decided.scoring(), &distance, self.points);
        let one = |(score, car): (crate::scoring::Score, &ClassifiedCar)| {
            let row = rows.get(score.entry.as_str()).filter(|_| !car.car.guest)?;
            let given = score.why.into_iter().filter(|reason| reason.rule != TAKEN_OFF);
            let mut why: Vec<Why> = given.map(|reason| named(reason.rule, reason.points)).collect();
            why.extend(self.decided.points_off(row.entry));
            let mut points = score.total;
            if let Some(set) = self.by_hand(row.entry, &points) {
                points += set.points.clone().unwrap_or_default();
                why.push(set);
            }
            Some(CarScore { entry: row.entry, class: row.class, scoring_place: score.scoring_place, place: score.place, points, why })
        };
        scores.into_iter().zip(&cars).filter_map(one).collect()
    }

    /// Points that were set by hand, as a difference.
    fn by_hand(&self, entry: EntrySlug, points: &Points) -> Option<Why> {
        let (old, new, act) = self.decided.points_of(entry, self.championship.championship)?;
        let outdated = if old == points { "" } else { "; they were others when that was decided" };
        let text = format!("set to {} by hand{outdated}", new.shown());
        Some(Why { rule: "result.override".into(), text, points: Some(new.clone() - points.clone()), act: Some(act), penalty: None })
    }
}

/// A part of a score under the name of its rule.
fn named(rule: String, points: Points) -> Why {
    let name = match rule.as_str() {
        "participation" => "points.participation",
        place if place.starts_with("place") => "points.place",
        _ => "points.bonus",
    };
    Why { rule: name.into(), text: rule, points: Some(points), act: None, penalty: None }
}

/// Places and grid of these cars as if the others had not been there.
fn close_ranks(cars: &mut [ClassifiedCar]) {
    let ranks = |values: Vec<u32>| -> BTreeMap<u32, u32> {
        let mut sorted = values;
        sorted.sort_unstable();
        sorted.iter().rev().map(|value| (*value, sorted.partition_point(|other| other < value) as u32 + 1)).collect()
    };
    let places = ranks(cars.iter().filter_map(|car| car.place).collect());
    let grid = ranks(cars.iter().filter_map(|car| car.car.grid).collect());
    for car in cars {
        car.place = car.place.and_then(|place| places.get(&place).copied());
        car.car.grid = car.car.grid.and_then(|place| grid.get(&place).copied());
    }
}
