//! [`Place`]: where a server of a test keeps what it has. Files in a folder (the embedded profile), or a topic, a database and
//! tables of its own on real engines (the server profile), as `cargo xtask test` and `cargo xtask stack up` name them.

use std::path::{Path, PathBuf};

use boxbox_schemas::secret::Secret;
use boxbox_testkit::not_run;
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;

use super::{Server, boxbox};

/// Partitions of a log of the server profile.
pub const PARTITIONS: u32 = 4;

/// Engines of a stack, and what one test has of them.
#[derive(Clone)]
pub struct Engines {
    /// Of Kafka, `host:port`.
    pub brokers: String,
    postgres: String,
    postgres_password_file: PathBuf,
    clickhouse: String,
    clickhouse_password_file: PathBuf,
    /// The topic's name.
    pub name: String,
    /// The name of the database, and of that of ClickHouse's tables.
    pub stores: String,
}

impl Engines {
    /// With a name of its own; `None` (said as NOT RUN) if the environment does not name all three.
    pub fn new(test: &str) -> Option<Self> {
        let engines = Self::named();
        if engines.is_none() {
            not_run(test, "KAFKA_BROKERS, POSTGRES_URL and CLICKHOUSE_URL are not set: `cargo xtask stack up` starts all three");
        }
        engines
    }

    fn named() -> Option<Self> {
        let unique = unique();
        Some(Self {
            brokers: set("KAFKA_BROKERS")?,
            postgres: set("POSTGRES_URL")?,
            postgres_password_file: set("POSTGRES_PASSWORD_FILE")?.into(),
            clickhouse: set("CLICKHOUSE_URL")?,
            clickhouse_password_file: set("CLICKHOUSE_PASSWORD_FILE")?.into(),
            name: unique.clone(),
            stores: unique,
        })
    }

    /// Of a stack of the test's own.
    pub fn of_stack(stack: &boxbox_testkit::stack::Stack) -> Self {
        let all: std::collections::BTreeMap<String, String> = stack.variables().into_iter().collect();
        let unique = unique();
        Self {
            brokers: all["KAFKA_BROKERS"].clone(),
            postgres: all["POSTGRES_URL"].clone(),
            postgres_password_file: all["POSTGRES_PASSWORD_FILE"].clone().into(),
            clickhouse: all["CLICKHOUSE_URL"].clone(),
            clickhouse_password_file: all["CLICKHOUSE_PASSWORD_FILE"].clone().into(),
            name: unique.clone(),
            stores: unique,
        }
    }

    /// The same log, other stores.
    pub fn with_stores(&self, stores: &str) -> Self {
        Self { stores: stores.into(), ..self.clone() }
    }

    /// URL of the log.
    pub fn log(&self) -> String {
        format!("kafka://{}/{}?partitions={PARTITIONS}", self.brokers, self.name)
    }
    /// URL of the results.
    pub fn results(&self) -> String {
        in_database(&self.postgres, &self.stores)
    }
    /// URL of the archive.
    pub fn archive(&self) -> String {
        in_database(&self.clickhouse, &self.stores)
    }
    /// Where PostgreSQL answers, `host:port`.
    pub fn results_address(&self) -> &str {
        self.postgres.split_once('@').unwrap().1.split('/').next().unwrap()
    }
    /// The options of an edge that asks for results at `address`.
    pub fn asking_args(&self, address: &str) -> Vec<String> {
        let url = self.results().replace(self.results_address(), address);
        let file = self.postgres_password_file.to_str().unwrap().to_owned();
        vec!["--results-url".into(), url, "--results-password-file".into(), file]
    }
    /// PostgreSQL's.
    pub fn results_password(&self) -> Secret {
        secret(&self.postgres_password_file)
    }
    /// ClickHouse's.
    pub fn archive_password(&self) -> Secret {
        secret(&self.clickhouse_password_file)
    }

    /// Options for the services.
    pub fn args(&self) -> Vec<String> {
        let mut args = vec!["--log-url".into(), self.log()];
        args.extend(self.store_args());
        args
    }

    /// Options that name the stores.
    pub fn store_args(&self) -> Vec<String> {
        let file = |path: &Path| path.to_str().unwrap().to_owned();
        vec![
            "--results-url".into(),
            self.results(),
            "--results-password-file".into(),
            file(&self.postgres_password_file),
            "--archive-url".into(),
            self.archive(),
            "--archive-password-file".into(),
            file(&self.clickhouse_password_file),
        ]
    }

    /// Make the database, and everything that `boxbox migrate` makes.
    pub fn prepare(&self) {
        self.sql(&format!("CREATE DATABASE {}", self.stores));
        let args = self.store_args();
        let out = boxbox(&[&["migrate"][..], &args.iter().map(String::as_str).collect::<Vec<_>>()].concat()).output().unwrap();
        assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    }

    /// Run a statement on PostgreSQL's own database.
    fn sql(&self, statement: &str) {
        let options: PgConnectOptions = self.postgres.parse().unwrap();
        let options = options.password(self.results_password().expose());
        // A thread of its own: this is also called within a runtime.
        std::thread::scope(|scope| {
            let run = || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async {
                    let mut connection = options.connect().await.unwrap();
                    sqlx::raw_sql(sqlx::AssertSqlSafe(statement.to_owned())).execute(&mut connection).await.unwrap();
                });
            };
            scope.spawn(run).join().unwrap();
        });
    }

    /// What ClickHouse answers to a question about this test's tables, as text.
    pub fn ask(&self, query: &str) -> String {
        self.ask_in(&self.stores, query)
    }

    /// As [`Engines::ask`]; `None` if ClickHouse does not answer, or is not there any more.
    pub fn try_ask(&self, query: &str) -> Option<String> {
        self.answer(&self.stores, query).ok()
    }

    fn ask_in(&self, database: &str, query: &str) -> String {
        self.answer(database, query).unwrap()
    }

    fn answer(&self, database: &str, query: &str) -> anyhow::Result<String> {
        let place = self.clickhouse.strip_prefix("clickhouse://").unwrap();
        let (user, rest) = place.split_once('@').unwrap();
        let (address, _) = rest.split_once('/').unwrap();
        let password = Secret::from_file_content(&std::fs::read(&self.clickhouse_password_file)?)?;
        let mut answer = ureq::post(format!("http://{address}/?database={database}"))
            .header("X-ClickHouse-User", user)
            .header("X-ClickHouse-Key", password.expose())
            .send(query)?;
        Ok(answer.body_mut().read_to_string()?.trim_end().to_owned())
    }

    /// Remove what [`Engines::prepare`] made.
    pub fn remove(&self) {
        self.sql(&format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.stores));
        self.ask_in("system", &format!("DROP DATABASE IF EXISTS {} SYNC", self.stores));
    }
}

/// What the environment says, if it says anything.
fn set(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn unique() -> String {
    format!("e2e_{:016x}", fastrand::u64(..))
}

fn in_database(url: &str, name: &str) -> String {
    format!("{}/{name}", url.rsplit_once('/').unwrap().0)
}

fn secret(file: &Path) -> Secret {
    Secret::from_file_content(&std::fs::read(file).unwrap()).unwrap()
}

/// Where a server keeps what it has; gone with this value.
pub struct Place {
    /// `embedded` or `server`.
    pub profile: &'static str,
    folder: tempfile::TempDir,
    engines: Option<Engines>,
}

impl Place {
    /// Files in a folder.
    pub fn embedded() -> Self {
        Self { profile: "embedded", folder: tempfile::tempdir().unwrap(), engines: None }
    }

    /// On real engines; `None` (said as NOT RUN) where there are none.
    pub fn server(test: &str) -> Option<Self> {
        let engines = Engines::new(test)?;
        engines.prepare();
        Some(Self { profile: "server", folder: tempfile::tempdir().unwrap(), engines: Some(engines) })
    }

    /// One of each profile.
    pub fn both(test: &str) -> Vec<Self> {
        std::iter::once(Self::embedded()).chain(Self::server(test)).collect()
    }

    /// Options that say where, for every command that takes them.
    pub fn args(&self) -> Vec<String> {
        let mut args = vec!["--data".into(), self.data().to_str().unwrap().to_owned()];
        args.extend(self.engines.iter().flat_map(Engines::args));
        args
    }

    /// The data folder.
    pub fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// A folder for anything else.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The engines, if it is on any.
    pub fn engines(&self) -> Option<&Engines> {
        self.engines.as_ref()
    }

    /// `command` with these options and more.
    pub fn with<'a>(&'a self, args: &'a [String], command: &[&'a str]) -> Vec<&'a str> {
        command.iter().copied().chain(args.iter().map(String::as_str)).collect()
    }

    /// All services, on free ports.
    pub fn up(&self) -> Server {
        let args = self.args();
        Server::start(&self.with(&args, &["up", "--quic-port", "0", "--api-port", "0"]))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(engines) = &self.engines
            && !std::thread::panicking()
        {
            engines.remove();
        }
    }
}
