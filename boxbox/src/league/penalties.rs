//! `league penalties`: what was decided against whom.

use serde_json::Value;

use super::say::{Column, items, name, say, table, text};
use super::{escaped, path};
use crate::http::Api;

/// Penalties that are asked for at once.
const AT_ONCE: u32 = 500;

/// `league penalties`. `session`: those of this session alone.
pub async fn penalties(api: &Api, league: &str, session: Option<&str>) -> anyhow::Result<()> {
    let (mut rows, mut cursor) = (vec![], String::new());
    loop {
        let to = format!("{}?limit={AT_ONCE}{cursor}", path(league, &["penalties"])?);
        let page = api.done("GET", &to, "application/json", b"").await?;
        rows.extend(items(&page["penalties"]).filter(|of| session.is_none_or(|session| of["at"]["session"] == session)).map(|of| row(&page, of)));
        let Some(next) = page["next_cursor"].as_str() else { break };
        cursor = format!("&cursor={}", escaped(next));
    }
    if rows.is_empty() {
        say("no penalties");
        return Ok(());
    }
    let columns = [
        Column::text("penalty", 0),
        Column::text("at", 3),
        Column::text("against", 1),
        Column::text("sanction", 2),
        Column::text("state", 4),
        Column::text("reason", 5),
    ];
    table(&columns, &rows);
    Ok(())
}

fn row(page: &Value, of: &Value) -> Vec<String> {
    let only =
        |of: &Value| of.as_object().and_then(|of| of.iter().next()).map(|(kind, id)| (kind.clone(), id.as_str().unwrap_or_default().to_owned()));
    let (kind, place) = only(&of["at"]).unwrap_or_default();
    let (_, whom) = only(&of["against"]).unwrap_or_default();
    // What became of it since it was given, the latest last.
    let now = items(&of["changes"]).last().unwrap_or(of);
    let reason = now["reason"].as_str().or(of["reason"].as_str()).unwrap_or("(erased)");
    let place = if kind == "session" { place } else { format!("{kind} {place}") };
    let whom = name(page, &whom).to_owned();
    vec![text(of, "penalty").to_owned(), place, whom, sanction(&of["sanction"]), text(now, "state").replace('_', " "), reason.to_owned()]
}

/// A sanction in words: `time 5 s`, `positions 3`.
fn sanction(of: &Value) -> String {
    let value = |field: &str| of[field].as_str().map_or_else(|| of[field].to_string(), str::to_owned);
    match text(of, "kind") {
        "time" => format!("{} s", of["us"].as_i64().unwrap_or(0) as f64 / 1e6),
        "stop_and_go" => format!("stop and go, {} s", value("seconds")),
        "laps" => format!("{} laps", value("laps")),
        "lap_time_deleted" => format!("lap {} deleted", value("lap")),
        "positions" => format!("{} places", value("places")),
        "grid_drop" => format!("{} places on the grid", value("places")),
        "points" => format!("{} points", value("points")),
        "season_points" => format!("{} points of the season", value("points")),
        "licence_points" => format!("{} points of the licence", value("points")),
        "race_ban" => format!("{} events banned", value("events")),
        "ballast" => format!("{} kg", value("kg")),
        other => other.replace('_', " "),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_penalty_is_a_line_with_what_became_of_it() {
        let page = json!({ "names": { "persons": { "p-1": "Ann" }, "teams": {} } });
        let mut of = json!({ "penalty": "pen-9", "at": { "session": "monza-race" }, "against": { "entry": "car-7" }, "state": "in_force",
            "sanction": { "kind": "time", "us": 2_500_000 }, "reason": "Too fast", "changes": [] });
        assert_eq!(row(&page, &of), ["pen-9", "monza-race", "car-7", "2.5 s", "in force", "Too fast"]);
        of["changes"] = json!([{ "state": "suspended", "reason": "Wait" }, { "state": "rescinded", "reason": "It was Bo" }]);
        of["against"] = json!({ "person": "p-1" });
        of["at"] = json!({ "event": "monza" });
        of["sanction"] = json!({ "kind": "disqualified" });
        assert_eq!(row(&page, &of), ["pen-9", "event monza", "Ann", "disqualified", "rescinded", "It was Bo"]);
    }
}
