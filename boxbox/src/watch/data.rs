//! The data folder: how large its parts are, and how much room its disk has.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// The parts of the folder that grow.
const PARTS: [&str; 4] = ["log", "results", "archive", "spool"];
/// How often the sizes of files are asked for at most: the log has many.
const LOOK_EVERY: Duration = Duration::from_secs(30);
/// Files that are looked at in one part at most; a log of 8 GiB has some hundred.
const FILES_MAX: usize = 20_000;

boxbox_schemas::metrics! {
    /// The data folder.
    pub struct DataMetrics("boxbox_data") {
        /// Free bytes of the disk that has the data folder.
        disk_free_bytes: gauge,
        /// Bytes of the disk that has the data folder.
        disk_bytes: gauge,
        /// Bytes of the files in the data folder, by part, as of the last half minute.
        bytes: gauge by "part" of PARTS,
    }
}

/// Measures a data folder.
pub struct DataWatch {
    metrics: DataMetrics,
    folder: PathBuf,
    looked: Mutex<Option<Instant>>,
}

impl DataWatch {
    /// The folder.
    pub fn new(folder: &Path) -> Self {
        Self { metrics: DataMetrics::new(), folder: folder.into(), looked: Mutex::new(None) }
    }

    /// As it is now.
    pub fn measure(&self) {
        if let Some((free, all)) = disk(&self.folder) {
            self.metrics.disk_free_bytes.set(free as f64);
            self.metrics.disk_bytes.set(all as f64);
        }
        // Of several scrapes at once, one looks.
        let Some(mut looked) = self.looked.try_lock() else { return };
        if looked.is_some_and(|at| at.elapsed() < LOOK_EVERY) {
            return;
        }
        *looked = Some(Instant::now());
        for part in PARTS {
            self.metrics.bytes.with(part).set(size_of(&self.folder, part) as f64);
        }
    }
}

/// Free bytes and all bytes of the disk of `folder`.
#[cfg(unix)]
fn disk(folder: &Path) -> Option<(u64, u64)> {
    let stat = rustix::fs::statvfs(folder).ok()?;
    Some((stat.f_bavail.saturating_mul(stat.f_frsize), stat.f_blocks.saturating_mul(stat.f_frsize)))
}

#[cfg(not(unix))]
fn disk(_: &Path) -> Option<(u64, u64)> {
    None
}

/// Bytes of a part: a folder with all that is in it, or a database with the files beside it.
fn size_of(data: &Path, part: &str) -> u64 {
    let database = ["", "-wal", "-shm"].map(|end| data.join(format!("{part}.db{end}")));
    let mut folders = vec![data.join(part)];
    let mut bytes: u64 = database.iter().filter_map(|file| std::fs::metadata(file).ok()).map(|meta| meta.len()).sum();
    let mut files = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            files += 1;
            // A link is not followed: what it leads to is elsewhere, or counted already.
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => folders.push(entry.path()),
                Ok(meta) => bytes = bytes.saturating_add(meta.len()),
                Err(_) => {}
            }
            if files >= FILES_MAX {
                return bytes;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_its_folder_or_its_database() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path();
        std::fs::create_dir_all(data.join("log/0")).unwrap();
        for (file, bytes) in [("log/0/a", 10), ("log/b", 5), ("results.db", 100), ("results.db-wal", 7), ("other", 1_000)] {
            std::fs::write(data.join(file), vec![0; bytes]).unwrap();
        }
        assert_eq!(PARTS.map(|part| size_of(data, part)), [15, 107, 0, 0]);
        assert!(disk(data).is_none_or(|(free, all)| all > 0 && free <= all));
    }
}
