//! E3a: the order in which different streams' records reach the log changes no result. Each stream's own records keep
//! their order, and so do the successive runs of one driver (W8); everything else is shuffled.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::collections::BTreeMap;

use boxbox_schemas::event::Closing;
use boxbox_schemas::results::{AnyRow, IncidentStep, Lap, Ledger, Row, SessionInfo, Tags};
use boxbox_schemas::stamp::{LogRecord, Stamp};
use boxbox_schemas::{EntryId, StreamKey};
use bytes::Bytes;
use fastrand::Rng;
use proptest::prelude::*;
use support::*;

/// Streams whose records must keep their order, one after the other.
type Sequence = Vec<Bytes>;

/// Anna's client dies in lap 3 and is started again in it: two runs, one after the other.
fn restarted_client() -> Sequence {
    let (mut first, mut second) = (Client::new(1, "anna", 1), Client::new(1, "anna", 2));
    first.meta(1, 0);
    first.drive(300, 3000);
    second.meta(1, 0);
    second.drive(3012, 5200);
    second.end();
    [first.records, second.records].concat()
}

/// Two relays of one team's car: one from the start, one that joins in lap 2 and stays longer.
fn relays_of_one_car() -> [Sequence; 2] {
    let (mut one, mut other) = (Client::new(1, "bea", 3), Client::new(1, "ben", 3));
    one.meta(4, 9);
    one.drive(300, 4000);
    other.meta(4, 9);
    other.slow();
    other.drive(1500, 6300);
    other.end();
    [one.records, other.records]
}

/// Carl goes back twice: over the line, and within a lap; the second time he does not come round again.
fn flashbacks() -> Sequence {
    let mut carl = Client::new(1, "carl", 1);
    carl.meta(7, 0);
    carl.drive(300, 2500);
    carl.rewind(2200);
    carl.drive(2200, 3700);
    carl.rewind(3400);
    carl.drive(3400, 3500);
    carl.records
}

/// Dora takes the slot that somebody left, and her metadata says so; later her car moves to another slot.
fn reused_slot() -> [Sequence; 2] {
    let (mut gone, mut dora) = (Client::new(1, "emil", 1), Client::new(1, "dora", 1));
    gone.meta(5, 0);
    gone.drive(300, 2600);
    gone.end();
    dora.meta(5, 0);
    dora.drive(2700, 5000);
    dora.meta(6, 0);
    dora.drive(5000, 6200);
    [gone.records, dora.records]
}

fn everything() -> Vec<Sequence> {
    let [one, other] = relays_of_one_car();
    let [gone, dora] = reused_slot();
    vec![restarted_client(), one, other, flashbacks(), gone, dora]
}

/// Merge at random; with `resends`, records come again later, and before their turn, as reconnecting clients send them.
fn merge(sequences: &[Sequence], seed: u64, resends: bool) -> Vec<Bytes> {
    let mut rng = Rng::with_seed(seed);
    let mut next = vec![0; sequences.len()];
    let mut merged = vec![];
    // Some streams run ahead of others by much: each takes a stretch of records at a time.
    while let Some(pick) = Some((0..sequences.len()).filter(|i| next[*i] < sequences[*i].len()).collect::<Vec<_>>()).filter(|p| !p.is_empty()) {
        let i = pick[rng.usize(0..pick.len())];
        let stretch = if rng.bool() { 1 } else { rng.usize(1..200) };
        for _ in 0..stretch {
            let Some(record) = sequences[i].get(next[i]) else { break };
            if resends && rng.u32(0..20) == 0 {
                merged.push(sequences[i][rng.usize(0..=next[i])].clone());
            }
            if resends && rng.u32(0..20) == 0 {
                merged.extend(sequences[i].get(next[i] + rng.usize(1..4)).and_then(|later| before_its_turn(later, record)));
            }
            merged.push(record.clone());
            next[i] += 1;
        }
    }
    merged
}

/// `later` as it is sent while `unacked`, of the same run, is not acked yet.
fn before_its_turn(later: &Bytes, unacked: &Bytes) -> Option<Bytes> {
    let (later, unacked) = (LogRecord::parse(later.clone()).unwrap(), LogRecord::parse(unacked.clone()).unwrap());
    let stamp = Stamp { base: unacked.record.prelude().first_seq, ..later.stamp };
    (later.stream() == unacked.stream()).then(|| stamp.seal(later.record.bytes()))
}

#[derive(PartialEq, Debug)]
struct Outcome {
    laps: BTreeMap<(EntryId, u32), Lap>,
    facts: Vec<Lap>,
    ledgers: BTreeMap<StreamKey, Ledger>,
    info: SessionInfo,
    incidents: usize,
}

fn outcome(records: &[Bytes], commit_every: usize) -> Outcome {
    let mut bench = Bench::new();
    for records in records.chunks(commit_every) {
        bench.feed(records).commit();
    }
    let mut reached = BTreeMap::new();
    for lap in bench.kept.steps.iter().flat_map(|s| &s.laps) {
        let before = reached.insert((lap.entry, lap.number), lap.revision);
        assert!(before < Some(lap.revision), "revision {} of lap {} after {before:?} (E4)", lap.revision, lap.number);
    }
    let anonymous = |lap: &Lap| Lap { revision: 0, ..lap.clone() };
    let steps = &bench.kept.steps;
    let facts: BTreeMap<_, _> =
        steps.iter().flat_map(|s| &s.facts).map(|f| ((f.entry, f.number, f.driver, f.run, f.timeline), anonymous(f))).collect();
    let streams = steps.iter().flat_map(|s| &s.streams).map(|s| (s.ledger.stream, s.ledger.clone())).collect();
    let info = steps.iter().flat_map(|s| &s.sessions).next_back().cloned().unwrap();
    Outcome {
        laps: bench.kept.laps.iter().map(|(k, l)| (*k, anonymous(l))).collect(),
        facts: facts.into_values().collect(),
        ledgers: streams,
        // When the first record came is the one thing that arrival decides.
        info: SessionInfo { opened_at_us: 0, ..info },
        incidents: steps.iter().flat_map(|s| &s.rows).filter(|row| row.kind == IncidentStep::KIND).count(),
    }
}

#[test]
fn each_lap_once_and_the_right_one() {
    let Outcome { laps, .. } = outcome(&everything().concat(), 50);
    let table: Vec<_> = laps.values().map(|l| (l.entry.as_str(), l.number, l.driver.as_str(), l.run, l.timeline, (l.time_us + 500) / 1000)).collect();
    let lap_ms = 20_000;
    assert_eq!(
        table,
        [
            ("anna", 2, "anna", run(1), 0, lap_ms),
            ("anna", 3, "anna", run(2), 0, lap_ms),
            ("anna", 4, "anna", run(2), 0, lap_ms),
            ("carl", 2, "carl", run(1), 1, lap_ms),
            ("dora", 4, "dora", run(1), 0, lap_ms),
            ("dora", 5, "dora", run(1), 0, lap_ms),
            ("emil", 2, "emil", run(1), 0, lap_ms),
            ("t:9", 2, "bea", run(3), 0, lap_ms),
            ("t:9", 3, "bea", run(3), 0, lap_ms),
            ("t:9", 4, "ben", run(3), 0, lap_ms),
            ("t:9", 5, "ben", run(3), 0, lap_ms),
        ]
    );
    assert!(laps[&(EntryId::new("anna").unwrap(), 3)].tags.has(Tags::RESUMED));
}

/// A dead run's records come behind the run that followed it: its laps are told all the same. The lap that was under way
/// at the restart is not, for nobody saw it whole; it is never told wrongly.
#[test]
fn a_dead_runs_spool_behind_a_new_run() {
    let (mut first, mut second) = (Client::new(1, "anna", 1), Client::new(1, "anna", 2));
    first.meta(1, 0);
    first.drive(300, 4300);
    second.meta(1, 0);
    second.drive(4312, 7500);
    let told = |records: &[Bytes]| outcome(records, 50).laps.into_values().map(|l| (l.number, l.run, (l.time_us + 500) / 1000)).collect::<Vec<_>>();
    let behind = told(&[second.records.clone(), first.records.clone()].concat());
    let lap = |number, n| (number, run(n), 20_000);
    assert_eq!(behind, [lap(2, 1), lap(3, 1), lap(5, 2), lap(6, 2)]);
    let before = told(&[first.records, second.records].concat());
    assert_eq!(before, [lap(2, 1), lap(3, 1), lap(4, 2), lap(5, 2), lap(6, 2)]);
}

/// A lap taken back by a flashback and driven again is a higher revision, whether it was withdrawn in between or not.
#[test]
fn a_lap_that_comes_back_is_a_higher_revision() {
    let mut carl = Client::new(1, "carl", 1);
    carl.meta(7, 0);
    carl.drive(300, 2900);
    carl.rewind(2200);
    carl.drive(2200, 2300);
    carl.rewind(2250);
    carl.drive(2250, 2900);
    let mut bench = Bench::new();
    let mut history = vec![];
    for record in &carl.records {
        bench.feed([record]);
        let step = bench.partition.step().unwrap();
        history.extend(step.laps.iter().map(|l| Some((l.timeline, l.revision))));
        history.extend(step.withdrawn.iter().map(|_| None));
    }
    assert_eq!(history, [Some((0, 1)), Some((0, 2)), None, Some((2, 3)), Some((2, 4))]);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(100) })]

    #[test]
    fn the_order_between_streams_changes_no_result(seed: u64, commit_every in 1usize..500) {
        let sequences = everything();
        let straight = outcome(&sequences.concat(), 100);
        let shuffled = outcome(&merge(&sequences, seed, false), commit_every);
        prop_assert_eq!(straight, shuffled);
    }

    #[test]
    fn resent_and_early_records_change_no_result(seed: u64) {
        let sequences = everything();
        let (straight, mut resent) = (outcome(&sequences.concat(), 100), outcome(&merge(&sequences, seed, true), 100));
        for (stream, ledger) in &mut resent.ledgers {
            prop_assert!(ledger.balances(), "{:?}", stream);
            (ledger.duplicate, ledger.early) = (0, 0);
        }
        prop_assert_eq!(straight, resent);
    }

    #[test]
    fn two_machines_of_one_driver(seed: u64, joins in 300u32..2600, run_of_other in 0u8..2) {
        check_two_machines(seed, joins, run_of_other)?;
    }
}

/// A run that comes behind another of its driver's in the log goes on from it, though both drove at once: the lap it tells
/// with the other's frames has as many as the lap that the other drove whole.
#[test]
fn a_lap_driven_whole_comes_before_a_resumed_one() {
    check_two_machines(9289451413197798863, 2100, 0).unwrap();
}

/// What a session's readers see.
#[derive(PartialEq, Debug, Clone)]
struct Shown {
    laps: Vec<Lap>,
    incidents: Vec<IncidentStep>,
}

fn shown(bench: &Bench) -> Shown {
    // That a step will be taken back at the opening is a note, no result.
    let told = AnyRow::read_all::<IncidentStep>(bench.kept.steps.iter().flat_map(|s| &s.rows)).unwrap();
    let incidents: BTreeMap<_, _> =
        told.into_iter().map(|i| IncidentStep { late: false, ..i }).map(|i| ((i.driver, i.run, i.timeline, i.tick), i)).collect();
    Shown { laps: bench.kept.laps.values().cloned().collect(), incidents: incidents.into_values().filter(|i| !i.superseded).collect() }
}

/// What was driven, without what depends on when it came.
fn driven(shown: &Shown) -> Shown {
    let lap = |l: &Lap| Lap { revision: 0, tags: l.tags.without(Tags::LATE), ..l.clone() };
    Shown { laps: shown.laps.iter().map(lap).collect(), ..shown.clone() }
}

/// Carl with an incident that a flashback takes back, and one that stays.
fn incidents() -> Sequence {
    let mut carl = Client::new(1, "cora", 1);
    carl.meta(8, 0);
    carl.drive(300, 1500);
    carl.incidents = 2;
    carl.drive(1500, 2500);
    carl.incidents = 3;
    carl.drive(2500, 2600);
    carl.rewind(2300);
    carl.incidents = 2;
    carl.drive(2300, 3700);
    carl.incidents = 4;
    carl.drive(3700, 5000);
    carl.records
}

#[test]
fn what_comes_behind_the_close_waits_for_the_opening() {
    let mut anna = Client::new(1, "anna", 1);
    anna.meta(1, 0);
    anna.drive(300, 2460);
    let before = anna.records.len();
    anna.drive(2460, 5000);
    let mut bench = Bench::new();
    bench.feed(&anna.records[..before]).commit();
    assert!(!bench.kept.laps.values().next().unwrap().settled, "lap 2 waits for the simulator's own time");
    bench.feed([&closing(1, Closing::SILENCE), &closing(1, Closing::ASKED)]).commit();
    let closed = shown(&bench);
    assert!(closed.laps.iter().map(|l| (l.number, l.settled)).eq([(2, true)]));
    assert!(bench.kept.steps.last().unwrap().sessions[0].closed);

    bench.feed(&anna.records[before..]).feed([&closing(1, Closing::ASKED)]).commit();
    assert_eq!(shown(&bench), closed, "closed results do not change");
    let step = bench.kept.steps.last().unwrap();
    assert_eq!(step.facts.iter().map(|l| (l.number, l.tags.has(Tags::LATE))).collect::<Vec<_>>(), [(3, true), (4, true)]);
    let ledger = &step.streams[0].ledger;
    assert_eq!((ledger.late, ledger.balances()), ((5000 - 2460) / u64::from(TICK_STEP) + 1, true));

    bench.feed([&closing(1, Closing::REOPENED)]).commit();
    assert_eq!(shown(&bench).laps.iter().map(|l| (l.number, l.tags.has(Tags::LATE))).collect::<Vec<_>>(), [(2, false), (3, true), (4, true)]);
    assert!(!bench.kept.steps.last().unwrap().sessions[0].closed);
    let counts = bench.partition.take_counts();
    assert_eq!(counts.closings, [("silence", 1), ("asked", 1), ("reopened", 1)], "what is so already is no news");
}

#[test]
fn a_retired_session_is_its_description() {
    let anna = Client::laps(1, "anna", 1, 300, 3);
    let mut bench = Bench::new();
    bench.feed(&anna[..100]).feed([&closing(1, Closing::RETIRED)]).commit();
    let step = bench.kept.steps.last().unwrap();
    assert_eq!(step.retired, [session(1)]);
    assert!(step.sessions[0].closed && step.sessions[0].retired);
    bench.partition.take_counts();

    bench.feed(&anna[100..110]).feed([&closing(1, Closing::REOPENED)]).feed(&anna[110..]).commit();
    let step = bench.kept.steps.last().unwrap();
    assert!(step.streams.is_empty() && step.facts.is_empty() && step.laps.is_empty() && step.retired.is_empty(), "{step:?}");
    assert!(step.sessions[0].retired);
    let counts = bench.partition.take_counts();
    assert_eq!((counts.car_frames, counts.closings.is_empty()), (0, true));
    assert_eq!((counts.retired, counts.late), (41 * 5 + 1, 0), "records of five frames, and the end");
}

#[test]
fn only_the_server_closes_and_only_what_is_there() {
    let mut bench = Bench::new();
    bench.feed([&closing(1, Closing::ASKED)]).commit();
    let step = &bench.kept.steps[0];
    assert!(step.sessions.is_empty() && step.quarantine.is_empty());

    let mut anna = Client::new(1, "anna", 1);
    anna.drive(300, 400);
    let frame = boxbox_schemas::event::ClosedFrame { reason: Closing::ASKED, ..Default::default() };
    anna.put(boxbox_schemas::record::Kind::CLOSED, 1, 0, &boxbox_schemas::record::archive(&frame));
    bench.feed(&anna.records).feed([&closing(1, Closing(99))]).commit();
    let step = &bench.kept.steps[1];
    assert!(!step.sessions[0].closed);
    assert_eq!(step.quarantine.len(), 2);
    assert!(step.quarantine[0].reason.contains("anna is not the server"), "{}", step.quarantine[0].reason);
    assert!(step.quarantine[1].reason.contains("code 99"), "{}", step.quarantine[1].reason);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    /// However a session is closed and opened again while its records come: results that were closed on purpose stand still, and once it
    /// is open at last they are those of a session that was never closed.
    #[test]
    fn closing_and_opening_changes_nothing_in_the_end(seed: u64, closings in proptest::collection::vec((0usize..3000, 0usize..3), 0..6)) {
        let sequences = [everything(), vec![incidents()]].concat();
        let mut records = merge(&sequences, seed, false);
        let mut straight = Bench::new();
        straight.feed(&records).feed([&closing(1, Closing::SILENCE)]).commit();
        for (at, how) in closings {
            records.insert(at.min(records.len()), closing(1, [Closing::SILENCE, Closing::ASKED, Closing::REOPENED][how]));
        }
        let (mut bench, mut closed) = (Bench::new(), None);
        for record in &records {
            bench.feed([record]);
            // Any record may be the one that changes what it must not.
            if bench.partition.has_news() || closed.is_none() {
                bench.commit();
            }
            let is_closed = bench.partition.sessions().any(|(s, _)| s.closed && !s.provisional);
            match &closed {
                _ if !is_closed => closed = None,
                None => closed = Some(shown(bench.commit())),
                Some(then) => prop_assert_eq!(then, &shown(&bench)),
            }
        }
        bench.feed([&closing(1, Closing::REOPENED), &closing(1, Closing::SILENCE)]).commit();
        prop_assert_eq!(driven(&shown(&bench)), driven(&shown(&straight)));
    }

    /// Silence that closes a session any number of times while its records come changes nothing at all: nothing is late, and what was under
    /// way at a close goes on.
    #[test]
    fn silence_changes_nothing(seed: u64, silences in proptest::collection::vec(0usize..3000, 0..6), commit_every in 1usize..200) {
        let sequences = [everything(), vec![incidents()]].concat();
        let mut records = merge(&sequences, seed, true);
        let mut straight = Bench::new();
        straight.feed(&records).feed([&closing(1, Closing::SILENCE)]).commit();
        for at in silences {
            records.insert(at.min(records.len()), closing(1, Closing::SILENCE));
        }
        records.push(closing(1, Closing::SILENCE));
        let mut bench = Bench::new();
        for records in records.chunks(commit_every) {
            bench.feed(records).commit();
        }
        let (straight, bench) = (&straight.kept, &bench.kept);
        let laps = |kept: &Kept| kept.laps.values().map(|lap| Lap { revision: 0, ..lap.clone() }).collect::<Vec<_>>();
        prop_assert_eq!(laps(straight), laps(bench));
        let last = |kept: &Kept| {
            let rows = kept.steps.iter().flat_map(|step| &step.rows).map(|row| ((row.head.key, row.kind), row.clone())).collect::<BTreeMap<_, _>>();
            let ledgers = kept.steps.iter().flat_map(|step| &step.streams).map(|s| (s.ledger.stream, s.ledger.clone())).collect::<BTreeMap<_, _>>();
            (rows, ledgers, kept.steps.iter().flat_map(|step| &step.sessions).next_back().cloned())
        };
        prop_assert_eq!(last(straight), last(bench));
    }

    /// The same race from two clients, one of them two minutes late, in any order, over a close or not: the same laps.
    #[test]
    fn a_late_client_with_the_same_frames(seed: u64, close_at in 0usize..2000) {
        let (one, mut late) = (restarted_client(), Client::new(1, "anna", 9));
        late.meta(1, 0);
        late.drive(300, 5200);
        late.end();
        let mut straight = Bench::new();
        straight.feed(&one).feed(&late.records).commit();
        let mut records = merge(&[one, late.records], seed, false);
        records.insert(close_at.min(records.len()), closing(1, Closing::ASKED));
        records.push(closing(1, Closing::REOPENED));
        let mut shuffled = Bench::new();
        shuffled.feed(&records).commit();
        let times = |bench: &Bench| bench.kept.laps.values().map(|l| (l.entry, l.number, l.start_us, l.end_us, l.frames)).collect::<Vec<_>>();
        prop_assert_eq!(times(&straight), times(&shuffled));
    }
}

/// One driver's two machines at once: the laps are the same whatever comes first, and told by a stream that drove them whole.
fn check_two_machines(seed: u64, joins: u32, run_of_other: u8) -> Result<(), TestCaseError> {
    let (mut one, mut other) = (Client::new(1, "anna", 2), Client::new(1, "anna", 1 + 2 * run_of_other));
    one.meta(1, 0);
    one.drive(300, 5000);
    one.end();
    other.meta(1, 0);
    other.drive(joins / TICK_STEP * TICK_STEP, 6300);
    other.end();
    let sequences = [one.records, other.records];
    let (straight, shuffled) = (outcome(&sequences.concat(), 100), outcome(&merge(&sequences, seed, false), 100));
    prop_assert_eq!(straight.laps.keys().map(|(_, n)| *n).collect::<Vec<_>>(), [2, 3, 4, 5]);
    prop_assert_eq!(straight.laps, shuffled.laps);
    Ok(())
}
