//! Shared by the race tests: a stream to feed, a small version of the book, recordings, and a car whose crossings are known.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

pub mod csv;
pub mod synth;

use std::collections::BTreeMap;

use boxbox_race::session::choose;
use boxbox_race::stream::{Context, Fact, Output};
use boxbox_schemas::event::{EventCode, EventFrame};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::ids::{DriverId, RunId, SessionId};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{Content, Frame, Kind, Record};
use boxbox_schemas::results::{FlagChange, IncidentStep, Lap, PitVisit, Row, SessionStateChange};
use boxbox_schemas::slow::{SlowFrame, SlowPresence};
use boxbox_testkit::frames;

pub use boxbox_race::stream::{CarState, OtherCar};

pub fn context(run: u8) -> Context {
    Context { session: SessionId([7; 16]), driver: DriverId::new("driver-1").unwrap(), run: RunId([run; 16]), slot: 3 }
}

/// One stream and its facts, kept as a processor keeps them.
#[derive(Clone)]
pub struct Rig {
    pub ctx: Context,
    pub race: CarState,
    pub seq: u64,
    pub out: Output,
    meta: SessionMeta,
    seen: usize,
    book: BTreeMap<(u32, RunId, u32), Lap>,
    steps: Vec<IncidentStep>,
    visits: BTreeMap<(RunId, u16, u32, u32), PitVisit>,
    flags: Vec<FlagChange>,
    states: Vec<SessionStateChange>,
}

impl Rig {
    pub fn new(meta: &SessionMeta) -> Self {
        let mut rig = Self {
            ctx: context(1),
            race: CarState::new(),
            seq: 0,
            out: Output::default(),
            meta: meta.clone(),
            seen: 0,
            book: BTreeMap::new(),
            steps: vec![],
            visits: BTreeMap::new(),
            flags: vec![],
            states: vec![],
        };
        rig.describe();
        rig
    }

    fn describe(&mut self) {
        let meta = self.meta.clone();
        self.race.on_meta(&self.ctx, &meta, &mut self.out);
        self.seq += 1;
    }

    pub fn frame(&mut self, frame: &CarFrame) {
        let record = record(Kind::CAR, frame);
        let Content::Car(frames) = record.content().unwrap() else { unreachable!() };
        self.race.on_frame(&self.ctx, self.seq, frames.iter().next().unwrap().unwrap(), &mut self.out);
        self.seq += 1;
        self.keep();
    }

    pub fn frames<'a>(&mut self, frames: impl IntoIterator<Item = &'a CarFrame>) {
        frames.into_iter().for_each(|f| self.frame(f));
    }

    pub fn event(&mut self, code: EventCode, tick: u32, sim_time_us: i64) {
        let record = record(Kind::EVENT, &EventFrame { code, tick, sim_time_us, ..EventFrame::default() });
        let Content::Event(event) = record.content().unwrap() else { unreachable!() };
        self.race.on_event(&self.ctx, self.seq, event, &mut self.out);
        self.seq += 1;
        self.keep();
    }

    /// A slow frame at `us` with the number of tyre sets used.
    pub fn tyre_sets(&mut self, tick: u32, us: i64, sets: u16) {
        let presence = SlowPresence::TYRE_SETS;
        let record = record(Kind::SLOW, &SlowFrame { tick, sim_time_us: us, presence, tyre_sets_used: sets, ..SlowFrame::default() });
        let Content::Slow(frames) = record.content().unwrap() else { unreachable!() };
        self.race.on_slow(&self.ctx, frames.iter().next().unwrap().unwrap(), &mut self.out);
        self.seq += 1;
        self.keep();
    }

    pub fn missing(&mut self, count: u64) {
        self.race.on_missing(&self.ctx, self.seq, self.seq + count, &mut self.out);
        self.seq += count;
    }

    /// The client starts again: a new run that inherits.
    pub fn restart(&mut self) {
        let before = std::mem::take(&mut self.race);
        self.race.inherit(&before, &mut self.out);
        self.ctx.run.0[0] += 1;
        self.seq = 0;
        self.describe();
    }

    /// The processor starts again: the state is written and read back.
    pub fn store_and_load(&mut self) -> usize {
        let bytes = self.race.encode(&mut self.out).unwrap();
        let back = CarState::decode(&bytes).unwrap().unwrap();
        assert_eq!(back, self.race);
        self.race = back;
        bytes.len()
    }

    pub fn end(&mut self) {
        self.race.on_end(&self.ctx, &mut self.out);
        self.keep();
    }

    fn keep(&mut self) {
        for fact in &self.out.facts[self.seen..] {
            match fact {
                Fact::Lap(lap) => {
                    let key = (lap.number, lap.run, lap.timeline);
                    let old = self.book.insert(key, lap.clone());
                    assert!(old.is_none_or(|old| old.revision < lap.revision), "a fact's revision did not rise: {lap:?}");
                }
                Fact::Row(row) if row.kind == IncidentStep::KIND => self.steps.push(row.read().unwrap()),
                Fact::Row(row) if row.kind == PitVisit::KIND => {
                    let visit: PitVisit = row.read().unwrap();
                    let old = self.visits.insert((visit.run, visit.slot, visit.timeline, visit.tick), visit.clone());
                    // A rewind to a tick that was driven before (nonsense) may begin another visit at it. An exit is taken back if the car
                    // is in the pits again a moment later (`pit.flicker`).
                    let same = |e: i64| visit.exit_us.is_none_or(|now| now >= e);
                    assert!(
                        old.as_ref().is_none_or(|old| old.enter_us != visit.enter_us || old.exit_us.is_none_or(same)),
                        "{old:?} became {visit:?}"
                    );
                }
                Fact::Row(row) if row.kind == SessionStateChange::KIND => self.states.push(row.read().unwrap()),
                Fact::Row(row) => {
                    let change: FlagChange = row.read().unwrap();
                    assert!(change.from != change.to, "no change: {change:?}");
                    self.flags.push(change);
                }
                Fact::Rewind { run, timeline, to_us, .. } => {
                    let older = |r: RunId, t: u32| r == *run && t < *timeline;
                    self.book.values_mut().filter(|l| older(l.run, l.timeline) && l.end_us > *to_us).for_each(|l| l.superseded = true);
                    let over = |v: &&mut PitVisit| older(v.run, v.timeline) && v.exit_us.is_none_or(|us| us > *to_us);
                    self.visits.values_mut().filter(over).for_each(|v| v.superseded = true);
                    self.flags.iter_mut().filter(|f| older(f.run, f.timeline) && f.sim_time_us > *to_us).for_each(|f| f.superseded = true);
                    self.states.iter_mut().filter(|s| older(s.run, s.timeline) && s.sim_time_us > *to_us).for_each(|s| s.superseded = true);
                    self.steps.iter_mut().filter(|s| older(s.run, s.timeline) && s.sim_time_us > *to_us).for_each(|s| s.superseded = true);
                }
            }
        }
        self.seen = self.out.facts.len();
        assert_eq!(self.out.failed, [""; 0], "no part may fail");
    }

    /// The chosen laps, by number.
    pub fn laps(&self) -> Vec<Lap> {
        let mut numbers: Vec<u32> = self.book.keys().map(|k| k.0).collect();
        numbers.dedup();
        numbers.into_iter().filter_map(|n| choose(self.book.values().filter(|l| l.number == n))).collect()
    }

    pub fn lap(&self, number: u32) -> Lap {
        self.laps().into_iter().find(|l| l.number == number).unwrap_or_else(|| panic!("no lap {number} in {:?}", self.numbers()))
    }

    pub fn numbers(&self) -> Vec<u32> {
        self.laps().iter().map(|l| l.number).collect()
    }

    /// Visits of all runs that are not superseded, by time.
    pub fn visits(&self) -> Vec<PitVisit> {
        let mut visits: Vec<_> = self.visits.values().filter(|v| !v.superseded).cloned().collect();
        visits.sort_by_key(|v| (v.enter_us, v.run));
        visits
    }

    /// Changes of flags that are not superseded, in order.
    pub fn flag_changes(&self) -> Vec<FlagChange> {
        self.flags.iter().filter(|f| !f.superseded).cloned().collect()
    }

    /// All facts but those of the session state.
    pub fn facts_of_the_car(&self) -> Vec<Fact> {
        let of_state = |f: &&Fact| matches!(f, Fact::Row(row) if row.kind == SessionStateChange::KIND);
        self.out.facts.iter().filter(|f| !of_state(f)).cloned().collect()
    }

    /// Changes of the session state that are not superseded, in order.
    pub fn state_changes(&self) -> Vec<SessionStateChange> {
        self.states.iter().filter(|s| !s.superseded).cloned().collect()
    }

    pub fn incidents(&self) -> Vec<IncidentStep> {
        self.steps.iter().filter(|s| !s.superseded).cloned().collect()
    }
}

/// A car as another client sees it: the same frames with fewer values.
#[derive(Clone)]
pub struct FieldRig {
    pub ctx: Context,
    pub race: OtherCar,
    pub seq: u64,
    pub out: Output,
}

impl FieldRig {
    pub fn new(meta: &SessionMeta) -> Self {
        let mut rig = Self { ctx: Context { slot: 8, ..context(1) }, race: OtherCar::new(), seq: 0, out: Output::default() };
        rig.race.on_meta(&rig.ctx, meta, &mut rig.out);
        rig
    }

    pub fn frame(&mut self, frame: &FieldFrame) {
        let record = record(Kind::FIELD, frame);
        let Content::Field(frames) = record.content().unwrap() else { unreachable!() };
        self.race.on_frame(&self.ctx, self.seq, frames.iter().next().unwrap().unwrap(), &mut self.out);
        self.seq += 1;
    }

    /// Own frames of the car, as others see them.
    pub fn frames<'a>(&mut self, frames: impl IntoIterator<Item = &'a CarFrame>) {
        for frame in frames {
            self.frame(&synth::seen(frame));
        }
    }

    pub fn rewind(&mut self, tick: u32, us: i64) {
        self.race.on_rewind(&self.ctx, tick, us, self.seq, &mut self.out);
        self.seq += 1;
    }

    pub fn end(&mut self) {
        self.race.on_end(&self.ctx, &mut self.out);
    }

    pub fn store_and_load(&mut self) -> usize {
        let bytes = self.race.encode(&mut self.out).unwrap();
        let back = OtherCar::decode(&bytes).unwrap().unwrap();
        assert_eq!(back, self.race);
        self.race = back;
        bytes.len()
    }

    /// Its laps: the newest timeline and revision of each number.
    pub fn laps(&self) -> Vec<Lap> {
        let facts = self.out.facts.iter().filter_map(|f| if let Fact::Lap(l) = f { Some(l) } else { None });
        let mut laps: BTreeMap<u32, Lap> = BTreeMap::new();
        for lap in facts {
            laps.insert(lap.number, lap.clone());
        }
        laps.into_values().collect()
    }

    pub fn visits(&self) -> Vec<PitVisit> {
        let facts = self.out.facts.iter().filter_map(|f| if let Fact::Row(row) = f { row.read::<PitVisit>().ok() } else { None });
        let visits: BTreeMap<(u32, u32), PitVisit> = facts.map(|v| ((v.tick, v.timeline), v)).collect();
        visits.into_values().collect()
    }
}

/// Reads a frame as a processor does: checked, from a sealed record.
pub fn record<F: Frame>(kind: Kind, frame: &F) -> Record {
    let prelude = frames::prelude(kind, RunId([1; 16]), frames::source(1), 0);
    Record::parse(frames::sealed(prelude, std::slice::from_ref(frame))).unwrap()
}
