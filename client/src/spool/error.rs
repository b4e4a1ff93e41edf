//! [`SpoolError`]: why a spool on disk cannot be used.

use std::path::{Path, PathBuf};

/// Why a spool on disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// Another process uses it.
    #[error("the spool {} is in use by another process for the same server and driver: stop that process first, or choose another folder for this one", .0.display())]
    InUse(PathBuf),
    /// There is no spool in this folder.
    #[error("there is no spool in {}", .0.display())]
    Unknown(PathBuf),
    /// Whose records the spool holds cannot be read.
    #[error(
        "the spool {} does not say whose records it holds, because its about.json is damaged: they can be sent only with the connect string for which \
         it was made. Restore the file from a backup, or delete the spool", .0.display()
    )]
    Damaged(PathBuf),
    /// The spool holds the records of another driver.
    #[error("the spool {} holds records of {owner}, and the connect string is of {asked}: give one of {owner}", folder.display())]
    Foreign {
        /// The spool.
        folder: PathBuf,
        /// Whose records it holds: tenant and driver.
        owner: String,
        /// Whose connect string was given.
        asked: String,
    },
    /// The folder or a file in it cannot be used.
    #[error("the spool {} cannot be used: {error}", path.display())]
    Io {
        /// Where.
        path: PathBuf,
        /// What went wrong.
        #[source]
        error: std::io::Error,
    },
}

impl SpoolError {
    pub(super) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::Io { path, error }
    }
}
