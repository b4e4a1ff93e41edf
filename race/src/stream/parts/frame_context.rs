//! [`FrameContext`]: what a part sees of a frame, after the laps have processed it.

use crate::stream::frame::Frame;
use crate::stream::identity::Origin;

/// One frame, and what the laps derived from it.
#[derive(Clone, Copy)]
pub(crate) struct FrameContext<'a> {
    pub(crate) origin: Origin<'a>,
    pub(crate) frame: &'a Frame,
    /// The car drove to its position; false if it was placed there, or if its way there was not seen.
    pub(crate) drove: bool,
    /// Time of its previous position, if known, µs.
    pub(crate) before_us: Option<i64>,
    /// Frames are missing before this one (`lap.missing`).
    pub(crate) gap: bool,
    /// The simulator's value; for an observed car, computed from its motion, m/s.
    pub(crate) speed_mps: Option<f32>,
    /// The field waits for the green light.
    pub(crate) waiting: bool,
    /// Number of the open lap; 0 if no lap is open, or if its number is not known yet.
    pub(crate) lap: u32,
    /// When the open lap began, µs; `None` if no lap is open.
    pub(crate) lap_since_us: Option<i64>,
    /// The open lap began in this frame.
    pub(crate) lap_began: bool,
}
