//! Acts about penalties.

use serde::{Deserialize, Serialize};

use crate::league::ids::{
    ChampionshipSlug, EntrySlug, EventSlug, ManufacturerSlug, PenaltySlug, PersonId, SeasonSlug, SessionSlug, TeamSlug, TextId,
};
use crate::scoring::{PenaltyKind, Points};

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

impl PenaltyState {
    /// For people: `in force`.
    pub fn in_words(self) -> &'static str {
        match self {
            PenaltyState::Proposed => "proposed",
            PenaltyState::InForce => "in force",
            PenaltyState::Suspended => "suspended",
            PenaltyState::Served => "served",
            PenaltyState::Rescinded => "rescinded",
            PenaltyState::Superseded => "superseded",
        }
    }
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
