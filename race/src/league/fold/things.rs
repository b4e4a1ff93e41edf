//! What a league keeps of each thing. The body of its doc is exactly this, so it must not depend on the numbers of acts.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use crate::league::act::{
    AccountLinked, AdoptFrom, BoundTo, EntryDetails, MemberSet, PenaltyGiven, PenaltyState, Published, RulesetAdded, RulesetRef, Scope, SeasonSet,
    SessionSet,
};
use crate::league::doc::{Doc, DocKind};
use crate::league::ids::{CarKey, ChampionshipSlug, Digest, EntrySlug, EventSlug, PersonId, SeasonSlug, SessionSlug, TextId};
use crate::scoring::Ruleset;

/// A thing, and the last act about it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct At<T> {
    pub(crate) seq: u64,
    pub(crate) it: T,
}

impl<T: Serialize> At<T> {
    pub(crate) fn doc(&self, kind: DocKind, id: String) -> Doc {
        // Things have text keys and no serializer that fails.
        Doc { kind, id, seq: self.seq, body: serde_json::to_value(&self.it).unwrap_or(Value::Null) }
    }
}

/// A version of a ruleset. `rules` is absent if this program cannot read the document: then nothing is computed with it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Rules {
    #[serde(flatten)]
    pub(crate) added: RulesetAdded,
    #[serde(skip)]
    pub(crate) rules: Option<Ruleset>,
}

/// A season, with the rules that were adopted later.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Season {
    #[serde(flatten)]
    pub(crate) set: SeasonSet,
    #[serde(serialize_with = "as_list")]
    pub(crate) adopted: BTreeMap<(Option<ChampionshipSlug>, AdoptFrom), Adopted>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Adopted {
    pub(crate) rules: RulesetRef,
    pub(crate) reason: TextId,
}

/// A session, and the facts that it has.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Session {
    #[serde(flatten)]
    pub(crate) set: SessionSet,
    pub(crate) facts: Option<Digest>,
}

/// A person.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub(crate) struct Person {
    pub(crate) name: Option<TextId>,
    pub(crate) merged_into: Option<PersonId>,
    pub(crate) erased: bool,
}

/// An account of a person.
pub(crate) type Account = AccountLinked;

impl Account {
    pub(crate) fn doc_id(&self) -> String {
        format!("{}/{}", self.account, event_or_dash(self.from_event))
    }
}

/// The id of the doc about a member of a team.
pub(crate) fn member_id(member: &MemberSet) -> String {
    format!("{}/{}/{}", member.team, member.person, event_or_dash(member.from_event))
}

fn event_or_dash(event: Option<EventSlug>) -> String {
    event.map_or("-".into(), |event| event.to_string())
}

/// An entry, interval by interval.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Entry {
    pub(crate) season: SeasonSlug,
    pub(crate) entry: EntrySlug,
    /// By first event. Their order in time is the calendar's.
    #[serde(serialize_with = "as_list")]
    pub(crate) intervals: BTreeMap<Option<EventSlug>, EntryDetails>,
}

/// What a car is bound to.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Binding {
    pub(crate) session: SessionSlug,
    pub(crate) car: CarKey,
    pub(crate) to: BoundTo,
    /// Why it was decided otherwise.
    pub(crate) reason: Option<TextId>,
}

/// A penalty and what became of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Given {
    #[serde(flatten)]
    pub(crate) given: PenaltyGiven,
    /// What became of it since, the latest last.
    pub(crate) changes: Vec<(PenaltyState, TextId)>,
}

impl Given {
    /// Its state now.
    pub(crate) fn state(&self) -> PenaltyState {
        self.changes.last().map_or(self.given.state, |(state, _)| *state)
    }

    /// Whether it acts (`penalty.state`).
    pub(crate) fn in_force(&self) -> bool {
        self.state() == PenaltyState::InForce
    }
}

/// What was published of a result or table.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub(crate) struct Publication {
    pub(crate) scope: Scope,
    /// The first first.
    pub(crate) revisions: Vec<Published>,
}

/// A map whose keys are no texts, as a list of pairs in order of keys.
fn as_list<K: Serialize, V: Serialize, S: serde::Serializer>(map: &BTreeMap<K, V>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(map.iter())
}
