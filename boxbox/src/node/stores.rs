//! The stores: SQLite files in the data folder, or PostgreSQL and ClickHouse, which several processes share.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, bail};
use boxbox_api::Stores;
use boxbox_schemas::secret::Secret;
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, Leagues, Sessions, Steps, clickhouse, postgres};

use crate::data::{DataFolder, read_secret};
use crate::show::report;

/// Age at which telemetry is removed where no other age is given.
pub const ARCHIVE_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3_600);
/// Bytes of telemetry that files keep where no other number is given.
pub const ARCHIVE_MAX_BYTES: u64 = 20 << 30;

/// Where results and frames are kept.
#[derive(Clone, Debug, Default)]
pub enum StoreOptions {
    /// Files in the data folder.
    #[default]
    Files,
    /// PostgreSQL and ClickHouse.
    Servers(ServerOptions),
}

/// PostgreSQL and ClickHouse, which several processes share.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// PostgreSQL, for results.
    pub results: Login,
    /// ClickHouse, for frames.
    pub archive: Login,
    /// How ClickHouse keeps frames.
    pub clickhouse: clickhouse::Options,
}

/// How to log in to a server.
#[derive(Clone, Debug)]
pub struct Login {
    /// Its URL, with the user and without the password.
    pub url: String,
    /// File with the password, if there is one.
    pub password_file: Option<PathBuf>,
}

impl Login {
    /// The password in the file.
    ///
    /// # Errors
    /// If the file cannot be read or holds no password.
    pub fn password(&self) -> anyhow::Result<Option<Secret>> {
        self.password_file.as_deref().map(read_secret).transpose()
    }

    /// The results in PostgreSQL.
    ///
    /// # Errors
    /// As [`Login::password`], and if the store cannot be opened or does not answer.
    pub async fn open_results(&self) -> anyhow::Result<postgres::PostgresResults> {
        let password = self.password()?;
        let opened = postgres::PostgresResults::open(&self.url, password.as_ref().map(Secret::expose)).await;
        opened.context("cannot open the results store that --results-url names")
    }
}

/// The open stores: for the processor, which writes, and for readers.
#[derive(Clone)]
pub struct Opened {
    /// Leases and commits, for the processor.
    pub steps: Arc<dyn Steps>,
    /// The same results, for readers.
    pub sessions: Arc<dyn Sessions>,
    /// What leagues decided.
    pub leagues: Arc<dyn Leagues>,
    /// Frames.
    pub archive: Arc<dyn Archive>,
}

impl Opened {
    fn of(results: impl Steps + Sessions + Leagues, archive: impl Archive) -> Self {
        let results = Arc::new(results);
        Self { steps: results.clone(), sessions: results.clone(), leagues: results, archive: Arc::new(archive) }
    }

    /// The stores as the API takes them.
    pub fn readers(self) -> Stores {
        Stores { sessions: self.sessions, leagues: self.leagues, archive: self.archive }
    }
}

/// Open the stores.
///
/// # Errors
/// If a password file cannot be read, a store cannot be opened, or a server does not answer.
pub async fn open(options: &StoreOptions, folder: &DataFolder) -> anyhow::Result<Opened> {
    let ServerOptions { results, archive, clickhouse } = match options {
        StoreOptions::Servers(servers) => servers,
        StoreOptions::Files => {
            let results = SqliteResults::open(&folder.results()).await.context("cannot open the results store")?;
            let archive = SqliteArchive::open(&folder.archive()).await.context("cannot open the archive")?;
            return Ok(Opened::of(results, archive));
        }
    };
    let (results_password, archive_password) = (results.password()?, archive.password()?);
    let (results_password, archive_password) = (results_password.as_ref().map(Secret::expose), archive_password.as_ref().map(Secret::expose));
    let opened = results.open_results().await?;
    let archive = clickhouse::ClickHouseArchive::open(&archive.url, archive_password, (results.url.as_str(), results_password), clickhouse.clone())
        .await
        .context("cannot open the archive that --archive-url names")?;
    Ok(Opened::of(opened, archive))
}

/// Why there is nothing to do for `migrate` in the embedded profile.
pub const NOTHING_TO_MIGRATE: &str =
    "nothing to migrate: files in the data folder are brought up to date when they are opened. Give --results-url and --archive-url";

/// `migrate`
pub async fn migrate(options: &StoreOptions) -> anyhow::Result<()> {
    let StoreOptions::Servers(ServerOptions { results, archive, clickhouse }) = options else {
        bail!(NOTHING_TO_MIGRATE);
    };
    let (results_password, archive_password) = (results.password()?, archive.password()?);
    postgres::migrate(&results.url, results_password.as_ref().map(Secret::expose))
        .await
        .context("cannot prepare the results store that --results-url names")?;
    report::line("results  PostgreSQL has this program's schema");
    clickhouse::migrate(&archive.url, archive_password.as_ref().map(Secret::expose), clickhouse)
        .await
        .context("cannot prepare the archive that --archive-url names")?;
    report::line("archive  ClickHouse has this program's tables");
    Ok(())
}
