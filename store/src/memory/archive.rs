//! [`MemoryArchive`].

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{DriverId, LogId, SessionId, StreamKey, TenantId};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::rules::{check_block, check_same_record};
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, Pace, Removed, Retention, StoreError, run};

/// [`Archive`] in memory: a map of single frames.
#[derive(Clone, Default)]
pub struct MemoryArchive {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    down: bool,
    checkpoints: BTreeMap<(LogId, u32), Checkpoint>,
    streams: BTreeMap<StreamKey, Stream>,
    /// Bytes removed by age, by the hour.
    removed: BTreeMap<i64, u64>,
}

#[derive(Default)]
struct Stream {
    partition: Option<(LogId, u32)>,
    next: u64,
    /// By sequence number, with when they were received.
    frames: BTreeMap<u64, (i64, Bytes)>,
    /// Records of other kinds, likewise.
    records: BTreeMap<u64, (i64, KeptRecord)>,
}

impl MemoryArchive {
    /// An empty archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// From now on answer, or fail like an archive that is down.
    pub fn set_available(&self, up: bool) {
        self.inner.lock().down = !up;
    }

    fn read<T>(&self, f: impl FnOnce(&Inner) -> T) -> Result<T, StoreError> {
        let inner = self.inner.lock();
        super::available(!inner.down)?;
        Ok(f(&inner))
    }
}

#[async_trait]
impl Archive for MemoryArchive {
    fn pace(&self) -> Pace {
        Pace::EMBEDDED
    }

    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError> {
        let key = (lease.log.clone(), lease.partition);
        self.read(|inner| ArchiveState {
            checkpoint: inner.checkpoints.get(&key).cloned(),
            cursors: inner.streams.iter().filter(|(_, s)| s.partition.as_ref() == Some(&key)).map(|(k, s)| (*k, s.next)).collect(),
            ..ArchiveState::default()
        })
    }

    async fn append(&self, _: &Lease, block: &ArchiveBlock) -> Result<(), StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        check_block(block)?;
        let key = (block.checkpoint.log.clone(), block.checkpoint.partition);
        if let Some(old) = inner.checkpoints.get(&key) {
            check_same_record(old, &block.checkpoint)?;
        }
        let cursors: BTreeMap<StreamKey, u64> = inner.streams.iter().map(|(k, s)| (*k, s.next)).collect();
        for run in &block.runs {
            let stream = inner.streams.entry(run.stream).or_default();
            let kept_below = cursors.get(&run.stream).copied().unwrap_or(0);
            let numbers = run.pieces.iter().flat_map(|piece| piece.first_seq..piece.next_seq());
            for (seq, frame) in numbers.zip(run.frames.chunks_exact(CAR_FRAME_BYTES)).filter(|(seq, _)| *seq >= kept_below) {
                stream.frames.entry(seq).or_insert_with(|| (block.received_at_us, run.frames.slice_ref(frame)));
            }
        }
        for of in &block.records {
            let stream = inner.streams.entry(of.stream).or_default();
            let kept_below = cursors.get(&of.stream).copied().unwrap_or(0);
            for record in of.records.iter().filter(|record| record.first_seq >= kept_below) {
                stream.records.entry(record.first_seq).or_insert_with(|| (block.received_at_us, record.clone()));
            }
        }
        for (stream, next) in &block.cursors {
            let stream = inner.streams.entry(*stream).or_default();
            stream.next = stream.next.max(*next);
            stream.partition = Some(key.clone());
        }
        let kept = inner.checkpoints.entry(key).or_insert_with(|| block.checkpoint.clone());
        if kept.offset < block.checkpoint.offset {
            *kept = block.checkpoint.clone();
        }
        Ok(())
    }

    async fn retain(&self, retention: &Retention) -> Result<Removed, StoreError> {
        let mut inner = self.inner.lock();
        super::available(!inner.down)?;
        let all = inner.streams.iter().flat_map(|(key, s)| s.frames.iter().map(|(seq, (received, _))| (*received, *key, *seq)));
        let mut oldest: Vec<_> = all.collect();
        oldest.sort();
        let due = retention.oldest_us.map_or(0, |cutoff| oldest.partition_point(|(received, ..)| *received < cutoff));
        let bytes = (oldest.len() * CAR_FRAME_BYTES) as u64;
        let aged = match &retention.daily {
            None => due,
            Some(daily) => {
                let hour = daily.hour();
                let noted = std::mem::take(&mut inner.removed).into_iter().filter(|(at, _)| *at > hour - 24);
                for (at, bytes) in noted.collect::<Vec<_>>() {
                    *inner.removed.entry(at.min(hour)).or_default() += bytes;
                }
                let allowed = daily.allows(bytes, inner.removed.values().sum()).div_ceil(CAR_FRAME_BYTES as u64);
                let aged = due.min(usize::try_from(allowed).unwrap_or(usize::MAX));
                *inner.removed.entry(hour).or_default() += (aged * CAR_FRAME_BYTES) as u64;
                aged
            }
        };
        let over = retention.max_bytes.map_or(0, |max| bytes.saturating_sub(max).div_ceil(CAR_FRAME_BYTES as u64));
        oldest.truncate(aged.max(over as usize));
        for (_, key, seq) in &oldest {
            inner.streams.entry(*key).or_default().frames.remove(seq);
        }
        // Records go with the frames that came with them.
        let newest = oldest.last().map(|(received, ..)| received.saturating_add(1)).max(retention.oldest_us.filter(|_| aged == due));
        for stream in inner.streams.values_mut() {
            stream.records.retain(|_, (received, _)| newest.is_none_or(|before| *received >= before));
        }
        Ok(Removed { frames: oldest.len() as u64, more: false })
    }

    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
        let key = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        self.read(|inner| {
            let Some(stream) = inner.streams.get(&key) else { return Ok(None) };
            let range = span.first_seq..span.next_seq.max(span.first_seq);
            let single: Result<Vec<_>, _> = stream.frames.range(range).map(|(seq, (_, frame))| FrameRun::new(key, *seq, frame.clone())).collect();
            run::join(single?, limit.into())
        })?
    }

    async fn records(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
        let key = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        let range = span.first_seq..span.next_seq.max(span.first_seq);
        self.read(|inner| {
            let found = inner.streams.get(&key).into_iter().flat_map(|stream| stream.records.range(range.clone()));
            found.take(limit as usize).map(|(_, (_, record))| record.clone()).collect()
        })
    }

    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError> {
        self.read(|inner| inner.streams.keys().filter(|key| key.tenant == *tenant && key.session == *session).copied().collect())
    }

    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
        self.read(|inner| {
            let asked = inner.streams.iter().filter(|(k, _)| k.tenant == *tenant && k.session == *session && driver.is_none_or(|d| k.driver == *d));
            asked.map(|(_, s)| s.frames.len() as u64).sum()
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.read(|_| ())
    }
}
