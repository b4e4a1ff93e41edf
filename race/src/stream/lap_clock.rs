//! When each frame of a lap was ([`since_start_us`]), and any other moment of it ([`LapClock`]), by the clock by which the lap was timed
//! (`clock.slip`).

use boxbox_schemas::frame::{ArchivedCarFrame, CarBits};
use boxbox_schemas::results::Lap;

use super::clock::Clock;
use super::frame::{Frame, missing};
use super::motion::driven_us;

/// A crossing is a number of whole ticks off within this, ticks; and session time never runs ahead by more than this, ticks.
const NEAR: f64 = 0.2;
const TICKS_MAX: f64 = 600.0;

/// When each of these frames was, µs after the start of `lap`. All times are corrected by the slips, those of the lap by the slips of all of
/// its stream: how far session time ran ahead before these frames, the crossing at the lap's end or start says.
///
/// `frames` are those of the lap, with their sequence numbers, in order. `length_m` is that of the track.
pub fn since_start_us(lap: &Lap, frames: &[(u64, &ArchivedCarFrame)], length_m: Option<f64>) -> Vec<i64> {
    let mut frames: Vec<Frame> = frames.iter().map(|(seq, frame)| Frame::of(frame, *seq, CarBits::from(&frame.bits))).collect();
    // The stream knew the length of its ticks when the lap began; here the lap itself has to tell it first.
    let mut clock = Clock::default();
    correct(&mut clock, &mut frames.clone(), length_m);
    let mut clock = Clock { pace: clock.pace, ..Clock::default() };
    correct(&mut clock, &mut frames, length_m);
    let ahead_us = ahead_us(&frames, clock.tick_us(), lap);
    frames.iter().map(|frame| frame.us - ahead_us - lap.start_us).collect()
}

/// The clock by which a lap was timed: for what its client sent beside the frames of its own car (`clock.slip`).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LapClock {
    start_us: i64,
    /// By session time as shown, µs: how far it had run ahead from then on, µs.
    ahead: Vec<(i64, i64)>,
}

impl LapClock {
    /// The clock of `lap`; `frames` and `length_m` are those of [`since_start_us`]. Without frames it is session time as shown.
    pub fn of(lap: &Lap, frames: &[(u64, &ArchivedCarFrame)], length_m: Option<f64>) -> Self {
        let since_us = since_start_us(lap, frames, length_m);
        let shown = frames.iter().map(|(_, frame)| frame.sim_time_us.to_native());
        let mut ahead: Vec<(i64, i64)> = shown.zip(since_us).map(|(us, since_us)| (us, us - since_us - lap.start_us)).collect();
        // After a rewind session time goes back: of two frames of one time the later one counts.
        ahead.sort_by_key(|(us, _)| *us);
        ahead.dedup_by(|later, before| later.1 == before.1);
        Self { start_us: lap.start_us, ahead }
    }

    /// When session time showed `us`, µs after the start of the lap.
    pub fn since_start_us(&self, us: i64) -> i64 {
        let behind = self.ahead.partition_point(|(from_us, _)| *from_us <= us);
        let ahead_us = self.ahead.get(behind.saturating_sub(1)).map_or(0, |(_, ahead_us)| *ahead_us);
        us - ahead_us - self.start_us
    }
}

/// Corrects the times of the frames by the slips among them.
fn correct(clock: &mut Clock, frames: &mut [Frame], length_m: Option<f64>) {
    let mut last: Option<Frame> = None;
    for frame in frames {
        let shown = *frame;
        clock.lost = last.is_some_and(|last| last.seq + 1 != frame.seq);
        let driven = || driven_us(length_m?, (last?.pct?, last?.speed_mps), (shown.pct?, shown.speed_mps));
        // Only ticks fall in a rewind; a frame whose session time has not risen is left out (`motion.order`).
        if !clock.take(frame, driven) && clock.last_tick.is_none_or(|last| shown.tick <= last) {
            *frame = shown;
            clock.rewind(frame.tick, clock.corrected_at_us(frame.tick, frame.us));
            clock.take(frame, || None);
        }
        last = Some(shown);
    }
}

/// How far session time had run ahead before these frames, µs: a number of whole ticks; 0 if no crossing of the lap says it.
fn ahead_us(frames: &[Frame], tick_us: Option<f64>, lap: &Lap) -> i64 {
    let Some(tick_us) = tick_us else { return 0 };
    let crossed_us = |w: &[Frame]| {
        let (a, b) = (w[0].pct?, w[1].pct?);
        let part = (1.0 - a) / (b + 1.0 - a);
        (a > 0.5 && b < 0.5 && !missing(w[0].us, w[1].us)).then(|| w[0].us + ((w[1].us - w[0].us) as f64 * part) as i64)
    };
    let (end, start) = (frames.windows(2).rev().find_map(crossed_us), frames.windows(2).find_map(crossed_us));
    let ticks = |(seen, known): (Option<i64>, i64)| {
        let ticks = (seen? - known) as f64 / tick_us;
        let whole = ticks.round_ties_even();
        ((ticks - whole).abs() < NEAR && whole.abs() <= TICKS_MAX).then_some((whole * tick_us).round_ties_even() as i64)
    };
    [(end, lap.end_us), (start, lap.start_us)].into_iter().find_map(ticks).unwrap_or(0)
}
