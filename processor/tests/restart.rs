//! E5a, E7, E11: from any checkpoint, and whatever became of the last commit, the same results, bit for bit.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::memory::MemoryLog;
use boxbox_log::{Limits, Log};
use boxbox_processor::partition::Partition;
use boxbox_processor::{Config, Processor};
use boxbox_schemas::event::{Closing, Exclusion, Judging};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::results::{About, IncidentStep, Lap, Ledger, SessionInfo, Tags};
use boxbox_schemas::stamp::judged;
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, Found, Lease, Pace, PartitionState, Sessions, Steps, StreamState, rows_of};
use boxbox_testkit::wait::until;
use bytes::Bytes;
use fastrand::Rng;
use support::stores::Faulty;
use support::*;
use tokio_util::sync::CancellationToken;

/// Everything that can be read out of a results store, in order.
#[derive(PartialEq, Debug)]
struct Everything {
    state: PartitionState,
    sessions: Vec<SessionInfo>,
    laps: Vec<Lap>,
    incidents: Vec<IncidentStep>,
    ledgers: Vec<Ledger>,
}

async fn everything(results: &MemoryResults, log: &dyn Log, partition: u32) -> Everything {
    let lease = results.acquire(log.id(), partition).await.unwrap();
    let state = results.load(&lease).await.unwrap();
    let sessions = results.sessions(&tenant(), None, 1_000).await.unwrap();
    let (mut laps, mut incidents, mut ledgers) = (vec![], vec![], vec![]);
    for session in &sessions {
        laps.extend(results.laps(&tenant(), &session.id, &Default::default(), None, 10_000).await.unwrap());
        incidents.extend(rows_of::<IncidentStep>(results, &tenant(), &session.id).await.unwrap());
        ledgers.extend(results.ledgers(&tenant(), &session.id).await.unwrap());
    }
    Everything { state, sessions, laps, incidents, ledgers }
}

/// A log with something of everything: a restart, a flashback with incidents, gaps, voids, holes, rubbish.
fn eventful() -> Vec<Bytes> {
    let mut anna = Client::new(1, "anna", 1);
    anna.meta(1, 0);
    anna.drive(300, 2000);
    anna.void(3);
    anna.drive(2024, 3000);
    let mut again = Client::new(1, "anna", 2);
    again.meta(1, 0);
    again.drive(3012, 4000);
    again.gap(30);
    again.drive(4180, 6200);
    again.end();
    let mut carl = Client::flashback(1, "carl");
    carl.drive(2200, 3000);
    carl.hole(5);
    carl.incidents = 2;
    carl.drive(3030, 5000);
    carl.rewind(4700);
    carl.drive(4700, 4760);
    let other = Client::laps(2, "dora", 9, 0, 2);
    let mut records = anna.records;
    // Interleaved by hand: anna's first run, then all others in turns.
    let mut rest = [again.records, carl.records, other].map(|r| r.into_iter());
    while rest.iter().any(|r| r.len() > 0) {
        records.extend(rest.iter_mut().filter_map(Iterator::next));
    }
    // Session 1 is closed by silence, which frames end at once; closed on purpose while all still drive, and opened again near the end; session 3 is retired before its last laps.
    let emil = Client::laps(3, "emil", 1, 0, 4);
    records.splice(200..200, emil[..100].iter().cloned());
    records.insert(300, closing(3, Closing::RETIRED));
    records.extend_from_slice(&emil[100..]);
    let (close, open) = (records.len() / 2, records.len() - 60);
    records.insert(open, closing(1, Closing::REOPENED));
    records.insert(open + 20, closing(1, Closing::ASKED));
    records.insert(close, closing(1, Closing::ASKED));
    records.insert(close - 100, closing(1, Closing::SILENCE));
    records.push(closing(1, Closing::REOPENED));
    records.insert(40, Bytes::from_static(b"rubbish"));
    records.insert(300, damaged(&records[300]));
    records
}

fn damaged(record: &Bytes) -> Bytes {
    let mut bytes = record.to_vec();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    bytes.into()
}

fn log_of(records: &[Bytes]) -> MemoryLog {
    let log = MemoryLog::inline(1, Limits::default());
    append(&log, records);
    log
}

/// Go on from the store for up to `records` records, in steps of `every`; without any runtime's timing.
async fn go_on(log: &MemoryLog, results: &MemoryResults, records: usize, every: usize) -> Lease {
    let lease = results.acquire(log.id(), 0).await.unwrap();
    let state = results.load(&lease).await.unwrap();
    let next = state.checkpoint.as_ref().map_or(0, |c| c.offset + 1);
    let mut partition = Partition::restore(log.id().clone(), 0, 1, state).unwrap();
    let entries: Vec<_> = log.records(0).into_iter().filter(|e| e.offset >= next).take(records).collect();
    for batch in entries.chunks(every) {
        for entry in batch {
            partition.process(entry.offset, &entry.record);
        }
        results.commit(&lease, &partition.step().unwrap()).await.unwrap();
    }
    lease
}

#[tokio::test]
async fn a_restart_from_any_checkpoint_gives_the_same_results() {
    let log = log_of(&eventful());
    let all = log.records(0).len();
    let reference = MemoryResults::new();
    go_on(&log, &reference, all, all).await;
    let expected = everything(&reference, &log, 0).await;
    let table: Vec<_> = expected.laps.iter().map(|l| (l.entry.as_str(), l.number)).collect();
    assert_eq!(
        table,
        [("dora", 2), ("emil", 2), ("anna", 2), ("anna", 3), ("anna", 4), ("anna", 5), ("carl", 2), ("carl", 3)],
        "of emil, what was told before his session was retired"
    );
    assert!(expected.laps.iter().any(|l| l.tags.has(Tags::LATE)), "no lap is late");
    assert!(expected.state.sessions.iter().any(|s| s.retired), "no session is retired");
    assert!(expected.state.facts.iter().any(|f| f.superseded), "no fact is superseded");
    assert_eq!(reference.quarantine(log.id(), 0).await.unwrap().len(), 2);

    // A checkpoint after every record, stopping at each of them in turn.
    let growing = MemoryResults::new();
    for at in 0..=all {
        if at % 7 == 0 || at == all {
            let rest = copy(&growing, &log).await;
            go_on(&log, &rest, all, 97).await;
            assert_eq!(everything(&rest, &log, 0).await, expected, "restarted behind record {at}");
        }
        go_on(&log, &growing, 1, 1).await;
    }
    assert_eq!(everything(&growing, &log, 0).await, expected, "restarted at every record");
}

/// As [`go_on`] to the end of the log, as a processor does it: sessions come when records need them, and leave at random moments, all or some,
/// open or closed. Every so often another owner begins. Returns how many came back.
async fn come_and_go(log: &MemoryLog, results: &MemoryResults, rng: &mut Rng) -> usize {
    let entries = log.records(0);
    let (mut at, mut returned) = (0, 0);
    let begin = async || {
        let lease = results.acquire(log.id(), 0).await.unwrap();
        let beginning = results.begin(&lease).await.unwrap();
        (Partition::resume(log.id().clone(), 0, 1, beginning), lease)
    };
    let (mut partition, mut lease) = begin().await;
    while let Some(batch) = entries.get(at..entries.len().min(at + rng.usize(1..60))).filter(|batch| !batch.is_empty()) {
        let mut rest = batch;
        while let Some((entry, behind)) = rest.split_first() {
            let Some(missing) = partition.process(entry.offset, &entry.record) else {
                rest = behind;
                continue;
            };
            let wanted = partition.missing(rest.iter().map(|entry| &entry.record), rng.usize(1..3));
            assert_eq!(wanted[0], missing);
            for found in results.find(&lease, &wanted, u64::MAX).await.unwrap() {
                returned += usize::from(matches!(found, Found::Whole(_)));
                assert_eq!(partition.put(found).unwrap(), None);
            }
        }
        at += batch.len();
        if let Some(step) = partition.step().filter(|_| rng.u8(0..4) > 0 || at == entries.len()) {
            results.commit(&lease, &step).await.unwrap();
        } else {
            // Lost: another owner begins where the last commit was.
            (partition, lease) = begin().await;
            at = results.begin(&lease).await.unwrap().checkpoint.map_or(0, |c| c.offset as usize + 1);
        }
        match rng.u8(0..4) {
            0 => _ = partition.make_room(u64::MAX),
            1 => _ = partition.make_room(rng.u64(1..100_000)),
            2 => _ = partition.leave_closed(rng.u64(0..=partition.processed())),
            _ => {}
        }
    }
    returned
}

/// E9d: memory is a cache of the store, whatever leaves it, and whenever.
#[tokio::test]
async fn sessions_that_leave_memory_and_come_back_change_no_result() {
    let records = eventful();
    let log = log_of(&records);
    let reference = MemoryResults::new();
    go_on(&log, &reference, records.len(), records.len()).await;
    let expected = everything(&reference, &log, 0).await;
    let mut returned = 0;
    for seed in 0..40 {
        let results = MemoryResults::new();
        returned += come_and_go(&log, &results, &mut Rng::with_seed(seed)).await;
        assert_eq!(everything(&results, &log, 0).await, expected, "seed {seed}");
    }
    assert!(returned > 200, "only {returned} sessions came back");
}

/// Four clients who see each other; of one the team is claimed by another, whose description changes all the time, and who goes back. It is
/// excluded and reinstated, and silence closes the session three times, once for a while.
fn quarrelsome() -> Vec<Bytes> {
    const CARS: [(u16, u64); 4] = [(4, 9), (5, 10), (6, 11), (7, 12)];
    let describe = |client: &mut Client, own_slot: u16, length_m: f64, claimed: u64| {
        let entry = |&(slot, team): &(u16, u64)| MetaEntry {
            slot,
            user_id: u64::from(slot) + 10,
            team_id: if slot == own_slot { claimed } else { team },
            ..MetaEntry::default()
        };
        let entries = CARS.iter().map(entry).collect();
        let meta =
            SessionMeta { track_length_m: length_m, session_type: "practice".into(), own_slot, team_racing: 1, entries, ..SessionMeta::default() };
        client.in_slot(own_slot);
        client.put(Kind::META, 1, 1, &archive(&meta));
    };
    let mut clients: Vec<(Client, u16, u64)> =
        [("bea", 4, 9), ("carl", 5, 10), ("dora", 6, 11), ("aaron", 7, 12)].map(|(name, slot, team)| (Client::new(1, name, 1), slot, team)).into();
    let mut records = vec![];
    for (n, tick) in (0..6_000).step_by(60).enumerate() {
        for (client, slot, team) in &mut clients {
            client.shift = i64::from(*slot) * 60;
            let lies = *slot == 7;
            if n == 0 {
                describe(client, *slot, 1_000.0, *team);
            } else if lies && n % 9 == 0 {
                let (length_m, claimed) = [(1_000.0, 9), (1.0, 9), (99_000.0, 9), (1_000.0, 12)][n / 9 % 4];
                describe(client, *slot, length_m, claimed);
            }
            client.drive(tick, tick + 60);
            if lies && n == 55 {
                client.rewind(tick - 300);
                client.drive(tick - 300, tick);
            }
            let shift = |other: u16| if lies { i64::from(other) * 60 + 200 } else { i64::from(other) * 60 };
            let seen: Vec<(u16, i64)> = CARS.iter().filter(|c| c.0 != *slot && (lies || c.0 != 5)).map(|c| (c.0, shift(c.0))).collect();
            // Carl has no client half of the time, and is seen.
            if *slot != 5 || n % 40 < 20 {
                client.see(tick, tick + 60, &seen);
                records.append(&mut client.records);
            } else {
                client.records.clear();
                client.gap(1);
            }
        }
    }
    clients.iter_mut().for_each(|(client, ..)| {
        client.end();
        records.append(&mut client.records);
    });
    let judge = |code, run| judged(tenant(), source(1), code, &Exclusion { driver: driver("aaron"), run }, 1_700_000_000_000_000);
    let all = records.len();
    let inserted = [
        (all, closing(1, Closing::ASKED)),
        (all, judge(Judging::EXCLUDED, None)),
        (all, closing(1, Closing::SILENCE)),
        (all * 9 / 10, judge(Judging::REINSTATED, Some(run(1)))),
        (all * 8 / 10, judge(Judging::EXCLUDED, Some(run(1)))),
        (all * 7 / 10, closing(1, Closing::SILENCE)),
        (all * 6 / 10, judge(Judging::REINSTATED, None)),
        (all * 5 / 10, closing(1, Closing::REOPENED)),
        (all * 4 / 10, closing(1, Closing::ASKED)),
        (all * 3 / 10, judge(Judging::EXCLUDED, None)),
        (all * 2 / 10, closing(1, Closing::SILENCE)),
    ];
    inserted.into_iter().for_each(|(at, record)| records.insert(at, record));
    records
}

/// What clients told against each other, who is excluded, and what was shown and when: the same wherever steps end, after every restart, and
/// whether the session leaves memory or not.
#[tokio::test]
async fn whom_to_believe_does_not_depend_on_restarts_and_on_leaving_memory() {
    let records = quarrelsome();
    // Of the whole log, and of parts that end open, excluded, closed.
    for part in [10, 9, 8, 6, 5, 3] {
        let log = log_of(&records[..records.len() * part / 10]);
        let all = log.records(0).len();
        let reference = MemoryResults::new();
        go_on(&log, &reference, all, all).await;
        let expected = everything(&reference, &log, 0).await;
        let info = &expected.sessions[0];
        let about = |about: About| info.conflicts.iter().any(|conflict| conflict.about == about);
        match part {
            10 => assert!(info.closed && info.excluded.len() == 1 && expected.laps.len() > 5, "{info:?}"),
            9 | 6 => assert!(about(About::Lap), "{info:?}"),
            _ => {}
        }
        let (mut each, mut rng) = (MemoryResults::new(), Rng::with_seed(part as u64));
        go_on(&log, &each, all, 1).await;
        assert_eq!(everything(&each, &log, 0).await, expected, "{part}: a step behind every record");
        each = MemoryResults::new();
        let read = async |results: &MemoryResults| {
            let lease = results.acquire(log.id(), 0).await.unwrap();
            results.begin(&lease).await.unwrap().checkpoint.map_or(0, |checkpoint| checkpoint.offset as usize + 1)
        };
        while read(&each).await < all {
            go_on(&log, &each, rng.usize(1..80), rng.usize(1..40)).await;
        }
        assert_eq!(everything(&each, &log, 0).await, expected, "{part}: restarts");
        let mut returned = 0;
        for seed in 0..8 {
            let results = MemoryResults::new();
            returned += come_and_go(&log, &results, &mut Rng::with_seed(seed)).await;
            assert_eq!(everything(&results, &log, 0).await, expected, "{part}: seed {seed}");
        }
        assert!(returned > 8, "only {returned} sessions came back");
    }
}

/// A store with what `results` holds, by way of one step.
async fn copy(results: &MemoryResults, log: &MemoryLog) -> MemoryResults {
    let copy = MemoryResults::new();
    let lease = results.acquire(log.id(), 0).await.unwrap();
    let state = results.load(&lease).await.unwrap();
    let Some(checkpoint) = state.checkpoint else { return copy };
    let mut step = boxbox_store::Step {
        streams: state.streams,
        sessions: state.sessions,
        facts: state.facts,
        laps: state.laps,
        rows: state.rows,
        accounts: state.accounts,
        quarantine: results.quarantine(log.id(), 0).await.unwrap(),
        ..boxbox_store::Step::new(checkpoint)
    };
    // What a retired session has left is not loaded.
    for retired in step.sessions.iter().filter(|s| s.retired).map(|s| s.id) {
        let ledgers = results.ledgers(&tenant(), &retired).await.unwrap();
        step.streams.extend(ledgers.into_iter().map(|ledger| StreamState { ledger, race: Bytes::new(), now: None, field: vec![] }));
        step.laps.extend(results.laps(&tenant(), &retired, &Default::default(), None, 10_000).await.unwrap());
    }
    let lease = copy.acquire(log.id(), 0).await.unwrap();
    copy.commit(&lease, &step).await.unwrap();
    copy
}

fn any_config(rng: &mut Rng) -> Config {
    let ms = Duration::from_millis;
    Config {
        read_bytes: rng.usize(1_000..40_000),
        news_every: ms(rng.u64(0..4)),
        quiet_every: ms(rng.u64(0..10)),
        step_records: rng.u64(1..200),
        pace: Some(Pace { every: ms(3), idle: ms(2), bytes: rng.usize(1_000..200_000) }),
        // Sessions leave memory all the time, or stay.
        leave_after: ms(rng.u64(0..5)),
        session_max_bytes: if rng.bool() { 400_000 } else { 1 << 30 },
        retry_first: Duration::from_micros(100),
        retry_last: ms(2),
        ..Config::default()
    }
}

/// The whole processor, killed at random moments, on a store whose commits fail before and after they happen.
#[tokio::test]
async fn kills_and_failing_commits_change_no_result() {
    let records = eventful();
    let log = log_of(&records);
    let reference = MemoryResults::new();
    go_on(&log, &reference, records.len(), 100).await;
    let expected = everything(&reference, &log, 0).await;
    let mut half_way = 0;
    for seed in 0..12 {
        let mut rng = Rng::with_seed(seed);
        let (results, archive) = (Faulty::default(), MemoryArchive::new());
        results.fail(20, 20, seed * 1_000);
        results.fail_finds(20);
        for _ in 0..6 {
            let processor = Processor::new(any_config(&mut rng), Arc::new(log.clone()), Arc::new(results.clone()), Arc::new(archive.clone()));
            let status = processor.status();
            let work = tokio::spawn(processor.run(CancellationToken::new()));
            // The archive goes and comes back, so that it follows, falls behind, and follows again.
            for _ in 0..rng.u32(1..4) {
                archive.set_available(rng.bool());
                tokio::time::sleep(Duration::from_micros(rng.u64(0..1_500))).await;
            }
            // As kill -9: nothing is finished, whatever it was doing.
            work.abort();
            let _ = work.await;
            archive.set_available(true);
            half_way += u32::from((1..records.len() as u64).contains(&status.partitions()[0].results.committed));
        }
        let processor = Processor::new(any_config(&mut rng), Arc::new(log.clone()), Arc::new(results.clone()), Arc::new(archive.clone()));
        let (status, stop) = (processor.status(), CancellationToken::new());
        let work = tokio::spawn(processor.run(stop.clone()));
        let what = std::fmt::from_fn(|f| write!(f, "everything is read: {:?}", status.partitions()));
        until(what, || status.partitions().iter().all(|p| p.results.level() && p.archive.level())).await;
        stop.cancel();
        work.await.unwrap().unwrap();
        results.fail(0, 0, 0);
        results.fail_finds(0);
        if status.partitions()[0].results.committed < records.len() as u64 {
            // The store did not answer its last attempt before the end was asked for: what is missing is in the log.
            go_on(&log, &results.inner, records.len(), 100).await;
        }
        let found = everything(&results.inner, &log, 0).await;
        assert_eq!(found, expected, "seed {seed}");
        assert!(results.failed() > 0, "seed {seed}: nothing failed");
        // The archive takes every frame; the ledger of a retired session counts none any more.
        let retired = session(3);
        for ledger in found.ledgers.iter().filter(|l| l.stream.session != retired) {
            let stream = ledger.stream;
            let kept = archive.count(&stream.tenant, &stream.session, Some(&stream.driver)).await.unwrap();
            let told: u64 =
                found.ledgers.iter().filter(|l| (l.stream.session, l.stream.driver) == (stream.session, stream.driver)).map(|l| l.car_frames).sum();
            assert_eq!(kept, told, "seed {seed}: frames archived of {stream:?}");
        }
    }
    assert!(half_way > 10, "only {half_way} restarts were half-way");
}
