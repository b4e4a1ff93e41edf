//! [`Motion`]: the car's last position, and what has happened since.

use serde::{Deserialize, Serialize};

use super::frame::{Frame, missing};
use super::sparse::is_default;
use super::step::{MOVING_MPS, Sample, Section, Way, progress, resume};
use super::track::Track;

/// No car leaves the pits and enters them again within this time, µs.
pub(super) const PIT_ROAD_FLICKER_US: i64 = 1_000_000;

/// The car's last position, and what has happened since. A rewind replaces all of it.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Motion {
    /// The last frame with a position.
    pub(super) at: Option<Sample>,
    /// `at` belongs to the run before this one.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) at_inherited: bool,
    /// A rewind went back to this time, and no position has come since, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) resume_us: Option<i64>,
    /// Blank samples have come since `at`.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) blank: bool,
    /// The car's own client reset it at this time, and no position has come since, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) reset_us: Option<i64>,
    /// In the pits; `None` until the simulator shows it.
    pub(super) in_pits: Option<bool>,
    /// When the car left the pits, µs; kept for a moment.
    #[serde(rename = "left", skip_serializing_if = "is_default")]
    pub(super) left_us: Option<i64>,
}

/// The car entered or left the pits, at about this time.
#[derive(Clone, Copy, Debug)]
pub(super) struct PitEdge {
    pub(super) us: i64,
    pub(super) entered: bool,
    /// The car entered so soon after it had left that it was there all the time (`pit.flicker`).
    pub(super) flicker: bool,
}

/// Where the car came from, where it is, and whether it left out a part of the track on the way.
pub(super) type Driven = (Sample, Sample, bool);

impl Motion {
    /// The state after a rewind to `us`: the next frame will show where the car is.
    pub(super) fn after_rewind(us: i64) -> Self {
        Self { resume_us: Some(us), ..Self::default() }
    }

    /// Time of the car's last position, or of the rewind; `None` if there is neither, µs.
    pub(super) fn last_us(&self) -> Option<i64> {
        self.at.map(|at| at.us).or(self.resume_us)
    }

    /// When this driver was last in the car, if another driver may have driven it until `frame`, which has a position (`swap.stretch`), µs.
    /// Drivers change in the pits only, and not within a second.
    pub(super) fn absent_since_us(&self, frame: &Frame) -> Option<i64> {
        let last_us = self.at.map(|at| at.us).or(self.reset_us)?;
        let in_pits = self.in_pits == Some(true) || frame.in_pits == Some(true);
        (in_pits && missing(last_us, frame.us)).then_some(last_us)
    }

    /// From where to where the car drove until this frame; `None` if it jumped, or if its last position is unknown.
    #[inline(always)]
    pub(super) fn driven(&self, track: &Track, frame: &Frame, pct: f64, section: impl FnOnce() -> Option<Section>) -> Option<Driven> {
        let Some(at) = self.at else {
            return resume(track, self.resume_us?, frame, pct, section()).map(|(from, to)| (from, to, false));
        };
        match progress(track, &at, frame, pct, self.blank) {
            Way::Drove(x) => Some((at, at.driven_to(frame, pct, x), false)),
            Way::Cut(x) => Some((at, at.driven_to(frame, pct, x), true)),
            Way::Jumped => None,
        }
    }

    /// How long the car takes at its speed for its way from its position at tick `from` to `pct`, µs; `None` if that is not known well enough.
    pub(super) fn driven_us(&self, track: &Track, from: u32, (pct, speed_mps): (Option<f64>, Option<f32>)) -> Option<f64> {
        let at = self.at.filter(|at| at.tick == from && !self.blank && track.knows_length())?;
        driven_us(track.length_m(), (at.pct, at.speed_mps), (pct?, speed_mps))
    }

    /// Whether the car entered or left the pits. Frames show only yes or no, so the time is half-way between two frames (`validity.pits`).
    #[inline]
    pub(super) fn pit_edge(&mut self, frame: &Frame, before_us: Option<i64>) -> Option<PitEdge> {
        let entered = frame.in_pits?;
        let before = self.in_pits.replace(entered)?;
        let us = before_us.map_or(frame.us, |us| us + (frame.us - us) / 2);
        if before == entered {
            self.left_us = self.left_us.filter(|left| us - left < PIT_ROAD_FLICKER_US);
            return None;
        }
        let flicker = entered && self.left_us.is_some_and(|left| us - left < PIT_ROAD_FLICKER_US);
        self.left_us = (!entered).then_some(us);
        Some(PitEdge { us, entered, flicker })
    }

    /// Set the car's position.
    #[inline]
    pub(super) fn set_position(&mut self, at: Sample) {
        // Fields are set one by one, because a new struct would be copied twice for each frame.
        let Self { at: place, at_inherited, resume_us, blank, reset_us, in_pits: _, left_us: _ } = self;
        (*place, *at_inherited, *resume_us, *blank, *reset_us) = (Some(at), false, None, false, None);
    }
}

/// How long a car takes at its speed from one place to the next, each a fraction of the lap and a speed, µs; `None` if that is not known well
/// enough (`clock.slip`).
pub(super) fn driven_us(length_m: f64, from: (f64, Option<f32>), to: (f64, Option<f32>)) -> Option<f64> {
    let moves = |v: Option<f32>| v.filter(|v| *v > MOVING_MPS);
    let (v0, v1) = (moves(from.1)?, moves(to.1)?);
    let part = to.0 - from.0;
    let part = part - part.round_ties_even();
    Some(part * length_m / (f64::from(v0) + f64::from(v1)) * 2e6)
}
