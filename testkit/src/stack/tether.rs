//! The tether of an owned stack: however its owner ends, even by kill -9, the processes that it started end too.
//!
//! A shell waits on a pipe whose other end only the owner holds. At end of file the owner is gone; then every process that a
//! pid file of the folder names is killed, if it is still that process, with its group and its children. An owner that cleans up in
//! time leaves no pid file, so no process is killed. A `.group` file names a process group that is the owner's as long as the file
//! exists; its first process may have ended by the broken pipe already, so the group is killed without a check. A signal handler is
//! not enough: it does not run on kill -9, nor in an abort.

use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};

use anyhow::{Context, Result};

const SCRIPT: &str = r#"
trap '' HUP INT TERM
children() {
    if [ -d /proc/self ]; then grep -ls "^PPid:[[:space:]]*$1\$" /proc/[0-9]*/status | tr -dc '0-9\n'
    else ps -A -o ppid=,pid= | while read -r parent pid; do [ "$parent" = "$1" ] && echo "$pid"; done; fi
}
read -r _
for file in "$1"/*.pid; do
    { read -r pid; read -r needle; } <"$file" || continue
    { tr '\0' ' ' <"/proc/$pid/cmdline" || ps -ww -o command= -p "$pid"; } | grep -qF -- "$needle" || continue
    kill -s STOP "$pid"
    kill -s KILL -- "-$pid" $(children "$pid")
done
for file in "$1"/*.group; do
    read -r group <"$file" && rm -f "$file" && kill -s KILL -- "-$group"
done
[ "$2" = wipe ] && [ -d "$1" ] && sleep 1 || exit 0
for link in "$1"/*; do
    [ -L "$link" ] && case "$(readlink "$link")" in */boxbox-stack-*) rm -rf "$(readlink "$link")" ;; esac
done
rm -rf "$1" "$1.lock"
"#;

/// Held by the owner; dropping it (or dying) lets go.
#[derive(Debug)]
pub struct Tether {
    shell: Child,
    // No data is written to it; its closing is the signal.
    pipe: Option<ChildStdin>,
}

impl Tether {
    /// Ties the processes of `folder`'s pid files to this process; with `wipe` the folder, if still there, goes too.
    pub fn to(folder: &Path, wipe: bool) -> Result<Self> {
        let mut command = Command::new("sh");
        command.args(["-c", SCRIPT, "tether"]).arg(folder).arg(if wipe { "wipe" } else { "keep" });
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
        let mut shell = command.spawn().context("cannot run sh")?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }
}

impl Drop for Tether {
    fn drop(&mut self) {
        drop(self.pipe.take());
        // It ends at once when there is nothing to kill; a failure to wait leaves a zombie until this process ends.
        drop(self.shell.wait());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::Signal;

    use crate::stack::process::{PidFile, State};

    fn part(dir: &Path, script: &str) -> PidFile {
        let needle = dir.display().to_string();
        let file = PidFile::new(dir.join("part.pid"));
        let mut command = Command::new("sh");
        drop(file.spawn(command.args(["-c", script, "sh", &needle]), &dir.join("log"), &needle, Signal::TERM).unwrap());
        file
    }

    fn assert_gone(file: &PidFile) {
        for _ in 0..500 {
            if file.state() == State::Gone {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        panic!("still there: {:?}", file.state());
    }

    #[test]
    fn letting_go_ends_even_who_ignores_signals() {
        let dir = tempfile::tempdir().unwrap();
        let file = part(dir.path(), "trap '' TERM INT HUP; for _ in $(seq 1200); do sleep 0.05; done");
        let tether = Tether::to(dir.path(), false).unwrap();
        assert!(matches!(file.state(), State::Running(_)));
        drop(tether);
        assert_gone(&file);
    }

    #[test]
    fn a_group_ends_though_its_first_process_is_gone() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        let script = r#"for _ in $(seq 1200); do sleep 0.05; done & echo $! >"$1""#;
        let member = dir.path().join("member");
        command.args(["-c", script, "sh"]).arg(&member).process_group(0);
        let mut leader = command.spawn().unwrap();
        leader.wait().unwrap();
        std::fs::write(dir.path().join("step.group"), format!("{}\n", leader.id())).unwrap();

        let pid = std::fs::read_to_string(&member).unwrap().trim().parse().unwrap();
        let file = PidFile::new(dir.path().join("member.watched"));
        file.record(pid, "seq 1200", Signal::TERM).unwrap();
        assert!(matches!(file.state(), State::Running(_)));
        drop(Tether::to(dir.path(), false).unwrap());
        assert_gone(&file);
    }

    #[test]
    fn a_child_in_a_group_of_its_own_ends_though_it_is_paused() {
        let dir = tempfile::tempdir().unwrap();
        let member = dir.path().join("member");
        let file = part(dir.path(), r#"set -m; sleep 600 & kill -s STOP $!; echo $! >"$1/member"; wait; sleep 600"#);
        let mut child = None;
        for _ in 0..500 {
            child = std::fs::read_to_string(&member).ok().and_then(|text| text.trim().parse::<i32>().ok());
            if child.is_some() {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        let child = rustix::process::Pid::from_raw(child.unwrap()).unwrap();
        drop(Tether::to(dir.path(), false).unwrap());
        assert_gone(&file);
        assert!(crate::stack::process_table::gone_within(child, std::time::Duration::from_secs(5)));
    }

    #[test]
    fn a_stale_pid_file_kills_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let file = part(dir.path(), "for _ in $(seq 1200); do sleep 0.05; done");
        let State::Running(pid) = file.state() else { panic!("it runs") };
        let other = tempfile::tempdir().unwrap();
        PidFile::new(other.path().join("part.pid")).record(pid.unsigned_abs(), "/some/other/stack", Signal::TERM).unwrap();
        drop(Tether::to(other.path(), false).unwrap());
        assert_eq!(file.state(), State::Running(pid));
        drop(Tether::to(other.path(), true).unwrap());
        assert_eq!(file.state(), State::Running(pid));
        assert!(!other.path().exists());
        file.kill().unwrap();
    }
}
