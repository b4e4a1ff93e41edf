//! [`Steps`]: what a processor asks of a results store: leases, the state to go on from, and commits.

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::LogId;
use boxbox_schemas::results::{PartitionState, Step};

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

/// A processor among others that share a store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name: another one for each start of a process, so that none takes over what it had before it died.
    pub name: String,
    /// How long it may be silent before others take what it owns.
    pub ttl: Duration,
}

/// What a member owns after a beat.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Share {
    /// Its leases, in order of partitions; with another epoch than before if somebody else had the partition meanwhile.
    pub leases: Vec<Lease>,
    /// Partitions among them to be given back with [`Steps::release`], once what is pending is committed: others have
    /// too few.
    pub give_back: Vec<u32>,
    /// Members alive, this one included.
    pub members: u32,
}

/// What a processor asks of a results store: leases, the state to go on from, and steps.
#[async_trait]
pub trait Steps: Send + Sync + 'static {
    /// Take the partition over from its owner, if it has one: raises its epoch, so that the owner before can commit nothing more.
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError>;
    /// Whether several processors may share this store, and so must beat. `false`: there is one, which acquires everything.
    fn shared(&self) -> bool {
        false
    }
    /// Say that `member` is alive, take partitions without an owner up to a fair share, and learn what it owns. To be called several
    /// times within [`Member::ttl`].
    async fn beat(&self, _log: &LogId, _partitions: u32, _member: &Member) -> Result<Share, StoreError> {
        Err(StoreError::Refused("a store that is not shared has one processor, which does not beat".into()))
    }
    /// Give a partition back, for the member that beats next; a partition that is not owned any more is left alone.
    async fn release(&self, _lease: &Lease) -> Result<(), StoreError> {
        Ok(())
    }
    /// Leave: everything that `member` still owns is free at once.
    async fn leave(&self, _log: &LogId, _member: &Member) -> Result<(), StoreError> {
        Ok(())
    }
    /// The state after the last committed step.
    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError>;
    /// Commit one step.
    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError>;
}
