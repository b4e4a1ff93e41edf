//! What the drivers of a shared car, and the teams of several cars, get of the points of cars.

use std::collections::BTreeMap;

use super::award::{Distance, Score, award, team_points};
use super::classify::ClassifiedCar;
use super::driven::Penalty;
use super::points::Points;
use super::rules::{DriverRules, Per, PointsRules, Share, TeamRules};

/// The points of each driver of one car (`score.shared_car`). `laps`: what each drove of it; `leader`: the laps of the leader of its class.
/// A car without laps has no shares, and each of its drivers may score.
pub fn share_points(points: &Points, laps: &BTreeMap<String, u32>, leader: u32, rules: &DriverRules) -> BTreeMap<String, Points> {
    let all: i64 = laps.values().map(|laps| i64::from(*laps)).sum();
    let may = |driven: u32| {
        let enough = all == 0 || Points::new(driven.into(), all) >= rules.min_share;
        let most = rules.max_class_share.as_ref().filter(|_| leader > 0);
        enough && most.is_none_or(|most| Points::new(driven.into(), leader.into()) <= *most)
    };
    let scoring = laps.values().filter(|laps| may(**laps)).count();
    let of = |driven: u32| match rules.share {
        _ if !may(driven) => Points::default(),
        Share::Full => points.clone(),
        Share::Equally => points.clone() / scoring,
        Share::ByLaps if all == 0 => points.clone() / scoring,
        Share::ByLaps => points.clone() * &Points::new(driven.into(), all),
    };
    laps.iter().map(|(driver, laps)| (driver.clone(), of(*laps))).collect()
}

/// What each team (or manufacturer) scored in a session: `team_of` says whose a car is. With `Per::Event` all cars count here, and
/// [`event_points`] takes the best.
pub fn team_scores(
    cars: &[ClassifiedCar],
    penalties: &[Penalty],
    distance: &Distance,
    points: &PointsRules,
    race: bool,
    rules: &TeamRules,
) -> Vec<Score> {
    let mut points = points.clone();
    // The table of teams is for races; a sprint has its own for all.
    if race && !rules.table.is_empty() {
        points.table = rules.table.clone();
    }
    if !rules.bonuses {
        points.bonuses.clear();
    }
    award(cars, penalties, distance, &points)
}

/// The points of the teams in an event: `sessions` has for each session the team and points of each car, `entries` beside them for
/// [`Per::Event`].
pub fn event_points(sessions: &[Vec<(String, String, Points)>], rules: &TeamRules) -> BTreeMap<String, Points> {
    let best = rules.best.map(|best| best as usize);
    let mut sums: BTreeMap<String, Points> = BTreeMap::new();
    match rules.per {
        Per::Session => {
            for cars in sessions {
                for (team, points) in team_points(cars.iter().map(|(team, _, points)| (team.as_str(), points)), best) {
                    *sums.entry(team).or_default() += points;
                }
            }
        }
        Per::Event => {
            let mut of_car: BTreeMap<(&str, &str), Points> = BTreeMap::new();
            for (team, entry, points) in sessions.iter().flatten() {
                *of_car.entry((team, entry)).or_default() += points.clone();
            }
            sums = team_points(of_car.iter().map(|((team, _), points)| (*team, points)), best);
        }
    }
    sums
}
