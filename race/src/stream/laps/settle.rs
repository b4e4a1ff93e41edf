//! A lap is emitted at its crossing, and once more when it settles (`simtime.settled`).

use boxbox_schemas::results::{Lap, Reasons, Span, Tags};

use super::lap::PastLap;
use super::{Laps, SETTLE_US};
use crate::stream::fact::Fact;
use crate::stream::frame::Frame;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;

/// If our lap time and the simulator's differ by more than this, the lap gets the tag `SIM_TIME_DIFFERS`, µs.
const SIM_TIME_TOLERANCE_US: i64 = 50_000;
/// An unchanged "last lap" this close to our time belongs to this lap too: two equal laps in a row, µs. The value allows for noise at the
/// crossing of a slow or sliding car.
const SAME_TIME_US: i64 = 3_000;
/// A tail has this many revisions: at its crossing, and when the simulator has counted its lap.
pub(super) const TAIL_REVISIONS: u32 = 2;

impl Laps {
    /// The frame shows `us` as the simulator's last lap time. It may be the time of the pending lap (`simtime.match`).
    #[inline]
    pub(crate) fn see_sim_lap_time(&mut self, origin: &Origin<'_>, us: i64, out: &mut Vec<Fact>) {
        self.match_sim_lap_time(origin, us, out);
        self.before.sim_last_us = Some(us);
    }

    #[inline]
    fn match_sim_lap_time(&mut self, origin: &Origin<'_>, us: i64, out: &mut Vec<Fact>) {
        let Some(pending) = self.pending.filter(|p| !p.held) else { return };
        let Some(measured_us) = self.pending_lap().map(|p| p.until_us - p.lap.start_us) else { return };
        let new = match pending.before_us {
            Some(before) => us != before,
            // The value before the crossing is unknown, so only a time close to ours can belong to this lap.
            None => (us - measured_us).abs() <= SIM_TIME_TOLERANCE_US,
        };
        if new && us > 0 {
            self.settle(origin, Some(us), out);
        }
    }

    /// Settle the pending lap if it has waited long enough at this frame.
    #[inline]
    pub(crate) fn settle_when_due(&mut self, origin: &Origin<'_>, frame: &Frame, out: &mut Vec<Fact>) {
        let Some(pending) = self.pending.filter(|p| frame.us - p.end_us >= SETTLE_US && !p.held) else { return };
        self.mark_refused(frame);
        // A value that has not changed since before the crossing may belong to this lap too (`simtime.equal`).
        let equal = |us: &i64| *us > 0 && self.before.sim_last_us == Some(*us) && self.is_pending_time(*us);
        self.settle(origin, pending.before_us.filter(equal), out);
    }

    /// The simulator has counted the pending lap and still shows no time for it: it has refused the lap (`validity.refused`). Its time of
    /// a lap out of the pits is none either, and says nothing.
    fn mark_refused(&mut self, frame: &Frame) {
        let Some(end_us) = self.pending.map(|p| p.end_us).filter(|_| self.before.sim_last_us.is_some_and(|us| us < 0)) else { return };
        let Some(past) = self.past.iter_mut().rev().find(|p| p.emitted && p.until_us == end_us) else { return };
        let done = frame.laps_completed.or(frame.lap.map(|n| n.saturating_sub(1)));
        let counted = done.and_then(|n| u32::try_from(n).ok()).is_some_and(|n| past.lap.number.is_some_and(|number| n >= number));
        if counted && !past.lap.has(Mark::PitOut) {
            past.lap.mark(Mark::SimInvalid, end_us);
        }
    }

    /// Settle the pending lap, because the stream or the next lap has ended.
    pub(crate) fn settle_now(&mut self, origin: &Origin<'_>, out: &mut Vec<Fact>) {
        self.settle(origin, None, out);
    }

    /// No frame has come for a while before `us`: a lap that has waited long enough settles before the next frame is read, because the
    /// simulator's time in that frame may be that of a later lap (`resume.stale`).
    pub(crate) fn settle_stale(&mut self, origin: &Origin<'_>, us: i64, out: &mut Vec<Fact>) {
        if self.pending.is_some_and(|p| us - p.end_us >= SETTLE_US && !p.held) {
            self.settle_now(origin, out);
        }
    }

    /// Emit the pending lap for the last time, with the simulator's own time if it is known.
    fn settle(&mut self, origin: &Origin<'_>, sim_time_us: Option<i64>, out: &mut Vec<Fact>) {
        let Some(pending) = &mut self.pending else { return };
        pending.revision += 1;
        self.emit(origin, sim_time_us, true, out);
        self.pending = None;
    }

    fn is_pending_time(&self, us: i64) -> bool {
        self.pending_lap().is_some_and(|p| (us - (p.until_us - p.lap.start_us)).abs() <= SAME_TIME_US)
    }

    fn pending_lap(&self) -> Option<&PastLap> {
        let end_us = self.pending?.end_us;
        self.past.iter().rev().find(|p| p.emitted && p.until_us == end_us)
    }

    pub(super) fn emit(&self, origin: &Origin<'_>, sim_time_us: Option<i64>, settled: bool, out: &mut Vec<Fact>) {
        let (Some(past), Some(pending)) = (self.pending_lap(), self.pending) else { return };
        out.push(Fact::Lap(Lap { settled, revision: pending.revision, ..self.row(origin, past, sim_time_us) }));
    }

    /// The revision of the first fact about lap `number`: more than those of a tail that had this number and that the simulator did not count.
    pub(super) fn first_revision(&self, number: u32) -> u32 {
        if self.tail == Some(number) { TAIL_REVISIONS + 1 } else { 1 }
    }

    /// The row of a lap, settled.
    pub(super) fn row(&self, origin: &Origin<'_>, past: &PastLap, sim_time_us: Option<i64>) -> Lap {
        let (ctx, lap) = (origin.ctx, &past.lap);
        let number = lap.number.unwrap_or(self.last_number);
        let time_us = past.until_us - lap.start_us;
        let sectors_us = lap.sectors_us(past.until_us, origin.track().lines().len());
        let mut tags = seen_by(origin, lap.tags());
        if sectors_us.is_none() {
            // A sector line is missing (`tag.no-sectors`).
            tags = tags.with(Tags::NO_SECTORS);
        }
        // Both times are told, and neither replaces the other (`simtime.beside`).
        let same_time = sim_time_us.map(|us| (us - time_us).abs() <= SIM_TIME_TOLERANCE_US);
        if same_time == Some(false) && !tags.has(Tags::UNTIMED) {
            // A difference is worth seeing (`tag.sim-time-differs`).
            tags = tags.with(Tags::SIM_TIME_DIFFERS);
        }
        let mut reasons = lap.reasons();
        if same_time == Some(true) && !reasons.has(Reasons::SIM_INVALID) {
            // The simulator gives the lap the same time and does not call it invalid (`validity.cut`).
            reasons = reasons.without(Reasons::CUT);
        }
        Lap {
            session: ctx.session,
            entry: origin.entry(),
            number,
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: origin.timeline(),
            revision: self.first_revision(number),
            start_us: lap.start_us,
            end_us: past.until_us,
            time_us,
            sim_time_us,
            sectors_us: sectors_us.unwrap_or_default(),
            loops_us: if lap.loops_us.iter().any(|us| *us >= 0) { lap.loops_us.clone() } else { vec![] },
            fuel_l: past.fuel_l,
            fuel_used_l: past.fuel_used_l(),
            reasons,
            tags,
            frames: lap.frames,
            start_tick: lap.start_tick,
            end_tick: past.until_tick,
            settled: true,
            superseded: false,
            spans: if origin.own() { spans(origin, past) } else { vec![] },
        }
    }
}

/// A lap's tags, and that only others saw it, if so (`tag.field`).
pub(super) fn seen_by(origin: &Origin<'_>, tags: Tags) -> Tags {
    if origin.own() { tags } else { tags.with(Tags::FIELD).with(Tags::TIMING_ESTIMATED) }
}

/// The ranges of frames that the lap was computed from.
fn spans(origin: &Origin<'_>, past: &PastLap) -> Vec<Span> {
    let live = past.lap.first_seq.map(|first| (origin.identity.present_run(), first, past.until_seq + 1));
    let spans = past.lap.spans.iter().copied().chain(live);
    spans
        .map(|(run, first_seq, next_seq)| Span { driver: origin.ctx.driver, run: origin.identity.run_of(run, origin.ctx.run), first_seq, next_seq })
        .collect()
}
