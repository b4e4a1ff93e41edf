//! [`Steps`]: how a processor uses a results store: leases, the state to continue from, and commits.

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::results::{AnyRow, Checkpoint, Lap, Ledger, PartitionState, SessionInfo, Step};
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
    /// The state after the last committed step.
    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError>;
    /// What is stored of one session and counts, to be compared with what it is when it is computed again. `None`: there is no such session.
    async fn stored(&self, session: &SessionId) -> Result<Option<StoredSession>, StoreError>;
    /// Commit one step.
    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError>;
}
