//! The folder of a stack: where it is, its lock, and its removal.

use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

use super::process::PidFile;
use crate::{fetch, folders};

/// Prefix of the folders that parts have outside their stack's folder; the tether's script has it too.
pub(super) const OUTSIDE_PREFIX: &str = "boxbox-stack-";

/// The pid files in a stack's folder, with or without a record.
pub(super) fn pid_files(folder: &Path) -> Result<Vec<PidFile>> {
    let entries = std::fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let paths = entries.flatten().map(|entry| entry.path());
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "pid")).map(PidFile::new).collect())
}

/// Removes a stack's folder, with its folders elsewhere that it links to.
pub(super) fn remove(folder: &Path) -> std::io::Result<()> {
    let links = std::fs::read_dir(folder)?.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    for outside in links.filter(|link| link.file_name().is_some_and(|name| name.to_string_lossy().starts_with(OUTSIDE_PREFIX))) {
        if outside.exists() {
            std::fs::remove_dir_all(outside)?;
        }
    }
    std::fs::remove_dir_all(folder)
}

pub(super) fn folder_of(name: &str) -> Result<PathBuf> {
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    ensure!((1..=40).contains(&name.len()) && name.chars().all(good), "{name:?} is no name for a stack: use a-z, 0-9 and -, up to 40 of them");
    Ok(folders::stacks().join(name))
}

/// The lock is beside the folder: it must outlive a wipe.
pub(super) fn lock(folder: &Path) -> Result<File> {
    fetch::lock(&lock_file(folder))
}

pub(super) fn lock_file(folder: &Path) -> PathBuf {
    folder.with_extension("lock")
}

pub(super) fn wipe_hint(name: &str) -> String {
    format!("To remove the stack and its data: cargo xtask stack down --name {name} --wipe")
}
