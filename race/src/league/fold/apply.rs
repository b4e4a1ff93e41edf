//! One act after the other.

use super::things::{Adopted, member_id};
use super::{At, Binding, Entry, Given, League, Person, Publication, Rules, Season, Session};
use crate::league::act::{Act, AdoptFrom, BoundTo, RulesetRef};
use crate::league::doc::{Doc, DocKind};
use crate::league::rules;

impl League {
    /// Take the act, number `seq`, which [`League::check`] allows. The docs that changed.
    pub fn apply(&mut self, seq: u64, act: &Act) -> Vec<Doc> {
        self.head = seq;
        let doc = match act {
            Act::LeagueSet(set) => self.league.insert(At { seq, it: set.clone() }).doc(DocKind::League, set.league.to_string()),
            Act::RulesetAdded(added) => {
                let id = RulesetRef { ruleset: added.ruleset, version: added.version };
                let it = Rules { added: added.clone(), rules: rules::parse(&added.document).ok().map(|(rules, _)| rules) };
                let at = At { seq, it };
                let doc = at.doc(DocKind::Ruleset, format!("{}/{}", id.ruleset, id.version));
                self.rulesets.insert(id, at);
                doc
            }
            Act::RulesetAdopted(adopted) => {
                let Some(at) = self.seasons.get_mut(&adopted.season) else { return vec![] };
                at.seq = seq;
                if adopted.from == AdoptFrom::RecomputeAll {
                    // It applies to all events: what was adopted for some of them before holds no more.
                    at.it.adopted.retain(|(championship, _), _| *championship != adopted.championship);
                }
                let rules = RulesetRef { ruleset: adopted.ruleset, version: adopted.version };
                at.it.adopted.insert((adopted.championship, adopted.from), Adopted { rules, reason: adopted.reason });
                at.doc(DocKind::Season, adopted.season.to_string())
            }
            Act::SeriesSet(set) => keep(&mut self.series, set.series, seq, set.clone()).doc(DocKind::Series, set.series.to_string()),
            Act::SeasonSet(set) => {
                let adopted = self.seasons.remove(&set.season).map(|at| at.it.adopted).unwrap_or_default();
                keep(&mut self.seasons, set.season, seq, Season { set: set.clone(), adopted }).doc(DocKind::Season, set.season.to_string())
            }
            Act::ClassSet(set) => {
                keep(&mut self.classes, (set.season, set.class), seq, set.clone()).doc(DocKind::Class, format!("{}/{}", set.season, set.class))
            }
            Act::EventSet(set) => keep(&mut self.events, set.event, seq, set.clone()).doc(DocKind::Event, set.event.to_string()),
            Act::SessionSet(set) => {
                let facts = self.facts_of(set.session);
                keep(&mut self.sessions, set.session, seq, Session { set: set.clone(), facts }).doc(DocKind::Session, set.session.to_string())
            }
            Act::ChampionshipSet(set) => {
                keep(&mut self.championships, set.championship, seq, set.clone()).doc(DocKind::Championship, set.championship.to_string())
            }
            _ => return self.apply_who(seq, act),
        };
        vec![doc]
    }

    /// Persons, teams, entries.
    fn apply_who(&mut self, seq: u64, act: &Act) -> Vec<Doc> {
        let doc = match act {
            Act::PersonAdded(added) => {
                let it = Person { name: added.name, ..Person::default() };
                keep(&mut self.persons, added.person, seq, it).doc(DocKind::Person, added.person.to_string())
            }
            Act::PersonMerged(merged) => {
                let before = self.persons.remove(&merged.old).map(|at| at.it).unwrap_or_default();
                let it = Person { merged_into: Some(merged.new), ..before };
                keep(&mut self.persons, merged.old, seq, it).doc(DocKind::Person, merged.old.to_string())
            }
            Act::PersonErased(erased) => {
                let before = self.persons.remove(&erased.person).map(|at| at.it).unwrap_or_default();
                let it = Person { erased: true, ..before };
                keep(&mut self.persons, erased.person, seq, it).doc(DocKind::Person, erased.person.to_string())
            }
            Act::AccountLinked(linked) => {
                let of = self.accounts.entry(linked.account).or_default();
                keep(of, linked.from_event, seq, linked.clone()).doc(DocKind::Account, linked.doc_id())
            }
            Act::TeamSet(set) => keep(&mut self.teams, set.team, seq, set.clone()).doc(DocKind::Team, set.team.to_string()),
            Act::MemberSet(set) => {
                keep(&mut self.members, (set.team, set.person, set.from_event), seq, set.clone()).doc(DocKind::Member, member_id(set))
            }
            Act::EntrySet(set) => {
                let key = (set.season, set.entry);
                let new = Entry { season: set.season, entry: set.entry, intervals: Default::default() };
                let at = self.entries.entry(key).or_insert(At { seq, it: new });
                at.seq = seq;
                at.it.intervals.insert(set.from_event, set.details.clone());
                at.doc(DocKind::Entry, format!("{}/{}", set.season, set.entry))
            }
            _ => return self.apply_decision(seq, act),
        };
        vec![doc]
    }

    /// What decides results.
    fn apply_decision(&mut self, seq: u64, act: &Act) -> Vec<Doc> {
        let doc = match act {
            Act::Bound(bound) => {
                let to = BoundTo::Entry { entry: bound.entry, details: Box::new(bound.details.clone()) };
                let it = Binding { session: bound.session, car: bound.car, to, reason: None };
                keep(&mut self.bindings, (bound.session, bound.car), seq, it).doc(DocKind::Binding, format!("{}/{}", bound.session, bound.car))
            }
            Act::Rebound(rebound) => {
                let it = Binding { session: rebound.session, car: rebound.car, to: rebound.to.clone(), reason: Some(rebound.reason) };
                keep(&mut self.bindings, (rebound.session, rebound.car), seq, it)
                    .doc(DocKind::Binding, format!("{}/{}", rebound.session, rebound.car))
            }
            Act::PenaltyGiven(given) => {
                let it = Given { given: given.clone(), changes: vec![] };
                keep(&mut self.penalties, given.penalty, seq, it).doc(DocKind::Penalty, given.penalty.to_string())
            }
            Act::PenaltyChanged(changed) => {
                let Some(at) = self.penalties.get_mut(&changed.penalty) else { return vec![] };
                at.seq = seq;
                at.it.changes.push((changed.state, changed.reason));
                at.doc(DocKind::Penalty, changed.penalty.to_string())
            }
            Act::Override(change) => {
                let field = change.change.field();
                let id = format!("{}/{}/{field}", change.session, change.entry);
                keep(&mut self.overrides, (change.session, change.entry, field), seq, change.clone()).doc(DocKind::Override, id)
            }
            Act::Published(published) => {
                let at =
                    self.publications.entry(published.scope).or_insert(At { seq, it: Publication { scope: published.scope, revisions: vec![] } });
                at.seq = seq;
                at.it.revisions.push(published.clone());
                at.doc(DocKind::Publication, published.scope.to_string())
            }
            Act::FactsChanged(changed) => {
                let Some(at) = self.sessions.get_mut(&changed.session) else { return vec![] };
                at.seq = seq;
                at.it.facts = Some(changed.facts);
                at.doc(DocKind::Session, changed.session.to_string())
            }
            // The kinds that `apply` and `apply_who` took.
            _ => return vec![],
        };
        vec![doc]
    }
}

/// Keep the newest about a thing.
fn keep<K: Ord + Clone, T>(of: &mut std::collections::BTreeMap<K, At<T>>, key: K, seq: u64, it: T) -> &At<T> {
    let at = At { seq, it };
    match of.entry(key) {
        std::collections::btree_map::Entry::Occupied(mut there) => {
            there.insert(at);
            there.into_mut()
        }
        std::collections::btree_map::Entry::Vacant(free) => free.insert(at),
    }
}
