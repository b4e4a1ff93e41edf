//! The spool on disk (W8): one folder for each server, tenant and driver, used by one process at a time.
//!
//! ```text
//! DIR/6f1c…/lock                                  held while a client runs
//! DIR/6f1c…/about.json                            which server, tenant and driver; never the grant
//! DIR/6f1c…/00000003-RUN-SIM-SOURCE-NUM/acked     the last ack that was noted
//! DIR/6f1c…/00000003-RUN-SIM-SOURCE-NUM/000000000000.rec
//! ```
//! A `.rec` file is sealed records back to back, as they are sent; its name is the first sequence number in it. What is
//! not acked when a process ends is sent by the next one, as the same run, streams and bytes.

mod disk;
mod error;
mod folder;
mod kept;
mod thread;

use std::path::Path;

use boxbox_schemas::connect::ConnectString;

pub use error::SpoolError;
pub use kept::{Kept, delete, kept};
pub(crate) use thread::start;

/// An open spool and the streams in it.
pub(crate) struct Files {
    pub(crate) disk: disk::Disk,
    pub(crate) recovered: Vec<disk::Recovered>,
    /// Held while the spool is in use.
    pub(crate) lock: std::fs::File,
}

/// Finds or makes the folder below `dir` for the tenant, driver and server of `connect`, locks it, and reads what is in it.
pub(crate) fn open(dir: &Path, connect: &ConnectString, max_bytes: u64) -> Result<Files, SpoolError> {
    let (folder, lock) = folder::open(dir, connect)?;
    read(&folder, lock, max_bytes)
}

/// The same of the spool in `folder`, whichever server it was for.
pub(crate) fn open_kept(folder: &Path, connect: &ConnectString, max_bytes: u64) -> Result<Files, SpoolError> {
    let lock = folder::open_kept(folder, connect)?;
    read(folder, lock, max_bytes)
}

fn read(folder: &Path, lock: std::fs::File, max_bytes: u64) -> Result<Files, SpoolError> {
    let (disk, recovered) = disk::Disk::open(folder, max_bytes).map_err(SpoolError::io(folder))?;
    Ok(Files { disk, recovered, lock })
}

#[cfg(test)]
mod tests;
