//! `league standings`: a table for people, and where each point comes from.

use anyhow::bail;
use boxbox_schemas::text::plain;
use serde_json::Value;

use super::path;
use super::published::{Which, title};
use super::say::{Column, items, name, reasons, say, table, text};
use crate::http::Api;

/// `league standings`
pub async fn standings(api: &Api, league: &str, championship: &str, which: &Which) -> anyhow::Result<()> {
    let what = if which.preview { "preview" } else { "table" };
    let mut to = path(league, &["championships", championship, what])?;
    if !which.preview {
        let revision = which.revision.map_or_else(String::new, |number| format!("&revision={number}"));
        to.push_str(&format!("?why={}{revision}", u8::from(which.why.is_some() || which.json)));
    }
    let publish = format!(
        "the table is not published yet: see it with --preview, publish it with `boxbox league publish {league} --championship {championship}`"
    );
    let Some(document) = which.ask(api, &to, &publish).await? else { return Ok(()) };
    match &which.why {
        Some(who) => why(&document, who),
        None => {
            all(&document);
            Ok(())
        }
    }
}

/// What a line is about.
fn who<'a>(document: &'a Value, line: &'a Value) -> &'a str {
    name(document, text(line, "competitor"))
}

fn all(document: &Value) {
    say(&title(document));
    let of = &document["table"];
    let mut columns = vec![Column::number("rank", 0), Column::text(text(of, "subject"), 1), Column::number("points", 2)];
    let events: Vec<&str> = items(&of["events"]).map(|event| text(event, "event")).collect();
    // In a narrow terminal the earliest events are left out first.
    columns.extend(events.iter().enumerate().map(|(at, event)| {
        let rank = u8::try_from(events.len() - at).unwrap_or(u8::MAX).saturating_add(2);
        Column::number(event, rank)
    }));
    let row = |line: &Value| {
        let rank = line["rank"].as_u64().map_or("-".to_owned(), |rank| rank.to_string());
        let mut cells = vec![rank, who(document, line).to_owned(), text(line, "points").to_owned()];
        cells.extend((0..events.len()).map(|at| cell(&line["cells"][at])));
        cells
    };
    table(&columns, &items(&of["lines"]).map(row).collect::<Vec<_>>());
}

/// A dropped score is in brackets, a missed event a hyphen.
fn cell(cell: &Value) -> String {
    match (cell["points"].as_str(), cell["dropped"] == true) {
        (None, _) => "-".to_owned(),
        (Some(points), true) => format!("({points})"),
        (Some(points), false) => points.to_owned(),
    }
}

fn why(document: &Value, whom: &str) -> anyhow::Result<()> {
    let lines = document["table"]["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = whom.to_lowercase();
    let is = |of: &&Value| who(document, of).to_lowercase() == wanted || of["competitor"] == whom;
    let has = |of: &&Value| who(document, of).to_lowercase().contains(&wanted);
    let exact: Vec<&Value> = lines.iter().filter(is).collect();
    let found = if exact.is_empty() { lines.iter().filter(has).collect() } else { exact };
    let [of] = found[..] else {
        let names: Vec<&str> =
            if found.is_empty() { lines.iter().map(|of| who(document, of)).collect() } else { found.iter().map(|of| who(document, of)).collect() };
        bail!(
            "{whom:?} is {} of the table: name one of {}",
            if found.is_empty() { "in no line" } else { "in several lines" },
            plain(&names.join(", "))
        );
    };
    let rank = of["rank"].as_u64().map_or("without a rank".to_owned(), |rank| format!("rank {rank}"));
    say(&format!("{}: {rank}, {} points", who(document, of), of["points"].as_str().unwrap_or_default()));
    for cell in of["cells"].as_array().into_iter().flatten() {
        let dropped = if cell["dropped"] == true { ", dropped" } else { "" };
        say(&format!("  {}: {}{dropped}", cell["event"].as_str().unwrap_or_default(), cell["points"].as_str().unwrap_or("not there")));
        for part in cell["why"].as_array().into_iter().flatten() {
            let counts = if part["counts"] == false { " (another car counts)" } else { "" };
            say(&format!("    {} {}{counts}", part["session"].as_str().unwrap_or_default(), part["points"].as_str().unwrap_or_default()));
            reasons(&part["why"], 6);
        }
    }
    reasons(&of["why"], 2);
    Ok(())
}
