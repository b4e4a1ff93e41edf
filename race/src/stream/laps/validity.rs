//! Lap validity: marks that a frame sets on the open lap (`validity.best`).
//!
//! Other marks come from crossings and gaps (`lines`: in laps, out laps, missing frames) and from parts (`Mark::Incident`).

use boxbox_schemas::frame::Flags;
use boxbox_schemas::results::FlagChange;

use super::{Before, Laps};
use crate::stream::frame::{Frame, missing};
use crate::stream::mark::Mark;

/// Being off track counts after this time, µs,
const OFF_TRACK_US: i64 = 200_000;
/// at a speed above this, m/s.
const OFF_TRACK_MPS: f32 = 2.0;
/// Simulators reset "lap invalid" a little after the line; until then only a rising edge counts, µs.
const SIM_INVALID_LAG_US: i64 = 1_000_000;

impl Laps {
    /// Mark the open lap from this frame. `before_us` is the time of the car's previous position.
    #[inline]
    pub(crate) fn mark_validity(&mut self, frame: &Frame, before_us: Option<i64>) {
        let off_us = self.before.off_track(frame, before_us);
        let invalid_rose = frame.sim_invalid && !self.before.sim_invalid;
        self.before.sim_invalid = frame.sim_invalid;
        let Some(lap) = &mut self.open else { return };
        if let Some(us) = off_us {
            lap.mark(Mark::OffTrack, us.max(lap.start_us));
        }
        if frame.sim_invalid && (invalid_rose || frame.us - lap.start_us >= SIM_INVALID_LAG_US) {
            // The simulator calls the lap invalid (`validity.simulator`).
            lap.mark(Mark::SimInvalid, frame.us);
        }
        if frame.flags_seen.any(Flags::YELLOW.with(Flags::YELLOW_WAVING).with(Flags::CAUTION)) {
            lap.mark(Mark::Yellow, frame.us);
        }
        if frame.flags_seen.any(FlagChange::NO_RACING) {
            lap.mark(Mark::Pace, frame.us);
        }
        if frame.towing {
            // The simulator tows the car (`validity.tow`).
            lap.mark(Mark::Tow, frame.us);
        }
        if let (None, Some(_), Some(number)) = (lap.number, lap.half_us, frame.sim_lap_number()) {
            // The number is set once, in the second half of the lap, where the counter neither lags nor flickers (`lap.number`).
            lap.number = Some(number);
        }
    }
}

impl Before {
    /// The moment from which the car had been off track for long enough, if it has (`validity.off-track`). An excursion begins half-way
    /// before its first frame and ends half-way after its last, so that all sampling rates give the same on average.
    #[inline]
    fn off_track(&mut self, frame: &Frame, before_us: Option<i64>) -> Option<i64> {
        let half_way = before_us.filter(|us| !missing(*us, frame.us)).map_or(frame.us, |us| us + (frame.us - us) / 2);
        let off = frame.off_track && frame.speed_mps.is_none_or(|v| v > OFF_TRACK_MPS);
        let (since, until) = match (self.off_since_us, off) {
            (None, false) => return None,
            (Some(since), false) => {
                self.off_since_us = None;
                (since, half_way)
            }
            (since, true) => (*self.off_since_us.insert(since.unwrap_or(half_way)), frame.us),
        };
        (until - since >= OFF_TRACK_US).then_some(since + OFF_TRACK_US)
    }
}
