//! [`Clock`]: the last frame taken. What does not come after it is left out (`motion.order`).

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::sparse::is_default;

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Clock {
    pub(super) last_tick: Option<u32>,
    pub(super) last_us: Option<i64>,
    /// Frames that came behind the last one and were left out.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) ignored: u64,
    /// Sequence numbers are missing since the last frame: an event may be among them.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) lost: bool,
}

impl Clock {
    /// Ticks fall only after a rewind: its event was among what is missing (`rewind.lost`).
    pub(super) fn rewind_was_lost(&self, frame: &Frame) -> bool {
        self.lost && self.last_tick.is_some_and(|last| frame.tick <= last)
    }

    /// Takes the frame, if it comes after the last one.
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

    /// Back to `tick` and `us`, so that a frame of that moment is the next.
    pub(super) fn rewind(&mut self, tick: u32, us: i64) {
        *self = Self { last_tick: tick.checked_sub(1), last_us: Some(us.saturating_sub(1)), ignored: self.ignored, lost: false };
    }
}
