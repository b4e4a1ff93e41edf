//! How much memory the sessions of a processor may take, where no option says it.

use std::path::Path;

/// At least so much, however small the machine is.
const LEAST: u64 = 64 << 20;
/// Where the system does not say how much memory there is.
const UNKNOWN: u64 = 1 << 30;
/// A third: one session that comes into memory may take as much again for a moment, and the rest of the process needs some too.
const PART: u64 = 3;

/// A third of the memory that this process can have: its control group's limit, or what the machine has.
pub(super) fn default_session_bytes() -> u64 {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    part_of(memory(read))
}

fn part_of(memory: Option<u64>) -> u64 {
    memory.map_or(UNKNOWN, |bytes| (bytes / PART).max(LEAST))
}

/// The smallest limit that holds for this process, of those that can be read.
fn memory(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let of_machine = read(Path::new("/proc/meminfo"))
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()))
        .map(|kib| kib << 10);
    let group = read(Path::new("/proc/self/cgroup")).and_then(|text| text.lines().find_map(|line| Some(line.strip_prefix("0::/")?.to_owned())));
    // A limit of a group holds for all below it. In a container the group that it sees as the root is its own.
    let place = Path::new("/sys/fs/cgroup").join(group.unwrap_or_default());
    let groups = place.ancestors().take_while(|group| group.starts_with("/sys/fs/cgroup"));
    let limits = groups.filter_map(|group| read(&group.join("memory.max"))?.trim().parse::<u64>().ok());
    limits.chain(of_machine).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(files: &[(&str, &str)]) -> Option<u64> {
        memory(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn the_smallest_limit_counts() {
        let machine = ("/proc/meminfo", "MemTotal:       16384 kB\nMemFree: 1 kB\n");
        let group = ("/proc/self/cgroup", "0::/a/b\n");
        assert_eq!(given(&[]), None);
        assert_eq!(given(&[machine]), Some(16 << 20));
        assert_eq!(given(&[machine, group, ("/sys/fs/cgroup/a/b/memory.max", "max\n")]), Some(16 << 20));
        assert_eq!(given(&[machine, group, ("/sys/fs/cgroup/a/memory.max", "1048576\n")]), Some(1 << 20));
        assert_eq!(given(&[machine, ("/sys/fs/cgroup/memory.max", "2097152\n")]), Some(2 << 20), "a container's");
        assert_eq!((part_of(None), part_of(Some(3 << 30)), part_of(Some(1 << 20))), (UNKNOWN, 1 << 30, LEAST));
    }
}
