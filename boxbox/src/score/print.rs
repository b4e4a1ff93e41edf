//! The tables on standard output: for people, as CSV, and the reasons of one competitor's points.

use std::io::IsTerminal;

use anyhow::bail;
use boxbox_race::scoring::{PRESETS, Ruleset, Standing, preset};
use boxbox_schemas::text::plain;

use super::tables::{Cell, Championship, Line, Report, Why};
use crate::show::columns::{fitting, narrowed, of_terminal, shortened};
use crate::show::report::{lap_time, line};
use crate::show::stderr::is_dumb;

/// How to print.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Output {
    /// Tables for people.
    Text,
    /// One JSON object.
    Json,
    /// CSV.
    Csv,
}

const BOLD: &str = "1";
const DIM: &str = "2";

/// Text in a colour, where standard output is a terminal that has colours.
fn styled(text: &str, style: &str) -> String {
    let colours = std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && !is_dumb();
    if colours && !style.is_empty() { format!("\u{1b}[{style}m{text}\u{1b}[0m") } else { text.to_owned() }
}

/// The names of all presets.
pub fn presets(output: Output) {
    let all = PRESETS.into_iter().filter_map(preset);
    if output == Output::Json {
        let list: Vec<_> = all.map(|rules| serde_json::json!({"name": rules.name, "title": rules.title, "verified": rules.verified})).collect();
        return line(&serde_json::Value::from(list).to_string());
    }
    let verified = |rules: &Ruleset| if rules.verified { "" } else { "unverified" };
    all.for_each(|rules| line(format!("{:<18} {:<11} {}", rules.name, verified(&rules), rules.title).trim_end()));
    line("");
    line("verified: published results were computed again with them. f1-1988 means the rules that were in force in 1988; - and _ are equal.");
}

/// A row of cells that are aligned: the text, and its style.
type Cells = Vec<(String, &'static str)>;

/// Ranks of the columns without which a table says nothing: place, name and points.
const NEEDED: u8 = 2;

/// Rows in columns. Where the terminal is too narrow those with the highest ranks are left out, and names are shortened before points are.
/// The second column holds names and is aligned to the left.
fn aligned(rows: &[Cells], ranks: &[u8], columns: usize) -> Vec<String> {
    let width = |at: usize| rows.iter().map(|row| row[at].0.chars().count()).max().unwrap_or(0);
    let mut sizes: Vec<(u8, usize)> = ranks.iter().enumerate().map(|(at, rank)| (*rank, width(at))).collect();
    narrowed(&mut sizes, 1, NEEDED, 2, columns);
    let shown = fitting(&sizes, 2, columns);
    let cell = |(at, (text, style)): (usize, &(String, &'static str))| {
        let text = &shortened(text, sizes[at].1);
        let pad = " ".repeat(sizes[at].1 - text.chars().count());
        let text = styled(text, style);
        if at == 1 { format!("{text}{pad}") } else { format!("{pad}{text}") }
    };
    let row = |row: &Cells| row.iter().enumerate().filter(|(at, _)| shown[*at]).map(cell).collect::<Vec<_>>().join("  ").trim_end().to_owned();
    rows.iter().map(row).collect()
}

/// The tables, for people.
pub fn text(report: &Report, sessions: bool) {
    let columns = of_terminal().unwrap_or(usize::MAX);
    if sessions {
        report.sessions.iter().for_each(|session| {
            line(&styled(&format!("{} {}", session.event, session.session), BOLD));
            let mut rows: Vec<Cells> = vec![["place", "entry", "laps", "time", "points"].map(|name| (name.to_owned(), DIM)).to_vec()];
            for car in &session.cars {
                let place = car.place.map_or_else(|| status(car.status).to_owned(), |place| place.to_string());
                let time = car.time_us.map(lap_time).unwrap_or_default();
                rows.push([place, car.entry.clone(), car.laps.to_string(), time, car.points.shown()].map(|text| (text, "")).to_vec());
            }
            aligned(&rows, &[0, 1, 3, 4, 2], columns).iter().for_each(|text| line(text));
            line("");
        });
    }
    for (at, championship) in report.championships.iter().enumerate() {
        if at > 0 {
            line("");
        }
        line(&styled(&title(report, championship), BOLD));
        // In a narrow terminal the earliest events are left out first.
        let count = report.events.len();
        let ranks: Vec<u8> =
            [0, 1, 2].into_iter().chain((0..count).map(|event| u8::try_from(count - event).unwrap_or(u8::MAX).saturating_add(2))).collect();
        let header = ["rank", championship.subject, "points"].map(str::to_owned).into_iter().chain(report.events.iter().map(|event| short(event)));
        let mut rows: Vec<Cells> = vec![header.map(|name| (name, DIM)).collect()];
        for one in &championship.lines {
            let leads = if one.table.rank == Some(1) { BOLD } else { "" };
            let rank = one.table.rank.map_or_else(|| "-".into(), |rank| rank.to_string());
            let mut row = vec![(rank, leads), (one.table.competitor.clone(), leads), (one.shown.clone(), leads)];
            row.extend(one.events.iter().map(cell));
            rows.push(row);
        }
        aligned(&rows, &ranks, columns).iter().for_each(|text| line(text));
        for one in championship.lines.iter().filter(|one| !one.table.adjustment.is_zero()) {
            line(&format!("{}: {} points of the season", one.table.competitor, Signed(one.table.adjustment.shown())));
        }
    }
}

/// A number with its sign.
struct Signed(String);

impl std::fmt::Display for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let sign = if self.0.starts_with('-') { "" } else { "+" };
        write!(f, "{sign}{}", self.0)
    }
}

fn title(report: &Report, championship: &Championship) -> String {
    let class = if championship.class.is_empty() { String::new() } else { format!(", {}", championship.class) };
    let verified = if report.rules.verified { "" } else { ", unverified" };
    plain(&format!("{}{class} ({}{verified})", capital(championship.subject), report.rules.name)).into_owned()
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|c| c.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn short(event: &str) -> String {
    event.chars().take(10).collect()
}

/// A dropped score is in brackets, a missed event a hyphen.
fn cell(cell: &Cell) -> (String, &'static str) {
    match (&cell.points, cell.dropped) {
        (None, _) => ("-".into(), DIM),
        (Some(points), true) => (format!("({})", points.shown()), DIM),
        (Some(points), false) => (points.shown(), ""),
    }
}

fn status(status: Standing) -> &'static str {
    match status {
        Standing::Classified => "classified",
        Standing::NotClassified => "nc",
        Standing::NotStarted => "dns",
        Standing::Disqualified => "dsq",
    }
}

/// The tables as CSV: exact fractions, a column for each event, an empty cell for a missed one, brackets round a dropped one.
pub fn csv(report: &Report) -> anyhow::Result<()> {
    let mut writer = ::csv::Writer::from_writer(vec![]);
    let header = ["championship", "class", "rank", "competitor", "points", "gross", "adjustment", "starts"].map(str::to_owned);
    writer.write_record(header.iter().chain(&report.events))?;
    for championship in &report.championships {
        for one in &championship.lines {
            let rank = one.table.rank.map(|rank| rank.to_string()).unwrap_or_default();
            let fixed = [
                championship.subject.to_owned(),
                championship.class.clone(),
                rank,
                one.table.competitor.clone(),
                one.table.points.to_string(),
                one.table.gross.to_string(),
                one.table.adjustment.to_string(),
                one.table.starts.to_string(),
            ];
            let cell = |cell: &Cell| match &cell.points {
                None => String::new(),
                Some(points) if cell.dropped => format!("({points})"),
                Some(points) => points.to_string(),
            };
            writer.write_record(fixed.into_iter().chain(one.events.iter().map(cell)))?;
        }
    }
    let text = String::from_utf8(writer.into_inner()?)?;
    line(text.trim_end());
    Ok(())
}

/// Where each point of one competitor comes from.
pub fn why(report: &Report, who: &str, output: Output) -> anyhow::Result<()> {
    let all = || report.championships.iter().flat_map(|championship| championship.lines.iter().map(move |one| (championship, one)));
    let wanted = who.to_lowercase();
    let exact: Vec<_> = all().filter(|(_, one)| one.table.competitor.to_lowercase() == wanted).collect();
    let near: Vec<_> = all().filter(|(_, one)| one.table.competitor.to_lowercase().contains(&wanted)).collect();
    let found = if exact.is_empty() { near } else { exact };
    let mut names: Vec<&str> = found.iter().map(|(_, one)| one.table.competitor.as_str()).collect();
    names.sort_unstable();
    names.dedup();
    match names.len() {
        0 => bail!("the tables have no entry {who:?}; they have {}", first(all().map(|(_, one)| one.table.competitor.as_str()))),
        1 => {}
        _ => bail!("{who:?} may be {}; write more of the name", first(names.into_iter())),
    }
    if output == Output::Json {
        let list: Vec<_> = found
            .iter()
            .map(|(championship, one)| serde_json::json!({"subject": championship.subject, "class": championship.class, "line": one}))
            .collect();
        line(&serde_json::to_string_pretty(&list)?);
        return Ok(());
    }
    for (championship, one) in found {
        explain(report, championship, one);
    }
    Ok(())
}

fn first<'a>(names: impl Iterator<Item = &'a str>) -> String {
    let names: Vec<&str> = names.collect();
    let more = names.len().saturating_sub(20);
    let list = names[..names.len() - more].join(", ");
    if more > 0 { format!("{list} and {more} more") } else { list }
}

fn explain(report: &Report, championship: &Championship, one: &Line) {
    let rank = one.table.rank.map_or_else(|| "not ranked".into(), |rank| format!("rank {rank}"));
    line(&styled(&format!("{}: {}, {} points, {rank}", title(report, championship), one.table.competitor, one.shown), BOLD));
    for (event, cell) in report.events.iter().zip(&one.events) {
        let points = cell.points.as_ref().map_or_else(|| "was not there".into(), |points| format!("{} points", points.shown()));
        let dropped = if cell.dropped { ", dropped: one of the lowest that may be" } else { "" };
        line(&format!("{event}: {points}{dropped}"));
        cell.why.iter().for_each(reason);
    }
    if !one.table.adjustment.is_zero() {
        line(&format!("season: {} points by decision, which no drop takes away", Signed(one.table.adjustment.shown())));
    }
    if !one.table.dropped.is_empty() {
        line(&format!("total: {} of {} points in all events", one.shown, one.table.gross.shown()));
    }
    let same = championship.lines.iter().filter(|other| other.table.points == one.table.points && other.table.competitor != one.table.competitor);
    for other in same.filter(|_| one.table.rank.is_some()) {
        let relation = match (one.table.rank, other.table.rank) {
            (a, b) if a == b => "the same rank, because nothing in the rules separates them",
            (Some(a), Some(b)) if a > b => "is ahead",
            _ => "is behind",
        };
        let by = if one.table.rank < other.table.rank { one.table.ahead_by } else { other.table.ahead_by };
        let by = by.filter(|_| one.table.rank != other.table.rank).map(|by| format!(" by {}", word(&by))).unwrap_or_default();
        line(&format!("equal points: {} {relation}{by}", other.table.competitor));
    }
    line("");
}

fn word(value: &impl serde::Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| Some(value.as_str()?.replace('_', " "))).unwrap_or_default()
}

fn reason(why: &Why) {
    let place = why.place.map_or_else(|| status(why.status).to_owned(), |place| format!("place {place}"));
    let entry = why.entry.as_ref().map(|entry| format!(" of {entry}")).unwrap_or_default();
    let decisions = if why.decisions.is_empty() { String::new() } else { format!(" ({})", why.decisions.join("; ")) };
    let parts: Vec<String> = why.parts.iter().map(|part| format!("{} {}", part.rule, Signed(part.points.shown()))).collect();
    let parts = if parts.is_empty() { "nothing".into() } else { parts.join(", ") };
    line(&plain(&format!("  {}{entry}, {place}{decisions}: {parts}", why.session)));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_points_are_shown_in_a_narrow_terminal_too() {
        let rows: Vec<Cells> = [["rank", "driver", "points", "Melbourne"], ["1", "Juan Pablo Montoya", "123.5", "25"]]
            .map(|row| row.map(|text| (text.to_owned(), "")).to_vec())
            .to_vec();
        for columns in 18..60 {
            let lines = aligned(&rows, &[0, 1, 2, 3], columns);
            assert!(lines.iter().all(|line| line.chars().count() <= columns), "{columns}: {lines:?}");
            assert!(lines[1].contains("Juan") || columns < 19 && lines[1].contains("Jua…"), "{columns}: {lines:?}");
            assert!(lines[1].contains("123.5"), "{columns}: {lines:?}");
        }
        assert_eq!(aligned(&rows, &[0, 1, 2, 3], 20), ["rank  driver  points", "   1  Juan …   123.5"]);
        assert!(aligned(&rows, &[0, 1, 2, 3], usize::MAX)[1].contains("Juan Pablo Montoya"));
    }
}
