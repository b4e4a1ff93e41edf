//! What the race tests share: a stream to feed, the runner's book-keeping in small, recordings, and a car whose crossings are known.
#![allow(dead_code, missing_docs, unreachable_pub, clippy::unwrap_used)]

pub mod csv;
pub mod synth;

use std::collections::BTreeMap;

use boxbox_processor::race::{Context, Fact, StreamRace, choose};
use boxbox_schemas::event::{EventCode, EventFrame};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::ids::{DriverId, RunId, SessionId, Sim, Source};
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::record::{Content, Kind, Prelude, Record, archive, seal};
use boxbox_schemas::results::{IncidentStep, Lap};

pub fn context(run: u8) -> Context {
    Context { session: SessionId([7; 16]), driver: DriverId::new("driver-1").unwrap(), run: RunId([run; 16]), slot: 3 }
}

/// One stream, and what became of its facts: the book-keeping of a runner, in small.
#[derive(Clone)]
pub struct Rig {
    pub ctx: Context,
    pub race: StreamRace,
    pub seq: u64,
    pub facts: Vec<Fact>,
    meta: SessionMeta,
    seen: usize,
    book: BTreeMap<(u32, RunId, u32), Lap>,
    steps: Vec<IncidentStep>,
}

impl Rig {
    pub fn new(meta: &SessionMeta) -> Self {
        let mut rig = Self {
            ctx: context(1),
            race: StreamRace::new(),
            seq: 0,
            facts: vec![],
            meta: meta.clone(),
            seen: 0,
            book: BTreeMap::new(),
            steps: vec![],
        };
        rig.describe();
        rig
    }

    fn describe(&mut self) {
        let meta = self.meta.clone();
        self.race.on_meta(&self.ctx, &meta, &mut self.facts);
        self.seq += 1;
    }

    pub fn frame(&mut self, frame: &CarFrame) {
        let record = record(Kind::CAR, &archive(frame));
        let Content::Car(frames) = record.content().unwrap() else { unreachable!() };
        self.race.on_frame(&self.ctx, self.seq, frames.iter().next().unwrap().unwrap(), &mut self.facts);
        self.seq += 1;
        self.keep();
    }

    pub fn frames<'a>(&mut self, frames: impl IntoIterator<Item = &'a CarFrame>) {
        frames.into_iter().for_each(|f| self.frame(f));
    }

    pub fn event(&mut self, code: EventCode, tick: u32, sim_time_us: i64) {
        let record = record(Kind::EVENT, &archive(&EventFrame { code, tick, sim_time_us, ..EventFrame::default() }));
        let Content::Event(event) = record.content().unwrap() else { unreachable!() };
        self.race.on_event(&self.ctx, self.seq, event, &mut self.facts);
        self.seq += 1;
        self.keep();
    }

    pub fn missing(&mut self, count: u64) {
        self.race.on_missing(&self.ctx, self.seq, self.seq + count, &mut self.facts);
        self.seq += count;
    }

    /// The client starts again: a new run that inherits.
    pub fn restart(&mut self) {
        self.race = StreamRace::inherit(&self.race);
        self.ctx.run.0[0] += 1;
        self.seq = 0;
        self.describe();
    }

    /// The processor starts again: the state is written and read back.
    pub fn store_and_load(&mut self) -> usize {
        let bytes = rmp_serde::to_vec_named(&self.race).unwrap();
        let back: StreamRace = rmp_serde::from_slice(&bytes).unwrap();
        assert_eq!(back, self.race);
        self.race = back;
        bytes.len()
    }

    pub fn end(&mut self) {
        self.race.on_end(&self.ctx, &mut self.facts);
        self.keep();
    }

    fn keep(&mut self) {
        for fact in &self.facts[self.seen..] {
            match fact {
                Fact::Lap(lap) => {
                    let key = (lap.number, lap.run, lap.timeline);
                    let old = self.book.insert(key, lap.clone());
                    assert!(old.is_none_or(|old| old.revision < lap.revision), "a fact's revision did not rise: {lap:?}");
                }
                Fact::Incident(step) => self.steps.push(step.clone()),
                Fact::Pit(_) | Fact::Flags(_) => {}
                Fact::Rewind { run, timeline, to_us, .. } => {
                    let older = |r: RunId, t: u32| r == *run && t < *timeline;
                    self.book.values_mut().filter(|l| older(l.run, l.timeline) && l.end_us > *to_us).for_each(|l| l.superseded = true);
                    self.steps.iter_mut().filter(|s| older(s.run, s.timeline) && s.sim_time_us > *to_us).for_each(|s| s.superseded = true);
                }
            }
        }
        self.seen = self.facts.len();
    }

    /// The chosen laps, by number.
    pub fn laps(&self) -> Vec<Lap> {
        let mut numbers: Vec<u32> = self.book.keys().map(|k| k.0).collect();
        numbers.dedup();
        numbers.into_iter().filter_map(|n| choose(self.book.values().filter(|l| l.number == n))).cloned().collect()
    }

    pub fn lap(&self, number: u32) -> Lap {
        self.laps().into_iter().find(|l| l.number == number).unwrap_or_else(|| panic!("no lap {number} in {:?}", self.numbers()))
    }

    pub fn numbers(&self) -> Vec<u32> {
        self.laps().iter().map(|l| l.number).collect()
    }

    pub fn incidents(&self) -> Vec<IncidentStep> {
        self.steps.iter().filter(|s| !s.superseded).cloned().collect()
    }
}

/// What a processor does with a frame: read it, checked, out of a sealed record.
fn record(kind: Kind, payload: &[u8]) -> Record {
    let source = Source { sim: Sim::SYNTHETIC, id: 1, session_num: 0 };
    let prelude = Prelude { kind, run: RunId([1; 16]), source, slot: 3, meta_rev: 1, first_seq: 0, count: 1 };
    Record::parse(seal(&prelude, payload).unwrap()).unwrap()
}
