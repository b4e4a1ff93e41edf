//! Who has what of the score of a car: its drivers (`league.drive-time`), its team, its manufacturer, its class.

use crate::league::act::Subject;
use crate::league::result::{CarScore, Row};
use crate::scoring::{DriverRules, Points, Share};

/// What a competitor has of a car.
pub(super) struct Part {
    pub(super) competitor: String,
    pub(super) points: Points,
    /// It drove, or the car of the team did; false if it drove too little to score.
    pub(super) scores: bool,
}

/// The competitors of a car and what they have of its score.
pub(super) fn parts(subject: Subject, row: &Row, score: &CarScore, leader_laps: u32, rules: &DriverRules) -> Vec<Part> {
    let whole = |competitor: Option<String>| {
        competitor.into_iter().map(|competitor| Part { competitor, points: score.points.clone(), scores: true }).collect()
    };
    match subject {
        Subject::Driver => drivers(row, score, leader_laps, rules),
        Subject::Team => whole(row.team.map(|team| team.to_string())),
        Subject::Manufacturer => whole(row.manufacturer.map(|id| id.to_string())),
        Subject::Class => whole(row.class.map(|class| class.to_string())),
        Subject::Entry => whole(Some(row.entry.to_string())),
    }
}

/// A driver without a linked account is known by the account, and without one by the car.
fn drivers(row: &Row, score: &CarScore, leader_laps: u32, rules: &DriverRules) -> Vec<Part> {
    let name = |at: usize| {
        let driver = &row.drivers[at];
        match (driver.person, driver.account) {
            (Some(person), _) => person.to_string(),
            (None, Some(account)) => format!("a-{}", &account.to_string()[..32]),
            (None, None) => row.entry.to_string(),
        }
    };
    if row.drivers.is_empty() {
        return vec![Part { competitor: row.entry.to_string(), points: score.points.clone(), scores: true }];
    }
    // Two accounts of one person in one car are one driver.
    let mut drove: Vec<(String, Option<u32>)> = vec![];
    for (at, driver) in row.drivers.iter().enumerate() {
        let competitor = name(at);
        match drove.iter_mut().find(|(other, _)| *other == competitor) {
            Some((_, laps)) => *laps = laps.zip(driver.laps).map(|(a, b)| a + b),
            None => drove.push((competitor, driver.laps)),
        }
    }
    let all: i64 = drove.iter().filter_map(|(_, laps)| *laps).map(i64::from).sum();
    let enough = |laps: &Option<u32>| match laps {
        Some(laps) if all > 0 => {
            let most = rules.max_class_share.as_ref().map(|share| Points::from(i64::from(leader_laps)) * share);
            Points::new((*laps).into(), all) >= rules.min_share && most.is_none_or(|most| Points::from(i64::from(*laps)) <= most)
        }
        // Nobody knows who drove how far: all who drove score.
        _ => true,
    };
    let scoring = drove.iter().filter(|(_, laps)| enough(laps)).count();
    let part = |(competitor, laps): &(String, Option<u32>)| {
        let points = match (enough(laps), rules.share, laps) {
            (false, _, _) => Points::default(),
            (true, Share::ByLaps, Some(laps)) if all > 0 => score.points.clone() * &Points::new((*laps).into(), all),
            (true, Share::Full, _) => score.points.clone(),
            (true, _, _) => score.points.clone() / scoring,
        };
        Part { competitor: competitor.clone(), points, scores: enough(laps) }
    };
    drove.iter().map(part).collect()
}
