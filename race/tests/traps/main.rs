//! Each trap that real simulators set for laps, by name.

#[path = "../common/mod.rs"]
mod common;
mod jumps;
mod line;
mod metadata;
mod missing;
mod numbers;
mod pit_laps;
mod rewinds;
mod sim_time;
mod start;
mod stored;
mod validity;

use boxbox_race::stream::{Fact, Output};
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{Reasons, Tags};
use common::CarState;
use common::Rig;
use common::synth::{Car, LENGTH_M, Leg, blank, flagged, practice, race};

/// 50 m/s, steady, from `at_m`: laps of exactly 60 s.
fn steady(at_m: f64) -> Car {
    Car::driving(Leg { from_s: 0.0, at_m, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 })
}

fn fed(meta: &SessionMeta, frames: &[CarFrame]) -> Rig {
    let mut rig = Rig::new(meta);
    rig.frames(frames);
    rig.end();
    rig
}

/// `frames` changed where session time, in s, is within `from_s..to_s`.
fn within(frames: &mut [CarFrame], from_s: f64, to_s: f64, change: impl Fn(&mut CarFrame)) {
    let us = |s: f64| (s * 1e6) as i64;
    frames.iter_mut().filter(|f| (us(from_s)..us(to_s)).contains(&f.sim_time_us)).for_each(change);
}

fn put(frame: &mut CarFrame, bit: CarBits) {
    frame.bits = frame.bits.with(bit);
    frame.bits_seen = frame.bits_seen.with(bit);
}

/// A standing start 26 m short of the line: lights at 20 s, off at 50 m/s at 21 s. Lines at 21.52, 81.52, 141.52 s.
fn standing_start() -> Vec<CarFrame> {
    let mut car = Car::driving(Leg { from_s: 0.0, at_m: -26.0, mean_mps: 0.0, swing_m: 0.0, omega: 1.0 });
    car.then(21.0, 50.0, 0.0, 1.0);
    let mut frames = car.frames(0.0, 210.0, 60);
    // As in a real one, the state follows 1.1 s after the light.
    within(&mut frames, 0.0, 21.1, |f| f.session_state = SessionState::WARMUP);
    within(&mut frames, 0.0, 22.1, |f| (f.lap, f.laps_completed) = (0, -1));
    within(&mut frames, 20.0, 25.0, |f| *f = flagged(*f, Flags::START_GO.with(Flags::GREEN)));
    // 0 → 1 at green → 2 at the line → 1 a second later.
    within(&mut frames, 20.0, 21.52, |f| f.lap = 1);
    within(&mut frames, 21.52, 22.52, |f| f.lap = 2);
    within(&mut frames, 22.52, 81.0, |f| f.lap = 1);
    // The simulator, too, times lap 1 from the light.
    within(&mut frames, 83.02, 143.02, |f| f.last_lap_time_us = 61_520_000);
    frames
}
