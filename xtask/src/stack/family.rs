//! A process's children, as far as they must share its fate.

use std::time::{Duration, Instant};

use rustix::process::Pid;

use super::process::command_line;

const POLL: Duration = Duration::from_millis(10);

/// The children of a process right now. Theirs are not looked for: no part has any.
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

/// True if a process is stopped by SIGSTOP.
pub(super) fn is_paused(pid: Pid) -> bool {
    let pid = pid.as_raw_nonzero().get();
    match stat(pid) {
        Some((state, _)) => state == 'T',
        None => crate::tools::says(std::path::Path::new("ps"), &["-o", "state=", "-p", &pid.to_string()])
            .is_some_and(|state| state.trim().starts_with('T')),
    }
}

/// Waits until a process that need not be a child of ours is gone, or a zombie that its parent has yet to notice.
pub(super) fn gone_within(pid: Pid, patience: Duration) -> bool {
    let since = Instant::now();
    while command_line(pid.as_raw_nonzero().get()).is_some_and(|line| !line.trim().is_empty()) {
        if since.elapsed() > patience {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// A process's state letter and parent, where there is a /proc.
fn stat(pid: i32) -> Option<(char, i32)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The second field is the program's name in parentheses, which may have any in it.
    let mut rest = text.rsplit_once(") ")?.1.split(' ');
    Some((rest.next()?.chars().next()?, rest.next()?.parse().ok()?))
}

/// Parent and pid of every process, where there is none.
fn listed() -> Vec<(i32, i32)> {
    let text = crate::tools::says(std::path::Path::new("ps"), &["-A", "-o", "ppid=,pid="]).unwrap_or_default();
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
        let paused = (0..500).any(|_| {
            std::thread::sleep(POLL);
            is_paused(it)
        });
        assert!(paused);
        assert!(!gone_within(it, Duration::ZERO));
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(gone_within(it, Duration::from_secs(5)) && !children(us).contains(&it));
    }
}
