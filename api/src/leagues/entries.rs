//! Entries of a season from CSV: a line for each driver of each car. Importing the same file again changes nothing.

use std::collections::BTreeMap;

use boxbox_race::league::{
    AccountHash, AccountLinked, ClassSlug, DocKind, EntryDetails, EntrySet, EntrySlug, EntryStatus, EventSlug, ManufacturerSlug, Number, PersonAdded,
    PersonId, SeasonSlug, SimSlug, TeamSet, TeamSlug, Told,
};
use boxbox_schemas::DriverId;
use boxbox_schemas::league::Text;
use serde_json::json;

use super::csv::{Line, lines, told};
use super::draft::Draft;
use super::incoming::{person_id, text};
use super::loaded::Loaded;
use crate::problem::Problem;

/// Lines of a file at most.
const LINES_MAX: usize = 400;
/// The columns.
const COLUMNS: [&str; 12] = ["entry", "number", "class", "name", "team", "driver", "sim", "account", "status", "car", "manufacturer", "from_event"];
/// Accounts of this name are drivers of grants.
const GRANT: &str = "grant";

/// What a file says.
struct Import<'a> {
    loaded: &'a Loaded,
    season: SeasonSlug,
    salt: [u8; 16],
    draft: Draft,
    faults: Vec<String>,
    teams: Vec<TeamSlug>,
    /// Accounts of this file, and whose they are.
    accounts: BTreeMap<AccountHash, PersonId>,
    entries: Vec<(EntrySlug, Option<EventSlug>, EntryDetails)>,
}

/// The acts that make the entries of the file.
pub(crate) fn imported(loaded: &Loaded, season: SeasonSlug, salt: [u8; 16], bytes: &[u8]) -> Result<Draft, Problem> {
    if loaded.doc(DocKind::Season, season.as_str()).is_none() {
        return Err(Problem::not_found("There is no such season in this league."));
    }
    let lines = lines(bytes, &COLUMNS, LINES_MAX)?;
    let (draft, faults, teams, accounts, entries) = Default::default();
    let mut import = Import { loaded, season, salt, draft, faults, teams, accounts, entries };
    let mut drivers = vec![];
    for line in &lines {
        if let Some((entry, person)) = import.line(line)? {
            drivers.push(json!({ "entry": entry, "person": person, "driver": Some(line.get("driver")).filter(|driver| !driver.is_empty()) }));
        }
    }
    let Import { mut draft, faults, entries, .. } = import;
    told(faults)?;
    for (entry, from_event, details) in entries {
        let before = match from_event {
            Some(event) => loaded.league.entry_at(season, entry, event).cloned(),
            None => first_interval(loaded, season, entry),
        };
        if before.as_ref() != Some(&details) {
            draft.acts.push(EntrySet { season, entry, from_event, details }.into());
        }
    }
    draft.answer.insert("drivers".into(), drivers.into());
    Ok(draft)
}

/// What an entry is from the beginning of its season.
fn first_interval(loaded: &Loaded, season: SeasonSlug, entry: EntrySlug) -> Option<EntryDetails> {
    let doc = loaded.doc(DocKind::Entry, &format!("{season}/{entry}"))?;
    let first = doc["intervals"].as_array()?.iter().find(|interval| interval[0].is_null())?;
    serde_json::from_value(first[1].clone()).ok()
}

impl Import<'_> {
    /// One line: the entry and the person in it.
    fn line(&mut self, line: &Line) -> Result<Option<(EntrySlug, PersonId)>, Problem> {
        let before = self.faults.len();
        let number = self.read(line, "number", Number::new);
        let named = match line.get("entry") {
            "" => number.as_ref().map_or(String::new(), |number| format!("car-{}", slug(number.as_str()))),
            entry => entry.to_owned(),
        };
        let entry = EntrySlug::new(&named).ok();
        if entry.is_none() {
            self.faults.push(format!("line {}: give an entry (1 to 40 of a-z, 0-9, -) or a number", line.number));
        }
        let class = if line.get("class").is_empty() { self.only_class() } else { self.read(line, "class", ClassSlug::new) };
        if class.is_none() {
            self.faults.push(format!("line {}: give a class of the season", line.number));
        }
        let from_event = self.read(line, "from_event", EventSlug::new);
        let (car, manufacturer) = (self.read(line, "car", Told::new), self.read(line, "manufacturer", ManufacturerSlug::new));
        let status = match line.get("status").to_lowercase().as_str() {
            "" | "registered" => EntryStatus::Registered,
            "guest" => EntryStatus::Guest,
            "reserve" => EntryStatus::Reserve,
            "withdrawn" => EntryStatus::Withdrawn,
            other => {
                self.faults.push(format!("line {}: status {other:?}: needs registered, guest, reserve or withdrawn", line.number));
                EntryStatus::Registered
            }
        };
        let accounts = self.accounts(line);
        let (Some(entry), Some(class), true) = (entry, class, before == self.faults.len()) else { return Ok(None) };
        let team = self.team(line.get("team"))?;
        let person = self.person(line.first(&["name", "driver", "account"]), &accounts)?;
        let details = EntryDetails { class, number, team, persons: vec![person], car, manufacturer, status };
        match self.entries.iter_mut().find(|(other, from, _)| *other == entry && *from == from_event) {
            // A car that several share has a line for each.
            Some((_, _, known)) => known.persons.extend(Some(person).filter(|person| !known.persons.contains(person))),
            None => self.entries.push((entry, from_event, details)),
        }
        Ok(Some((entry, person)))
    }

    fn read<T, E: std::fmt::Display>(&mut self, line: &Line, column: &str, parse: impl Fn(&str) -> Result<T, E>) -> Option<T> {
        let text = line.get(column);
        if text.is_empty() {
            return None;
        }
        parse(text).map_err(|e| self.faults.push(format!("line {}: {column} {text:?}: {e}", line.number))).ok()
    }

    fn only_class(&self) -> Option<ClassSlug> {
        let prefix = format!("{}/", self.season);
        let mut of = self.loaded.docs_of(DocKind::Class).filter_map(|(id, _)| id.strip_prefix(&prefix));
        match (of.next(), of.next()) {
            (Some(only), None) => ClassSlug::new(only).ok(),
            _ => None,
        }
    }

    /// The accounts of a line: the driver of a grant, and one of a simulator.
    fn accounts(&mut self, line: &Line) -> Vec<(SimSlug, String)> {
        let mut accounts = vec![];
        if let Some(driver) = self.read(line, "driver", DriverId::new) {
            accounts.extend(SimSlug::new(GRANT).ok().map(|sim| (sim, driver.as_str().to_owned())));
        }
        if !line.get("account").is_empty() {
            let sim = if line.get("sim").is_empty() { SimSlug::new("iracing").ok() } else { self.read(line, "sim", SimSlug::new) };
            accounts.extend(sim.map(|sim| (sim, line.get("account").to_owned())));
        }
        accounts
    }

    fn team(&mut self, name: &str) -> Result<Option<TeamSlug>, Problem> {
        let Ok(team) = TeamSlug::new(&slug(name)) else { return Ok(None) };
        if self.loaded.doc(DocKind::Team, team.as_str()).is_none() && !self.teams.contains(&team) {
            let name = Some(text(&mut self.draft, &[], name)?);
            self.draft.acts.push(TeamSet { team, name }.into());
            self.teams.push(team);
        }
        Ok(Some(team))
    }

    /// Whose accounts these are; a new person if they are nobody's.
    fn person(&mut self, name: &str, accounts: &[(SimSlug, String)]) -> Result<PersonId, Problem> {
        let hashes: Vec<AccountHash> = accounts.iter().map(|(sim, account)| AccountHash::of(&self.salt, sim.as_str(), account)).collect();
        let linked = |hash: &AccountHash| {
            let ends = format!("{hash}/-");
            let doc = self.loaded.doc(DocKind::Account, &ends)?;
            PersonId::new(doc["person"].as_str()?).ok().map(|person| self.loaded.league.person(person))
        };
        let known = hashes.iter().find_map(|hash| self.accounts.get(hash).copied().or_else(|| linked(hash)));
        let person = match known {
            Some(person) => person,
            None => {
                let person = person_id();
                let name = if name.is_empty() { None } else { Some(text(&mut self.draft, &[person.to_string()], name)?) };
                self.draft.acts.push(PersonAdded { person, name }.into());
                person
            }
        };
        for ((sim, account), hash) in accounts.iter().zip(hashes) {
            if self.accounts.insert(hash, person).is_none() && linked_nobody(self.loaded, &hash) {
                self.draft.acts.push(AccountLinked { person, sim: *sim, account: hash, from_event: None, to_event: None }.into());
                self.draft.texts.push(Text::new(person.to_string(), self.salt, format!("{sim}/{account}")));
            }
        }
        Ok(person)
    }
}

fn linked_nobody(loaded: &Loaded, hash: &AccountHash) -> bool {
    loaded.doc(DocKind::Account, &format!("{hash}/-")).is_none()
}

/// A name as a slug: `Red Racing` is `red-racing`.
fn slug(name: &str) -> String {
    let plain: String = name.to_lowercase().chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let mut slug = parts.join("-");
    slug.truncate(40);
    slug
}
