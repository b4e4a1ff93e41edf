//! Leagues in a file.

use boxbox_schemas::league::{Erasure, Text, Write, Written};
use sqlx::{AssertSqlSafe, Connection};

use super::{Folder, raw};
use crate::sqlite::SqliteResults;
use crate::sqlite::error::from_sqlx;
use crate::suite::ResultsFixture;
use crate::suite::leagues::by_hand::{FIXED, changes_by_hand_are_found, plans, tables_refuse_changes};
use crate::suite::leagues::killed::{killed_processes_leave_nothing_half_done, processes_at_once_lose_nothing, told, writes};
use crate::suite::leagues::samples::league;
use crate::suite::samples::tenant;
use crate::{Leagues, StoreError};

leagues_suite!(super::Folder);

const CHILD: &str = "sqlite::tests::leagues::a_process_that_writes";

async fn try_execute(folder: &Folder, sql: &str) -> Result<(), StoreError> {
    let mut c = raw(&folder.path()).await;
    let done = sqlx::query(AssertSqlSafe(sql.to_owned())).execute(&mut c).await.map(drop).map_err(from_sqlx);
    c.close().await.unwrap();
    done
}

#[tokio::test]
async fn the_tables_refuse_changes() {
    let folder: Folder = ResultsFixture::new();
    let store = ResultsFixture::open(&folder).await;
    let replaced: Vec<String> = FIXED.iter().map(|table| format!("INSERT OR REPLACE INTO {table} SELECT * FROM {table}")).collect();
    let replaced: Vec<&str> = replaced.iter().map(String::as_str).collect();
    tables_refuse_changes(&store, async |sql| try_execute(&folder, sql).await, &replaced).await;
}

#[tokio::test]
async fn what_is_changed_by_hand_is_found() {
    let folder: Folder = ResultsFixture::new();
    let store = ResultsFixture::open(&folder).await;
    for change in ["update", "delete", "replace"] {
        try_execute(&folder, &format!("DROP TRIGGER league_ledger_{change}")).await.unwrap();
    }
    changes_by_hand_are_found(&store, async |sql| try_execute(&folder, sql).await.unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_are_killed() {
    let folder: Folder = ResultsFixture::new();
    let place = folder.path();
    let open = async || {
        // The write-ahead log of the process that died is recovered by whoever opens the file.
        ResultsFixture::open(&folder).await
    };
    killed_processes_leave_nothing_half_done(CHILD, place.to_str().unwrap(), open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_write_at_once() {
    let folder: Folder = ResultsFixture::new();
    ResultsFixture::open(&folder).await.close().await;
    processes_at_once_lose_nothing(CHILD, folder.path().to_str().unwrap(), async || ResultsFixture::open(&folder).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that writes in the tests above"]
async fn a_process_that_writes() {
    let Some((place, arguments)) = told() else { return };
    writes(&SqliteResults::open(place.as_ref()).await.unwrap(), &arguments).await;
}

/// No question about a league looks at rows of others.
#[tokio::test]
async fn questions_scan_nothing() {
    let folder: Folder = ResultsFixture::new();
    ResultsFixture::open(&folder).await.close().await;
    for (sql, plan) in plans(&mut raw(&folder.path()).await, "EXPLAIN QUERY PLAN", "detail").await {
        assert!(plan.iter().any(|line| line.contains("SEARCH league_")), "{sql}: {plan:#?}");
        assert!(!plan.iter().any(|line| line.contains("SCAN league_")), "{sql}: {plan:#?}");
        assert!(!sql.contains("league_heads") || plan.iter().all(|line| line.contains("USING PRIMARY KEY")), "{sql}: {plan:#?}");
    }
}

/// A text that is erased is in no file of the store any more; the texts of others are.
#[tokio::test]
async fn what_is_erased_is_not_in_the_files() {
    let folder: Folder = ResultsFixture::new();
    let store = ResultsFixture::open(&folder).await;
    let (gone, stays) = (Text::new("p-1", [1; 16], "Gone Fittipaldi ".repeat(900)), Text::new("p-2", [2; 16], "Stays Fittipaldi"));
    let acts = vec![boxbox_schemas::league::NewAct { at_us: 0, actor: "p-1".into(), kind: "x".into(), body: "{}".into() }];
    let write = Write { texts: vec![gone, stays], ..Write::of(tenant("a"), league(1), 0, acts) };
    assert!(matches!(store.write(&write).await.unwrap(), Written::Now(_)));
    let holds = |wanted: &str| {
        let files = std::fs::read_dir(folder.path().parent().unwrap()).unwrap();
        files.map(|file| std::fs::read(file.unwrap().path()).unwrap()).any(|bytes| bytes.windows(wanted.len()).any(|w| w == wanted.as_bytes()))
    };
    assert!(holds("Gone Fittipaldi") && holds("Stays Fittipaldi"));
    let erased = vec![Erasure::Owner("p-1".into())];
    assert!(matches!(store.write(&Write { erased, ..Write::of(tenant("a"), league(1), 1, vec![]) }).await.unwrap(), Written::Now(_)));
    assert!(!holds("Gone Fittipaldi"), "while the store is open");
    assert!(holds("Stays Fittipaldi"));
}
