//! Processes that outlive the command that started them: started in a new process group, known by a pid file, and never
//! signalled before it is certain that the pid still means them. Each signal also goes to a process's children: PostgreSQL has a
//! process for each connection, and these have left the group.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::process_table::{self, command_line};

/// How long after SIGTERM a part may take before it is killed: Kafka's clean stop takes 1-3 s on an idle machine.
const TERM_PATIENCE: Duration = Duration::from_secs(20);

/// How long a killed process may take to vanish: the kernel still has to free its memory.
const KILL_PATIENCE: Duration = Duration::from_secs(10);

/// How long a process may take to notice SIGSTOP: until it next runs.
const PAUSE_PATIENCE: Duration = Duration::from_secs(5);

/// How long a program may take from being started to having a command line.
const EXEC_PATIENCE: Duration = Duration::from_secs(5);

/// A pid file: the pid, and on the second line a text from the process's command line, the stack's folder.
/// The pid alone is not enough: after a crash the system gives it to another process. A third line `INT` says that SIGINT
/// ends the process cleanly, not SIGTERM; with it a stack whose record is lost can be stopped as well.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
}

/// The state of a pid file's process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// It runs, under this pid.
    Running(i32),
    /// It was started and neither runs nor was taken down: it crashed, was killed, or the machine was restarted.
    Gone,
    /// There is no pid file: never started, or taken down properly.
    Stopped,
}

impl PidFile {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path }
    }

    /// Starts `command` detached: in a new process group (so that Ctrl-C in this terminal and the end of this command
    /// do not reach it), no input, everything it prints appended to `log`. `needle` must be part of its command line.
    pub(crate) fn spawn(&self, command: &mut Command, log: &Path, needle: &str, stop: Signal) -> Result<Child> {
        let out = File::options().create(true).append(true).open(log).with_context(|| format!("cannot open {}", log.display()))?;
        let name = command.get_program().to_string_lossy().into_owned();
        command.stdin(Stdio::null()).stdout(out.try_clone()?).stderr(out).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        self.record(child.id(), needle, stop)?;
        // The new program's command line can be read only a moment after the spawn.
        let since = Instant::now();
        while self.state() == State::Gone && child.try_wait()?.is_none() && since.elapsed() < EXEC_PATIENCE {
            std::thread::yield_now();
        }
        Ok(child)
    }

    /// Writes the pid file for a process begun elsewhere.
    pub(crate) fn record(&self, pid: u32, needle: &str, stop: Signal) -> Result<()> {
        let stop = if stop == Signal::INT { "INT" } else { "TERM" };
        std::fs::write(&self.path, format!("{pid}\n{needle}\n{stop}\n")).with_context(|| format!("cannot write {}", self.path.display()))
    }

    /// Forgets the process.
    pub(crate) fn remove(&self) {
        // A failure is ignored: a pid file left behind is recognised as stale.
        drop(std::fs::remove_file(&self.path));
    }

    /// The state of the process.
    pub(crate) fn state(&self) -> State {
        self.read().map_or(State::Stopped, |(state, _)| state)
    }

    /// The process and the signal that stops it; `None` without a pid file.
    fn read(&self) -> Option<(State, Signal)> {
        let text = std::fs::read_to_string(&self.path).ok()?;
        let mut lines = text.lines();
        let pid = lines.next().and_then(|pid| pid.parse::<i32>().ok());
        let state = match (pid, lines.next()) {
            (Some(pid), Some(needle)) if is_it(pid, needle) => State::Running(pid),
            _ => State::Gone,
        };
        Some((state, if lines.next() == Some("INT") { Signal::INT } else { Signal::TERM }))
    }

    /// The process, if it runs.
    fn running(&self) -> Option<Pid> {
        match self.state() {
            State::Running(pid) => Pid::from_raw(pid),
            _ => None,
        }
    }

    /// Asks it to end cleanly, without waiting: several processes that end at once take no longer than one.
    pub(crate) fn ask_to_stop(&self) -> Result<()> {
        self.resume()?; // a paused process hears nothing but SIGKILL
        match (self.running(), self.read()) {
            (Some(pid), Some((_, signal))) => send(pid, signal),
            _ => Ok(()),
        }
    }

    /// Asks it to end cleanly; SIGKILL if that does not help in time. True if it ended without SIGKILL.
    pub(crate) fn stop(&self) -> Result<bool> {
        let pid = self.running();
        self.ask_to_stop()?;
        let ended = pid.is_none_or(|pid| process_table::gone_within(pid, TERM_PATIENCE));
        if !ended {
            self.kill()?;
        }
        self.remove();
        Ok(ended)
    }

    /// SIGKILL, waited for. The pid file stays: the process is gone, not stopped.
    pub(crate) fn kill(&self) -> Result<()> {
        let Some(pid) = self.running() else {
            return Ok(());
        };
        // Stopped first, so that it cannot fork while its children are listed.
        send(pid, Signal::STOP)?;
        process_table::paused_within(pid, PAUSE_PATIENCE); // one that cannot be stopped now forks nothing either
        let children = process_table::children(pid);
        send(pid, Signal::KILL)?;
        children.iter().try_for_each(|child| send(*child, Signal::KILL))?;
        if !std::iter::once(&pid).chain(&children).all(|pid| process_table::gone_within(*pid, KILL_PATIENCE)) {
            bail!("the process of {} is still there {KILL_PATIENCE:?} after kill -9", self.path.display());
        }
        Ok(())
    }

    /// Pauses the process: it does not run until `resume`; connections stay open and unanswered.
    pub(crate) fn pause(&self) -> Result<()> {
        let pid = self.running().with_context(|| format!("there is nothing to pause: the process of {} does not run", self.path.display()))?;
        send(pid, Signal::STOP)?;
        process_table::paused_within(pid, PAUSE_PATIENCE); // then it forks no more
        let children = process_table::children(pid);
        children.iter().try_for_each(|child| send(*child, Signal::STOP))?;
        let mut paused = std::iter::once(&pid).chain(&children).filter(|pid| !process_table::is_gone(pid.as_raw_nonzero().get()));
        ensure!(paused.all(|pid| process_table::paused_within(*pid, PAUSE_PATIENCE)), "the process of {} does not stop", self.path.display());
        Ok(())
    }

    /// Resumes it; a process that is not paused is not changed.
    pub(crate) fn resume(&self) -> Result<()> {
        let Some(pid) = self.running().filter(|pid| process_table::is_paused(*pid)) else {
            return Ok(());
        };
        process_table::children(pid).into_iter().try_for_each(|child| send(child, Signal::CONT))?;
        send(pid, Signal::CONT)
    }
}

/// Ends processes cleanly, all at once.
pub(super) fn stop_all(pid_files: &[PidFile]) -> Result<()> {
    pid_files.iter().try_for_each(PidFile::ask_to_stop)?;
    pid_files.iter().try_for_each(|pid_file| pid_file.stop().map(drop))
}

/// Sends a signal; it is not an error if the process is gone already.
fn send(pid: Pid, signal: Signal) -> Result<()> {
    match kill_process(pid, signal) {
        Err(rustix::io::Errno::SRCH) => Ok(()),
        other => other.with_context(|| format!("cannot signal process {}", pid.as_raw_nonzero())),
    }
}

/// True if `pid` runs and has `needle` in its command line. A zombie has an empty one.
fn is_it(pid: i32, needle: &str) -> bool {
    pid > 0 && command_line(pid).is_some_and(|line| line.contains(needle))
}

/// True if a process is paused.
pub(crate) fn is_paused(pid: i32) -> bool {
    Pid::from_raw(pid).is_some_and(process_table::is_paused)
}

/// Resident memory of a process and its children in MiB, if the system gives it. Shared memory counts for each of them.
pub(crate) fn resident_mib(pid: i32) -> Option<u64> {
    let children = Pid::from_raw(pid).map(process_table::children).unwrap_or_default();
    let resident = children.iter().filter_map(|child| resident_kib(child.as_raw_nonzero().get())).sum::<u64>();
    Some((resident + resident_kib(pid)?) / 1024)
}

fn resident_kib(pid: i32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sleeper(dir: &Path) -> (PidFile, String) {
        let needle = dir.display().to_string();
        let file = PidFile::new(dir.join("part.pid"));
        // sh keeps its arguments in the command line; the second command keeps it from turning into sleep by exec.
        let script = "trap 'exit 0' TERM; for _ in $(seq 1200); do sleep 0.05; done";
        let child = file.spawn(Command::new("sh").args(["-c", script, "sh", &needle]), &dir.join("log"), &needle, Signal::TERM).unwrap();
        drop(child);
        (file, needle)
    }

    #[test]
    fn stopped_running_gone_and_stopped_again() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = sleeper(dir.path());
        assert!(matches!(file.state(), State::Running(_)));
        file.kill().unwrap();
        assert_eq!(file.state(), State::Gone);
        file.kill().unwrap(); // what is gone needs no killing
        assert!(file.stop().unwrap());
        assert_eq!(file.state(), State::Stopped);
    }

    #[test]
    fn sigterm_is_enough_for_who_listens() {
        let dir = tempfile::tempdir().unwrap();
        let (file, _) = sleeper(dir.path());
        assert!(file.stop().unwrap());
        assert_eq!(file.state(), State::Stopped);
    }

    #[test]
    fn a_pid_that_means_someone_else_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        let (file, needle) = sleeper(dir.path());
        let State::Running(pid) = file.state() else { panic!("it runs") };
        let stale = PidFile::new(dir.path().join("stale.pid"));
        stale.record(pid.unsigned_abs(), "/some/other/stack", Signal::TERM).unwrap();
        assert_eq!(stale.state(), State::Gone);
        stale.kill().unwrap();
        assert!(is_it(pid, &needle), "the other one was not touched");
        file.kill().unwrap();
    }

    #[test]
    fn a_damaged_pid_file_names_nobody() {
        let dir = tempfile::tempdir().unwrap();
        for text in ["", "abc\n/x\n", "-1\n/\n", "1\n", "0\n/\n"] {
            let path = dir.path().join("bad.pid");
            std::fs::write(&path, text).unwrap();
            assert_eq!(PidFile::new(path).state(), State::Gone, "{text:?}");
        }
    }
}
