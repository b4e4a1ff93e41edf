//! The suites on a real server, and behaviour that only a server has: it hangs, vanishes, refuses logins, is migrated by another process.
//!
//! `POSTGRES_URL` and `POSTGRES_PASSWORD_FILE` name the server; each test creates its own database there and drops it.

use async_trait::async_trait;
use boxbox_schemas::LogId;
use sqlx::{Connection as _, Executor, Row as _};
use tokio::sync::OnceCell;

use super::server::Server;
use super::*;
use crate::suite::ResultsFixture;
use crate::suite::migrated::Before;
use crate::suite::samples::*;
use crate::{Member, Quarantined, Sessions, Step, Steps, StoreError};

mod cancels;
mod faults;
mod leagues;

/// The server that the environment names: its URL and password.
fn server() -> Option<(String, String)> {
    let url = std::env::var("POSTGRES_URL").ok()?;
    let file = std::env::var("POSTGRES_PASSWORD_FILE").ok()?;
    Some((url, std::fs::read_to_string(file).expect("POSTGRES_PASSWORD_FILE can be read").trim_end().to_owned()))
}

const MISSING: &str = "POSTGRES_URL and POSTGRES_PASSWORD_FILE are not set (cargo xtask stack up starts a server)";

/// A database for one test, dropped at the end.
struct TestDatabase {
    url: String,
    password: String,
    made: OnceCell<()>,
}

impl TestDatabase {
    /// A database that does not exist yet.
    fn new() -> Self {
        let (url, password) = server().expect("a test that needs a server asks for one first");
        let (address, query) = url.split_once('?').map_or((url.as_str(), String::new()), |(address, query)| (address, format!("?{query}")));
        let (authority, _) = address.rsplit_once('/').expect("POSTGRES_URL names a database");
        let url = format!("{authority}/boxbox_test_{:016x}{query}", fastrand::u64(..));
        Self { url, password, made: OnceCell::new() }
    }

    /// A database that exists and is migrated.
    async fn ready() -> Self {
        let database = Self::new();
        database.make().await;
        database
    }

    async fn make(&self) {
        let make = async {
            admin(&format!("CREATE DATABASE {}", self.name())).await;
            migrate(&self.url, Some(&self.password)).await.unwrap();
        };
        self.made.get_or_init(|| make).await;
    }

    fn name(&self) -> &str {
        let address = self.url.split('?').next().unwrap_or_default();
        address.rsplit('/').next().unwrap_or_default()
    }

    async fn store(&self) -> PostgresResults {
        PostgresResults::open(&self.url, Some(&self.password)).await.unwrap()
    }

    /// A plain connection.
    async fn raw(&self) -> sqlx::PgConnection {
        Server::parse(&self.url, Some(&self.password)).unwrap().named("test").connection().await.unwrap()
    }

    async fn execute(&self, sql: &str) {
        self.raw().await.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
    }
}

impl Drop for TestDatabase {
    fn drop(&mut self) {
        let drop = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name());
        let dropping = std::thread::spawn(move || {
            tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(async { admin(&drop).await });
        });
        dropping.join().unwrap();
    }
}

/// One statement in the database that the environment names.
async fn admin(sql: &str) {
    let (url, password) = server().unwrap();
    let mut connection = Server::parse(&url, Some(&password)).unwrap().named("test").connection().await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

#[async_trait]
impl ResultsFixture for TestDatabase {
    type Store = PostgresResults;
    fn missing() -> Option<&'static str> {
        server().is_none().then_some(MISSING)
    }
    fn new() -> Self {
        Self::new()
    }
    async fn open(&self) -> PostgresResults {
        self.make().await;
        self.store().await
    }
    async fn quarantine(&self, store: &PostgresResults, log: &LogId, partition: u32) -> Vec<Quarantined> {
        store.quarantine(log, partition).await.unwrap()
    }
}

/// A test that needs a server.
macro_rules! on_a_server {
    ($(#[$doc:meta])* async fn $name:ident($database:ident) $body:block) => {
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            if $crate::postgres::tests::server().is_none() {
                return boxbox_testkit::not_run(concat!(module_path!(), "::", stringify!($name)), $crate::postgres::tests::MISSING);
            }
            let $database = $crate::postgres::tests::TestDatabase::ready().await;
            $body
        }
    };
}
use on_a_server;

mod results {
    results_suite!(super::TestDatabase);
}
mod shared {
    shared_results_suite!(super::TestDatabase);
}

on_a_server! {
    async fn migrating_again_or_twice_at_once_does_no_harm(database) {
        migrate(&database.url, Some(&database.password)).await.unwrap();
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
        let e = PostgresResults::open(&database.url, Some(&database.password)).await.err().unwrap();
        assert!(matches!(&e, StoreError::Unreadable(_)) && e.to_string().contains("boxbox migrate"), "{e}");
        let four = (0..4).map(|_| migrate(&database.url, Some(&database.password)));
        for done in futures::future::join_all(four).await {
            done.unwrap();
        }
        database.store().await.ping().await.unwrap();
    }
}

on_a_server! {
    async fn another_schema_is_refused_plainly(database) {
        let open = async || PostgresResults::open(&database.url, Some(&database.password)).await.err().unwrap();
        database.execute("INSERT INTO _sqlx_migrations SELECT 999, description, now(), success, checksum, 0 FROM _sqlx_migrations LIMIT 1").await;
        let e = open().await;
        assert!(matches!(&e, StoreError::Unreadable(_)) && e.to_string().contains("999") && e.to_string().contains(database.name()), "{e}");
        let e = migrate(&database.url, Some(&database.password)).await.unwrap_err();
        assert!(e.to_string().contains("999"), "{e}");
        database.execute("DELETE FROM _sqlx_migrations WHERE version = 999; UPDATE _sqlx_migrations SET checksum = 'x'").await;
        assert!(open().await.to_string().contains("another one"));
        database.execute("DELETE FROM _sqlx_migrations").await;
        assert!(open().await.to_string().contains("boxbox migrate"));
    }
}

on_a_server! {
    /// F8: random rows, as version 2 of the schema keeps them.
    async fn rows_of_version_2_are_migrated(database) {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let before = Before::random(&mut fastrand::Rng::with_seed(seed));
        database.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public").await;
        let of_then = sqlx::migrate!("migrations/postgres").iter().filter(|m| m.version <= 2).cloned().collect();
        let mut c = database.raw().await;
        sqlx::migrate::Migrator::with_migrations(of_then).run_direct(None, &mut c, false).await.unwrap();
        before.put(&mut c).await;
        migrate(&database.url, Some(&database.password)).await.unwrap();
        before.check_views(&mut database.raw().await).await;
        before.check(&database.store().await).await;
    }
}

on_a_server! {
    async fn a_nul_in_a_reason_is_replaced(database) {
        let store = database.store().await;
        let lease = store.acquire(&log(), 3).await.unwrap();
        let quarantined = Quarantined { offset: 1, reason: "a\0b".into(), record: vec![0, 1].into() };
        store.commit(&lease, &Step { quarantine: vec![quarantined], ..empty_step(1) }).await.unwrap();
        assert_eq!(store.quarantine(&log(), 3).await.unwrap()[0].reason, "a\u{fffd}b");
    }
}

on_a_server! {
    /// Each lap that a step writes or withdraws is one row, with the step's offset, in the order of the steps; none of a
    /// refused step.
    async fn laps_go_through_the_outbox(database) {
        let store = database.store().await;
        let lease = store.acquire(&log(), 3).await.unwrap();
        let home = session(tenant("a"), 1);
        store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
        let gone = vec![(home.id, entry(1), 1), (home.id, entry(2), 1)];
        store.commit(&lease, &Step { withdrawn: gone, laps: vec![lap(home.id, entry(2), 1, 2)], ..empty_step(2) }).await.unwrap();
        let stranger = session(tenant("a"), 2);
        store.commit(&lease, &Step { laps: vec![lap(stranger.id, entry(1), 1, 1)], ..empty_step(3) }).await.unwrap_err();
        let rows = sqlx::query("SELECT part, log_offset, entry, number FROM lap_outbox WHERE log = $1 AND session = $2 ORDER BY id");
        let rows = rows.bind(log().0.as_str().to_owned()).bind(home.id.0.to_vec()).fetch_all(&mut database.raw().await).await.unwrap();
        let rows: Vec<(i64, i64, String, i64)> = rows.iter().map(|r| (r.get(0), r.get(1), r.get(2), r.get(3))).collect();
        let of = |offset, n| (3, offset, entry(n).as_str().to_owned(), 1);
        assert_eq!(rows, [of(1, 1), of(1, 2), of(1, 3), of(1, 4), of(1, 5), of(2, 1), of(2, 2)]);
    }
}

on_a_server! {
    /// However many laps there are, a query begins at its first row: no table is scanned.
    async fn questions_about_laps_scan_nothing(database) {
        let store = database.store().await;
        let lease = store.acquire(&log(), 3).await.unwrap();
        let (me, home) = (tenant("a"), session(tenant("a"), 1));
        let laps = (0..20_000).map(|n| lap(home.id, entry(n % 28), 1 + n / 28, 1)).collect();
        store.commit(&lease, &Step { sessions: vec![home.clone()], laps, ..empty_step(1) }).await.unwrap();
        database.execute("ANALYZE").await;
        let mut connection = database.raw().await;
        for (name, sql, index) in [("laps_at", moments::LAPS_AT, "laps_begun"), ("best_laps", moments::BEST_LAPS, "laps_best")] {
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF) {sql}"));
            let query = sqlx::query(explain).bind(me.as_str()).bind(&home.id.0[..]).bind(40_000_000_000i64);
            let query = if name == "best_laps" { query.bind(i64::MAX).bind(0i64) } else { query };
            let plan: Vec<String> = query.fetch_all(&mut connection).await.unwrap().iter().map(|row| row.get(0)).collect();
            println!("{name}:\n{}\n", plan.join("\n"));
            assert!(plan.iter().any(|line| line.contains(index)), "{plan:#?}");
            assert!(!plan.iter().any(|line| line.contains("Seq Scan on laps")), "{plan:#?}");
        }
    }
}
