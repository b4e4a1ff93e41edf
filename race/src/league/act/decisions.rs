//! Acts that decide results: bindings, penalties, overrides, publications.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EntryDetails;
use crate::league::ids::{
    CarKey, ChampionshipSlug, Digest, EntrySlug, EventSlug, ManufacturerSlug, PenaltySlug, PersonId, SeasonSlug, SessionSlug, TeamSlug, TextId,
};
use crate::scoring::{Ended, PenaltyKind, Points};

/// Which entry a car of a session is, and what that entry was then. Decided once; later changes of the entry list do not touch it
/// (`league.binding`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bound {
    /// The session.
    pub session: SessionSlug,
    /// The car.
    pub car: CarKey,
    /// The entry.
    pub entry: EntrySlug,
    /// What the entry was then.
    pub details: EntryDetails,
}

/// The same, decided otherwise.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rebound {
    /// The session.
    pub session: SessionSlug,
    /// The car.
    pub car: CarKey,
    /// What it is.
    pub to: BoundTo,
    /// Why.
    pub reason: TextId,
}

/// What a car of a session is.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "as", deny_unknown_fields)]
pub enum BoundTo {
    /// This entry.
    Entry {
        /// The entry.
        entry: EntrySlug,
        /// What it was then.
        details: Box<EntryDetails>,
    },
    /// No entry.
    Unclaimed {},
    /// Not part of the competition (a camera, the race control).
    LeftOut {},
}

/// A penalty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PenaltyGiven {
    /// The penalty.
    pub penalty: PenaltySlug,
    /// Where it acts.
    pub at: PenaltyAt,
    /// Against whom.
    pub against: Against,
    /// What it is.
    pub sanction: Sanction,
    /// Whether it acts already.
    #[serde(default)]
    pub state: PenaltyState,
    /// Why.
    pub reason: TextId,
}

/// Where a penalty acts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyAt {
    /// In a session.
    Session(SessionSlug),
    /// In every session of an event.
    Event(EventSlug),
    /// In the standings of a season, after drops; with a championship in the sanction in that one only.
    Season(SeasonSlug),
}

/// Against whom a penalty is. In a session it acts on cars: the entry's, those that the person drove, those of the team.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Against {
    /// An entry.
    Entry(EntrySlug),
    /// A person.
    Person(PersonId),
    /// A team.
    Team(TeamSlug),
    /// A manufacturer.
    Manufacturer(ManufacturerSlug),
}

/// What a penalty is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Sanction {
    /// So many laps are credited (above 0) or taken off (below 0).
    Laps {
        /// Laps.
        laps: i32,
    },
    /// The time of this lap is deleted: it can be neither a best lap nor count in qualifying.
    LapTimeDeleted {
        /// Its number.
        lap: u32,
    },
    /// The best lap is deleted; for facts that have no laps.
    BestLapDeleted {
        /// The next best valid lap, µs, if there is one.
        #[serde(default)]
        next_us: Option<i64>,
    },
    /// Out of the results; of an event: of all its sessions.
    Disqualified {},
    /// Added to the time, µs.
    Time {
        /// µs, above 0.
        us: i64,
    },
    /// A drive-through that was not served.
    DriveThrough {},
    /// A stop-and-go that was not served.
    StopAndGo {
        /// Seconds of the stop.
        seconds: u32,
    },
    /// So many places back.
    Positions {
        /// Places.
        places: u32,
    },
    /// Points of the session taken off; they go with the session if it is dropped.
    Points {
        /// Points, above 0.
        points: Points,
    },
    /// No bonus of the session.
    NoBonus {},
    /// Points of the season taken off (above 0) or given (below 0); no drop takes it away. Season only.
    SeasonPoints {
        /// Points.
        points: Points,
        /// In this championship; none: in all where the competitor is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        championship: Option<ChampionshipSlug>,
    },
    /// Out of the ranking. Season only.
    Excluded {
        /// The points stay.
        keeps_points: bool,
        /// In this championship; none: in all where the competitor is.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        championship: Option<ChampionshipSlug>,
    },
    /// So many places back on a grid.
    GridDrop {
        /// Places.
        places: u32,
    },
    /// Starts from the pits.
    PitStart {},
    /// May not qualify.
    QualifyingBan {},
    /// May not race in so many events.
    RaceBan {
        /// Events.
        events: u32,
    },
    /// Carries more weight.
    Ballast {
        /// kg.
        kg: u32,
    },
    /// Points of the licence.
    LicencePoints {
        /// Points.
        points: u32,
    },
    /// A reprimand.
    Reprimand {},
    /// A warning.
    Warning {},
}

impl Sanction {
    /// What it does in the score of a session; `None` if it does nothing there.
    pub fn in_session(&self) -> Option<PenaltyKind> {
        Some(match self {
            Sanction::Laps { laps } => PenaltyKind::Laps { laps: *laps },
            Sanction::BestLapDeleted { next_us } => PenaltyKind::BestLapDeleted { next_us: *next_us },
            Sanction::Disqualified {} => PenaltyKind::Disqualified,
            Sanction::Time { us } => PenaltyKind::Time { us: *us },
            Sanction::DriveThrough {} => PenaltyKind::DriveThrough,
            Sanction::StopAndGo { seconds } => PenaltyKind::StopAndGo { seconds: *seconds },
            Sanction::Positions { places } => PenaltyKind::Positions { places: *places },
            Sanction::Points { points } => PenaltyKind::Points { points: points.clone() },
            Sanction::NoBonus {} => PenaltyKind::NoBonus,
            _ => return None,
        })
    }

    /// Whether it acts in the standings of a season.
    pub fn in_season(&self) -> bool {
        matches!(self, Sanction::SeasonPoints { .. } | Sanction::Excluded { .. })
    }
}

/// Whether a penalty acts. Only one in force changes a result.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PenaltyState {
    /// Proposed, by a rule or a person.
    Proposed,
    /// It acts.
    #[default]
    InForce,
    /// It is kept back.
    Suspended,
    /// It was served on track; the result has it already.
    Served,
    /// It was taken back.
    Rescinded,
    /// Another one is in its place.
    Superseded,
}

/// What became of a penalty.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PenaltyChanged {
    /// The penalty.
    pub penalty: PenaltySlug,
    /// Its new state.
    pub state: PenaltyState,
    /// Why.
    pub reason: TextId,
}

/// A fact or a result that is corrected by hand. It is shown on the result for ever; a later override of the same field replaces its value.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Override {
    /// The session.
    pub session: SessionSlug,
    /// The entry.
    pub entry: EntrySlug,
    /// What is changed.
    pub change: Change,
    /// Why.
    pub reason: TextId,
}

/// What an override changes: the value that the decision saw, and the value that counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(tag = "field", rename_all = "snake_case", deny_unknown_fields)]
pub enum Change {
    /// Laps completed.
    Laps {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// From the start to the crossing that completed the last lap, µs.
    LineUs {
        /// Before.
        old: Option<i64>,
        /// Now.
        new: Option<i64>,
    },
    /// Best valid lap, µs.
    BestLapUs {
        /// Before.
        old: Option<i64>,
        /// Now.
        new: Option<i64>,
    },
    /// Place on the grid.
    Grid {
        /// Before.
        old: Option<u32>,
        /// Now.
        new: Option<u32>,
    },
    /// Laps led.
    LapsLed {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// Incident points.
    Incidents {
        /// Before.
        old: u32,
        /// Now.
        new: u32,
    },
    /// How it ended.
    Ended {
        /// Before.
        old: Ended,
        /// Now.
        new: Ended,
    },
    /// The simulator's own disqualification.
    Disqualified {
        /// Before.
        old: bool,
        /// Now.
        new: bool,
    },
    /// The place after all penalties.
    Place {
        /// Before.
        old: Option<u32>,
        /// Now.
        new: u32,
    },
    /// The points of the session in one championship.
    Points {
        /// The championship.
        championship: ChampionshipSlug,
        /// Before.
        old: Points,
        /// Now.
        new: Points,
    },
}

impl Change {
    /// The field, and of points the championship: a later override of the same replaces the value.
    pub fn field(&self) -> String {
        match self {
            Change::Laps { .. } => "laps".into(),
            Change::LineUs { .. } => "line_us".into(),
            Change::BestLapUs { .. } => "best_lap_us".into(),
            Change::Grid { .. } => "grid".into(),
            Change::LapsLed { .. } => "laps_led".into(),
            Change::Incidents { .. } => "incidents".into(),
            Change::Ended { .. } => "ended".into(),
            Change::Disqualified { .. } => "disqualified".into(),
            Change::Place { .. } => "place".into(),
            Change::Points { championship, .. } => format!("points/{championship}"),
        }
    }
}

/// What is published: the result of a session or the table of a championship.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// The result of a session.
    Session(SessionSlug),
    /// The table of a championship.
    Championship(ChampionshipSlug),
}

impl Scope {
    /// `session` or `championship`.
    pub fn kind(&self) -> &'static str {
        match self {
            Scope::Session(_) => "session",
            Scope::Championship(_) => "championship",
        }
    }

    /// The slug.
    pub fn id(&self) -> &str {
        match self {
            Scope::Session(id) => id.as_str(),
            Scope::Championship(id) => id.as_str(),
        }
    }
}

/// `session/monza-race`
impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind(), self.id())
    }
}

/// How final a published revision is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It may change without an appeal.
    Provisional,
    /// It is final.
    Official,
    /// It was final, and was changed by a decision.
    Amended,
}

/// A revision of a result or a table. Its rows are stored beside the ledger; the digests say which they are.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Published {
    /// What.
    pub scope: Scope,
    /// How final it is.
    pub state: State,
    /// Its number: one more than the latest.
    pub revision: u32,
    /// Digest of the rows: two results with the same digest are the same.
    pub digest: Digest,
    /// Digest of all that is stored of it, explanations included.
    pub body: Digest,
    /// Digest of the facts that it is from.
    pub facts: Digest,
    /// Hash of the rules that it is by.
    pub rules: Digest,
    /// Acts up to this number are in it.
    pub seq: u64,
    /// Why there is another revision.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<TextId>,
}

/// Facts of a session, new or changed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FactsChanged {
    /// The session.
    pub session: SessionSlug,
    /// Their digest.
    pub facts: Digest,
}
