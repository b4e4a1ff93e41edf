//! Whether the disk of the data folder has room for what the server may keep: said at the start, with numbers.

use std::path::Path;

use boxbox_log::Kept;

use crate::node::options::NodeOptions;
use crate::node::stores::StoreOptions;

/// What a log of files and an archive of files may grow to, and what is there for it, bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Room {
    /// Free on the disk.
    pub free: u64,
    /// What log and archive may still take.
    pub wanted: u64,
}

impl Room {
    /// Look at the disk of `folder`. `kept`: what the log of files keeps; `None`: the log is elsewhere. `None` if the system does not say
    /// how much is free, or nothing of the server grows there. A demo's or a replay's server runs for too short a time to say anything.
    pub fn of(folder: &Path, kept: Option<Kept>, archive: &Path, options: &NodeOptions) -> Option<Self> {
        let log = kept.map_or(0, |kept| options.log_retention.max_bytes.saturating_sub(kept.bytes));
        let archived = std::fs::metadata(archive).map_or(0, |meta| meta.len());
        let archive = match options.stores {
            StoreOptions::Files if options.roles.processor => options.processor.archive_max_bytes.unwrap_or(0).saturating_sub(archived),
            _ => 0,
        };
        let wanted = log.saturating_add(archive);
        free(folder).filter(|_| wanted > 0 && options.clients == 0).map(|free| Self { free, wanted })
    }

    /// What a person should know, if the disk is too small.
    pub fn warning(&self) -> Option<String> {
        let gib = |bytes: u64| bytes as f64 / f64::from(1 << 30);
        (self.free < self.wanted).then(|| {
            format!(
                "the disk of the data folder has {:.1} GiB free, and log and archive may take {:.1} GiB more: make room, or lower \
                 --log-max-bytes and --archive-max-bytes. When it is full, clients keep what they drive until there is space",
                gib(self.free),
                gib(self.wanted)
            )
        })
    }
}

#[cfg(unix)]
fn free(folder: &Path) -> Option<u64> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some(stat.f_bavail.saturating_mul(stat.f_frsize))
}

#[cfg(not(unix))]
fn free(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_that_is_too_small_is_said_with_numbers() {
        assert_eq!(Room { free: 30 << 30, wanted: 28 << 30 }.warning(), None);
        let said = Room { free: 3 << 29, wanted: 28 << 30 }.warning().unwrap();
        assert!(said.contains("1.5 GiB free") && said.contains("28.0 GiB more") && said.contains("--log-max-bytes"), "{said}");
    }
}
