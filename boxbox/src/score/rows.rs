//! Results as CSV: which columns there are, and what each cell means. Every fault is told, with its line.

use std::collections::BTreeMap;

use boxbox_race::scoring::{DrivenCar, Ended, PenaltyKind};
use boxbox_schemas::text::plain as plain_text;

use super::entered::Car;
use super::penalty;
use super::values::{time_us, yes};

/// Most faults that are told of one file.
const FAULTS_MAX: usize = 50;
/// Longest cell, characters.
const CELL_MAX: usize = 200;
/// Where a file says who finished, but no laps, who did counts as many laps as make every share of them whole.
const FINISHED_LAPS: u32 = 100;
/// Most of a count in a cell.
const COUNT_MAX: u32 = 1_000_000;

/// The columns, and other names for them.
const COLUMNS: [(&str, &[&str]); 17] = [
    ("event", &["round"]),
    ("session", &[]),
    ("entry", &["driver", "name", "car"]),
    ("class", &[]),
    ("team", &[]),
    ("manufacturer", &["make"]),
    ("position", &["pos", "place", "finish"]),
    ("laps", &["laps_complete"]),
    ("time", &["total_time", "gap"]),
    ("status", &[]),
    ("best_lap", &["fastest_lap"]),
    ("grid", &["start"]),
    ("laps_led", &["led"]),
    ("incidents", &[]),
    ("guest", &[]),
    ("drivers", &[]),
    ("penalty", &["penalties"]),
];

/// A line of results.
pub struct Row {
    /// The event; empty if there is no such column.
    pub event: String,
    /// The session; empty if there is no such column.
    pub session: String,
    /// The car.
    pub car: Car,
    /// What was decided about it in this session.
    pub penalties: Vec<PenaltyKind>,
    /// The line in the file.
    pub line: u64,
    /// Its time is behind the winner's.
    pub gap: bool,
}

/// A line of the file of penalties.
pub struct Decision {
    /// The event; empty: the whole season.
    pub event: String,
    /// The session; empty: the race.
    pub session: String,
    /// The entry.
    pub entry: String,
    /// What was decided.
    pub penalty: String,
    /// The line in the file.
    pub line: u64,
}

/// The lines of a CSV file as maps from column to cell, with notes about columns that mean nothing.
struct Cells {
    rows: Vec<(u64, BTreeMap<String, String>)>,
    notes: Vec<String>,
}

fn plain(name: &str) -> String {
    name.trim().trim_start_matches('\u{feff}').to_lowercase().replace([' ', '-'], "_")
}

fn cells(bytes: &[u8], known: &dyn Fn(&str) -> Option<String>) -> Result<Cells, Vec<String>> {
    let text = std::str::from_utf8(bytes).map_err(|_| vec!["is no text in UTF-8; save it as CSV in UTF-8".to_owned()])?;
    let header = text.lines().next().unwrap_or_default();
    // Spreadsheets of many languages write semicolons.
    let delimiter = [b';', b'\t', b','].into_iter().max_by_key(|c| header.bytes().filter(|b| b == c).count()).unwrap_or(b',');
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).flexible(true).trim(csv::Trim::All).from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| vec![format!("line 1: {error}")])?.clone();
    let (mut columns, mut notes, mut faults) = (vec![], vec![], vec![]);
    for name in &header {
        let column = known(&plain(name));
        if column.is_none() && !name.is_empty() {
            notes.push(format!("the column {name:?} means nothing here and is not used"));
        }
        if column.is_some() && columns.contains(&column) {
            faults.push(format!("line 1: two columns mean {}; remove one", column.clone().unwrap_or_default()));
        }
        columns.push(column);
    }
    let mut rows = vec![];
    for record in reader.records() {
        let record = record.map_err(|error| vec![format!("{error}")])?;
        let line = record.position().map_or(0, csv::Position::line);
        if record.iter().all(str::is_empty) {
            continue;
        }
        if record.len() > header.len() {
            faults.push(format!(
                "line {line}: {} cells under {} columns; put a cell with a {:?} in quotes",
                record.len(),
                header.len(),
                char::from(delimiter)
            ));
        }
        let named = columns.iter().zip(&record).filter_map(|(column, cell)| Some((column.clone()?, plain_text(cell).into_owned())));
        if let Some((column, _)) = named.clone().find(|(_, cell)| cell.chars().count() > CELL_MAX) {
            faults.push(format!("line {line}: {column} has more than {CELL_MAX} characters"));
        }
        rows.push((line, named.collect()));
    }
    if faults.is_empty() { Ok(Cells { rows, notes }) } else { Err(faults) }
}

fn column(name: &str) -> Option<String> {
    let stage = name.strip_prefix("stage_").or(name.strip_prefix("stage")).and_then(|number| number.parse::<u32>().ok());
    let stage = stage.filter(|stage| (1..=20).contains(stage)).map(|stage| format!("stage{stage}"));
    stage.or_else(|| COLUMNS.iter().find(|(column, others)| *column == name || others.contains(&name)).map(|(column, _)| (*column).to_owned()))
}

/// The lines of results in `bytes`, and notes; or every fault.
pub fn results(bytes: &[u8]) -> Result<(Vec<Row>, Vec<String>), Vec<String>> {
    let Cells { rows, notes } = cells(bytes, &column)?;
    let mut faults = vec![];
    let has = |name: &str| rows.first().is_some_and(|(_, row)| row.contains_key(name));
    if rows.is_empty() {
        return Err(vec!["has no results under its first line, which names the columns".into()]);
    }
    if !has("entry") {
        return Err(vec![format!("line 1: no column entry; the columns are {}", COLUMNS.map(|(name, _)| name).join(", "))]);
    }
    if !["position", "laps", "time", "status", "best_lap"].iter().any(|name| has(name)) {
        return Err(vec!["line 1: nothing says who was where; add a column position, or laps and time, or best_lap for qualifying".into()]);
    }
    let out: Vec<Row> = rows.iter().map(|(line, cells)| row(*line, cells, has("laps"), &mut faults)).collect();
    if faults.is_empty() { Ok((out, notes)) } else { Err(cut(faults)) }
}

/// The lines of a file of penalties, and notes; or every fault.
pub fn decisions(bytes: &[u8]) -> Result<(Vec<Decision>, Vec<String>), Vec<String>> {
    let known = |name: &str| {
        let column = if name == "reason" { Some("reason".to_owned()) } else { column(name) };
        column.filter(|column| ["event", "session", "entry", "penalty", "reason"].contains(&column.as_str()))
    };
    let Cells { rows, notes } = cells(bytes, &known)?;
    let mut faults = vec![];
    let mut out = vec![];
    for (line, cells) in rows {
        let cell = |name: &str| cells.get(name).cloned().unwrap_or_default();
        let decision = Decision { event: cell("event"), session: cell("session"), entry: cell("entry"), penalty: cell("penalty"), line };
        if decision.entry.is_empty() || decision.penalty.is_empty() {
            faults.push(format!("line {line}: needs an entry and a penalty"));
        }
        out.push(decision);
    }
    if faults.is_empty() { Ok((out, notes)) } else { Err(cut(faults)) }
}

fn cut(mut faults: Vec<String>) -> Vec<String> {
    let more = faults.len().saturating_sub(FAULTS_MAX);
    faults.truncate(FAULTS_MAX);
    if more > 0 {
        faults.push(format!("and {more} more"));
    }
    faults
}

/// How a car ended, and whether it is disqualified; none: the text says nothing of the kind.
fn status(text: &str) -> Option<(Ended, bool)> {
    let text = text.to_lowercase().replace(['-', '_'], " ");
    match text.as_str() {
        "" | "finished" | "running" | "classified" | "ok" => Some((Ended::Finished, false)),
        "dnf" | "ret" | "retired" | "r" | "nc" | "not classified" | "accident" | "disconnected" | "out" => Some((Ended::Retired, false)),
        "dns" | "dnq" | "did not start" | "not started" | "withdrawn" | "w" => Some((Ended::NotStarted, false)),
        "dsq" | "dq" | "disqualified" => Some((Ended::Finished, true)),
        _ => None,
    }
}

fn row(line: u64, cells: &BTreeMap<String, String>, has_laps: bool, faults: &mut Vec<String>) -> Row {
    let cell = |name: &str| cells.get(name).map_or("", String::as_str);
    let mut wrong = |name: &str, what: &str| faults.push(format!("line {line}: {name} {:?}: {what}", cell(name)));
    if cell("entry").is_empty() {
        wrong("entry", "is empty; every line needs one");
    }
    let mut count = |name: &str| -> Option<u32> {
        let number = cell(name).parse::<u32>().ok().filter(|number| *number <= COUNT_MAX);
        if number.is_none() && !cell(name).is_empty() {
            wrong(name, "needs a whole number");
        }
        number
    };
    let (laps, grid, laps_led, incidents) = (count("laps"), count("grid").filter(|grid| *grid > 0), count("laps_led"), count("incidents"));
    let stages: Vec<Option<u32>> = (1..=20).map(|stage| count(&format!("stage{stage}")).filter(|place| *place > 0)).collect();
    let last_stage = stages.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
    // A place may be written as what happened instead: DNF, DSQ.
    let place = cell("position").trim_end_matches('.').parse::<u32>().ok().filter(|place| *place > 0);
    let placed = if place.is_some() { Some((Ended::Finished, false)) } else { status(cell("position")) };
    if placed.is_none() {
        wrong("position", "needs a number from 1, or dnf, dns, dsq, nc");
    }
    let stated = status(cell("status"));
    if stated.is_none() {
        wrong("status", "needs finished, dnf, dns, dsq or nc");
    }
    let text = cell("time");
    // What happened may stand in the place of a number or a time; the column status decides where they differ.
    let says = [stated, placed, status(text)].into_iter().flatten().find(|says| *says != (Ended::Finished, false));
    let (ended, disqualified) = says.unwrap_or_default();
    let (gap, text) = text.strip_prefix('+').map_or((false, text), |gap| (true, gap.trim().trim_end_matches('s')));
    // "+1 lap" says nothing that the laps do not.
    let laps_down = text.to_lowercase().contains("lap");
    let line_us = if laps_down || text.is_empty() || text == "-" { None } else { time_us(text) };
    if line_us.is_none() && !laps_down && !text.is_empty() && text != "-" && status(text).is_none() {
        wrong("time", "needs a time such as 1:32:14.123, 92.5, or a gap such as +5.2");
    }
    if laps_down && !has_laps && place.is_none() {
        wrong("time", "laps down need the columns laps or position");
    }
    let best_lap_us = time_us(cell("best_lap"));
    if best_lap_us.is_none() && !matches!(cell("best_lap"), "" | "-") {
        wrong("best_lap", "needs a time such as 1:32.123");
    }
    let guest = yes(cell("guest")).unwrap_or_else(|| {
        wrong("guest", "needs yes or no");
        false
    });
    let mut penalties = penalty::of_session(cell("penalty")).unwrap_or_else(|error| {
        wrong("penalty", &error);
        vec![]
    });
    penalties.extend(disqualified.then_some(PenaltyKind::Disqualified));
    let drivers = drivers(cell("drivers")).unwrap_or_else(|error| {
        wrong("drivers", &error);
        BTreeMap::new()
    });
    let finished = if ended == Ended::Finished || place.is_some() { FINISHED_LAPS } else { 0 };
    let driven = DrivenCar {
        entry: cell("entry").to_owned(),
        class: cell("class").to_owned(),
        team: cell("team").to_owned(),
        ended,
        laps: if has_laps { laps.unwrap_or(0) } else { finished },
        line_us,
        listed: place,
        best_lap_us,
        laps_led: laps_led.unwrap_or(0),
        grid,
        incidents: incidents.unwrap_or(0),
        stages: stages[..last_stage].to_vec(),
        guest,
        ..DrivenCar::default()
    };
    let car = Car { driven, manufacturer: cell("manufacturer").to_owned(), drivers };
    Row { event: cell("event").to_owned(), session: cell("session").to_owned(), car, penalties, line, gap }
}

/// `Anna:30; Bo:12`.
fn drivers(text: &str) -> Result<BTreeMap<String, u32>, String> {
    let mut out = BTreeMap::new();
    for part in text.split([';', '|']).map(str::trim).filter(|part| !part.is_empty()) {
        let (name, laps) = part.rsplit_once(':').ok_or("needs the laps of each driver, such as Anna:30; Bo:12")?;
        let laps = laps.trim().parse::<u32>().ok().filter(|laps| *laps <= COUNT_MAX).ok_or("needs laps as a whole number after the colon")?;
        if out.insert(name.trim().to_owned(), laps).is_some() {
            return Err(format!("names {} twice", name.trim()));
        }
    }
    Ok(out)
}
