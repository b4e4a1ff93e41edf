//! CPU time, wake-ups and memory of a process, from /proc; nothing on other systems.

/// The resources that a process has used.
#[derive(Clone, Copy, Default, Debug)]
pub struct Usage {
    /// User and system time, µs.
    pub cpu_us: f64,
    /// Resident memory, bytes.
    pub rss_bytes: u64,
    /// How often threads that it has now went to sleep by themselves, since they began.
    pub sleeps: u64,
}

/// The usage of process `pid`; `None` if it cannot be read.
pub fn usage(pid: u32) -> Option<Usage> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name is in parentheses and may contain spaces; utime and stime are the 12th and 13th fields after it.
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let ticks: f64 = fields.get(11)?.parse::<f64>().ok()? + fields.get(12)?.parse::<f64>().ok()?;
    let pages: u64 = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?.split_whitespace().nth(1)?.parse().ok()?;
    // Linux reports in ticks of 1/100 s on every architecture; pages are 4 KiB on the machines that this is run on.
    Some(Usage { cpu_us: ticks * 10_000.0, rss_bytes: pages * 4096, sleeps: sleeps(pid)? })
}

/// Voluntary context switches of all threads.
fn sleeps(pid: u32) -> Option<u64> {
    let of = |thread: std::fs::DirEntry| {
        let status = std::fs::read_to_string(thread.path().join("status")).ok()?;
        status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?.trim().parse::<u64>().ok()
    };
    // A thread may end between the two reads: then it counts nothing.
    Some(std::fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten().filter_map(of).sum())
}
