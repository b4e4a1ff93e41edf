//! [`Ruleset`]: all rules of a championship, as data. `document` reads it from the document that people write.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::points::Points;
use super::rules::{ClassificationRules, DriverRules, PointsRules, SeasonRules, TeamRules};

/// All rules of a championship.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Ruleset {
    /// Its name: letters, digits, `_` and `-`.
    pub name: String,
    /// What it is, in a line.
    pub title: String,
    /// Where the rules come from.
    pub source: String,
    /// Whether published results were computed again with it.
    pub verified: bool,
    /// What the rules of the source have and this document does not, and other remarks.
    pub notes: Vec<String>,
    /// The seasons that it is for, if it is for some only.
    pub years: Option<Years>,
    /// How its races are classified.
    pub classification: ClassificationRules,
    /// What the places of a race are worth.
    pub race: PointsRules,
    /// What the places of a sprint are worth, if there are any.
    pub sprint: Option<PointsRules>,
    /// What the places of qualifying are worth, if anything.
    pub qualifying: Option<PointsRules>,
    /// Tables for other sessions, by name: a race of another length, a heat.
    pub tables: BTreeMap<String, PointsRules>,
    /// What the drivers of a shared car get.
    pub drivers: DriverRules,
    /// How the season counts.
    pub season: SeasonRules,
    /// The championship of teams, if there is one.
    pub teams: Option<TeamRules>,
    /// The championship of manufacturers, if there is one.
    pub manufacturers: Option<TeamRules>,
}

/// Seasons, both included.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Years {
    /// The first.
    pub first: u32,
    /// The last; 0: it is still in force.
    #[serde(default)]
    pub last: u32,
}

impl Years {
    /// Whether `year` is one of them.
    pub fn contain(&self, year: u32) -> bool {
        self.first <= year && (self.last == 0 || year <= self.last)
    }
}

impl Ruleset {
    /// The rules for the points of a session: `race` (or `feature`), `sprint`, `qualifying`, or the name of one of `tables`. None: such
    /// sessions are worth nothing.
    pub fn points_of(&self, session: &str) -> Option<&PointsRules> {
        match session {
            "race" | "feature" => Some(&self.race),
            "sprint" => self.sprint.as_ref(),
            "qualifying" => self.qualifying.as_ref(),
            name => self.tables.get(name),
        }
    }

    /// What all points of event `event` (1 is the first) of `events` are multiplied with: double points in the last one, say.
    pub fn multiplier(&self, event: u32, events: u32) -> Points {
        match &self.season.last_event {
            factor if event == events && !factor.is_zero() => factor.clone(),
            _ => Points::from(1),
        }
    }
}
