//! Stacks: the real services that tests run against, started from package registries alone, without root or containers.
//!
//! A stack is a folder under `<target>/xtask/stacks` with a record (`stack.json`) and, for each part, a data folder, a log and
//! a pid file. Parts are detached processes on loopback ports picked once and kept, so that each can be killed and started
//! again by itself, with its data, at the same address. Today a stack is one Kafka broker.
//!
//! ```no_run
//! use xtask::stack::{Options, Stack};
//! # fn main() -> anyhow::Result<()> {
//! let stack = Stack::up(Options::owned())?; // gone with this value, and with this process
//! println!("{}", stack.kafka_brokers().unwrap_or_default());
//! stack.kill_kafka()?; // kill -9
//! stack.start_kafka()?; // same port, same data
//! # Ok(()) }
//! ```

pub(crate) mod commands;
mod kafka;
mod kafka_probe;
mod ports;
mod process;
mod record;
pub(crate) mod tether;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use self::process::{PidFile, State};
use self::tether::Tether;
use crate::{fetch, folders, tools};

pub use kafka::{Kafka, KafkaOptions};
pub use record::{Kind, Part, Record};

/// The stack a command means when it names none.
pub const DEFAULT: &str = "default";

/// How long a part may take to answer: 4-6 s on two idle cores, several times that while they compile.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long a port may still be held by what is just ending.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

const START_POLL: Duration = Duration::from_millis(50);

/// How a stack is to be brought up.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name, of `a-z`, `0-9` and `-`; several stacks of different names run side by side.
    pub name: String,
    /// The Kafka it is to have.
    pub kafka: Option<KafkaOptions>,
    /// True: it outlives the value and the process. False: it is taken down and wiped with the value, or killed with the process.
    pub detached: bool,
}

impl Options {
    /// A stack for one test: a name of its own, one Kafka, gone with the test.
    pub fn owned() -> Self {
        let name = format!("owned-{}-{:08x}", std::process::id(), fastrand::u32(..));
        Self { name, kafka: Some(KafkaOptions::default()), detached: false }
    }
}

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
        if options.kafka.is_some() {
            fetch::kafka_jars().and_then(|_| fetch::java()).context("cannot start Kafka")?;
        }
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let tether = if options.detached { None } else { Some(Tether::to(&folder, true)?) };
        let mut stack = Self { folder, record, tether };
        let started = stack.start_all(&options);
        // Before an owned stack that did not start is dropped, which takes the lock to wipe it.
        drop(lock);
        started.map(|()| stack)
    }

    fn start_all(&mut self, options: &Options) -> Result<()> {
        if let Some(kafka) = &options.kafka {
            self.adopt_kafka(kafka)?;
        }
        for (number, part) in self.record.parts.iter().enumerate() {
            if let Err(error) = self.start_part(part) {
                for started in &self.record.parts[..number] {
                    self.pid_file(started).stop()?;
                }
                return Err(error);
            }
        }
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

    /// Takes a stack down whatever state it is in, even one whose record is lost; with `wipe` its folder goes as well.
    pub fn down_by_name(name: &str, wipe: bool) -> Result<()> {
        let folder = folder_of(name)?;
        ensure!(folder.exists(), "there is no stack {name:?} in {}", folders::stacks().display());
        let _lock = lock(&folder)?;
        stop_all(&folder)?;
        if wipe {
            std::fs::remove_dir_all(&folder).with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        Ok(())
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

    /// Kafka's address as `bootstrap.servers` takes it, if the stack has a Kafka.
    pub fn kafka_brokers(&self) -> Option<String> {
        self.record.kafka().map(Kafka::brokers)
    }

    /// Ends the broker as a crash does. Returns when it is gone.
    pub fn kill_kafka(&self) -> Result<()> {
        self.kill("kafka")
    }

    /// Starts the broker again, on its port and data. Returns when it answers.
    pub fn start_kafka(&self) -> Result<()> {
        self.start("kafka")
    }

    /// Ends a part as a crash does: kill -9, waited for.
    pub fn kill(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        self.pid_file(self.record.part(part)?).kill()
    }

    /// Starts a part that does not run; returns when it answers, at once if it runs already.
    pub fn start(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        self.start_part(self.record.part(part)?)
    }

    /// What has become of a part's process.
    pub(crate) fn state(&self, part: &Part) -> State {
        self.pid_file(part).state()
    }

    fn pid_file(&self, part: &Part) -> PidFile {
        PidFile::new(self.folder.join(format!("{}.pid", part.name)))
    }

    /// Gives the stack a Kafka, or the one it has the new settings.
    fn adopt_kafka(&mut self, options: &KafkaOptions) -> Result<()> {
        // One picker at a time: two stacks made at once must not get the same port.
        let _lock = fetch::lock(&folders::stacks().join("ports.lock"))?;
        if let Some(part) = self.record.parts.iter_mut().find(|part| matches!(part.kind, Kind::Kafka(_))) {
            let Kind::Kafka(kafka) = &mut part.kind;
            ensure!(
                kafka.version == fetch::KAFKA_VERSION,
                "stack {} holds data of Kafka {}, this xtask starts {}. {}",
                self.record.name,
                kafka.version,
                fetch::KAFKA_VERSION,
                wipe_hint(&self.record.name)
            );
            kafka.adopt(options);
        } else {
            let others = Self::names().into_iter().filter_map(|name| Self::open(&name).ok());
            let reserved: Vec<u16> = others.flat_map(|stack| stack.record.ports().collect::<Vec<_>>()).collect();
            self.record.parts.push(Part { name: "kafka".into(), kind: Kind::Kafka(Kafka::new(options, &reserved)?) });
        }
        self.record.write(&self.folder)
    }

    fn start_part(&self, part: &Part) -> Result<()> {
        let pid_file = self.pid_file(part);
        if matches!(pid_file.state(), State::Running(_)) {
            return wait_until(part, || Ok(()));
        }
        for port in part.ports() {
            ensure!(
                ports::free_within(port, PORT_PATIENCE),
                "port {port} of stack {} is taken by another program (`ss -ltnp sport = :{port}` shows which). \
                 End that one, or give the stack new ports, without its data: cargo xtask stack down --name {} --wipe",
                self.record.name,
                self.record.name
            );
        }
        let (home, log) = (self.folder.join(&part.name), self.folder.join(format!("{}.log", part.name)));
        let mut command = match &part.kind {
            Kind::Kafka(kafka) => kafka.command(&home)?,
        };
        let log_begin = std::fs::metadata(&log).map_or(0, |meta| meta.len());
        let mut child = pid_file.spawn(&mut command, &log, &self.folder.display().to_string())?;
        let failed = |why: String| {
            anyhow::anyhow!("{} of stack {} {why}; the end of {}:\n{}", part.title(), self.record.name, log.display(), log_tail(&log, log_begin))
        };
        let started = wait_until(part, || match child.try_wait()? {
            Some(status) => Err(failed(format!("ended at once ({status})"))),
            None => Ok(()),
        });
        started.inspect_err(|_| {
            // Half a start is none; the error tells why, a failure to kill adds nothing.
            drop(child.kill().and_then(|()| child.wait()));
            pid_file.remove();
        })
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

/// Waits until a part answers; `alive` ends the waiting with an error.
fn wait_until(part: &Part, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
    let since = Instant::now();
    loop {
        let answers = match &part.kind {
            Kind::Kafka(kafka) => kafka.answers()?,
        };
        if answers {
            return Ok(());
        }
        alive()?;
        ensure!(since.elapsed() < START_PATIENCE, "{} did not answer within {} s", part.title(), START_PATIENCE.as_secs());
        std::thread::sleep(START_POLL);
    }
}

/// Stops every process that a pid file of the folder names.
fn stop_all(folder: &Path) -> Result<()> {
    for entry in std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "pid") {
            PidFile::new(path).stop()?;
        }
    }
    Ok(())
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

/// The end of what a log got since byte `begin`.
fn log_tail(log: &Path, begin: u64) -> String {
    let all = std::fs::read(log).unwrap_or_default();
    let new = all.get(usize::try_from(begin).unwrap_or(0)..).unwrap_or_default();
    tools::tail(&String::from_utf8_lossy(new), tools::TAIL_LINES)
}

#[cfg(test)]
mod tests;
