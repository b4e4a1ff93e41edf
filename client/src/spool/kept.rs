//! What spools hold that no server has acked: for people who look after them, as with a server's name that was mistyped.

use std::path::{Path, PathBuf};
use std::time::SystemTime;

use super::SpoolError;
use super::disk::Disk;
use super::folder::{About, folders, lock};

/// A spool with records that no server has acked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its name: that of its folder.
    pub name: String,
    /// Its folder.
    pub folder: PathBuf,
    /// Whose records it holds: tenant and driver.
    pub owner: String,
    /// Where the server was looked for, `host:port`, the last time last. Spools of older versions have none.
    pub addresses: Vec<String>,
    /// Pins of the server.
    pub pins: Vec<String>,
    /// How many streams, and how many frames and other records of them are not acked; `None`: a process uses it now.
    pub unacked: Option<(usize, u64)>,
    /// Bytes of its files.
    pub bytes: u64,
    /// When its files were last written.
    pub changed: Option<SystemTime>,
}

/// The spools below `dir` that hold anything. A spool that no process uses is locked while it is looked at.
///
/// # Errors
/// If a folder cannot be read.
pub fn kept(dir: &Path) -> Result<Vec<Kept>, SpoolError> {
    let folders = match folders(dir) {
        Ok(folders) => folders,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => vec![],
        Err(error) => return Err(SpoolError::io(dir)(error)),
    };
    let mut all = vec![];
    for folder in folders {
        let Some((about, _)) = About::of_spool(&folder) else { continue };
        let unacked = match lock(&folder) {
            Ok(_held) => {
                // The limit counts only when something is written.
                let (_, recovered) = Disk::open(&folder, u64::MAX).map_err(SpoolError::io(&folder))?;
                Some((recovered.len(), recovered.iter().map(|stream| stream.next - stream.acked).sum()))
            }
            Err(SpoolError::InUse(_)) => None,
            Err(error) => return Err(error),
        };
        let (bytes, changed) = files(&folder).map_err(SpoolError::io(&folder))?;
        if unacked.is_none_or(|(_, records)| records > 0) {
            let name = folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            all.push(Kept { name, folder, owner: about.owner, addresses: about.addresses, pins: about.pins, unacked, bytes, changed });
        }
    }
    Ok(all)
}

/// Delete a spool with all its records.
///
/// # Errors
/// [`SpoolError::InUse`] if a process uses it; also if a file cannot be removed.
pub fn delete(spool: &Kept) -> Result<(), SpoolError> {
    let folder = &spool.folder;
    let _held = lock(folder)?;
    // The description first: without it, what remains after a failure is no spool.
    let described = match std::fs::remove_file(folder.join("about.json")) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        other => other,
    };
    let removed = described.and_then(|()| std::fs::remove_dir_all(folder));
    removed.map_err(SpoolError::io(folder))
}

/// Bytes of the records' files, and when one was last written.
fn files(folder: &Path) -> std::io::Result<(u64, Option<SystemTime>)> {
    let (mut bytes, mut changed) = (0, None);
    for stream in std::fs::read_dir(folder)? {
        let stream = stream?.path();
        if !stream.is_dir() {
            continue;
        }
        for file in std::fs::read_dir(stream)? {
            let file = file?;
            if file.path().extension().is_some_and(|extension| extension == "rec") {
                let about = file.metadata()?;
                bytes += about.len();
                changed = changed.max(about.modified().ok());
            }
        }
    }
    Ok((bytes, changed))
}
