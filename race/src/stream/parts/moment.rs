//! [`Moment`]: what a part is shown of a frame, after the laps have taken it.

use crate::stream::frame::Frame;
use crate::stream::identity::Reporter;

/// One frame, and what the laps made of it.
#[derive(Clone, Copy)]
pub(crate) struct Moment<'a> {
    pub(crate) by: Reporter<'a>,
    pub(crate) frame: &'a Frame,
    /// The car drove to where the frame shows it; else it was put there, or how it came was not seen.
    pub(crate) drove: bool,
    /// When its position before was, if one is known, µs.
    pub(crate) before_us: Option<i64>,
    /// As the simulator shows it; of an observed car, as it moved, m/s.
    pub(crate) speed_mps: Option<f32>,
    /// The field waits for the green light.
    pub(crate) waiting: bool,
    /// Number of the lap that is open; 0 if none is, or its number is not known yet.
    pub(crate) lap: u32,
    /// When it began, µs; `None` if none is open.
    pub(crate) lap_since_us: Option<i64>,
    /// It began in this frame.
    pub(crate) lap_began: bool,
}
