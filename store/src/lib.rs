//! What processors write and the API reads: [`Results`] (laps, incidents, sessions, ledgers, checkpoints) and
//! [`Archive`] (every admitted frame, once).
//!
//! # The contract of [`Results`]
//!
//! * A partition is owned by the holder of its newest [`Lease`]; [`Results::commit`] by any other is refused with
//!   [`StoreError::Fenced`] and changes nothing (E5).
//! * Where several processors share a store ([`Results::shared`]), each beats ([`Results::beat`]) and is told what it owns:
//!   about as many partitions as any other. Who does not beat for its [`Member::ttl`], by the store's clock, loses what it had
//!   to those that do; that it did not notice does no harm, since it is fenced.
//! * A [`Step`] is one transaction: either all of it is there, the checkpoint included, or nothing. Committing is not
//!   cancel-safe in its *answer* (it may have happened), but never leaves a transaction open.
//! * Rows are replaced by key; a lap never by one of lower revision within the same stream's telling, which the
//!   processor guarantees by owning the partition.
//! * A row belongs to a session that its step or an earlier one brings. Withdrawals come before the laps of their step.
//!   Of two rows with one key in a step the later one stays. What is marked superseded is kept and loaded, never shown.
//! * Reads see committed steps only and are limited to one tenant.
//!
//! # The contract of [`Archive`]
//!
//! * Its own checkpoint per partition, so that an archive that is down delays no lap (E6). [`Archive::append`] is all or
//!   nothing: frames, stream cursors and checkpoint (E10).
//! * A frame is kept once, however often its range is appended: what lies below a stream's cursor is there already and is
//!   skipped, and the same block again changes nothing, whether or not the answer to the first was heard. After a restart
//!   [`Archive::load`] says where to go on, what is there already, and where the next blocks must end.
//! * [`Archive::retain`] removes the oldest; what it has removed never comes back.
//!
//! Backends: [`memory`] is the reference, for tests; [`sqlite`] is the embedded profile; [`postgres`] and [`clickhouse`] are
//! the server profile. One behaviour suite runs on all.

// What SQL backends share is included in each of them: see `sql`.
#![allow(clippy::duplicate_mod)]

#[cfg(test)]
#[macro_use]
mod suite;

#[macro_use]
mod sql;

pub mod clickhouse;
pub mod crash;
pub mod memory;
mod pack;
pub mod postgres;
mod rules;
mod run;
mod share;
pub mod sqlite;

pub use boxbox_schemas::limits::STREAM_RACE_MAX_BYTES;
pub use rules::QUARANTINE_MAX_ROWS;

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::results::{CarNow, Checkpoint, FlagChange, IncidentStep, Lap, Ledger, PitVisit, SessionInfo, Span};
pub use boxbox_schemas::results::{FieldState, PartitionState, Quarantined, Step, StreamState};
use boxbox_schemas::{DriverId, EntryId, LogId, SessionId, StreamKey, TenantId};
use bytes::Bytes;

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
    /// Partitions among them to be given back with [`Results::release`], once what is pending is committed: others have
    /// too few.
    pub give_back: Vec<u32>,
    /// Members alive, this one included.
    pub members: u32,
}

/// Laps, incidents, sessions, ledgers and checkpoints.
#[async_trait]
pub trait Results: Send + Sync + 'static {
    /// Take the partition over, whoever has it: raises its epoch, so that the owner before can commit nothing more.
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError>;
    /// Whether several processors may share this store, and so must beat. `false`: there is one, which acquires everything.
    fn shared(&self) -> bool {
        false
    }
    /// Say that `member` is alive, take what is nobody's up to a fair share, and learn what it owns. To be called several
    /// times within [`Member::ttl`].
    async fn beat(&self, _log: &LogId, _partitions: u32, _member: &Member) -> Result<Share, StoreError> {
        Err(StoreError::Refused("a store that is not shared has one processor, which does not beat".into()))
    }
    /// Give a partition back, for whoever beats next; one that is not owned any more is left alone.
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

    /// A tenant's sessions, newest first by `opened_at_us` then id; those after `after`, at most `limit`.
    async fn sessions(&self, tenant: &TenantId, after: Option<SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError>;
    /// One session.
    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError>;
    /// A session's chosen laps that `filter` lets pass, in order of (entry, number); those after `after`, at most `limit`.
    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError>;
    /// For each entry of a session the last two chosen laps by (start, number) that began at or before session time
    /// `at_us`, in order of (entry, number): what order and gaps at that moment are made from.
    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError>;
    /// For each entry of a session its fastest chosen lap that counts for best and ended by session time `until_us`, the
    /// first of equal ones by (end, number), in order of entries.
    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, until_us: i64) -> Result<Vec<Lap>, StoreError>;
    /// One lap.
    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError>;
    /// A session's incident steps in order of (entry, sim_time_us).
    async fn incidents(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<IncidentStep>, StoreError>;
    /// A session's visits to the pit lane, as each stream tells them, not superseded, in order of (entry, enter_us, driver, run).
    async fn pit_visits(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<PitVisit>, StoreError>;
    /// A session's changes of flags, not superseded, in order of (sim_time_us, entry, driver, run).
    async fn flags(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<FlagChange>, StoreError>;
    /// Where a session's cars are, as each stream tells it, in order of (entry, driver, run, slot).
    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError>;
    /// A session's ledgers in order of (driver, run).
    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Which laps are wanted; empty: all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LapFilter {
    /// Of this entry.
    pub entry: Option<EntryId>,
    /// Credited to this driver.
    pub driver: Option<DriverId>,
    /// With at least this number.
    pub from_number: Option<u32>,
    /// With at most this number.
    pub to_number: Option<u32>,
    /// Counting for best (`true`), or not (`false`).
    pub valid: Option<bool>,
}

/// Where a list of sessions goes on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionCursor {
    /// `opened_at_us` of the last one given.
    pub opened_at_us: i64,
    /// Its id.
    pub id: SessionId,
}

/// Where the archive of a partition stands.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ArchiveState {
    /// The record to go on behind; `None`: begin at the log's start.
    pub checkpoint: Option<Checkpoint>,
    /// E1: each stream's next sequence number there.
    pub cursors: Vec<(StreamKey, u64)>,
    /// The frames of records up to this offset are here, though the checkpoint may be before it: they are to be admitted,
    /// and left out of blocks.
    pub held_to: Option<u64>,
    /// Offsets, rising, at which the next blocks must end, one each: somebody began to append them, and what came of it may
    /// only show later.
    pub planned: Vec<u64>,
}

/// How an archive wants its blocks: appended at the first of these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Age of the block's oldest record.
    pub every: Duration,
    /// Nothing has come for so long.
    pub idle: Duration,
    /// Bytes of frames. Also what a partition's archive may hold in memory, once as the block and once as records that wait.
    pub bytes: usize,
}

impl Pace {
    /// Of archives that can take small blocks: a lap can be looked at a second later.
    pub const EMBEDDED: Pace = Pace { every: Duration::from_secs(1), idle: Duration::from_secs(1), bytes: 4 << 20 };
}

/// Frames of own cars, admitted (E1), of one range of a partition.
#[derive(Clone, PartialEq, Debug)]
pub struct ArchiveBlock {
    /// The last record it covers.
    pub checkpoint: Checkpoint,
    /// When an edge received its newest record, Unix µs: what retention counts a frame's age from.
    pub received_at_us: i64,
    /// When the log took its newest record, Unix µs, as the log says: the same whoever makes the block again.
    pub appended_at_us: i64,
    /// Cursors of the streams touched, after the block.
    pub cursors: Vec<(StreamKey, u64)>,
    /// Runs of frames. Several of one stream follow each other: none begins before another of it ends.
    pub runs: Vec<FrameRun>,
}

/// Frames of one stream in order. Sequence numbers between them that are not here are of other kinds, or never came.
#[derive(Clone, PartialEq, Debug)]
pub struct FrameRun {
    /// The stream.
    pub stream: StreamKey,
    /// Sequence numbers, one for each frame: they rise, and no piece touches the next.
    pub pieces: Vec<Piece>,
    /// Session time of the first, µs.
    pub first_us: i64,
    /// Session time of the last, µs.
    pub last_us: i64,
    /// Archived [`CarFrame`](boxbox_schemas::frame::CarFrame)s back to back.
    pub frames: Bytes,
}

/// Consecutive sequence numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The first.
    pub first_seq: u64,
    /// How many, at least one.
    pub count: u64,
}

/// What an archive need not keep.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// Remove the oldest frames until the archive takes no more bytes than this, by the backend's own measure.
    pub max_bytes: Option<u64>,
    /// Remove frames received before this, Unix µs.
    pub oldest_us: Option<i64>,
}

/// What [`Archive::retain`] removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    /// Frames.
    pub frames: u64,
    /// There may be more to remove: call again.
    pub more: bool,
}

/// Every admitted frame, once.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// How it wants its blocks.
    fn pace(&self) -> Pace;
    /// Where it stands.
    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError>;
    /// Keep a block; all or nothing. Its frames can be read at once.
    ///
    /// A backend that joins frames and cursors in one transaction takes blocks from anybody; one that cannot takes them from
    /// the holder of the newest lease only, and else refuses with [`StoreError::Fenced`].
    async fn append(&self, lease: &Lease, block: &ArchiveBlock) -> Result<(), StoreError>;
    /// Remove the oldest frames, by when they were received, in one bounded transaction. Frames may go together with some
    /// hundred others of their stream, when the newest of them is to go. Cursors and checkpoints stay: what was removed is
    /// never taken in again. A backend whose engine removes by age by itself does nothing here.
    async fn retain(&self, retention: &Retention) -> Result<Removed, StoreError>;
    /// Copy the laps that were committed since to where seasons are analysed, some thousands at most; how many. 0: there are
    /// none, or there is no such place.
    async fn export_laps(&self, _lease: &Lease) -> Result<u64, StoreError> {
        Ok(0)
    }
    /// The frames of `span`, as far as they have arrived, as one run; at most `limit`, the first ones. `None`: there are none.
    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError>;
    /// How many frames of a driver's session there are.
    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError>;
    /// Whether the archive answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another owner has the partition (E5): stop working on it.
    #[error("partition {partition} has a newer owner (epoch {newer} > {mine}): this process must stop writing it")]
    Fenced {
        /// The partition.
        partition: u32,
        /// The epoch of the lease used.
        mine: u64,
        /// The epoch in the store.
        newer: u64,
    },
    /// The store does not answer, or is busy; trying again can help.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read by this version: it is damaged, was written by a newer version, or is to be migrated.
    #[error("the store holds something this version cannot read: {0}")]
    Unreadable(String),
    /// The store refused what it was asked: a fault of this program, or of how it was started.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same call can succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }
}
