//! A folder that is fetched once, however many processes need it.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Fills `folder` by `fetch` unless it is there. `fetch` gets an empty folder to fill, renamed to `folder` afterwards.
pub(super) fn once(folder: &Path, fetch: impl FnOnce(&Path) -> Result<()>) -> Result<PathBuf> {
    if folder.exists() {
        return Ok(folder.to_path_buf());
    }
    let _lock = lock(&folder.with_extension("lock"))?;
    if folder.exists() {
        return Ok(folder.to_path_buf()); // another process fetched it while this one waited
    }
    let part = folder.with_extension("part");
    if part.exists() {
        std::fs::remove_dir_all(&part).with_context(|| format!("cannot remove {}", part.display()))?;
    }
    std::fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
    fetch(&part)?;
    std::fs::rename(&part, folder).with_context(|| format!("cannot rename {}", part.display()))?;
    Ok(folder.to_path_buf())
}

/// Waits for the lock of `file` (made if absent); it is released when the value is dropped or the process ends.
pub fn lock(file: &Path) -> Result<File> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    }
    let open = File::options().create(true).truncate(false).write(true).open(file);
    let lock = open.with_context(|| format!("cannot open the lock {}", file.display()))?;
    lock.lock().with_context(|| format!("cannot lock {}", file.display()))?;
    Ok(lock)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_fetch_leaves_nothing_that_looks_whole() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("things").join("1.0");
        let failed = once(&folder, |part| {
            std::fs::write(part.join("half"), "x").unwrap();
            anyhow::bail!("the network went away")
        });
        assert!(failed.is_err() && !folder.exists());

        let fill = |part: &Path| Ok(std::fs::write(part.join("whole"), "y")?);
        assert_eq!(once(&folder, fill).unwrap(), folder);
        assert!(folder.join("whole").exists() && !folder.join("half").exists());
        once(&folder, |_| anyhow::bail!("fetched a second time")).unwrap();
    }
}
