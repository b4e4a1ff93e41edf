//! [`Motion`]: the car's last position, and what has happened since.

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::sparse::is_default;
use super::step::{Sample, Section, progress, resume};
use super::track::Track;

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
    /// In the pits; `None` until the simulator shows it.
    pub(super) in_pits: Option<bool>,
}

/// The car entered or left the pits, at about this time.
#[derive(Clone, Copy, Debug)]
pub(super) struct PitEdge {
    pub(super) us: i64,
    pub(super) entered: bool,
}

impl Motion {
    /// The state after a rewind to `us`: the next frame will show where the car is.
    pub(super) fn after_rewind(us: i64) -> Self {
        Self { resume_us: Some(us), ..Self::default() }
    }

    /// Time of the car's last position, or of the rewind; `None` if there is neither, µs.
    pub(super) fn last_us(&self) -> Option<i64> {
        self.at.map(|at| at.us).or(self.resume_us)
    }

    /// From where to where the car drove until this frame; `None` if it jumped, or if its last position is unknown.
    #[inline(always)]
    pub(super) fn driven(&self, track: &Track, frame: &Frame, pct: f64, section: impl FnOnce() -> Option<Section>) -> Option<(Sample, Sample)> {
        match self.at {
            Some(at) => progress(track, &at, frame, pct, self.blank).map(|x| (at, Sample::at(frame, pct, x))),
            None => resume(track, self.resume_us?, frame, pct, section()),
        }
    }

    /// Whether the car entered or left the pits. Frames show only yes or no, so the time is half-way between two frames (`validity.pits`).
    #[inline]
    pub(super) fn pit_edge(&mut self, frame: &Frame, before_us: Option<i64>) -> Option<PitEdge> {
        let entered = frame.in_pits?;
        let before = self.in_pits.replace(entered)?;
        let us = before_us.map_or(frame.us, |us| us + (frame.us - us) / 2);
        (before != entered).then_some(PitEdge { us, entered })
    }

    /// Set the car's position.
    #[inline]
    pub(super) fn set_position(&mut self, at: Sample) {
        // Fields are set one by one, because a new struct would be copied twice for each frame.
        let Self { at: place, at_inherited, resume_us, blank, in_pits: _ } = self;
        (*place, *at_inherited, *resume_us, *blank) = (Some(at), false, None, false);
    }
}
