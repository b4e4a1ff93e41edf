//! The process: which build it is, its processor time, memory, handles and threads, under the names that all programs use for them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Which build runs.
const VERSION: [&str; 1] = [env!("CARGO_PKG_VERSION")];
/// How it was built.
const PROFILE: [&str; 1] = [if cfg!(debug_assertions) { "debug" } else { "release" }];

boxbox_schemas::metrics! {
    /// Which build runs.
    pub struct BuildMetrics("boxbox_build") {
        /// Always 1; the labels say which build runs.
        info: gauge by "version" of VERSION, "profile" of PROFILE,
    }
}

boxbox_schemas::metrics! {
    /// The process, as Prometheus names it.
    pub struct ProcessMetrics("process") {
        /// Processor time that the process has used, whole s.
        cpu_seconds: counter,
        /// Memory of the process in RAM, bytes; only Linux tells.
        resident_memory_bytes: gauge,
        /// Address space of the process, bytes; only Linux tells.
        virtual_memory_bytes: gauge,
        /// Open files and sockets; only Linux tells.
        open_fds: gauge,
        /// Most open files and sockets.
        max_fds: gauge,
        /// Threads; only Linux tells.
        threads: gauge,
        /// When the process started, Unix s.
        start_time_seconds: gauge,
    }
}

/// Measures the process.
pub struct ProcessWatch(ProcessMetrics);

impl ProcessWatch {
    /// `max_fds`: most open files and sockets.
    pub fn new(max_fds: u64) -> Self {
        BuildMetrics::new().info.with([VERSION[0], PROFILE[0]]).set(1.0);
        let metrics = ProcessMetrics::new();
        metrics.max_fds.set(max_fds as f64);
        // Begun a few milliseconds ago.
        metrics.start_time_seconds.set(SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64()));
        Self(metrics)
    }

    /// As it is now.
    pub fn measure(&self) {
        let m = &self.0;
        m.cpu_seconds.absolute(cpu_time().as_secs());
        let Some(Status { resident, address_space, threads }) = status() else { return };
        m.resident_memory_bytes.set(resident as f64);
        m.virtual_memory_bytes.set(address_space as f64);
        m.threads.set(threads as f64);
        if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
            // One of them is the list itself.
            m.open_fds.set(open.count().saturating_sub(1) as f64);
        }
    }
}

#[cfg(unix)]
fn cpu_time() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(u64::try_from(used.tv_sec).unwrap_or(0), u32::try_from(used.tv_nsec).unwrap_or(0))
}

#[cfg(not(unix))]
fn cpu_time() -> Duration {
    Duration::ZERO
}

/// What the system says of the process.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Status {
    /// Bytes in RAM.
    resident: u64,
    /// Bytes of address space.
    address_space: u64,
    threads: u64,
}

/// As the system tells it, if it does.
fn status() -> Option<Status> {
    parse(&std::fs::read_to_string("/proc/self/status").ok()?)
}

fn parse(text: &str) -> Option<Status> {
    let number = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    // The system gives KiB, whatever it writes behind the number.
    Some(Status { resident: number("VmRSS")? << 10, address_space: number("VmSize")? << 10, threads: number("Threads")? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_systems_words_are_understood() {
        let text = "Name:\tboxbox\nVmPeak:\t  900 kB\nVmSize:\t  800 kB\nVmRSS:\t   70 kB\nThreads:\t9\n";
        assert_eq!(parse(text), Some(Status { resident: 70 << 10, address_space: 800 << 10, threads: 9 }));
        assert_eq!(parse("VmRSS: 1 kB"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn this_process_is_measured() {
        let here = status().unwrap();
        assert!(here.resident > 1 << 20 && here.address_space >= here.resident && here.threads >= 1, "{here:?}");
        let before = cpu_time();
        let begun = std::time::Instant::now();
        while cpu_time() == before && begun.elapsed() < Duration::from_secs(10) {}
        assert!(cpu_time() > before);
    }
}
