//! Acts about the league itself: rules, seasons, classes, events, sessions, championships.

use std::collections::BTreeMap;

use boxbox_schemas::ids::SessionId;
use serde::{Deserialize, Serialize};

use crate::league::ids::{
    ChampionshipSlug, ClassSlug, Date, Digest, EventSlug, LeagueSlug, PartName, RulesetSlug, SeasonSlug, SeriesSlug, SessionSlug, SimSlug, TextId,
    TimeZone, Told,
};
use crate::scoring::Points;

/// The league, made (with the first act) or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeagueSet {
    /// The league.
    pub league: LeagueSlug,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
    /// In which its dates and deadlines are.
    pub time_zone: TimeZone,
    /// The rules that a new season has if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesetRef>,
}

/// A version of a ruleset.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesetRef {
    /// The ruleset.
    pub ruleset: RulesetSlug,
    /// Its version; 1 is the first.
    pub version: u32,
}

/// A version of a ruleset; it never changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesetAdded {
    /// The ruleset.
    pub ruleset: RulesetSlug,
    /// Its version: one more than the latest.
    pub version: u32,
    /// Its hash.
    pub hash: Digest,
    /// The rules, as they were written.
    pub document: String,
}

/// From when a season goes by a version of a ruleset.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RulesetAdopted {
    /// The season.
    pub season: SeasonSlug,
    /// One championship of it; none: all, and how sessions are classified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub championship: Option<ChampionshipSlug>,
    /// The ruleset.
    pub ruleset: RulesetSlug,
    /// Its version.
    pub version: u32,
    /// From when.
    pub from: AdoptFrom,
    /// Why.
    pub reason: TextId,
}

/// From when rules apply.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AdoptFrom {
    /// To all events, those that were scored too.
    RecomputeAll,
    /// From this event on.
    Event(EventSlug),
}

/// A series, made or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeriesSet {
    /// The series.
    pub series: SeriesSlug,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
    /// Its simulator, if it has only one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sim: Option<SimSlug>,
}

/// A season, made or changed. Its rules are changed by [`RulesetAdopted`] only.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeasonSet {
    /// The season.
    pub season: SeasonSlug,
    /// Its series.
    pub series: SeriesSlug,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
    /// When it begins: seasons are in this order (`league.calendar`).
    pub starts: Date,
    /// Its rules.
    pub rules: RulesetRef,
    /// What cars do that no entry was found for.
    #[serde(default)]
    pub unclaimed: Unclaimed,
}

/// What cars do that no entry was found for (`league.unclaimed`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Unclaimed {
    /// They take part like guests.
    #[default]
    Guests,
    /// They score as registered ones do; nobody needs to enter.
    Score,
}

/// A class of a season, made or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClassSet {
    /// The season.
    pub season: SeasonSlug,
    /// The class.
    pub class: ClassSlug,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
    /// What simulators call its cars or the class.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cars: Vec<Told>,
    /// Whose places count.
    #[serde(default)]
    pub scoring: ClassScoring,
}

/// Whose places count for the points of a class.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassScoring {
    /// What the ruleset says.
    #[default]
    Rules,
    /// Places in the class.
    Own,
    /// Places overall.
    Overall,
}

/// An event of a season, made or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventSet {
    /// The event.
    pub event: EventSlug,
    /// Its season.
    pub season: SeasonSlug,
    /// Its place in the calendar; the numbers need not be consecutive (`league.calendar`).
    pub index: u32,
    /// Its date.
    pub date: Date,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
    /// All its points times this; 2 for double points.
    #[serde(default = "one")]
    pub multiplier: Points,
    /// Whether a competitor may drop it.
    #[serde(default = "yes")]
    pub droppable: bool,
    /// It does not count, even if it was driven (`season.cancelled`).
    #[serde(default)]
    pub cancelled: bool,
}

fn one() -> Points {
    Points::from(1)
}

fn yes() -> bool {
    true
}

/// A session of an event, made or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SessionSet {
    /// The session.
    pub session: SessionSlug,
    /// Its event.
    pub event: EventSlug,
    /// What it is.
    pub role: Role,
    /// Its sessions in the telemetry, in their order: a race after a red flag may be two. One that was started again replaces the one before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub telemetry: Vec<SessionId>,
    /// The result file that it comes from instead: SHA-256 of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<Digest>,
    /// The championships it counts for; none: all whose roles have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counts_for: Option<Vec<ChampionshipSlug>>,
    /// Laps that it was to have; none: what the facts say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub planned_laps: Option<u32>,
}

/// What a session is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Never counts for points.
    Practice,
    /// Ordered by best laps.
    Qualifying,
    /// A short race.
    Sprint,
    /// One of the races from which the grid of another is made.
    Heat,
    /// The race of those who did not qualify in a heat.
    Consolation,
    /// The main race.
    Feature,
    /// A part of a race that scores by itself.
    Stage,
}

/// A championship of a season, made or changed. Several may count over the same results.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ChampionshipSet {
    /// The championship.
    pub championship: ChampionshipSlug,
    /// Its season.
    pub season: SeasonSlug,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<TextId>,
    /// Who competes.
    pub subject: Subject,
    /// Its classes; empty: all.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub classes: Vec<ClassSlug>,
    /// Its sessions; empty: all but practice.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub roles: Vec<Role>,
    /// Which part of the ruleset says what places of a role are worth: `race`, `sprint`, `qualifying` or one of its tables; `none`: they are
    /// worth nothing. Without a word: qualifying by `qualifying`, sprints by `sprint` (if the ruleset has it), else `race`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub points: BTreeMap<Role, PartName>,
    /// Its own rules; none: those of the season.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rules: Option<RulesetRef>,
    /// How many cars of a competitor count; none: what the ruleset says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best_cars: Option<BestCars>,
    /// How the sessions of an event become one score.
    #[serde(default)]
    pub event_points: EventPoints,
    /// The roles whose places count in a countback; empty: feature races, or all races if the championship has no role `feature`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub countback: Vec<Role>,
    /// What becomes of points when an entry changes its class.
    #[serde(default)]
    pub class_change: ClassChange,
}

/// Who competes in a championship.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Persons.
    Driver,
    /// Teams.
    Team,
    /// Manufacturers.
    Manufacturer,
    /// Classes.
    Class,
    /// Entries: the cars, whoever drove.
    Entry,
}

/// The best cars of a competitor.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BestCars {
    /// How many count.
    pub cars: u32,
    /// Of a session or of an event.
    pub per: Per,
}

/// Of what the best cars are taken.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Per {
    /// Of each session.
    Session,
    /// Of each event: the cars with most points in it.
    Event,
}

/// How the sessions of an event become one score.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EventPoints {
    /// Added.
    #[default]
    Sum,
    /// The best one.
    Best,
}

/// What becomes of points when an entry changes its class (`league.class-change`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClassChange {
    /// Points count in the class in which they were scored.
    #[default]
    PointsStay,
    /// All points of the entry count in its new class.
    PointsMove,
    /// As `points_stay`, and in the old class the competitor is shown without a rank.
    Restart,
}
