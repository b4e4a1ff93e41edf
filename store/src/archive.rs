//! [`Archive`]: every admitted record, once: frames of the own car frame by frame, records of other kinds as they came.

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{DriverId, SessionId, StreamKey, TenantId};
use bytes::Bytes;

use crate::{Lease, Readers, StoreError};

/// The state of a partition's archive.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct ArchiveState {
    /// The last archived record, after which to continue; `None`: begin at the log's start.
    pub checkpoint: Option<Checkpoint>,
    /// E1: each stream's next sequence number after that record.
    pub cursors: Vec<(StreamKey, u64)>,
    /// The archive already has the frames of records up to this offset, even if the checkpoint is before it: they are admitted,
    /// and left out of blocks.
    pub held_to: Option<u64>,
    /// As `held_to`, for records of other kinds, which a backend may keep elsewhere.
    pub records_held_to: Option<u64>,
    /// Offsets, rising, at which the next blocks must end, one each: appending these blocks was begun before, and its result may
    /// only become visible later.
    pub planned: Vec<u64>,
}

/// When a block is to be appended: as soon as one of these limits is reached.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Pace {
    /// Age of the block's oldest record.
    pub every: Duration,
    /// Time without a new frame.
    pub idle: Duration,
    /// Bytes of frames. A partition's archive may also hold this much in memory twice: as the block, and as waiting records.
    pub bytes: usize,
}

impl Pace {
    /// For archives that can take small blocks: a lap can be read a second later.
    pub const EMBEDDED: Pace = Pace { every: Duration::from_secs(1), idle: Duration::from_secs(1), bytes: 4 << 20 };
}

/// What was admitted (E1) from one range of a partition.
#[derive(Clone, PartialEq, Debug)]
pub struct ArchiveBlock {
    /// The last record that the block covers.
    pub checkpoint: Checkpoint,
    /// When an edge received the block's newest record, Unix µs: retention counts a frame's age from this.
    pub received_at_us: i64,
    /// When the log appended the block's newest record, Unix µs, by the log: the same for every processor that makes the block again.
    pub appended_at_us: i64,
    /// Cursors, after the block, of the streams in it.
    pub cursors: Vec<(StreamKey, u64)>,
    /// Runs of frames of the drivers' own cars. Several runs of one stream do not overlap.
    pub runs: Vec<FrameRun>,
    /// Records of all other kinds, one element for each stream.
    pub records: Vec<StreamRecords>,
}

/// Records of one stream that are not frames of the own car, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct StreamRecords {
    /// The stream.
    pub stream: StreamKey,
    /// One or more records; their numbers rise and do not overlap, neither with one another nor with those of frames.
    pub records: Vec<KeptRecord>,
}

/// A record as the archive keeps it. With the frames of the own car, the records of a stream are all that its race logic was given.
///
/// One that covers no number (`next_seq == first_seq`) is a *heading*: the prelude of the records whose frames begin at that number.
/// Frames are kept without their preludes, which are the same for many.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct KeptRecord {
    /// The first of its numbers that was admitted with it.
    pub first_seq: u64,
    /// The first number after it.
    pub next_seq: u64,
    /// Its offset in the log. It orders the records of streams, as they came.
    pub offset: u64,
    /// When an edge received it, Unix µs.
    pub received_at_us: i64,
    /// Its bytes, whatever the caller put there. A store does not read them.
    pub bytes: Bytes,
}

impl KeptRecord {
    /// Whether it covers no number: see the type.
    pub fn is_heading(&self) -> bool {
        self.next_seq == self.first_seq
    }
    /// The first number that a stream with this record must have reached.
    pub(crate) fn reaches(&self) -> u64 {
        self.next_seq.max(self.first_seq.saturating_add(1))
    }
}

/// Frames of one stream in order. Sequence numbers that are missing between them belong to records of other kinds, or never arrived.
#[derive(Clone, PartialEq, Debug)]
pub struct FrameRun {
    /// The stream.
    pub stream: StreamKey,
    /// Sequence numbers, one for each frame: they rise, and two pieces never adjoin.
    pub pieces: Vec<Piece>,
    /// Session time of the first frame, µs.
    pub first_us: i64,
    /// Session time of the last frame, µs.
    pub last_us: i64,
    /// Archived [`CarFrame`](boxbox_schemas::frame::CarFrame)s back to back.
    pub frames: Bytes,
}

/// Consecutive sequence numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Piece {
    /// The first number.
    pub first_seq: u64,
    /// Count of numbers, at least one.
    pub count: u64,
}

/// What an archive may remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Retention {
    /// Remove the oldest frames until the archive takes no more bytes than this, by the backend's own measure.
    pub max_bytes: Option<u64>,
    /// Remove frames received before this, Unix µs.
    pub oldest_us: Option<i64>,
    /// How much of that may go in a day; `None`: all of it.
    pub daily: Option<Daily>,
}

/// The most that may be removed by age within 24 hours: a clock that is wrong must not cost the archive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Daily {
    /// This part of the archive, millionths; but at least one row, so that it goes on.
    pub share_ppm: u32,
    /// The time now, Unix µs.
    pub now_us: i64,
}

impl Daily {
    /// The hour of `now_us`, since 1970.
    pub(crate) fn hour(&self) -> i64 {
        self.now_us.div_euclid(3_600_000_000)
    }

    /// The bytes that may go now, of an archive that has `held` bytes, and `removed` fewer than 24 hours ago.
    pub(crate) fn allows(&self, held: u64, removed: u64) -> u64 {
        let most = u128::from(held.saturating_add(removed)) * u128::from(self.share_ppm) / 1_000_000;
        u64::try_from(most).unwrap_or(u64::MAX).max(1).saturating_sub(removed)
    }
}

/// What [`Archive::retain`] removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Removed {
    /// Number of frames.
    pub frames: u64,
    /// There may be more to remove: call again.
    pub more: bool,
}

/// Every admitted record, once.
#[async_trait]
pub trait Archive: Send + Sync + 'static {
    /// When a block is to be appended.
    fn pace(&self) -> Pace;
    /// Its connections for reading now (of an archive that plans its blocks in PostgreSQL: those to PostgreSQL), if it has a bound of them.
    fn readers(&self) -> Option<Readers> {
        None
    }
    /// The state of the partition's archive.
    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError>;
    /// Store a block, all or nothing. Its frames can be read at once.
    ///
    /// A backend that writes frames and cursors in one transaction accepts blocks from any caller. Another backend accepts them
    /// only from the holder of the newest lease, and refuses others with [`StoreError::Fenced`].
    async fn append(&self, lease: &Lease, block: &ArchiveBlock) -> Result<(), StoreError>;
    /// Remove the oldest frames, by when they were received, in one bounded transaction. Frames may be removed together with some
    /// hundred others of their stream, once the newest of these is due. What was removed by age is remembered for [`Daily`], also when the
    /// archive is opened again. Cursors and checkpoints stay, so that removed frames are
    /// never stored again. A backend whose engine removes by age does nothing here.
    async fn retain(&self, retention: &Retention) -> Result<Removed, StoreError>;
    /// Copy newly committed laps to the database in which seasons are analysed, some thousands at most. Returns their number; 0: there
    /// are none, or there is no such database.
    async fn export_laps(&self, _lease: &Lease) -> Result<u64, StoreError> {
        Ok(0)
    }
    /// The first `limit` frames of `span`, as far as they have arrived, as one run. `None`: there are none.
    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError>;
    /// The first `limit` records of `span` that are not frames of the own car, in order, as far as they have arrived.
    async fn records(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError>;
    /// The streams of a session of which anything was ever archived, in order. What the server did to the session is a stream of
    /// [`DriverId::SERVER`].
    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError>;
    /// Number of frames of a session, of one driver or of all.
    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError>;
    /// Whether the archive answers.
    async fn ping(&self) -> Result<(), StoreError>;
}
