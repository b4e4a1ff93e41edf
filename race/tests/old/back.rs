//! Going back and going on: rewinds within a stream (E2, E4, F4), and a client's new run that takes over an old one's state.

use super::lap::{Mark, PastLap};
use super::now::{Now, missing};
use super::step::{Sample, reach_m};
use super::stream::{PastRun, StreamRace, View};
use super::{Context, Fact, RUNS_MAX};

/// Beyond the lines that it must lie between, a car that comes back from a rewind may be this far off, m.
const RESUME_MARGIN_M: f64 = 15.0;

impl StreamRace {
    /// E2: this run goes on where `from`, an earlier one of the same driver, ends. A lap that is open stays open: it will
    /// carry `RESUMED` and the frames of both runs. What this run has heard of its session already holds.
    pub fn inherit(&mut self, from: &StreamRace) {
        let own = std::mem::replace(self, from.clone());
        let (old_run, next_seq) = (from.present_run(), from.at.map_or(0, |at| at.seq + 1));
        for past in &mut self.past {
            past.lap.seal(old_run, past.until_seq + 1);
        }
        if let Some(lap) = &mut self.lap {
            lap.seal(old_run, next_seq);
            lap.mark(Mark::Resumed, lap.start_us);
        }
        if let Some(run) = self.run.take() {
            self.before.push(PastRun { run, timeline: from.timeline });
        }
        if self.before.len() > RUNS_MAX {
            self.before.remove(0);
            for lap in self.past.iter_mut().map(|p| &mut p.lap).chain(&mut self.lap) {
                lap.forget_oldest_run();
            }
        }
        self.run = own.run;
        self.at_inherited = self.at.is_some();
        self.timeline = own.timeline;
        self.ignored = own.ignored;
        self.lost = own.lost;
        self.shows = self.shows.heir();
        self.keep_description(own);
    }

    /// The simulator went back to `to_us`; `seq` is the sequence number of the event that says so.
    pub(super) fn rewind(&mut self, ctx: &Context, to_tick: u32, to_us: i64, seq: u64, out: &mut Vec<Fact>) {
        let last_us = self.last_us.unwrap_or(to_us);
        self.timeline += 1;
        if self.view == View::Own {
            let entry = self.entry(ctx.driver);
            let told = |run, timeline| Fact::Rewind { entry, driver: ctx.driver, run, timeline, to_us, to_tick };
            out.extend(self.before.iter().map(|p| told(p.run, p.timeline + 1)));
            out.push(told(ctx.run, self.timeline));
        }

        if self.pending.is_some_and(|p| p.end_us > to_us) {
            self.pending = None;
        }
        if to_us > last_us && missing(last_us, to_us) {
            // Not back but ahead: what lies between was not driven.
            self.break_off(ctx, out);
        } else {
            self.reopen(to_us, last_us, seq);
        }
        self.counter.rewind(to_us);
        self.shows.rewind(to_us);
        self.rewind_pits(ctx, to_us, out);
        self.fuel_low_l = None;
        self.green_us = self.green_us.filter(|us| *us <= to_us);
        self.green_flag = false;
        self.last_tick = to_tick.checked_sub(1);
        self.last_us = Some(to_us.saturating_sub(1));
        self.at = None;
        self.at_inherited = false;
        self.resume_us = Some(to_us);
        self.blank = false;
        self.lost = false;
        self.in_pits = None;
        self.off_since_us = None;
        self.sim_invalid = false;
        self.sim_last_us = None;
    }

    /// Make the lap that was open at `to_us` the open one again.
    fn reopen(&mut self, to_us: i64, last_us: i64, seq: u64) {
        let at = self.at;
        if let Some(lap) = self.lap.take() {
            let (until_tick, until_seq) = at.map_or((0, 0), |at| (at.tick, at.seq));
            self.past.push(PastLap { lap, told: false, until_us: last_us.max(to_us).saturating_add(1), until_tick, until_seq, fuel_l: None });
        }
        let begun = self.past.partition_point(|p| p.lap.start_us <= to_us);
        self.past.truncate(begun);
        let open = self.past.pop_if(|p| p.until_us > to_us);
        self.last_number = match (&open, self.past.iter().rev().find_map(|p| p.lap.number.filter(|_| p.told))) {
            (_, Some(number)) => number,
            (Some(PastLap { lap, .. }), None) => lap.number.map_or(0, |n| n.saturating_sub(1)),
            (None, None) => 0,
        };
        self.lap = open.map(|PastLap { mut lap, until_us, until_seq, .. }| {
            let run = self.present_run();
            lap.seal(run, seq.min(until_seq + 1));
            lap.rewind(to_us, until_us);
            if lap.spans.iter().any(|s| s.0 != run) {
                lap.mark(Mark::Resumed, lap.start_us);
            }
            lap
        });
    }

    /// The first position of the stream, or after a rewind or reset: where the car came from, and where it is.
    ///
    /// After a rewind the car is taken to have driven at its speed from the moment returned to, so that a line
    /// just behind it is not lost.
    pub(super) fn resume(&self, now: &Now, pct: f64) -> Option<(Sample, Sample)> {
        let here = |x: f64| Sample::at(now, pct, x);
        let from_us = self.resume_us?;
        let length_m = self.track.length_m();
        let driven = f64::from(now.speed_mps.unwrap_or(0.0)) * (now.us - from_us) as f64 / 1e6 / length_m;
        let from = |x: f64| Sample { us: from_us, tick: now.tick.saturating_sub(1), ..here(x) };
        let Some(lap) = &self.lap else { return Some((from(pct - driven), here(pct))) };
        // The half of the lap says which lap a fraction near the line belongs to.
        let middle = if lap.half_us.is_some() { 0.75 } else { 0.25 };
        let x = pct + (middle - pct).round_ties_even();
        let passed = lap.splits_us.len();
        let line = |n: usize| if lap.no_sectors { None } else { self.track.line(n) };
        // On the grid a car stands behind the line that its lap will be counted from.
        let start = if lap.from_green || lap.no_sectors { -0.5 } else { 0.0 };
        let behind = passed.checked_sub(1).and_then(line).unwrap_or(start);
        let ahead = line(passed).unwrap_or(1.0);
        let reach = (reach_m(now.speed_mps, now.speed_mps, now.us - from_us, false) + RESUME_MARGIN_M) / length_m;
        if x < behind - RESUME_MARGIN_M / length_m || x > ahead + reach {
            return None;
        }
        Some((from((x - driven).min(ahead)), here(x)))
    }
}
