//! Operations on single parts of a stack: start, stop, kill, pause and resume.

use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};

use super::folder::lock;
use super::handle::Stack;
use super::ports;
use super::process::{PidFile, State, stop_all};
use super::record::{Engine, Part};
use super::service::PartFiles;
use crate::tools;

/// How long a part may take to answer: Kafka 4-6 s on two idle cores, several times that while they compile.
const START_PATIENCE: Duration = Duration::from_secs(120);

/// How long an ending process may still hold a port.
const PORT_PATIENCE: Duration = Duration::from_secs(2);

const START_POLL: Duration = Duration::from_millis(50);

/// Each takes a part's name, or `kafka` for all nodes of a cluster.
impl Stack {
    /// Ends it as a crash does: kill -9, waited for.
    pub fn kill(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        self.record.parts(part)?.into_iter().try_for_each(|part| self.pid_file(part).kill())
    }

    /// Starts a part that does not run, on its port and data, or resumes a paused one; returns when it answers. A node of a
    /// cluster that has too few others to answer is waited for until it takes part in elections.
    pub fn start(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        self.start_parts(&self.record.parts(part)?)
    }

    /// Ends it cleanly; returns when it is gone.
    pub fn stop(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        stop_all(&self.record.parts(part)?.into_iter().map(|part| self.pid_file(part)).collect::<Vec<_>>())
    }

    /// Pauses it (SIGSTOP): connections stay open and are not answered, as when a machine hangs.
    pub fn pause(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        self.record.parts(part)?.into_iter().try_for_each(|part| self.pid_file(part).pause())
    }

    /// Resumes it (SIGCONT); a part that is not paused is not changed.
    pub fn resume(&self, part: &str) -> Result<()> {
        let _lock = lock(&self.folder)?;
        self.record.parts(part)?.into_iter().try_for_each(|part| self.pid_file(part).resume())
    }

    /// Starts parts in parallel: nodes of a cluster answer only together. If one fails, those started by this call are killed.
    pub(super) fn start_parts(&self, parts: &[&Part]) -> Result<()> {
        let given_up = AtomicBool::new(false);
        let results = std::thread::scope(|scope| {
            let starting = parts.iter().map(|part| {
                let given_up = &given_up;
                scope.spawn(move || {
                    let started = self.start_part(part, parts, given_up);
                    given_up.fetch_or(started.is_err(), Ordering::Relaxed);
                    started
                })
            });
            let starting: Vec<_> = starting.collect();
            // A thread that panics is a bug here; its message is on stderr already.
            starting.into_iter().map(|thread| thread.join().unwrap_or_else(|_| Err(anyhow!("starting it panicked")))).collect::<Vec<_>>()
        });
        if results.iter().all(Result::is_ok) {
            return Ok(());
        }
        for (part, result) in parts.iter().zip(&results) {
            if matches!(result, Ok(true)) {
                self.pid_file(part).kill()?;
                self.pid_file(part).remove();
            }
        }
        let mut errors: Vec<anyhow::Error> = results.into_iter().filter_map(Result::err).collect();
        let cause = errors.iter().position(|error| !error.is::<GivenUp>()).unwrap_or(0);
        Err(errors.swap_remove(cause))
    }

    /// Starts one of the parts that are `starting`, and waits until it answers; true if it did not run before.
    fn start_part(&self, part: &Part, starting: &[&Part], given_up: &AtomicBool) -> Result<bool> {
        let pid_file = self.pid_file(part);
        let together = self.nodes_up_with(starting);
        let go_on = || if given_up.load(Ordering::Relaxed) { Err(GivenUp.into()) } else { Ok(()) };
        if matches!(pid_file.state(), State::Running(_)) {
            pid_file.resume()?;
            return self.wait_until(part, together, go_on).map(|()| false);
        }
        let service = part.engine.service();
        for port in service.ports() {
            ensure!(
                ports::free_within(port, PORT_PATIENCE),
                "port {port} of stack {} is taken by another program (`ss -ltnp sport = :{port}` shows which). \
                 End that one, or give the stack new ports, without its data: cargo xtask stack down --name {} --wipe",
                self.record.name,
                self.record.name
            );
        }
        let files = self.files(part);
        let mut command = service.command(&files)?;
        let log = files.file("log");
        let log_begin = std::fs::metadata(&log).map_or(0, |meta| meta.len());
        let mut child = pid_file.spawn(&mut command, &log, &files.home().display().to_string(), service.stop_signal())?;
        let failed = |why: String| {
            anyhow!("{} of stack {} {why}; the end of {}:\n{}", service.title(), self.record.name, log.display(), log_tail(&log, log_begin))
        };
        let started = self.wait_until(part, together, || match child.try_wait()? {
            Some(status) => Err(failed(format!("ended at once ({status})"))),
            None => go_on(),
        });
        started.map(|()| true).inspect_err(|_| {
            // A part that does not answer is not started; the error says why, and a failure to kill it is ignored.
            drop(pid_file.kill());
            drop(child.wait());
            pid_file.remove();
        })
    }

    /// Waits until a part answers; `alive` ends the waiting with an error. `nodes` of its cluster, if it is one of a cluster, will be up.
    fn wait_until(&self, part: &Part, nodes: usize, mut alive: impl FnMut() -> Result<()>) -> Result<()> {
        let since = Instant::now();
        loop {
            let answers = match &part.engine {
                Engine::Kafka(node) if !node.has_quorum(nodes) => node.waits_for_others(),
                engine => engine.service().answers(&self.files(part))?,
            };
            if answers {
                return Ok(());
            }
            alive()?;
            let title = part.engine.service().title();
            ensure!(since.elapsed() < START_PATIENCE, "{title} ({}) does not answer after {} s", part.name, START_PATIENCE.as_secs());
            std::thread::sleep(START_POLL);
        }
    }

    /// How many Kafka nodes run, with those that are being started.
    fn nodes_up_with(&self, starting: &[&Part]) -> usize {
        let up = |part: &&Part| starting.iter().any(|other| other.name == part.name) || matches!(self.state(part), State::Running(_));
        self.record.parts.iter().filter(|part| matches!(part.engine, Engine::Kafka(_))).filter(up).count()
    }

    /// The state of a part's process.
    pub(crate) fn state(&self, part: &Part) -> State {
        self.pid_file(part).state()
    }

    pub(super) fn files<'a>(&'a self, part: &'a Part) -> PartFiles<'a> {
        PartFiles { stack: &self.folder, part: &part.name }
    }

    pub(super) fn pid_file(&self, part: &Part) -> PidFile {
        PidFile::new(self.files(part).file("pid"))
    }
}

/// Another part that was being started with this one failed.
#[derive(Debug)]
struct GivenUp;

impl std::fmt::Display for GivenUp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("another part did not start")
    }
}

impl std::error::Error for GivenUp {}

/// The end of what a log got since byte `begin`.
fn log_tail(log: &Path, begin: u64) -> String {
    let all = std::fs::read(log).unwrap_or_default();
    let new = all.get(usize::try_from(begin).unwrap_or(0)..).unwrap_or_default();
    tools::tail(&String::from_utf8_lossy(new), tools::TAIL_LINES)
}
