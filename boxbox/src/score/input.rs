//! Files of results as events and sessions, whatever form they have.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use anyhow::{Context, bail};
use boxbox_race::scoring::{DrivenCar, Penalty, PenaltyKind, Ruleset};
use boxbox_schemas::text::plain as plain_text;
use boxbox_sources::results::{ResultCar, ResultFile, SessionKind};

use super::entered::{Car, Input, Session};
use super::penalty;
use super::rows::{self, Row};

/// Largest file, bytes.
const FILE_MAX: u64 = boxbox_sources::results::FILE_MAX as u64;
/// Most events, and sessions of an event.
const EVENTS_MAX: usize = 500;

/// The bytes of a file, up to a bound.
pub fn file(path: &Path) -> anyhow::Result<Vec<u8>> {
    let mut bytes = vec![];
    let opened = std::fs::File::open(path).with_context(|| format!("cannot read {}", path.display()))?;
    opened.take(FILE_MAX + 1).read_to_end(&mut bytes).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.len() as u64 > FILE_MAX {
        bail!("{} is larger than {FILE_MAX} bytes, which no file of results is", path.display());
    }
    Ok(bytes)
}

/// Reads all files.
pub fn read(results: &[String], penalties: Option<&Path>, rules: &Ruleset) -> anyhow::Result<Input> {
    let mut input = Input::default();
    for argument in results {
        // A file whose name has an equals sign is a file.
        let (event, path) = match argument.split_once('=') {
            Some((event, path)) if !Path::new(argument).exists() => (Some(plain_text(event)), path),
            _ => (None, argument.as_str()),
        };
        let event = event.as_deref();
        let stem = Path::new(path).file_stem().map(|stem| plain_text(&stem.to_string_lossy()).into_owned()).unwrap_or_default();
        let bytes = file(Path::new(path))?;
        let first = bytes.iter().find(|b| !matches!(b, b' ' | b'\t' | b'\r' | b'\n' | 0 | 0xef | 0xbb | 0xbf | 0xff | 0xfe));
        if matches!(first, Some(b'{' | b'[')) {
            let read = boxbox_sources::results::read(&bytes).map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
            input.notes.extend(read.notes.iter().map(|note| format!("{path}: {note}")));
            add_file(&mut input, event.unwrap_or(&stem), read, rules).map_err(|error| anyhow::anyhow!("{path}: {error}"))?;
        } else {
            let faults = |faults: Vec<String>| anyhow::anyhow!("{path} has {} fault(s):\n  {}", faults.len(), faults.join("\n  "));
            let (rows, notes) = rows::results(&bytes).map_err(faults)?;
            input.notes.extend(notes.into_iter().map(|note| format!("{path}: {note}")));
            add_rows(&mut input, event, &stem, rows, rules).map_err(faults)?;
        }
    }
    if input.events.is_empty() {
        bail!("give at least one file of results; `boxbox score --help` says what is in it");
    }
    if input.events.len() > EVENTS_MAX {
        bail!("the files have {} events; a season has at most {EVENTS_MAX}", input.events.len());
    }
    // Rounds count by their numbers, in whichever order the files have them.
    if input.events.iter().all(|event| event.name.parse::<u32>().is_ok()) {
        input.events.sort_by_key(|event| event.name.parse::<u32>().unwrap_or_default());
    }
    if let Some(path) = penalties {
        let faults = |faults: Vec<String>| anyhow::anyhow!("{} has {} fault(s):\n  {}", path.display(), faults.len(), faults.join("\n  "));
        let (decisions, notes) = rows::decisions(&file(path)?).map_err(faults)?;
        input.notes.extend(notes.into_iter().map(|note| format!("{}: {note}", path.display())));
        add_decisions(&mut input, decisions, rules).map_err(faults)?;
    }
    Ok(input)
}

/// Lower case, with `_` for spaces and hyphens, and without a number at the end: `Race 2` is `race`.
fn plain(name: &str) -> String {
    let lower = name.trim().to_lowercase().replace([' ', '-'], "_");
    lower.trim_end_matches(|c: char| c.is_ascii_digit()).trim_end_matches('_').to_owned()
}

/// What a session of this name is worth; none: it is practice, and worth nothing.
fn worth(name: &str, rules: &Ruleset) -> Result<Option<String>, String> {
    // A table may have a number in its name.
    let whole = name.trim().to_lowercase().replace([' ', '-'], "_");
    if rules.tables.contains_key(&whole) {
        return Ok(Some(whole));
    }
    let name = plain(name);
    match name.as_str() {
        "" | "race" | "feature" | "main" | "r" => Ok(Some("race".into())),
        "qualifying" | "qualify" | "quali" | "qualification" | "q" => Ok(Some("qualifying".into())),
        "practice" | "fp" | "warmup" | "warm_up" => Ok(None),
        _ if rules.points_of(&name).is_some() => Ok(Some(name)),
        _ => {
            let mut known = vec!["race", "qualifying", "practice"];
            known.extend(rules.sprint.as_ref().map(|_| "sprint"));
            known.extend(rules.tables.keys().map(String::as_str));
            Err(format!("the rules have no points for a session {name:?}; they have {}", known.join(", ")))
        }
    }
}

/// Names come from any player of a lobby: what does something to a terminal is left out.
fn clean(car: &mut ResultCar) {
    let DrivenCar { entry, class, team, .. } = &mut car.driven;
    let texts = [entry, class, team].into_iter().chain(car.drivers.iter_mut().map(|driver| &mut driver.name));
    texts.for_each(|text| *text = plain_text(text).into_owned());
}

fn add_file(input: &mut Input, event: &str, file: ResultFile, rules: &Ruleset) -> Result<(), String> {
    let event = input.event(event);
    for session in file.sessions {
        let points = match session.kind {
            SessionKind::Practice => continue,
            SessionKind::Qualifying => "qualifying".to_owned(),
            // A heat or sprint is one where the rules have points for it.
            SessionKind::Race => worth(&session.name, rules).ok().flatten().unwrap_or_else(|| "race".into()),
        };
        let same = event.sessions.iter().filter(|other| other.points == points).count();
        let name = if same == 0 { points.clone() } else { format!("{points} {}", same + 1) };
        let mut session = session;
        session.cars.iter_mut().for_each(clean);
        let disqualified = session.cars.iter().filter(|car| car.disqualified);
        let penalties = disqualified.map(|car| Penalty { entry: car.driven.entry.clone(), kind: PenaltyKind::Disqualified }).collect();
        let cars = session.cars.into_iter().map(|car| {
            let several = car.drivers.len() > 1;
            let mut drivers = BTreeMap::new();
            // Two drivers of one name are one here, with the laps of both.
            car.drivers.into_iter().filter(|_| several).for_each(|driver| *drivers.entry(driver.name).or_default() += driver.laps);
            Car { driven: car.driven, manufacturer: String::new(), drivers }
        });
        event.sessions.push(Session { name, points, cars: cars.collect(), penalties });
    }
    Ok(())
}

fn add_rows(input: &mut Input, event: Option<&str>, stem: &str, rows: Vec<Row>, rules: &Ruleset) -> Result<(), Vec<String>> {
    let mut faults = vec![];
    let mut seen: BTreeMap<(String, String, String), u64> = BTreeMap::new();
    let mut gaps: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for row in rows {
        let event = event.map_or_else(|| if row.event.is_empty() { stem.to_owned() } else { row.event.clone() }, str::to_owned);
        let name = if row.session.trim().is_empty() { "race".to_owned() } else { row.session.trim().to_owned() };
        let points = match worth(&name, rules) {
            Ok(Some(points)) => points,
            Ok(None) => continue,
            Err(error) => {
                faults.push(format!("line {}: session: {error}", row.line));
                continue;
            }
        };
        let entry = row.car.driven.entry.clone();
        if let Some(before) = seen.insert((event.clone(), name.clone(), entry.clone()), row.line) {
            faults.push(format!("line {}: {entry} is in {event} {name} twice, first in line {before}; remove one", row.line));
            continue;
        }
        if row.gap {
            gaps.entry((event.clone(), name.clone())).or_default().insert(entry.clone());
        }
        let event = input.event(&event);
        let session = match event.sessions.iter().position(|session| session.name == name) {
            Some(at) => &mut event.sessions[at],
            None => {
                event.sessions.push(Session { name, points, cars: vec![], penalties: vec![] });
                let last = event.sessions.len() - 1;
                &mut event.sessions[last]
            }
        };
        if session.cars.iter().any(|car| car.driven.entry == entry) {
            faults.push(format!("line {}: {entry} is in this session of another file too; remove one", row.line));
        }
        session.penalties.extend(row.penalties.into_iter().map(|kind| Penalty { entry: entry.clone(), kind }));
        session.cars.push(row.car);
    }
    for ((event, name), entries) in gaps {
        let session = input.event(&event).sessions.iter_mut().find(|session| session.name == name);
        session.into_iter().for_each(|session| add_gaps(session, &entries));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}

/// Times that are behind the winner's become times from the start, if the winner's is there.
fn add_gaps(session: &mut Session, entries: &BTreeSet<String>) {
    let absolute = session.cars.iter().filter(|car| !entries.contains(&car.driven.entry));
    let winner_us = absolute.filter_map(|car| Some((std::cmp::Reverse(car.driven.laps), car.driven.line_us?))).min().map_or(0, |(_, us)| us);
    for car in session.cars.iter_mut().filter(|car| entries.contains(&car.driven.entry)) {
        car.driven.line_us = car.driven.line_us.map(|us| us + winner_us);
    }
}

fn add_decisions(input: &mut Input, decisions: Vec<rows::Decision>, rules: &Ruleset) -> Result<(), Vec<String>> {
    let mut faults = vec![];
    let names: Vec<String> = input.events.iter().map(|event| event.name.clone()).collect();
    for decision in decisions {
        let line = decision.line;
        if decision.event.is_empty() {
            let teams = input.events.iter().flat_map(|event| &event.sessions).flat_map(|session| &session.cars);
            let mut known = teams.flat_map(|car| [&car.driven.entry, &car.driven.team, &car.manufacturer].into_iter().chain(car.drivers.keys()));
            if !known.any(|name| *name == decision.entry) {
                faults.push(format!("line {line}: the results have no entry {:?}", decision.entry));
                continue;
            }
            match penalty::of_season(&decision.penalty) {
                Ok(penalty::OfSeason::Points(points)) => *input.adjustments.entry(decision.entry).or_default() += points,
                Ok(penalty::OfSeason::Excluded(excluded)) => drop(input.excluded.insert(decision.entry, excluded)),
                Err(error) => faults.push(format!("line {line}: penalty: {error}")),
            }
            continue;
        }
        let Some(event) = input.events.iter_mut().find(|event| event.name == decision.event) else {
            faults.push(format!("line {line}: there is no event {:?}; there are {}", decision.event, names.join(", ")));
            continue;
        };
        let kinds = match penalty::of_session(&decision.penalty) {
            Ok(kinds) => kinds,
            Err(error) => {
                faults.push(format!("line {line}: penalty: {error}"));
                continue;
            }
        };
        let wanted = if decision.session.is_empty() { Ok(Some("race".to_owned())) } else { worth(&decision.session, rules) };
        let by_name = event.sessions.iter().position(|session| session.name == decision.session);
        let by_worth = || event.sessions.iter().position(|session| wanted.as_ref().is_ok_and(|wanted| wanted.as_ref() == Some(&session.points)));
        let Some(session) = by_name.or_else(by_worth).map(|at| &mut event.sessions[at]) else {
            faults.push(format!("line {line}: {} has no session {:?}", decision.event, decision.session));
            continue;
        };
        if !session.cars.iter().any(|car| car.driven.entry == decision.entry) {
            faults.push(format!("line {line}: {:?} is not in {} {}", decision.entry, decision.event, session.name));
            continue;
        }
        session.penalties.extend(kinds.into_iter().map(|kind| Penalty { entry: decision.entry.clone(), kind }));
    }
    if faults.is_empty() { Ok(()) } else { Err(faults) }
}
