//! The log on one machine: a folder of checksummed segment files, nothing to install.
//!
//! ```text
//! log/log.json                        id, key, version, number of partitions
//!     lock                            held by the one process that uses the folder
//!     0000/00000000000000000000.seg   a segment, named by its first offset: see `format`
//!          commit                     a second copy of the last synced position
//! ```
//! Each partition has a thread that collects records for up to [`Options::commit_every`], writes them as one batch, syncs,
//! writes a commit marker, and only then delivers their outcomes. The next batch is written after that, so at a crash at most
//! the last batch is incomplete, and a marker proves that everything before it was synced. The guarantee (E7): after one of
//! a killed process, a power cut, or damaged bytes, no record that was confirmed as durable is ever cut. Damage to
//! such a record is [`LogError::Damaged`](crate::LogError::Damaged): at the start for the last two segments and for every footer, at the read for the others.
//!
//! Readers read files, at most 256 KiB at a time: recent data is in the page cache and is read directly (µs);
//! older data is read on tokio's blocking pool, because a disk may be slow.

mod file;
mod format;
mod inner;
mod log;
mod meta;
mod options;
mod queue;
mod reader;
mod recover;
mod retention;
mod segment;
mod tail;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod torture;
mod writer;

pub use self::log::EmbeddedLog;
#[doc(hidden)]
pub use self::options::Faults;
pub use self::options::{DEFAULT_PARTITIONS, EXIT_STATUS_FATAL, Options};
