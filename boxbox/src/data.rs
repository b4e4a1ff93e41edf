//! [`DataFolder`]: the data folder of the embedded profile. One process owns it.
//!
//! ```text
//! boxbox-data/
//!   lock          held by the process that runs the services
//!   log/          the embedded log
//!   log.id        the log from which the stores in this folder were computed (E7)
//!   results.db    laps, incidents, sessions, ledgers, checkpoints; decisions of leagues
//!   archive.db    every admitted frame
//!   auth/         signing keys (with a Kafka log only where grants are made), certificate, revocations; `grant` changes
//!                 them while the services run
//!   spool/        unacked frames of `replay --to`
//!   clock         what the time was last (`clock_watch.rs`)
//!   run.json      where the services listen now
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail, ensure};
use boxbox_schemas::LogId;
use boxbox_schemas::secret::Secret;
use serde::{Deserialize, Serialize};

use crate::private;

/// Bytes that are read of a file with a secret: a path may name a device that never ends.
const SECRET_MAX_BYTES: u64 = 64 * 1024;

/// A data folder that this process owns until it is dropped.
pub struct DataFolder {
    path: PathBuf,
    _locks: Vec<File>,
}

/// Where services listen, for `grant create` to print.
#[derive(Serialize, Deserialize, Clone, PartialEq, Debug)]
pub struct Running {
    /// Process id.
    pub pid: u32,
    /// Where sim clients connect.
    pub quic: Option<SocketAddr>,
    /// The host name that clients should use, if it is not the address.
    pub public_host: Option<String>,
    /// Where the API answers.
    pub api: Option<SocketAddr>,
}

impl DataFolder {
    /// Create the folder if needed and lock it for this process: the whole folder, or with `role` for one service of several processes.
    pub fn open(path: &Path, role: Option<&str>) -> anyhow::Result<Self> {
        fs::create_dir_all(path).with_context(|| format!("cannot create the data folder {}: choose another with --data", path.display()))?;
        private::make_private(path)?;
        let lock_path = path.join("lock");
        let lock = OpenOptions::new().create(true).truncate(false).write(true).read(true).open(&lock_path);
        let mut lock = lock.with_context(|| format!("cannot write in the data folder {}: choose another with --data", path.display()))?;
        let taken = match role {
            None => lock.try_lock(),
            Some(_) => lock.try_lock_shared(),
        };
        match taken {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => {
                let owner = running(path).map(|r| format!(" (process {})", r.pid)).unwrap_or_default();
                bail!(
                    "the data folder {} is in use by another boxbox{owner}: stop that process, choose another folder with --data DIR, \
                     or, to stream to that process, give `replay --to` the string that `up` printed",
                    path.display()
                );
            }
            Err(fs::TryLockError::Error(error)) => return Err(error).with_context(|| format!("cannot lock {}", lock_path.display())),
        }
        if let Some(role) = role {
            return Self::open_role(path, role, lock);
        }
        // The process id is for people who look into the folder; the lock itself is in the kernel.
        let _ = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
        Ok(Self { path: path.into(), _locks: vec![lock] })
    }

    fn open_role(path: &Path, role: &str, shared: File) -> anyhow::Result<Self> {
        let own = path.join(format!("lock-{role}"));
        let lock =
            OpenOptions::new().create(true).truncate(false).write(true).open(&own).with_context(|| format!("cannot write {}", own.display()))?;
        lock.try_lock().map_err(|_| {
            anyhow::anyhow!("another `boxbox {role}` uses the data folder {}: give each process a folder with --data", path.display())
        })?;
        Ok(Self { path: path.into(), _locks: vec![shared, lock] })
    }

    /// The embedded log's folder.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }
    /// The results' file.
    pub fn results(&self) -> PathBuf {
        self.path.join("results.db")
    }
    /// The archive's file.
    pub fn archive(&self) -> PathBuf {
        self.path.join("archive.db")
    }
    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// E7: check that the stores in this folder were computed from `log` and from no other log; if the stores are new, remember the log.
    ///
    /// A log that was deleted or exchanged begins at offset 0 again: its sessions would be mixed with those of the log before
    /// without a warning, and a client that resumes would look like a hole.
    pub fn belongs_to(&self, log: &LogId) -> anyhow::Result<()> {
        let path = self.path.join("log.id");
        match fs::read_to_string(&path) {
            Ok(known) if known.trim() == log.0 => Ok(()),
            Ok(known) => bail!(
                "the results in {} were computed from log {}, and this is log {}: was the log deleted, or another one chosen? Put the old log \
                 back, choose another folder with --data, or delete {} to keep the results and continue with the new log",
                self.path.display(),
                known.trim(),
                log.0,
                path.display()
            ),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => write_whole(&path, format!("{}\n", log.0).as_bytes()),
            Err(error) => Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }

    /// Write where the services listen.
    pub fn announce(&self, running: &Running) -> anyhow::Result<()> {
        write_whole(&self.path.join("run.json"), &serde_json::to_vec_pretty(running)?)
    }
}

impl Drop for DataFolder {
    fn drop(&mut self) {
        let _ = fs::remove_file(self.path.join("run.json"));
    }
}

/// Make an empty file that only the owner of its folder can read. What is there stays as it is.
pub fn make_secret_once(path: &Path) -> std::io::Result<()> {
    match secret_file().create_new(true).write(true).open(path) {
        Ok(_) => {
            keep_owner(path, path.parent().unwrap_or(path));
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Options to open a file with that only the owner can read if it is made.
fn secret_file() -> OpenOptions {
    let mut options = OpenOptions::new();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

/// Where the services of a data folder listen, if they run.
pub fn running(path: &Path) -> Option<Running> {
    serde_json::from_slice(&fs::read(path.join("run.json")).ok()?).ok()
}

/// Replace a file atomically: readers see the old or the new content, also after a crash.
pub fn write_whole(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write_with(path, content, false)
}

/// As [`write_whole`], but only the owner can read the file.
pub fn write_secret(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    write_with(path, content, true)
}

/// Read a password or another secret from its file.
pub fn read_secret(path: &Path) -> anyhow::Result<Secret> {
    let mut content = vec![];
    let read = File::open(path).and_then(|file| file.take(SECRET_MAX_BYTES + 1).read_to_end(&mut content));
    read.with_context(|| format!("cannot read the file {}, which should hold a secret", path.display()))?;
    ensure!(content.len() as u64 <= SECRET_MAX_BYTES, "the file {} holds no secret: it is too long", path.display());
    Secret::from_file_content(&content).with_context(|| format!("the file {} holds no secret", path.display()))
}

fn write_with(path: &Path, content: &[u8], secret: bool) -> anyhow::Result<()> {
    // Two threads may write at once.
    static WRITES: AtomicU64 = AtomicU64::new(0);
    let part = path.with_extension(format!("part-{}-{}", std::process::id(), WRITES.fetch_add(1, Ordering::Relaxed)));
    let mut options = if secret { secret_file() } else { OpenOptions::new() };
    options.create(true).write(true).truncate(true);
    let write = || {
        let mut file = options.open(&part)?;
        file.write_all(content)?;
        keep_owner(&part, path);
        file.sync_all()?;
        fs::rename(&part, path)?;
        // A file is lost in a power cut as long as its folder does not name it.
        sync_folder(path)
    };
    let written = write();
    if written.is_err() {
        let _ = fs::remove_file(&part);
    }
    written.with_context(|| format!("cannot write {}", path.display()))
}

/// Give `part` the owner of the file that it replaces, or of the folder: a server that runs as another user than the person who runs
/// `grant` must be able to read what that person writes. Without the right to do so it stays as it is.
#[cfg(unix)]
fn keep_owner(part: &Path, path: &Path) {
    use std::os::unix::fs::MetadataExt;
    let before = fs::metadata(path).or_else(|_| fs::metadata(path.parent().unwrap_or(path)));
    if let (Ok(before), Ok(now)) = (before, fs::metadata(part))
        && (before.uid(), before.gid()) != (now.uid(), now.gid())
    {
        let _ = std::os::unix::fs::chown(part, Some(before.uid()), Some(before.gid()));
    }
}

#[cfg(not(unix))]
fn keep_owner(_: &Path, _: &Path) {}

#[cfg(unix)]
fn sync_folder(path: &Path) -> std::io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(if folder.as_os_str().is_empty() { Path::new(".") } else { folder })?.sync_all())
}

#[cfg(not(unix))]
fn sync_folder(_: &Path) -> std::io::Result<()> {
    Ok(())
}
