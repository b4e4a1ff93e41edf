//! The options of the stores, which are also those of `migrate`.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::bail;
use boxbox_store::clickhouse;
use clap::Args;

use crate::config_check::{Findings, services};
use crate::node::stores::{ARCHIVE_MAX_AGE, Login, ServerOptions, StoreOptions};

/// Where results and frames are kept, and how long.
#[derive(Args)]
pub struct StoreArgs {
    /// URL of PostgreSQL for results, postgres://USER@HOST:PORT/DATABASE[?sslmode=…&sslrootcert=…]; without it results are a file
    /// in the data folder. `ingest` needs no --archive-url with it: it only asks which sessions were closed on purpose, to tell clients
    #[arg(long, env = "BOXBOX_RESULTS_URL")]
    results_url: Option<String>,
    /// File with the password for --results-url
    #[arg(long, env = "BOXBOX_RESULTS_PASSWORD_FILE")]
    results_password_file: Option<PathBuf>,
    /// URL of ClickHouse for frames, clickhouse://USER@HOST:PORT/DATABASE[?tls=on&ca=…]; needs --results-url. Without it frames are
    /// a file in the data folder
    #[arg(long, env = "BOXBOX_ARCHIVE_URL")]
    archive_url: Option<String>,
    /// File with the password for --archive-url
    #[arg(long, env = "BOXBOX_ARCHIVE_PASSWORD_FILE")]
    archive_password_file: Option<PathBuf>,
    /// Engine of new ClickHouse tables, e.g. ReplicatedMergeTree('/clickhouse/tables/{shard}/{table}', '{replica}')
    #[arg(long, env = "BOXBOX_ARCHIVE_ENGINE", default_value_t = clickhouse::Options::default().engine, hide = true)]
    archive_engine: String,
    /// Raise it by one when frames were removed from ClickHouse by hand and must be archived again from the log
    #[arg(long, env = "BOXBOX_ARCHIVE_GENERATION", default_value_t = clickhouse::Options::default().generation, hide = true)]
    archive_generation: u32,
    /// Age at which telemetry is removed, e.g. 30days, 1year; for ClickHouse, `migrate` sets it. Laps and all other results are kept
    #[arg(long, env = "BOXBOX_ARCHIVE_MAX_AGE", default_value_t = ARCHIVE_MAX_AGE.into())]
    archive_max_age: humantime::Duration,
}

impl StoreArgs {
    /// Look for what is wrong with the URLs, each by itself.
    pub fn look(&self, findings: &mut Findings) {
        if let Some(url) = &self.results_url {
            services::results(url, findings);
        }
        if let Some(url) = &self.archive_url {
            services::archive(url, findings);
        }
    }

    /// Age at which telemetry is removed.
    pub fn archive_max_age(&self) -> Duration {
        *self.archive_max_age
    }

    /// The results of an edge alone, if it was told where they are.
    ///
    /// # Errors
    /// If there is only a password for them.
    pub fn results(&self) -> anyhow::Result<Option<Login>> {
        match (&self.results_url, &self.results_password_file) {
            (None, Some(_)) => bail!("--results-password-file needs --results-url"),
            (None, None) => Ok(None),
            (Some(url), file) => Ok(Some(Login { url: url.clone(), password_file: file.clone() })),
        }
    }

    /// The options that the services take.
    ///
    /// # Errors
    /// If one of the two URLs is missing.
    pub fn options(self) -> anyhow::Result<StoreOptions> {
        let max_age = Some(self.archive_max_age());
        let (results, archive) = match (self.results_url, self.archive_url) {
            (None, None) => return Ok(StoreOptions::Files),
            (Some(results), Some(archive)) => (results, archive),
            _ => bail!("--results-url and --archive-url go together: PostgreSQL keeps what ClickHouse's archive has to know of itself"),
        };
        Ok(StoreOptions::Servers(ServerOptions {
            results: Login { url: results, password_file: self.results_password_file },
            archive: Login { url: archive, password_file: self.archive_password_file },
            clickhouse: clickhouse::Options {
                engine: self.archive_engine,
                generation: self.archive_generation,
                max_age,
                ..clickhouse::Options::default()
            },
        }))
    }
}
