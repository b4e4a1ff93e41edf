//! [`Motion`]: where the car is and how it came there.

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::sparse::is_default;
use super::step::{Sample, Section, progress, resume};
use super::track::Track;

/// Where the car is and how it came there. A rewind replaces it as a whole.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Motion {
    /// The last frame with a position.
    pub(super) at: Option<Sample>,
    /// `at` is the last one of the run before.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) at_inherited: bool,
    /// A rewind went back to this time, and no position came since, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) resume_us: Option<i64>,
    /// There were blank samples since `at`.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) blank: bool,
    /// In the pits; `None` until the simulator says it.
    pub(super) in_pits: Option<bool>,
}

/// The pits were entered or left, at about this time.
#[derive(Clone, Copy, Debug)]
pub(super) struct PitEdge {
    pub(super) us: i64,
    pub(super) entered: bool,
}

impl Motion {
    /// After a rewind to `us`: where the car is, the next frame says.
    pub(super) fn returned_to(us: i64) -> Self {
        Self { resume_us: Some(us), ..Self::default() }
    }

    /// When the car's position before the next frame was, if one is known.
    pub(super) fn last_us(&self) -> Option<i64> {
        self.at.map(|at| at.us).or(self.resume_us)
    }

    /// From where to where the car drove by this frame; `None` if it jumped, or where it was is not known.
    #[inline(always)]
    pub(super) fn driven(&self, track: &Track, frame: &Frame, pct: f64, section: impl FnOnce() -> Option<Section>) -> Option<(Sample, Sample)> {
        match self.at {
            Some(at) => progress(track, &at, frame, pct, self.blank).map(|x| (at, Sample::at(frame, pct, x))),
            None => resume(track, self.resume_us?, frame, pct, section()),
        }
    }

    /// The pits entered or left, taken half-way between the two frames: they are yes-or-no (`validity.pits`).
    #[inline]
    pub(super) fn pit_edge(&mut self, frame: &Frame, before_us: Option<i64>) -> Option<PitEdge> {
        let entered = frame.in_pits?;
        let before = self.in_pits.replace(entered)?;
        let us = before_us.map_or(frame.us, |us| us + (frame.us - us) / 2);
        (before != entered).then_some(PitEdge { us, entered })
    }

    /// The car is at `at`.
    #[inline]
    pub(super) fn arrive(&mut self, at: Sample) {
        // One by one: a whole new struct would be copied twice for each frame.
        let Self { at: place, at_inherited, resume_us, blank, in_pits: _ } = self;
        (*place, *at_inherited, *resume_us, *blank) = (Some(at), false, None, false);
    }
}
