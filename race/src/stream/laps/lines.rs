//! Lines crossed: laps opened, split, closed.

use super::lap::{OpenLap, PastLap};
use super::{Laps, Pending};
use crate::stream::fact::Fact;
use crate::stream::frame::missing;
use crate::stream::identity::Reporter;
use crate::stream::mark::Mark;
use crate::stream::motion::{Motion, PitEdge};
use crate::stream::start::RaceStart;
use crate::stream::step::{Sample, crossed_us};
use crate::stream::track::Kind;

/// Progress at the end of a lap.
const FINISH: f64 = 1.0;

impl Laps {
    /// The car drove from `a` to `b`: every line between them is crossed, in order. The pits were entered or left at `edge`.
    /// `motion` is as it was at `a`, but for the pits. The progress of `b` becomes that in the lap that is open then.
    #[inline]
    pub(crate) fn advance(
        &mut self,
        by: &Reporter<'_>,
        (motion, start): (&Motion, &RaceStart),
        (mut a, b): (Sample, &mut Sample),
        mut edge: Option<PitEdge>,
        out: &mut Vec<Fact>,
    ) {
        let gap = missing(a.us, b.us);
        if let Some(lap) = &mut self.open {
            lap.frames = lap.frames.saturating_add(1);
            lap.first_seq.get_or_insert(b.seq);
            if gap {
                lap.mark(Mark::Missing, a.us);
            }
        }
        // At most two turns: `Motion::driven` lets no two frames be two laps apart.
        while let Some(us) = self.next_line(by, &a, b, motion.blank || gap) {
            let in_pits = match edge {
                Some(e) if e.us < us => {
                    self.pits(e);
                    edge = None;
                    e.entered
                }
                Some(e) => !e.entered,
                None => motion.in_pits == Some(true) || motion.blank,
            };
            let (turn, number) = match self.open.take() {
                Some(lap) if lap.taken_over.is_some() => {
                    self.close_part(by, lap, us, b, out);
                    (FINISH, None)
                }
                Some(lap) => (FINISH, Some(self.close(by, lap, us, (&a, b), out) + 1)),
                None => (b.x.floor(), None),
            };
            a.x -= turn;
            b.x -= turn;
            if start.parade(by.track().kind) {
                break;
            }
            self.begin_at_line(by, us, (&a, b), number, (in_pits, motion.at_inherited));
        }
        if let Some(e) = edge {
            self.pits(e);
        }
        if let Some(lap) = &mut self.open
            && b.x >= FINISH / 2.0
        {
            lap.half_us.get_or_insert(b.us);
        }
    }

    /// Split the open lap at every line up to `b`, and say when the finish line was crossed, if it was. `unseen`: there were
    /// blank samples in between, or nothing at all for long.
    #[inline]
    fn next_line(&mut self, by: &Reporter<'_>, a: &Sample, b: &Sample, unseen: bool) -> Option<i64> {
        let Some(lap) = &mut self.open else {
            // No lap is open: any line opens one.
            let line = b.x.floor();
            return (a.x < line).then(|| crossed_us(a, b, line));
        };
        let gap = missing(a.us, b.us);
        while let Some(line) = by.track().line(lap.splits_us.len()).filter(|line| !lap.no_sectors && b.x >= *line) {
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

    /// The pits entered or left in the open lap (`validity.in-lap`, `validity.out-lap`).
    fn pits(&mut self, edge: PitEdge) {
        let Some(lap) = &mut self.open else { return };
        if edge.entered {
            lap.mark(Mark::PitIn, edge.us);
        } else if !lap.has(Mark::PitIn) {
            lap.mark(Mark::PitOut, edge.us);
        }
    }

    fn begin_at_line(&mut self, by: &Reporter<'_>, us: i64, (a, b): (&Sample, &Sample), number: Option<u32>, (in_pits, inherited): (bool, bool)) {
        let mut lap = OpenLap::new(us, a.tick, a.seq, by.track().lines().len() + 1);
        lap.number = number;
        lap.fuel_l = fuel_at(us, a, b);
        // After a rewind the car comes from a moment that no frame shows.
        lap.frames = 1 + u32::from(a.seq != b.seq);
        if inherited {
            lap.frames = 2;
            lap.seal(by.identity.present_run().saturating_sub(1), a.seq + 1);
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

    /// `lap` ends at `us`: report it. Its number.
    fn close(&mut self, by: &Reporter<'_>, mut lap: OpenLap, us: i64, (a, b): (&Sample, &Sample), out: &mut Vec<Fact>) -> u32 {
        // A first lap of a race whose green light was not seen is the rest of a lap.
        let told = by.track().kind != Kind::Race || lap.from_green || lap.number != Some(1);
        // If the second half of a lap was not seen, the simulator's count in the first half says which lap it was.
        let number = lap.number.or(a.counted()).unwrap_or(0).max(self.last_number + 1);
        lap.number = Some(number);
        self.settle_now(by, out);
        self.last_number = number;
        self.remember(by, PastLap { lap, told, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: fuel_at(us, a, b) });
        if told {
            self.pending = Some(Pending { end_us: us, revision: 1, before_us: self.before.sim_last_us });
            self.report(by, None, false, out);
        }
        number
    }

    /// Race lap 1 begins at the light, at `us`, with the car at `at`. Gives where the car is then, its progress in lap 1.
    pub(crate) fn begin_race(&mut self, by: &Reporter<'_>, us: i64, mut at: Sample, last: Option<Sample>, out: &mut Vec<Fact>) -> Sample {
        self.break_off(by, last, out);
        // On the grid a car stands behind the line that its lap will be counted from (`start.grid`).
        at.x = if at.pct > 0.5 { at.pct - 1.0 } else { at.pct };
        let mut lap = OpenLap::new(us, at.tick, at.seq, by.track().lines().len() + 1);
        lap.number = Some(1);
        lap.from_green = true;
        lap.frames = 1;
        lap.no_sectors = by.track().line(0).is_some_and(|line| at.x >= line);
        lap.fuel_l = at.fuel_l;
        while lap.next_loop().is_some_and(|line| at.x >= line) {
            lap.pass_loop(None);
        }
        if at.in_pits {
            lap.mark(Mark::PitOut, us);
        }
        self.begin(lap);
        self.last_number = 0;
        at
    }

    /// The observer heard of the light of `us` when the car was over the line already: the open lap is lap 1, from the light on.
    /// False if the open lap began before the light.
    pub(crate) fn began_at_light(&mut self, us: i64) -> bool {
        let Some(lap) = self.open.as_mut().filter(|lap| lap.start_us >= us) else { return false };
        lap.start_earlier(us);
        lap.number = Some(1);
        lap.from_green = true;
        true
    }
}

/// The fuel at a line crossed at `us`: what the nearer of the two frames around it shows. A 60 Hz frame is 1 ml off at most.
fn fuel_at(us: i64, a: &Sample, b: &Sample) -> Option<f32> {
    if us - a.us < b.us - us { a.fuel_l.or(b.fuel_l) } else { b.fuel_l.or(a.fuel_l) }
}
