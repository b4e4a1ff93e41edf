//! The folder of a log: `log.json`, the lock, one subfolder per partition.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::file::{io_error, sync_folder};
use super::format::VERSION;
use super::options::DEFAULT_PARTITIONS;
use crate::LogError;

const META_FILE: &str = "log.json";
const LOCK_FILE: &str = "lock";
/// More partitions than a machine needs; each has a thread.
const PARTITIONS_MAX: u32 = 64;

/// The identity of the log in a folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    version: u32,
    pub(super) id: Uuid,
    /// Begins every checksum, so that other bytes do not pass for this log's.
    pub(super) key: Uuid,
    pub(super) partitions: u32,
    crc32c: u32,
}

impl Meta {
    fn new(partitions: u32) -> Self {
        let mut meta = Self { version: VERSION, id: Uuid::new_v4(), key: Uuid::new_v4(), partitions, crc32c: 0 };
        meta.crc32c = meta.checksum();
        meta
    }

    fn checksum(&self) -> u32 {
        let crc = crc32c::crc32c(&self.version.to_le_bytes());
        let crc = crc32c::crc32c_append(crc, self.id.as_bytes());
        let crc = crc32c::crc32c_append(crc, self.key.as_bytes());
        crc32c::crc32c_append(crc, &self.partitions.to_le_bytes())
    }
}

/// Take the folder for this process: create it if it is missing, lock it, and read or write `log.json`.
/// The lock lasts until the file is closed.
pub(super) fn take(folder: &Path, partitions: Option<u32>) -> Result<(File, Meta), LogError> {
    fs::create_dir_all(folder).map_err(|e| io_error("create the log's folder", folder, e))?;
    let lock = lock(folder)?;
    let meta = match read(folder)? {
        Some(meta) => meta,
        None => create(folder, partitions.unwrap_or(DEFAULT_PARTITIONS))?,
    };
    if let Some(wanted) = partitions.filter(|wanted| *wanted != meta.partitions) {
        return Err(LogError::Mismatch(format!(
            "the log in {} has {} partitions, not {wanted}: that is fixed when a log is made. Ask for {}, or use another folder",
            folder.display(),
            meta.partitions,
            meta.partitions,
        )));
    }
    check_folders(folder, meta.partitions)?;
    Ok((lock, meta))
}

/// The folder of a partition.
pub(super) fn partition_folder(folder: &Path, partition: u32) -> PathBuf {
    folder.join(format!("{partition:04}"))
}

fn lock(folder: &Path) -> Result<File, LogError> {
    let path = folder.join(LOCK_FILE);
    let mut file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(|e| io_error("open", &path, e))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut owner = String::new();
            // Only for the message: the owner may not have written its number yet.
            let _ = file.read_to_string(&mut owner);
            let owner = owner.trim().parse::<u32>().map_or_else(|_| "another process".into(), |pid| format!("another process (pid {pid})"));
            return Err(LogError::Mismatch(format!(
                "the log's folder {} is in use by {owner}: stop that process, or choose another folder",
                folder.display()
            )));
        }
        Err(TryLockError::Error(e)) => return Err(io_error("lock", &path, e)),
    }
    // For people only: no program reads it.
    let _ = file.set_len(0).and_then(|()| writeln!(file, "{}", std::process::id()));
    Ok(file)
}

fn read(folder: &Path) -> Result<Option<Meta>, LogError> {
    let path = folder.join(META_FILE);
    let text = match fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(io_error("read", &path, e)),
    };
    let unreadable = |why: String| {
        LogError::Mismatch(format!("{} is damaged ({why}): restore it from a backup; the log cannot be read without it", path.display()))
    };
    let json: serde_json::Value = serde_json::from_slice(&text).map_err(|e| unreadable(e.to_string()))?;
    // The version is read first and alone: another version may have other fields.
    match json.get("version").and_then(serde_json::Value::as_u64) {
        Some(version) if version == u64::from(VERSION) => {}
        Some(version) => {
            return Err(LogError::Mismatch(format!(
                "the log in {} has format version {version}; this build reads version {VERSION}: use the build that wrote it",
                folder.display()
            )));
        }
        None => return Err(unreadable("it has no version".into())),
    }
    let meta: Meta = serde_json::from_value(json).map_err(|e| unreadable(e.to_string()))?;
    if meta.checksum() != meta.crc32c {
        return Err(unreadable("its checksum does not match".into()));
    }
    Ok(Some(meta))
}

/// Make a new log. `log.json` comes last: without it there is no log, and after a crash half-way the next start begins again.
fn create(folder: &Path, partitions: u32) -> Result<Meta, LogError> {
    if !(1..=PARTITIONS_MAX).contains(&partitions) {
        return Err(LogError::Mismatch(format!("a log in a folder has 1 to {PARTITIONS_MAX} partitions, not {partitions}")));
    }
    for number in existing_folders(folder)? {
        let path = partition_folder(folder, number);
        let mut entries = fs::read_dir(&path).map_err(|e| io_error("list", &path, e))?;
        if entries.next().is_some() {
            return Err(LogError::Mismatch(format!("{} has records but no {META_FILE}: restore that file from a backup", folder.display())));
        }
    }
    let meta = Meta::new(partitions);
    for number in 0..partitions {
        let path = partition_folder(folder, number);
        fs::create_dir_all(&path).map_err(|e| io_error("create", &path, e))?;
    }
    let (path, new) = (folder.join(META_FILE), folder.join("log.json.new"));
    let text = serde_json::to_vec_pretty(&meta).expect("numbers and UUIDs always serialise");
    let write = || -> io::Result<()> {
        let mut file = File::create(&new)?;
        file.write_all(&text)?;
        file.sync_all()?;
        fs::rename(&new, &path)
    };
    write().map_err(|e| io_error("write", &path, e))?;
    sync_folder(folder)?;
    // The new folder's own entry.
    folder.canonicalize().ok().as_deref().and_then(Path::parent).map_or(Ok(()), sync_folder)?;
    Ok(meta)
}

fn check_folders(folder: &Path, partitions: u32) -> Result<(), LogError> {
    let found = existing_folders(folder)?;
    if found.iter().copied().eq(0..partitions) {
        return Ok(());
    }
    Err(LogError::Mismatch(format!(
        "the log in {} has {partitions} partitions, but its partition folders are {found:?}: restore what is missing, move away what is not its own",
        folder.display()
    )))
}

fn existing_folders(folder: &Path) -> Result<Vec<u32>, LogError> {
    let entries = fs::read_dir(folder).map_err(|e| io_error("list", folder, e))?;
    let mut found = Vec::new();
    for entry in entries {
        let name = entry.map_err(|e| io_error("list", folder, e))?.file_name();
        let number = name.to_str().filter(|name| name.len() == 4).and_then(|name| name.parse::<u32>().ok());
        found.extend(number);
    }
    found.sort_unstable();
    Ok(found)
}
