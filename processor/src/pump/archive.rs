//! The archive pump: reads the same log with the same `admit`, and has its own checkpoint (E6a, E10).
//!
//! The pump joins frames of one stream into runs of up to [`Config::run_span`], across records of other kinds, and runs into blocks. A
//! block contains everything admitted between two checkpoints, so each frame and record is archived once: frames of the own car one by
//! one, with the prelude of their records as a heading where it changes; records of all other kinds as they came; and what the server
//! did to a session, with how far each stream was then (see [`closing`]). So a session can be computed again from its archive alone
//! ([`recompute`](crate::recompute)). A block's content depends on its records and on the cursors before it only: it is the same
//! when another processor makes it again. Blocks are small, so that the trace of a lap is complete a second later; the archive merges them.
//!
//! While the pump keeps up with the results pump, it takes its records from there (see [`relay`](super::relay), E6b). When it falls
//! behind, it reads the log itself until it has caught up. At intervals it has the archive remove frames that are too old or too many.
//!
//! [`Config::run_span`]: crate::Config::run_span

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{Entry, Offset, Reader};
use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::record::{Content, Prelude, seal};
use boxbox_schemas::results::Checkpoint;
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{DriverId, LogId, StreamKey};
use boxbox_store::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, Pace, Piece, Retention, StreamRecords};
use bytes::{Bytes, BytesMut};
use tokio::time::Instant;

use super::relay::{Follower, Taken};
use super::results::received_at_us;
use super::{Backoff, LogPosition, PumpContext};
use crate::admit::{Arrival, Meaning, admit};
use crate::error::ProcessorError;
use crate::recompute::closing;
use crate::time::daily;

/// Archive the partition of `lease` until a stop is requested or a failure is final.
pub(crate) async fn run(ctx: PumpContext, archive: Arc<dyn Archive>, lease: Lease, pace: Pace, follower: Follower) -> Result<(), ProcessorError> {
    let started = ctx.with_retries("start", || start(&ctx, &*archive, &lease)).await?;
    let Some((state, position)) = started else { return Ok(()) };
    ctx.begin(&position);
    let span_us = i64::try_from(ctx.shared.config.run_span.as_micros()).unwrap_or(i64::MAX);
    let builder = BlockBuilder::new(&lease, ctx.log.partitions(), state, span_us);
    let LogPosition { reader, next, end } = position;
    let source = RecordSource { own: Some(reader), follower, next, end };
    let now = Instant::now();
    let pump = ArchivePump {
        ctx,
        archive,
        lease,
        pace,
        builder,
        source,
        oldest: None,
        newest: None,
        waiting_since_us: None,
        retain_at: now,
        export_at: now,
    };
    Box::pin(pump.pump()).await
}

async fn start(ctx: &PumpContext, archive: &dyn Archive, lease: &Lease) -> Result<(ArchiveState, LogPosition), ProcessorError> {
    let state = archive.load(lease).await?;
    let position = ctx.resume(state.checkpoint.as_ref()).await?;
    Ok((state, position))
}

struct ArchivePump {
    ctx: PumpContext,
    archive: Arc<dyn Archive>,
    lease: Lease,
    pace: Pace,
    builder: BlockBuilder,
    source: RecordSource,
    /// When the oldest and the newest pending record were read.
    oldest: Option<Instant>,
    newest: Option<Instant>,
    /// When the oldest record that is not archived was received, Unix µs.
    waiting_since_us: Option<i64>,
    /// When to remove frames that are too old or too many.
    retain_at: Instant,
    /// When to copy laps.
    export_at: Instant,
}

/// The source of records: the results pump, or a reader of this pump.
struct RecordSource {
    own: Option<Box<dyn Reader>>,
    follower: Follower,
    /// The first offset that has not been read.
    next: Offset,
    /// The durable end as last known.
    end: Offset,
}

impl RecordSource {
    /// The next records, like [`Reader::next`].
    async fn read(&mut self, ctx: &PumpContext, wait: Duration) -> Result<Vec<Entry>, ProcessorError> {
        let bytes = ctx.shared.config.read_bytes;
        let follow_wait = if self.own.is_none() { wait } else { Duration::ZERO };
        if let Taken::Here(batch, next, end) = self.follower.take(self.next, bytes, follow_wait).await {
            (self.own, self.next, self.end) = (None, next, end);
            return Ok(batch);
        }
        let own = match self.own.take() {
            Some(own) => own,
            None => {
                ctx.shared.metrics.archive_readers.increment(1);
                self.reopen(ctx).await?
            }
        };
        let batch = match self.own.insert(own).next(bytes, wait).await {
            Ok(batch) => batch,
            Err(error) => {
                let beyond = ctx.beyond_removed(self.next, error).await?;
                (self.own, self.next, self.end) = (Some(beyond.reader), beyond.next, beyond.end);
                return Ok(Vec::new());
            }
        };
        self.next = batch.last().map_or(self.next, |entry| entry.offset + 1);
        self.end = self.own.as_ref().map_or(self.end, |own| own.end());
        Ok(batch)
    }

    /// A reader of this pump at its position, or behind what the log has removed. The pump has read up to there before, so the log needs no
    /// check.
    async fn reopen(&mut self, ctx: &PumpContext) -> Result<Box<dyn Reader>, ProcessorError> {
        match ctx.log.reader(ctx.partition, self.next).await {
            Ok(reader) => Ok(reader),
            Err(error) => {
                let beyond = ctx.beyond_removed(self.next, error).await?;
                (self.next, self.end) = (beyond.next, beyond.end);
                Ok(beyond.reader)
            }
        }
    }
}

impl ArchivePump {
    async fn pump(mut self) -> Result<(), ProcessorError> {
        let stop = self.ctx.stop.clone();
        let mut backoff = Backoff::default();
        loop {
            let chores = self.retain_at.min(self.export_at);
            let next_duty = self.due().map_or(chores, |due| due.min(chores));
            let wait = next_duty.saturating_duration_since(Instant::now()).min(self.pace.idle);
            let batch = tokio::select! {
                // The stop comes first, because at a stop the results pump may leave before this pump has checked.
                biased;
                () = stop.cancelled() => break,
                batch = self.source.read(&self.ctx, wait) => batch,
            };
            let batch = match batch {
                Ok(batch) => {
                    backoff.succeeded(&self.ctx);
                    batch
                }
                Err(error) => {
                    // Archive what was read before, because the log may be away for long. The reader keeps its position.
                    if !self.append_early().await? || !backoff.pause(&self.ctx, "read the log", error).await? {
                        return Ok(());
                    }
                    continue;
                }
            };
            for entry in &batch {
                self.builder.add_record(entry);
                if self.waiting_since_us.is_none() {
                    self.waiting_since_us = received_at_us(entry);
                    self.ctx.waits_since(self.waiting_since_us);
                }
                if self.builder.block_must_end() && !self.append().await? {
                    return Ok(());
                }
            }
            if !batch.is_empty() {
                let now = Instant::now();
                self.oldest.get_or_insert(now);
                self.newest = Some(now);
            }
            self.ctx.at(self.source.next, self.source.end);
            if self.due().is_some_and(|due| due <= Instant::now()) && !self.append_early().await? {
                return Ok(());
            }
            if self.retain_at <= Instant::now() {
                self.retain().await;
            }
            if self.export_at <= Instant::now() {
                self.export().await;
            }
        }
        self.append_early().await?;
        Ok(())
    }

    /// Copy laps to the table for analyses over seasons. After a failure they are copied the next time.
    async fn export(&mut self) {
        self.export_at = Instant::now() + self.ctx.shared.config.export_every;
        match self.archive.export_laps(&self.lease).await {
            Ok(0) => {}
            Ok(laps) => {
                self.ctx.shared.metrics.exported_laps.increment(laps);
                self.export_at = Instant::now();
            }
            Err(error) => tracing::warn!(partition = self.ctx.partition, %error, "laps could not be copied for analysis; trying again later"),
        }
    }

    /// Have the archive remove some of the frames that are too old or too many. Their number is bounded, so that blocks do not wait for long.
    async fn retain(&mut self) {
        let config = &self.ctx.shared.config;
        self.retain_at = Instant::now() + config.retain_every;
        // The clock decides only what is removed, not what is archived. A clock that has jumped decides nothing.
        let time = (self.ctx.shared.time)();
        let max_age = config.archive_max_age.filter(|_| !time.jumped);
        let age_us = |age: Duration| i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
        let retention = Retention {
            max_bytes: config.archive_max_bytes,
            oldest_us: max_age.map(|age| time.now_us.saturating_sub(age_us(age))),
            daily: max_age.map(|age| daily(age, time.now_us)),
        };
        if retention == Retention::default() {
            return;
        }
        match self.archive.retain(&retention).await {
            Ok(removed) => {
                self.ctx.shared.metrics.archive_removed.increment(removed.frames);
                if removed.more {
                    self.retain_at = Instant::now();
                }
            }
            Err(error) => {
                tracing::warn!(partition = self.ctx.partition, %error, "the archive could not remove old frames; trying again later")
            }
        }
    }

    /// When the pending block is to be archived; `None` if there is none.
    fn due(&self) -> Option<Instant> {
        let (oldest, newest) = (self.oldest?, self.newest?);
        if self.builder.bytes >= self.pace.bytes { Some(oldest) } else { Some((oldest + self.pace.every).min(newest + self.pace.idle)) }
    }

    /// [`ArchivePump::append`], unless a planned block ends later.
    async fn append_early(&mut self) -> Result<bool, ProcessorError> {
        if self.builder.planned.is_empty() {
            return self.append().await;
        }
        (self.oldest, self.newest) = (None, None);
        Ok(true)
    }

    /// Archive the pending block; `false` if a stop was requested before the archive answered.
    async fn append(&mut self) -> Result<bool, ProcessorError> {
        (self.oldest, self.newest) = (None, None);
        let Some(block) = self.builder.block() else { return Ok(true) };
        let (began, archive, lease, block) = (Instant::now(), &self.archive, &self.lease, &block);
        let answer = self.ctx.with_retries("archive a block", || async move { Ok(archive.append(lease, block).await?) }).await?;
        if answer.is_none() {
            return Ok(false);
        }
        let metrics = &self.ctx.shared.metrics;
        metrics.archive_frames.increment(block.runs.iter().map(|r| (r.frames.len() / CAR_FRAME_BYTES) as u64).sum());
        metrics.archive_blocks.increment(1);
        metrics.archive_seconds.record(began.elapsed().as_secs_f64());
        self.waiting_since_us = None;
        self.ctx.waits_since(None);
        self.ctx.committed(block.checkpoint.offset + 1);
        Ok(true)
    }
}

/// Builds blocks from log records; pure.
struct BlockBuilder {
    log: LogId,
    partition: u32,
    partitions: u32,
    span_us: i64,
    cursors: BTreeMap<StreamKey, u64>,
    /// Frames of records up to this offset are in the archive already.
    held_to: Option<Offset>,
    /// Likewise records of other kinds.
    records_held_to: Option<Offset>,
    /// The offsets at which the next blocks must end.
    planned: VecDeque<Offset>,
    open: BTreeMap<StreamKey, OpenRun>,
    runs: Vec<FrameRun>,
    records: BTreeMap<StreamKey, Vec<KeptRecord>>,
    /// Slot and metadata revision of each stream's last record of frames in this block.
    headings: BTreeMap<StreamKey, (u16, u32)>,
    changed: BTreeMap<StreamKey, u64>,
    bytes: usize,
    last: Option<(Offset, Bytes)>,
    /// When an edge received the newest record, by the records' stamps. It never decreases, even if an edge's clock is set back.
    received_at_us: i64,
    /// When the newest record of the block was appended to the log.
    appended_at_us: i64,
}

/// A run that may still grow.
struct OpenRun {
    pieces: Vec<Piece>,
    first_us: i64,
    last_us: i64,
    frames: BytesMut,
}

impl BlockBuilder {
    fn new(lease: &Lease, partitions: u32, state: ArchiveState, span_us: i64) -> Self {
        Self {
            log: lease.log.clone(),
            partition: lease.partition,
            partitions,
            span_us,
            cursors: state.cursors.into_iter().collect(),
            held_to: state.held_to,
            records_held_to: state.records_held_to,
            planned: state.planned.into(),
            open: BTreeMap::new(),
            runs: vec![],
            records: BTreeMap::new(),
            headings: BTreeMap::new(),
            changed: BTreeMap::new(),
            bytes: 0,
            last: None,
            received_at_us: 0,
            appended_at_us: i64::MIN,
        }
    }

    fn add_record(&mut self, entry: &Entry) {
        self.last = Some((entry.offset, entry.record.clone()));
        self.appended_at_us = self.appended_at_us.max(entry.appended_at_us);
        // The results pump quarantines records that cannot be read or are in the wrong partition.
        let Ok(record) = LogRecord::parse(entry.record.clone()) else { return };
        if record.stamp.session.partition(self.partitions) != self.partition {
            return;
        }
        if !Arrival::in_stream(&record) {
            return self.add_closing(entry.offset, &record);
        }
        self.received_at_us = self.received_at_us.max(record.stamp.received_at_us);
        let (stream, arrival) = (record.stream(), Arrival::of(&record));
        let cursor = self.cursors.entry(stream).or_default();
        let verdict = admit(*cursor, &arrival);
        if verdict.next != *cursor {
            *cursor = verdict.next;
            self.changed.insert(stream, verdict.next);
        }
        if verdict.new.is_empty() {
            return;
        }
        let beyond = |held: Option<Offset>| held.is_none_or(|held| entry.offset > held);
        let (keep_frames, keep_record) = (beyond(self.held_to), beyond(self.records_held_to));
        let received_at_us = record.stamp.received_at_us;
        let (Meaning::Car, Ok(Content::Car(frames))) = (arrival.meaning, record.record.content()) else {
            if keep_record {
                // A copy, because the record's bytes are part of a larger read, which would be kept with them.
                let bytes = Bytes::copy_from_slice(record.record.bytes());
                let (first_seq, next_seq) = (verdict.new.start, verdict.new.end);
                self.keep(stream, KeptRecord { first_seq, next_seq, offset: entry.offset, received_at_us, bytes });
            }
            return;
        };
        let prelude = record.record.prelude();
        let heading = (prelude.slot, prelude.meta_rev);
        if keep_record && self.headings.insert(stream, heading) != Some(heading) {
            // Sealing fails only beyond 32 KiB, and there is no payload.
            let bytes = seal(&Prelude { first_seq: verdict.new.start, count: 1, ..*prelude }, &[]).unwrap_or_default();
            let first_seq = verdict.new.start;
            self.keep(stream, KeptRecord { first_seq, next_seq: first_seq, offset: entry.offset, received_at_us, bytes });
        }
        if !keep_frames {
            return;
        }
        for (seq, frame) in (arrival.first..).zip(frames.iter().zip(frames.bytes().chunks_exact(CAR_FRAME_BYTES))) {
            if let (true, (Ok(frame), bytes)) = (verdict.new.contains(&seq), frame) {
                self.add(stream, seq, frame.sim_time_us.to_native(), bytes);
            }
        }
    }

    /// The server closes, opens again or retires a session. This is kept as a stream of the server's, numbered by offsets.
    fn add_closing(&mut self, offset: Offset, record: &LogRecord) {
        let stream = record.stream();
        let cursor = self.cursors.get(&stream).copied().unwrap_or(0);
        if stream.driver != DriverId::SERVER || cursor > offset {
            return;
        }
        self.cursors.insert(stream, offset + 1);
        self.changed.insert(stream, offset + 1);
        if self.records_held_to.is_some_and(|held| offset <= held) {
            return;
        }
        let of_session = |of: &&StreamKey| (of.tenant, of.session) == (stream.tenant, stream.session) && of.driver != DriverId::SERVER;
        let reached = self.cursors.iter().filter(|(of, _)| of_session(of)).map(|(of, next)| (of.driver, of.run, *next));
        let bytes = closing::encode(record.record.bytes(), reached);
        let received_at_us = record.stamp.received_at_us;
        self.keep(stream, KeptRecord { first_seq: offset, next_seq: offset + 1, offset, received_at_us, bytes });
    }

    fn keep(&mut self, stream: StreamKey, record: KeptRecord) {
        self.bytes += record.bytes.len();
        self.records.entry(stream).or_default().push(record);
    }

    /// Whether a planned block ends with the last record.
    fn block_must_end(&self) -> bool {
        self.last.as_ref().zip(self.planned.front()).is_some_and(|((offset, _), end)| offset >= end)
    }

    fn add(&mut self, stream: StreamKey, seq: u64, time_us: i64, frame: &[u8]) {
        self.bytes += frame.len();
        let piece = Piece { first_seq: seq, count: 1 };
        let grows = |run: &&mut OpenRun| time_us >= run.last_us && time_us - run.first_us < self.span_us;
        if let Some(run) = self.open.get_mut(&stream).filter(grows) {
            piece.put_behind(&mut run.pieces);
            run.frames.extend_from_slice(frame);
            run.last_us = time_us;
            return;
        }
        let run = OpenRun { pieces: vec![piece], first_us: time_us, last_us: time_us, frames: BytesMut::from(frame) };
        if let Some(full) = self.open.insert(stream, run) {
            self.runs.push(full.close(stream));
        }
    }

    /// The block of all records since the last block; `None` if there are none.
    fn block(&mut self) -> Option<ArchiveBlock> {
        let (offset, record) = self.last.take()?;
        let checkpoint = Checkpoint { log: self.log.clone(), partition: self.partition, offset, crc: crc32c::crc32c(&record) };
        let mut runs = std::mem::take(&mut self.runs);
        runs.extend(std::mem::take(&mut self.open).into_iter().map(|(stream, run)| run.close(stream)));
        let records = std::mem::take(&mut self.records).into_iter().map(|(stream, records)| StreamRecords { stream, records }).collect();
        self.headings.clear();
        self.bytes = 0;
        while self.planned.front().is_some_and(|end| *end <= offset) {
            self.planned.pop_front();
        }
        Some(ArchiveBlock {
            checkpoint,
            received_at_us: self.received_at_us,
            appended_at_us: std::mem::replace(&mut self.appended_at_us, i64::MIN),
            cursors: std::mem::take(&mut self.changed).into_iter().collect(),
            runs,
            records,
        })
    }
}

impl OpenRun {
    fn close(self, stream: StreamKey) -> FrameRun {
        FrameRun { stream, pieces: self.pieces, first_us: self.first_us, last_us: self.last_us, frames: self.frames.freeze() }
    }
}
