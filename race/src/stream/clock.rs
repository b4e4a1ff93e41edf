//! [`Clock`]: tick and time of the last frame, and how far session time ran ahead of the ticks (`clock.slip`): every frame's time is
//! corrected by it before anything else reads it. A frame that is not newer is left out (`motion.order`).

use serde::{Deserialize, Serialize};

use super::frame::Frame;
use super::slips::{Slip, Slips};
use super::sparse::is_default;

/// Frames whose ticks and times agreed, before the tick's length counts as known. A clock that is not steady never gets there.
const AGREED: u8 = 8;
/// A difference of at most this part of a tick is none.
const NEAR_TICK: f64 = 0.05;
/// Error of the tick's length, as a part of it: it matters after frames that are missing.
const LENGTH_ERROR: f64 = 5e-5;
/// The most ticks that one slip has.
const SLIP_TICKS: f64 = 3.0;
/// Over a longer time between two frames no slip is looked for, µs.
const SLIP_GAP_US: f64 = 60e6;
/// Motion decides between two durations if one is at least this much longer than the other.
const MOTION_DECIDES: f64 = 1.5;
/// How near the motion's duration must be to one of the two, as a part of their difference.
const MOTION_NEAR: f64 = 0.3;

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Clock {
    pub(super) last_tick: Option<u32>,
    /// Corrected by the slips.
    pub(super) last_us: Option<i64>,
    /// Number of frames left out because they were not newer than the last one.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) ignored: u64,
    /// Sequence numbers are missing since the last frame. One of them may be an event.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) lost: bool,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) slips: Slips,
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pace: Pace,
}

/// How long a tick is, learned from the frames. Stored as an array, because the state of a car has a bound.
#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(from = "StoredPace", into = "StoredPace")]
pub(super) struct Pace {
    /// Length of a tick, µs; 0 while unknown.
    tick_us: f64,
    /// Frames that agreed with it, up to [`AGREED`].
    agreed: u8,
    /// Where learning began: tick, and time in µs; (0, 0) once the length is known.
    since: (u32, i64),
    /// Ticks from frame to frame; 0 after a rewind.
    step: u32,
}

type StoredPace = (f64, u8, (u32, i64), u32);

impl From<StoredPace> for Pace {
    fn from((tick_us, agreed, since, step): StoredPace) -> Self {
        Self { tick_us, agreed, since, step }
    }
}

impl From<Pace> for StoredPace {
    fn from(Pace { tick_us, agreed, since, step }: Pace) -> Self {
        (tick_us, agreed, since, step)
    }
}

impl Clock {
    /// Whether the event of a rewind is missing: ticks fall only after a rewind (`rewind.lost`).
    pub(super) fn rewind_was_lost(&self, frame: &Frame) -> bool {
        self.lost && self.last_tick.is_some_and(|last| frame.tick <= last)
    }

    /// Correct the frame's time by the slips, and make the frame the last one if it is newer; false if it is not. `driven_us` is how long
    /// the car takes for its way from the last frame at its speed, if that is known, µs.
    #[inline]
    pub(super) fn take(&mut self, frame: &mut Frame, driven_us: impl FnOnce() -> Option<f64>) -> bool {
        frame.us = self.corrected_us(frame.us);
        let (last, to) = (self.last_tick.zip(self.last_us), (frame.tick, frame.us));
        let whole = !self.lost;
        if !self.is_newer(frame) {
            return false;
        }
        let us = last.map_or(0, |from| self.pace.read(from, to, whole, driven_us));
        if us != 0 {
            self.slips.add(Slip { tick: frame.tick, us });
            frame.us -= us;
            self.last_us = Some(frame.us);
        }
        true
    }

    /// The same for an observed car, which has the slips of its observer.
    #[inline]
    pub(super) fn take_observed(&mut self, frame: &mut Frame) -> bool {
        frame.us = self.corrected_at_us(frame.tick, frame.us);
        self.is_newer(frame)
    }

    /// The time `us` of a moment since the last frame, corrected, µs.
    pub(super) fn corrected_us(&self, us: i64) -> i64 {
        us - self.slips.ahead_us()
    }

    /// The time `us` of a moment at `tick`, corrected by the slips until then, µs.
    pub(super) fn corrected_at_us(&self, tick: u32, us: i64) -> i64 {
        us - self.slips.ahead_at_us(tick)
    }

    #[inline]
    fn is_newer(&mut self, frame: &Frame) -> bool {
        if self.last_tick.is_some_and(|last| frame.tick <= last) || self.last_us.is_some_and(|last| frame.us <= last) {
            self.ignored += 1;
            return false;
        }
        (self.last_tick, self.last_us, self.lost) = (Some(frame.tick), Some(frame.us), false);
        true
    }

    /// Go back to just before `tick` and `us`, which is corrected, so that a frame of that moment is accepted.
    pub(super) fn rewind(&mut self, tick: u32, us: i64) {
        (self.last_tick, self.last_us, self.lost) = (tick.checked_sub(1), Some(us.saturating_sub(1)), false);
        self.slips.rewind(tick);
        self.pace.step = 0;
    }

    /// Length of a tick, if it is known, µs.
    pub(super) fn tick_us(&self) -> Option<f64> {
        (self.pace.agreed == AGREED).then_some(self.pace.tick_us)
    }
}

impl Pace {
    /// From one frame to the next, each a tick and a time in µs: how much session time slipped between them, µs. `whole`: no frame is
    /// missing between the two.
    #[inline]
    fn read(&mut self, from: (u32, i64), to: (u32, i64), whole: bool, driven_us: impl FnOnce() -> Option<f64>) -> i64 {
        let (step, ticks) = (self.step, to.0 - from.0);
        let elapsed_us = (to.1 - from.1) as f64;
        let ahead_us = elapsed_us - f64::from(ticks) * self.tick_us;
        let near_us = (NEAR_TICK + LENGTH_ERROR * f64::from(ticks)) * self.tick_us;
        if ahead_us.abs() <= near_us && ticks == step && self.agreed == AGREED {
            return 0;
        }
        self.step = ticks;
        if step == 0 {
            // The first step, or the first one after a rewind: its beginning was no frame.
            if self.agreed < AGREED {
                self.since = to;
            }
            return 0;
        }
        if ahead_us.abs() > near_us {
            return self.disagree(from, to, driven_us);
        }
        if self.agreed < AGREED {
            self.agreed += 1;
            if to.0 > self.since.0 {
                self.tick_us = (to.1 - self.since.1) as f64 / f64::from(to.0 - self.since.0);
            }
            if self.agreed == AGREED {
                self.since = (0, 0);
            }
            return 0;
        }
        // More ticks than usual, although no frame is missing: where ticks are made of session time, only the motion shows a slip.
        let usual_us = f64::from(step) * self.tick_us;
        let slipped = ticks > step
            && whole
            && elapsed_us - usual_us < (SLIP_TICKS + 0.5) * self.tick_us
            && decides(driven_us(), usual_us, elapsed_us) == Some(usual_us);
        if slipped {
            self.step = step;
            return (elapsed_us - usual_us).round_ties_even() as i64;
        }
        0
    }

    /// Ticks and time disagree on how long it was: a slip of whole ticks, or a clock that is not steady.
    #[cold]
    fn disagree(&mut self, from: (u32, i64), to: (u32, i64), driven_us: impl FnOnce() -> Option<f64>) -> i64 {
        let ticks = f64::from(to.0 - from.0);
        let elapsed_us = (to.1 - from.1) as f64;
        if self.agreed < AGREED {
            *self = Self { tick_us: elapsed_us / ticks, agreed: 0, since: from, step: self.step };
            return 0;
        }
        let by_tick_us = ticks * self.tick_us;
        let slip = ((elapsed_us - by_tick_us) / self.tick_us).round_ties_even();
        let slip_us = slip * self.tick_us;
        let near_us = (NEAR_TICK + LENGTH_ERROR * ticks) * self.tick_us;
        let possible = slip != 0.0 && slip.abs() <= SLIP_TICKS && by_tick_us <= SLIP_GAP_US && (elapsed_us - by_tick_us - slip_us).abs() <= near_us;
        if possible && decides(driven_us(), by_tick_us, elapsed_us) != Some(elapsed_us) {
            return slip_us.round_ties_even() as i64;
        }
        if !possible {
            (self.agreed, self.since) = (AGREED / 2, to);
        }
        0
    }
}

/// Which of two durations the motion confirms; `None` if it confirms neither, or if the two are too near each other.
fn decides(driven_us: Option<f64>, one_us: f64, other_us: f64) -> Option<f64> {
    let (low_us, high_us) = (one_us.min(other_us), one_us.max(other_us));
    let driven_us = driven_us.filter(|_| high_us >= MOTION_DECIDES * low_us)?;
    let near_us = MOTION_NEAR * (high_us - low_us);
    [low_us, high_us].into_iter().find(|us| (driven_us - us).abs() <= near_us)
}
