//! Who has what of the score of a car: its drivers (`league.drive-time`), its team, its manufacturer, its class.

use crate::league::act::Subject;
use crate::league::result::{CarScore, Row};
use crate::scoring::{DriverRules, Points, share_points};

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
    // Where nobody knows who drove how far, all who drove score. The share of one point is the share of all.
    let laps = drove.iter().map(|(competitor, laps)| (competitor.clone(), laps.unwrap_or(0))).collect();
    let shares = share_points(&Points::from(1), &laps, leader_laps, rules);
    let part = |(competitor, _): (String, Option<u32>)| {
        let share = shares.get(&competitor).cloned().unwrap_or_default();
        Part { points: score.points.clone() * &share, scores: !share.is_zero(), competitor }
    };
    drove.into_iter().map(part).collect()
}
