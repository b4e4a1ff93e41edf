//! [`Clock`]: tick and time of the last frame. A frame that is not newer is left out (`motion.order`).

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::sparse::is_default;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Clock {
    pub(super) last_tick: Option<u32>,
    pub(super) last_us: Option<i64>,
    /// Number of frames left out because they were not newer than the last one.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) ignored: u64,
    /// Sequence numbers are missing since the last frame. One of them may be an event.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) lost: bool,
}

impl Clock {
    /// Whether the event of a rewind is missing: ticks fall only after a rewind (`rewind.lost`).
    pub(super) fn rewind_was_lost(&self, frame: &Frame) -> bool {
        self.lost && self.last_tick.is_some_and(|last| frame.tick <= last)
    }

    /// Make the frame the last one if it is newer; false if it is not.
    #[inline]
    pub(super) fn take(&mut self, frame: &Frame) -> bool {
        if self.last_tick.is_some_and(|last| frame.tick <= last) || self.last_us.is_some_and(|last| frame.us <= last) {
            self.ignored += 1;
            return false;
        }
        let Self { last_tick, last_us, ignored: _, lost } = self;
        (*last_tick, *last_us, *lost) = (Some(frame.tick), Some(frame.us), false);
        true
    }

    /// Go back to just before `tick` and `us`, so that a frame of that moment is accepted.
    pub(super) fn rewind(&mut self, tick: u32, us: i64) {
        *self = Self { last_tick: tick.checked_sub(1), last_us: Some(us.saturating_sub(1)), ignored: self.ignored, lost: false };
    }
}
