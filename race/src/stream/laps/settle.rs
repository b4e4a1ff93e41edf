//! A lap is reported at its crossing, and once more when nothing more is waited for (`simtime.settled`).

use boxbox_schemas::results::{Lap, Span, Tags};

use super::Laps;
use super::lap::PastLap;
use crate::stream::fact::Fact;
use crate::stream::identity::Reporter;

/// The simulator's own lap time comes up to 2.2 s after the line; later than this it is not waited for, µs.
const SETTLE_US: i64 = 5_000_000;
/// Between ours and the simulator's lap time; beyond it the lap says that they differ, µs.
const SIM_TIME_TOLERANCE_US: i64 = 50_000;
/// An unchanged "last lap" that is this close to ours is this lap's too: two equal laps in a row, µs. The noise of a slow or sliding car's crossing.
const SAME_TIME_US: i64 = 3_000;

impl Laps {
    /// The frame shows `us` as the simulator's last lap: it may be the time of the lap that waits for it (`simtime.match`).
    #[inline]
    pub(crate) fn sim_time(&mut self, by: &Reporter<'_>, us: i64, out: &mut Vec<Fact>) {
        self.sim_time_came(by, us, out);
        self.before.sim_last_us = Some(us);
    }

    #[inline]
    fn sim_time_came(&mut self, by: &Reporter<'_>, us: i64, out: &mut Vec<Fact>) {
        let Some(pending) = self.pending else { return };
        let Some(measured_us) = self.pending_lap().map(|p| p.until_us - p.lap.start_us) else { return };
        let new = match pending.before_us {
            Some(before) => us != before,
            // What it was before the line is not known, so only a time like ours can be this lap's.
            None => (us - measured_us).abs() <= SIM_TIME_TOLERANCE_US,
        };
        if new && us > 0 {
            self.settle(by, Some(us), out);
        }
    }

    /// The simulator's time was waited for long enough at `now_us`.
    #[inline]
    pub(crate) fn settle_when_due(&mut self, by: &Reporter<'_>, now_us: i64, out: &mut Vec<Fact>) {
        let Some(pending) = self.pending.filter(|p| now_us - p.end_us >= SETTLE_US) else { return };
        // Unchanged since before the line, it may be this lap's too (`simtime.equal`).
        let equal = |us: &i64| *us > 0 && self.before.sim_last_us == Some(*us) && self.is_pending_time(*us);
        self.settle(by, pending.before_us.filter(equal), out);
    }

    /// The stream ends, or the next lap: nothing more is waited for.
    pub(crate) fn settle_now(&mut self, by: &Reporter<'_>, out: &mut Vec<Fact>) {
        self.settle(by, None, out);
    }

    /// The pending lap is reported for the last time, with the simulator's own time if it is known.
    fn settle(&mut self, by: &Reporter<'_>, sim_time_us: Option<i64>, out: &mut Vec<Fact>) {
        let Some(pending) = &mut self.pending else { return };
        pending.revision += 1;
        self.report(by, sim_time_us, true, out);
        self.pending = None;
    }

    fn is_pending_time(&self, us: i64) -> bool {
        self.pending_lap().is_some_and(|p| (us - (p.until_us - p.lap.start_us)).abs() <= SAME_TIME_US)
    }

    fn pending_lap(&self) -> Option<&PastLap> {
        let end_us = self.pending?.end_us;
        self.past.iter().rev().find(|p| p.told && p.until_us == end_us)
    }

    pub(super) fn report(&self, by: &Reporter<'_>, sim_time_us: Option<i64>, settled: bool, out: &mut Vec<Fact>) {
        let (Some(past), Some(pending)) = (self.pending_lap(), self.pending) else { return };
        let (ctx, lap) = (by.ctx, &past.lap);
        let time_us = past.until_us - lap.start_us;
        let sectors_us = lap.sectors_us(past.until_us, by.track().lines().len());
        let mut tags = lap.tags();
        if !by.own() {
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
            entry: by.entry(),
            number: lap.number.unwrap_or(self.last_number),
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: by.timeline(),
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
            spans: if by.own() { spans(by, past) } else { vec![] },
        }));
    }
}

/// The frames that the lap was computed from.
pub(super) fn spans(by: &Reporter<'_>, past: &PastLap) -> Vec<Span> {
    let live = past.lap.first_seq.map(|first| (by.identity.present_run(), first, past.until_seq + 1));
    let spans = past.lap.spans.iter().copied().chain(live);
    spans.map(|(run, first_seq, next_seq)| Span { driver: by.ctx.driver, run: by.identity.run_of(run, by.ctx.run), first_seq, next_seq }).collect()
}
