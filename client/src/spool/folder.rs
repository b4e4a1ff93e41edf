//! Finds the folder of a spool: by tenant and driver of the grant, and by any of the server's pins, so that a change of the
//! server's keys or address leaves no records behind.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};

use boxbox_schemas::connect::{ConnectString, pin_text};
use boxbox_schemas::grant;
use serde::{Deserialize, Serialize};

use super::SpoolError;
use super::disk::{create_dir, private};

/// The description of a spool's folder. It holds no secrets.
#[derive(Serialize, Deserialize, Clone, PartialEq, Eq, Debug)]
struct About {
    /// Tenant and driver, or a fingerprint if the grant cannot be read.
    owner: String,
    /// Pins of the server: all that were ever in a connect string.
    pins: Vec<String>,
}

impl About {
    fn of(connect: &ConnectString) -> Self {
        let owner = match grant::peek(&connect.grant) {
            Some(grant) => format!("{} / {}", grant.tenant, grant.driver),
            None => format!("grant {}", fingerprint(connect.grant.as_bytes())),
        };
        Self { owner, pins: connect.pins.iter().map(pin_text).collect() }
    }

    fn is_same(&self, other: &About) -> bool {
        self.owner == other.owner && self.pins.iter().any(|p| other.pins.contains(p))
    }
}

fn fingerprint(bytes: &[u8]) -> String {
    ring::digest::digest(&ring::digest::SHA256, bytes).as_ref()[..8].iter().map(|b| format!("{b:02x}")).collect()
}

/// The folder and its lock.
pub(super) fn open(dir: &Path, connect: &ConnectString) -> Result<(PathBuf, File), SpoolError> {
    create_dir(dir).map_err(SpoolError::io(dir))?;
    let mut about = About::of(connect);
    let known = find(dir, &about).map_err(SpoolError::io(dir))?;
    let folder = match &known {
        Some((folder, _)) => folder.clone(),
        None => dir.join(fingerprint(format!("{} {}", about.owner, about.pins.join(" ")).as_bytes())),
    };
    create_dir(&folder).map_err(SpoolError::io(&folder))?;
    let lock = private().create(true).truncate(false).open(folder.join("lock")).map_err(SpoolError::io(&folder))?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(SpoolError::InUse(folder)),
        Err(TryLockError::Error(e)) => return Err(SpoolError::io(&folder)(e)),
    }
    if let Some((_, known)) = &known {
        about.pins.extend(known.pins.iter().filter(|p| !about.pins.contains(p)).cloned().collect::<Vec<_>>());
    }
    if known.is_none_or(|(_, known)| known != about) {
        write_about(&folder, &about).map_err(SpoolError::io(&folder))?;
    }
    Ok((folder, lock))
}

fn find(dir: &Path, about: &About) -> std::io::Result<Option<(PathBuf, About)>> {
    let mut folders: Vec<PathBuf> = std::fs::read_dir(dir)?.filter_map(|e| Some(e.ok()?.path())).collect();
    folders.sort();
    Ok(folders.into_iter().find_map(|folder| {
        let text = std::fs::read(folder.join("about.json")).ok()?;
        let found: About = serde_json::from_slice(&text).ok()?;
        found.is_same(about).then_some((folder, found))
    }))
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
