//! The stores by their URLs: SQLite files in the data folder, or PostgreSQL and ClickHouse, which several processes share.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, bail};
use boxbox_api::Stores;
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, Sessions, Steps, clickhouse, postgres};
use clap::Args;

use boxbox_schemas::secret::Secret;

use crate::node::data::{DataFolder, read_secret};

/// Where results and frames are kept.
#[derive(Args, Clone, Debug)]
pub struct StoreArgs {
    /// Results: nothing for a file in the data folder, or postgres://USER@HOST:PORT/DATABASE[?sslmode=…&sslrootcert=…]
    #[arg(long, env = "BOXBOX_RESULTS_URL", requires = "archive_url")]
    pub results_url: Option<String>,
    /// File with the password for --results-url
    #[arg(long, env = "BOXBOX_RESULTS_PASSWORD_FILE")]
    pub results_password_file: Option<PathBuf>,
    /// Frames: nothing for a file in the data folder, or clickhouse://USER@HOST:PORT/DATABASE[?tls=on&ca=…], beside --results-url
    #[arg(long, env = "BOXBOX_ARCHIVE_URL", requires = "results_url")]
    pub archive_url: Option<String>,
    /// File with the password for --archive-url
    #[arg(long, env = "BOXBOX_ARCHIVE_PASSWORD_FILE")]
    pub archive_password_file: Option<PathBuf>,
    /// Engine of new ClickHouse tables, e.g. ReplicatedMergeTree('/clickhouse/tables/{shard}/{table}', '{replica}') [default: MergeTree]
    #[arg(long, env = "BOXBOX_ARCHIVE_ENGINE", hide = true)]
    pub archive_engine: Option<String>,
    /// To be raised by one when frames were removed from ClickHouse by hand and are to be archived again from the log
    #[arg(long, env = "BOXBOX_ARCHIVE_GENERATION", hide = true)]
    pub archive_generation: Option<u32>,
}

/// URLs with their passwords.
struct Server<'a> {
    results: &'a str,
    results_password: Option<Secret>,
    archive: &'a str,
    archive_password: Option<Secret>,
    options: clickhouse::Options,
}

impl StoreArgs {
    /// Whether the stores are servers, which other processes reach as well.
    pub fn is_server(&self) -> bool {
        self.results_url.is_some()
    }

    fn server(&self, max_age: std::time::Duration) -> anyhow::Result<Option<Server<'_>>> {
        let (results, archive) = match (&self.results_url, &self.archive_url) {
            (None, None) => return Ok(None),
            (Some(results), Some(archive)) => (results, archive),
            _ => bail!("--results-url and --archive-url go together: PostgreSQL keeps what ClickHouse's archive has to know of itself"),
        };
        let defaults = clickhouse::Options::default();
        Ok(Some(Server {
            results,
            results_password: self.results_password_file.as_deref().map(read_secret).transpose()?,
            archive,
            archive_password: self.archive_password_file.as_deref().map(read_secret).transpose()?,
            options: clickhouse::Options {
                engine: self.archive_engine.clone().unwrap_or(defaults.engine),
                generation: self.archive_generation.unwrap_or(defaults.generation),
                max_age: Some(max_age),
                ..defaults
            },
        }))
    }
}

/// Stores that are open: what the processor writes, and what is read of it.
#[derive(Clone)]
pub struct Opened {
    /// Leases and commits, for the processor.
    pub steps: Arc<dyn Steps>,
    /// The same results, for readers.
    pub sessions: Arc<dyn Sessions>,
    /// Frames.
    pub archive: Arc<dyn Archive>,
}

impl Opened {
    fn of(results: impl Steps + Sessions, archive: impl Archive) -> Self {
        let results = Arc::new(results);
        Self { steps: results.clone(), sessions: results, archive: Arc::new(archive) }
    }

    /// What the API is given of them.
    pub fn readers(self) -> Stores {
        Stores { sessions: self.sessions, archive: self.archive }
    }
}

/// Open the stores; `max_age` is how long frames are kept.
pub async fn open(args: &StoreArgs, folder: &DataFolder, max_age: std::time::Duration) -> anyhow::Result<Opened> {
    let Some(server) = args.server(max_age)? else {
        let results = SqliteResults::open(&folder.results()).await.context("cannot open the results store")?;
        let archive = SqliteArchive::open(&folder.archive()).await.context("cannot open the archive")?;
        return Ok(Opened::of(results, archive));
    };
    let Server { results, results_password, archive, archive_password, options } = server;
    let (results_password, archive_password) = (results_password.as_ref().map(Secret::expose), archive_password.as_ref().map(Secret::expose));
    let opened = postgres::PostgresResults::open(results, results_password).await.context("cannot open the results store")?;
    let archive = clickhouse::ClickHouseArchive::open(archive, archive_password, (results, results_password), options)
        .await
        .context("cannot open the archive")?;
    Ok(Opened::of(opened, archive))
}

/// `migrate`
pub async fn migrate(args: &StoreArgs, max_age: std::time::Duration) -> anyhow::Result<()> {
    let Some(server) = args.server(max_age)? else {
        bail!("nothing to migrate: files in the data folder are brought up to date when they are opened. Give --results-url and --archive-url");
    };
    postgres::migrate(server.results, server.results_password.as_ref().map(Secret::expose)).await.context("cannot prepare the results store")?;
    crate::show::report::line("results  PostgreSQL has this program's schema");
    clickhouse::migrate(server.archive, server.archive_password.as_ref().map(Secret::expose), &server.options)
        .await
        .context("cannot prepare the archive")?;
    crate::show::report::line("archive  ClickHouse has this program's tables");
    Ok(())
}
