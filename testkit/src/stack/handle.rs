//! [`Stack`]: making, opening and ending one.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};

use super::clickhouse::Clickhouse;
use super::folder::{folder_of, lock, lock_file, pid_files, remove, wipe_hint};
use super::options::Options;
use super::postgres::Postgres;
use super::process::{self, PidFile, State};
use super::record::{self, Record};
use super::tether::Tether;
use super::variables;
use crate::{fetch, folders};

/// A stack on this machine. Methods may be called from several threads and processes: a lock per stack orders them.
#[derive(Debug)]
pub struct Stack {
    pub(super) folder: PathBuf,
    pub(super) record: Record,
    // `Some` for a stack that ends with this value.
    tether: Option<Tether>,
}

impl Stack {
    /// Makes the stack if there is none of this name, starts what does not run, and returns when every part answers.
    ///
    /// # Errors
    /// `tools::missing` finds in the error what the machine lacks. A call that fails stops everything that it has started.
    pub fn up(options: Options) -> Result<Self> {
        let folder = folder_of(&options.name)?;
        let lock = lock(&folder)?;
        let record = match Record::read(&folder) {
            Ok(Some(record)) => record,
            Ok(None) if folder.exists() => bail!("{} is no stack: it has no {}. {}", folder.display(), record::FILE, wipe_hint(&options.name)),
            Ok(None) => Record::new(&options.name),
            Err(error) => return Err(error.context(wipe_hint(&options.name))),
        };
        // Before the folder is made: if the machine lacks something no folder is left behind.
        options.fetch()?;
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let tether = if options.detached { None } else { Some(Tether::to(&folder, true)?) };
        let mut stack = Self { folder, record, tether };
        let started = stack.adopt(&options).and_then(|()| stack.start_parts(&stack.record.parts.iter().collect::<Vec<_>>()));
        // Before an owned stack that did not start is dropped, which takes the lock to wipe it.
        drop(lock);
        started.map(|()| stack)
    }

    /// Adds to the stack what the options ask for and it does not have.
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

    /// Takes a stack down in any state, even if its record is lost; with `wipe` its folder goes as well, and the
    /// parts end by kill -9, because their data is deleted anyway.
    pub fn down_by_name(name: &str, wipe: bool) -> Result<()> {
        let folder = folder_of(name)?;
        ensure!(folder.exists(), "there is no stack {name:?} in {}", folders::stacks().display());
        let _lock = lock(&folder)?;
        let pid_files = pid_files(&folder)?;
        if wipe {
            pid_files.iter().try_for_each(PidFile::kill)?;
            remove(&folder).with_context(|| format!("cannot remove {}", folder.display()))
        } else {
            process::stop_all(&pid_files)
        }
    }

    /// Takes it down; an owned one is wiped.
    pub fn down(mut self) -> Result<()> {
        match self.tether.take() {
            None => Self::down_by_name(&self.record.name, false),
            Some(_tether) => self.wipe(),
        }
    }

    /// Removes an owned stack with its lock, because no other process knows its name.
    fn wipe(&self) -> Result<()> {
        Self::down_by_name(&self.record.name, true)?;
        drop(std::fs::remove_file(lock_file(&self.folder)));
        Ok(())
    }

    /// The record of its parts.
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
            // An error means that the stack is down or its folder is gone already. The tether ends the rest.
            drop(self.wipe());
        }
    }
}
