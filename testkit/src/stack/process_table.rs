//! The system's table of processes: children, state, command line.

use std::path::Path;
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitOptions, waitpid};

const POLL: Duration = Duration::from_millis(10);

/// The present children of a process, without grandchildren: no part has any.
pub(super) fn children(parent: Pid) -> Vec<Pid> {
    let parent = parent.as_raw_nonzero().get();
    let pairs = match std::fs::read_dir("/proc") {
        Ok(all) => {
            let pids = all.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
            pids.filter_map(|pid| Some((stat(pid)?.1, pid))).collect::<Vec<_>>()
        }
        Err(_) => listed(),
    };
    pairs.into_iter().filter(|(its_parent, _)| *its_parent == parent).filter_map(|(_, pid)| Pid::from_raw(pid)).collect()
}

/// True if a process is stopped by SIGSTOP, with all its threads.
pub(super) fn is_paused(pid: Pid) -> bool {
    let pid = pid.as_raw_nonzero().get();
    match std::fs::read_dir(format!("/proc/{pid}/task")) {
        Ok(threads) => {
            let states = threads.flatten().filter_map(|thread| Some(stat_of(&thread.path().join("stat"))?.0));
            let states: Vec<char> = states.collect();
            !states.is_empty() && states.iter().all(|state| *state == 'T')
        }
        Err(_) => crate::tools::says(Path::new("ps"), &["-o", "state=", "-p", &pid.to_string()]).is_some_and(|state| state.trim().starts_with('T')),
    }
}

/// Waits until a process that was sent SIGSTOP has stopped: the signal takes effect when the process next runs.
pub(super) fn paused_within(pid: Pid, patience: Duration) -> bool {
    let since = Instant::now();
    while !is_paused(pid) {
        if since.elapsed() > patience || is_gone(pid.as_raw_nonzero().get()) {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// Waits until a process is gone, or a zombie that its parent has yet to notice; false if it outlasts `patience`.
pub(crate) fn gone_within(pid: Pid, patience: Duration) -> bool {
    let since = Instant::now();
    loop {
        let gone = match waitpid(Some(pid), WaitOptions::NOHANG) {
            // It is a child of this process and has ended: waitpid removes the zombie, which would look alive to others.
            Ok(Some(_)) => true,
            Ok(None) => false,
            Err(_) => is_gone(pid.as_raw_nonzero().get()),
        };
        if gone || since.elapsed() > patience {
            return gone;
        }
        std::thread::sleep(POLL);
    }
}

/// True if a process is gone or a zombie. Its command line disappears before its files and ports are released, so the command
/// line is used only if the system gives no state.
pub(super) fn is_gone(pid: i32) -> bool {
    match stat(pid) {
        Some((state, _)) => matches!(state, 'Z' | 'X'),
        None => command_line(pid).is_none_or(|line| line.trim().is_empty()),
    }
}

/// The command line of a process, its arguments set apart by spaces.
pub(super) fn command_line(pid: i32) -> Option<String> {
    if Path::new("/proc/self").exists() {
        let raw = std::fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        return Some(String::from_utf8_lossy(&raw).replace('\0', " "));
    }
    crate::tools::says(Path::new("ps"), &["-ww", "-o", "command=", "-p", &pid.to_string()])
}

/// A process's state letter and parent, where there is a /proc.
fn stat(pid: i32) -> Option<(char, i32)> {
    stat_of(Path::new(&format!("/proc/{pid}/stat")))
}

fn stat_of(file: &Path) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(file).ok()?;
    // The second field is the program's name in parentheses, which may have any in it.
    let mut rest = text.rsplit_once(") ")?.1.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

/// Parent and pid of every process, where there is none.
fn listed() -> Vec<(i32, i32)> {
    let text = crate::tools::says(Path::new("ps"), &["-A", "-o", "ppid=,pid="]).unwrap_or_default();
    let pair = |line: &str| {
        let (parent, pid) = line.trim().split_once(char::is_whitespace)?;
        Some((parent.parse().ok()?, pid.trim().parse().ok()?))
    };
    text.lines().filter_map(pair).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn children_are_found_either_way() {
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        let (us, it) = (rustix::process::getpid(), Pid::from_child(&child));
        assert!(children(us).contains(&it));
        if crate::tools::find("ps").is_some() {
            assert!(listed().contains(&(us.as_raw_nonzero().get(), it.as_raw_nonzero().get())));
        }
        assert!(!is_paused(it));
        rustix::process::kill_process(it, rustix::process::Signal::STOP).unwrap();
        assert!(paused_within(it, Duration::from_secs(5)) && is_paused(it));
        assert!(!gone_within(it, Duration::ZERO));
        child.kill().unwrap();
        assert!(gone_within(it, Duration::from_secs(5)) && !children(us).contains(&it), "it is no zombie either");
        assert!(is_gone(it.as_raw_nonzero().get()) && !is_gone(us.as_raw_nonzero().get()));
        drop(child.wait());
    }
}
