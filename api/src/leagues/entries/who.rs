//! Whom and which team a line of a list of entries means (`league.import`).

use boxbox_race::league::{AccountHash, AccountLinked, DocKind, EntrySlug, EventSlug, PersonAdded, PersonId, SimSlug, TeamSet, TeamSlug};
use boxbox_schemas::league::Text;

use super::slug::{SLUG_MAX, slug};
use super::{Import, first_interval};
use crate::leagues::csv::Line;
use crate::leagues::incoming::{person_id, text};
use crate::leagues::loaded::Loaded;
use crate::problem::Problem;

impl Import<'_> {
    /// The team of this name, which is made if there is none (`league.import`).
    pub(super) fn team(&mut self, name: &str) -> Result<Option<TeamSlug>, Problem> {
        if name.is_empty() {
            return Ok(None);
        }
        let plain = slug(name);
        // A name that is more than its slug says (`Rödel`, `日本`) has a short hash behind it, so that no other name is the same team.
        let is_whole =
            name.chars().count() <= SLUG_MAX && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, ' ' | '-')) && !plain.is_empty();
        let hash = AccountHash::of(&self.salt, "team", &name.to_lowercase()).to_string();
        let base = if plain.is_empty() { "team" } else { plain.get(..SLUG_MAX - 9).unwrap_or(&plain).trim_end_matches('-') };
        let hashed = format!("{base}-{}", &hash[..8]);
        let called = |team: &str| self.teams.iter().find(|(id, _)| id.as_str() == team).map(|(_, name)| name.as_str());
        let called = |team: &str| called(team).or_else(|| self.names.get(DocKind::Team, team));
        let is_there = |team: &str| called(team).is_some() || self.loaded.doc(DocKind::Team, team).is_some();
        let same = |team: &str| called(team).map(str::to_lowercase) == Some(name.to_lowercase());
        let id = match () {
            () if same(&plain) => plain,
            () if is_whole && !is_there(&plain) => plain,
            // Its name was erased, or is not here.
            () if is_whole && called(&plain).is_none() && !is_there(&hashed) => plain,
            () => hashed,
        };
        let team = TeamSlug::new(&id).map_err(|_| Problem::internal())?;
        if !is_there(&id) {
            let text = Some(text(&mut self.draft, &[], name)?);
            self.draft.acts.push(TeamSet { team, name: text }.into());
            self.teams.insert(team, name.to_owned());
        }
        Ok(Some(team))
    }

    /// The person who has these accounts; without accounts, the person of the entry who has this name. If there is none, a new person
    /// (`league.import`).
    pub(super) fn person(
        &mut self,
        line: &Line,
        entry: EntrySlug,
        from_event: Option<EventSlug>,
        accounts: &[(SimSlug, String)],
    ) -> Result<Option<PersonId>, Problem> {
        let name = line.first(&["name", "driver", "account"]);
        let hashes: Vec<AccountHash> = accounts.iter().map(|(sim, account)| AccountHash::of(&self.salt, sim.as_str(), account)).collect();
        let linked = |hash: &AccountHash| {
            let ends = format!("{hash}/-");
            let doc = self.loaded.doc(DocKind::Account, &ends)?;
            PersonId::new(doc["person"].as_str()?).ok().map(|person| self.loaded.league.person(person))
        };
        let key = (entry, name.to_lowercase());
        let known = hashes.iter().find_map(|hash| self.accounts.get(hash).copied().or_else(|| linked(hash)));
        let of_file = || self.persons.get(&key).copied().filter(|_| accounts.is_empty());
        let known = match known.or_else(of_file) {
            Some(known) => Some(known),
            None => match self.in_entry(entry, from_event, name, accounts.is_empty()) {
                Ok(found) => found,
                Err(driver) => {
                    self.faults.push(format!(
                        "line {}: {entry} is driven by {driver}, whose accounts are known: give the account of {name:?}, or the name {driver}",
                        line.number
                    ));
                    return Ok(None);
                }
            },
        };
        let person = match known {
            Some(person) => person,
            None => {
                let person = person_id();
                let name = if name.is_empty() { None } else { Some(text(&mut self.draft, &[person.to_string()], name)?) };
                self.draft.acts.push(PersonAdded { person, name }.into());
                person
            }
        };
        self.persons.insert(key, person);
        for ((sim, account), hash) in accounts.iter().zip(hashes) {
            if self.accounts.insert(hash, person).is_none() && is_unlinked(self.loaded, &hash) {
                self.draft.acts.push(AccountLinked { person, sim: *sim, account: hash, from_event: None, to_event: None }.into());
                self.draft.texts.push(Text::new(person.to_string(), self.salt, format!("{sim}/{account}")));
            }
        }
        Ok(Some(person))
    }

    /// Who of an entry a line means by its name. A line without an account cannot put another driver in the place of one whose accounts are known:
    /// the error is what that one is called.
    fn in_entry(&self, entry: EntrySlug, from_event: Option<EventSlug>, name: &str, without_account: bool) -> Result<Option<PersonId>, String> {
        let details = match from_event {
            Some(event) => self.loaded.league.entry_at(self.season, entry, event).cloned(),
            None => first_interval(self.loaded, self.season, entry),
        };
        let league = &self.loaded.league;
        let persons: Vec<PersonId> = details.into_iter().flat_map(|details| details.persons).map(|person| league.person(person)).collect();
        let called = |person: &PersonId| self.names.get(DocKind::Person, person.as_str());
        let of_name = |person: &&PersonId| match called(person) {
            Some(called) => called.to_lowercase() == name.to_lowercase(),
            None => name.is_empty(),
        };
        let has_account = |person: PersonId| league.has_account(person);
        if without_account {
            let found = persons.iter().find(of_name).or_else(|| persons.first().filter(|_| name.is_empty())).copied();
            let driver = persons.iter().find(|person| has_account(**person));
            return match (found, driver) {
                (None, Some(driver)) => Err(called(driver).unwrap_or(driver.as_str()).to_owned()),
                (found, _) => Ok(found),
            };
        }
        // An account that comes later is that of the person who was entered without one.
        Ok(persons.iter().find(|person| of_name(person) && !name.is_empty() && !has_account(**person)).copied())
    }
}

/// Whether the account is linked to no person.
fn is_unlinked(loaded: &Loaded, hash: &AccountHash) -> bool {
    loaded.doc(DocKind::Account, &format!("{hash}/-")).is_none()
}
