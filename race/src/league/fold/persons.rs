//! Who is in what: for erasures, which must find every text about a person (`league.erased`), and for lists of entries (`league.import`).

use std::collections::{BTreeMap, BTreeSet};

use super::League;
use crate::league::act::{BoundTo, EntryDetails, PenaltyGiven, Scope};
use crate::league::ids::{CarKey, EntrySlug, PenaltySlug, PersonId, SeasonSlug, SessionSlug, TeamSlug, TextId};

impl League {
    /// All persons that an entry of a season has or had, as they are known now.
    pub fn persons_of(&self, season: SeasonSlug, entry: EntrySlug) -> Vec<PersonId> {
        let of = self.entries.get(&(season, entry)).into_iter().flat_map(|at| at.it.intervals.values());
        let bound = self.bindings.values().filter(|at| self.season_of(at.it.session) == Some(season)).filter_map(|at| match &at.it.to {
            BoundTo::Entry { entry: of, details } if *of == entry => Some(details.as_ref()),
            _ => None,
        });
        let mut persons: Vec<PersonId> = of.chain(bound).flat_map(|details| &details.persons).map(|person| self.person(*person)).collect();
        persons.sort();
        persons.dedup();
        persons
    }

    /// All persons that the entries of this name have or had, in all seasons.
    pub fn persons_of_entry(&self, entry: EntrySlug) -> Vec<PersonId> {
        self.seasons.keys().flat_map(|season| self.persons_of(*season, entry)).collect()
    }

    /// All persons that a team has or had as members, or as drivers of its entries.
    pub fn drivers_of_team(&self, team: TeamSlug) -> Vec<PersonId> {
        let members = self.members.values().filter(|at| at.it.team == team).map(|at| at.it.person);
        let details = self.entries.values().flat_map(|at| at.it.intervals.values()).filter(|details| details.team == Some(team));
        members.chain(details.flat_map(|details| details.persons.iter().copied())).map(|person| self.person(person)).collect()
    }

    /// Why results and tables in which a person takes part were published, where that was said in publishing: an erasure must cover these texts.
    /// The reasons of other acts are not among them; they are erased with those whom the act is about.
    pub fn reasons_to_publish(&self, person: PersonId) -> Vec<TextId> {
        let person = self.person(person);
        let is_in = |details: &EntryDetails| details.persons.iter().any(|id| self.person(*id) == person);
        let drove = |session: SessionSlug| {
            let mut of_session = self.bindings.range((session, CarKey([0; 16]))..=(session, CarKey([255; 16])));
            of_session.any(|(_, at)| matches!(&at.it.to, BoundTo::Entry { details, .. } if is_in(details.as_ref())))
        };
        let entered = |season: SeasonSlug| self.entries.iter().any(|((of, _), at)| *of == season && at.it.intervals.values().any(is_in));
        let of_penalties = self.penalties.values().flat_map(|at| {
            let changes = at.it.changes.iter().map(|(_, reason)| *reason);
            std::iter::once(at.it.given.reason).chain(changes)
        });
        let of_acts: BTreeSet<TextId> = of_penalties
            .chain(self.overrides.values().map(|at| at.it.reason))
            .chain(self.bindings.values().filter_map(|at| at.it.reason))
            .chain(self.seasons.values().flat_map(|at| at.it.adopted.values().map(|adopted| adopted.reason)))
            .collect();
        let here = self.publications.values().filter(|at| match at.it.scope {
            Scope::Session(session) => drove(session),
            Scope::Championship(id) => self.championships.get(&id).is_some_and(|at| entered(at.it.season)),
        });
        let reasons: BTreeSet<TextId> = here.flat_map(|at| at.it.revisions.iter().filter_map(|of| of.reason)).collect();
        reasons.difference(&of_acts).copied().collect()
    }

    /// Who is in the entry that a car of a session is bound to.
    pub fn persons_of_car(&self, session: SessionSlug, car: CarKey) -> Vec<PersonId> {
        match self.bindings.get(&(session, car)).map(|at| &at.it.to) {
            Some(BoundTo::Entry { details, .. }) => details.persons.iter().map(|id| self.person(*id)).collect(),
            _ => vec![],
        }
    }

    /// A penalty as it was given.
    pub fn penalty(&self, penalty: PenaltySlug) -> Option<&PenaltyGiven> {
        self.penalties.get(&penalty).map(|at| &at.it.given)
    }

    /// Whether any account is linked to somebody.
    pub fn has_accounts(&self) -> bool {
        !self.accounts.is_empty()
    }

    /// Whether an account of this person is linked.
    pub fn has_account(&self, person: PersonId) -> bool {
        let person = self.person(person);
        self.accounts.values().flat_map(BTreeMap::values).any(|at| self.person(at.it.person) == person)
    }
}
