//! [`Act`]: what people decide about a league. The ledger of a league is the list of its acts; nothing else is ever written, and no act is
//! changed or removed (`league.act`).
//!
//! An act has ids, numbers and rules only. Names, reasons and other free texts are kept beside the ledger, where they can be erased: an act
//! has their [`TextId`](super::TextId). Accounts in simulators are in it as salted hashes.

mod decisions;
mod penalties;
mod what;
mod who;

pub use decisions::{Bound, BoundTo, Change, FactsChanged, Override, Published, Rebound, Scope, State};
pub use penalties::{Against, PenaltyAt, PenaltyChanged, PenaltyGiven, PenaltyState, Sanction};
pub use what::{
    AdoptFrom, BestCars, ChampionshipSet, ClassChange, ClassScoring, ClassSet, EventPoints, EventSet, LeagueSet, Per, Role, RulesetAdded,
    RulesetAdopted, RulesetRef, SeasonSet, SeriesSet, SessionSet, Subject, Unclaimed,
};
pub use who::{AccountLinked, EntryDetails, EntrySet, EntryStatus, MemberRole, MemberSet, PersonAdded, PersonErased, PersonMerged, TeamSet};

use serde::{Deserialize, Serialize};

use super::canon::canonical;
use super::refusal::{Code, Refusal};

macro_rules! acts {
    ($($(#[$doc:meta])* $name:ident = $kind:literal),+ $(,)?) => {
        /// What was decided. In JSON `kind` says which.
        #[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
        #[serde(tag = "kind")]
        pub enum Act {
            $($(#[$doc])* #[serde(rename = $kind)] $name($name)),+
        }

        impl Act {
            /// All kinds.
            pub const KINDS: &'static [&'static str] = &[$($kind),+];

            /// Its kind, as in JSON.
            pub fn kind(&self) -> &'static str {
                match self {
                    $(Act::$name(_) => $kind),+
                }
            }
        }

        $(impl From<$name> for Act {
            fn from(act: $name) -> Self {
                Act::$name(act)
            }
        })+
    };
}

acts! {
    /// The league, made or changed.
    LeagueSet = "league_set",
    /// A version of a ruleset; it never changes.
    RulesetAdded = "ruleset_added",
    /// From when a season (or one championship of it) goes by a version of a ruleset.
    RulesetAdopted = "ruleset_adopted",
    /// A series, made or changed.
    SeriesSet = "series_set",
    /// A season, made or changed.
    SeasonSet = "season_set",
    /// A class of a season, made or changed.
    ClassSet = "class_set",
    /// An event of a season, made or changed.
    EventSet = "event_set",
    /// A session of an event, made or changed.
    SessionSet = "session_set",
    /// A championship of a season, made or changed.
    ChampionshipSet = "championship_set",
    /// A person.
    PersonAdded = "person_added",
    /// An account of a person.
    AccountLinked = "account_linked",
    /// Two persons turned out to be one.
    PersonMerged = "person_merged",
    /// What is known about a person was erased; the results stay.
    PersonErased = "person_erased",
    /// A team, made or changed.
    TeamSet = "team_set",
    /// Who is in a team, and when.
    MemberSet = "member_set",
    /// An entry, made, or changed from an event on.
    EntrySet = "entry_set",
    /// Which entry a car of a session is.
    Bound = "bound",
    /// The same, decided otherwise.
    Rebound = "rebound",
    /// A penalty.
    PenaltyGiven = "penalty_given",
    /// What became of a penalty.
    PenaltyChanged = "penalty_changed",
    /// A fact or a result that is corrected by hand.
    Override = "override",
    /// A revision of a result or a table.
    Published = "published",
    /// Facts of a session, new or changed.
    FactsChanged = "facts_changed",
}

impl Act {
    /// Read an act from JSON.
    pub fn parse(body: &str) -> Result<Self, Refusal> {
        serde_json::from_str(body)
            .map_err(|e| Refusal::new(Code::Malformed, "act", format!("{e}. The description of the API lists the fields of each kind")))
    }

    /// Its canonical JSON: the `body` of its row in the ledger.
    pub fn body(&self) -> String {
        canonical(self)
    }
}
