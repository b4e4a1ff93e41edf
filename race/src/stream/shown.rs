//! [`Shown`]: what the newest frame shows of the car.

use boxbox_schemas::frame::{Flags, SessionState};
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::sparse::is_default;

/// What the newest frame shows of the car.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// `None` in a blank sample.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pct: Option<f64>,
    /// As the simulator shows it; of an observed car, as it moved.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) speed_mps: Option<f32>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) off_track: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) in_pits: Option<bool>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) fuel_l: Option<f32>,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) flags: Flags,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) state: SessionState,
}

impl Shown {
    #[inline]
    pub(super) fn of(frame: &Frame) -> Self {
        let Frame { pct, speed_mps, off_track, in_pits, fuel_l, flags, state, .. } = *frame;
        Self { pct, speed_mps, off_track, in_pits, fuel_l, flags, state }
    }
}
