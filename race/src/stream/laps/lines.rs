//! Crossings of lines: they open, split and close laps.

use super::lap::{OpenLap, PastLap};
use super::{Laps, Pending};
use crate::stream::fact::Fact;
use crate::stream::frame::missing;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::motion::{Motion, PitEdge};
use crate::stream::start::RaceStart;
use crate::stream::step::{Sample, crossed_us};
use crate::stream::track::SessionKind;

/// Where frames are missing over a line for so long, the simulator's counter says whether the car drove over it, µs (`lap.asked`).
const ASKED_US: i64 = 300_000;

/// Progress at the end of a lap.
const FINISH: f64 = 1.0;

impl Laps {
    /// The car drove from `a` to `b` and crossed every line between them, in order. It entered or left the pits at `edge`, and
    /// `mark` holds for every lap of this way. `motion` is the state at `a`, except for the pits. The progress of `b` is changed to that in the lap that is open at the end.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        origin: &Origin<'_>,
        (motion, start): (&Motion, &RaceStart),
        (mut a, b): (Sample, &mut Sample),
        (mut edge, mark): (Option<PitEdge>, Option<Mark>),
        out: &mut Vec<Fact>,
    ) {
        let gap = missing(a.us, b.us);
        if let Some(lap) = &mut self.open {
            lap.frames = lap.frames.saturating_add(1);
            lap.first_seq.get_or_insert(b.seq);
            if gap {
                // No client saw what was driven here (`validity.discontinuity`).
                lap.mark(Mark::Missing, a.us);
            }
            if let Some(mark) = mark {
                lap.mark(mark, b.us);
            }
        }
        // At most two turns: `Motion::driven` accepts less than two laps between two frames.
        while let Some(us) = self.next_line(origin, &a, b, motion.blank || gap) {
            let in_pits = match edge {
                Some(e) if e.us < us => {
                    self.mark_pit_edge(e);
                    edge = None;
                    e.entered
                }
                Some(e) => !e.entered,
                None => motion.in_pits == Some(true) || motion.blank,
            };
            let (turn, number) = match self.open.take() {
                Some(lap) if lap.taken_over.is_some() => (FINISH, self.end_taken_over(origin, lap, us, b, out).map(|number| number + 1)),
                Some(mut lap) if lap.has(Mark::Jumped) || lap.lacks_its_light(origin) => {
                    lap.mark(Mark::Jumped, lap.start_us);
                    self.close_jumped(origin, lap, us, (&a, b), out);
                    (FINISH, None)
                }
                Some(lap) => (FINISH, Some(self.close(origin, lap, us, (&a, b), out) + 1)),
                None => (b.x.floor(), None),
            };
            a.x -= turn;
            b.x -= turn;
            if start.parade(origin.track().kind) {
                break;
            }
            self.begin_at_line(origin, us, (&a, b), number, (in_pits, motion.at_inherited));
            if let Some(mark) = mark {
                self.mark(mark, b.us);
            }
        }
        if let Some(e) = edge {
            self.mark_pit_edge(e);
        }
        if let Some(lap) = &mut self.open {
            lap.leave_grid(b.x, b.us);
            if b.x >= FINISH / 2.0 {
                lap.half_us.get_or_insert(b.us);
            }
        }
    }

    /// Split the open lap at every line up to `b`. Returns when the car crossed the finish line, if it did. `unseen`: blank samples or
    /// a long gap lie in between (`lap.once`).
    #[inline]
    fn next_line(&mut self, origin: &Origin<'_>, a: &Sample, b: &Sample, unseen: bool) -> Option<i64> {
        let Some(lap) = &mut self.open else {
            // No lap is open: the finish line opens one.
            let line = b.x.floor();
            return (a.x < line).then(|| crossed_us(a, b, line));
        };
        let gap = missing(a.us, b.us);
        while let Some(line) = origin.track().line(lap.splits_us.len()).filter(|line| !lap.no_sectors && b.x >= *line) {
            if gap {
                lap.mark(Mark::Estimated, a.us);
            }
            lap.split(crossed_us(a, b, line));
        }
        while let Some(line) = lap.next_loop().filter(|line| b.x >= *line) {
            let seen = a.x < line && !unseen;
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

    /// Mark the open lap as in lap or out lap (`validity.in-lap`, `validity.out-lap`).
    fn mark_pit_edge(&mut self, edge: PitEdge) {
        let Some(lap) = &mut self.open else { return };
        if edge.entered && !edge.flicker {
            lap.mark(Mark::PitIn, edge.us);
        } else if !lap.has(Mark::PitIn) {
            lap.mark(Mark::PitOut, edge.us);
        }
    }

    // The way from the stall to this line is no lap (`lap.from-stall`).
    fn begin_at_line(&mut self, origin: &Origin<'_>, us: i64, (a, b): (&Sample, &Sample), number: Option<u32>, (in_pits, inherited): (bool, bool)) {
        let mut lap = OpenLap::new(us, a.tick, a.seq, origin.track().lines().len() + 1);
        lap.number = number;
        lap.fuel_l = fuel_at(us, a, b);
        // After a rewind the car comes from a moment without a frame.
        lap.frames = 1 + u32::from(a.seq != b.seq);
        if inherited {
            lap.frames = 2;
            lap.seal(origin.identity.present_run().saturating_sub(1), a.seq + 1);
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
        self.begin(lap);
    }

    /// `lap` ends at `us`: emit it. Returns its number (`lap.is`).
    fn close(&mut self, origin: &Origin<'_>, mut lap: OpenLap, us: i64, (a, b): (&Sample, &Sample), out: &mut Vec<Fact>) -> u32 {
        self.decide_now(origin, out);
        // If the second half of the lap was not seen, the simulator's counter in the first half gives the number.
        let number = lap.number.or(a.counted(origin.track())).unwrap_or(0).max(self.last_number + 1);
        lap.number = Some(number);
        let asks = b.us - a.us >= ASKED_US && a.lap == b.lap && a.counted(origin.track()) == Some(number);
        let held = asks || lap.grid.is_some_and(|grid| grid.unsure);
        let asked_us = asks.then_some(b.us);
        self.settle_now(origin, out);
        self.last_number = number;
        self.keep_past_lap(origin, PastLap { lap, emitted: true, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: fuel_at(us, a, b) });
        self.pending = Some(Pending { end_us: us, revision: self.first_revision(number), before_us: self.before.sim_last_us, held, asked_us });
        if !held {
            self.emit(origin, None, false, out);
        }
        number
    }
}

impl OpenLap {
    /// It is lap 1 of a race whose light was not seen: it began before it was open, and has no time (`lap.untimed`).
    fn lacks_its_light(&self, origin: &Origin<'_>) -> bool {
        origin.track().kind == SessionKind::Race && !self.from_green && self.number == Some(1)
    }
}

/// The fuel at a crossing at `us`: that of the nearer of the two frames around it. At 60 Hz the error is at most 1 ml.
pub(super) fn fuel_at(us: i64, a: &Sample, b: &Sample) -> Option<f32> {
    if us - a.us < b.us - us { a.fuel_l.or(b.fuel_l) } else { b.fuel_l.or(a.fuel_l) }
}
