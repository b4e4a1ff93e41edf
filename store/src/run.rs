//! Cutting and joining runs of frames. A run is `CAR_FRAME_BYTES` a frame, back to back, and says which sequence numbers
//! they have: one after another within a piece, with gaps between pieces.

use boxbox_schemas::StreamKey;
use boxbox_schemas::frame::{ArchivedCarFrame, CAR_FRAME_BYTES};
use bytes::{Bytes, BytesMut};

use crate::{FrameRun, Piece, StoreError};

impl Piece {
    /// First sequence number after it.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.count
    }

    /// Append it to `pieces`, whose numbers are all lower: it is joined with the last one if they adjoin.
    pub fn put_behind(self, pieces: &mut Vec<Piece>) {
        match pieces.last_mut() {
            Some(last) if last.next_seq() == self.first_seq => last.count += self.count,
            _ => pieces.push(self),
        }
    }
}

impl FrameRun {
    /// A run of `frames`, one or more whole archived frames, without a gap; its times are read from them.
    pub fn new(stream: StreamKey, first_seq: u64, frames: Bytes) -> Result<Self, StoreError> {
        let count = (frames.len() / CAR_FRAME_BYTES) as u64;
        Self::of(stream, vec![Piece { first_seq, count }], frames)
    }

    /// A run of `frames` with the sequence numbers of `pieces`, which rise, do not adjoin, and are as many as the frames.
    pub fn of(stream: StreamKey, pieces: Vec<Piece>, frames: Bytes) -> Result<Self, StoreError> {
        let refused = |why: String| Err(StoreError::Refused(why));
        if frames.is_empty() || !frames.len().is_multiple_of(CAR_FRAME_BYTES) {
            return refused(format!("a run of {} bytes is no whole number of frames", frames.len()));
        }
        let (mut count, mut behind) = (0u64, None);
        for piece in &pieces {
            let next = piece.first_seq.checked_add(piece.count);
            if piece.count == 0 || next.is_none() || behind.is_some_and(|behind| piece.first_seq <= behind) {
                return refused(format!("the pieces of a run do not rise: {} frames from {} on", piece.count, piece.first_seq));
            }
            (count, behind) = (count.saturating_add(piece.count), next);
        }
        if count != (frames.len() / CAR_FRAME_BYTES) as u64 {
            return refused(format!("a run of {} frames with {count} sequence numbers", frames.len() / CAR_FRAME_BYTES));
        }
        let first_us = sim_time_us(&frames[..CAR_FRAME_BYTES])?;
        let last_us = sim_time_us(&frames[frames.len() - CAR_FRAME_BYTES..])?;
        Ok(Self { stream, pieces, first_us, last_us, frames })
    }

    /// Number of frames.
    pub fn count(&self) -> u64 {
        (self.frames.len() / CAR_FRAME_BYTES) as u64
    }

    /// The run's first sequence number.
    pub fn first_seq(&self) -> u64 {
        self.pieces.first().map_or(0, |piece| piece.first_seq)
    }

    /// First sequence number after it.
    pub fn next_seq(&self) -> u64 {
        self.pieces.last().map_or(0, Piece::next_seq)
    }

    /// The frames with their sequence numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &ArchivedCarFrame)> {
        let numbers = self.pieces.iter().flat_map(|piece| piece.first_seq..piece.next_seq());
        numbers.zip(self.frames.chunks_exact(CAR_FRAME_BYTES)).filter_map(|(seq, bytes)| Some((seq, archived(bytes).ok()?)))
    }

    /// The part of the run with numbers within `from..to`, sharing its bytes; `None` if it is empty.
    pub(crate) fn within(&self, from: u64, to: u64) -> Result<Option<Self>, StoreError> {
        let below = |seq: u64| self.pieces.iter().map(|piece| seq.saturating_sub(piece.first_seq).min(piece.count)).sum();
        self.part(below(from), below(to))
    }

    /// The frames `from..to`, counted from the run's first, sharing its bytes; `None` if there are none.
    pub(crate) fn part(&self, from: u64, to: u64) -> Result<Option<Self>, StoreError> {
        let to = to.min(self.count());
        if from >= to {
            return Ok(None);
        }
        let (mut pieces, mut at) = (vec![], 0);
        for piece in &self.pieces {
            let (first, next) = (from.max(at), to.min(at + piece.count));
            if first < next {
                pieces.push(Piece { first_seq: piece.first_seq + (first - at), count: next - first });
            }
            at += piece.count;
        }
        let byte = |frame: u64| frame as usize * CAR_FRAME_BYTES;
        Self::of(self.stream, pieces, self.frames.slice(byte(from)..byte(to))).map(Some)
    }
}

/// Joins runs of one stream, in order, to one run of at most `limit` frames; `None` if there are none.
pub(crate) fn join(runs: impl IntoIterator<Item = FrameRun>, limit: u64) -> Result<Option<FrameRun>, StoreError> {
    let (mut of, mut left, mut pieces, mut frames) = (None, limit, vec![], BytesMut::new());
    for run in runs {
        let Some(run) = run.part(0, left)? else { break };
        left -= run.count();
        of = Some(run.stream);
        run.pieces.into_iter().for_each(|piece| piece.put_behind(&mut pieces));
        frames.extend_from_slice(&run.frames);
    }
    of.map(|stream| FrameRun::of(stream, pieces, frames.freeze())).transpose()
}

fn archived(bytes: &[u8]) -> Result<&ArchivedCarFrame, StoreError> {
    rkyv::access::<ArchivedCarFrame, rkyv::rancor::Error>(bytes).map_err(|e| StoreError::Unreadable(format!("a frame: {e}")))
}

fn sim_time_us(bytes: &[u8]) -> Result<i64, StoreError> {
    Ok(archived(bytes)?.sim_time_us.into())
}
