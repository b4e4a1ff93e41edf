//! What people do to tables of leagues with a database tool: the tables refuse it, and where the triggers are gone it is found.

use boxbox_schemas::league::ChainFault::{Content, End, Number, Previous};
use boxbox_schemas::league::Write;

use super::samples::*;
use crate::sql::{Sql, league};
use crate::suite::samples::tenant;
use crate::{Leagues, StoreError, check_ledger};

/// Tables whose rows are never changed or removed.
pub(crate) const FIXED: [&str; 3] = ["league_ledger", "league_revisions", "league_facts"];

/// `execute` runs a statement on a plain connection.
pub(crate) async fn tables_refuse_changes(store: &impl Leagues, execute: impl AsyncFn(&str) -> Result<(), StoreError>, more: &[&str]) {
    done(store, &of_everything(0)).await;
    let before = Dump::of_1(store).await;
    let mut tried: Vec<String> =
        FIXED.iter().flat_map(|table| [format!("UPDATE {table} SET body = '{{}}'"), format!("DELETE FROM {table}")]).collect();
    tried.push("UPDATE league_ledger SET tenant = 'b'".into());
    tried.push("UPDATE league_texts SET text = 'x'".into());
    tried
        .push("INSERT INTO league_ledger SELECT tenant, league, 0, at_us, actor, kind, previous, hash, body FROM league_ledger WHERE seq = 1".into());
    tried
        .push("INSERT INTO league_ledger SELECT tenant, league, 2, at_us, actor, kind, previous, hash, '{}' FROM league_ledger WHERE seq = 2".into());
    tried.extend(more.iter().map(|sql| (*sql).to_owned()));
    for sql in &tried {
        let done = execute(sql).await;
        assert!(matches!(done, Err(StoreError::Refused(_))), "{sql}: {done:?}");
        assert_eq!(Dump::of_1(store).await, before, "{sql}");
    }
    // What may be done: a projection is computed again, and a text is erased.
    execute("DELETE FROM league_docs").await.unwrap();
    execute("DELETE FROM league_texts WHERE owner = 'p-1'").await.unwrap();
    assert_eq!(Dump::of_1(store).await.texts.len(), 1);
}

/// `execute` runs a statement on a connection of somebody who has removed the triggers.
pub(crate) async fn changes_by_hand_are_found(store: &impl Leagues, execute: impl AsyncFn(&str)) {
    let copy = "INSERT INTO league_ledger SELECT tenant, league, seq + 1, at_us, actor, kind, previous, hash, body FROM league_ledger WHERE seq = 6";
    let cases = [
        ("UPDATE league_ledger SET body = '{}' WHERE seq = 3", Content { seq: 3 }),
        ("UPDATE league_ledger SET body = '{\"n\": 0}' WHERE seq = 1", Content { seq: 1 }),
        ("UPDATE league_ledger SET at_us = at_us + 1 WHERE seq = 6", Content { seq: 6 }),
        ("UPDATE league_ledger SET actor = 'p-9' WHERE seq = 4", Content { seq: 4 }),
        ("UPDATE league_ledger SET kind = 'x' WHERE seq = 4", Content { seq: 4 }),
        ("UPDATE league_ledger SET hash = previous WHERE seq = 4", Content { seq: 4 }),
        ("UPDATE league_ledger SET previous = hash WHERE seq = 4", Previous { seq: 4 }),
        ("DELETE FROM league_ledger WHERE seq = 1", Number { expected: 1, found: 2 }),
        ("DELETE FROM league_ledger WHERE seq = 5", Number { expected: 5, found: 6 }),
        ("DELETE FROM league_ledger WHERE seq = 6", End { expected: 6, found: 5 }),
        ("UPDATE league_ledger SET seq = seq + 100 WHERE seq = 6", Number { expected: 6, found: 106 }),
        ("UPDATE league_heads SET seq = 5 WHERE seq = 6", End { expected: 5, found: 6 }),
        ("UPDATE league_heads SET seq = 7 WHERE seq = 6", End { expected: 7, found: 6 }),
        ("DELETE FROM league_heads WHERE seq = 6", End { expected: 0, found: 6 }),
        (copy, Previous { seq: 7 }),
    ];
    for (n, (sql, fault)) in cases.iter().enumerate() {
        let (me, home) = (tenant("a"), league(n as u32 + 1));
        done(store, &Write { league: home, ..write(0, 6) }).await;
        execute(&format!("{sql} AND league = '{home}'")).await;
        assert_eq!(check_ledger(store, &me, &home).await.unwrap(), Err(*fault), "{sql}");
        assert!(store.traces(&me, None, 1_000).await.unwrap().contains(&home), "{sql}: a league without a head is still listed");
    }
    let (me, home) = (tenant("a"), league(99));
    done(store, &Write { league: home, ..write(0, 6) }).await;
    assert!(check_ledger(store, &me, &home).await.unwrap().is_ok());
}

/// Every statement that reads leagues, with the lines of its plan. `explain` stands in front of it, and `column` has a line.
pub(crate) async fn plans(c: &mut dyn Sql, explain: &str, column: &str) -> Vec<(&'static str, Vec<String>)> {
    let mut plans = vec![];
    for (sql, parameters) in league::STATEMENTS {
        let lines = crate::sql::all(c, &format!("{explain} {sql}"), parameters, |row| row.text(column).map(str::to_owned)).await.unwrap();
        assert!(!lines.is_empty());
        plans.push((sql, lines));
    }
    plans
}
