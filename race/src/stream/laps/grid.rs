//! The first lap of a race: where the car stands at the green light, and where its lap 1 ends (`start.grid`).

use super::Laps;
use super::lap::{Grid, OpenLap};
use crate::stream::fact::Fact;
use crate::stream::frame::Frame;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::start::RaceStart;
use crate::stream::step::{COUNTER_SETTLED, Sample};

/// The simulator's counters lag and flicker after the line for less than this, µs.
pub(super) const COUNTER_LAG_US: i64 = 3_000_000;

impl Grid {
    /// Where a car stands at the light that is seen `at` a place. The simulator's counters say on which side of the line it is, where they
    /// are reliable; else it is on the side that is nearer to the line.
    fn of(at: &Sample) -> Self {
        let behind = |x: f64, unsure: bool| Self { x, unsure, left_us: None };
        if !(0.0..=0.5).contains(&at.pct) {
            // Some simulators show a fraction below 0 behind the line.
            return behind(if at.pct > 0.5 { at.pct - 1.0 } else { at.pct }, false);
        }
        match (at.before_line, at.lap.is_some(), COUNTER_SETTLED.contains(&at.pct)) {
            (true, _, true) => behind(at.pct - 1.0, false),
            // A car that has just crossed the line may still show the counters of before.
            (true, _, false) => behind(at.pct, true),
            // Not all simulators count differently behind the line, and no grid reaches that far beyond it.
            (false, counted, far) => behind(at.pct, counted && far),
        }
    }
}

impl Laps {
    /// Race lap 1 begins at the green light, at `us`, with the car at `at`. Returns the position with its progress in lap 1.
    pub(crate) fn begin_race(&mut self, origin: &Origin<'_>, us: i64, mut at: Sample, last: Option<Sample>, out: &mut Vec<Fact>) -> Sample {
        self.abandon_open_lap(origin, last, out);
        let mut lap = OpenLap::new(us, at.tick, at.seq, origin.track().lines().len() + 1);
        lap.number = Some(1);
        lap.from_green = true;
        lap.frames = 1;
        lap.fuel_l = at.fuel_l;
        if at.in_pits {
            lap.mark(Mark::PitOut, us);
        }
        lap.stand(origin, &mut at);
        self.begin(lap);
        self.last_number = 0;
        at
    }

    /// The observer learnt of the green light of `us` after the car had crossed the line: the open lap becomes lap 1 and begins at the light.
    /// False if the open lap began before the light.
    pub(crate) fn begin_at_light(&mut self, us: i64) -> bool {
        let Some(lap) = self.open.as_mut().filter(|lap| lap.start_us >= us) else { return false };
        lap.start_earlier(us);
        lap.number = Some(1);
        lap.from_green = true;
        true
    }

    /// The car is in its pits in this frame, and did not drive there. If it was on the grid until now, its lap 1 goes on; if it was not in
    /// the world at the light, its lap 1 began at the light (`start.pits`). `last` is where it was. False if neither is the case.
    pub(crate) fn start_from_pits(&mut self, origin: &Origin<'_>, start: &RaceStart, frame: &Frame, at: &mut Sample, last: Option<Sample>) -> bool {
        let Some(green_us) = start.green_us.filter(|_| at.in_pits && frame.before_first_lap()) else { return false };
        let on_grid = |lap: &OpenLap| lap.from_green && lap.grid.is_some_and(|grid| grid.left_us.is_none());
        let reset = self.open.is_none() && self.past.last().is_some_and(|past| !past.emitted && on_grid(&past.lap));
        let lap = if reset { self.past.pop().map(|past| past.lap) } else { self.open.take_if(|lap| on_grid(lap)) };
        // Where teams race, another driver may have started the car (`swap.lap`).
        let never = !origin.in_team() && last.is_none() && self.open.is_none() && self.past.is_empty() && self.last_number == 0 && at.lap.is_some();
        let mut lap = match lap {
            Some(lap) => lap,
            None if never => {
                let mut lap = OpenLap::new(green_us, at.tick, at.seq, origin.track().lines().len() + 1);
                (lap.number, lap.from_green, lap.frames) = (Some(1), true, 1);
                lap
            }
            None => return false,
        };
        lap.mark(Mark::PitOut, at.us);
        lap.stand(origin, at);
        if never {
            self.begin(lap)
        } else {
            self.open = Some(lap)
        }
        true
    }

    /// Lap 1 waits for the simulator's counters: do they say that it is over (`start.asked`)?
    #[inline]
    pub(crate) fn ask_counter(&mut self, origin: &Origin<'_>, frame: &Frame, out: &mut Vec<Fact>) {
        if self.pending.is_some_and(|pending| pending.held) {
            self.ask_counter_of(origin, frame, out);
        }
    }

    #[cold]
    fn ask_counter_of(&mut self, origin: &Origin<'_>, frame: &Frame, out: &mut Vec<Fact>) {
        let Some(pending) = &mut self.pending else { return };
        if pending.asked_us.is_some() {
            self.ask_counter_of_line(origin, frame, out);
            return;
        }
        if !frame.pct.is_some_and(|pct| COUNTER_SETTLED.contains(&pct)) || frame.us - pending.end_us < COUNTER_LAG_US {
            return;
        }
        let begun = frame.lap.or(frame.laps_completed.map(|n| n.saturating_add(1)));
        if begun.is_none_or(|n| n > 1) {
            pending.held = false;
            self.emit(origin, None, false, out);
            return;
        }
        let Some(lap) = &mut self.open else { return };
        if let Some(way) = self.past.pop_if(|past| past.emitted && past.until_us == pending.end_us) {
            lap.begin_with(way.lap, way.until_us);
            self.pending = None;
            self.last_number = 0;
        }
    }
}

impl OpenLap {
    /// The car stands at `at` as race lap 1 begins; the progress of `at` becomes that in the lap.
    fn stand(&mut self, origin: &Origin<'_>, at: &mut Sample) {
        let grid = Grid::of(at);
        at.x = grid.x;
        self.grid = Some(grid);
        self.no_sectors |= origin.track().line(0).is_some_and(|line| at.x >= line);
        while self.next_loop().is_some_and(|line| at.x >= line) {
            self.pass_loop(None);
        }
    }
}
