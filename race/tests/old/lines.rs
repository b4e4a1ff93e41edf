//! Lines crossed: laps opened, split, closed, told, settled.

use boxbox_schemas::results::{Lap, Span, Tags};

use super::lap::{Mark, OpenLap, PastLap};
use super::now::missing;
use super::step::{Sample, crossed_us};
use super::stream::{Pending, PitEdge, StreamRace, View};
use super::track::Kind;
use super::{Context, Fact, PAST_LAPS, PAST_LAPS_FIELD, SAME_TIME_US, SETTLE_US, SIM_TIME_TOLERANCE_US};

/// Why a lap settles.
#[derive(Clone, Copy, Debug)]
pub(super) enum Settle {
    /// The simulator's own time of it came, µs.
    SimTime(i64),
    /// It was waited for long enough.
    TimeOut,
    /// The stream ends, or the next lap.
    Now,
}

/// Progress at the end of a lap.
const FINISH: f64 = 1.0;

impl StreamRace {
    /// The car drove from `a` to `b`: every line between them is crossed, in order.
    #[inline]
    pub(super) fn advance(&mut self, ctx: &Context, mut a: Sample, mut b: Sample, mut edge: Option<PitEdge>, out: &mut Vec<Fact>) {
        let gap = missing(a.us, b.us);
        if let Some(lap) = &mut self.lap {
            lap.frames = lap.frames.saturating_add(1);
            lap.first_seq.get_or_insert(b.seq);
            if gap {
                lap.mark(Mark::Missing, a.us);
            }
        }
        // At most two turns: `progress` and `resume` let no two frames be two laps apart.
        while let Some(us) = self.next_line(&a, &b, gap) {
            let in_pits = match edge {
                Some(e) if e.us < us => {
                    self.apply(e);
                    edge = None;
                    e.entered
                }
                Some(e) => !e.entered,
                None => self.in_pits == Some(true) || self.blank,
            };
            let (turn, number) = match self.lap.take() {
                Some(lap) if lap.taken_over.is_some() => {
                    self.close_part(ctx, lap, us, &b, out);
                    (FINISH, None)
                }
                Some(lap) => (FINISH, Some(self.close(ctx, lap, us, (&a, &b), out) + 1)),
                None => (b.x.floor(), None),
            };
            a.x -= turn;
            b.x -= turn;
            if self.track.kind == Kind::Race && self.before_green && self.green_us.is_none() {
                // Parade laps are none.
                break;
            }
            self.open(us, &a, &b, number, in_pits);
        }
        if let Some(e) = edge {
            self.apply(e);
        }
        if let Some(lap) = &mut self.lap
            && b.x >= FINISH / 2.0
        {
            lap.half_us.get_or_insert(b.us);
        }
        self.at = Some(b);
    }

    /// Split the open lap at every sector line up to `b`, and say when the finish line was crossed, if it was.
    #[inline]
    fn next_line(&mut self, a: &Sample, b: &Sample, gap: bool) -> Option<i64> {
        let Some(lap) = &mut self.lap else {
            // No lap is open: any line opens one.
            let line = b.x.floor();
            return (a.x < line).then(|| crossed_us(a, b, line));
        };
        while let Some(line) = self.track.line(lap.splits_us.len()).filter(|line| !lap.no_sectors && b.x >= *line) {
            if gap {
                lap.mark(Mark::Estimated, a.us);
            }
            lap.split(crossed_us(a, b, line));
        }
        while let Some(line) = lap.next_loop().filter(|line| b.x >= *line) {
            let seen = a.x < line && !gap && !self.blank;
            lap.pass_loop(seen.then(|| crossed_us(a, b, line)));
        }
        if b.x < FINISH {
            return None;
        }
        if gap {
            lap.mark(Mark::Estimated, a.us);
        }
        Some(crossed_us(a, b, FINISH))
    }

    fn open(&mut self, us: i64, a: &Sample, b: &Sample, number: Option<u32>, in_pits: bool) {
        let mut lap = OpenLap::new(us, a.tick, a.seq, self.track.lines().len() + 1);
        lap.number = number;
        lap.fuel_l = fuel_at(us, a, b);
        self.fuel_low_l = None;
        // After a rewind the car comes from a moment that no frame shows.
        lap.frames = 1 + u32::from(a.seq != b.seq);
        if self.at_inherited {
            lap.frames = 2;
            lap.seal(self.present_run().saturating_sub(1), a.seq + 1);
            lap.first_seq = Some(b.seq);
            lap.mark(Mark::Resumed, us);
        }
        if in_pits {
            lap.mark(Mark::PitOut, us);
        }
        if missing(a.us, b.us) {
            lap.mark(Mark::Missing, us);
            lap.mark(Mark::Estimated, us);
        }
        self.lap = Some(lap);
    }

    /// `lap` ends at `us`: tell it. Its number.
    fn close(&mut self, ctx: &Context, mut lap: OpenLap, us: i64, (a, b): (&Sample, &Sample), out: &mut Vec<Fact>) -> u32 {
        // A first lap of a race whose green light nobody saw is the rest of a lap.
        let told = self.track.kind != Kind::Race || lap.from_green || lap.number != Some(1);
        // Of a lap whose second half nobody saw, the simulator's count before that says which it was.
        let number = lap.number.or(a.counted()).unwrap_or(0).max(self.last_number + 1);
        lap.number = Some(number);
        self.settle(ctx, Settle::Now, out);
        self.last_number = number;
        self.remember(PastLap { lap, told, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: fuel_at(us, a, b) });
        if told {
            self.pending = Some(Pending { end_us: us, revision: 1, before_us: self.sim_last_us });
            self.tell(ctx, None, false, out);
        }
        number
    }

    /// The open lap will not be finished: the car jumped, or was reset.
    pub(super) fn break_off(&mut self, ctx: &Context, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (self.lap.take(), self.at) else { return };
        if self.past.len() >= self.past_max() && self.pending.is_some_and(|p| self.past[0].until_us == p.end_us) {
            self.settle(ctx, Settle::Now, out);
        }
        self.last_number = self.last_number.max(lap.number.map_or(0, |n| n.saturating_sub(1)));
        self.remember(PastLap { lap, told: false, until_us: at.us, until_tick: at.tick, until_seq: at.seq, fuel_l: None });
    }

    fn remember(&mut self, past: PastLap) {
        while self.past.len() >= self.past_max() {
            self.past.remove(0);
        }
        self.past.push(past);
    }

    fn past_max(&self) -> usize {
        if self.view == View::Own { PAST_LAPS } else { PAST_LAPS_FIELD }
    }

    /// The simulator says that its last lap took `us`.
    #[inline]
    pub(super) fn sim_time_came(&mut self, ctx: &Context, us: i64, out: &mut Vec<Fact>) {
        let Some(pending) = self.pending else { return };
        let Some(measured_us) = self.pending_lap().map(|p| p.until_us - p.lap.start_us) else { return };
        let new = match pending.before_us {
            Some(before) => us != before,
            // What it was before the line is not known, so only a time like ours can be this lap's.
            None => (us - measured_us).abs() <= SIM_TIME_TOLERANCE_US,
        };
        if new && us > 0 {
            self.settle(ctx, Settle::SimTime(us), out);
        }
    }

    #[inline]
    pub(super) fn settle_when_due(&mut self, ctx: &Context, now_us: i64, out: &mut Vec<Fact>) {
        if self.pending.is_some_and(|p| now_us - p.end_us >= SETTLE_US) {
            self.settle(ctx, Settle::TimeOut, out);
        }
    }

    /// Nothing more is waited for: tell the pending lap for the last time.
    pub(super) fn settle(&mut self, ctx: &Context, why: Settle, out: &mut Vec<Fact>) {
        let Some(pending) = &mut self.pending else { return };
        pending.revision += 1;
        let before_us = pending.before_us;
        let sim_time_us = match why {
            Settle::SimTime(us) => Some(us),
            Settle::TimeOut => before_us.filter(|us| *us > 0 && self.sim_last_us == Some(*us) && self.is_pending_time(*us)),
            Settle::Now => None,
        };
        self.tell(ctx, sim_time_us, true, out);
        self.pending = None;
    }

    /// Whether `us`, unchanged since before the line, is the pending lap's time too: two equal laps in a row.
    fn is_pending_time(&self, us: i64) -> bool {
        self.pending_lap().is_some_and(|p| (us - (p.until_us - p.lap.start_us)).abs() <= SAME_TIME_US)
    }

    fn pending_lap(&self) -> Option<&PastLap> {
        let end_us = self.pending?.end_us;
        self.past.iter().rev().find(|p| p.told && p.until_us == end_us)
    }

    fn tell(&self, ctx: &Context, sim_time_us: Option<i64>, settled: bool, out: &mut Vec<Fact>) {
        let (Some(past), Some(pending)) = (self.pending_lap(), self.pending) else { return };
        let lap = &past.lap;
        let time_us = past.until_us - lap.start_us;
        let sectors_us = lap.sectors_us(past.until_us, self.track.lines().len());
        let mut tags = lap.tags();
        if self.view != View::Own {
            tags = tags.with(Tags::FIELD).with(Tags::TIMING_ESTIMATED);
        }
        if sectors_us.is_none() {
            tags = tags.with(Tags::NO_SECTORS);
        }
        if sim_time_us.is_some_and(|us| (us - time_us).abs() > SIM_TIME_TOLERANCE_US) {
            tags = tags.with(Tags::SIM_TIME_DIFFERS);
        }
        out.push(Fact::Lap(Lap {
            session: ctx.session,
            entry: self.told_as(ctx),
            number: lap.number.unwrap_or(self.last_number),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: self.timeline,
            revision: pending.revision,
            start_us: lap.start_us,
            end_us: past.until_us,
            time_us,
            sim_time_us,
            sectors_us: sectors_us.unwrap_or_default(),
            loops_us: if lap.loops_us.iter().any(|us| *us >= 0) { lap.loops_us.clone() } else { vec![] },
            fuel_l: past.fuel_l,
            fuel_used_l: past.fuel_used_l(),
            reasons: lap.reasons(),
            tags,
            frames: lap.frames,
            start_tick: lap.start_tick,
            end_tick: past.until_tick,
            settled,
            superseded: false,
            spans: if self.view == View::Own { self.spans(ctx, past) } else { vec![] },
        }));
    }

    pub(super) fn spans(&self, ctx: &Context, past: &PastLap) -> Vec<Span> {
        let run_of = |run: u8| self.before.get(usize::from(run)).map_or(ctx.run, |p| p.run);
        let live = past.lap.first_seq.map(|first| (self.present_run(), first, past.until_seq + 1));
        let spans = past.lap.spans.iter().copied().chain(live);
        spans.map(|(run, first_seq, next_seq)| Span { driver: ctx.driver, run: run_of(run), first_seq, next_seq }).collect()
    }

    /// The number under which runs of frames of this stream are kept.
    pub(super) fn present_run(&self) -> u8 {
        self.before.len() as u8
    }
}

/// The fuel at a line crossed at `us`: what the nearer of the two frames around it shows. A 60 Hz frame is 1 ml off at most.
fn fuel_at(us: i64, a: &Sample, b: &Sample) -> Option<f32> {
    if us - a.us < b.us - us { a.fuel_l.or(b.fuel_l) } else { b.fuel_l.or(a.fuel_l) }
}
