//! Partial laps: if drivers share a lap, the first driver's stream emits its head, the last driver's its tail, and those of drivers in
//! between a middle, which is head and tail at once. `session::choose` joins them (E2, `swap.lap`). In a race, a client that joins in
//! mid-lap emits the tail of that lap too: if no other client tells the whole lap, it counts without a time (`lap.join`).

use boxbox_schemas::results::{LOOPS, Lap, Tags};

use super::Laps;
use super::lap::{OpenLap, PastLap};
use super::settle::{TAIL_REVISIONS, seen_by};
use crate::stream::fact::Fact;
use crate::stream::frame::Frame;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::motion::Motion;
use crate::stream::start::RaceStart;
use crate::stream::step::Sample;
use crate::stream::track::SessionKind;

impl Laps {
    /// The car is seen in mid-lap, and its way there is unknown. The lap began before: if this is the stream's first position, or that of a new
    /// stretch, in a team perhaps with another driver; in a race also after a jump that left no lap open. `known`: the stream had a position
    /// before.
    pub(crate) fn take_over_lap(&mut self, origin: &Origin<'_>, start: &RaceStart, frame: &Frame, pct: f64, (known, stretch): (bool, bool)) {
        let race = origin.track().kind == SessionKind::Race;
        // Earlier runs of the driver that have only watched showed no position either (`swap.watching`).
        let unseen = || origin.timeline() == 0 && origin.identity.before.iter().all(|run| run.timeline == 0);
        let first = stretch || (!known && self.past.is_empty() && unseen());
        let shared = origin.own() && origin.track().team_id != 0 && first;
        let possible = self.open.is_none() && !(race && start.waiting);
        if !possible || !(shared || race && self.joins_in_lap(origin, frame, pct)) {
            return;
        }
        let mut lap = begun_before(origin, frame.us, frame, pct);
        if frame.in_pits == Some(true) {
            lap.mark(Mark::PitOut, frame.us);
        }
        self.begin(lap);
    }

    /// Whether the simulator says, or will say in time, in which lap of the race the car is.
    fn joins_in_lap(&self, origin: &Origin<'_>, frame: &Frame, pct: f64) -> bool {
        let number = frame.sim_lap_number();
        let settled = pct < 0.5 || Sample::at(frame, pct, pct).counted(origin.track()).is_some();
        settled && number.is_some_and(|number| number > self.last_number)
    }

    /// The driver leaves the car, or the stream ends: emit the head of the open lap, or its middle if another driver began it, because
    /// another driver may finish it. No other driver can if the car is on the track.
    pub(crate) fn emit_head(&self, origin: &Origin<'_>, motion: &Motion, revision: u32, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (&self.open, motion.at.as_ref()) else { return };
        let number = self.open_number(origin.track(), Some(at));
        if !origin.in_team() || motion.in_pits == Some(false) || number == 0 {
            return;
        }
        // Without its end, and without its beginning where another driver drove that (`tag.head`, `tag.tail`).
        let (which, passed) = lap.taken_over.map_or((Tags::HEAD, 0), |passed| (Tags::HEAD.with(Tags::TAIL), usize::from(passed)));
        let sectors_us = if lap.no_sectors {
            vec![]
        } else {
            let open = origin.track().lines().len() + 1 - lap.splits_us.len();
            let splits = lap.splits_us.iter().enumerate().map(|(k, us)| if k < passed { -1 } else { *us });
            splits.chain(std::iter::repeat_n(-1, open)).collect()
        };
        let past = PastLap { lap: lap.clone(), emitted: false, until_us: at.us, until_tick: at.tick, until_seq: at.seq, fuel_l: None };
        out.push(self.partial(origin, &past, (number, revision), sectors_us, which));
    }

    /// A lap whose beginning this driver's client did not see ends at `us`: emit its tail. Returns its number, if it is known.
    pub(super) fn end_taken_over(&mut self, origin: &Origin<'_>, lap: OpenLap, us: i64, b: &Sample, out: &mut Vec<Fact>) -> Option<u32> {
        let number = lap.number?;
        let past = PastLap { lap, emitted: false, until_us: us, until_tick: b.tick, until_seq: b.seq, fuel_l: None };
        if origin.in_team() {
            self.emit_tail(origin, &past, (number, 1), Tags::TAIL, out);
            self.tail = Some(number);
        }
        if origin.track().kind == SessionKind::Race {
            // A car that comes out of the pits for the first time may have crossed the line at the beginning of its lap 1, and only a race
            // counts laps without a time.
            self.await_counters(origin, past, number, out);
            return None;
        }
        self.last_number = self.last_number.max(number);
        Some(number)
    }

    /// The simulator has counted a lap whose beginning this driver's client did not see (`lap.join`, `tag.joined`).
    pub(super) fn count_tail(&mut self, origin: &Origin<'_>, past: &PastLap, number: u32, out: &mut Vec<Fact>) {
        self.emit_tail(origin, past, (number, TAIL_REVISIONS), Tags::TAIL.with(Tags::JOINED), out);
        self.tail = Some(number);
        self.last_number = self.last_number.max(number);
    }

    fn emit_tail(&self, origin: &Origin<'_>, past: &PastLap, revised: (u32, u32), which: Tags, out: &mut Vec<Fact>) {
        let passed = usize::from(past.lap.taken_over.unwrap_or(0));
        let sectors = past.lap.sectors_us(past.until_us, origin.track().lines().len()).unwrap_or_default();
        let sectors_us = sectors.into_iter().enumerate().map(|(k, us)| if k < passed { -1 } else { us }).collect();
        out.push(self.partial(origin, past, revised, sectors_us, which));
    }

    fn partial(&self, origin: &Origin<'_>, past: &PastLap, (number, revision): (u32, u32), sectors_us: Vec<i64>, which: Tags) -> Fact {
        let tags = seen_by(origin, past.lap.tags().with(which));
        let loops_us = past.lap.loops_us.clone();
        Fact::Lap(Lap {
            number,
            revision,
            sectors_us,
            loops_us,
            fuel_used_l: None,
            reasons: past.lap.reasons(),
            tags,
            ..self.row(origin, past, None)
        })
    }
}

/// A lap that began before `us`, with the car at `pct` in `frame`.
pub(super) fn begun_before(origin: &Origin<'_>, us: i64, frame: &Frame, pct: f64) -> OpenLap {
    let lines = origin.track().lines();
    let passed = lines.iter().take_while(|line| pct >= **line).count();
    let mut lap = OpenLap::new(us, frame.tick, frame.seq, lines.len() + 1);
    lap.taken_over = Some(passed as u8);
    lap.splits_us = vec![0; passed];
    lap.loops_us = vec![-1; (1..LOOPS).take_while(|k| pct >= *k as f64 / LOOPS as f64).count()];
    lap.frames = 1;
    lap
}
