//! [`Draft`]: what a request wants to be decided, before it is checked.

use boxbox_race::league::{Act, Facts, Scope, SessionSlug, State, TextId};
use boxbox_schemas::league::{Digest, Erasure, Text};
use serde_json::{Map, Value};

/// What a request wants.
#[derive(Default, Clone)]
pub(crate) struct Draft {
    /// What is decided, in this order.
    pub(crate) acts: Vec<Act>,
    /// Texts that the acts refer to.
    pub(crate) texts: Vec<Text>,
    /// Texts that go.
    pub(crate) erased: Vec<Erasure>,
    /// Facts of sessions, as they are now.
    pub(crate) facts: Vec<(SessionSlug, Facts)>,
    /// What to publish after all that.
    pub(crate) publish: Option<Publish>,
    /// What the answer says beside the rest.
    pub(crate) answer: Map<String, Value>,
}

/// A result or table to publish.
#[derive(Clone)]
pub(crate) struct Publish {
    pub(crate) scope: Scope,
    pub(crate) state: State,
    pub(crate) reason: Option<TextId>,
}

/// A request that may come twice.
#[derive(Clone)]
pub(crate) struct Asked {
    /// As the client chose it.
    pub(crate) key: String,
    /// Of method, path and body.
    pub(crate) request: Digest,
}

impl Draft {
    /// Whether anything in it can change a result or a table.
    pub(crate) fn can_change_results(&self) -> bool {
        let harmless =
            |act: &Act| matches!(act, Act::PersonAdded(_) | Act::TeamSet(_) | Act::LeagueSet(_) | Act::SeriesSet(_) | Act::RulesetAdded(_));
        !self.facts.is_empty() || self.publish.is_some() || !self.acts.iter().all(harmless)
    }
}
