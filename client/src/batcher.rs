//! [`Batcher`]: batches one stream's frames and seals them into records (F3). The records go to a [`Sink`], so that this file needs
//! no connection.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use boxbox_schemas::event::Reject;
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::record::{self, Kind, Payload, Prelude};
use parking_lot::Mutex;

use crate::observe::StreamName;
use crate::queue::{Body, Entry};

/// Takes a batcher's records.
pub(crate) trait Sink {
    /// The stream `id` has sealed a record.
    fn sealed(&self, id: u64, kind: Kind, entry: Entry);
    /// The stream `id` seals no more records.
    fn stream_closed(&self, id: u64);
}

/// Why a call of a stream's method failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum StreamError {
    /// `end` was called, or the client has finished.
    #[error("the stream has ended: open a new one")]
    Ended,
    /// The metadata exceeds a limit of `boxbox_schemas::limits`.
    #[error("the session's metadata is not acceptable: {}", .0.name())]
    Meta(Reject),
    /// The metadata does not fit a record.
    #[error("the session's metadata takes {0} bytes; a record holds {RECORD_MAX_BYTES}")]
    MetaTooLong(usize),
    /// 2^48 frames were sent.
    #[error("the stream is full: open a new one")]
    Full,
}

/// The part of a stream that the client's task shares: the task seals batches that have waited long enough.
pub(crate) struct Batcher {
    pub(crate) id: u64,
    pub(crate) name: StreamName,
    pub(crate) buffers: Mutex<Buffers>,
    /// Records below this number may have been given up because the spool was full.
    lost_upto: AtomicU64,
}

/// Frames that wait to be sealed.
pub(crate) struct Buffers {
    pub(crate) slot: u16,
    pub(crate) meta_rev: u32,
    pub(crate) next_seq: u64,
    pub(crate) car: Buffer,
    pub(crate) slow: Buffer,
    pub(crate) field: Buffer,
    /// For events, and for a frame that is sent alone.
    pub(crate) single: Payload,
    /// The last metadata, and its sequence number. The metadata is sent again if a gap took it: later frames need it.
    pub(crate) meta: Payload,
    pub(crate) meta_seq: Option<u64>,
    /// When the first frame of the batch came.
    pub(crate) since: Option<Instant>,
    pub(crate) last_tick: Option<u32>,
    pub(crate) ended: bool,
}

#[derive(Default)]
pub(crate) struct Buffer {
    pub(crate) payload: Payload,
    pub(crate) count: u16,
}

impl Buffer {
    /// The archived bytes of the frame that was added last.
    pub(crate) fn last(&self, frame_bytes: usize) -> &[u8] {
        &self.payload[self.payload.len().saturating_sub(frame_bytes)..]
    }
}

impl Buffers {
    pub(crate) fn is_older(&self, than: Duration, now: Instant) -> bool {
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

    /// Seals the batch if it is older than `max_delay`. Returns when it must be sealed if it still waits.
    pub(crate) fn seal_older(&self, sink: &impl Sink, max_delay: Duration, now: Instant) -> Option<Instant> {
        let mut b = self.buffers.lock();
        if b.is_older(max_delay, now) {
            self.seal(sink, &mut b);
        }
        b.since.map(|since| since + max_delay)
    }

    /// Seals the batch and takes no more frames.
    pub(crate) fn finish(&self, sink: &impl Sink) {
        let mut b = self.buffers.lock();
        if !b.ended {
            self.seal(sink, &mut b);
            self.close(sink, &mut b);
        }
    }

    pub(crate) fn close(&self, sink: &impl Sink, b: &mut Buffers) {
        b.ended = true;
        sink.stream_closed(self.id);
    }

    pub(crate) fn seal(&self, sink: &impl Sink, b: &mut Buffers) {
        for (kind, which) in
            [(Kind::CAR, (|b| &mut b.car) as fn(&mut Buffers) -> &mut Buffer), (Kind::SLOW, |b| &mut b.slow), (Kind::FIELD, |b| &mut b.field)]
        {
            if which(b).count > 0 {
                let mut buffer = std::mem::take(which(b));
                // `add` keeps every buffer below a record's length and the sequence below its end.
                let _ = self.record(sink, b, kind, buffer.count, &buffer.payload);
                buffer.payload.clear();
                buffer.count = 0;
                *which(b) = buffer;
            }
        }
        b.since = None;
    }

    /// The spool was full, and a gap took everything below `next`.
    pub(crate) fn lost(&self, next: u64) {
        self.lost_upto.fetch_max(next, Ordering::Relaxed);
    }

    pub(crate) fn meta(&self, sink: &impl Sink, b: &mut Buffers) -> Result<(), StreamError> {
        b.meta_rev += 1;
        b.meta_seq = Some(b.next_seq);
        let payload = std::mem::take(&mut b.meta);
        let sealed = self.push(sink, b, Kind::META, 1, &payload);
        b.meta = payload;
        sealed
    }

    pub(crate) fn record(&self, sink: &impl Sink, b: &mut Buffers, kind: Kind, count: u16, payload: &[u8]) -> Result<(), StreamError> {
        if b.meta_seq.is_some_and(|seq| seq < self.lost_upto.load(Ordering::Relaxed)) {
            self.meta(sink, b)?;
        }
        self.push(sink, b, kind, count, payload)
    }

    fn push(&self, sink: &impl Sink, b: &mut Buffers, kind: Kind, count: u16, payload: &[u8]) -> Result<(), StreamError> {
        let first_seq = b.next_seq;
        let prelude = Prelude { kind, run: self.name.run, source: self.name.source, slot: b.slot, meta_rev: b.meta_rev, first_seq, count };
        let bytes = record::seal(&prelude, payload).map_err(|_| StreamError::Full)?;
        b.next_seq += u64::from(count);
        let frames = if kind.single() { 0 } else { count };
        sink.sealed(self.id, kind, Entry { first: first_seq, next: b.next_seq, body: Body::Record { bytes, frames } });
        Ok(())
    }
}
