//! From one position to the next: motion or jump, and when a line between them was crossed.

use boxbox_schemas::limits::SPEED_MAX_MPS;
use serde::{Deserialize, Serialize};

use super::is_default;
use super::now::Now;
use super::track::Track;

/// Motion that is always believed, m: noise of a standing car, a bent centre line.
const MARGIN_M: f64 = 15.0;
/// … after a blank sample, which is what a reset looks like, m.
const MARGIN_AFTER_BLANK_M: f64 = 2.0;
/// Where start and finish lines are at an angle, the fraction itself jumps there ("from 95 % to -4 %, from 104 % to 5 %"),
/// and this part of a lap is believed of a moving car.
const ANGLED_LINE: f64 = 0.02;
/// A car is moving above this, m/s.
const MOVING_MPS: f32 = 5.0;
/// Progress along the centre line is up to this much faster than the car: the inside of a hairpin.
const INSIDE_FACTOR: f64 = 2.0;
/// Speed gained between two frames beyond what both show, m/s per s.
const SPEED_GAIN_MPS2: f64 = 30.0;
/// Nobody drives into their stall within this time of being out on the track, µs.
const STALL_FROM_TRACK_US: i64 = 5_000_000;
/// Longer stretches without a position are not bridged by the simulator's counter, µs: a client that was restarted with its
/// computer is back by then; a driver who comes back later was reset.
const BRIDGE_MAX_US: i64 = 300_000_000;
/// Where the simulator's lap counter is settled: it lags, leads and flickers around the line.
const COUNTER_SETTLED: std::ops::RangeInclusive<f64> = 0.15..=0.97;

/// Where a car was.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) us: i64,
    pub(super) tick: u32,
    pub(super) seq: u64,
    /// The fraction as the simulator said it.
    pub(super) pct: f64,
    /// Progress, unwrapped: `pct` plus whole laps, 0 at the start of the lap that is open.
    pub(super) x: f64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) speed_mps: Option<f32>,
    pub(super) lap: Option<i16>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) in_pits: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) fuel_l: Option<f32>,
}

impl Sample {
    pub(super) fn at(now: &Now, pct: f64, x: f64) -> Self {
        let Now { us, tick, seq, speed_mps, lap, fuel_l, .. } = *now;
        Self { us, tick, seq, pct, x, speed_mps, lap, in_pits: now.in_pits.unwrap_or(false), fuel_l }
    }
}

impl Sample {
    /// The simulator's number of the lap that the car is in, where its counter is settled.
    pub(super) fn counted(&self) -> Option<u32> {
        COUNTER_SETTLED.contains(&self.pct).then_some(self.lap?).and_then(|lap| u32::try_from(lap).ok())
    }
}

/// Progress at `now` if the car can have driven there from `a`; `None` if it jumped.
///
/// `blank`: there were blank samples between the two.
pub(super) fn progress(track: &Track, a: &Sample, now: &Now, pct: f64, blank: bool) -> Option<f64> {
    let length_m = track.length_m();
    let elapsed_us = now.us - a.us;
    let into_stall = now.in_stall && now.knows_pit_road && !a.in_pits;
    if into_stall && elapsed_us < STALL_FROM_TRACK_US {
        return None;
    }
    let margin_m = margin_m(a, now, pct, blank, length_m);
    let reach = (reach_m(a.speed_mps, now.speed_mps, elapsed_us, blank) + margin_m) / length_m;
    let d = pct - a.pct;
    let nearest = d - d.round_ties_even();
    if reach < 0.5 {
        return (nearest.abs() <= reach).then(|| unwrapped(a.x + nearest, pct));
    }
    // The car can have gone round half the track or more, so several ways may lead here.
    let settled = COUNTER_SETTLED.contains(&a.pct) && COUNTER_SETTLED.contains(&pct);
    if let (Some(before), Some(after), true) = (a.lap, now.lap, settled) {
        // The simulator's own count of laps tells which. Of two whole laps that nobody saw, nothing is told.
        let laps = i32::from(after) - i32::from(before);
        let driven = f64::from(laps) + d;
        let possible = (0..=1).contains(&laps) && (0.0..=reach).contains(&driven) && elapsed_us <= BRIDGE_MAX_US && !into_stall;
        return possible.then(|| unwrapped(a.x + driven, pct));
    }
    // Without it, only the one way forward that was possible, if there is one.
    let mut ahead = [nearest, nearest + 1.0, nearest + 2.0].into_iter().filter(|way| (-margin_m / length_m..=reach).contains(way));
    match (ahead.next(), ahead.next()) {
        (Some(way), None) => Some(unwrapped(a.x + way, pct)),
        _ => None,
    }
}

/// How far a car can have gone between two frames, m.
pub(super) fn reach_m(v0: Option<f32>, v1: Option<f32>, elapsed_us: i64, blank: bool) -> f64 {
    let seconds = elapsed_us as f64 / 1e6;
    let most = f64::from(SPEED_MAX_MPS);
    let mps = match (v0, v1) {
        // A reset leaves a car standing that was moving, so the slower of the two speaks.
        (Some(v0), Some(v1)) if blank => INSIDE_FACTOR * f64::from(v0.min(v1)),
        (Some(v0), Some(v1)) => INSIDE_FACTOR * f64::from(v0.max(v1)) + SPEED_GAIN_MPS2 * seconds,
        _ => most,
    };
    mps.min(most) * seconds
}

fn margin_m(a: &Sample, now: &Now, pct: f64, blank: bool, length_m: f64) -> f64 {
    if blank {
        return MARGIN_AFTER_BLANK_M;
    }
    let margin_m = MARGIN_M.min(length_m / 8.0);
    let at_line = (pct - a.pct).abs() > 0.5 || !(0.0..=1.0).contains(&pct) || !(0.0..=1.0).contains(&a.pct);
    let moving = |v: Option<f32>| v.is_none_or(|v| v > MOVING_MPS);
    if at_line && moving(a.speed_mps) && moving(now.speed_mps) { margin_m.max(ANGLED_LINE * length_m) } else { margin_m }
}

/// `x` with the simulator's own fraction: whole laps are added to it, so that errors do not add up.
fn unwrapped(x: f64, pct: f64) -> f64 {
    pct + (x - pct).round_ties_even()
}

/// When progress `line` was passed between `a` and `b`, µs: linear, rounded once, ties to even.
pub(super) fn crossed_us(a: &Sample, b: &Sample, line: f64) -> i64 {
    let part = if b.x > a.x { ((line - a.x) / (b.x - a.x)).clamp(0.0, 1.0) } else { 0.0 };
    a.us + ((b.us - a.us) as f64 * part).round_ties_even() as i64
}
