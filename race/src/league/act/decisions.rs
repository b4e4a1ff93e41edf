//! Acts that decide results: bindings, overrides, publications.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::EntryDetails;
use crate::league::ids::{CarKey, ChampionshipSlug, Digest, EntrySlug, SessionSlug, TextId};
use crate::scoring::{Ended, Points};

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
