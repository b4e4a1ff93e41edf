//! Finds the folder of a spool: by tenant and driver of the grant, and by any of the server's pins, so that a change of the
//! server's keys or address leaves no records behind.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use boxbox_schemas::connect::{ConnectString, pin_text};
use boxbox_schemas::grant;
use serde::{Deserialize, Serialize};

use super::SpoolError;
use super::disk::{create_dir, private};

/// Addresses that are kept of a server.
const ADDRESSES_MAX: usize = 8;

/// Whose records they are if the description of their folder cannot be read.
const UNKNOWN: &str = "an unknown driver";

/// The description of a spool's folder. It holds no secrets.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
pub(super) struct About {
    /// Tenant and driver, or a fingerprint if the grant cannot be read.
    pub(super) owner: String,
    /// Pins of the server: all that were ever in a connect string.
    pub(super) pins: Vec<String>,
    /// Where the server was looked for, `host:port`, the last time last: for people, who may have mistyped it.
    #[serde(default)]
    pub(super) addresses: Vec<String>,
}

impl About {
    fn of(connect: &ConnectString) -> Self {
        let owner = match grant::peek(&connect.grant) {
            Some(grant) => format!("{} / {}", grant.tenant, grant.driver),
            None => format!("grant {}", fingerprint(connect.grant.as_bytes())),
        };
        let addresses = vec![format!("{}:{}", connect.host, connect.port)];
        Self { owner, pins: connect.pins.iter().map(pin_text).collect(), addresses }
    }

    /// Of a folder, if it is one of a spool.
    pub(super) fn read(folder: &Path) -> Option<Self> {
        serde_json::from_slice(&std::fs::read(folder.join("about.json")).ok()?).ok()
    }

    /// Of a folder that is one of a spool; if its description is damaged or gone, one that says nothing.
    pub(super) fn of_spool(folder: &Path) -> Option<(Self, bool)> {
        match Self::read(folder) {
            Some(about) => Some((about, true)),
            // Every spool has a lock, from before it had a description.
            None if folder.join("lock").is_file() => Some((Self { owner: UNKNOWN.into(), pins: vec![], addresses: vec![] }, false)),
            None => None,
        }
    }

    /// Add what was known before.
    fn with(mut self, known: About) -> Self {
        self.pins.extend(known.pins.into_iter().filter(|pin| !self.pins.contains(pin)).collect::<Vec<_>>());
        let before = known.addresses.into_iter().filter(|address| !self.addresses.contains(address)).collect::<Vec<_>>();
        self.addresses.splice(0..0, before);
        // A laptop meets many addresses of one server.
        let old = self.addresses.len().saturating_sub(ADDRESSES_MAX);
        self.addresses.drain(..old);
        self
    }

    /// The name of the folder that is made for it.
    fn folder_name(&self) -> String {
        fingerprint(format!("{} {}", self.owner, self.pins.join(" ")).as_bytes())
    }

    fn is_same(&self, other: &About) -> bool {
        self.owner == other.owner && self.pins.iter().any(|p| other.pins.contains(p))
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// The folder below `dir` of the connect string's server, tenant and driver, and its lock.
pub(super) fn open(dir: &Path, connect: &ConnectString) -> Result<(PathBuf, File), SpoolError> {
    create_dir(dir).map_err(SpoolError::io(dir))?;
    let about = About::of(connect);
    let known = find(dir, &about).map_err(SpoolError::io(dir))?;
    let folder = match &known {
        Some(folder) => folder.clone(),
        None => dir.join(about.folder_name()),
    };
    create_dir(&folder).map_err(SpoolError::io(&folder))?;
    let lock = lock(&folder)?;
    note(&folder, about)?;
    Ok((folder, lock))
}

/// The folder of a spool that exists, whichever server it was for, and its lock. Its records become those of the connect string's driver,
/// so it must be that driver's.
pub(super) fn open_kept(folder: &Path, connect: &ConnectString) -> Result<File, SpoolError> {
    let about = About::of(connect);
    let (known, readable) = About::of_spool(folder).ok_or_else(|| SpoolError::Unknown(folder.into()))?;
    if !readable && folder.file_name().is_none_or(|name| name != about.folder_name().as_str()) {
        return Err(SpoolError::Damaged(folder.into()));
    }
    if readable && known.owner != about.owner {
        return Err(SpoolError::Foreign { folder: folder.into(), owner: known.owner, asked: about.owner });
    }
    let lock = lock(folder)?;
    note(folder, about)?;
    Ok(lock)
}

/// Lock a spool's folder for this process.
pub(super) fn lock(folder: &Path) -> Result<File, SpoolError> {
    let lock = private().create(true).truncate(false).open(folder.join("lock")).map_err(SpoolError::io(folder))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(SpoolError::InUse(folder.into())),
        Err(TryLockError::Error(e)) => Err(SpoolError::io(folder)(e)),
    }
}

/// Note in a locked folder what is new of its server.
fn note(folder: &Path, about: About) -> Result<(), SpoolError> {
    let known = About::read(folder);
    let about = match known.clone() {
        Some(known) => about.with(known),
        None => about,
    };
    if known.as_ref() != Some(&about) {
        write_about(folder, &about).map_err(SpoolError::io(folder))?;
    }
    Ok(())
}

fn find(dir: &Path, about: &About) -> std::io::Result<Option<PathBuf>> {
    Ok(folders(dir)?.into_iter().find(|folder| About::read(folder).is_some_and(|found| found.is_same(about))))
}

/// What is below `dir`, in order.
pub(super) fn folders(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(dir)?.filter_map(|e| Some(e.ok()?.path())).collect();
    folders.sort();
    Ok(folders)
}

/// Replaced as a whole: with half a file the folder's records would not be found again.
fn write_about(folder: &Path, about: &About) -> std::io::Result<()> {
    use std::io::Write;
    let (new, whole) = (folder.join("about.new"), folder.join("about.json"));
    let mut file = private().create(true).truncate(true).open(&new)?;
    file.write_all(&serde_json::to_vec_pretty(about)?)?;
    file.sync_data()?;
    std::fs::rename(new, whole)
}
