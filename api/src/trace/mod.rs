//! The telemetry of a lap: frames as columns, along time or distance, and the difference between two laps.
//!
//! Pure: no I/O and no clock. The start and the end of a lap are interpolated crossings and more exact than the position of any
//! frame ([`Lap`](boxbox_schemas::results::Lap)), so time along the lap is fixed at both.

mod axis;
mod channels;
mod path;
mod progress;

pub(crate) use axis::{Samples, steps};
pub(crate) use channels::{Channel, Column, Values, parse_channels};
pub(crate) use path::Path;
pub(crate) use progress::{Progress, delta_us, length_m};
