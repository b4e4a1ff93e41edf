//! One stream's unacked records, in order. Pure: no files, no clock, no network.
//!
//! ```text
//!   acked            head_end          tail_first           next
//!     |---- head ------|---- in files -----|----- tail -------|
//!          in memory                             in memory, not written yet
//! ```
//! While acks keep up, all records are in the head. When the head is full, new records wait in the tail until they are
//! written, and are read back from the files when the head has space: memory is bounded however long an outage is.
//! Without files there is only a head.

use std::collections::VecDeque;

use boxbox_schemas::event::{GapFrame, GapReason};
use boxbox_schemas::record::{self, Kind, Prelude, Record};
use bytes::Bytes;

use crate::observe::StreamName;

/// A record, or a range of records that were given up (a gap). A gap can be cut anywhere, a record nowhere.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) first: u64,
    pub(crate) next: u64,
    pub(crate) body: Body,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Body {
    Record { bytes: Bytes, frames: u16 },
    Gap(GapReason),
}

impl Entry {
    pub(crate) fn gap(first: u64, next: u64, reason: GapReason) -> Self {
        Self { first, next, body: Body::Gap(reason) }
    }

    /// The entry for a sealed record.
    pub(crate) fn of(record: &Record) -> Option<Self> {
        let p = record.prelude();
        let next = record.next_seq().ok()?;
        let body = match record.content() {
            Ok(record::Content::Gap(gap)) => Body::Gap(GapReason::from(&gap.reason)),
            _ => Body::Record { bytes: record.bytes().clone(), frames: if p.kind.single() { 0 } else { p.count } },
        };
        Some(Self { first: p.first_seq, next, body })
    }

    pub(crate) fn len(&self) -> usize {
        match &self.body {
            Body::Record { bytes, .. } => bytes.len(),
            Body::Gap(_) => 0,
        }
    }

    /// The bytes to write or to send: the record, or a gap record that begins at `from`.
    pub(crate) fn bytes(&self, name: &StreamName, from: u64) -> Bytes {
        match &self.body {
            Body::Record { bytes, .. } => bytes.clone(),
            Body::Gap(reason) => {
                let prelude =
                    Prelude { kind: Kind::GAP, run: name.run, source: name.source, slot: 0, meta_rev: 0, first_seq: from.max(self.first), count: 1 };
                let payload = record::archive(&GapFrame { next: self.next, reason: *reason, ..Default::default() });
                // A gap record has a fixed length, far below the limit.
                record::seal(&prelude, &payload).unwrap_or_default()
            }
        }
    }
}

/// What an ack released.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Released {
    pub(crate) records: u64,
    pub(crate) frames: u64,
}

/// A range to read from the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Wanted {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) max_bytes: usize,
}

#[derive(Debug)]
pub(crate) struct Queue {
    acked: u64,
    head: VecDeque<Entry>,
    head_bytes: usize,
    tail: VecDeque<Entry>,
    tail_bytes: usize,
    /// Everything below is in the files, or acked.
    written: u64,
    next: u64,
    /// Bytes between head and tail; an estimate.
    filed_bytes: u64,
    /// `None`: there are no files, and the head takes all.
    head_max: Option<usize>,
}

impl Queue {
    /// An empty queue. With files, memory holds about `head_max` bytes of records, and those that are not written yet.
    pub(crate) fn new(head_max: Option<usize>) -> Self {
        Self { acked: 0, head: VecDeque::new(), head_bytes: 0, tail: VecDeque::new(), tail_bytes: 0, written: 0, next: 0, filed_bytes: 0, head_max }
    }

    /// A queue of what an earlier process left in files: `[acked, next)`, about `bytes` long.
    pub(crate) fn filed(acked: u64, next: u64, bytes: u64, head_max: usize) -> Self {
        Self { acked, written: next, next, filed_bytes: bytes, ..Self::new(Some(head_max)) }
    }

    /// The lowest sequence number that is not acked (the base of W5): the first of a record, or within a gap.
    pub(crate) fn acked(&self) -> u64 {
        self.acked
    }
    /// The next sequence number to be sealed.
    pub(crate) fn next(&self) -> u64 {
        self.next
    }
    pub(crate) fn is_empty(&self) -> bool {
        self.acked == self.next
    }
    /// Bytes in memory.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.head_bytes + self.tail_bytes
    }
    /// Bytes that are not acked; an estimate.
    pub(crate) fn outstanding_bytes(&self) -> u64 {
        self.memory_bytes() as u64 + self.filed_bytes
    }

    fn head_end(&self) -> u64 {
        self.head.back().map_or(self.acked, |e| e.next)
    }
    fn tail_first(&self) -> u64 {
        self.tail.front().map_or(self.next, |e| e.first)
    }
    fn room(&self) -> usize {
        self.head_max.map_or(usize::MAX, |max| max.saturating_sub(self.head_bytes))
    }

    fn push_head(&mut self, entry: Entry) {
        self.head_bytes += entry.len();
        self.head.push_back(entry);
    }

    /// Appends a sealed record, which begins at [`Self::next`].
    pub(crate) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.first, self.next);
        let direct = self.tail.is_empty() && self.head_end() == self.next && self.room() >= entry.len();
        self.next = entry.next;
        if direct {
            self.push_head(entry);
        } else {
            self.tail_bytes += entry.len();
            self.tail.push_back(entry);
        }
    }

    /// The entry in memory that holds `seq`, if it can be sent now.
    pub(crate) fn at(&self, seq: u64) -> Option<&Entry> {
        self.head.get(self.head.partition_point(|e| e.next <= seq)).filter(|e| e.first <= seq)
    }

    /// Everything below `next` is durable at the server. The caller has checked that it was sent.
    pub(crate) fn ack(&mut self, next: u64) -> Released {
        let mut released = Released::default();
        while let Some(entry) = self.head.pop_front_if(|e| e.next <= next) {
            self.head_bytes -= entry.len();
            self.acked = entry.next;
            if let Body::Record { frames, .. } = entry.body {
                released.records += 1;
                released.frames += u64::from(frames);
            }
        }
        if let Some(Entry { first, body: Body::Gap(_), .. }) = self.head.front_mut()
            && *first < next
        {
            *first = next;
            self.acked = next;
        }
        // Records that were acked before they were written need not be written.
        self.written = self.written.max(self.acked);
        self.settle();
        released
    }

    /// Gives up everything below `upto`, which ends a record or lies in a gap. Returns how many sequence numbers this added to gaps.
    pub(crate) fn evict(&mut self, upto: u64, reason: GapReason) -> u64 {
        let (from, mut upto) = (self.acked, upto.min(self.next));
        if upto <= from {
            return 0;
        }
        let mut were_gaps = 0;
        for in_tail in [false, true] {
            let (queue, bytes) = if in_tail { (&mut self.tail, &mut self.tail_bytes) } else { (&mut self.head, &mut self.head_bytes) };
            while let Some(entry) = queue.pop_front_if(|e| e.first < upto) {
                *bytes -= entry.len();
                match entry.body {
                    Body::Gap(reason) => {
                        were_gaps += entry.next.min(upto) - entry.first;
                        if entry.next > upto {
                            queue.push_front(Entry::gap(upto, entry.next, reason));
                            break;
                        }
                    }
                    Body::Record { .. } => upto = upto.max(entry.next),
                }
            }
        }
        self.head.push_front(Entry::gap(from, upto, reason));
        self.settle();
        upto - from - were_gaps
    }

    /// Without files: gives up the oldest records until `bytes` fewer are held. Returns where the gap ends, and how many sequence
    /// numbers this added to it.
    pub(crate) fn evict_bytes(&mut self, bytes: usize) -> Option<(u64, u64)> {
        let (mut freed, mut upto) = (0, None);
        for entry in &self.head {
            if freed >= bytes {
                break;
            }
            freed += entry.len();
            if entry.len() > 0 {
                upto = Some(entry.next);
            }
        }
        let upto = upto?;
        Some((upto, self.evict(upto, GapReason::SPOOL_FULL)))
    }

    /// The edge refused the record at `seq` for good; a gap takes its place (W7). `None` if there is no record at `seq`.
    pub(crate) fn refuse(&mut self, seq: u64) -> Option<(u64, u64)> {
        let at = self.head.partition_point(|e| e.next <= seq);
        let entry = self.head.get_mut(at).filter(|e| e.first <= seq && matches!(e.body, Body::Record { .. }))?;
        self.head_bytes -= entry.len();
        entry.body = Body::Gap(GapReason::REFUSED);
        Some((entry.first, entry.next))
    }

    /// Records that are not in the files yet, up to about `max_bytes`; none without files.
    pub(crate) fn unwritten(&self, name: &StreamName, max_bytes: usize, out: &mut Vec<Bytes>) -> Option<u64> {
        self.head_max?;
        let from = self.head.partition_point(|e| e.next <= self.written);
        let (mut taken, mut upto) = (0, None);
        for entry in self.head.range(from..).chain(self.tail.iter().skip_while(|e| e.next <= self.written)) {
            if taken >= max_bytes {
                break;
            }
            out.push(entry.bytes(name, self.written));
            taken += entry.len();
            upto = Some(entry.next);
        }
        upto
    }

    /// Everything below is in the files, or acked.
    pub(crate) fn written(&self) -> u64 {
        self.written
    }

    /// Everything below `upto` is in the files.
    pub(crate) fn wrote(&mut self, upto: u64) {
        self.written = self.written.max(upto);
        self.settle();
    }

    /// The range to read into the head, if it has space.
    pub(crate) fn wants(&self) -> Option<Wanted> {
        let max = self.head_max?;
        let (from, until) = (self.head_end(), self.tail_first());
        (from < until && self.head_bytes <= max / 2).then(|| Wanted { from, until, max_bytes: self.room() })
    }

    /// The entries that were read for [`Self::wants`]: from `from` on without holes. Ignored if the head has changed meanwhile.
    pub(crate) fn loaded(&mut self, from: u64, entries: Vec<Entry>) {
        if from != self.head_end() {
            return;
        }
        for entry in entries {
            self.filed_bytes = self.filed_bytes.saturating_sub(entry.len() as u64);
            self.push_head(entry);
        }
        self.settle();
    }

    /// If more than `max_bytes` wait while the disk takes none: gives up the oldest, a large part at once.
    pub(crate) fn trim_tail(&mut self, max_bytes: usize) -> Option<(u64, u64)> {
        let mut range: Option<(u64, u64)> = None;
        if self.tail_bytes <= max_bytes {
            return None;
        }
        while self.tail_bytes > max_bytes - max_bytes / 16 {
            let gap = self.tail.pop_front_if(|e| matches!(e.body, Body::Gap(_)));
            let Some(record) = self.tail.pop_front() else { break };
            self.tail_bytes -= record.len();
            let first = gap.map_or(record.first, |g| g.first);
            range = Some((range.map_or(record.first, |r| r.0), record.next));
            self.tail.push_front(Entry::gap(first, record.next, GapReason::SPOOL_FULL));
        }
        range
    }

    /// Restores the invariants of the picture above after any change.
    fn settle(&mut self) {
        // Nothing lies between head and tail: records move from the tail to the head.
        while self.head_end() == self.tail_first()
            && let room = self.room()
            && let Some(entry) = self.tail.pop_front_if(|e| e.len() <= room)
        {
            self.tail_bytes -= entry.len();
            self.push_head(entry);
        }
        // Records that are written can be read again.
        while let Some(entry) = self.tail.pop_front_if(|e| e.next <= self.written) {
            self.tail_bytes -= entry.len();
            self.filed_bytes += entry.len() as u64;
        }
        if self.head_end() == self.tail_first() {
            self.filed_bytes = 0;
        }
    }
}

#[cfg(test)]
mod tests;
