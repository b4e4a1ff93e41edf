//! Entries of a season from CSV: a line for each driver of each car. Importing the same file again changes nothing (`league.import`).

mod slug;
mod who;

use std::collections::BTreeMap;

use boxbox_race::league::{
    AccountHash, ClassSlug, DocKind, EntryDetails, EntrySet, EntrySlug, EntryStatus, EventSlug, ManufacturerSlug, Number, PersonId, SeasonSlug,
    SimSlug, TeamSlug, Told,
};
use boxbox_schemas::DriverId;
use serde_json::json;

use self::slug::slug;
use super::csv::{Line, lines, told};
use super::draft::Draft;
use super::loaded::Loaded;
use super::names::Names;
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
    names: &'a Names,
    draft: Draft,
    faults: Vec<String>,
    /// Teams that this file makes, and their names.
    teams: BTreeMap<TeamSlug, String>,
    /// Accounts of this file, and whose they are.
    accounts: BTreeMap<AccountHash, PersonId>,
    /// Persons without an account in this file, by entry and name.
    persons: BTreeMap<(EntrySlug, String), PersonId>,
    entries: Vec<Entered>,
}

/// An entry of the file.
struct Entered {
    entry: EntrySlug,
    from_event: Option<EventSlug>,
    details: EntryDetails,
    /// What its first line says: the other lines of a shared car must not say otherwise.
    said: BTreeMap<&'static str, String>,
    line: u64,
}

/// Columns that are the same in all lines of a car.
const OF_THE_CAR: [&str; 6] = ["number", "class", "team", "status", "car", "manufacturer"];

/// The acts that make the entries of the file.
/// `names`: what teams and persons are called.
pub(crate) fn imported(loaded: &Loaded, names: &Names, season: SeasonSlug, salt: [u8; 16], bytes: &[u8]) -> Result<Draft, Problem> {
    if loaded.doc(DocKind::Season, season.as_str()).is_none() {
        return Err(Problem::not_found("There is no such season in this league."));
    }
    let lines = lines(bytes, &COLUMNS, LINES_MAX)?;
    let (draft, faults, teams, accounts, persons, entries) = Default::default();
    let mut import = Import { loaded, season, salt, names, draft, faults, teams, accounts, persons, entries };
    let mut drivers = vec![];
    for line in &lines {
        if let Some((entry, person)) = import.line(line)? {
            drivers.push(json!({ "entry": entry, "person": person, "driver": Some(line.get("driver")).filter(|driver| !driver.is_empty()) }));
        }
    }
    let Import { mut draft, faults, entries, .. } = import;
    told(faults)?;
    for Entered { entry, from_event, details, .. } in entries {
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
        let Some(person) = self.person(line, entry, from_event, &accounts)? else { return Ok(None) };
        let details = EntryDetails { class, number, team, persons: vec![person], car, manufacturer, status };
        let said: BTreeMap<_, _> =
            OF_THE_CAR.iter().map(|column| (*column, line.get(column).to_owned())).filter(|(_, cell)| !cell.is_empty()).collect();
        match self.entries.iter_mut().find(|other| other.entry == entry && other.from_event == from_event) {
            // A car that several share has a line for each.
            Some(other) => {
                let differs = said.iter().filter(|(column, cell)| other.said.get(*column).is_some_and(|before| before != *cell));
                let first = other.line;
                self.faults.extend(differs.map(|(column, cell)| {
                    format!(
                        "line {}: {entry} has another {column} than {cell:?} in line {first}: name the cars with `entry`, or correct it",
                        line.number
                    )
                }));
                other.details.persons.extend(Some(person).filter(|person| !other.details.persons.contains(person)));
            }
            None => self.entries.push(Entered { entry, from_event, details, said, line: line.number }),
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
}
