//! A lap while it is driven, and the laps before it that a rewind can go back to.

use boxbox_schemas::results::{LOOPS, Reasons, Tags};
use serde::{Deserialize, Serialize};

use crate::stream::mark::Mark;
use crate::stream::sparse::is_default;

/// Sealed runs of frames kept per lap; more rewinds or restarts within one lap are merged or forgotten, oldest first
/// (`lap.evidence`).
const SPANS_MAX: usize = 4;

/// A run of frames: (which of the state's runs, first sequence number, first after it).
pub(crate) type Frames = (u8, u64, u64);

/// A lap that has begun.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct OpenLap {
    pub(crate) start_us: i64,
    /// Tick of the frame at or before the start.
    pub(crate) start_tick: u32,
    /// Its number, once aligned with the simulator's counter.
    pub(crate) number: Option<u32>,
    /// This stream did not see it begin: it was taken over in mid-lap, with so many sector lines passed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) taken_over: Option<u8>,
    /// Race lap 1, from the green light.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) from_green: bool,
    /// Times of the sectors finished, µs.
    pub(crate) splits_us: Vec<i64>,
    /// A sector line was not crossed forward in this lap.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) no_sectors: bool,
    /// When half of the lap was driven, µs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) half_us: Option<i64>,
    /// Mini-loops passed: µs after the start, -1 where the moment is not known.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) loops_us: Vec<i64>,
    /// Fuel at the start, l (kWh).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) fuel_l: Option<f32>,
    /// Each [`Mark`] that holds, and since when, µs after the start: short numbers in a long race.
    #[serde(default, skip_serializing_if = "is_default")]
    since_us: Vec<(u8, i64)>,
    /// Frames so far.
    pub(crate) frames: u32,
    /// First sequence number in the present run of frames; `None` until its first frame.
    pub(crate) first_seq: Option<u64>,
    /// Runs of frames before it.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) spans: Vec<Frames>,
}

impl OpenLap {
    pub(crate) fn new(start_us: i64, start_tick: u32, first_seq: u64, sectors: usize) -> Self {
        Self {
            start_us,
            start_tick,
            number: None,
            taken_over: None,
            from_green: false,
            splits_us: Vec::with_capacity(sectors.saturating_sub(1)),
            no_sectors: false,
            half_us: None,
            loops_us: Vec::with_capacity(LOOPS - 1),
            fuel_l: None,
            since_us: Vec::new(),
            frames: 0,
            first_seq: Some(first_seq),
            spans: Vec::new(),
        }
    }

    /// `mark` holds from `us` on, or already did.
    #[inline]
    pub(crate) fn mark(&mut self, mark: Mark, us: i64) {
        if !self.has(mark) {
            self.since_us.push((mark as u8, us - self.start_us));
        }
    }

    #[inline]
    pub(crate) fn has(&self, mark: Mark) -> bool {
        self.since_us.iter().any(|(m, _)| *m == mark as u8)
    }

    pub(crate) fn reasons(&self) -> Reasons {
        self.marks().fold(Reasons(0), |all, m| all.with(m.means().0))
    }

    pub(crate) fn tags(&self) -> Tags {
        let own = if self.from_green { Tags::FIRST_LAP.with(Tags::START_ESTIMATED) } else { Tags(0) };
        self.marks().fold(own, |all, m| all.with(m.means().1))
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(|m| self.has(*m))
    }

    /// When the last line so far was crossed, the start included, µs.
    pub(crate) fn last_line_us(&self) -> i64 {
        self.start_us + self.splits_us.iter().sum::<i64>()
    }

    /// A sector ends at `us`.
    pub(crate) fn split(&mut self, us: i64) {
        let before = self.last_line_us();
        self.splits_us.push(us - before);
    }

    /// The next mini-loop, as a fraction of the lap, if there is one before the finish.
    #[inline]
    pub(crate) fn next_loop(&self) -> Option<f64> {
        let next = self.loops_us.len() + 1;
        (next < LOOPS).then(|| next as f64 / LOOPS as f64)
    }

    /// The next mini-loop was passed at `us`; `None` if nobody knows when.
    pub(crate) fn pass_loop(&mut self, us: Option<i64>) {
        self.loops_us.push(us.map_or(-1, |us| us - self.start_us));
    }

    /// The lap began at `us` already: it is timed from there.
    pub(crate) fn start_earlier(&mut self, us: i64) {
        let by = self.start_us - us;
        self.start_us = us;
        self.loops_us.iter_mut().filter(|l| **l >= 0).for_each(|l| *l += by);
        self.splits_us.iter_mut().take(1).for_each(|split| *split += by);
        self.since_us.iter_mut().for_each(|(_, since)| *since += by);
    }

    /// Sector times of the lap that ends at `end_us`, in `lines + 1` sectors; `None` if one is not known.
    pub(crate) fn sectors_us(&self, end_us: i64, lines: usize) -> Option<Vec<i64>> {
        (!self.no_sectors && self.splits_us.len() == lines).then(|| {
            let mut sectors = self.splits_us.clone();
            sectors.push(end_us - self.last_line_us());
            sectors
        })
    }

    /// End the present run of frames of run `run` before `next_seq`.
    pub(crate) fn seal(&mut self, run: u8, next_seq: u64) {
        let Some(first) = self.first_seq.take() else { return };
        if next_seq <= first {
            return;
        }
        if self.spans.len() == SPANS_MAX {
            let oldest = self.spans.remove(0);
            if let Some(second) = self.spans.first_mut().filter(|s| s.0 == oldest.0) {
                second.1 = oldest.1;
            }
        }
        self.spans.push((run, first, next_seq));
    }

    /// The oldest run of the state is no more: frames of it are forgotten, the others move down by one.
    pub(crate) fn forget_oldest_run(&mut self) {
        self.spans.retain(|s| s.0 > 0);
        self.spans.iter_mut().for_each(|s| s.0 -= 1);
    }

    /// Take back what happened after `to_us`; `last_us` is when its last frame was.
    pub(crate) fn rewind(&mut self, to_us: i64, last_us: i64) {
        self.since_us.retain(|(_, us)| self.start_us + *us <= to_us);
        self.half_us = self.half_us.filter(|us| *us <= to_us);
        while self.last_line_us() > to_us && self.splits_us.pop().is_some() {}
        // Where an unknown one was passed nobody knows; if the car is beyond it, it will be unknown again.
        let start_us = self.start_us;
        while self.loops_us.pop_if(|us| *us < 0 || start_us + *us > to_us).is_some() {}
        // Frames are not kept one by one: the share that stays is by time.
        let (kept_us, all_us) = (to_us - self.start_us, last_us - self.start_us);
        if all_us > 0 && kept_us < all_us {
            self.frames = (i128::from(self.frames) * i128::from(kept_us.max(0)) / i128::from(all_us)) as u32;
        }
    }
}

/// A lap that is over: finished, or broken off.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct PastLap {
    pub(crate) lap: OpenLap,
    /// Crossed the line, and was reported as a fact.
    pub(crate) told: bool,
    /// When it ended, µs.
    pub(crate) until_us: i64,
    /// Fuel then, l (kWh).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) fuel_l: Option<f32>,
    /// Tick and sequence number of the frame at or after its end.
    pub(crate) until_tick: u32,
    pub(crate) until_seq: u64,
}

impl PastLap {
    /// Fuel used in the lap, l (kWh), where it was driven whole and not refuelled (`fuel.used`).
    pub(crate) fn fuel_used_l(&self) -> Option<f32> {
        let whole = ![Mark::Refuelled, Mark::Tow, Mark::Missing].into_iter().any(|mark| self.lap.has(mark));
        let used_l = self.lap.fuel_l? - self.fuel_l?;
        // A car that coasts round uses nothing, and its gauge has noise.
        (self.told && whole).then_some(used_l.max(0.0))
    }
}
