//! [`Archive`]: every admitted frame, once.

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{DriverId, SessionId, StreamKey, TenantId};
use bytes::Bytes;

use crate::{Lease, StoreError};

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
    /// When the log took its newest record, Unix µs, as the log says: the same for every processor that makes the block again.
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
    /// never taken in again. A backend whose engine removes by age does nothing here.
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
