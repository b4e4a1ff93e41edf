//! E1 against a random model of client, network, edges and log, as W4-W7 let them behave, with exaggerated faults:
//! connections cut at any moment, edges that outlive their connections, acks lost, appends that fail and are there all
//! the same or arrive long after, spools that overflow, content that an edge refuses.
//!
//! The oracle is the client's and the edges' own knowledge: what was acked, what was given up, what was refused.
//! Rules that are known to be wrong are run as well: the model must catch each of them.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

use std::collections::{BTreeSet, VecDeque};

use boxbox_processor::admit::{Arrival, Meaning, Verdict, account, admit};
use boxbox_schemas::event::Reject;
use boxbox_schemas::results::Ledger;
use boxbox_schemas::{DriverId, RunId, SessionId, StreamKey, TenantId};
use fastrand::Rng;

/// Frames that one simulated client produces.
const FRAMES: u64 = 120;
/// W9: frames that a client may have sent and not acked: bulk, and a live client that has one record on its way.
const WINDOW_BULK: u64 = 24;
const WINDOW_LIVE: u64 = 1;
const EDGES: usize = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Frames,
    Gap,
    Void,
}

#[derive(Clone, Copy, Debug)]
struct Sealed {
    first: u64,
    next: u64,
    kind: Kind,
}

#[derive(Clone, Copy, Debug)]
struct Transmission {
    base: u64,
    record: Sealed,
}

/// The rules under test.
#[derive(Clone, Copy)]
struct Rules {
    admit: fn(u64, &Arrival) -> Verdict,
    /// W6: an edge stops acking when offsets go back.
    edge_checks_offsets: bool,
    /// The log loses one durable, acked record: what must never happen.
    log_loses_one: bool,
    window: u64,
}

const RIGHT: Rules = Rules { admit, edge_checks_offsets: true, log_loses_one: false, window: WINDOW_BULK };

/// A connection, both ends of it.
#[derive(Default)]
struct Connection {
    /// Client's end: the next sequence to send.
    sent: u64,
    to_edge: VecDeque<Transmission>,
    acks: VecDeque<u64>,
    /// Edge's end.
    expected: Option<u64>,
    last_offset: Option<usize>,
    /// The edge acks no more.
    dead: bool,
}

/// A record on its way from an edge into the log.
struct Append {
    connection: usize,
    transmission: Transmission,
}

struct World {
    rng: Rng,
    rules: Rules,
    /// Client: sealed and not acked.
    unacked: VecDeque<Sealed>,
    produced: u64,
    acked: u64,
    dropped_because: BTreeSet<u64>,
    connections: Vec<Connection>,
    /// Edges: their writers' queues, in order of append.
    writers: [VecDeque<Append>; EDGES],
    edge_of: Vec<usize>,
    refused: BTreeSet<u64>,
    /// Failed appends that reach the log later all the same.
    stray: Vec<Transmission>,
    log: Vec<Transmission>,
    lost: Option<Sealed>,
    /// Highest `next` that any edge has acked.
    promised: u64,
    processor: Processor,
}

struct Processor {
    ledger: Ledger,
    read: usize,
    admitted: Vec<u64>,
}

impl World {
    fn new(seed: u64, rules: Rules) -> Self {
        let stream = StreamKey {
            tenant: TenantId::new("t").unwrap(),
            session: SessionId::default(),
            driver: DriverId::new("d").unwrap(),
            run: RunId::default(),
        };
        Self {
            rng: Rng::with_seed(seed),
            rules,
            unacked: VecDeque::new(),
            produced: 0,
            acked: 0,
            dropped_because: BTreeSet::new(),
            connections: vec![Connection::default()],
            writers: Default::default(),
            edge_of: vec![0],
            refused: BTreeSet::new(),
            stray: vec![],
            log: vec![],
            lost: None,
            promised: 0,
            processor: Processor { ledger: Ledger::new(stream), read: 0, admitted: vec![] },
        }
    }

    fn run(mut self) -> Result<Ledger, String> {
        for _ in 0..100_000 {
            // Faults end when everything has been produced, so that every run ends.
            let faults = self.produced < FRAMES;
            match self.rng.u32(0..100) {
                0..=14 if faults => self.produce(),
                15..=39 => self.send(),
                40..=41 if faults => self.reconnect(),
                42 if faults => self.overflow(),
                43..=64 => self.edge_reads(faults),
                65..=84 => self.log_writes(faults),
                85..=86 => self.stray_lands(),
                87..=96 => self.ack_arrives(),
                _ if self.connections.last().is_some_and(|c| c.dead) => self.reconnect(),
                _ => {}
            }
            self.check_promise()?;
            if !faults && self.acked == self.produced {
                while !self.stray.is_empty() {
                    self.stray_lands();
                }
                return self.check_end();
            }
        }
        Err(format!("not everything was acked: {} of {}", self.acked, self.produced))
    }

    fn produce(&mut self) {
        let next = (self.produced + self.rng.u64(1..=6)).min(FRAMES);
        self.unacked.push_back(Sealed { first: self.produced, next, kind: Kind::Frames });
        self.produced = next;
    }

    /// W5: contiguous from the base; each transmission carries the lowest unacked number of that moment.
    fn send(&mut self) {
        let (base, connection) = (self.acked, self.connections.last_mut().unwrap());
        connection.sent = connection.sent.max(base);
        if let Some(record) = self.unacked.iter().find(|r| r.first == connection.sent && r.first < base + self.rules.window) {
            connection.to_edge.push_back(Transmission { base, record: *record });
            connection.sent = record.next;
        }
    }

    /// The old connection's edge goes on with what it has received.
    fn reconnect(&mut self) {
        self.connections.push(Connection { sent: self.acked, ..Connection::default() });
        self.edge_of.push(self.rng.usize(0..EDGES));
    }

    /// W8: the spool is full; the oldest records become one gap, sent or not.
    fn overflow(&mut self) {
        let count = self.rng.usize(1..=4).min(self.unacked.len());
        if count == 0 {
            return;
        }
        let dropped: Vec<Sealed> = self.unacked.drain(..count).collect();
        let gap = Sealed { first: dropped[0].first, next: dropped[count - 1].next, kind: Kind::Gap };
        self.dropped_because.extend(gap.first..gap.next);
        self.unacked.push_front(gap);
        let sent = self.connections.last().unwrap().sent;
        if sent > gap.first {
            self.reconnect();
        }
    }

    fn edge_reads(&mut self, faults: bool) {
        let at = self.rng.usize(0..self.connections.len());
        let connection = &mut self.connections[at];
        let Some(mut transmission) = connection.to_edge.pop_front() else { return };
        if connection.dead {
            return;
        }
        let Transmission { base, record } = &mut transmission;
        // W5, the edge's half: begins at its base, then contiguous; else the connection is closed.
        if record.first != connection.expected.unwrap_or(*base) {
            connection.dead = true;
            return;
        }
        connection.expected = Some(record.next);
        if faults && record.kind == Kind::Frames && self.rng.u32(0..10) == 0 {
            record.kind = Kind::Void;
            self.refused.extend(record.first..record.next);
        }
        self.writers[self.edge_of[at]].push_back(Append { connection: at, transmission });
    }

    fn log_writes(&mut self, faults: bool) {
        let writer = self.rng.usize(0..EDGES);
        let Some(append) = self.writers[writer].pop_front() else { return };
        let fate = if faults { self.rng.u32(0..100) } else { 0 };
        match fate {
            0..=84 => {
                let lose = self.rules.log_loses_one
                    && self.lost.is_none()
                    && (20..40).contains(&self.acked)
                    && append.transmission.record.kind == Kind::Frames;
                if lose && append.transmission.record.first >= self.processor.ledger.expected {
                    self.lost = Some(append.transmission.record);
                } else {
                    self.log.push(append.transmission);
                }
                let offset = self.log.len();
                self.completed(append.connection, append.transmission.record.next, Some(offset));
            }
            // Failed, and there all the same: the answer was lost.
            85..=88 => {
                self.log.push(append.transmission);
                self.completed(append.connection, 0, None);
            }
            // Failed, and arrives much later.
            89..=92 => {
                self.stray.push(append.transmission);
                self.completed(append.connection, 0, None);
            }
            93..=95 => self.completed(append.connection, 0, None),
            // A retry put two appends in the wrong order; both are durable, and told in the order of their appends.
            _ => {
                let Some(second) = self.writers[writer].pop_front() else {
                    self.writers[writer].push_front(append);
                    return;
                };
                self.log.extend([second.transmission, append.transmission]);
                let end = self.log.len();
                self.completed(append.connection, append.transmission.record.next, Some(end));
                self.completed(second.connection, second.transmission.record.next, Some(end - 1));
            }
        }
    }

    /// W6: cumulative, and only while offsets rise; after a failure the connection acks no more.
    fn completed(&mut self, at: usize, next: u64, offset: Option<usize>) {
        let connection = &mut self.connections[at];
        let rising = !self.rules.edge_checks_offsets || connection.last_offset.is_none_or(|last| offset.is_some_and(|o| o > last));
        let (Some(offset), true, false) = (offset, rising, connection.dead) else {
            connection.dead = true;
            return;
        };
        connection.last_offset = Some(offset);
        connection.acks.push_back(next);
        self.promised = self.promised.max(next);
    }

    fn stray_lands(&mut self) {
        if !self.stray.is_empty() {
            let at = self.rng.usize(0..self.stray.len());
            self.log.push(self.stray.swap_remove(at));
        }
    }

    fn ack_arrives(&mut self) {
        // Acks of connections that the client has left are never read.
        let Some(next) = self.connections.last_mut().unwrap().acks.pop_front() else { return };
        self.acked = self.acked.max(next);
        while self.unacked.front().is_some_and(|r| r.next <= self.acked) {
            self.unacked.pop_front();
        }
    }

    /// Acked means: whoever reads the log up to here has it.
    fn check_promise(&mut self) -> Result<(), String> {
        let (rules, processor) = (&self.rules, &mut self.processor);
        for Transmission { base, record } in &self.log[processor.read..] {
            let meaning = match record.kind {
                Kind::Frames => Meaning::Car,
                Kind::Gap => Meaning::Gap,
                Kind::Void => Meaning::Void(Reject::RANGE),
            };
            let arrival = Arrival { base: *base, first: record.first, next: record.next, meaning };
            let verdict = (rules.admit)(processor.ledger.expected, &arrival);
            account(&mut processor.ledger, &arrival, &verdict);
            if !processor.ledger.balances() {
                return Err(format!("the ledger does not balance: {:?}", processor.ledger));
            }
            if record.kind == Kind::Frames {
                processor.admitted.extend(verdict.new.clone().filter(|seq| (record.first..record.next).contains(seq)));
            }
        }
        processor.read = self.log.len();
        if processor.ledger.expected < self.promised && !rules.log_loses_one {
            return Err(format!("acked up to {}, processed up to {}", self.promised, processor.ledger.expected));
        }
        Ok(())
    }

    fn check_end(mut self) -> Result<Ledger, String> {
        self.check_promise()?;
        let Processor { ledger, admitted, .. } = self.processor;
        if !admitted.is_sorted_by(|a, b| a < b) {
            return Err("a frame was admitted twice or out of order".to_owned());
        }
        let admitted: BTreeSet<u64> = admitted.into_iter().collect();
        let excused = |seq: &u64| self.dropped_because.contains(seq) || self.refused.contains(seq);
        let missing: Vec<u64> = (0..FRAMES).filter(|seq| !admitted.contains(seq) && !excused(seq)).collect();
        if !self.rules.log_loses_one && (ledger.hole > 0 || !missing.is_empty()) {
            return Err(format!("lost: {missing:?}, holes: {}", ledger.hole));
        }
        if ledger.expected != FRAMES && !self.rules.log_loses_one {
            return Err(format!("ends at {} of {FRAMES}", ledger.expected));
        }
        Ok(ledger)
    }
}

fn failures(rules: Rules, seeds: std::ops::Range<u64>) -> Vec<(u64, String)> {
    seeds.filter_map(|seed| World::new(seed, rules).run().err().map(|e| (seed, e))).collect()
}

#[test]
fn every_acked_frame_is_admitted_exactly_once_and_in_order() {
    let wrong = failures(RIGHT, 0..4_000);
    assert!(wrong.is_empty(), "{} of 4000 runs, first: {:?}", wrong.len(), wrong[0]);
}

#[test]
fn the_model_exercises_every_case() {
    let ledgers: Vec<Ledger> = (0..200).map(|seed| World::new(seed, RIGHT).run().unwrap()).collect();
    let runs_with = |f: fn(&Ledger) -> u64| ledgers.iter().filter(|l| f(l) > 0).count();
    for (what, runs) in [
        ("duplicates", runs_with(|l| l.duplicate)),
        ("early", runs_with(|l| l.early)),
        ("gaps", runs_with(|l| l.gap)),
        ("voids", runs_with(Ledger::voided)),
    ] {
        assert!(runs > 50, "only {runs} of 200 runs have {what}");
    }
}

/// Ledgers of runs in which the log lost an acked record that never came again.
fn holed(rule: fn(u64, &Arrival) -> Verdict) -> Vec<Ledger> {
    let rules = Rules { log_loses_one: true, admit: rule, window: WINDOW_LIVE, ..RIGHT };
    let ledgers = (0..1_000).map(|seed| World::new(seed, rules).run().unwrap());
    ledgers.filter(|l| l.hole > 0 || l.expected < FRAMES).collect()
}

/// Frames that such a run costs.
fn cost(ledgers: &[Ledger]) -> f64 {
    ledgers.iter().map(|l| (l.hole + FRAMES - l.expected) as f64).sum::<f64>() / ledgers.len() as f64
}

/// What must never happen: it is told, and the stream goes on at the next transmission whose base is its own beginning.
/// (While a client keeps its window full there is none: bulk pays for a hole until it pauses.)
#[test]
fn a_log_that_loses_an_acked_record_leaves_a_hole_in_the_ledger() {
    let ledgers = holed(admit);
    assert!(ledgers.len() > 100, "only {} of 1000 runs have a hole", ledgers.len());
    assert!(ledgers.iter().all(Ledger::balances));
    let told = ledgers.iter().filter(|l| l.hole > 0).count();
    assert!(told * 10 > ledgers.len() * 9, "only {told} of {} holes are told", ledgers.len());
}

/// Without `base`, a hole costs the rest of the stream.
#[test]
fn without_the_base_a_hole_stops_the_stream() {
    fn ignores_base(next: u64, arrival: &Arrival) -> Verdict {
        admit(next, &Arrival { base: 0, ..*arrival })
    }
    let (with, without) = (holed(admit), holed(ignores_base));
    assert!(without.len() > 100 && without.iter().all(|l| l.hole == 0 && l.expected < FRAMES));
    println!("frames lost to a hole: {:.1} of {FRAMES} with the base, {:.1} without", cost(&with), cost(&without));
    assert!(cost(&with) < cost(&without) / 3.0);
}

/// The model has teeth: rules that are known to be wrong are caught.
#[test]
fn wrong_rules_are_caught() {
    fn takes_early(next: u64, arrival: &Arrival) -> Verdict {
        let next = next.max(arrival.base).max(arrival.first);
        admit(next, arrival)
    }
    fn takes_whole_records(next: u64, arrival: &Arrival) -> Verdict {
        let verdict = admit(next, arrival);
        if verdict.new.is_empty() { verdict } else { Verdict { new: arrival.first..arrival.next, duplicates: 0, ..verdict } }
    }
    fn drops_partly_new(next: u64, arrival: &Arrival) -> Verdict {
        if arrival.first < next {
            Verdict { hole: None, duplicates: arrival.next - arrival.first, early: 0, new: next..next, next }
        } else {
            admit(next, arrival)
        }
    }
    for (name, rule) in [
        ("early records are taken", takes_early as fn(u64, &Arrival) -> Verdict),
        ("overlaps are taken whole", takes_whole_records),
        ("overlaps are dropped whole", drops_partly_new),
    ] {
        assert!(!failures(Rules { admit: rule, ..RIGHT }, 0..400).is_empty(), "not caught: {name}");
    }
    let unordered = failures(Rules { edge_checks_offsets: false, ..RIGHT }, 0..400);
    assert!(!unordered.is_empty(), "not caught: an edge that acks whatever the offsets");
}
