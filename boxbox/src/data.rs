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
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, bail};
use boxbox_schemas::LogId;
use boxbox_schemas::secret::Secret;
use serde::{Deserialize, Serialize};

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
        make_private(path)?;
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

/// Take the rights of others from a data folder, which a version before, or a person, may have made open.
#[cfg(unix)]
fn make_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.permissions().mode();
    anyhow::ensure!(
        mode & STICKY == 0,
        "{} is a folder that users of this machine share (as /tmp is), and a data folder is for the server alone: choose another with --data, for \
         example {}",
        path.display(),
        path.join("boxbox-data").display()
    );
    if mode & OTHERS != 0
        && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS))
    {
        // The folder is another user's, as a mounted disk may be.
        tracing::warn!(%error, folder = %path.display(), "other users of this machine can look into the data folder: chmod 700 is better");
    }
    Ok(())
}

#[cfg(not(unix))]
fn make_private(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// The bit of folders in which everybody has files.
#[cfg(unix)]
const STICKY: u32 = 0o1000;
/// The rights of all users but the owner.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

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

/// Read a file of `most` bytes at most.
///
/// # Errors
/// If it cannot be read, is longer, or is no file but something that may have no end or give nothing for ever, as a device or a pipe.
pub fn read_regular(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
    use std::io::{Error, ErrorKind, Read};
    let no_file = || Error::new(ErrorKind::InvalidInput, "it is not a regular file");
    // Before it is opened, because devices can do something then; and after, because it may be replaced in between.
    if !fs::metadata(path)?.is_file() {
        return Err(no_file());
    }
    let mut options = OpenOptions::new();
    options.read(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::custom_flags(&mut options, rustix::fs::OFlags::NONBLOCK.bits() as i32);
    let file = options.open(path)?;
    if !file.metadata()?.is_file() {
        return Err(no_file());
    }
    let mut bytes = vec![];
    file.take(most + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > most {
        return Err(Error::new(ErrorKind::FileTooLarge, format!("it has more than {most} bytes")));
    }
    Ok(bytes)
}

/// Bytes of a key's file at most.
const KEY_MAX_BYTES: u64 = 64 << 10;

/// Read a file that holds a key.
///
/// # Errors
/// If it cannot be read, or if other users can read or change it: then its key is not a secret.
pub fn read_key(path: &Path) -> anyhow::Result<Vec<u8>> {
    let key = read_regular(path, KEY_MAX_BYTES).with_context(|| format!("cannot read {}", path.display()))?;
    #[cfg(unix)]
    {
        let about = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?;
        let mode = std::os::unix::fs::PermissionsExt::mode(&about.permissions());
        let owner = std::os::unix::fs::MetadataExt::uid(&about);
        anyhow::ensure!(
            may_own_keys(owner, rustix::process::geteuid().as_raw(), path),
            "the key {} belongs to another user of this machine (uid {owner}), who can read it: give it to the server's user with chown if nobody \
             else has it, else delete it and make a new one",
            path.display()
        );
        anyhow::ensure!(
            mode & OTHERS == 0,
            "other users of this machine can read or change the key {} (its mode is {:03o}). If nobody has, run: chmod 600 {}; else delete it and \
             make a new one",
            path.display(),
            mode & 0o777,
            path.display()
        );
    }
    Ok(key)
}

/// Whether keys of this owner may be used by `user`. Root reads everything anyway, and root may run a command for the user to whom the whole
/// folder belongs.
#[cfg(unix)]
fn may_own_keys(owner: u32, user: u32, key: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let of_folder = || key.parent().and_then(|folder| fs::metadata(folder).ok()).map(|about| about.uid());
    owner == user || owner == 0 || user == 0 && of_folder() == Some(owner)
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
    let content = fs::read(path).with_context(|| format!("cannot read the password file {}", path.display()))?;
    Secret::from_file_content(&content).with_context(|| format!("the password file {} holds no password", path.display()))
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
