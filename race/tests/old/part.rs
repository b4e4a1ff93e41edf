//! Parts of laps: of a lap that two drivers of a car drive, each one's stream tells what it saw, and the fold puts the
//! parts together (E2). Only where teams compete; what a client sees of its first lap after joining is nobody else's.

use boxbox_schemas::results::{LOOPS, Lap, Tags};

use super::lap::{Mark, OpenLap, PastLap};
use super::now::Now;
use super::step::Sample;
use super::stream::{StreamRace, View};
use super::track::Kind;
use super::{Context, Fact};

impl StreamRace {
    /// The first position of this stream lies in mid-lap: somebody else may have begun the lap.
    pub(super) fn take_over(&mut self, now: &Now, pct: f64) {
        let waits = self.track.kind == Kind::Race && self.before_green;
        let first = self.at.is_none() && self.past.is_empty() && self.timeline == 0 && self.before.is_empty();
        if self.view != View::Own || self.track.team_id == 0 || self.lap.is_some() || !first || waits {
            return;
        }
        let lines = self.track.lines();
        let passed = lines.iter().take_while(|line| pct >= **line).count();
        let mut lap = OpenLap::new(now.us, now.tick, now.seq, lines.len() + 1);
        lap.taken_over = Some(passed as u8);
        lap.splits_us = vec![0; passed];
        lap.loops_us = vec![-1; (1..LOOPS).take_while(|k| pct >= *k as f64 / LOOPS as f64).count()];
        lap.frames = 1;
        if now.in_pits == Some(true) {
            lap.mark(Mark::PitOut, now.us);
        }
        self.lap = Some(lap);
    }

    /// Whoever drives leaves the car, or the stream ends: another driver may finish the lap.
    pub(super) fn hand_over(&self, ctx: &Context, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (&self.lap, self.at) else { return };
        let number = self.open_number();
        if self.view != View::Own || self.track.team_id == 0 || lap.taken_over.is_some() || number == 0 {
            return;
        }
        let sectors_us = if lap.no_sectors {
            vec![]
        } else {
            let open = self.track.lines().len() + 1 - lap.splits_us.len();
            lap.splits_us.iter().copied().chain(std::iter::repeat_n(-1, open)).collect()
        };
        let past = PastLap { lap: lap.clone(), told: false, until_us: at.us, until_tick: at.tick, until_seq: at.seq, fuel_l: None };
        out.push(Fact::Lap(self.part(ctx, &past, number, sectors_us, Tags::HEAD)));
    }

    /// A lap that this stream did not begin ends at `us`.
    pub(super) fn close_part(&mut self, ctx: &Context, lap: OpenLap, us: i64, b: &Sample, out: &mut Vec<Fact>) {
        let (Some(number), Some(passed)) = (lap.number, lap.taken_over) else { return };
        let sectors = lap.sectors_us(us, self.track.lines().len()).unwrap_or_default();
        let sectors_us = sectors.into_iter().enumerate().map(|(k, us)| if k < usize::from(passed) { -1 } else { us }).collect();
        let past = PastLap { lap, told: false, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: None };
        out.push(Fact::Lap(self.part(ctx, &past, number, sectors_us, Tags::TAIL)));
    }

    fn part(&self, ctx: &Context, past: &PastLap, number: u32, sectors_us: Vec<i64>, which: Tags) -> Lap {
        let lap = &past.lap;
        Lap {
            session: ctx.session,
            entry: self.entry(ctx.driver),
            number,
            driver: ctx.driver,
            run: ctx.run,
            slot: ctx.slot,
            timeline: self.timeline,
            revision: 1,
            start_us: lap.start_us,
            end_us: past.until_us,
            time_us: past.until_us - lap.start_us,
            sim_time_us: None,
            sectors_us,
            loops_us: lap.loops_us.clone(),
            fuel_l: past.fuel_l,
            fuel_used_l: None,
            reasons: lap.reasons(),
            tags: lap.tags().with(which),
            frames: lap.frames,
            start_tick: lap.start_tick,
            end_tick: past.until_tick,
            settled: true,
            superseded: false,
            spans: self.spans(ctx, past),
        }
    }
}
