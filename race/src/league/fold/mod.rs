//! [`League`]: what the acts of a league say, taken together.

mod admit;
mod apply;
mod calendar;
mod check;
mod check_decisions;
mod persons;
mod things;

use std::collections::BTreeMap;

use super::act::{Act, LeagueSet, MemberSet, Override, Published, RulesetRef, Scope, SeriesSet, TeamSet};
use super::act::{ChampionshipSet, ClassSet, EventSet, SessionSet};
use super::doc::{Doc, DocKind};
use super::ids::{
    AccountHash, CarKey, ChampionshipSlug, ClassSlug, Digest, EntrySlug, EventSlug, PenaltySlug, PersonId, RulesetSlug, SeasonSlug, SeriesSlug,
    SessionSlug, TeamSlug,
};

pub(crate) use things::{Account, At, Binding, Entry, Given, Person, Publication, Rules, Season, Session};

/// A league, as its acts made it. Acts that do not concern the same thing can come in any order.
#[derive(Clone, Debug, Default)]
pub struct League {
    head: u64,
    pub(crate) league: Option<At<LeagueSet>>,
    pub(crate) rulesets: BTreeMap<RulesetRef, At<Rules>>,
    pub(crate) series: BTreeMap<SeriesSlug, At<SeriesSet>>,
    pub(crate) seasons: BTreeMap<SeasonSlug, At<Season>>,
    pub(crate) classes: BTreeMap<(SeasonSlug, ClassSlug), At<ClassSet>>,
    pub(crate) events: BTreeMap<EventSlug, At<EventSet>>,
    pub(crate) sessions: BTreeMap<SessionSlug, At<Session>>,
    pub(crate) championships: BTreeMap<ChampionshipSlug, At<ChampionshipSet>>,
    pub(crate) persons: BTreeMap<PersonId, At<Person>>,
    pub(crate) accounts: BTreeMap<AccountHash, BTreeMap<Option<EventSlug>, At<Account>>>,
    pub(crate) teams: BTreeMap<TeamSlug, At<TeamSet>>,
    pub(crate) members: BTreeMap<(TeamSlug, PersonId, Option<EventSlug>), At<MemberSet>>,
    pub(crate) entries: BTreeMap<(SeasonSlug, EntrySlug), At<Entry>>,
    pub(crate) bindings: BTreeMap<(SessionSlug, CarKey), At<Binding>>,
    pub(crate) penalties: BTreeMap<PenaltySlug, At<Given>>,
    pub(crate) overrides: BTreeMap<(SessionSlug, EntrySlug, String), At<Override>>,
    pub(crate) publications: BTreeMap<Scope, At<Publication>>,
}

impl League {
    /// A league of these acts, each with its number.
    pub fn of<'a>(acts: impl IntoIterator<Item = (u64, &'a Act)>) -> Self {
        let mut league = Self::default();
        acts.into_iter().for_each(|(seq, act)| drop(league.apply(seq, act)));
        league
    }

    /// The number of the last act; 0 without one.
    pub fn head(&self) -> u64 {
        self.head
    }

    /// All docs, by kind and id.
    pub fn docs(&self) -> Vec<Doc> {
        let mut docs: Vec<Doc> = vec![];
        docs.extend(self.league.as_ref().map(|at| at.doc(DocKind::League, at.it.league.to_string())));
        docs.extend(self.rulesets.iter().map(|(id, at)| at.doc(DocKind::Ruleset, format!("{}/{}", id.ruleset, id.version))));
        docs.extend(self.series.iter().map(|(id, at)| at.doc(DocKind::Series, id.to_string())));
        docs.extend(self.seasons.iter().map(|(id, at)| at.doc(DocKind::Season, id.to_string())));
        docs.extend(self.classes.iter().map(|((season, id), at)| at.doc(DocKind::Class, format!("{season}/{id}"))));
        docs.extend(self.events.iter().map(|(id, at)| at.doc(DocKind::Event, id.to_string())));
        docs.extend(self.sessions.iter().map(|(id, at)| at.doc(DocKind::Session, id.to_string())));
        docs.extend(self.championships.iter().map(|(id, at)| at.doc(DocKind::Championship, id.to_string())));
        docs.extend(self.persons.iter().map(|(id, at)| at.doc(DocKind::Person, id.to_string())));
        docs.extend(self.accounts.values().flat_map(|of| of.values().map(|at| at.doc(DocKind::Account, at.it.doc_id()))));
        docs.extend(self.teams.iter().map(|(id, at)| at.doc(DocKind::Team, id.to_string())));
        docs.extend(self.members.values().map(|at| at.doc(DocKind::Member, things::member_id(&at.it))));
        docs.extend(self.entries.iter().map(|((season, id), at)| at.doc(DocKind::Entry, format!("{season}/{id}"))));
        docs.extend(self.bindings.iter().map(|((session, car), at)| at.doc(DocKind::Binding, format!("{session}/{car}"))));
        docs.extend(self.penalties.iter().map(|(id, at)| at.doc(DocKind::Penalty, id.to_string())));
        docs.extend(self.overrides.iter().map(|((session, entry, field), at)| at.doc(DocKind::Override, format!("{session}/{entry}/{field}"))));
        docs.extend(self.publications.iter().map(|(scope, at)| at.doc(DocKind::Publication, scope.to_string())));
        docs.sort_by(|a, b| (a.kind, &a.id).cmp(&(b.kind, &b.id)));
        docs
    }

    /// The person that this id means now: ids that were merged mean the one that stayed.
    pub fn person(&self, id: PersonId) -> PersonId {
        let mut at = id;
        // A merge into itself, or in a circle, is refused; the bound keeps a damaged ledger from turning for ever.
        for _ in 0..self.persons.len() {
            match self.persons.get(&at).and_then(|person| person.it.merged_into.as_ref()) {
                Some(next) => at = *next,
                None => break,
            }
        }
        at
    }

    /// Whose account this is at an event (`league.validity`).
    pub fn owner(&self, account: &AccountHash, event: EventSlug) -> Option<PersonId> {
        let links = self.accounts.get(account)?;
        let holds = links.values().filter(|link| self.holds(link.it.from_event, link.it.to_event, event));
        let latest = holds.max_by_key(|link| link.it.from_event.and_then(|from| self.order_of(from)))?;
        Some(self.person(latest.it.person))
    }

    /// The latest publication of a result or table.
    pub fn published(&self, scope: Scope) -> Option<&Published> {
        self.publications.get(&scope).and_then(|at| at.it.revisions.last())
    }

    /// Everything that was published, with its latest revision.
    pub fn all_published(&self) -> impl Iterator<Item = &Published> {
        self.publications.values().filter_map(|at| at.it.revisions.last())
    }

    /// The digest of the facts of a session, as the league knows it.
    pub fn facts_of(&self, session: SessionSlug) -> Option<Digest> {
        self.sessions.get(&session).and_then(|at| at.it.facts)
    }

    /// The league itself; `None` before its first act.
    pub fn set(&self) -> Option<&LeagueSet> {
        self.league.as_ref().map(|at| &at.it)
    }

    /// A session.
    pub fn session(&self, session: SessionSlug) -> Option<&SessionSet> {
        self.sessions.get(&session).map(|at| &at.it.set)
    }

    /// An event.
    pub fn event(&self, event: EventSlug) -> Option<&EventSet> {
        self.events.get(&event).map(|at| &at.it)
    }

    /// A championship.
    pub fn championship(&self, championship: ChampionshipSlug) -> Option<&ChampionshipSet> {
        self.championships.get(&championship).map(|at| &at.it)
    }

    /// The entries of a season.
    pub fn entries_of(&self, season: SeasonSlug) -> Vec<EntrySlug> {
        self.entries.keys().filter(|(of, _)| *of == season).map(|(_, entry)| *entry).collect()
    }

    /// The newest version of a ruleset.
    pub fn newest_rules(&self, ruleset: RulesetSlug) -> Option<RulesetRef> {
        self.rulesets.keys().filter(|id| id.ruleset == ruleset).max().copied()
    }

    /// The season of a session.
    pub fn season_of(&self, session: SessionSlug) -> Option<SeasonSlug> {
        let event = self.sessions.get(&session)?.it.set.event;
        Some(self.events.get(&event)?.it.season)
    }

    /// The sessions of a season, in the order of its calendar; those of cancelled events too.
    pub fn sessions_of(&self, season: SeasonSlug) -> Vec<SessionSlug> {
        let of = self.sessions.iter().filter_map(|(id, at)| Some((self.order_of(at.it.set.event)?, *id)));
        let mut sessions: Vec<_> = of.filter(|(order, _)| order.season == season).collect();
        sessions.sort();
        sessions.into_iter().map(|(_, id)| id).collect()
    }

    /// The championships of a season.
    pub fn championships_of(&self, season: SeasonSlug) -> Vec<ChampionshipSlug> {
        self.championships.iter().filter(|(_, at)| at.it.season == season).map(|(id, _)| *id).collect()
    }

    /// All ids that mean the same person as `id`, after merges: an erasure must cover them all.
    pub fn aliases(&self, id: PersonId) -> Vec<PersonId> {
        let now = self.person(id);
        self.persons.keys().copied().filter(|other| self.person(*other) == now).collect()
    }
}
