//! What the clients of a synthetic race send, as edges log it.

use std::collections::BTreeMap;

use boxbox_schemas::event::{EndFrame, EventFrame};
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::{DriverId, RunId, SessionId, Source, TenantId};
use boxbox_sources::synth::{Action, Race};
use boxbox_testkit::frames;
use bytes::Bytes;

/// Frames that a client puts into one record.
const FRAMES_A_RECORD: usize = 5;

/// A record, and the session time of its newest frame, µs.
pub type Timed = (i64, Bytes);

pub fn tenant() -> TenantId {
    TenantId::new("league").unwrap()
}

pub fn source() -> Source {
    frames::source(77)
}

pub fn session() -> SessionId {
    SessionId::of(&tenant(), &source())
}

/// What one driver's clients send, in order: all runs, each with its metadata.
pub struct Sender {
    driver: DriverId,
    /// Tells copies of one client apart: two machines of one driver send the same, each as a run of its own.
    copy: u8,
    runs: u8,
    pub prelude: Prelude,
    batch: (Kind, Vec<u8>, u16),
    pub at_us: i64,
    pub out: Vec<Timed>,
}

impl Sender {
    /// Send what the client sends for `action`; connections and drivers are the caller's matter.
    pub fn act(&mut self, action: Action) {
        match action {
            Action::Meta(meta) => {
                self.flush();
                self.prelude.meta_rev += 1;
                self.one(Kind::META, &archive(&meta));
            }
            Action::Frame(frame) => self.add(Kind::CAR, &archive(&frame)),
            Action::Slow(frame) => self.one(Kind::SLOW, &archive(&frame)),
            Action::Field(frame) => self.add(Kind::FIELD, &archive(&frame)),
            Action::Event(code, tick, sim_time_us) => {
                self.flush();
                self.one(Kind::EVENT, &archive(&EventFrame { tick, sim_time_us, code, ..EventFrame::default() }));
            }
            Action::End(tick, sim_time_us, reason) => {
                self.flush();
                self.one(Kind::END, &archive(&EndFrame { tick, sim_time_us, reason, ..EndFrame::default() }));
            }
            Action::Restart => self.begin_run(),
            Action::Disconnect | Action::Reconnect | Action::Driver(_) => {}
        }
    }

    pub fn new(driver: DriverId, slot: u16, copy: u8) -> Self {
        let prelude = Prelude { slot, ..frames::prelude(Kind::CAR, RunId::default(), source(), 0) };
        let mut sender = Self { driver, copy, runs: 0, prelude, batch: (Kind::CAR, vec![], 0), at_us: 0, out: vec![] };
        sender.begin_run();
        sender
    }

    pub fn begin_run(&mut self) {
        self.flush();
        self.runs += 1;
        let mut id = [self.runs; 16];
        // So that which copy has the lower run differs between drivers.
        id[0] = if self.driver.as_str().len().is_multiple_of(2) { self.copy } else { 9 - self.copy };
        self.prelude = Prelude { run: RunId(id), meta_rev: 0, first_seq: 0, ..self.prelude };
    }

    pub fn add(&mut self, kind: Kind, frame: &[u8]) {
        if self.batch.0 != kind || usize::from(self.batch.2) == FRAMES_A_RECORD {
            self.flush();
        }
        self.batch.0 = kind;
        self.batch.1.extend_from_slice(frame);
        self.batch.2 += 1;
    }

    pub fn one(&mut self, kind: Kind, frame: &[u8]) {
        self.add(kind, frame);
        self.flush();
    }

    pub fn flush(&mut self) {
        let (kind, payload, count) = std::mem::replace(&mut self.batch, (Kind::CAR, vec![], 0));
        if count == 0 {
            return;
        }
        let record = seal(&Prelude { kind, count, ..self.prelude }, &payload).unwrap();
        // The base is that of a client whose every record was acked before the next was sent.
        let mut stamp = frames::stamp(self.driver.as_str(), &source(), self.prelude.first_seq);
        stamp.received_at_us += self.at_us;
        self.out.push((self.at_us, stamp.seal(&record)));
        self.prelude.first_seq += u64::from(count);
    }
}

/// What the clients of car `car` send, by driver, sampling at `hz`, and the other cars at `field_hz`.
pub fn of_car(race: &Race, car: usize, hz: u32, field_hz: Option<u32>, copy: u8) -> BTreeMap<DriverId, Vec<Timed>> {
    let people = &race.cars()[car].drivers;
    let slot = race.cars()[car].slot;
    let mut senders: BTreeMap<DriverId, Sender> = BTreeMap::new();
    let mut who = people[0].driver;
    let script = race.script(car, hz);
    let script = match field_hz {
        Some(hz) => script.with_field(hz),
        None => script,
    };
    for action in script {
        if let Action::Driver(index) = action {
            // The driver who leaves the car closes the client.
            if let Some(before) = senders.get_mut(&who) {
                let end = EndFrame { sim_time_us: before.at_us, ..EndFrame::default() };
                before.one(Kind::END, &archive(&end));
            }
            who = people[index].driver;
            continue;
        }
        let sender = senders.entry(who).or_insert_with(|| Sender::new(who, slot, copy));
        sender.at_us = action.at_us().unwrap_or(sender.at_us);
        sender.act(action);
    }
    senders
        .into_iter()
        .map(|(driver, mut sender)| {
            sender.flush();
            (driver, sender.out)
        })
        .collect()
}

/// Everybody's records, each driver's in order.
pub fn of_race(race: &Race, hz: u32) -> Vec<Vec<Timed>> {
    (0..race.cars().len()).flat_map(|car| of_car(race, car, hz, None, 1).into_values()).collect()
}

/// In order of time, as a healthy network brings them.
pub fn by_time(streams: &[Vec<Timed>]) -> Vec<Bytes> {
    let mut all: Vec<(i64, usize, &Bytes)> =
        streams.iter().enumerate().flat_map(|(n, of)| of.iter().map(move |(at, record)| (*at, n, record))).collect();
    // Stable: a stream's own records keep their order; after a rewind time goes back within a stream.
    let mut latest = vec![i64::MIN; streams.len()];
    for (at, n, _) in &mut all {
        latest[*n] = latest[*n].max(*at);
        *at = latest[*n];
    }
    all.sort_by_key(|(at, n, _)| (*at, *n));
    all.into_iter().map(|(.., record)| record.clone()).collect()
}

/// At random; each stream keeps its order, some run far ahead of others.
pub fn shuffled(streams: &[Vec<Timed>], rng: &mut fastrand::Rng) -> Vec<Bytes> {
    let mut next = vec![0; streams.len()];
    let mut out = vec![];
    loop {
        let left: Vec<usize> = (0..streams.len()).filter(|n| next[*n] < streams[*n].len()).collect();
        let Some(n) = rng.choice(left) else { return out };
        let stretch = if rng.bool() { 1 } else { rng.usize(1..500) };
        let until = (next[n] + stretch).min(streams[n].len());
        out.extend(streams[n][next[n]..until].iter().map(|(_, record)| record.clone()));
        next[n] = until;
    }
}
