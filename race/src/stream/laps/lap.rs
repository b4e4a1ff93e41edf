//! The open lap, and the past laps that a rewind can reopen.

use boxbox_schemas::results::{LOOPS, Reasons, Tags};
use serde::{Deserialize, Serialize};

use crate::stream::mark::Mark;
use crate::stream::sparse::is_default;

/// Number of finished frame ranges kept for each lap. After more rewinds or restarts within one lap, the oldest are merged or dropped
/// (`lap.evidence`).
const SPANS_MAX: usize = 4;

/// A range of frames: (number of the run, first sequence number, sequence number after the last).
pub(crate) type Frames = (u8, u64, u64);

/// Where a car stood at the green light.
#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct Grid {
    /// Progress: below 0 behind the line.
    pub(crate) x: f64,
    /// The counters do not say for certain whether the car stood behind the line or beyond it. It is taken to have stood beyond it until
    /// they do (`start.asked`).
    pub(crate) unsure: bool,
    /// When the car was first seen beyond the line and off its place, µs.
    pub(crate) left_us: Option<i64>,
}

/// A car beyond the line has left its place on the grid after this part of a lap.
const LEFT_GRID: f64 = 0.01;

/// A lap that has begun.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct OpenLap {
    pub(crate) start_us: i64,
    /// Tick of the frame at or before the start.
    pub(crate) start_tick: u32,
    /// Its number, once known from the simulator's counter.
    pub(crate) number: Option<u32>,
    /// The stream began in mid-lap, after a driver swap, with this many sector lines passed.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) taken_over: Option<u8>,
    /// Race lap 1, from the green light.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) from_green: bool,
    /// Where the car stood at the green light, in race lap 1.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) grid: Option<Grid>,
    /// Times of the sectors finished, µs.
    pub(crate) splits_us: Vec<i64>,
    /// A sector line was not crossed forward in this lap.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) no_sectors: bool,
    /// When the car passed the middle of the lap, µs.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) half_us: Option<i64>,
    /// Mini-loops passed: µs after the start, -1 if the time is unknown.
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) loops_us: Vec<i64>,
    /// Fuel at the start, l (kWh).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) fuel_l: Option<f32>,
    /// Each [`Mark`] that holds, and since when, µs after the start. Relative times keep the numbers short in a long race.
    #[serde(default, skip_serializing_if = "is_default")]
    since_us: Vec<(u8, i64)>,
    /// Frames so far.
    pub(crate) frames: u32,
    /// First sequence number of the present range of frames; `None` before its first frame.
    pub(crate) first_seq: Option<u64>,
    /// Ranges of frames before the present one.
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
            grid: None,
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

    /// The car is at progress `x` at `us`.
    #[inline]
    pub(crate) fn leave_grid(&mut self, x: f64, us: i64) {
        if let Some(grid) = &mut self.grid
            && grid.left_us.is_none()
            && x >= if grid.x < 0.0 { 0.0 } else { grid.x + LEFT_GRID }
        {
            grid.left_us = Some(us);
        }
    }

    /// Set `mark` from `us` on, unless it is set already.
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

    /// The car was put elsewhere at `us`. Only the first and the last jump are kept.
    pub(crate) fn jump(&mut self, us: i64) {
        let (jumped, since_us) = (Mark::Jumped as u8, us - self.start_us);
        if self.since_us.iter().filter(|(mark, _)| *mark == jumped).count() > 1
            && let Some(last) = self.since_us.iter().rposition(|(mark, _)| *mark == jumped)
        {
            self.since_us.remove(last);
        }
        self.since_us.push((jumped, since_us));
    }

    /// The car was put over the line at the end of this lap, at `us`; one that no client saw for a while may have driven there (`lap.put-over`).
    pub(crate) fn put_over(&mut self, us: i64) {
        if !self.has(Mark::Unseen) {
            self.mark(Mark::PutOver, us);
        }
    }

    /// When the car was last put elsewhere, µs.
    pub(crate) fn last_jump_us(&self) -> Option<i64> {
        self.since_us.iter().rfind(|(mark, _)| *mark == Mark::Jumped as u8).map(|(_, us)| self.start_us + us)
    }

    pub(crate) fn reasons(&self) -> Reasons {
        self.marks().fold(Reasons(0), |all, m| all.with(m.reasons_and_tags().0))
    }

    pub(crate) fn tags(&self) -> Tags {
        // The light is known to one frame (`tag.first-lap`, `tag.start-estimated`).
        let own = if self.from_green { Tags::FIRST_LAP.with(Tags::START_ESTIMATED) } else { Tags(0) };
        self.marks().fold(own, |all, m| all.with(m.reasons_and_tags().1))
    }

    fn marks(&self) -> impl Iterator<Item = Mark> {
        Mark::ALL.into_iter().filter(|m| self.has(*m))
    }

    /// Time of the last line crossed so far, including the start, µs.
    pub(crate) fn last_line_us(&self) -> i64 {
        self.start_us + self.splits_us.iter().sum::<i64>()
    }

    /// A sector ends at `us` (`sector.time`).
    pub(crate) fn split(&mut self, us: i64) {
        let before = self.last_line_us();
        self.splits_us.push(us - before);
    }

    /// The next mini-loop, as a fraction of the lap, if there is one before the finish (`loop.time`).
    #[inline]
    pub(crate) fn next_loop(&self) -> Option<f64> {
        let next = self.loops_us.len() + 1;
        (next < LOOPS).then(|| next as f64 / LOOPS as f64)
    }

    /// The next mini-loop was passed at `us`; `None` if the time is unknown (`loop.unknown`).
    pub(crate) fn pass_loop(&mut self, us: Option<i64>) {
        self.loops_us.push(us.map_or(-1, |us| us - self.start_us));
    }

    /// The car stood behind the line at the light, so that the lap before was only the way to the line: this lap is lap 1 and began with
    /// `way`, which ended at `line_us`.
    pub(crate) fn begin_with(&mut self, way: OpenLap, line_us: i64) {
        self.start_earlier(way.start_us);
        self.since_us.retain(|(mark, _)| !way.since_us.iter().any(|(m, _)| m == mark));
        self.since_us.extend(way.since_us);
        self.prepend(way.first_seq, way.spans);
        (self.number, self.from_green, self.start_tick, self.fuel_l) = (Some(1), true, way.start_tick, way.fuel_l);
        self.frames = self.frames.saturating_add(way.frames);
        self.grid = way.grid.map(|grid| Grid { x: grid.x - 1.0, unsure: false, left_us: Some(line_us) });
    }

    /// The frames of the lap begin with those of an earlier one: the present range of that, if it has one, and the ranges before it.
    fn prepend(&mut self, first_seq: Option<u64>, before: Vec<Frames>) {
        if let Some(first) = first_seq {
            // No run began in between, so the ranges of frames touch each other.
            match self.spans.first_mut() {
                Some(span) => span.1 = first,
                None => self.first_seq = Some(first),
            }
        }
        self.spans.splice(..0, before);
        self.spans.drain(..self.spans.len().saturating_sub(SPANS_MAX));
    }

    /// The car was put back before the line of `since`, at `us`: this lap goes on.
    pub(crate) fn go_on(self, mut since: OpenLap, us: i64) -> OpenLap {
        since.start_earlier(self.start_us);
        since.prepend(self.first_seq, self.spans.clone());
        let (spans, first_seq, frames) = (since.spans, since.first_seq, self.frames.saturating_add(since.frames));
        let mut lap = Self { spans, first_seq, frames, ..self };
        for (mark, since_us) in since.since_us {
            if !lap.since_us.iter().any(|(m, _)| *m == mark) {
                lap.since_us.push((mark, since_us));
            }
        }
        lap.jump(us);
        lap
    }

    /// Move the start of the lap back to `us`.
    pub(crate) fn start_earlier(&mut self, us: i64) {
        let earlier_us = self.start_us - us;
        self.start_us = us;
        self.loops_us.iter_mut().filter(|l| **l >= 0).for_each(|l| *l += earlier_us);
        self.splits_us.iter_mut().take(1).for_each(|split| *split += earlier_us);
        self.since_us.iter_mut().for_each(|(_, since)| *since += earlier_us);
    }

    /// Sector times of the lap that ends at `end_us`, in `lines + 1` sectors; `None` if one is unknown (`sector.sum`).
    pub(crate) fn sectors_us(&self, end_us: i64, lines: usize) -> Option<Vec<i64>> {
        (!self.no_sectors && !self.has(Mark::Jumped) && self.splits_us.len() == lines).then(|| {
            let mut sectors = self.splits_us.clone();
            sectors.push(end_us - self.last_line_us());
            sectors
        })
    }

    /// End the present range of frames, which belongs to run `run`, before `next_seq`.
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

    /// The oldest run was removed: its frames are dropped, and the numbers of the other runs move down by one.
    pub(crate) fn forget_oldest_run(&mut self) {
        self.spans.retain(|s| s.0 > 0);
        self.spans.iter_mut().for_each(|s| s.0 -= 1);
    }

    /// Undo what happened after `to_us`; `last_us` is the time of the lap's last frame.
    pub(crate) fn rewind(&mut self, to_us: i64, last_us: i64) {
        self.since_us.retain(|(_, us)| self.start_us + *us <= to_us);
        self.half_us = self.half_us.filter(|us| *us <= to_us);
        if let Some(grid) = &mut self.grid {
            grid.left_us = grid.left_us.filter(|us| *us <= to_us);
        }
        while self.last_line_us() > to_us && self.splits_us.pop().is_some() {}
        // A mini-loop with an unknown time is removed too. If the car is beyond it, it becomes unknown again.
        let start_us = self.start_us;
        while self.loops_us.pop_if(|us| *us < 0 || start_us + *us > to_us).is_some() {}
        // Only the number of frames is kept, so the remaining number is estimated by time.
        let (kept_us, all_us) = (to_us - self.start_us, last_us - self.start_us);
        if all_us > 0 && kept_us < all_us {
            self.frames = (i128::from(self.frames) * i128::from(kept_us.max(0)) / i128::from(all_us)) as u32;
        }
    }
}

/// A lap that is over: finished or abandoned.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct PastLap {
    pub(crate) lap: OpenLap,
    /// The car crossed the line, and the lap was emitted as a fact.
    #[serde(rename = "told")]
    pub(crate) emitted: bool,
    /// When it ended, µs.
    pub(crate) until_us: i64,
    /// Fuel at the end, l (kWh).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(crate) fuel_l: Option<f32>,
    /// Tick and sequence number of the frame at or after its end.
    pub(crate) until_tick: u32,
    pub(crate) until_seq: u64,
}

impl PastLap {
    /// Fuel used in the lap, l (kWh), if the whole lap was driven and the car not refuelled (`fuel.used`).
    pub(crate) fn fuel_used_l(&self) -> Option<f32> {
        let whole = ![Mark::Refuelled, Mark::Tow, Mark::Missing, Mark::Jumped].into_iter().any(|mark| self.lap.has(mark));
        let used_l = self.lap.fuel_l? - self.fuel_l?;
        // A car that coasts uses no fuel, and noise of the gauge must not make that negative.
        (self.emitted && whole).then_some(used_l.max(0.0))
    }
}

/// A lap with a jump, whose end was crossed; the simulator's counter has yet to say whether it counts.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Awaited {
    /// When it ended, µs; this identifies it among the past laps.
    pub(super) end_us: i64,
    /// Its number.
    pub(super) number: u32,
    /// The simulator's "last lap" before the crossing, µs.
    pub(super) before_us: Option<i64>,
    /// The simulator's number of the lap under way, in the newest frame.
    pub(super) lap: Option<u32>,
    /// Time of that frame, µs.
    pub(super) us: i64,
}
