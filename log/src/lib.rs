//! The durable, partitioned log between edges and processors: one contract, three backends.
//!
//! | backend | URL | for |
//! |---|---|---|
//! | [`memory`] | `memory://` | tests; the reference for the other two |
//! | [`embedded`] | `file:///var/lib/boxbox/log` | one machine, nothing to install |
//! | [`kafka`] | `kafka://host:9092/topic` | several machines |
//!
//! # The contract
//!
//! * The identity of a log ([`Log::id`]) and its number of partitions never change. Each partition is a sequence of
//!   records with rising offsets; offsets may have gaps (Kafka's do) but never repeat or go back.
//! * [`Writer::append`] accepts a record and returns at once; *accepted* is not *durable*. Later, exactly once for each
//!   accepted record, the writer's [`Completions`] receive its [`Outcome`]: durable at an offset, or failed.
//! * Records that one writer appends to one partition become durable in the order of their appends, and their outcomes
//!   are delivered in that order. After a failed record, later ones may still become durable: a caller that needs order across a
//!   failure must watch for it (W6).
//! * A failed record may still be in the log (if only the answer was lost). Appending it again makes a duplicate;
//!   readers deduplicate by sequence (E1).
//! * Bounds: a writer holds at most [`Limits::writer_bytes`] of records that are not completed, and at most
//!   [`Limits::partition_bytes`] for one partition, so that a dead partition cannot starve the others (W9).
//!   Beyond that [`Writer::append`] refuses at once with [`AppendError::Full`]; it never waits.
//! * [`Reader`]s read only durable records (E7), in order of offset, each once, and wait for more.
//! * Damage is an error, never a silent cut: a record that was confirmed as durable is read back byte for byte, or its
//!   partition answers [`LogError::Damaged`].

pub mod embedded;
pub mod kafka;
pub mod memory;
pub mod metrics;
pub mod open;

mod budget;
#[cfg(test)]
mod heard;
mod outcomes;

pub use kafka::control;
pub use open::open;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::{LogId, SessionId};
use bytes::Bytes;

/// A record's position in its partition.
pub type Offset = u64;

/// A durable, partitioned log. See the [contract](self).
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// The log's identity; checkpoints name it.
    fn id(&self) -> &LogId;

    /// Number of partitions, ≥ 1; it never changes.
    fn partitions(&self) -> u32;

    /// A writer whose outcomes go to `completions`. Several writers may be open at once.
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError>;

    /// A reader that begins at `from`: the first record it gives has an offset ≥ `from`.
    ///
    /// `from` may be the durable end (then the reader waits) but not beyond it: that is [`LogError::OutOfRange`], as is an
    /// offset below the first that retention has left. May block for as long as a remote log takes to answer.
    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError>;

    /// The offsets that can be read now.
    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError>;

    /// The records of `partition` below `below` are not needed any more: what processes the log has them, durably. A log in a folder
    /// removes by size and age only what was released (see [`embedded::Options::retain_unreleased`]); others do nothing.
    fn release(&self, partition: u32, below: Offset) {
        let _ = (partition, below);
    }

    /// What the log keeps on this machine, if it does.
    fn kept(&self) -> Option<Kept> {
        None
    }
}

/// What a log keeps on this machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Bytes of its files.
    pub bytes: u64,
    /// When its oldest records were appended, Unix µs: at the latest, because records are removed many at a time.
    pub oldest_us: i64,
}

/// The offsets that a partition holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Bounds {
    /// Offset of the first record that is still there (or `end` if none is).
    pub start: Offset,
    /// The durable end: one past the last durable record's offset.
    pub end: Offset,
}

/// How much a writer may hold that is not completed. Each record counts with its length and 64 bytes of bookkeeping.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For all partitions together, bytes.
    pub writer_bytes: usize,
    /// For one partition, bytes.
    pub partition_bytes: usize,
}

impl Default for Limits {
    /// 64 MiB and 16 MiB: several seconds of 50,000 frames/s, and far below a small node's memory.
    fn default() -> Self {
        Self { writer_bytes: 64 << 20, partition_bytes: 16 << 20 }
    }
}

/// Two numbers that the appender chooses and gets back with the outcome: an edge uses them for the stream and its next sequence number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ticket {
    /// The owner of the record.
    pub owner: u64,
    /// The record's position in the owner's order.
    pub mark: u64,
}

/// The result of an accepted record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Durable at this offset.
    Durable(Offset),
    /// Durable, but the backend does not know at which offset (librdkafka after an answered retry); W6 treats this as a failure.
    DurableUnplaced,
    /// Not known to be durable: the record may or may not be in the log.
    Failed,
}

/// The outcome of one append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// As given to [`Writer::append`].
    pub ticket: Ticket,
    /// The partition.
    pub partition: u32,
    /// The result.
    pub outcome: Outcome,
}

/// Receives outcomes. Called from the log's own thread: an implementation must not block, and should pass batches on whole.
pub trait Completions: Send + Sync + 'static {
    /// Outcomes, in order of append within each partition.
    fn completed(&self, batch: &[Completion]);
}

/// Appends records. Dropping a writer completes what it still holds (durable or failed) before the drop returns
/// or shortly after; every accepted record gets its outcome.
pub trait Writer: Send + Sync {
    /// Accept `record` for `partition`. `key` is the session (F6); the caller has chosen the partition by it.
    fn append(&self, partition: u32, key: SessionId, record: Bytes, ticket: Ticket) -> Result<(), AppendError>;
}

/// Reads one partition in order.
#[async_trait]
pub trait Reader: Send {
    /// The next records, at least one if any is durable: at most `max_bytes` of them (but always one, however long).
    /// Waits up to `wait` for the first record; an empty vector means that none came. Dropping the future loses no record.
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError>;

    /// The durable end as this reader last knew it: a reader that has returned every record below it has caught up with the log.
    fn end(&self) -> Offset;
}

/// A durable record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// The record's offset.
    pub offset: Offset,
    /// When the log accepted the record, Unix µs, by the log's clock; it rises with the offsets unless that clock was set back.
    pub appended_at_us: i64,
    /// The record, byte for byte.
    pub record: Bytes,
}

/// Why a record was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A budget of [`Limits`] is used up: try again after outcomes have arrived.
    #[error("the log's budget for records that are not yet completed is used up")]
    Full,
    /// The log has failed for good in this process, or is shutting down: no append will succeed.
    #[error("the log accepts no more records: {0}")]
    Closed(&'static str),
    /// No such partition, or a record longer than the log can hold.
    #[error("the record cannot be in this log: {0}")]
    Invalid(&'static str),
}

/// Why a log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The offset is not in the partition, or no longer (E7).
    #[error("partition {partition} holds offsets {start}..{end}, not {asked}: is this another log, or has retention removed it?")]
    OutOfRange {
        /// The partition.
        partition: u32,
        /// The offset asked for.
        asked: Offset,
        /// First offset there.
        start: Offset,
        /// The durable end.
        end: Offset,
    },
    /// Durable data is damaged; a person must repair it (E7).
    #[error(
        "partition {partition} is damaged at {place}: {detail}. Nothing was cut. Restore the file from a backup, or move the log away to start a new one"
    )]
    Damaged {
        /// The partition.
        partition: u32,
        /// File and position.
        place: String,
        /// The kind of damage.
        detail: String,
    },
    /// The log is not what the caller expects: another version, another number of partitions, a folder in use.
    #[error("{0}")]
    Mismatch(String),
    /// The backend answers, but refuses this client; a person must change the login, a certificate or an access rule.
    #[error("the log refuses this client: {0}")]
    Refused(String),
    /// The backend does not answer; trying again can help.
    #[error("the log does not answer: {0}")]
    Unavailable(String),
    /// A file operation failed.
    #[error("{context}: {source}")]
    Io {
        /// What was attempted, with the path.
        context: String,
        /// The system's error.
        source: std::io::Error,
    },
}

impl LogError {
    /// Whether the same call can succeed later without a person doing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, LogError::Unavailable(_))
    }
}
