//! What was driven in a lap: frames as columns, along time or along the lap, and two laps on one axis.
//!
//! Pure: frames in, numbers out. The moments at which a lap begins and ends are known more exactly than any frame's place
//! ([`Lap`](boxbox_schemas::results::Lap): interpolated crossings), so time along the lap is anchored there.

mod axis;
mod channels;
mod path;
mod progress;

pub(crate) use axis::{Samples, steps};
pub(crate) use channels::{Channel, Column, Values, parse_channels};
pub(crate) use path::Path;
pub(crate) use progress::{Progress, delta_us, length_m};
