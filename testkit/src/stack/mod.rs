//! Stacks: the real services that tests run against, started from package registries alone, without root or containers.
//!
//! A stack is a folder under `<target>/xtask/stacks` with a record (`stack.json`) and, for each part, a data folder, a log and
//! a pid file. Parts are detached processes on loopback ports picked once and kept, so that each can be killed and started
//! again by itself, with its data, at the same address. The parts there are: Kafka (one node or a cluster), PostgreSQL, ClickHouse.
//!
//! ```no_run
//! use boxbox_testkit::stack::{Options, Stack};
//! # fn main() -> anyhow::Result<()> {
//! let stack = Stack::up(Options::server())?; // gone with this value, and with this process
//! println!("{}", stack.postgres_url().unwrap_or_default());
//! stack.kill("postgres")?; // kill -9
//! stack.start("postgres")?; // same port, same data
//! stack.pause("kafka")?; // and resume: a machine that hangs for a while
//! # Ok(()) }
//! ```

mod clickhouse;
mod clickhouse_probe;
pub mod commands;
mod family;
mod kafka;
mod kafka_probe;
mod kafka_settings;
mod options;
mod parts;
mod ports;
mod postgres;
mod postgres_probe;
mod process;
mod record;
mod saves;
mod secrets;
mod service;
pub mod tether;
mod variables;

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use self::process::{PidFile, State};
use self::tether::Tether;
use crate::{fetch, folders};

pub use clickhouse::{Clickhouse, ClickhouseOptions};
pub use kafka::{Kafka, KafkaOptions};
pub use options::Options;
pub use postgres::{Postgres, PostgresOptions};
pub use record::{Kind, Part, Record};

/// The stack a command means when it names none.
pub const DEFAULT: &str = "default";

/// How the folders begin that parts have outside their stack's; the tether's script has it too.
const OUTSIDE_PREFIX: &str = "boxbox-stack-";

/// A stack on this machine. Methods may be called from several threads and processes: a lock per stack orders them.
#[derive(Debug)]
pub struct Stack {
    folder: PathBuf,
    record: Record,
    // Some for a stack that goes with this value.
    tether: Option<Tether>,
}

impl Stack {
    /// Makes the stack if there is none of this name, starts what does not run, and returns when every part answers.
    ///
    /// # Errors
    /// What the machine lacks is found by `tools::missing`. Everything started by a call that fails is stopped again.
    pub fn up(options: Options) -> Result<Self> {
        let folder = folder_of(&options.name)?;
        let lock = lock(&folder)?;
        let record = match Record::read(&folder) {
            Ok(Some(record)) => record,
            Ok(None) if folder.exists() => bail!("{} is no stack: it has no {}. {}", folder.display(), record::FILE, wipe_hint(&options.name)),
            Ok(None) => Record::new(&options.name),
            Err(error) => return Err(error.context(wipe_hint(&options.name))),
        };
        // Before the folder is made: what this machine lacks leaves no trace.
        options.fetch()?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let tether = if options.detached { None } else { Some(Tether::to(&folder, true)?) };
        let mut stack = Self { folder, record, tether };
        let started = stack.adopt(&options).and_then(|()| stack.start_parts(&stack.record.parts.iter().collect::<Vec<_>>()));
        // Before an owned stack that did not start is dropped, which takes the lock to wipe it.
        drop(lock);
        started.map(|()| stack)
    }

    /// Gives the stack what it lacks of the options.
    fn adopt(&mut self, options: &Options) -> Result<()> {
        // One picker at a time: two stacks made at once must not get the same port.
        let _lock = fetch::lock(&folders::stacks().join("ports.lock"))?;
        let others = Self::names().into_iter().filter(|name| *name != self.record.name).filter_map(|name| Self::open(&name).ok());
        let reserved: Vec<u16> = others.flat_map(|stack| stack.record.ports().collect::<Vec<_>>()).collect();
        let mut record = self.record.clone();
        options.adopt(&mut record, &self.folder, &reserved, |part| matches!(self.state(part), State::Running(_)))?;
        self.record = record;
        Ok(())
    }

    /// A stack that is there already, running or not.
    pub fn open(name: &str) -> Result<Self> {
        let folder = folder_of(name)?;
        let record = Record::read(&folder).with_context(|| wipe_hint(name))?;
        let record = record.with_context(|| format!("there is no stack {name:?}: cargo xtask stack up --name {name}"))?;
        Ok(Self { folder, record, tether: None })
    }

    /// The names of all stacks of this target folder.
    pub fn names() -> Vec<String> {
        let entries = std::fs::read_dir(folders::stacks()).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter(|entry| entry.path().is_dir()).filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.sort();
        names
    }

    /// Takes a stack down whatever state it is in, even one whose record is lost; with `wipe` its folder goes as well, and the
    /// parts end by kill -9: what they could still write goes anyway.
    pub fn down_by_name(name: &str, wipe: bool) -> Result<()> {
        let folder = folder_of(name)?;
        ensure!(folder.exists(), "there is no stack {name:?} in {}", folders::stacks().display());
        let _lock = lock(&folder)?;
        let pid_files = pid_files(&folder)?;
        if wipe {
            pid_files.iter().try_for_each(PidFile::kill)?;
            remove(&folder).with_context(|| format!("cannot remove {}", folder.display()))
        } else {
            parts::stop_all(&pid_files)
        }
    }

    /// Takes it down; an owned one is wiped.
    pub fn down(mut self) -> Result<()> {
        match self.tether.take() {
            None => Self::down_by_name(&self.record.name, false),
            Some(_tether) => self.wipe(),
        }
    }

    /// The end of an owned stack; nobody else knows its name, so its lock goes as well.
    fn wipe(&self) -> Result<()> {
        Self::down_by_name(&self.record.name, true)?;
        drop(std::fs::remove_file(lock_file(&self.folder)));
        Ok(())
    }

    /// What it is made of.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Where its data, logs and pid files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The variables that point programs at it, with their values.
    pub fn variables(&self) -> Vec<(String, String)> {
        self.record.variables(&self.folder)
    }

    /// Kafka's address as `bootstrap.servers` takes it, if the stack has a Kafka.
    pub fn kafka_brokers(&self) -> Option<String> {
        self.record.brokers()
    }

    /// PostgreSQL's address, if the stack has one; the password is in `postgres_password_file`.
    pub fn postgres_url(&self) -> Option<String> {
        self.record.postgres().map(Postgres::url)
    }

    /// Where the password of PostgreSQL's user is.
    pub fn postgres_password_file(&self) -> Option<PathBuf> {
        self.record.postgres().map(|_| variables::postgres_file(&self.folder, "password"))
    }

    /// The certificate to trust for TLS to PostgreSQL.
    pub fn postgres_ca(&self) -> Option<PathBuf> {
        self.record.postgres().map(|_| variables::postgres_file(&self.folder, "ca.pem"))
    }

    /// ClickHouse's address, if the stack has one; the password is in `clickhouse_password_file`.
    pub fn clickhouse_url(&self) -> Option<String> {
        self.record.clickhouse().map(Clickhouse::url)
    }

    /// Where the password of ClickHouse's user is.
    pub fn clickhouse_password_file(&self) -> Option<PathBuf> {
        self.record.clickhouse().map(|_| variables::clickhouse_password(&self.folder))
    }

    /// Ends Kafka (every node of it) as a crash does. Returns when it is gone.
    pub fn kill_kafka(&self) -> Result<()> {
        self.kill("kafka")
    }

    /// Starts Kafka again, on its ports and data. Returns when it answers.
    pub fn start_kafka(&self) -> Result<()> {
        self.start("kafka")
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if self.tether.is_some() {
            // A stack that is down already, or a folder that is gone, is what was wanted. The tether ends the rest.
            drop(self.wipe());
        }
    }
}

/// Whatever processes a stack's folder knows of, with or without its record.
fn pid_files(folder: &Path) -> Result<Vec<PidFile>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "pid")).map(PidFile::new).collect())
}

/// Removes a stack's folder, with the folders of its own that it links to.
fn remove(folder: &Path) -> std::io::Result<()> {
    let links = std::fs::read_dir(folder)?.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    for outside in links.filter(|link| link.file_name().is_some_and(|name| name.to_string_lossy().starts_with(OUTSIDE_PREFIX))) {
        if outside.exists() {
            std::fs::remove_dir_all(outside)?;
        }
    }
    std::fs::remove_dir_all(folder)
}

fn folder_of(name: &str) -> Result<PathBuf> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!((1..=40).contains(&name.len()) && name.chars().all(good), "{name:?} is no name for a stack: use a-z, 0-9 and -, up to 40 of them");
    Ok(folders::stacks().join(name))
}

/// The lock is beside the folder: it must outlive a wipe.
fn lock(folder: &Path) -> Result<File> {
    fetch::lock(&lock_file(folder))
}

fn lock_file(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

fn wipe_hint(name: &str) -> String {
    format!("To remove the stack and its data: cargo xtask stack down --name {name} --wipe")
}

#[cfg(test)]
mod tests;
