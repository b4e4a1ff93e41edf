//! [`Revision`]: a published result or table, which never changes, and how it differs from the one before.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::act::{Published, Scope, State};
use super::ids::{Digest, SessionSlug, TextId};
use super::{Facts, League};
use crate::scoring::Points;

/// A revision of a result or a table, to be stored beside the act that publishes it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Revision {
    /// The act.
    pub published: Published,
    /// Canonical JSON of the [`SessionResult`](super::SessionResult) or [`Table`](super::Table).
    pub body: String,
    /// How it differs from the revision before; empty for the first.
    pub difference: Vec<Difference>,
    /// Why it is needed.
    pub cause: Cause,
}

/// Why a revision is needed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// Somebody asked for it.
    Asked,
    /// A decision changed it.
    Decision,
    /// The facts changed after they were published: somebody should look.
    Facts,
}

/// What changed for one entry or competitor.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Difference {
    /// The entry (`championship:entry` for points of a session), or the competitor.
    pub who: String,
    /// Its place before and now.
    pub place: (Option<u32>, Option<u32>),
    /// Its points before and now.
    pub points: (Points, Points),
}

/// `A -25`
impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = self.points.1.clone() - self.points.0.clone();
        let sign = if change.is_negative() || change.is_zero() { "" } else { "+" };
        write!(f, "{} {sign}{}", self.who, change.shown())
    }
}

/// A stored revision, as far as the next one needs it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stored<'a> {
    /// Its act.
    pub published: &'a Published,
    /// Its body.
    pub body: &'a str,
}

/// The next revision of `scope` as `state`, from all facts of the season. `latest` is the newest stored revision of it.
pub fn publication(
    league: &League,
    scope: Scope,
    state: State,
    facts: &BTreeMap<SessionSlug, Facts>,
    latest: Option<&Stored<'_>>,
    reason: Option<TextId>,
) -> Option<Revision> {
    let (_, _, _, _, _, _) = (league, scope, state, facts, latest, reason);
    None
}

/// What must be published anew: every published result and table that is not what its latest revision says, sessions first
/// (`result.revision`). `latest` gives the newest stored revision of each scope that was published.
pub fn recompute(league: &League, facts: &BTreeMap<SessionSlug, Facts>, latest: &BTreeMap<Scope, Stored<'_>>) -> Vec<Revision> {
    let (_, _, _) = (league, facts, latest);
    vec![]
}

/// A combined digest of facts, in order of sessions.
pub fn facts_digest<'a>(of: impl IntoIterator<Item = (&'a SessionSlug, &'a Digest)>) -> Digest {
    super::canon::digest(&of.into_iter().collect::<Vec<_>>())
}
