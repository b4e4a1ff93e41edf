//! The result of a session: what its facts and the acts of the league make of it (`score.order`, steps 0 to 8).

mod compute;
mod decided;
mod order;
mod score;
mod seen;
mod words;

pub use compute::{result, results};
pub use seen::override_sees;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::act::{Change, Role, RulesetRef};
use super::canon;
use super::ids::{
    AccountHash, CarKey, ChampionshipSlug, ClassSlug, Digest, EntrySlug, EventSlug, ManufacturerSlug, Number, PenaltySlug, PersonId, SeasonSlug,
    SessionSlug, TeamSlug,
};
use crate::scoring::{Ended, Points, Standing};

/// The result of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionResult {
    /// The session.
    pub session: SessionSlug,
    /// Its event.
    pub event: EventSlug,
    /// Its season.
    pub season: SeasonSlug,
    /// What it is.
    pub role: Role,
    /// Digest of the facts.
    pub facts: Digest,
    /// The rules by which it is classified.
    pub ruleset: RulesetRef,
    /// Their hash.
    pub rules: Digest,
    /// The part of the planned distance that the leader completed; 1 for a whole race.
    pub distance: Points,
    /// The facts are complete.
    pub complete: bool,
    /// The cars, in the order of the classification.
    pub rows: Vec<Row>,
    /// What they score, for each championship that the session counts for; in the same order, without guests of it.
    pub scores: BTreeMap<ChampionshipSlug, Vec<CarScore>>,
    /// Penalties in force for which the session has no car, and overrides for which it has none (`entry/field`).
    pub without_car: Vec<String>,
}

/// A car in the result of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Row {
    /// Place overall; several can share one. Classified cars alone have places.
    pub place: Option<u32>,
    /// Place in its class.
    pub class_place: Option<u32>,
    /// What became of it.
    pub status: Standing,
    /// The entry.
    pub entry: EntrySlug,
    /// No entry was found for it (`league.unclaimed`).
    pub unclaimed: bool,
    /// It takes part outside the championship.
    pub guest: bool,
    /// The car in the facts.
    pub car: CarKey,
    /// Its number of the day.
    pub number: Option<Number>,
    /// Its class of the day; none where the season has no classes, or it is not known.
    pub class: Option<ClassSlug>,
    /// Its team of the day.
    pub team: Option<TeamSlug>,
    /// Its manufacturer.
    pub manufacturer: Option<ManufacturerSlug>,
    /// Who drove, in order of first lap.
    pub drivers: Vec<RowDriver>,
    /// How it ended.
    pub ended: Ended,
    /// Laps, after corrections.
    pub laps: u32,
    /// Laps behind the first.
    pub laps_down: u32,
    /// Its time with penalties, µs; of qualifying its best lap.
    pub time_us: Option<i64>,
    /// Behind the first, µs; none with fewer laps.
    pub gap_us: Option<i64>,
    /// The time that penalties added, µs.
    pub added_us: i64,
    /// Its best valid lap, µs.
    pub best_lap_us: Option<i64>,
    /// Laps led.
    pub laps_led: u32,
    /// Place on the grid.
    pub grid: Option<u32>,
    /// Incident points.
    pub incidents: u32,
    /// Penalties in force against it in this session.
    pub penalties: Vec<PenaltySlug>,
    /// What was corrected by hand.
    pub overrides: Vec<Overridden>,
    /// Why it has its place.
    pub why: Vec<Why>,
}

/// Who drove a car.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RowDriver {
    /// The person; none if no account is linked.
    pub person: Option<PersonId>,
    /// The first account that the source tells; none if it tells nothing.
    pub account: Option<AccountHash>,
    /// Laps; none if the source does not say.
    pub laps: Option<u32>,
}

/// A correction by hand, as it shows on the result.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Overridden {
    /// What was changed.
    pub change: Change,
    /// The value is no more the one that the decision saw: the facts have changed since.
    pub outdated: bool,
}

/// What a car scored for a championship.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct CarScore {
    /// The entry.
    pub entry: EntrySlug,
    /// Its class of the day.
    pub class: Option<ClassSlug>,
    /// The place that its points are for.
    pub scoring_place: Option<u32>,
    /// The place, of whichever kind the rules count; for countbacks.
    pub place: Option<u32>,
    /// All its points.
    pub points: Points,
    /// Where they come from.
    pub why: Vec<Why>,
}

/// Why a place or a number of points is what it is: which rule, and which act (`result.why`).
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Why {
    /// The name of a rule in docs/RULES.md, or of a part of the ruleset: `penalty.time`, `points.place`.
    pub rule: String,
    /// What it did, in words.
    pub text: String,
    /// What it gave or took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub points: Option<Points>,
    /// The act that decided it, by its number in the ledger.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub act: Option<u64>,
    /// The penalty that it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub penalty: Option<PenaltySlug>,
}

impl SessionResult {
    /// Digest of the rows and scores: results with the same digest are the same. Explanations and numbers of acts are not in it, so that
    /// taking a penalty back gives the digest of before; nor are facts and rules, which may change without changing a result.
    pub fn digest(&self) -> Digest {
        let rows: Vec<_> = self.rows.iter().map(Row::bare).collect();
        let scores: Vec<_> = self.scores.iter().map(|(id, scores)| (id, scores.iter().map(CarScore::bare).collect::<Vec<_>>())).collect();
        canon::digest(&(self.session, &self.distance, rows, scores, &self.without_car))
    }
}

impl Row {
    /// Everything but explanations.
    fn bare(&self) -> impl Serialize {
        let Self {
            place,
            class_place,
            status,
            entry,
            unclaimed,
            guest,
            car,
            number,
            class,
            team,
            manufacturer,
            drivers,
            ended,
            laps,
            laps_down,
            time_us,
            gap_us,
            added_us,
            best_lap_us,
            laps_led,
            grid,
            incidents,
            penalties,
            overrides,
            why: _,
        } = self;
        (
            (place, class_place, status, entry, unclaimed, guest, car, number, class, team, manufacturer, drivers),
            (ended, laps, laps_down, time_us, gap_us, added_us, best_lap_us, laps_led, grid, incidents, penalties, overrides),
        )
    }
}

impl CarScore {
    /// Everything but explanations.
    fn bare(&self) -> impl Serialize {
        let Self { entry, class, scoring_place, place, points, why: _ } = self;
        (entry, class, scoring_place, place, points)
    }
}
