//! Leagues on a real server.

use boxbox_schemas::league::Write;
use sqlx::{AssertSqlSafe, Executor};

use super::{on_a_server, server};
use crate::postgres::{PostgresResults, from_sqlx};
use crate::suite::leagues::by_hand::{FIXED, changes_by_hand_are_found, plans, tables_refuse_changes};
use crate::suite::leagues::killed::{killed_processes_leave_nothing_half_done, processes_at_once_lose_nothing, told, writes};

leagues_suite!(super::TestDatabase);

const CHILD: &str = "postgres::tests::leagues::a_process_that_writes";

on_a_server! {
    async fn the_tables_refuse_changes(database) {
        let truncated: Vec<String> = FIXED.iter().map(|table| format!("TRUNCATE {table}")).collect();
        let truncated: Vec<&str> = truncated.iter().map(String::as_str).collect();
        let execute = async |sql: &str| database.raw().await.execute(AssertSqlSafe(sql.to_owned())).await.map(drop).map_err(from_sqlx);
        tables_refuse_changes(&database.store().await, execute, &truncated).await;
    }
}

on_a_server! {
    async fn what_is_changed_by_hand_is_found(database) {
        database.execute("ALTER TABLE league_ledger DISABLE TRIGGER ALL").await;
        changes_by_hand_are_found(&database.store().await, async |sql| database.execute(sql).await).await;
    }
}

on_a_server! {
    async fn processes_are_killed(database) {
        killed_processes_leave_nothing_half_done(CHILD, &database.url, async || database.store().await).await;
    }
}

on_a_server! {
    async fn processes_write_at_once(database) {
        processes_at_once_lose_nothing(CHILD, &database.url, async || database.store().await).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that writes in the tests above"]
async fn a_process_that_writes() {
    let (Some((place, arguments)), Some((_, password))) = (told(), server()) else { return };
    writes(&PostgresResults::open(&place, Some(&password)).await.unwrap(), &arguments).await;
}

on_a_server! {
    /// No question about a league looks at rows of others.
    async fn questions_scan_nothing(database) {
        let mut c = database.raw().await;
        // With so few rows the server would rather scan.
        c.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan").await.unwrap();
        for (sql, plan) in plans(&mut c, "EXPLAIN", "QUERY PLAN").await {
            assert!(plan.iter().any(|line| line.contains("on league_") && line.contains("Index")), "{sql}: {plan:#?}");
            assert!(!plan.iter().any(|line| line.contains("Seq Scan on league_")), "{sql}: {plan:#?}");
        }
    }
}

on_a_server! {
    /// A server that is gone in the middle is told as unavailable, and what was asked can be repeated by its key.
    async fn a_write_that_was_cut_off_is_repeated(database) {
        use crate::Leagues as _;
        use boxbox_schemas::league::{IdempotencyKey, NewAct, Written};
        let store = database.store().await;
        let acts = vec![NewAct { at_us: 0, actor: "p-1".into(), kind: "x".into(), body: "{}".into() }];
        let key = IdempotencyKey { actor: "p-1".into(), key: "k".into(), request: Default::default(), at_us: 0, answer: "1".into() };
        let asked = Write {
            key: Some(key),
            ..Write::of(crate::suite::samples::tenant("a"), crate::suite::leagues::samples::league(1), 0, acts)
        };
        assert!(matches!(store.write(&asked).await.unwrap(), Written::Now(_)));
        let ended = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'boxbox-results'";
        database.execute(ended).await;
        let cut_off = store.write(&asked).await;
        assert!(cut_off.as_ref().is_err_and(crate::StoreError::is_retryable), "{cut_off:?}");
        assert_eq!(store.write(&asked).await.unwrap(), Written::Before("1".into()));
    }
}
