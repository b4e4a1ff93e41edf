//! Why a partition is processed no further, or its stored state not taken up.

use boxbox_log::{LogError, Offset};
use boxbox_schemas::{LogId, SessionId, StreamKey};
use boxbox_store::StoreError;

/// Why a partition is processed no further. The other partitions go on.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store takes or gives nothing more.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What the store gave back cannot be gone on from.
    #[error(transparent)]
    State(#[from] StateError),
    /// E7: the store's checkpoint is of another log.
    #[error(
        "partition {partition} was processed from log {stored}, and this is log {found}: give the processor the log that its store belongs to, or a new, empty store"
    )]
    OtherLog {
        /// The partition.
        partition: u32,
        /// The checkpoint's log.
        stored: LogId,
        /// The log at hand.
        found: LogId,
    },
    /// E7: the store has processed more than the log holds.
    #[error(
        "partition {partition} was processed up to offset {offset}, but the log ends at {end}: it has lost records, or is an older copy. Restore the log, or start with a new store to process it again"
    )]
    BeyondEnd {
        /// The partition.
        partition: u32,
        /// The checkpoint's offset.
        offset: Offset,
        /// The log's durable end.
        end: Offset,
    },
    /// E7: the record at the checkpoint is another one.
    #[error(
        "partition {partition} holds another record at offset {offset} than the one processed: this is not the same log any more. Restore it, or start with a new store to process it again"
    )]
    OtherRecord {
        /// The partition.
        partition: u32,
        /// The checkpoint's offset.
        offset: Offset,
    },
    /// Retention has removed records before they were processed.
    #[error(
        "partition {partition}: records from offset {next} up to {start} were removed by retention before they were processed. To go on without them, start with a new store"
    )]
    Removed {
        /// The partition.
        partition: u32,
        /// The first offset to process.
        next: Offset,
        /// The first that is left.
        start: Offset,
    },
    /// The task that worked on it panicked: a fault of this program.
    #[error("the work on partition {0} panicked: a fault of this program, see its log; restart it to go on")]
    Panicked(u32),
}

impl ProcessorError {
    /// Whether trying again, without anybody's help, can succeed.
    pub fn is_retryable(&self) -> bool {
        match self {
            ProcessorError::Log(e) => e.is_retryable(),
            ProcessorError::Store(e) => e.is_retryable(),
            _ => false,
        }
    }
}

/// What a store gave back cannot be gone on from.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A stream's race state cannot be read.
    #[error("the stored state of driver {} in session {} cannot be read ({detail}): was it written by a newer version?", of.driver, of.session)]
    Stream {
        /// The stream.
        of: Box<StreamKey>,
        /// What is wrong.
        detail: String,
    },
    /// Something of a session that is not there.
    #[error("the store holds {what} of session {session} but not the session: it was not written by this program")]
    Orphan {
        /// The session.
        session: SessionId,
        /// What.
        what: &'static str,
    },
}
