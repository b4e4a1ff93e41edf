//! [`Core`]: every stream's queue behind one lock, shared by the simulator's threads, the connection and the spool's thread.
//!
//! No I/O happens under the lock, and nothing here reads a clock.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use boxbox_schemas::Source;
use boxbox_schemas::event::GapReason;
use boxbox_schemas::wire::BASE_BYTES;
use bytes::{BufMut, Bytes, BytesMut};
use tokio::sync::Notify;

use crate::batcher::Batcher;
use crate::observe::{Event, StreamId, StreamName};
use crate::queue::{Entry, Queue, Released};

/// Most bytes given to QUIC at once.
const SEND_CHUNK_BYTES: usize = 64 * 1024;
/// A full spool in memory drops this fraction of itself at once.
const MEMORY_PARTS: usize = 16;
/// Most bytes that may wait in memory while the disk takes none.
pub(crate) const UNWRITTEN_MAX_BYTES: usize = 8 << 20;

/// A stream that is open, or not wholly acked.
pub(crate) struct StreamState {
    pub(crate) name: StreamName,
    pub(crate) queue: Queue,
    /// Present while the simulator may add to it.
    pub(crate) batcher: Option<Arc<Batcher>>,
    /// Wakes its sender.
    pub(crate) wake: Arc<Notify>,
    /// Present while it is sent on the current connection.
    pub(crate) active: Option<Active>,
    /// The record that the edge refused once (W7).
    refused: Option<u64>,
}

/// What one stream has sent on the current connection.
pub(crate) struct Active {
    /// The next sequence number to send.
    sent: u64,
    /// For each record that was sent and is not acked: the sequence number after it, and its bytes.
    unacked: VecDeque<(u64, usize)>,
    unacked_bytes: usize,
    /// When the edge last answered for it, or when something was sent after all was acked.
    answered: Option<Instant>,
    /// The sender waits for acks, because its window is full.
    blocked: bool,
}

impl StreamState {
    pub(crate) fn new(name: StreamName, queue: Queue, batcher: Option<Arc<Batcher>>) -> Self {
        Self { name, queue, batcher, wake: Arc::default(), active: None, refused: None }
    }
    /// Whether it is closed and wholly acked.
    pub(crate) fn is_done(&self) -> bool {
        self.batcher.is_none() && self.queue.is_empty()
    }
}

/// What a sender is to do next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Send these chunks, so many bytes.
    Send(usize),
    /// Wait to be woken.
    Wait,
    /// All is acked and no more will come.
    Done,
}

/// What an ack changed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Acked {
    pub(crate) released: Released,
    pub(crate) next: u64,
    /// The stream is closed and wholly acked.
    pub(crate) done: bool,
    /// The spool's thread has something to read or to remove.
    pub(crate) file_work: bool,
}

#[derive(Default)]
pub(crate) struct Core {
    /// By age: ids rise.
    pub(crate) streams: BTreeMap<u64, StreamState>,
    pub(crate) next_id: u64,
    /// Sources that were opened in this run: a second stream of one needs another run.
    pub(crate) opened: BTreeSet<Source>,
    /// `None`: the spool is on disk and has its own limit.
    pub(crate) memory_max_bytes: Option<u64>,
    /// Bytes of the spool's files.
    pub(crate) file_bytes: u64,
    /// Streams that are done, whose files can be removed.
    pub(crate) forget: Vec<u64>,
    /// The client has finished: it takes no more streams or frames.
    pub(crate) finished: bool,
    /// The spool's thread is to write what is not written, and end.
    pub(crate) stop: bool,
}

impl Core {
    /// Appends a sealed record. Returns the gaps that a full spool made necessary.
    pub(crate) fn push(&mut self, id: u64, entry: Entry) -> Vec<Event> {
        let Some(stream) = self.streams.get_mut(&id) else { return vec![] };
        stream.queue.push(entry);
        stream.wake.notify_one();
        match self.memory_max_bytes {
            Some(max) => self.evict_memory(max as usize),
            None => {
                stream.queue.trim_tail(UNWRITTEN_MAX_BYTES).map(|(first, next)| gap(id, first, next, GapReason::SPOOL_FULL)).into_iter().collect()
            }
        }
    }

    /// Drops the oldest records of the oldest stream first (W8).
    fn evict_memory(&mut self, max: usize) -> Vec<Event> {
        let mut held: usize = self.streams.values().map(|s| s.queue.memory_bytes()).sum();
        let mut events = vec![];
        for (id, stream) in &mut self.streams {
            if held <= max {
                break;
            }
            let before = stream.queue.memory_bytes();
            // A large part at once, as a spool on disk does: one gap in minutes, not one with every record.
            if let Some((next, given_up)) = stream.queue.evict_bytes((held - max).max(max / MEMORY_PARTS)) {
                events.push(gap(*id, next - given_up, next, GapReason::SPOOL_FULL));
            }
            held -= before - stream.queue.memory_bytes();
        }
        events
    }

    /// Chooses `free` streams to send; the connection carries `streams_max` at once. Of each session only the oldest stream is sent,
    /// live sessions come first, and one stream is kept free for them (W8). Returns the ids of the streams chosen.
    pub(crate) fn schedule(&mut self, mut free: usize, streams_max: usize) -> Vec<u64> {
        let live: BTreeSet<Source> = self.streams.values().filter(|s| s.batcher.is_some()).map(|s| s.name.source).collect();
        let taken_by_bulk = self.streams.values().filter(|s| s.active.is_some() && !live.contains(&s.name.source)).count();
        let mut fronts = BTreeSet::new();
        let waiting: Vec<(u64, bool)> = self
            .streams
            .iter()
            .filter(|(_, s)| !s.is_done() && fronts.insert(s.name.source) && s.active.is_none())
            .map(|(id, s)| (*id, live.contains(&s.name.source)))
            .collect();
        let mut free_for_bulk = streams_max.saturating_sub(1).max(1).saturating_sub(taken_by_bulk);
        let mut given = vec![];
        for wanted_live in [true, false] {
            for (id, _) in waiting.iter().filter(|(_, live)| *live == wanted_live) {
                // An open stream without records needs no sender.
                let Some(stream) = self.streams.get_mut(id).filter(|s| free > 0 && !s.queue.is_empty()) else { continue };
                if !wanted_live {
                    if free_for_bulk == 0 {
                        continue;
                    }
                    free_for_bulk -= 1;
                }
                free -= 1;
                stream.active =
                    Some(Active { sent: stream.queue.acked(), unacked: VecDeque::new(), unacked_bytes: 0, answered: None, blocked: false });
                given.push(*id);
            }
        }
        given
    }

    /// Whether a live session waits because old ones take all streams of the connection: only a new connection can put it first.
    pub(crate) fn is_live_starved(&self, streams_max: usize) -> bool {
        let live: BTreeSet<Source> = self.streams.values().filter(|s| s.batcher.is_some()).map(|s| s.name.source).collect();
        let mut active = self.streams.values().filter(|s| s.active.is_some());
        let sending = active.clone().count();
        let waits = live.iter().any(|source| {
            let mut of_source = self.streams.values().filter(|s| s.name.source == *source && !s.is_done());
            of_source.next().is_some_and(|s| s.active.is_none() && !s.queue.is_empty())
        });
        waits && sending >= streams_max && active.any(|s| !live.contains(&s.name.source))
    }

    /// The connection is gone; no stream is sent any more.
    pub(crate) fn disconnected(&mut self) {
        self.streams.values_mut().for_each(|s| s.active = None);
    }

    /// The transmissions of stream `id` that may be sent now, with at most `window` bytes unacked (W5, W9).
    pub(crate) fn next(&mut self, id: u64, window: usize, now: Instant, out: &mut Vec<Bytes>) -> Next {
        let Some(stream) = self.streams.get_mut(&id) else { return Next::Done };
        if stream.is_done() {
            return Next::Done;
        }
        let Some(active) = &mut stream.active else { return Next::Done };
        let base = stream.queue.acked();
        let mut heads = BytesMut::new();
        let mut taken = 0;
        active.blocked = false;
        while taken < SEND_CHUNK_BYTES {
            let Some(entry) = stream.queue.at(active.sent) else { break };
            let bytes = entry.bytes(&stream.name, active.sent);
            let length = BASE_BYTES + bytes.len();
            // One record is always allowed, or a window smaller than a record would stop everything.
            if active.unacked_bytes + length > window && !active.unacked.is_empty() {
                active.blocked = true;
                break;
            }
            heads.reserve(BASE_BYTES);
            heads.put_u64_le(base);
            out.push(heads.split().freeze());
            out.push(bytes);
            active.answered.get_or_insert(now);
            active.sent = entry.next;
            active.unacked.push_back((entry.next, length));
            active.unacked_bytes += length;
            taken += length;
        }
        if taken > 0 { Next::Send(taken) } else { Next::Wait }
    }

    /// Handles an ack (W6). `None`: the edge acked what was never sent.
    pub(crate) fn ack(&mut self, id: u64, next: u64, now: Instant) -> Option<Acked> {
        // The stream may have ended on this connection; then the ack says nothing new.
        let Some(stream) = self.streams.get_mut(&id) else { return Some(Acked::default()) };
        let Some(active) = &mut stream.active else { return Some(Acked::default()) };
        if next > active.sent {
            return None;
        }
        let before = stream.queue.acked();
        let released = stream.queue.ack(next);
        let acked = stream.queue.acked();
        if acked <= before {
            // An ack that goes back is ignored; only progress counts as an answer.
            return Some(Acked { next: acked, ..Acked::default() });
        }
        while let Some((_, length)) = active.unacked.pop_front_if(|(next, _)| *next <= acked) {
            active.unacked_bytes -= length;
        }
        active.answered = if active.unacked.is_empty() { None } else { Some(now) };
        if active.blocked || stream.queue.is_empty() {
            stream.wake.notify_one();
        }
        let file_work = stream.queue.wants().is_some();
        if stream.refused.is_some_and(|seq| seq < acked) {
            stream.refused = None;
        }
        let done = stream.is_done();
        Some(Acked { released, next: acked, done, file_work })
    }

    /// The edge sent a `stalled` notice, which counts as an answer.
    pub(crate) fn stalled(&mut self, id: u64, now: Instant) {
        if let Some(answered) = self.streams.get_mut(&id).and_then(|s| s.active.as_mut()).and_then(|a| a.answered.as_mut()) {
            *answered = now;
        }
    }

    /// When the edge last answered for the stream that has waited longest.
    pub(crate) fn oldest_answer(&self) -> Option<Instant> {
        self.streams.values().filter_map(|s| s.active.as_ref()?.answered).min()
    }

    /// The edge closed the connection because of the record at `seq` (W7). The second time, the record becomes a gap.
    pub(crate) fn refused(&mut self, id: u64, seq: u64) -> Option<Event> {
        let stream = self.streams.get_mut(&id)?;
        if stream.refused != Some(seq) {
            stream.refused = Some(seq);
            return None;
        }
        stream.refused = None;
        let (first, next) = stream.queue.refuse(seq)?;
        Some(gap(id, first, next, GapReason::REFUSED))
    }

    /// Removes streams that are done.
    pub(crate) fn sweep(&mut self) {
        let done: Vec<u64> = self.streams.iter().filter(|(_, s)| s.is_done()).map(|(id, _)| *id).collect();
        done.iter().for_each(|id| {
            self.streams.remove(id);
        });
        if self.memory_max_bytes.is_none() {
            self.forget.extend(&done);
        }
    }
}

pub(crate) fn gap(id: u64, first: u64, next: u64, reason: GapReason) -> Event {
    Event::Gap { stream: StreamId(id), first, next, reason }
}

#[cfg(test)]
mod tests;
