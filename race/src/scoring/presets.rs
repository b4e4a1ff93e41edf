//! Rulesets of real championships, by name. Each says where it comes from, and whether a published season was computed again with it.

use serde::{Deserialize, Serialize};

use super::points::Points;
use super::rules::{
    Bonus, BonusKind, BonusTie, ClassificationRules, Counted, Guests, Ineligible, Leader, Partial, PointsRules, SeasonRules, TieBreak,
};

/// All rules of a championship.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ruleset {
    /// Its name.
    pub name: String,
    /// Where the rules come from.
    pub source: String,
    /// Whether published results were computed again with it.
    pub verified: bool,
    /// How its races are classified.
    pub classification: ClassificationRules,
    /// What the places of a race are worth.
    pub race: PointsRules,
    /// What the places of a sprint are worth, if there are any.
    pub sprint: Option<PointsRules>,
    /// What the places of qualifying are worth, if anything.
    pub qualifying: Option<PointsRules>,
    /// How the season counts.
    pub season: SeasonRules,
}

/// The names of all presets.
pub const PRESETS: [&str; 12] =
    ["f1_1981", "f1_1991", "f1_2003", "f1_2010", "f1_2019", "f1_2021", "f1_2022", "f1_2025", "motogp", "indycar", "wec_6h", "nascar_cup_2017"];

const F1_2010: [i64; 10] = [25, 18, 15, 12, 10, 8, 6, 4, 2, 1];

/// The ruleset called `name`.
pub fn preset(name: &str) -> Option<Ruleset> {
    let ruleset = match name {
        "f1_1981" => Ruleset { season: SeasonRules { counted: Counted::Best(vec![11]), ..countback() }, ..formula1(&[9, 6, 4, 3, 2, 1], half()) },
        "f1_1991" => formula1(&[10, 6, 4, 3, 2, 1], half()),
        "f1_2003" => formula1(&[10, 8, 6, 5, 4, 3, 2, 1], half()),
        "f1_2010" => formula1(&F1_2010, half()),
        "f1_2019" => with_fastest_lap(formula1(&F1_2010, half()), None),
        "f1_2021" => Ruleset { sprint: Some(table(&[3, 2, 1])), ..with_fastest_lap(formula1(&F1_2010, half()), None) },
        "f1_2022" => {
            Ruleset { sprint: Some(table(&[8, 7, 6, 5, 4, 3, 2, 1])), ..with_fastest_lap(formula1(&F1_2010, reduced()), Some(Points::new(1, 2))) }
        }
        "f1_2025" => Ruleset { sprint: Some(table(&[8, 7, 6, 5, 4, 3, 2, 1])), ..formula1(&F1_2010, reduced()) },
        "motogp" => Ruleset {
            source: "FIM Grand Prix regulations; motogp.com".into(),
            verified: false,
            classification: ClassificationRules { min_fraction: Points::new(3, 4), must_be_running: true, ..ClassificationRules::default() },
            race: table(&[25, 20, 16, 13, 11, 10, 9, 8, 7, 6, 5, 4, 3, 2, 1]),
            sprint: Some(table(&[12, 9, 7, 6, 5, 4, 3, 2, 1])),
            season: SeasonRules { ties: vec![TieBreak::Countback, TieBreak::LatestResult], ..SeasonRules::default() },
            ..Ruleset::default()
        },
        "indycar" => Ruleset {
            source: "IndyCar rulebook, points".into(),
            classification: everyone(),
            race: PointsRules {
                beyond: 5.into(),
                bonuses: vec![bonus(BonusKind::Pole, 1), bonus(BonusKind::LedALap, 1), bonus(BonusKind::MostLapsLed, 2)],
                ..table(&[50, 40, 35, 32, 30, 28, 26, 24, 22, 20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 10, 9, 8, 7, 6])
            },
            season: countback(),
            ..Ruleset::default()
        },
        "wec_6h" => Ruleset {
            source: "FIA WEC sporting regulations".into(),
            classification: ClassificationRules { min_fraction: Points::new(7, 10), of: Leader::Class, ..ClassificationRules::default() },
            race: PointsRules { guests: Guests::CloseUp, ..table(&F1_2010) },
            qualifying: Some(table(&[1])),
            season: countback(),
            ..Ruleset::default()
        },
        "nascar_cup_2017" => {
            // 40, then 35 for the second, one less for each place, and 1 from the 36th on.
            let places: Vec<i64> = std::iter::once(40).chain((2..=36).map(|place| 37 - place)).collect();
            let stage = |at| bonus(BonusKind::Stage(at, (1..=10).rev().map(Points::from).collect()), 0);
            Ruleset {
                source: "NASCAR 2017 rules; the regular season only".into(),
                classification: everyone(),
                race: PointsRules { beyond: 1.into(), bonuses: vec![stage(0), stage(1)], ..table(&places) },
                season: countback(),
                ..Ruleset::default()
            }
        }
        _ => return None,
    };
    Some(Ruleset { name: name.into(), ..ruleset })
}

fn table(points: &[i64]) -> PointsRules {
    PointsRules { table: points.iter().copied().map(Points::from).collect(), ..PointsRules::default() }
}

fn countback() -> SeasonRules {
    SeasonRules { ties: vec![TieBreak::Countback], ..SeasonRules::default() }
}

fn everyone() -> ClassificationRules {
    ClassificationRules { min_fraction: Points::default(), ..ClassificationRules::default() }
}

fn bonus(kind: BonusKind, points: i64) -> Bonus {
    let tie = BonusTie::All;
    Bonus { kind, points: points.into(), top: None, classified: false, min_distance: None, ineligible: Ineligible::Nobody, tie }
}

fn formula1(points: &[i64], partial: Vec<Partial>) -> Ruleset {
    Ruleset {
        source: "FIA Formula 1 sporting regulations; seasons of the Ergast data set computed again".into(),
        verified: true,
        race: PointsRules { partial, ..table(points) },
        season: countback(),
        ..Ruleset::default()
    }
}

/// One point for the fastest lap, if it is one of the first ten; else it is not given.
fn with_fastest_lap(ruleset: Ruleset, min_distance: Option<Points>) -> Ruleset {
    let fastest = Bonus { top: Some(10), classified: true, min_distance, ..bonus(BonusKind::FastestLap, 1) };
    Ruleset { race: PointsRules { bonuses: vec![fastest], ..ruleset.race }, ..ruleset }
}

/// Half points below three quarters of the distance (1980 to 2021).
fn half() -> Vec<Partial> {
    vec![Partial { below: Points::new(3, 4), table: vec![], factor: Points::new(1, 2) }]
}

/// The tables for short races from 2022 on.
fn reduced() -> Vec<Partial> {
    let short = |below, points: &[i64]| Partial { below, table: points.iter().copied().map(Points::from).collect(), factor: Points::default() };
    vec![
        short(Points::new(1, 4), &[6, 4, 3, 2, 1]),
        short(Points::new(1, 2), &[13, 10, 8, 6, 5, 4, 3, 2, 1]),
        short(Points::new(3, 4), &[19, 14, 12, 9, 8, 6, 5, 3, 2, 1]),
    ]
}
