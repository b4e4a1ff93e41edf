//! [`Stream`]: takes one session's frames from the simulator's threads and puts them into sealed records (F3, F4).

use std::sync::Arc;
use std::time::Instant;

use boxbox_schemas::check;
use boxbox_schemas::event::{EndFrame, EndReason, EventCode, EventFrame};
use boxbox_schemas::field::{FIELD_FRAME_BYTES, FieldFrame};
use boxbox_schemas::frame::{CAR_FRAME_BYTES, CarFrame};
use boxbox_schemas::limits::{RECORD_MAX_BYTES, SEQUENCE_END};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{self, Frame, Kind, PRELUDE_BYTES, Payload};
use boxbox_schemas::slow::{SLOW_FRAME_BYTES, SlowFrame};
use boxbox_schemas::{RunId, Source};
use parking_lot::MutexGuard;

use crate::batcher::{Batcher, Buffer, Buffers, StreamError};
use crate::observe::{Counters, StreamId};
use crate::shared::Shared;

/// One session of this client's run: takes frames from any thread, never waits, and puts them into records.
///
/// Frames of one kind keep their order. Car, slow and field frames of one batch (80 ms) go into separate records, so their
/// order among each other may change; [`Stream::meta`], [`Stream::event`] and the other methods end the batch first.
/// Dropping a stream ends it without a reason; prefer [`Stream::end`].
pub struct Stream {
    shared: Arc<Shared>,
    batcher: Arc<Batcher>,
}

impl Stream {
    pub(crate) fn new(shared: Arc<Shared>, batcher: Arc<Batcher>) -> Self {
        Self { shared, batcher }
    }

    /// The stream's id, as an [`crate::Observer`] gets it.
    pub fn id(&self) -> StreamId {
        StreamId(self.batcher.id)
    }
    /// The run of the stream.
    pub fn run(&self) -> RunId {
        self.batcher.name.run
    }
    /// The session of the stream.
    pub fn source(&self) -> Source {
        self.batcher.name.source
    }
    /// The sequence number of the next frame, if the batch holds no frames of another kind.
    pub fn next_seq(&self) -> u64 {
        let b = self.batcher.buffers.lock();
        b.next_seq + u64::from(b.car.count) + u64::from(b.slow.count) + u64::from(b.field.count)
    }

    /// A frame of the driver's own car. A frame that no edge accepts (for example with a NaN) is sent alone in a record, so that
    /// only this frame is voided (W7). A tick below the last one is a rewind: if [`Stream::rewind`] was not called, this calls it (F4).
    pub fn car(&self, frame: &CarFrame) -> Result<(), StreamError> {
        let (mut b, now) = (self.open()?, Instant::now());
        if b.last_tick.is_some_and(|last| frame.tick < last) {
            self.seal_event(&mut b, EventCode::REWIND, frame.tick, frame.sim_time_us)?;
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
        self.add_other(|b| &mut b.slow, frame, SLOW_FRAME_BYTES)
    }

    /// What this client sees of another car; about four times a second for each car in the world.
    pub fn field(&self, frame: &FieldFrame) -> Result<(), StreamError> {
        self.add_other(|b| &mut b.field, frame, FIELD_FRAME_BYTES)
    }

    /// The session's description, at the beginning and whenever it changes: later frames belong to it.
    /// If a full spool drops it (W8), the stream sends it again.
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
        self.batcher.meta(&*self.shared, &mut b)
    }

    /// Sets the slot (iRacing: CarIdx) of the driver's own car for later frames.
    pub fn slot(&self, slot: u16) -> Result<(), StreamError> {
        let mut b = self.open()?;
        if b.slot != slot {
            self.seal(&mut b);
            b.slot = slot;
        }
        Ok(())
    }

    /// The simulator went back to `tick` and `sim_time_us`; later frames are a new timeline (F4).
    pub fn rewind(&self, tick: u32, sim_time_us: i64) -> Result<(), StreamError> {
        self.event(EventCode::REWIND, tick, sim_time_us)
    }

    /// Something happened at `tick`.
    pub fn event(&self, code: EventCode, tick: u32, sim_time_us: i64) -> Result<(), StreamError> {
        let mut b = self.open()?;
        if code == EventCode::REWIND {
            b.last_tick = Some(tick);
        }
        self.seal_event(&mut b, code, tick, sim_time_us)
    }

    /// Seals the batch now.
    pub fn flush(&self) -> Result<(), StreamError> {
        self.seal(&mut *self.open()?);
        Ok(())
    }

    /// The stream has ended, at the simulator's last `tick`.
    pub fn end(&self, tick: u32, sim_time_us: i64, reason: EndReason) -> Result<(), StreamError> {
        let mut b = self.open()?;
        self.seal(&mut b);
        let frame = EndFrame { tick, sim_time_us, reason, ..Default::default() };
        let sealed = self.seal_single(&mut b, Kind::END, &frame);
        self.batcher.close(&*self.shared, &mut b);
        sealed
    }

    fn open(&self) -> Result<MutexGuard<'_, Buffers>, StreamError> {
        let b = self.batcher.buffers.lock();
        if b.ended { Err(StreamError::Ended) } else { Ok(b) }
    }

    fn add_other<T: Frame>(&self, which: fn(&mut Buffers) -> &mut Buffer, frame: &T, frame_bytes: usize) -> Result<(), StreamError> {
        let (mut b, now) = (self.open()?, Instant::now());
        let full = self.add(&mut b, which, frame, frame_bytes, now)?;
        if full || b.is_older(self.shared.config.batch.max_delay, now) {
            self.seal(&mut b);
        }
        Ok(())
    }

    /// Adds a frame to its buffer; true if no other frame of its kind fits.
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
            self.shared.notify_batch_begun();
        }
        let buffer = which(b);
        record::archive_into(frame, &mut buffer.payload);
        buffer.count += 1;
        Counters::add(&self.shared.counters.frames, 1);
        let max_bytes = self.shared.config.batch.max_bytes.min(RECORD_MAX_BYTES);
        Ok(PRELUDE_BYTES + buffer.payload.len() + frame_bytes > max_bytes)
    }

    /// Seals the last car frame alone in a record.
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

    fn seal_event(&self, b: &mut Buffers, code: EventCode, tick: u32, sim_time_us: i64) -> Result<(), StreamError> {
        self.seal(b);
        self.seal_single(b, Kind::EVENT, &EventFrame { tick, sim_time_us, code, ..Default::default() })
    }

    fn seal_single<T: Frame>(&self, b: &mut Buffers, kind: Kind, frame: &T) -> Result<(), StreamError> {
        let mut single = std::mem::take(&mut b.single);
        single.clear();
        record::archive_into(frame, &mut single);
        let sealed = self.record(b, kind, 1, &single);
        b.single = single;
        sealed
    }

    fn record(&self, b: &mut Buffers, kind: Kind, count: u16, payload: &[u8]) -> Result<(), StreamError> {
        self.batcher.record(&*self.shared, b, kind, count, payload)
    }

    fn seal(&self, b: &mut Buffers) {
        self.batcher.seal(&*self.shared, b);
    }
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.batcher.finish(&*self.shared);
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
