//! Running a long command as a step: in its own process group, with its output shown and read as it comes, with a
//! deadline, and without processes left running afterwards.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, PipeReader};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process_group};

use boxbox_testkit::folders;
use boxbox_testkit::stack::tether::Tether;

/// Lines buffered for the reader; a command that prints faster waits, as it would on a terminal.
const LINES_AHEAD: usize = 1024;

/// How long after its end a command's output is still read: processes that it left running may hold the pipe open for ever.
const DRAIN_PATIENCE: Duration = Duration::from_secs(2);

/// How long a step that ran out of time may clean up after SIGTERM.
const TERM_PATIENCE: Duration = Duration::from_secs(5);

const POLL: Duration = Duration::from_millis(100);

/// How long logs of a run are kept.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// The cargo that runs us, or the one on PATH.
pub fn cargo() -> OsString {
    std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into())
}

/// A command at the workspace root, in the environment of a person's shell: without the variables that `cargo run` adds for
/// its program.
pub fn command(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(folders::workspace());
    let of_this_run = |name: &str| ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|prefix| name.starts_with(prefix));
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_str().is_some_and(of_this_run)) {
        command.env_remove(name);
    }
    command
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// With success.
    Well,
    /// With a failure.
    Badly(ExitStatus),
    /// It was ended, after this long.
    TooLate(Duration),
}

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Well => f.write_str("ended well"),
            Self::Badly(status) => write!(f, "ended with {status}"),
            Self::TooLate(after) => {
                write!(f, "was not done after {} s and was ended", after.as_secs())
            }
        }
    }
}

/// The folder of the steps of one run of xtask. While this value lives, steps end with this process, however it ends.
#[derive(Debug)]
pub struct Steps {
    folder: PathBuf,
    // Between steps there is nothing for it to end.
    _tether: Tether,
}

impl Steps {
    /// A fresh folder for the run's logs; `name` distinguishes runs of different commands.
    pub fn new(name: &str) -> Result<Self> {
        let runs = folders::xtask().join("runs");
        prune(&runs);
        let folder = runs.join(format!("{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&folder)); // of an earlier process with our pid
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let _tether = Tether::to(&folder, false)?;
        Ok(Self { folder, _tether })
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs `command` to its end or to `deadline` from now. `line` gets each line it prints, on either stream, as it comes.
    pub fn run(&self, command: &mut Command, deadline: Duration, mut line: impl FnMut(&str)) -> Result<Ended> {
        let name = command.get_program().to_string_lossy().into_owned();
        // One pipe for both streams keeps their lines in the order they were written.
        let (reader, writer) = std::io::pipe()?;
        command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer).process_group(0);
        let mut child = command.spawn().with_context(|| format!("cannot run {name}"))?;
        // The `Command` still holds writing ends of the pipe; while they are open the pipe does not end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let group_file = self.folder.join("step.group");
        std::fs::write(&group_file, format!("{}\n", child.id()))?;

        let since = Instant::now();
        let lines = read_lines(reader);
        let mut ended = None;
        let mut read_until = None;
        while read_until.is_none_or(|until| Instant::now() < until) {
            match lines.recv_timeout(POLL) {
                Ok(text) => line(&text),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) if ended.is_some() => break,
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(POLL),
            }
            if ended.is_none() {
                ended = match child.try_wait()? {
                    Some(status) if status.success() => Some(Ended::Well),
                    Some(status) => Some(Ended::Badly(status)),
                    None if since.elapsed() > deadline => Some(end(&mut child, since)?),
                    None => None,
                };
                read_until = ended.map(|_| Instant::now() + DRAIN_PATIENCE);
            }
        }
        // Processes that a failed step left in its group.
        signal_group(&child, Signal::KILL);
        drop(std::fs::remove_file(group_file));
        Ok(ended.unwrap_or(Ended::TooLate(since.elapsed())))
    }

    /// A path in the run's folder.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
}

/// Removes the logs of runs of other days.
fn prune(runs: &Path) {
    for entry in std::fs::read_dir(runs).into_iter().flatten().flatten() {
        let age = entry.metadata().and_then(|meta| meta.modified()).ok().and_then(|at| at.elapsed().ok());
        if age.is_some_and(|age| age > KEPT) {
            // It may be a run that takes days and holds its files; then only its log is lost.
            drop(std::fs::remove_dir_all(entry.path()));
        }
    }
}

fn end(child: &mut Child, since: Instant) -> Result<Ended> {
    let after = since.elapsed();
    signal_group(child, Signal::TERM);
    let asked = Instant::now();
    while child.try_wait()?.is_none() {
        if asked.elapsed() > TERM_PATIENCE {
            signal_group(child, Signal::KILL);
            child.wait()?;
        }
        std::thread::sleep(POLL);
    }
    Ok(Ended::TooLate(after))
}

fn signal_group(child: &Child, signal: Signal) {
    let group = i32::try_from(child.id()).ok().and_then(Pid::from_raw);
    // A group without members is what is wanted.
    let _ = group.map(|group| kill_process_group(group, signal));
}

/// A thread that turns a pipe into lines; it ends with the pipe, or when the receiver is dropped.
fn read_lines(pipe: PipeReader) -> Receiver<String> {
    let (send, lines) = sync_channel(LINES_AHEAD);
    std::thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut raw = Vec::new();
        while pipe.read_until(b'\n', &mut raw).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&raw).trim_end_matches(['\n', '\r']).to_owned();
            if send.send(text).is_err() {
                return;
            }
            raw.clear();
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(60);

    fn run(script: &str, deadline: Duration) -> (Ended, Vec<String>) {
        let steps = Steps::new(&format!("unit-{:08x}", fastrand::u32(..))).unwrap();
        let mut lines = Vec::new();
        let ended = steps.run(command("sh").args(["-c", script]), deadline, |line| lines.push(line.to_owned())).unwrap();
        std::fs::remove_dir_all(steps.folder()).unwrap();
        (ended, lines)
    }

    #[test]
    fn both_streams_come_in_the_order_written() {
        let (ended, lines) = run("echo a; echo b >&2; echo c; printf 'no newline'", LONG);
        assert_eq!(ended, Ended::Well);
        assert_eq!(lines, ["a", "b", "c", "no newline"]);
        let (ended, _) = run("exit 3", LONG);
        assert!(matches!(ended, Ended::Badly(status) if status.code() == Some(3)));
    }

    #[test]
    fn what_is_left_running_neither_holds_us_nor_lives_on() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let since = Instant::now();
        let (ended, _) = run(&format!("sleep 600 & echo $! >{}; echo done", file.display()), LONG);
        assert_eq!(ended, Ended::Well);
        assert!(since.elapsed() < LONG);
        let pid: i32 = std::fs::read_to_string(file).unwrap().trim().parse().unwrap();
        // It was killed; its new parent may need a moment to notice.
        let gone = || std::fs::read(format!("/proc/{pid}/cmdline")).map_or(true, |line| line.is_empty());
        for _ in 0..500 {
            if gone() {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("process {pid} is still there");
    }

    #[test]
    fn a_step_that_hangs_is_ended() {
        let (ended, lines) = run("trap '' TERM; echo begun; while :; do sleep 0.1; done", Duration::from_millis(300));
        assert!(matches!(ended, Ended::TooLate(_)), "{ended:?}");
        assert_eq!(lines, ["begun"]);
    }
}
