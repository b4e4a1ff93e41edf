//! How much memory the sessions of a processor, and the answers of an API, may take: so much that both together and the rest of the process
//! fit into the memory there is.

use std::path::Path;

/// At least so much, however small the machine is.
const LEAST: u64 = 64 << 20;
/// Where the system does not say how much memory there is.
const UNKNOWN: u64 = 1 << 30;
/// A quarter: what is allocated is up to half as much again as what is counted, and what is being committed is copied.
const PART: u64 = 4;
/// Answers get two sevenths: at 512 MiB, the limit in docker-compose.yml, just the longest one.
const ANSWERS: (u64, u64) = (2, 7);

/// Where control groups have their limits of memory, version 2 and version 1: what stands between number and name of the group in
/// `/proc/self/cgroup`, the folder of all groups, and the file.
const HIERARCHIES: [(&str, &str, &str); 2] = [("::", "/sys/fs/cgroup", "memory.max"), (":memory:", "/sys/fs/cgroup/memory", "memory.limit_in_bytes")];

/// A quarter of the memory that this process can have: its control group's limit, or what the machine has.
pub(super) fn default_session_bytes() -> u64 {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    part_of(memory(read))
}

/// What the answers that an API is making may take, MiB.
pub(super) fn default_answers_mib() -> u32 {
    let read = |path: &Path| std::fs::read_to_string(path).ok();
    answers_mib(memory(read))
}

fn answers_mib(memory: Option<u64>) -> u32 {
    let (part, of) = ANSWERS;
    let mib = memory.map_or(u32::MAX, |bytes| u32::try_from((bytes / of * part) >> 20).unwrap_or(u32::MAX));
    mib.clamp(boxbox_api::Config::ANSWERS_MIB_LEAST, boxbox_api::Config::ANSWERS_MIB_MOST)
}

fn part_of(memory: Option<u64>) -> u64 {
    memory.map_or(UNKNOWN, |bytes| (bytes / PART).max(LEAST))
}

/// The smallest limit that holds for this process, of those that can be read.
fn memory(read: impl Fn(&Path) -> Option<String>) -> Option<u64> {
    let of_machine = read(Path::new("/proc/meminfo"))
        .and_then(|text| text.lines().find_map(|line| line.strip_prefix("MemTotal:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()))
        .map(|kib| kib << 10);
    let groups = read(Path::new("/proc/self/cgroup")).unwrap_or_default();
    let limits = HIERARCHIES.into_iter().flat_map(|(line, root, file)| {
        let group = groups.lines().find_map(|group| group.split_once(line).filter(|(number, _)| !number.contains(':')).map(|(_, group)| group));
        // A limit of a group holds for all below it. In a container the group that it sees as the root is its own.
        let place = Path::new(root).join(group.unwrap_or_default().trim_start_matches('/'));
        let above: Vec<_> = place.ancestors().take_while(|above| above.starts_with(root)).map(|above| above.join(file)).collect();
        above.into_iter().filter_map(|limit| read(&limit)?.trim().parse::<u64>().ok()).collect::<Vec<_>>()
    });
    limits.chain(of_machine).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(files: &[(&str, &str)]) -> Option<u64> {
        memory(|path| files.iter().find(|(name, _)| Path::new(name) == path).map(|(_, text)| (*text).to_owned()))
    }

    #[test]
    fn sessions_and_answers_leave_room() {
        for memory in [512 << 20, 768 << 20, 1 << 30, 16 << 30] {
            let both = part_of(Some(memory)) * 3 / 2 + (u64::from(answers_mib(Some(memory))) << 20);
            assert!(both < memory * 3 / 4, "{memory}");
        }
        assert_eq!((answers_mib(Some(1)), answers_mib(None)), (144, 288));
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
        let old = ("/proc/self/cgroup", "9:name=systemd:/a\n8:memory:/a/b\n0::/a\n");
        let limit = ("/sys/fs/cgroup/memory/a/b/memory.limit_in_bytes", "3145728\n");
        let none = ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(given(&[machine, old, none]), Some(16 << 20));
        assert_eq!(given(&[machine, old, limit, none]), Some(3 << 20), "control groups of version 1");
        assert_eq!((part_of(None), part_of(Some(4 << 30)), part_of(Some(1 << 20))), (UNKNOWN, 1 << 30, LEAST));
    }
}
