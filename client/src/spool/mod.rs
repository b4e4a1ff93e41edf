//! The spool on disk (W8): one folder for each server, tenant and driver, used by one process at a time.
//!
//! ```text
//! DIR/6f1c…/lock                                  held while a client runs
//! DIR/6f1c…/about.json                            which server, tenant and driver; never the grant
//! DIR/6f1c…/00000003-RUN-SIM-SOURCE-NUM/acked     the last ack that was noted
//! DIR/6f1c…/00000003-RUN-SIM-SOURCE-NUM/000000000000.rec
//! ```
//! A `.rec` file is sealed records back to back, as they are sent; its name is the first sequence number in it. What is
//! not wholly acked when a process ends is drained by the next one, with the same run, streams and bytes.

mod disk;
mod folder;
mod thread;

use std::path::{Path, PathBuf};

use boxbox_schemas::connect::ConnectString;

use crate::client::Shared;

pub(crate) use thread::start;

/// Why a spool on disk cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SpoolError {
    /// Another client has it.
    #[error("the spool {} is in use by another process for the same server and driver: end that one first, or give this one another folder", .0.display())]
    InUse(PathBuf),
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
    fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + use<> {
        let path = path.to_path_buf();
        move |error| Self::Io { path, error }
    }
}

/// An open spool and what it holds.
pub(crate) struct Files {
    pub(crate) disk: disk::Disk,
    pub(crate) left: Vec<disk::Left>,
    /// Held while the spool is in use.
    pub(crate) lock: std::fs::File,
}

/// Find or make the folder below `dir` for whom `connect` is, lock it, and see what is in it.
pub(crate) fn open(dir: &Path, connect: &ConnectString, max_bytes: u64) -> Result<Files, SpoolError> {
    let (folder, lock) = folder::open(dir, connect)?;
    let (disk, left) = disk::Disk::open(&folder, max_bytes).map_err(SpoolError::io(&folder))?;
    Ok(Files { disk, left, lock })
}

/// Wait until the spool's thread has written everything and let go of the folder.
pub(crate) async fn stopped(shared: &Shared) {
    shared.files_closed.cancelled().await;
}

#[cfg(test)]
mod tests;
