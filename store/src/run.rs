//! Cutting and joining runs of frames. A run is `CAR_FRAME_BYTES` a frame, back to back, one sequence number each.

use boxbox_schemas::StreamKey;
use boxbox_schemas::frame::{ArchivedCarFrame, CAR_FRAME_BYTES};
use bytes::{Bytes, BytesMut};

use crate::{FrameRun, StoreError};

impl FrameRun {
    /// A run of `frames`, one or more whole archived frames; its times are read from them.
    pub fn new(stream: StreamKey, first_seq: u64, frames: Bytes) -> Result<Self, StoreError> {
        if frames.is_empty() || !frames.len().is_multiple_of(CAR_FRAME_BYTES) {
            return Err(StoreError::Refused(format!("a run of {} bytes is no whole number of frames", frames.len())));
        }
        let first_us = sim_time_us(&frames[..CAR_FRAME_BYTES])?;
        let last_us = sim_time_us(&frames[frames.len() - CAR_FRAME_BYTES..])?;
        Ok(Self { stream, first_seq, first_us, last_us, frames })
    }

    /// How many frames it has.
    pub fn count(&self) -> u64 {
        (self.frames.len() / CAR_FRAME_BYTES) as u64
    }

    /// First sequence number after it.
    pub fn next_seq(&self) -> u64 {
        self.first_seq + self.count()
    }

    /// Its frames with their sequence numbers.
    pub fn iter(&self) -> impl Iterator<Item = (u64, &ArchivedCarFrame)> {
        (self.first_seq..).zip(self.frames.chunks_exact(CAR_FRAME_BYTES)).filter_map(|(seq, bytes)| Some((seq, archived(bytes).ok()?)))
    }

    /// The part of it within `from..to`, sharing its bytes; `None` if there is none.
    pub(crate) fn within(&self, from: u64, to: u64) -> Result<Option<Self>, StoreError> {
        let (from, to) = (from.max(self.first_seq), to.min(self.next_seq()));
        if from >= to {
            return Ok(None);
        }
        let byte = |seq: u64| (seq - self.first_seq) as usize * CAR_FRAME_BYTES;
        Self::new(self.stream, from, self.frames.slice(byte(from)..byte(to))).map(Some)
    }
}

/// Runs of one stream in order, joined where they touch, `limit` frames at most.
pub(crate) fn join(runs: impl IntoIterator<Item = FrameRun>, limit: u32) -> Result<Vec<FrameRun>, StoreError> {
    let mut left = u64::from(limit);
    let mut out: Vec<(StreamKey, u64, BytesMut)> = vec![];
    for run in runs {
        let Some(run) = run.within(run.first_seq, run.first_seq.saturating_add(left))? else { break };
        left -= run.count();
        match out.last_mut() {
            Some((_, first, bytes)) if *first + (bytes.len() / CAR_FRAME_BYTES) as u64 == run.first_seq => bytes.extend_from_slice(&run.frames),
            _ => out.push((run.stream, run.first_seq, BytesMut::from(&run.frames[..]))),
        }
    }
    out.into_iter().map(|(stream, first_seq, bytes)| FrameRun::new(stream, first_seq, bytes.freeze())).collect()
}

fn archived(bytes: &[u8]) -> Result<&ArchivedCarFrame, StoreError> {
    rkyv::access::<ArchivedCarFrame, rkyv::rancor::Error>(bytes).map_err(|e| StoreError::Unreadable(format!("a frame: {e}")))
}

fn sim_time_us(bytes: &[u8]) -> Result<i64, StoreError> {
    Ok(archived(bytes)?.sim_time_us.into())
}
