//! Databases for one test, on servers that the environment names.

use std::sync::atomic::{AtomicU32, Ordering};

use async_trait::async_trait;
use boxbox_schemas::LogId;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, Connection};

use super::super::server::Server;
use super::super::{ClickHouseArchive, Options, migrate};
use crate::suite::ArchiveFixture;
use crate::suite::samples::log;
use crate::{Lease, StoreError};

/// A server's URL, up to the database, and its password.
#[derive(Clone)]
pub(super) struct TestServer {
    url: String,
    password: String,
}

impl TestServer {
    fn named(name: &str) -> Option<Self> {
        let var = |suffix: &str| std::env::var(format!("{name}_{suffix}")).ok().filter(|value| !value.is_empty());
        let url = var("URL")?;
        let password = std::fs::read_to_string(var("PASSWORD_FILE")?).unwrap_or_else(|e| panic!("{name}_PASSWORD_FILE: {e}"));
        Some(Self { url, password: password.trim_end().to_owned() })
    }

    /// The same server's database `name`.
    fn of(&self, name: &str) -> String {
        let (address, query) = self.url.split_once('?').unwrap_or((&self.url, ""));
        let (scheme, rest) = address.split_once("://").unwrap();
        let authority = rest.split('/').next().unwrap();
        format!("{scheme}://{authority}/{name}{}{query}", if query.is_empty() { "" } else { "?" })
    }
}

/// A database on each server, dropped at the end, however it ends.
pub(super) struct Fixture {
    clickhouse: TestServer,
    postgres: TestServer,
    pub(super) name: String,
    pub(super) options: Options,
    owner: bool,
}

impl Fixture {
    /// `None`, having said so, where there are no servers.
    pub(super) async fn start(test: &str) -> Option<Self> {
        Self::start_with(test, Options::default()).await
    }

    pub(super) async fn start_with(test: &str, options: Options) -> Option<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let (Some(clickhouse), Some(postgres)) = (TestServer::named("CLICKHOUSE"), TestServer::named("POSTGRES")) else {
            eprintln!(
                "NOT RUN: {test}: no ClickHouse and PostgreSQL (CLICKHOUSE_URL, CLICKHOUSE_PASSWORD_FILE, POSTGRES_URL, POSTGRES_PASSWORD_FILE)"
            );
            return None;
        };
        let name = format!("boxbox_test_{}_{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let fixture = Self { clickhouse, postgres, name, options, owner: true };
        fixture.on_postgres(&format!("CREATE DATABASE {}", fixture.name)).await;
        crate::postgres::migrate(&fixture.postgres.of(&fixture.name), Some(&fixture.postgres.password)).await.unwrap();
        fixture.migrate().await.unwrap();
        for (log, partition) in [(log(), 3), (log(), 4), (LogId("other".into()), 3)] {
            fixture.sql(&format!("INSERT INTO partitions (log, part, epoch) VALUES ('{log}', {partition}, 1)")).await;
        }
        Some(fixture)
    }

    /// The databases of a fixture in another process.
    pub(super) fn existing(name: &str) -> Self {
        let server = |of: &str| TestServer::named(of).unwrap();
        Self { clickhouse: server("CLICKHOUSE"), postgres: server("POSTGRES"), name: name.into(), options: Options::default(), owner: false }
    }

    pub(super) async fn migrate(&self) -> Result<(), StoreError> {
        migrate(&self.clickhouse.of(&self.name), Some(&self.clickhouse.password), &self.options).await
    }

    pub(super) async fn try_open(&self, options: Options) -> Result<ClickHouseArchive, StoreError> {
        let postgres = self.postgres.of(&self.name);
        let url = self.clickhouse.of(&self.name);
        ClickHouseArchive::open(&url, Some(&self.clickhouse.password), (&postgres, Some(&self.postgres.password)), options).await
    }

    pub(super) async fn results(&self) -> crate::postgres::PostgresResults {
        crate::postgres::PostgresResults::open(&self.postgres.of(&self.name), Some(&self.postgres.password)).await.unwrap()
    }

    pub(super) fn server(&self) -> Server {
        Server::parse(&self.clickhouse.of(&self.name), Some(&self.clickhouse.password), false).unwrap()
    }

    /// A statement to ClickHouse.
    pub(super) async fn clickhouse(&self, sql: &str) {
        self.server().execute(self.server().client.query_raw(sql).with_setting("mutations_sync", "2")).await.unwrap();
    }

    /// Statements to PostgreSQL.
    pub(super) async fn sql(&self, sql: &str) {
        let mut c = self.connection(&self.name).await;
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut c).await.unwrap();
        c.close().await.unwrap();
    }

    /// Give the suite's partition to another owner.
    pub(super) async fn take_over(&self, lease: &Lease) -> Lease {
        self.sql(&format!("UPDATE partitions SET epoch = epoch + 1 WHERE log = '{}' AND part = {}", lease.log, lease.partition)).await;
        Lease { epoch: lease.epoch + 1, ..lease.clone() }
    }

    async fn connection(&self, database: &str) -> PgConnection {
        let options: PgConnectOptions = self.postgres.url.parse().unwrap();
        PgConnection::connect_with(&options.password(&self.postgres.password).database(database)).await.unwrap()
    }

    async fn on_postgres(&self, sql: &str) {
        let options: PgConnectOptions = self.postgres.url.parse().unwrap();
        let mut c = PgConnection::connect_with(&options.password(&self.postgres.password)).await.unwrap();
        sqlx::raw_sql(AssertSqlSafe(sql.to_owned())).execute(&mut c).await.unwrap();
        c.close().await.unwrap();
    }

    async fn remove(&self) {
        self.on_postgres(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name)).await;
        let server = self.server();
        let anywhere = server.client.clone().with_database("system");
        server.execute(anywhere.query_raw(&format!("DROP DATABASE IF EXISTS {} SYNC", self.name))).await.unwrap();
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        if !self.owner {
            return;
        }
        // A runtime of its own, since a drop cannot wait in the test's.
        std::thread::scope(|scope| {
            let removing = scope.spawn(|| tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(self.remove()));
            if removing.join().is_err() {
                eprintln!("the databases {} are left behind", self.name);
            }
        });
    }
}

#[async_trait]
impl ArchiveFixture for Fixture {
    type Store = ClickHouseArchive;

    fn new() -> Self {
        unreachable!("started by the tests, which may find no servers")
    }

    async fn open(&self) -> ClickHouseArchive {
        self.try_open(self.options.clone()).await.unwrap()
    }
}
