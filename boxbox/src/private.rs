//! What is for the server's user alone: the data folder, keys, and lists of who may do what.

use std::fs::{self, OpenOptions};
use std::io::{Error, ErrorKind, Read};
use std::path::Path;

use anyhow::Context;

/// Take the rights of others from a data folder, which a version before, or a person, may have made open.
#[cfg(unix)]
pub fn make_private(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    check_not_shared(path)?;
    let mode = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.permissions().mode();
    if mode & OTHERS != 0
        && let Err(error) = fs::set_permissions(path, fs::Permissions::from_mode(mode & !OTHERS))
    {
        // The folder is another user's, as a mounted disk may be.
        tracing::warn!(%error, folder = %path.display(), "other users of this machine can look into the data folder: chmod 700 is better");
    }
    Ok(())
}

#[cfg(not(unix))]
pub fn make_private(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// A folder in which every user of the machine has files cannot be a data folder.
#[cfg(unix)]
pub fn check_not_shared(path: &Path) -> anyhow::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let mode = fs::metadata(path).with_context(|| format!("cannot read {}", path.display()))?.permissions().mode();
    anyhow::ensure!(
        mode & STICKY == 0,
        "{} is a folder that users of this machine share (as /tmp is), and a data folder is for the server alone: choose another with --data, for \
         example {}",
        path.display(),
        path.join("boxbox-data").display()
    );
    Ok(())
}

#[cfg(not(unix))]
pub fn check_not_shared(_: &Path) -> anyhow::Result<()> {
    Ok(())
}

/// The bit of folders in which everybody has files.
#[cfg(unix)]
const STICKY: u32 = 0o1000;
/// The rights of all users but the owner.
#[cfg(unix)]
const OTHERS: u32 = 0o077;

/// Read a file of `most` bytes at most.
///
/// # Errors
/// If it cannot be read, is longer, or is no file but something that may have no end or give nothing for ever, as a device or a pipe.
pub fn read_regular(path: &Path, most: u64) -> std::io::Result<Vec<u8>> {
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
            "the key {} belongs to another user of this machine (uid {owner}), who can read it: if no other user \
             has copied it, give it to the server's user with chown; else delete it and make a new one",
            path.display()
        );
        anyhow::ensure!(
            mode & OTHERS == 0,
            "other users of this machine can read or change the key {} (its mode is {:03o}). If no other user did, run: chmod 600 {}; else delete it and \
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
