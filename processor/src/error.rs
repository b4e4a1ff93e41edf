//! Errors: why the processing of a partition stops, or why a stored state cannot be restored.

use boxbox_log::{LogError, Offset};
use boxbox_schemas::{LogId, SessionId, StreamKey};
use boxbox_store::StoreError;

/// Why the processing of a partition stops. The other partitions continue.
#[derive(Debug, thiserror::Error)]
pub enum ProcessorError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The stored state cannot be restored.
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
        /// This log.
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
    /// E7: the log has a different record at the checkpoint.
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
        "partition {partition}: the log has removed the records from offset {next} up to {start} before they were processed: the store was restored to a state before them, or nothing processed the log for longer than it keeps records. Restore a newer copy of the store; or start once with --skip-removed to go on behind them, and then run `boxbox recompute` for sessions that the archive has whole"
    )]
    Removed {
        /// The partition.
        partition: u32,
        /// The first offset to process.
        next: Offset,
        /// The first offset that the log still has.
        start: Offset,
    },
    /// The pump's task panicked, which is a fault of this program.
    #[error("the work on partition {0} panicked: a fault of this program, see its log; restart it to go on")]
    Panicked(u32),
}

impl ProcessorError {
    /// Whether a retry can succeed without a person's help.
    pub fn is_retryable(&self) -> bool {
        match self {
            ProcessorError::Log(e) => e.is_retryable(),
            ProcessorError::Store(e) => e.is_retryable(),
            _ => false,
        }
    }
}

/// A stored state cannot be restored.
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
    /// A row of a session that the store does not have.
    #[error("the store holds {what} of session {session} but not the session: it was not written by this program")]
    Orphan {
        /// The session.
        session: SessionId,
        /// What the row is.
        what: &'static str,
    },
}
