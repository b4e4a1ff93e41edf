//! The race logic as one flat state, as it was before it was made of parts: what the new one is compared with.
#![allow(dead_code, missing_docs, unreachable_pub, unused_imports, clippy::unwrap_used)]

mod back;
pub mod beside;
mod car;
mod clocked;
mod counter;
mod field;
mod flags;
mod lap;
mod lines;
mod now;
mod part;
mod pits;
mod start;
mod step;
mod stream;
mod track;

pub use boxbox_race::stream::{Claim, Context, Fact, Start};

pub use field::{FieldRace, field_entry};
pub use stream::StreamRace;

/// A missing stretch of at least this long is named in the lap: more than a moment at any sensible sampling rate, µs.
const MISSING_US: i64 = 1_000_000;
/// The simulator's own lap time comes up to 2.2 s after the line; later than this it is not waited for, µs.
const SETTLE_US: i64 = 5_000_000;
/// Between ours and the simulator's lap time; beyond it the lap says that they differ, µs.
const SIM_TIME_TOLERANCE_US: i64 = 50_000;
/// An unchanged "last lap" that is this close to ours is this lap's too: two equal laps in a row, µs. The noise of a slow or sliding car's crossing.
const SAME_TIME_US: i64 = 3_000;
/// Off track for at least this long counts, µs.
const OFF_TRACK_US: i64 = 200_000;
/// … and faster than this, m/s.
const OFF_TRACK_MPS: f32 = 2.0;
/// Simulators reset "lap invalid" a little after the line; until then only a rising edge counts, µs.
const SIM_INVALID_LAG_US: i64 = 1_000_000;
/// A counter that falls for less than this is a blank reading, not a new count, µs.
const COUNTER_DIP_US: i64 = 1_000_000;
/// Laps kept for a rewind to go back to. Flashbacks reach tens of seconds.
const PAST_LAPS: usize = 3;
/// … of an observed car: there is a state for each car of each observer.
const PAST_LAPS_FIELD: usize = 1;
/// Sealed runs of frames kept per lap; more rewinds or restarts within one lap are merged or forgotten, oldest first.
const SPANS_MAX: usize = 4;
/// Runs of the same driver remembered before this one.
const RUNS_MAX: usize = 4;
/// Incident steps remembered for a rewind.
const STEPS_MAX: usize = 4;
/// A level that rises by less is slosh, or a gauge's noise, l.
const FUEL_NOISE_L: f32 = 0.1;
/// … and of an electric car, what braking gives back, kWh.
const ENERGY_NOISE_KWH: f32 = 1.0;

/// What is not worth storing: it is what a missing field means.
fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}
