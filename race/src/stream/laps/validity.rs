//! Where a lap's validity is decided: what each frame says of the lap that is open after it (`validity.best`).
//!
//! The rest comes from lines and gaps (`lines`: in and out laps, what is missing) and from parts (`Mark::Incident`).

use boxbox_schemas::frame::Flags;

use super::{Before, Laps};
use crate::stream::frame::{Frame, missing};
use crate::stream::mark::Mark;

/// Off track for at least this long counts, µs.
const OFF_TRACK_US: i64 = 200_000;
/// … and faster than this, m/s.
const OFF_TRACK_MPS: f32 = 2.0;
/// Simulators reset "lap invalid" a little after the line; until then only a rising edge counts, µs.
const SIM_INVALID_LAG_US: i64 = 1_000_000;

impl Laps {
    /// What this frame says of the lap that is open after it. `before_us` is when the car's position before it was.
    #[inline]
    pub(crate) fn judge(&mut self, frame: &Frame, before_us: Option<i64>) {
        let off_us = self.before.off_track(frame, before_us);
        let invalid_rose = frame.sim_invalid && !self.before.sim_invalid;
        self.before.sim_invalid = frame.sim_invalid;
        let Some(lap) = &mut self.open else { return };
        if let Some(us) = off_us {
            lap.mark(Mark::OffTrack, us.max(lap.start_us));
        }
        if frame.sim_invalid && (invalid_rose || frame.us - lap.start_us >= SIM_INVALID_LAG_US) {
            lap.mark(Mark::SimInvalid, frame.us);
        }
        if frame.flags_seen.any(Flags::YELLOW.with(Flags::YELLOW_WAVING).with(Flags::CAUTION)) {
            lap.mark(Mark::Yellow, frame.us);
        }
        if frame.towing {
            lap.mark(Mark::Tow, frame.us);
        }
        if let (None, Some(_), Some(number)) = (lap.number, lap.half_us, frame.sim_lap_number()) {
            // Aligned once, in the second half of the lap, where the counter neither lags nor flickers (`lap.number`).
            lap.number = Some(number);
        }
    }
}

impl Before {
    /// When the car had been off track for long enough, if it has (`validity.off-track`). An excursion lasts from half-way before
    /// its first frame to half-way after its last, so that every sampling rate sees the same on average.
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
