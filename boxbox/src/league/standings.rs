//! `league standings`: a table for people, and where each point comes from.

use anyhow::{Context, bail};
use serde_json::Value;

use super::path;
use crate::http::Api;
use crate::show::report::line;

/// Which table, and how.
pub struct Shown {
    pub league: String,
    pub championship: String,
    pub why: Option<String>,
    pub revision: Option<u32>,
    pub preview: bool,
    pub json: bool,
}

/// `league standings`
pub async fn standings(api: &Api, of: Shown) -> anyhow::Result<()> {
    let what = if of.preview { "preview" } else { "table" };
    let mut to = path(&of.league, &["championships", &of.championship, what])?;
    if !of.preview {
        let revision = of.revision.map_or_else(String::new, |number| format!("&revision={number}"));
        to.push_str(&format!("?why={}{revision}", u8::from(of.why.is_some() || of.json)));
    }
    let (status, text) = api.ask("GET", &to, "application/json", b"").await?;
    if status == 422 && !of.preview && text.contains("not_published") {
        bail!(
            "the table is not published yet: see it with --preview, publish it with `boxbox league publish {} --championship {}`",
            of.league,
            of.championship
        );
    }
    if status != 200 {
        bail!("{}", api.refusal(status, &text));
    }
    if of.json {
        line(&text);
        return Ok(());
    }
    let document: Value = serde_json::from_str(&text).context("the API answers no JSON")?;
    match &of.why {
        Some(who) => why(&document, who),
        None => {
            table(&document);
            Ok(())
        }
    }
}

/// The name of a competitor, else its id.
fn name<'a>(document: &'a Value, line: &'a Value) -> &'a str {
    let id = line["competitor"].as_str().unwrap_or_default();
    let names = &document["names"];
    names["persons"][id].as_str().or_else(|| names["teams"][id].as_str()).unwrap_or(id)
}

fn table(document: &Value) {
    let revision = document["revision"].as_u64().map_or("not published".to_owned(), |number| format!("revision {number}"));
    line(&format!("{}, {revision}", document["state"].as_str().unwrap_or_default()));
    let lines = document["table"]["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let width = lines.iter().map(|of| name(document, of).chars().count()).max().unwrap_or(0);
    for of in lines {
        let rank = of["rank"].as_u64().map_or("-".to_owned(), |rank| rank.to_string());
        let cells: Vec<String> = of["cells"].as_array().into_iter().flatten().map(cell).collect();
        let points = of["points"].as_str().unwrap_or_default();
        line(format!("{rank:>3}  {:<width$}  {points:>7}  {}", name(document, of), cells.join(" ")).trim_end());
    }
}

/// A dropped score is in brackets, a missed event a hyphen.
fn cell(cell: &Value) -> String {
    match (cell["points"].as_str(), cell["dropped"] == true) {
        (None, _) => format!("{:>6}", "-"),
        (Some(points), true) => format!("{:>6}", format!("({points})")),
        (Some(points), false) => format!("{points:>6}"),
    }
}

fn why(document: &Value, who: &str) -> anyhow::Result<()> {
    let lines = document["table"]["lines"].as_array().map(Vec::as_slice).unwrap_or_default();
    let wanted = who.to_lowercase();
    let is = |of: &&Value| name(document, of).to_lowercase() == wanted || of["competitor"] == who;
    let has = |of: &&Value| name(document, of).to_lowercase().contains(&wanted);
    let exact: Vec<&Value> = lines.iter().filter(is).collect();
    let found = if exact.is_empty() { lines.iter().filter(has).collect() } else { exact };
    let [of] = found[..] else {
        let names: Vec<&str> =
            if found.is_empty() { lines.iter().map(|of| name(document, of)).collect() } else { found.iter().map(|of| name(document, of)).collect() };
        bail!("{who:?} is {} of the table: name one of {}", if found.is_empty() { "nobody" } else { "several" }, names.join(", "));
    };
    let rank = of["rank"].as_u64().map_or("without a rank".to_owned(), |rank| format!("rank {rank}"));
    line(&format!("{}: {rank}, {} points", name(document, of), of["points"].as_str().unwrap_or_default()));
    for cell in of["cells"].as_array().into_iter().flatten() {
        let dropped = if cell["dropped"] == true { ", dropped" } else { "" };
        line(&format!("  {}: {}{dropped}", cell["event"].as_str().unwrap_or_default(), cell["points"].as_str().unwrap_or("not there")));
        for part in cell["why"].as_array().into_iter().flatten() {
            let counts = if part["counts"] == false { " (another car counts)" } else { "" };
            line(&format!("    {} {}{counts}", part["session"].as_str().unwrap_or_default(), part["points"].as_str().unwrap_or_default()));
            reasons(&part["why"], 6);
        }
    }
    reasons(&of["why"], 2);
    Ok(())
}

fn reasons(why: &Value, indent: usize) {
    for of in why.as_array().into_iter().flatten() {
        let points = of["points"].as_str().map_or_else(String::new, |points| format!(" {points}"));
        let act = of["act"].as_u64().map_or_else(String::new, |act| format!(", act {act}"));
        line(&format!("{:indent$}{}{points}: {}{act}", "", of["rule"].as_str().unwrap_or_default(), of["text"].as_str().unwrap_or_default()));
    }
}
