//! From one position to the next: whether the car drove or jumped, and when it crossed a line.

use boxbox_schemas::limits::SPEED_MAX_MPS;
use serde::{Deserialize, Serialize};

use super::frame::{Frame, missing};
use super::sparse::is_default;
use super::track::Track;

/// Motion up to this distance is always accepted, m: noise of a standing car, a bent centre line.
const MARGIN_M: f64 = 15.0;
/// The same after a blank sample, because a reset shows as a blank sample, m.
const MARGIN_AFTER_BLANK_M: f64 = 2.0;
/// If the start and finish line is at an angle, the fraction jumps there ("from 95 % to -4 %, from 104 % to 5 %"). A jump ahead of up to
/// this much is accepted from a moving car, m.
const ANGLED_LINE_M: f64 = 60.0;
/// A car is moving above this, m/s.
pub(super) const MOVING_MPS: f32 = 5.0;
/// A car stands below this, m/s.
pub(crate) const STANDING_MPS: f32 = 0.5;
/// A moving car that is farther ahead than it can have driven left out a part of the track, of up to this much, m, and a quarter of a lap.
const CUT_MAX_M: f64 = 500.0;
/// Progress along the centre line is up to this much faster than the car: the inside of a hairpin.
const INSIDE_FACTOR: f64 = 2.0;
/// Speed gained between two frames beyond what both show, m/s per s.
const SPEED_GAIN_MPS2: f64 = 30.0;
/// A car cannot drive from the track into its stall within this time, µs (`motion.into-stall`).
const STALL_FROM_TRACK_US: i64 = 5_000_000;
/// The simulator's lap counter bridges gaps without a position up to this long, µs. A client that was restarted with its computer is
/// back by then; a driver who comes back later was reset.
const BRIDGE_MAX_US: i64 = 300_000_000;
/// Fractions of the lap where the simulator's lap counter is reliable: near the line it lags, leads and flickers.
pub(super) const COUNTER_SETTLED: std::ops::RangeInclusive<f64> = 0.15..=0.97;
/// Elsewhere it is reliable this long after the line, s,
const COUNTER_LAG_S: f64 = 3.0;
/// for a car at this speed or above: a slower car may have braked since the line, m/s;
const COUNTER_LAG_MPS: f64 = 40.0;
/// and up to this far before the line, m.
const COUNTER_LEAD_M: f64 = 30.0;
/// After a rewind a car must be between two known lines. It may be this far beyond them, m.
const RESUME_MARGIN_M: f64 = 15.0;

/// A car's position at one moment.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) struct Sample {
    pub(super) us: i64,
    pub(super) tick: u32,
    pub(super) seq: u64,
    /// The fraction as the simulator shows it.
    pub(super) pct: f64,
    /// Progress, unwrapped: `pct` plus whole laps, 0 at the start of the lap that is open.
    pub(super) x: f64,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) speed_mps: Option<f32>,
    pub(super) lap: Option<i16>,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) in_pits: bool,
    /// The simulator's counters say that the car is behind the line from which its lap 1 counts.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) before_line: bool,
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) fuel_l: Option<f32>,
    /// The car is known to have driven forward on its way here.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) ahead: bool,
}

impl Sample {
    pub(super) fn at(frame: &Frame, pct: f64, x: f64) -> Self {
        let Frame { us, tick, seq, speed_mps, lap, fuel_l, .. } = *frame;
        let (in_pits, before_line) = (frame.in_pits.unwrap_or(false), frame.before_line());
        Self { us, tick, seq, pct, x, speed_mps, lap, in_pits, before_line, fuel_l, ahead: false }
    }

    /// The car drove from here to progress `x` at `frame`.
    #[inline(always)]
    pub(super) fn driven_to(&self, frame: &Frame, pct: f64, x: f64) -> Self {
        Self { ahead: x > self.x, ..Self::at(frame, pct, x) }
    }

    /// The simulator's number of the open lap, if its counter is reliable here.
    pub(super) fn counted(&self, track: &Track) -> Option<u32> {
        counter_settled(self.pct, self.speed_mps, track.length_m()).then_some(self.lap?).and_then(|lap| u32::try_from(lap).ok())
    }
}

/// How a car came from one position to the next, and its progress there.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Way {
    /// It can have driven there.
    Drove(f64),
    /// It drove on and left out a part of the track (`lap.cut`).
    Cut(f64),
    /// It was put there (`lap.jump`).
    Jumped,
}

/// How the car came from `a` to `frame`.
///
/// `blank`: there were blank samples between the two.
#[inline]
pub(super) fn progress(track: &Track, a: &Sample, frame: &Frame, pct: f64, blank: bool) -> Way {
    let length_m = track.length_m();
    let elapsed_us = frame.us - a.us;
    let into_stall = frame.in_stall && frame.knows_pit_road && !a.in_pits;
    if into_stall && elapsed_us < STALL_FROM_TRACK_US {
        return Way::Jumped;
    }
    let (margin, driven) = (margin_m(blank, length_m) / length_m, reach_m(a.speed_mps, frame.speed_mps, elapsed_us, blank) / length_m);
    let reach = driven + margin.max(angled_line_m(a, frame, pct, blank).min(length_m / 8.0) / length_m);
    // What a car does while no client sees it is forward (`motion.back`).
    let back = if missing(a.us, frame.us) || !can_turn(a, frame, elapsed_us) { margin } else { driven + margin };
    let d = pct - a.pct;
    // The shorter way round, as long as the car cannot have driven half a lap (`motion.nearest`).
    let nearest = d - d.round_ties_even();
    if reach < 0.5 {
        return match nearest {
            near if near > 0.0 && d < 0.0 && uncounted(a, frame, pct, length_m) => Way::Jumped,
            near if (-back..=reach).contains(&near) => Way::Drove(unwrapped(a.x + near, pct)),
            ahead if cuts(a, frame, ahead * length_m, blank, length_m) => Way::Cut(unwrapped(a.x + ahead, pct)),
            _ => Way::Jumped,
        };
    }
    // The car can have gone round half the track or more, so several ways may lead here.
    let settled = counter_settled(a.pct, a.speed_mps, length_m) && counter_settled(pct, frame.speed_mps, length_m);
    if let (Some(before), Some(after), true) = (a.lap, frame.lap, settled) {
        // The simulator's own count of laps decides. If two whole laps are missing, their times are unknown, so this is a jump.
        let laps = i32::from(after) - i32::from(before);
        let driven = f64::from(laps) + d;
        let possible = (0..=1).contains(&laps) && (-margin..=reach).contains(&driven) && elapsed_us <= BRIDGE_MAX_US && !into_stall;
        return if possible { Way::Drove(unwrapped(a.x + driven, pct)) } else { Way::Jumped };
    }
    // Without the counter, accept the shorter way round if it leads forward and a whole lap more is too far.
    if nearest >= -margin && nearest + 1.0 > reach { Way::Drove(unwrapped(a.x + nearest, pct)) } else { Way::Jumped }
}

/// Whether the simulator counts the car in the same lap before and after a way over the line, at two places where its counter must be right: the
/// car was put back (`motion.uncounted`).
fn uncounted(a: &Sample, frame: &Frame, pct: f64, length_m: f64) -> bool {
    let behind_m = f64::from(frame.speed_mps.unwrap_or(SPEED_MAX_MPS)).max(COUNTER_LAG_MPS) * COUNTER_LAG_S;
    let settled = counter_settled(a.pct, a.speed_mps, length_m) && pct * length_m >= behind_m && (1.0 - pct) * length_m >= COUNTER_LEAD_M;
    settled && a.lap.is_some() && a.lap == frame.lap
}

/// Whether a car that is `ahead_m` farther on, beyond its reach, left out a part of the track: it moves before and after, and the simulator
/// counts it in the same lap or the next one.
#[cold]
fn cuts(a: &Sample, frame: &Frame, ahead_m: f64, blank: bool, length_m: f64) -> bool {
    let counted = match (a.lap, frame.lap) {
        (Some(before), Some(after)) => (0..=1).contains(&(i32::from(after) - i32::from(before))),
        _ => true,
    };
    let placed = blank || frame.towing || frame.in_stall || missing(a.us, frame.us);
    (0.0..=CUT_MAX_M.min(length_m / 4.0)).contains(&ahead_m) && is_moving(a.speed_mps) && is_moving(frame.speed_mps) && counted && !placed
}

/// Whether the simulator's lap counter is reliable for a car at `pct` (`motion.long-gap`).
fn counter_settled(pct: f64, speed_mps: Option<f32>, length_m: f64) -> bool {
    let far = |v: f32| pct * length_m >= f64::from(v).max(COUNTER_LAG_MPS) * COUNTER_LAG_S && (1.0 - pct) * length_m >= COUNTER_LEAD_M;
    COUNTER_SETTLED.contains(&pct) || speed_mps.is_some_and(far)
}

/// The two lines between which a car must be after a rewind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Section {
    /// Progress near the car's: it decides which lap a fraction near the line belongs to.
    pub(super) near: f64,
    /// Progress at the last line passed.
    pub(super) behind: f64,
    /// Progress at the next line.
    pub(super) ahead: f64,
}

/// The first position after a rewind: where the car came from, and where it is. `None` if the car is not in the `section` in which it
/// must be.
///
/// The car is assumed to have driven at its speed since the moment returned to, so that a line just behind it is not lost
/// (`rewind.from`).
pub(super) fn resume(track: &Track, from_us: i64, frame: &Frame, pct: f64, section: Option<Section>) -> Option<(Sample, Sample)> {
    let here = |x: f64| Sample::at(frame, pct, x);
    let length_m = track.length_m();
    let driven = f64::from(frame.speed_mps.unwrap_or(0.0)) * (frame.us - from_us) as f64 / 1e6 / length_m;
    let from = |x: f64| Sample { us: from_us, tick: frame.tick.saturating_sub(1), ..here(x) };
    let Some(Section { near, behind, ahead }) = section else { return Some((from(pct - driven), here(pct))) };
    let x = pct + (near - pct).round_ties_even();
    let reach = (reach_m(frame.speed_mps, frame.speed_mps, frame.us - from_us, false) + RESUME_MARGIN_M) / length_m;
    if x < behind - RESUME_MARGIN_M / length_m || x > ahead + reach {
        return None;
    }
    Some((from((x - driven).min(ahead)), here(x)))
}

/// How far a car can have gone between two frames, m (`motion.reach`).
fn reach_m(v0: Option<f32>, v1: Option<f32>, elapsed_us: i64, blank: bool) -> f64 {
    let seconds = elapsed_us as f64 / 1e6;
    let most = f64::from(SPEED_MAX_MPS);
    let mps = match (v0, v1) {
        // After a reset a moving car stands, so the lower speed counts.
        (Some(v0), Some(v1)) if blank => INSIDE_FACTOR * f64::from(v0.min(v1)),
        // A car that stands before and after a stretch without frames and is elsewhere was put there.
        (Some(v0), Some(v1)) if v0.max(v1) < STANDING_MPS => 0.0,
        (Some(v0), Some(v1)) => INSIDE_FACTOR * f64::from(v0.max(v1)) + SPEED_GAIN_MPS2 * seconds,
        _ => most,
    };
    mps.min(most) * seconds
}

/// Whether the car can have turned back between two frames: if it drove forward, it had to brake, and to gather the other frame's speed
/// backwards (`motion.back`).
fn can_turn(a: &Sample, frame: &Frame, elapsed_us: i64) -> bool {
    match (a.speed_mps, frame.speed_mps) {
        (Some(v0), Some(v1)) if a.ahead => f64::from(v0 + v1) <= SPEED_GAIN_MPS2 * elapsed_us as f64 / 1e6,
        _ => true,
    }
}

fn margin_m(blank: bool, length_m: f64) -> f64 {
    if blank { MARGIN_AFTER_BLANK_M } else { MARGIN_M.min(length_m / 8.0) }
}

/// How far a moving car's fraction may jump ahead at the line, m (`motion.angled-line`).
fn angled_line_m(a: &Sample, frame: &Frame, pct: f64, blank: bool) -> f64 {
    let at_line = (pct - a.pct).abs() > 0.5 || !(0.0..=1.0).contains(&pct) || !(0.0..=1.0).contains(&a.pct);
    if at_line && !blank && is_moving(a.speed_mps) && is_moving(frame.speed_mps) { ANGLED_LINE_M } else { 0.0 }
}

fn is_moving(mps: Option<f32>) -> bool {
    mps.is_none_or(|v| v > MOVING_MPS)
}

/// Progress `x`, with its fraction replaced by the simulator's, so that errors do not add up.
fn unwrapped(x: f64, pct: f64) -> f64 {
    pct + (x - pct).round_ties_even()
}

/// When the car passed progress `line` between `a` and `b`, µs: interpolated linearly, rounded once, ties to even.
pub(super) fn crossed_us(a: &Sample, b: &Sample, line: f64) -> i64 {
    let part = if b.x > a.x { ((line - a.x) / (b.x - a.x)).clamp(0.0, 1.0) } else { 0.0 };
    a.us + ((b.us - a.us) as f64 * part).round_ties_even() as i64
}
