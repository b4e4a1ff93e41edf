//! What is different between a session's stored results and those computed again: places, laps, and rows of every other kind.
//!
//! Places are computed from laps and rows whenever they are asked for (E3c), so both sides are by the present rules of classification;
//! what differs is what the rules for laps and other facts changed.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::view::SessionView;
use boxbox_schemas::EntryId;
use boxbox_schemas::results::{AnyRow, Lap, SessionInfo, Step};
use boxbox_store::StoredSession;
use serde::Serialize;
use serde_json::Value;

/// Fields that say how often something was written, or where: two computations may differ in them and mean the same.
const NOT_COMPARED: [&str; 1] = ["revision"];

/// One difference.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Difference {
    /// Whose.
    pub entry: EntryId,
    /// Of what: `place`, `lap 7 time_us`.
    pub what: String,
    /// As stored; `-`: there is none.
    pub before: String,
    /// As computed again; `-`: there is none.
    pub after: String,
}

/// The results of a session by entry, name of the thing, and field.
type Facts = BTreeMap<(EntryId, String), BTreeMap<String, Value>>;

/// What is different, by entry. `computed` is the step that replaces what is stored.
pub fn differences(stored: &StoredSession, computed: &Step) -> Vec<Difference> {
    let before = facts(&stored.info, &stored.laps, &stored.rows);
    // The present description, so that only results are compared.
    let info = computed.sessions.first().unwrap_or(&stored.info);
    let after = facts(info, &computed.laps, &computed.rows);
    let nothing = BTreeMap::new();
    let keys: BTreeSet<_> = before.keys().chain(after.keys()).collect();
    let mut all = vec![];
    for key in keys {
        let (old, new) = (before.get(key), after.get(key));
        let (entry, thing) = key;
        if let (None, Some(_)) | (Some(_), None) = (old, new) {
            let there = |side: Option<&BTreeMap<String, Value>>| if side.is_some() { "there" } else { "-" }.to_owned();
            all.push(Difference { entry: *entry, what: thing.clone(), before: there(old), after: there(new) });
            continue;
        }
        let (old, new) = (old.unwrap_or(&nothing), new.unwrap_or(&nothing));
        for field in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
            let (was, is) = (old.get(field).unwrap_or(&Value::Null), new.get(field).unwrap_or(&Value::Null));
            if was != is {
                let what = format!("{thing} {field}");
                all.push(Difference { entry: *entry, what, before: was.to_string(), after: is.to_string() });
            }
        }
    }
    all
}

fn facts(info: &SessionInfo, laps: &[Lap], rows: &[AnyRow]) -> Facts {
    let mut facts = Facts::new();
    for lap in laps.iter().filter(|lap| !lap.superseded) {
        facts.insert((lap.entry, format!("lap {}", lap.number)), fields(lap));
    }
    for row in rows.iter().filter(|row| !row.head.superseded) {
        let key = &row.head.key;
        let name = format!(
            "{} of {} at {:.3} s, slot {}, timeline {}",
            row.kind.as_str(),
            key.driver,
            seconds(row.head.sim_time_us),
            key.slot,
            key.timeline
        );
        // A row that cannot be read as JSON is compared as text.
        let body = serde_json::from_str(&row.body).unwrap_or_else(|_| BTreeMap::from([("row".to_owned(), Value::from(&*row.body))]));
        facts.insert((row.head.entry, name), body);
    }
    let mut view = SessionView::new(info.id);
    let checkpoint = boxbox_schemas::results::Checkpoint { log: boxbox_schemas::LogId(String::new()), partition: 0, offset: 0, crc: 0 };
    let step = Step { sessions: vec![info.clone()], laps: laps.to_vec(), rows: rows.to_vec(), ..Step::new(checkpoint) };
    view.apply(&step);
    for place in view.classification() {
        facts.insert((place.entry, "result".to_owned()), fields(&place));
    }
    facts
}

fn fields(of: &impl Serialize) -> BTreeMap<String, Value> {
    let Ok(Value::Object(fields)) = serde_json::to_value(of) else { return BTreeMap::new() };
    fields.into_iter().filter(|(name, _)| !NOT_COMPARED.contains(&name.as_str())).collect()
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1e6
}

/// The differences as a table.
pub fn table(differences: &[Difference]) -> Vec<String> {
    if differences.is_empty() {
        return vec![];
    }
    let width = |of: fn(&Difference) -> &str, head: &str| differences.iter().map(|d| of(d).chars().count()).chain([head.len()]).max().unwrap_or(0);
    let (entries, whats) = (width(|d| d.entry.as_str(), "entry"), width(|d| &d.what, "what"));
    let befores = width(|d| &d.before, "before");
    let row = |entry: &str, what: &str, before: &str, after: &str| format!("  {entry:<entries$}  {what:<whats$}  {before:<befores$}  {after}");
    let rows = differences.iter().map(|d| row(d.entry.as_str(), &d.what, &d.before, &d.after));
    [row("entry", "what", "before", "after")].into_iter().chain(rows).collect()
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::results::Checkpoint;
    use boxbox_schemas::{DriverId, LogId, RunId, Sim, Source, TenantId};
    use boxbox_testkit::laps;

    use super::*;

    #[test]
    fn what_differs_is_named_and_nothing_else() {
        let source = Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 };
        let info = SessionInfo::opened(TenantId::new("league").unwrap(), source, 0);
        let lap = |number: u32, end_us: i64| laps::lap(info.id, DriverId::new("driver-1").unwrap(), RunId([1; 16]), number, 0, end_us);
        let checkpoint = Checkpoint { log: LogId("log".into()), partition: 0, offset: 5, crc: 1 };
        let stored =
            StoredSession { checkpoint: checkpoint.clone(), info: info.clone(), ledgers: vec![], laps: vec![lap(1, 90), lap(2, 95)], rows: vec![] };
        let step = |laps: Vec<Lap>| Step { sessions: vec![info.clone()], laps, ..Step::new(checkpoint.clone()) };
        let again = Lap { revision: 9, ..lap(1, 90) };
        assert_eq!(differences(&stored, &step(vec![again, lap(2, 95), Lap { superseded: true, ..lap(3, 99) }])), []);
        assert_eq!(table(&[]), Vec::<String>::new());

        let found = differences(&stored, &step(vec![lap(1, 91)]));
        let named: Vec<(&str, &str, &str)> = found.iter().map(|d| (d.what.as_str(), d.before.as_str(), d.after.as_str())).collect();
        assert!(named.contains(&("lap 1 time_us", "90", "91")), "{named:?}");
        assert!(named.contains(&("lap 2", "there", "-")), "{named:?}");
        assert!(named.contains(&("result laps", "2", "1")), "{named:?}");
        assert_eq!(table(&found).len(), found.len() + 1);
    }
}
