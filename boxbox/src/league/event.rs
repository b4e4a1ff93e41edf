//! `league event`: make an event, or change what is named of one.

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use super::say::{items, say};
use super::{decide, path, with_name};
use crate::http::Api;

/// An event. What is not said stays as it is; a new event needs an index and a date.
pub struct Event {
    pub league: String,
    pub season: String,
    pub event: String,
    pub index: Option<u32>,
    pub date: Option<String>,
    pub name: Option<String>,
    pub multiplier: Option<String>,
    pub droppable: Option<bool>,
}

/// `league event`
pub async fn event(api: &Api, of: Event) -> anyhow::Result<()> {
    let season = api.done("GET", &path(&of.league, &["seasons", &of.season])?, "application/json", b"").await?;
    let before = items(&season["events"]).find(|event| event["event"] == of.event);
    let (before, league) = (before.map(act), of.league.clone());
    let act = changed(before.clone(), of)?;
    if before.as_ref() == Some(&act) {
        say("nothing to change");
        return Ok(());
    }
    decide(api, &league, &act).await
}

/// The act that made an event what it is.
fn act(event: &Value) -> Value {
    let mut act = event["set"].clone();
    act["kind"] = "event_set".into();
    with_name(&mut act, event["name"].as_str().map(str::to_owned));
    act
}

/// The act that changes what is said.
fn changed(before: Option<Value>, of: Event) -> anyhow::Result<Value> {
    let Event { league: _, season, event, index, date, name, multiplier, droppable } = of;
    let is_new = before.is_none();
    ensure!(!is_new || (index.is_some() && date.is_some()), "{event} is a new event of {season}: give its --index and its --date");
    let mut act = before.unwrap_or_else(|| json!({ "kind": "event_set", "season": season, "event": event }));
    let fields = act.as_object_mut().context("the API answers an event that is no object")?;
    let said = [("index", index.map(Value::from)), ("date", date.map(Value::from)), ("multiplier", multiplier.map(Value::from))];
    let said = said.into_iter().chain([("name", name.map(Value::from)), ("droppable", droppable.map(Value::from))]);
    fields.extend(said.filter_map(|(field, value)| Some((field.to_owned(), value?))));
    Ok(act)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said() -> Event {
        let (league, season, event) = ("gt3".into(), "2026".into(), "monza".into());
        Event { league, season, event, index: None, date: None, name: None, multiplier: None, droppable: None }
    }

    /// Whatever one option says, everything else stays.
    #[test]
    fn what_is_not_said_of_an_event_stays() {
        let set =
            json!({ "season": "2026", "event": "monza", "index": 3, "date": "2026-03-08", "multiplier": "2", "droppable": false, "cancelled": true });
        let before = act(&json!({ "event": "monza", "name": "Monza 2 h", "set": set }));
        let cases = [
            ("index", json!(4), Event { index: Some(4), ..said() }),
            ("date", json!("2026-03-09"), Event { date: Some("2026-03-09".into()), ..said() }),
            ("name", json!("Monza"), Event { name: Some("Monza".into()), ..said() }),
            ("multiplier", json!("1"), Event { multiplier: Some("1".into()), ..said() }),
            ("droppable", json!(true), Event { droppable: Some(true), ..said() }),
        ];
        for (field, value, of) in cases {
            let mut expected = before.clone();
            expected[field] = value;
            assert_eq!(changed(Some(before.clone()), of).unwrap(), expected);
        }
        assert_eq!(changed(Some(before.clone()), said()).unwrap(), before);
        assert_eq!(before["name"], "Monza 2 h");
        assert!(changed(None, said()).is_err());
        let new = changed(None, Event { index: Some(1), date: Some("2026-03-08".into()), ..said() }).unwrap();
        assert_eq!(new, json!({ "kind": "event_set", "season": "2026", "event": "monza", "index": 1, "date": "2026-03-08" }));
    }
}
