//! Partial laps: if drivers share a lap, the first driver's stream emits its head, the last driver's its tail, and those of drivers in
//! between a middle, which is head and tail at once. `session::choose` joins them (E2, `swap.lap`). This happens only if teams compete: if drivers compete alone, the rest of a lap that a
//! client sees after joining belongs to no other driver's lap.

use boxbox_schemas::results::{LOOPS, Lap, Tags};

use super::Laps;
use super::lap::{OpenLap, PastLap};
use super::settle::spans;
use crate::stream::fact::Fact;
use crate::stream::frame::Frame;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::motion::Motion;
use crate::stream::start::RaceStart;
use crate::stream::step::Sample;
use crate::stream::track::SessionKind;

impl Laps {
    /// The car is seen in mid-lap, and its way there is unknown. If this is the stream's first position, or that of a new stretch, another
    /// driver may have begun the lap. `known`: the stream had a position before.
    pub(crate) fn take_over_lap(&mut self, origin: &Origin<'_>, start: &RaceStart, frame: &Frame, pct: f64, (known, stretch): (bool, bool)) {
        let waits = origin.track().kind == SessionKind::Race && start.waiting;
        let first = stretch || (!known && self.past.is_empty() && origin.timeline() == 0 && origin.identity.before.is_empty());
        if !origin.own() || origin.track().team_id == 0 || self.open.is_some() || !first || waits {
            return;
        }
        let lines = origin.track().lines();
        let passed = lines.iter().take_while(|line| pct >= **line).count();
        let mut lap = OpenLap::new(frame.us, frame.tick, frame.seq, lines.len() + 1);
        lap.taken_over = Some(passed as u8);
        lap.splits_us = vec![0; passed];
        lap.loops_us = vec![-1; (1..LOOPS).take_while(|k| pct >= *k as f64 / LOOPS as f64).count()];
        lap.frames = 1;
        if frame.in_pits == Some(true) {
            lap.mark(Mark::PitOut, frame.us);
        }
        self.begin(lap);
    }

    /// The driver leaves the car, or the stream ends: emit the head of the open lap, or its middle if another driver began it, because
    /// another driver may finish it. No other driver can if the car is on the track.
    pub(crate) fn emit_head(&self, origin: &Origin<'_>, motion: &Motion, revision: u32, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (&self.open, motion.at.as_ref()) else { return };
        let number = self.open_number(origin.track(), Some(at));
        if !origin.in_team() || motion.in_pits == Some(false) || number == 0 {
            return;
        }
        let (which, passed) = lap.taken_over.map_or((Tags::HEAD, 0), |passed| (Tags::HEAD.with(Tags::TAIL), usize::from(passed)));
        let sectors_us = if lap.no_sectors {
            vec![]
        } else {
            let open = origin.track().lines().len() + 1 - lap.splits_us.len();
            let splits = lap.splits_us.iter().enumerate().map(|(k, us)| if k < passed { -1 } else { *us });
            splits.chain(std::iter::repeat_n(-1, open)).collect()
        };
        let past = PastLap { lap: lap.clone(), emitted: false, until_us: at.us, until_tick: at.tick, until_seq: at.seq, fuel_l: None };
        out.push(Fact::Lap(partial_lap(origin, &past, (number, revision), sectors_us, which)));
    }

    /// A lap that another driver began ends at `us`: emit its tail. Returns its number, if it is known.
    pub(super) fn emit_tail(&mut self, origin: &Origin<'_>, lap: OpenLap, us: i64, b: &Sample, out: &mut Vec<Fact>) -> Option<u32> {
        let (Some(number), Some(passed)) = (lap.number, lap.taken_over) else { return None };
        let sectors = lap.sectors_us(us, origin.track().lines().len()).unwrap_or_default();
        let sectors_us = sectors.into_iter().enumerate().map(|(k, us)| if k < usize::from(passed) { -1 } else { us }).collect();
        let past = PastLap { lap, emitted: false, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: None };
        out.push(Fact::Lap(partial_lap(origin, &past, (number, 1), sectors_us, Tags::TAIL)));
        self.last_number = self.last_number.max(number);
        Some(number)
    }
}

fn partial_lap(origin: &Origin<'_>, past: &PastLap, (number, revision): (u32, u32), sectors_us: Vec<i64>, which: Tags) -> Lap {
    let (ctx, lap) = (origin.ctx, &past.lap);
    Lap {
        session: ctx.session,
        entry: origin.identity.entry(ctx.driver),
        number,
        driver: ctx.driver,
        run: ctx.run,
        slot: ctx.slot,
        timeline: origin.timeline(),
        revision,
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
        spans: spans(origin, past),
    }
}
