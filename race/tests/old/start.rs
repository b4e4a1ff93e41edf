//! The start of a race: lap 1 runs from the green light (domain.md 12.3).

use boxbox_schemas::frame::Flags;

use super::lap::{Mark, OpenLap};
use super::now::{Now, missing};
use super::step::Sample;
use super::stream::StreamRace;
use super::track::Kind;
use super::{Context, Fact, Start};

impl StreamRace {
    /// Race lap 1 begins at the green light, for a car that was there before it. The session state is no use: in a real
    /// standing start it came 1.1 s after the light.
    pub(super) fn green(&mut self, ctx: &Context, now: &Now, pct: f64, before_us: Option<i64>, out: &mut Vec<Fact>) {
        let shown = now.flags.has(Flags::GREEN);
        let rose = shown && !std::mem::replace(&mut self.green_flag, shown);
        // A rolling start may show the green flag and no start lights.
        let go = now.flags_seen.has(Flags::START_GO) || (rose && self.before_green && self.track.kind == Kind::Race);
        if !go || self.green_us.is_some() || self.track.kind == Kind::Other {
            return;
        }
        self.green_us = Some(now.us);
        let was_there = before_us.is_some_and(|us| !missing(us, now.us));
        if was_there && now.before_first_lap() {
            self.begin_race(ctx, now.us, Sample::at(now, pct, pct), out);
        }
    }

    /// What the observer of this car knows of the start. The car's own frames come four times a second and need not show it:
    /// the frame next to the light says where the car was.
    pub(super) fn on_start(&mut self, ctx: &Context, start: Start, out: &mut Vec<Fact>) {
        self.identify(ctx);
        self.before_green = start.waiting;
        let Some(us) = start.green_us else { return };
        if self.green_us.is_some() || self.track.kind == Kind::Other {
            return;
        }
        self.green_us = Some(us);
        let Some(at) = self.at.filter(|at| !missing(at.us, us) && !missing(us, at.us) && at.lap.is_none_or(|n| n <= 1)) else { return };
        match &mut self.lap {
            // It is over the line already.
            Some(lap) if lap.start_us >= us => {
                lap.start_earlier(us);
                lap.number = Some(1);
                lap.from_green = true;
            }
            _ => self.begin_race(ctx, us, at, out),
        }
    }

    fn begin_race(&mut self, ctx: &Context, us: i64, mut at: Sample, out: &mut Vec<Fact>) {
        self.break_off(ctx, out);
        // On the grid a car stands behind the line that its lap will be counted from.
        at.x = if at.pct > 0.5 { at.pct - 1.0 } else { at.pct };
        let mut lap = OpenLap::new(us, at.tick, at.seq, self.track.lines().len() + 1);
        lap.number = Some(1);
        lap.from_green = true;
        lap.frames = 1;
        lap.no_sectors = self.track.line(0).is_some_and(|line| at.x >= line);
        lap.fuel_l = at.fuel_l;
        while lap.next_loop().is_some_and(|line| at.x >= line) {
            lap.pass_loop(None);
        }
        if at.in_pits {
            lap.mark(Mark::PitOut, us);
        }
        self.fuel_low_l = None;
        self.lap = Some(lap);
        self.last_number = 0;
        self.at = Some(at);
    }
}
