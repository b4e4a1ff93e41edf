//! [`Steps`]: how a processor uses a results store: leases, the state to continue from, and commits.

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::results::{AnyRow, Beginning, Checkpoint, Lap, Ledger, PartitionState, SessionInfo, SessionKey, SessionState, Step};
use boxbox_schemas::{LogId, SessionId};

use crate::StoreError;

/// The right to write one partition's results.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The log.
    pub log: LogId,
    /// The partition.
    pub partition: u32,
    /// Rises with every change of owner.
    pub epoch: u64,
}

/// One of several processors that share a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// The member's name: a new one for each start of a process, so that a restarted process does not count as its predecessor.
    pub name: String,
    /// How long it may miss beats before others take its partitions.
    pub ttl: Duration,
}

/// A member's leases after a beat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// Its leases, in order of partitions; with a new epoch if another member had the partition in the meantime.
    pub leases: Vec<Lease>,
    /// Partitions among them that are to be given back with [`Steps::release`], once pending work is committed: other members
    /// have too few.
    pub give_back: Vec<u32>,
    /// Number of live members, this one included.
    pub members: u32,
}

/// What is stored of one session, without what is superseded.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredSession {
    /// How far its partition is processed.
    pub checkpoint: Checkpoint,
    /// Its description and state.
    pub info: SessionInfo,
    /// The accounts of its streams, by (driver, run).
    pub ledgers: Vec<Ledger>,
    /// Its laps, by (entry, number).
    pub laps: Vec<Lap>,
    /// Its rows of all other kinds, by (key, kind).
    pub rows: Vec<AnyRow>,
}

/// What a store has of a session that a processor needs.
#[derive(Clone, PartialEq, Debug)]
pub enum Found {
    /// Nothing: it is new.
    Nothing(SessionId),
    /// All that is needed to continue it.
    Whole(Box<SessionState>),
    /// It would take more memory than was allowed, so its description only.
    TooLarge(Box<SessionInfo>),
}

/// Sessions are found until they take this much of a processor's memory together: so one call takes a fraction of a second.
pub const FOUND_AT_ONCE_BYTES: u64 = 16 << 20;

/// A processor's access to a results store: leases, the state to continue from, and steps.
#[async_trait]
pub trait Steps: Send + Sync + 'static {
    /// Take over the partition from its owner, if it has one: its epoch rises, so that the previous owner can no longer commit.
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError>;
    /// Whether several processors may share this store, and so must beat. `false`: there is one processor, which acquires every partition.
    fn shared(&self) -> bool {
        false
    }
    /// Report that `member` is alive, take partitions without an owner up to a fair share, and return what it owns. Call this several
    /// times within [`Member::ttl`].
    async fn beat(&self, _log: &LogId, _partitions: u32, _member: &Member) -> Result<Share, StoreError> {
        Err(StoreError::Refused("a store that is not shared has one processor, which does not beat".into()))
    }
    /// Give a partition back, for the member that beats next; a partition that is no longer owned stays as it is.
    async fn release(&self, _lease: &Lease) -> Result<(), StoreError> {
        Ok(())
    }
    /// Leave: all partitions that `member` still owns are free at once.
    async fn leave(&self, _log: &LogId, _member: &Member) -> Result<(), StoreError> {
        Ok(())
    }
    /// Where to continue after the last committed step. It costs no more with more closed sessions.
    async fn begin(&self, lease: &Lease) -> Result<Beginning, StoreError>;
    /// The state of sessions of the lease's partition after the last committed step, in the order in which they are asked for: those of
    /// a beginning of `sessions` that together take [`FOUND_AT_ONCE_BYTES`] or a little more, and one at least. A session that alone takes more than
    /// `max_bytes` ([`SessionState::bytes`]) is [`Found::TooLarge`].
    async fn find(&self, lease: &Lease, sessions: &[SessionId], max_bytes: u64) -> Result<Vec<Found>, StoreError>;
    /// Closed sessions of the partition that are not retired and whose last record was received at or before `us`, Unix µs: those
    /// opened first, at most `limit`.
    async fn closed_before(&self, lease: &Lease, us: i64, limit: u32) -> Result<Vec<SessionKey>, StoreError>;
    /// The state of all sessions after the last committed step. A processor never needs it, and a long history makes it large: it is for
    /// comparing stores.
    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError>;
    /// What is stored of one session and counts, to be compared with what it is when it is computed again. `None`: there is no such session.
    async fn stored(&self, session: &SessionId) -> Result<Option<StoredSession>, StoreError>;
    /// Commit one step.
    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError>;
}
