//! One stream of a session, read from the archive in order.

use std::collections::VecDeque;

use boxbox_schemas::StreamKey;
use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::record::{Kind, Prelude, Record, seal};
use boxbox_schemas::results::Span;
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::{GrantId, ShortId};
use boxbox_store::{Archive, FrameRun, KeptRecord};
use bytes::Bytes;

use super::RecomputeError;

/// Frames read at once: 20 s at 60 Hz, 240 kB. Many streams are read at a time.
const FRAMES_AT_ONCE: u32 = 1_200;
/// Records read at once.
const RECORDS_AT_ONCE: u32 = 200;
/// Most frames of a record that is made again: within the length of a record.
const FRAMES_OF_A_RECORD: u64 = 100;

/// One stream, from its beginning to `end`.
pub(super) struct StreamReader<'a> {
    archive: &'a dyn Archive,
    key: StreamKey,
    /// The first number that is not to be read.
    end: u64,
    /// Records read and not given yet, and the first number to read more from; `None`: there are no more.
    records: VecDeque<KeptRecord>,
    more_records: Option<u64>,
    /// Frames read, and how many of them were given; `None` for no more, as above.
    frames: Option<(FrameRun, u64)>,
    more_frames: Option<u64>,
    /// What the next frames' records had in common, and when and where the newest record came.
    heading: Option<Prelude>,
    offset: u64,
    received_at_us: i64,
}

impl<'a> StreamReader<'a> {
    pub(super) fn new(archive: &'a dyn Archive, key: StreamKey, end: u64) -> Self {
        Self {
            archive,
            key,
            end,
            records: VecDeque::new(),
            more_records: Some(0),
            frames: None,
            more_frames: Some(0),
            heading: None,
            offset: 0,
            received_at_us: 0,
        }
    }

    pub(super) fn key(&self) -> &StreamKey {
        &self.key
    }

    /// The number of what comes next, and its place in the log, about: frames have that of the newest record before them. `None` at the end.
    pub(super) async fn peek(&mut self) -> Result<Option<(u64, u64)>, RecomputeError> {
        self.fill().await?;
        let record = self.records.front().map(|record| (record.first_seq, record.offset));
        let frame = self.next_frame().map(|seq| (seq, self.offset));
        // A heading has the number of its first frame, and comes before it.
        Ok(match (record, frame) {
            (Some(record), Some(frame)) if frame.0 < record.0 => Some(frame),
            (record, frame) => record.or(frame),
        })
    }

    /// The next log record, of numbers below `until`. Call it only if `peek` gave such a number.
    pub(super) async fn next(&mut self, until: u64) -> Result<Option<Bytes>, RecomputeError> {
        loop {
            self.fill().await?;
            let record_seq = self.records.front().map_or(u64::MAX, |record| record.first_seq);
            let frame_seq = self.next_frame().unwrap_or(u64::MAX);
            if record_seq.min(frame_seq) >= until.min(self.end) {
                return Ok(None);
            }
            if record_seq > frame_seq {
                return self.frames(until.min(self.end).min(record_seq)).map(Some);
            }
            let Some(record) = self.records.pop_front() else { return Ok(None) };
            (self.offset, self.received_at_us) = (record.offset, record.received_at_us);
            if !record.is_heading() {
                return Ok(Some(self.stamp(record.first_seq).seal(&record.bytes)));
            }
            let damaged = RecomputeError::Damaged { driver: self.key.driver, seq: record.first_seq };
            let heading = Record::parse(record.bytes).map_err(|_| damaged)?;
            self.heading = Some(*heading.prelude());
        }
    }

    /// A record of the next frames below `until`, as many as adjoin.
    fn frames(&mut self, until: u64) -> Result<Bytes, RecomputeError> {
        let damaged = |seq| RecomputeError::Damaged { driver: self.key.driver, seq };
        let Some((run, given)) = &mut self.frames else { return Err(damaged(until)) };
        let (first_seq, piece_end) = place(run, *given).ok_or_else(|| damaged(until))?;
        let heading = self.heading.as_ref().ok_or(RecomputeError::NoHeading { driver: self.key.driver, seq: first_seq })?;
        let count = (piece_end.min(until) - first_seq).min(FRAMES_OF_A_RECORD);
        let byte = |frame: u64| frame as usize * CAR_FRAME_BYTES;
        let payload = run.frames.slice(byte(*given)..byte(*given + count));
        let prelude = Prelude { kind: Kind::CAR, first_seq, count: count as u16, ..*heading };
        let record = seal(&prelude, &payload).map_err(|_| damaged(first_seq))?;
        *given += count;
        Ok(self.stamp(first_seq).seal(&record))
    }

    /// The number of the next frame.
    fn next_frame(&self) -> Option<u64> {
        let (run, given) = self.frames.as_ref()?;
        place(run, *given).map(|(seq, _)| seq)
    }

    /// Read more, where everything read was given.
    async fn fill(&mut self) -> Result<(), RecomputeError> {
        let StreamKey { tenant, session, driver, run } = self.key;
        let span = |first_seq| Span { driver, run, first_seq, next_seq: self.end };
        if let (true, Some(from)) = (self.records.is_empty(), self.more_records) {
            let found = self.archive.records(&tenant, &session, &span(from), RECORDS_AT_ONCE).await?;
            self.more_records = found.last().filter(|_| found.len() == RECORDS_AT_ONCE as usize).map(|last| last.first_seq + 1);
            self.records = found.into();
        }
        if let (true, Some(from)) = (self.next_frame().is_none(), self.more_frames) {
            let found = self.archive.frames(&tenant, &session, &span(from), FRAMES_AT_ONCE).await?;
            self.more_frames = found.as_ref().filter(|run| run.count() == u64::from(FRAMES_AT_ONCE)).map(FrameRun::next_seq);
            self.frames = found.map(|run| (run, 0));
        }
        Ok(())
    }

    /// The stamp of a record whose first new number is `base`: what is missing before it was acked and never seen, as it was then.
    fn stamp(&self, base: u64) -> Stamp {
        let StreamKey { tenant, session, driver, .. } = self.key;
        // What an edge put there beside this was not kept, and nothing depends on it.
        let edge: ShortId = driver.0;
        Stamp { tenant, driver, grant: GrantId::default(), session, edge, received_at_us: self.received_at_us, base }
    }
}

/// The number of the `n`-th frame of a run, and the number at which the numbers that adjoin it end.
fn place(run: &FrameRun, mut n: u64) -> Option<(u64, u64)> {
    for piece in &run.pieces {
        if n < piece.count {
            return Some((piece.first_seq + n, piece.next_seq()));
        }
        n -= piece.count;
    }
    None
}
