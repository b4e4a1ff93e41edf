//! `league result`: the result of a session for people, and why a car has its place and its points.

use anyhow::bail;
use boxbox_schemas::text::plain;
use serde_json::Value;

use super::path;
use super::published::{Which, title};
use super::say::{Column, items, name, reasons, say, table, text};
use crate::http::Api;
use crate::show::report::lap_time;

/// `league result`
pub async fn result(api: &Api, league: &str, session: &str, which: &Which) -> anyhow::Result<()> {
    let to = match (which.preview, which.revision) {
        (true, _) => path(league, &["sessions", session, "preview"])?,
        (false, None) => path(league, &["sessions", session, "result"])? + "?why=1",
        (false, Some(number)) => path(league, &["sessions", session, "result"])? + &format!("?why=1&revision={number}"),
    };
    let publish =
        format!("the result is not published yet: see it with --preview, publish it with `boxbox league publish {league} --session {session}`");
    let Some(document) = which.ask(api, &to, &publish).await? else { return Ok(()) };
    match &which.why {
        Some(who) => why(&document, who),
        None => {
            all(&document);
            Ok(())
        }
    }
}

fn all(document: &Value) {
    say(&title(document));
    let result = &document["result"];
    let championships: Vec<&String> = result["scores"].as_object().into_iter().flatten().map(|(id, _)| id).collect();
    let mut columns = vec![
        Column::text("place", 0),
        Column::text("entry", 2),
        Column::text("number", 5),
        Column::text("drivers", 1),
        Column::text("class", 7),
        Column::number("laps", 4),
        Column::number("time", 3),
        Column::text("decided", 6),
    ];
    columns.extend(championships.iter().map(|id| Column::number(id, 8)));
    let row = |row: &Value| {
        let mut cells = vec![
            place(row),
            text(row, "entry").to_owned(),
            text(row, "number").to_owned(),
            drivers(document, row),
            text(row, "class").to_owned(),
            row["laps"].to_string(),
            row["time_us"].as_i64().map(lap_time).unwrap_or_default(),
            decided(row),
        ];
        cells.extend(championships.iter().map(|id| score(result, id, row).map_or_else(String::new, |score| text(score, "points").to_owned())));
        cells
    };
    table(&columns, &items(&result["rows"]).map(row).collect::<Vec<_>>());
    let without: Vec<&str> = items(&result["without_car"]).filter_map(Value::as_str).collect();
    if !without.is_empty() {
        say(&format!("decided about cars that are not in this session: {}", without.join(", ")));
    }
}

/// The place, or what became of the car.
fn place(row: &Value) -> String {
    row["place"].as_u64().map_or_else(|| text(row, "status").replace('_', " "), |place| place.to_string())
}

fn drivers(document: &Value, row: &Value) -> String {
    let names: Vec<&str> = items(&row["drivers"]).filter_map(|of| of["person"].as_str()).map(|id| name(document, id)).collect();
    let told = if row["unclaimed"] == true { Some("(no entry)") } else { (row["guest"] == true).then_some("(guest)") };
    names.into_iter().chain(told).collect::<Vec<_>>().join(" ")
}

/// The penalties and corrections of a row, in short.
fn decided(row: &Value) -> String {
    let penalties = items(&row["penalties"]).filter_map(Value::as_str).map(str::to_owned);
    let overrides = items(&row["overrides"]).map(|of| format!("{} corrected", text(&of["change"], "field")));
    penalties.chain(overrides).collect::<Vec<_>>().join(", ")
}

/// What a row scored for a championship.
fn score<'a>(result: &'a Value, championship: &str, row: &Value) -> Option<&'a Value> {
    items(&result["scores"][championship]).find(|score| score["entry"] == row["entry"])
}

/// The one row that `who` means: an entry, a number, or a driver's name or a part of it.
fn found<'a>(document: &'a Value, who: &str) -> anyhow::Result<&'a Value> {
    let wanted = who.to_lowercase();
    let names = |row: &Value| items(&row["drivers"]).filter_map(|of| Some(name(document, of["person"].as_str()?).to_lowercase())).collect::<Vec<_>>();
    let rows: Vec<&Value> = items(&document["result"]["rows"]).collect();
    let by: [&dyn Fn(&Value) -> bool; 4] = [&|row| row["entry"] == who, &|row| row["number"] == who, &|row| names(row).contains(&wanted), &|row| {
        names(row).iter().any(|name| name.contains(&wanted))
    }];
    let found =
        by.iter().map(|is| rows.iter().copied().filter(|&row| is(row)).collect::<Vec<_>>()).find(|found| !found.is_empty()).unwrap_or_default();
    let [row] = found[..] else {
        let of = if found.is_empty() { &rows } else { &found };
        let known: Vec<String> = of.iter().map(|row| format!("{} {}", text(row, "entry"), drivers(document, row)).trim_end().to_owned()).collect();
        bail!("{who:?} is {} in the result: name one of {}", if found.is_empty() { "no car" } else { "several cars" }, plain(&known.join(", ")));
    };
    Ok(row)
}

fn why(document: &Value, who: &str) -> anyhow::Result<()> {
    let row = found(document, who)?;
    let time = row["time_us"].as_i64().map_or_else(String::new, |us| format!(", {}", lap_time(us)));
    let place = row["place"].as_u64().map_or_else(|| place(row), |place| format!("place {place}"));
    say(&format!("{} {}: {place}, {} laps{time}", text(row, "entry"), drivers(document, row), row["laps"]));
    reasons(&row["why"], 2);
    for of in items(&row["overrides"]) {
        let outdated = if of["outdated"] == true { "; the facts have changed since" } else { "" };
        let (field, old, new) = (text(&of["change"], "field"), &of["change"]["old"], &of["change"]["new"]);
        say(&format!("  {field} was corrected by hand from {old} to {new}{outdated}"));
    }
    let result = &document["result"];
    for (championship, _) in result["scores"].as_object().into_iter().flatten() {
        match score(result, championship, row) {
            None => say(&format!("  {championship}: does not take part")),
            Some(score) => {
                say(&format!("  {championship}: {} points", text(score, "points")));
                reasons(&score["why"], 4);
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_car_is_found_by_entry_number_or_name() {
        let row = |entry: &str, number: &str, person: &str| json!({ "entry": entry, "number": number, "drivers": [{ "person": person }] });
        let document = json!({ "names": { "persons": { "p-1": "Ann Example", "p-2": "Anna Other" } },
            "result": { "rows": [row("car-7", "7", "p-1"), row("car-8", "8", "p-2")] } });
        for (who, entry) in [("car-7", "car-7"), ("8", "car-8"), ("anna other", "car-8"), ("EXAMPLE", "car-7")] {
            assert_eq!(found(&document, who).unwrap()["entry"], entry, "{who}");
        }
        assert!(found(&document, "Ann").unwrap_err().to_string().contains("several cars"));
        assert!(found(&document, "9").unwrap_err().to_string().contains("car-7 Ann Example, car-8 Anna Other"));
    }
}
