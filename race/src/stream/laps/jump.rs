//! Laps without a time: the car was put elsewhere in them, or no client saw their beginning or their end. The simulator's counters say
//! whether such a lap counts (`lap.jump`, `lap.untimed`).

use boxbox_schemas::results::Lap;

use super::grid::COUNTER_LAG_US;
use super::lap::{Awaited, OpenLap, PastLap};
use super::lines::fuel_at;
use super::shared::begun_before;
use super::{Laps, Pending, past_max};
use crate::stream::fact::Fact;
use crate::stream::frame::{Frame, missing};
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::step::{COUNTER_SETTLED, Sample};
use crate::stream::track::SessionKind;

/// The simulator's counters are right this long after a crossing or a jump, µs. Laps completed come up to 2.2 s late.
const COUNTER_WAIT_US: i64 = 5_000_000;
/// From this fraction of the lap on, a counter that is late has caught up.
const COUNTER_CAUGHT_UP: f64 = 0.15;
/// A car that was put back into the lap before is counted there after this time, µs.
const PUT_BACK_US: i64 = 1_000_000;

impl Laps {
    /// The car was put to `pct`, seen at `us`; `at` is where it was before, and its place was known until `known_us`. If the simulator counts laps, the open lap goes on without a
    /// time, so that the car keeps its place and its lap number; else the lap is abandoned.
    pub(crate) fn jump(
        &mut self,
        origin: &Origin<'_>,
        (at, known_us): (Option<Sample>, Option<i64>),
        (us, pct): (i64, Option<f64>),
        counts: bool,
        out: &mut Vec<Fact>,
    ) {
        if let (Some(_), Some(at)) = (self.unseen_us, &at) {
            self.close_unseen(origin, at, 0, out);
        }
        if self.on_grid(at.as_ref()) && pct.is_some_and(|pct| pct.rem_euclid(1.0) > 0.5) {
            // The way to the line from which race lap 1 counts is no part of a lap.
            return;
        }
        let Some(lap) = &mut self.open else { return };
        let counted = at.as_ref().and_then(|at| at.counted(origin.track()));
        // Near the line the counter is right a while after the crossing.
        let waited = at.as_ref().filter(|at| at.pct <= *COUNTER_SETTLED.end() && at.us - lap.start_us >= COUNTER_WAIT_US);
        let waited = waited.and_then(|at| at.lap).and_then(|n| u32::try_from(n).ok());
        let number = lap.number.or(counted).or(waited).filter(|n| counted.is_none_or(|counted| counted == *n));
        if number.is_none() || !counts || lap.taken_over.is_some() {
            self.abandon_open_lap(origin, at, out);
            return;
        }
        lap.number = number;
        let us = us.max(lap.start_us);
        lap.jump(us);
        if known_us.is_none_or(|known_us| missing(known_us, us)) {
            lap.mark(Mark::Unseen, us);
        }
    }

    /// Progress of a car that was put to `pct` from `at`. Whether it is in the same lap is decided by the counter, later.
    pub(crate) fn progress_after_jump(&self, at: Option<&Sample>, pct: f64) -> f64 {
        let x = pct.rem_euclid(1.0);
        if self.open.is_none() {
            pct
        } else if self.on_grid(at) && x > 0.5 {
            x - 1.0
        } else {
            x
        }
    }

    /// Whether the car has yet to reach the line from which race lap 1 counts.
    fn on_grid(&self, at: Option<&Sample>) -> bool {
        self.open.as_ref().is_some_and(|lap| lap.from_green) && at.is_some_and(|at| at.x < 0.0)
    }

    /// A lap with a jump ends at `us`. The lap that begins is numbered by the counter.
    pub(super) fn close_jumped(&mut self, origin: &Origin<'_>, lap: OpenLap, us: i64, (a, b): (&Sample, &Sample), out: &mut Vec<Fact>) {
        let number = lap.number.unwrap_or(self.last_number + 1);
        let past = PastLap { lap, emitted: false, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: fuel_at(us, a, b) };
        self.await_counters(origin, past, number, out);
    }

    /// Whether lap `number` counts is for the simulator's counters to say.
    pub(super) fn await_counters(&mut self, origin: &Origin<'_>, past: PastLap, number: u32, out: &mut Vec<Fact>) {
        self.decide_now(origin, out);
        self.settle_now(origin, out);
        let us = past.until_us;
        self.awaited = Some(Awaited { end_us: us, number, before_us: self.before.sim_last_us, lap: None, us });
        self.keep_past_lap(origin, past);
    }

    /// Compare laps that have a jump with the simulator's counters.
    #[inline]
    pub(crate) fn follow_counters(&mut self, origin: &Origin<'_>, frame: &Frame, at: Option<&Sample>, out: &mut Vec<Fact>) {
        if self.awaited.is_some() || self.open.as_ref().is_some_and(|lap| lap.has(Mark::Jumped)) {
            self.follow(origin, frame, at, out);
        }
    }

    #[cold]
    fn follow(&mut self, origin: &Origin<'_>, frame: &Frame, at: Option<&Sample>, out: &mut Vec<Fact>) {
        let counted = frame.laps_counted();
        if let Some(awaited) = &mut self.awaited {
            (awaited.lap, awaited.us) = (frame.sim_lap_number(), frame.us);
            let Awaited { end_us, number, before_us, .. } = *awaited;
            let waited = frame.us - end_us >= COUNTER_WAIT_US;
            // A counter of laps completed is never early.
            let certain = waited || frame.laps_completed.is_some();
            match counted.filter(|n| certain && *n >= number) {
                Some(counted) => {
                    let sim_time_us = Some(frame.last_lap_us).filter(|us| *us > 0 && before_us.is_some_and(|before| before != *us));
                    self.count(origin, counted, sim_time_us, out);
                }
                None if waited => self.awaited = None,
                None => {}
            }
        }
        let Some(lap) = &mut self.open else { return };
        let (Some(number), Some(jumped_us)) = (lap.number, lap.last_jump_us()) else { return };
        let caught_up = at.is_some_and(|at| at.pct >= COUNTER_CAUGHT_UP);
        let certain = frame.laps_completed.is_some() || (caught_up && at.and_then(|at| at.counted(origin.track())).is_some());
        if let Some(counted) = counted.filter(|n| certain && *n >= number) {
            self.count_at_jump(origin, counted, jumped_us, frame, out);
        } else if caught_up && frame.us - jumped_us >= PUT_BACK_US && frame.sim_lap_number().is_some_and(|n| n < number) {
            // It was put back into a lap that has ended already: the lap begins again at the next crossing.
            self.abandon_open_lap(origin, at.copied(), out);
        }
    }

    /// Frames are missing over the line at the end of the pending lap: do the simulator's counters say that it is over (`lap.asked`)?
    pub(super) fn ask_counter_of_line(&mut self, origin: &Origin<'_>, frame: &Frame, out: &mut Vec<Fact>) {
        let Some(Pending { end_us, asked_us: Some(asked_us), .. }) = self.pending else { return };
        let Some(k) = self.past.iter().rposition(|p| p.emitted && p.until_us == end_us) else { return };
        let (Some(begun), Some(number), Some(pct)) = (frame.sim_lap_number(), self.past[k].lap.number, frame.pct) else { return };
        let waited_us = if COUNTER_SETTLED.contains(&pct) { COUNTER_LAG_US } else { COUNTER_WAIT_US };
        if begun > number {
            if let Some(pending) = &mut self.pending {
                (pending.held, pending.asked_us) = (false, None);
            }
            self.emit(origin, None, false, out);
        } else if frame.us - asked_us >= waited_us && pct <= *COUNTER_SETTLED.end() {
            // The car was put back, and the lap goes on.
            let past = self.past.remove(k);
            let Some(lap) = self.open.take() else { return };
            self.open = Some(past.lap.go_on(lap, asked_us));
            self.pending = None;
            self.last_number = number.saturating_sub(1);
        }
    }

    /// The stream ends, or another lap does: decide by the newest counters.
    pub(crate) fn decide_now(&mut self, origin: &Origin<'_>, out: &mut Vec<Fact>) {
        let Some(Awaited { number, lap: Some(lap), .. }) = self.awaited else {
            self.awaited = None;
            return;
        };
        if lap > number {
            self.count(origin, lap - 1, None, out);
        }
        self.awaited = None;
    }

    /// The simulator counts the awaited lap: it has completed `counted` laps.
    fn count(&mut self, origin: &Origin<'_>, counted: u32, sim_time_us: Option<i64>, out: &mut Vec<Fact>) {
        let Some(Awaited { end_us, number, .. }) = self.awaited.take() else { return };
        let Some(mut k) = self.past.iter().rposition(|p| !p.emitted && p.until_us == end_us) else { return };
        if self.past[k].lap.taken_over.is_some() {
            self.past[k].emitted = true;
            let past = self.past[k].clone();
            self.count_tail(origin, &past, number, out);
            return;
        }
        if counted > number
            && let Some(jumped_us) = self.past[k].lap.last_jump_us()
        {
            // The line was crossed in the jump as well: the first lap ended there, and the last one began there.
            let mut first = PastLap { until_us: jumped_us, fuel_l: None, emitted: true, ..self.past[k].clone() };
            first.lap.put_over(jumped_us);
            self.emit_untimed(origin, &first, number, None, out);
            self.past[k].lap = jumped(jumped_us, &first.lap);
            self.past.insert(k, first);
            k += 1;
        }
        self.past[k].lap.number = Some(counted);
        self.emit_untimed(origin, &self.past[k], counted, sim_time_us, out);
        self.past[k].emitted = true;
        let most = past_max(origin);
        self.past.drain(..self.past.len().saturating_sub(most));
        self.last_number = counted;
        if let Some(lap) = self.open.as_mut().filter(|lap| lap.start_us >= end_us) {
            lap.number.get_or_insert(counted + 1);
        }
    }

    /// The simulator counts the open lap, in which the car was put over the line at `us`: it has completed `counted` laps.
    fn count_at_jump(&mut self, origin: &Origin<'_>, counted: u32, us: i64, frame: &Frame, out: &mut Vec<Fact>) {
        self.settle_now(origin, out);
        let Some(mut lap) = self.open.take() else { return };
        // In the race, when the lap began that the car is in is only estimated if no client saw that.
        let joins = lap.has(Mark::Unseen) && origin.track().kind == SessionKind::Race;
        let joined = frame.pct.filter(|_| joins).map(|pct| begun_before(origin, us, frame, pct));
        let mut next = joined.unwrap_or_else(|| jumped(us, &lap));
        next.number = Some(counted + 1);
        lap.put_over(us);
        let number = lap.number.unwrap_or(counted);
        let past = PastLap { lap, emitted: true, until_us: us, until_tick: frame.tick, until_seq: frame.seq, fuel_l: None };
        if counted == number {
            self.emit_untimed(origin, &past, number, None, out);
        }
        self.last_number = counted;
        self.keep_past_lap(origin, PastLap { emitted: counted == number, ..past });
        self.open = Some(next);
    }

    /// A frame without a position: the simulator may count the open lap in it.
    pub(crate) fn blank_counts(&mut self, origin: &Origin<'_>, frame: &Frame, at: Option<&Sample>, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (&self.open, at) else { return };
        if origin.in_team() {
            // Another driver may drive the car, and tell the end of the lap (`swap.watching`).
            return;
        }
        let (number, before) = (lap.number.or(at.counted(origin.track())), at.lap.and_then(|n| u32::try_from(n).ok()));
        let completed = frame.laps_completed.and_then(|n| u32::try_from(n).ok());
        let counts = number.is_some() && number == completed && number == before && !lap.has(Mark::Jumped) && lap.taken_over.is_none();
        if counts {
            self.unseen_us.get_or_insert(frame.us);
        }
        if self.unseen_us.is_some() && frame.us - at.us >= COUNTER_WAIT_US {
            self.close_unseen(origin, at, frame.last_lap_us, out);
        }
    }

    /// The simulator counted the open lap, and no frame shows the car behind the line; `at` is its last position. The lap ends when a car at
    /// this speed would have crossed the line, or where the simulator's time `sim_last_us` says.
    pub(crate) fn close_unseen(&mut self, origin: &Origin<'_>, at: &Sample, sim_last_us: i64, out: &mut Vec<Fact>) {
        let Some(counted_us) = self.unseen_us.take() else { return };
        let Some(mut lap) = self.open.take() else { return };
        let number = lap.number.or(at.counted(origin.track())).unwrap_or(self.last_number + 1);
        let range = at.us..=counted_us.max(at.us);
        let sim_time_us = Some(sim_last_us).filter(|us| self.before.sim_last_us != Some(*us) && range.contains(&(lap.start_us + us)));
        let metres = (1.0 - at.x).clamp(0.0, 1.0) * origin.track().length_m();
        let mps = f64::from(at.speed_mps.unwrap_or(0.0)).max(1.0);
        let end_us = sim_time_us.map_or(at.us + (metres / mps * 1e6) as i64, |us| lap.start_us + us).clamp(*range.start(), *range.end());
        self.settle_now(origin, out);
        lap.number = Some(number);
        lap.mark(Mark::Jumped, end_us);
        let past = PastLap { lap, emitted: true, until_us: end_us, until_tick: at.tick, until_seq: at.seq, fuel_l: None };
        self.emit_untimed(origin, &past, number, sim_time_us, out);
        self.last_number = number;
        self.keep_past_lap(origin, past);
    }

    fn emit_untimed(&self, origin: &Origin<'_>, past: &PastLap, number: u32, sim_time_us: Option<i64>, out: &mut Vec<Fact>) {
        out.push(Fact::Lap(Lap { number, ..self.row(origin, past, sim_time_us) }));
    }
}

/// The lap that began with the jump at `us` out of `lap`: no client saw where.
fn jumped(us: i64, lap: &OpenLap) -> OpenLap {
    let mut next = OpenLap::new(us, lap.start_tick, 0, lap.splits_us.len() + 1);
    (next.frames, next.first_seq, next.spans, next.half_us) = (lap.frames, lap.first_seq, lap.spans.clone(), lap.half_us);
    next.mark(Mark::Jumped, us);
    next
}
