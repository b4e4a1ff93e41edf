//! Race logic: frames of one stream in, facts out (E2, E3). Pure: no clock, no I/O, no randomness, no hash order.
//!
//! [`StreamRace`] is the state of one stream. It turns car frames into timed laps and incident steps, and survives
//! restarts: it serialises, a client's new run inherits it, and a rewind takes it back. [`choose`](crate::session::choose) is
//! the fold that picks one stream's fact for each lap of an entry.
//!
//! How a lap is found (`step`, `lap`): progress round the track is unwrapped from `lap_pct`, a line is crossed where
//! progress passes it, and the moment is interpolated linearly between the two frames, in µs of the simulator's clock,
//! rounded once, ties to even. The error is at most a·Δt²/(8v): 14 µs at 60 Hz, 0.5 ms at 10 Hz, 3.3 ms at 4 Hz for
//! 25 m/s² at 60 m/s. (A cubic through the speeds was tried on real laps at 60 to 4 Hz: within 5 µs of the same result,
//! for the noise of the simulator's own distance is larger.)
//!
//! What is no motion never makes a lap: a jump farther than the car could have driven ends the lap unfinished, and the
//! next crossing opens a new one. A stretch of a second or more without frames is bridged where the unwrapping is
//! certain: the lap stays a lap, with [`Reasons::DISCONTINUITY`], and with [`Tags::TIMING_ESTIMATED`] if a line was in it.

mod back;
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

use boxbox_schemas::ids::{DriverId, EntryId, RunId, SessionId};
use boxbox_schemas::results::{AnyRow, Lap, Row};
#[cfg(doc)]
use boxbox_schemas::results::{Reasons, Tags};
use serde::{Deserialize, Serialize};

pub use field::{FieldRace, field_entry};
pub(crate) use now::missing;
pub use stream::StreamRace;

/// What facts carry beside what frames say; it changes only with a stream's metadata or slot.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Context {
    /// The session.
    pub session: SessionId,
    /// The driver whose stream it is.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The car's slot.
    pub slot: u16,
}

/// Which car of the session's metadata a stream's client drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Claim {
    /// The simulator's user id; 0 if the metadata does not say.
    pub user_id: u64,
    /// The simulator's team id; 0 if the metadata does not say.
    pub team_id: u64,
    /// The car's slot.
    pub slot: u16,
}

/// What a client knows of the start of a race, for the cars that it sees: their frames show neither lights nor state.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Start {
    /// The field waits for the green light.
    pub waiting: bool,
    /// When the race was let go, µs.
    pub green_us: Option<i64>,
}

/// What one stream tells (E3).
#[derive(Clone, PartialEq, Debug)]
pub enum Fact {
    /// A timed lap, keyed by (session, entry, number, driver, run, timeline). It comes at the crossing, and once more
    /// with a higher revision when the simulator's own time came or it settled without.
    ///
    /// Its spans hold every frame it was computed from. After a rewind an earlier span ends with frames that were undone:
    /// those whose tick is not below the first tick of the next span.
    Lap(Lap),
    /// A row of another kind, keyed by (session, key, kind); told again, it replaces the one before. A change of the driver's
    /// incident counter and one of the flags shown to the car are told once, a visit to the pit lane at its begin, and again
    /// when the car stands, drives off and leaves.
    Row(AnyRow),
    /// E4: the stream went back. Facts of (`driver`, `run`) of timelines below `timeline` that end after `to_us` are superseded.
    ///
    /// It means what the stream told of other cars, too. A visit to the pits that nobody saw end ends after any time: one that
    /// was going on at `to_us` is told again, under the new timeline. A stream that inherited its state says this of the runs
    /// before it too.
    Rewind {
        /// Who competes.
        entry: EntryId,
        /// The driver whose stream it is.
        driver: DriverId,
        /// The run whose facts are meant.
        run: RunId,
        /// The timeline that begins.
        timeline: u32,
        /// Session time returned to, µs.
        to_us: i64,
        /// Tick returned to.
        to_tick: u32,
    },
}

impl Fact {
    /// A row, told.
    pub fn row<T: Row>(row: &T) -> Self {
        Fact::Row(AnyRow::of(row))
    }
}

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
