//! A real ClickHouse as a part of a stack: its HTTP port on 127.0.0.1, with a password. `clickhouse.py` says how it runs.

use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use super::clickhouse_probe;
use super::secrets::{self, DATABASE, USER};
use super::service::{PartFiles, Service};
use crate::fetch;

/// The program of the part's process.
const LAUNCHER: &str = include_str!("clickhouse.py");

/// The most memory it uses: more than tests need, less than a small machine has. A query that needs more fails.
const MEMORY_BYTES: u64 = 4 << 30;

/// Threads for merges: with one a table of many small inserts falls behind.
const MERGE_THREADS: u32 = 4;

/// Options of a ClickHouse: there are none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClickhouseOptions {}

/// The record of a stack's ClickHouse.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Clickhouse {
    /// The engine's version; data of another one is not started.
    pub version: String,
    /// Where clients connect with HTTP, on 127.0.0.1.
    pub port: u16,
}

impl Clickhouse {
    /// A new server; the caller has picked its port.
    pub(super) fn new(port: u16) -> Self {
        Self { version: fetch::CLICKHOUSE_VERSION.into(), port }
    }

    /// Its address, without the password.
    pub fn url(&self) -> String {
        format!("clickhouse://{USER}@127.0.0.1:{}/{DATABASE}", self.port)
    }
}

impl Service for Clickhouse {
    fn title(&self) -> String {
        format!("ClickHouse {}", self.version)
    }

    fn version(&self) -> (&str, &'static str) {
        (&self.version, fetch::CLICKHOUSE_VERSION)
    }

    fn ports(&self) -> Vec<u16> {
        vec![self.port]
    }

    fn address(&self) -> String {
        self.url()
    }

    fn command(&self, files: &PartFiles<'_>) -> Result<Command> {
        let wheel = fetch::clickhouse().context("cannot start ClickHouse")?;
        let python = fetch::python().context("cannot start ClickHouse")?;
        let (home, password) = (files.home(), files.file("password"));
        std::fs::create_dir_all(&home).with_context(|| format!("cannot make {}", home.display()))?;
        secrets::password(&password)?;
        let launcher = home.join("launcher.py");
        std::fs::write(&launcher, LAUNCHER).with_context(|| format!("cannot write {}", launcher.display()))?;
        let mut command = Command::new(python);
        // Other packages of this Python have no influence.
        command.args(["-I", "-B"]).arg(launcher).arg("--wheel").arg(wheel).arg("--home").arg(&home);
        command.args(["--port", &self.port.to_string(), "--user", USER, "--database", DATABASE]).arg("--password-file").arg(password);
        command.args(["--memory", &MEMORY_BYTES.to_string(), "--pool", &MERGE_THREADS.to_string()]);
        Ok(command)
    }

    fn answers(&self, files: &PartFiles<'_>) -> Result<bool> {
        clickhouse_probe::is_ready(self.port, USER, &secrets::password(&files.file("password"))?, DATABASE)
    }

    fn landmark(&self) -> &'static str {
        "metadata"
    }
}
