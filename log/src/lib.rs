//! The durable, partitioned log between edges and processors: one contract, three backends.
//!
//! | backend | URL | for |
//! |---|---|---|
//! | [`memory`] | `memory://` | tests; the reference that the others are held against |
//! | [`embedded`] | `file:///var/lib/boxbox/log` | one machine, nothing to install |
//! | [`kafka`] | `kafka://host:9092/topic` | several machines |
//!
//! # The contract
//!
//! * A log has an identity ([`Log::id`]) and a number of partitions that never change. Each partition is a sequence of
//!   records with rising offsets; offsets may have gaps (Kafka's do) but never repeat or go back.
//! * [`Writer::append`] accepts a record and returns at once; *accepted* is not *durable*. Later, exactly once for each
//!   accepted record, the writer's [`Completions`] hear its [`Outcome`]: durable at an offset, or failed.
//! * Records that one writer appends to one partition become durable in the order of their appends, and their outcomes
//!   are told in that order. After a failed record, later ones may still become durable: whoever needs order across a
//!   failure must notice (W6).
//! * A failed record may be in the log all the same (the answer was lost). Whoever appends it again makes a duplicate;
//!   readers deduplicate by sequence (E1).
//! * Bounds: a writer holds at most [`Limits::writer_bytes`] of records that are not completed, and at most
//!   [`Limits::partition_bytes`] for one partition, so that a dead partition cannot starve the others (W9).
//!   Beyond that [`Writer::append`] refuses at once with [`AppendError::Full`]; nothing ever waits inside.
//! * [`Reader`]s see only durable records (E7), in order of offset, each once, and wait for more.
//! * Damage is an error, never a silent cut: a record that was ever told durable is either read back byte for byte or its
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

/// A record's place in its partition.
pub type Offset = u64;

/// A durable, partitioned log. See the [contract](self).
#[async_trait]
pub trait Log: Send + Sync + 'static {
    /// Which log this is; checkpoints name it.
    fn id(&self) -> &LogId;

    /// How many partitions, ≥ 1; fixed for the log's life.
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

/// Two numbers of the appender's choice, given back with the outcome: for an edge, which stream, and its next sequence.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Ticket {
    /// Whose record it is.
    pub owner: u64,
    /// Where in the owner's order.
    pub mark: u64,
}

/// What became of an accepted record.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Durable at this offset.
    Durable(Offset),
    /// Durable, but the backend does not know where (librdkafka after an answered retry); W6 treats it as a failure.
    DurableUnplaced,
    /// Not known to be durable; it may be there or not.
    Failed,
}

/// The outcome of one append.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Completion {
    /// As given to [`Writer::append`].
    pub ticket: Ticket,
    /// The partition.
    pub partition: u32,
    /// What became of it.
    pub outcome: Outcome,
}

/// Hears outcomes. Called from the log's own thread: must not block, and should pass batches on whole.
pub trait Completions: Send + Sync + 'static {
    /// Outcomes, in order of append within each partition.
    fn completed(&self, batch: &[Completion]);
}

/// Appends records. Dropping a writer completes what it still holds (durable or failed) before the drop returns
/// or shortly after; nothing is forgotten.
pub trait Writer: Send + Sync {
    /// Accept `record` for `partition`. `key` is the session (F6); the caller has chosen the partition by it.
    fn append(&self, partition: u32, key: SessionId, record: Bytes, ticket: Ticket) -> Result<(), AppendError>;
}

/// Reads one partition in order.
#[async_trait]
pub trait Reader: Send {
    /// The next records, at least one if any is durable: at most `max_bytes` of them (but always one, however long).
    /// Waits up to `wait` for the first; an empty vector means that none came. Dropping the future loses no record.
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError>;

    /// The durable end as this reader last knew it: a reader that has given everything below is level with the log.
    fn end(&self) -> Offset;
}

/// A durable record.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Entry {
    /// Its place.
    pub offset: Offset,
    /// When the log took it, Unix µs, by the log's clock; rises with offsets except where that clock was set back.
    pub appended_at_us: i64,
    /// The record, byte for byte.
    pub record: Bytes,
}

/// Why a record was not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// A budget of [`Limits`] is used up: try again when outcomes have come.
    #[error("the log's budget for records on their way is used up")]
    Full,
    /// The log has failed for good in this process, or is shutting down: no append will succeed.
    #[error("the log takes no more records: {0}")]
    Closed(&'static str),
    /// No such partition, or a record longer than the log can hold.
    #[error("the record cannot be in this log: {0}")]
    Invalid(&'static str),
}

/// Why a log could not be opened or read.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// An offset that is not, or no longer, in the partition (E7).
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
    /// Durable data is damaged; a person must look (E7).
    #[error(
        "partition {partition} is damaged at {place}: {detail}. Nothing was cut. Restore the file from a backup, or move the log away to start a new one"
    )]
    Damaged {
        /// The partition.
        partition: u32,
        /// File and position.
        place: String,
        /// What is wrong there.
        detail: String,
    },
    /// The log is not what the caller expects: another version, another number of partitions, a folder in use.
    #[error("{0}")]
    Mismatch(String),
    /// The backend answers, and does not let this client in; a person must look.
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
    /// Whether the same call can succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, LogError::Unavailable(_))
    }
}
