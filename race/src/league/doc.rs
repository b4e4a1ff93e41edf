//! [`Doc`]: what the acts say now about one thing, for lists and look-ups. Docs can be made again from the ledger at any time.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// What a league has now of one thing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Doc {
    /// What kind of thing.
    pub kind: DocKind,
    /// Which: a slug, or several with `/` between them.
    pub id: String,
    /// The number of the last act that changed it. The body does not depend on it.
    pub seq: u64,
    /// The thing.
    pub body: Value,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $name:ident = $text:literal),+ $(,)?) => {
        /// Kinds of docs, and their ids.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
        pub enum DocKind {
            $($(#[$doc])* #[serde(rename = $text)] $name),+
        }

        impl DocKind {
            /// All kinds.
            pub const ALL: &'static [DocKind] = &[$(DocKind::$name),+];

            /// The kind that is called so.
            pub fn called(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|kind| kind.as_str() == text)
            }

            /// The kind as text, as in JSON.
            pub fn as_str(self) -> &'static str {
                match self {
                    $(DocKind::$name => $text),+
                }
            }
        }
    };
}

kinds! {
    /// The league: its slug.
    League = "league",
    /// A version of a ruleset: `ruleset/version`.
    Ruleset = "ruleset",
    /// A series: its slug.
    Series = "series",
    /// A season, with the rules it goes by: its slug.
    Season = "season",
    /// A class: `season/class`.
    Class = "class",
    /// An event: its slug.
    Event = "event",
    /// A session, with its facts: its slug.
    Session = "session",
    /// A championship: its slug.
    Championship = "championship",
    /// A person: the id.
    Person = "person",
    /// An account of a person: `account/first event`, with `-` for no event.
    Account = "account",
    /// A team: its slug.
    Team = "team",
    /// Who is in a team: `team/person/first event`, with `-` for no event.
    Member = "member",
    /// An entry with its intervals: `season/entry`.
    Entry = "entry",
    /// What a car of a session is bound to: `session/car`.
    Binding = "binding",
    /// A penalty with its states: its slug.
    Penalty = "penalty",
    /// An override: `session/entry/field`.
    Override = "override",
    /// The published revisions of a session or championship: `session/slug`, `championship/slug`.
    Publication = "publication",
}
