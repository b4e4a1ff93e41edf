//! [`Stream`]: one session's frames, from the simulator's threads into sealed records (F3, F4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use boxbox_schemas::check;
use boxbox_schemas::event::{EndFrame, EndReason, EventCode, EventFrame, Reject};
use boxbox_schemas::field::{FIELD_FRAME_BYTES, FieldFrame};
use boxbox_schemas::frame::{CAR_FRAME_BYTES, CarFrame};
use boxbox_schemas::limits::{RECORD_MAX_BYTES, SEQUENCE_END};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{self, Frame, Kind, PRELUDE_BYTES, Payload, Prelude};
use boxbox_schemas::slow::{SLOW_FRAME_BYTES, SlowFrame};
use boxbox_schemas::{RunId, Source};
use parking_lot::{Mutex, MutexGuard};

use crate::client::Shared;
use crate::observe::{Counters, StreamId, StreamName};
use crate::queue::{Body, Entry};

/// What was done wrongly with a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// `end` was called, or the client has finished.
    #[error("the stream has ended: open a new one")]
    Ended,
    /// The metadata breaks a bound of `boxbox_schemas::limits`.
    #[error("the session's metadata is not acceptable: {}", .0.name())]
    Meta(Reject),
    /// The metadata does not fit a record.
    #[error("the session's metadata takes {0} bytes; a record holds {RECORD_MAX_BYTES}")]
    MetaTooLong(usize),
    /// 2^48 frames were sent.
    #[error("the stream is full: open a new one")]
    Full,
}

/// One session of this client's run: takes frames from any thread, never waits, and puts them into records.
///
/// Frames of one kind keep their order. Car, slow and field frames of one batch (80 ms) go into records of their own,
/// so they may change places among each other; [`Stream::meta`], [`Stream::event`] and the rest end the batch first.
/// Dropping a stream ends it without saying why; [`Stream::end`] is better.
pub struct Stream {
    shared: Arc<Shared>,
    batcher: Arc<Batcher>,
}

/// A stream's half that the client's task shares: it seals what has waited long enough.
pub(crate) struct Batcher {
    id: u64,
    name: StreamName,
    buffers: Mutex<Buffers>,
    /// Everything below was given up for want of space.
    lost_upto: AtomicU64,
}

struct Buffers {
    slot: u16,
    meta_rev: u32,
    next_seq: u64,
    car: Buffer,
    slow: Buffer,
    field: Buffer,
    /// For moments, and the frame that is sent alone.
    single: Payload,
    /// The last metadata, and its sequence number: it is repeated if a gap took it, for nothing after it is understood without.
    meta: Payload,
    meta_seq: Option<u64>,
    /// When the first frame of the batch came.
    since: Option<Instant>,
    last_tick: Option<u32>,
    ended: bool,
}

#[derive(Default)]
struct Buffer {
    payload: Payload,
    count: u16,
}

impl Buffer {
    /// The archive of the frame that was added last.
    fn last(&self, frame_bytes: usize) -> &[u8] {
        &self.payload[self.payload.len().saturating_sub(frame_bytes)..]
    }
}

impl Stream {
    pub(crate) fn new(shared: Arc<Shared>, batcher: Arc<Batcher>) -> Self {
        Self { shared, batcher }
    }

    /// Which stream of the client this is, as an [`crate::Observer`] sees it.
    pub fn id(&self) -> StreamId {
        StreamId(self.batcher.id)
    }
    /// The run it belongs to.
    pub fn run(&self) -> RunId {
        self.batcher.name.run
    }
    /// The session it is.
    pub fn source(&self) -> Source {
        self.batcher.name.source
    }
    /// The sequence number that the next frame gets, if no other kind of frame is waiting in the batch.
    pub fn next_seq(&self) -> u64 {
        let b = self.batcher.buffers.lock();
        b.next_seq + u64::from(b.car.count) + u64::from(b.slow.count) + u64::from(b.field.count)
    }

    /// A frame of the driver's own car. One that no edge accepts (NaN, say) is sent all the same, in a record of its own:
    /// it is voided there, and its neighbours are not (W7). A tick below the last one is a rewind: if [`Stream::rewind`] was not called, it is now (F4).
    pub fn car(&self, frame: &CarFrame) -> Result<(), StreamError> {
        let (mut b, now) = (self.open()?, Instant::now());
        if b.last_tick.is_some_and(|last| frame.tick < last) {
            self.moment(&mut b, EventCode::REWIND, frame.tick, frame.sim_time_us)?;
        }
        b.last_tick = Some(frame.tick);
        let full = self.add(&mut b, |b| &mut b.car, frame, CAR_FRAME_BYTES, now)?;
        if check::car_bytes(b.car.last(CAR_FRAME_BYTES)).is_err() {
            return self.isolate(&mut b);
        }
        let batch = &self.shared.config.batch;
        if full || b.car.count >= batch.max_frames || b.is_older(batch.max_delay, now) {
            self.seal(&mut b);
        }
        Ok(())
    }

    /// Tyres, fluids, weather; about once a second, or on change.
    pub fn slow(&self, frame: &SlowFrame) -> Result<(), StreamError> {
        self.other(|b| &mut b.slow, frame, SLOW_FRAME_BYTES)
    }

    /// What is seen of another car; about four times a second for each car in the world.
    pub fn field(&self, frame: &FieldFrame) -> Result<(), StreamError> {
        self.other(|b| &mut b.field, frame, FIELD_FRAME_BYTES)
    }

    /// The session's description, at the beginning and whenever it changes: frames from here on belong to it.
    /// If a full spool takes it (W8), the stream repeats it by itself.
    pub fn meta(&self, meta: &SessionMeta) -> Result<(), StreamError> {
        meta.check().map_err(StreamError::Meta)?;
        let mut b = self.open()?;
        let mut payload = Payload::new();
        record::archive_into(meta, &mut payload);
        let length = PRELUDE_BYTES + payload.len();
        if length > RECORD_MAX_BYTES {
            return Err(StreamError::MetaTooLong(length));
        }
        self.seal(&mut b);
        b.meta = payload;
        self.batcher.meta(&self.shared, &mut b)
    }

    /// The slot (iRacing: CarIdx) of the driver's own car is another one from here on.
    pub fn slot(&self, slot: u16) -> Result<(), StreamError> {
        let mut b = self.open()?;
        if b.slot != slot {
            self.seal(&mut b);
            b.slot = slot;
        }
        Ok(())
    }

    /// F4: the simulator went back to `tick` and `sim_time_us`; frames from here on are a new timeline.
    pub fn rewind(&self, tick: u32, sim_time_us: i64) -> Result<(), StreamError> {
        self.event(EventCode::REWIND, tick, sim_time_us)
    }

    /// Something happened at `tick`.
    pub fn event(&self, code: EventCode, tick: u32, sim_time_us: i64) -> Result<(), StreamError> {
        let mut b = self.open()?;
        if code == EventCode::REWIND {
            b.last_tick = Some(tick);
        }
        self.moment(&mut b, code, tick, sim_time_us)
    }

    /// Seal what waits in the batch now.
    pub fn flush(&self) -> Result<(), StreamError> {
        self.seal(&mut *self.open()?);
        Ok(())
    }

    /// The stream is over, at the simulator's last `tick`.
    pub fn end(&self, tick: u32, sim_time_us: i64, reason: EndReason) -> Result<(), StreamError> {
        let mut b = self.open()?;
        self.seal(&mut b);
        let frame = EndFrame { tick, sim_time_us, reason, ..Default::default() };
        let sealed = self.one(&mut b, Kind::END, &frame);
        self.batcher.close(&self.shared, &mut b);
        sealed
    }

    fn open(&self) -> Result<MutexGuard<'_, Buffers>, StreamError> {
        let b = self.batcher.buffers.lock();
        if b.ended { Err(StreamError::Ended) } else { Ok(b) }
    }

    fn other<T: Frame>(&self, which: fn(&mut Buffers) -> &mut Buffer, frame: &T, frame_bytes: usize) -> Result<(), StreamError> {
        let (mut b, now) = (self.open()?, Instant::now());
        let full = self.add(&mut b, which, frame, frame_bytes, now)?;
        if full || b.is_older(self.shared.config.batch.max_delay, now) {
            self.seal(&mut b);
        }
        Ok(())
    }

    /// Put a frame into its buffer; true if no other like it fits.
    fn add<T: Frame>(
        &self,
        b: &mut Buffers,
        which: fn(&mut Buffers) -> &mut Buffer,
        frame: &T,
        frame_bytes: usize,
        now: Instant,
    ) -> Result<bool, StreamError> {
        if b.next_seq >= SEQUENCE_END - 4 * u64::from(u16::MAX) {
            return Err(StreamError::Full);
        }
        if b.since.is_none() {
            b.since = Some(now);
            self.shared.watch_batches();
        }
        let buffer = which(b);
        record::archive_into(frame, &mut buffer.payload);
        buffer.count += 1;
        Counters::add(&self.shared.counters.frames, 1);
        let max_bytes = self.shared.config.batch.max_bytes.min(RECORD_MAX_BYTES);
        Ok(PRELUDE_BYTES + buffer.payload.len() + frame_bytes > max_bytes)
    }

    /// The last car frame gets a record of its own.
    fn isolate(&self, b: &mut Buffers) -> Result<(), StreamError> {
        let mut single = std::mem::take(&mut b.single);
        single.clear();
        single.extend_from_slice(b.car.last(CAR_FRAME_BYTES));
        let others = b.car.payload.len() - single.len();
        b.car.payload.resize(others, 0);
        b.car.count -= 1;
        self.seal(b);
        let sealed = self.record(b, Kind::CAR, 1, &single);
        b.single = single;
        sealed
    }

    fn moment(&self, b: &mut Buffers, code: EventCode, tick: u32, sim_time_us: i64) -> Result<(), StreamError> {
        self.seal(b);
        self.one(b, Kind::EVENT, &EventFrame { tick, sim_time_us, code, ..Default::default() })
    }

    fn one<T: Frame>(&self, b: &mut Buffers, kind: Kind, frame: &T) -> Result<(), StreamError> {
        let mut single = std::mem::take(&mut b.single);
        single.clear();
        record::archive_into(frame, &mut single);
        let sealed = self.record(b, kind, 1, &single);
        b.single = single;
        sealed
    }

    fn record(&self, b: &mut Buffers, kind: Kind, count: u16, payload: &[u8]) -> Result<(), StreamError> {
        self.batcher.record(&self.shared, b, kind, count, payload)
    }

    fn seal(&self, b: &mut Buffers) {
        self.batcher.seal(&self.shared, b);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.batcher.finish(&self.shared);
    }
}

impl std::fmt::Debug for Stream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stream")
            .field("id", &self.batcher.id)
            .field("run", &self.batcher.name.run)
            .field("source", &self.batcher.name.source)
            .finish()
    }
}

impl Buffers {
    fn is_older(&self, than: Duration, now: Instant) -> bool {
        self.since.is_some_and(|since| now.saturating_duration_since(since) >= than)
    }
}

impl Batcher {
    pub(crate) fn new(id: u64, name: StreamName, slot: u16) -> Self {
        let buffers = Buffers {
            slot,
            meta_rev: 0,
            next_seq: 0,
            car: Buffer::default(),
            slow: Buffer::default(),
            field: Buffer::default(),
            single: Payload::new(),
            meta: Payload::new(),
            meta_seq: None,
            since: None,
            last_tick: None,
            ended: false,
        };
        Self { id, name, buffers: Mutex::new(buffers), lost_upto: AtomicU64::new(0) }
    }

    /// Seal the batch if it is older than `max_delay`. Returns when it will be, if something waits.
    pub(crate) fn seal_older(&self, shared: &Shared, max_delay: Duration, now: Instant) -> Option<Instant> {
        let mut b = self.buffers.lock();
        if b.is_older(max_delay, now) {
            self.seal(shared, &mut b);
        }
        b.since.map(|since| since + max_delay)
    }

    /// Seal the batch and take no more.
    pub(crate) fn finish(&self, shared: &Shared) {
        let mut b = self.buffers.lock();
        if !b.ended {
            self.seal(shared, &mut b);
            self.close(shared, &mut b);
        }
    }

    fn close(&self, shared: &Shared, b: &mut Buffers) {
        b.ended = true;
        shared.stream_closed(self.id);
    }

    fn seal(&self, shared: &Shared, b: &mut Buffers) {
        for (kind, which) in
            [(Kind::CAR, (|b| &mut b.car) as fn(&mut Buffers) -> &mut Buffer), (Kind::SLOW, |b| &mut b.slow), (Kind::FIELD, |b| &mut b.field)]
        {
            if which(b).count > 0 {
                let mut buffer = std::mem::take(which(b));
                // `add` keeps every buffer below a record's length and the sequence below its end.
                let _ = self.record(shared, b, kind, buffer.count, &buffer.payload);
                buffer.payload.clear();
                buffer.count = 0;
                *which(b) = buffer;
            }
        }
        b.since = None;
    }

    /// A gap for want of space took everything below `next`.
    pub(crate) fn lost(&self, next: u64) {
        self.lost_upto.fetch_max(next, Ordering::Relaxed);
    }

    fn meta(&self, shared: &Shared, b: &mut Buffers) -> Result<(), StreamError> {
        b.meta_rev += 1;
        b.meta_seq = Some(b.next_seq);
        let payload = std::mem::take(&mut b.meta);
        let sealed = self.push(shared, b, Kind::META, 1, &payload);
        b.meta = payload;
        sealed
    }

    fn record(&self, shared: &Shared, b: &mut Buffers, kind: Kind, count: u16, payload: &[u8]) -> Result<(), StreamError> {
        if b.meta_seq.is_some_and(|seq| seq < self.lost_upto.load(Ordering::Relaxed)) {
            self.meta(shared, b)?;
        }
        self.push(shared, b, kind, count, payload)
    }

    fn push(&self, shared: &Shared, b: &mut Buffers, kind: Kind, count: u16, payload: &[u8]) -> Result<(), StreamError> {
        let first_seq = b.next_seq;
        let prelude = Prelude { kind, run: self.name.run, source: self.name.source, slot: b.slot, meta_rev: b.meta_rev, first_seq, count };
        let bytes = record::seal(&prelude, payload).map_err(|_| StreamError::Full)?;
        b.next_seq += u64::from(count);
        let frames = if kind.single() { 0 } else { count };
        shared.sealed(self.id, Entry { first: first_seq, next: b.next_seq, body: Body::Record { bytes, frames } });
        Ok(())
    }
}
