//! [`Shown`]: the values of the newest frame that are shown to people.

use boxbox_schemas::frame::{Flags, SessionState};
use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::sparse::is_default;

/// The values of the newest frame that are shown to people.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Shown {
    /// `None` in a blank sample.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pct: Option<f64>,
    /// The simulator's value; for an observed car, computed from its motion.
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
