//! A session computed again from its archive alone is what the processor made of its log, bit for bit.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;

use boxbox_log::Log;
use boxbox_processor::recompute::{Reached, Recomputed, recompute};
use boxbox_processor::{Processor, Status};
use boxbox_schemas::SessionId;
use boxbox_schemas::event::Closing;
use boxbox_schemas::results::{AnyRow, Lap, StreamState};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::sqlite::SqliteArchive;
use boxbox_store::{Archive, Retention, Steps, StoredSession};
use boxbox_testkit::wait::until;
use bytes::Bytes;
use fastrand::Rng;
use support::*;
use tokio_util::sync::CancellationToken;

/// Everything that a stream may have, in two sessions: rewinds, gaps, voids, holes, other cars, slow values, a change of slot, a second
/// run, unreadable records; and the first session is closed, reopened and closed again in the middle.
fn records(rng: &mut Rng) -> Vec<Bytes> {
    let mut carl = Client::flashback(1, "carl");
    carl.drive(2200, 3700);
    carl.void(5);
    carl.drive(3730, 4900);
    carl.gap(7);
    carl.slow();
    carl.hole(3);
    carl.drive(5000, 6100);
    carl.meta(9, 0);
    carl.drive(6100, 8100);
    carl.put(boxbox_schemas::record::Kind::EVENT, 1, 1, b"unreadable");
    carl.end();
    let mut anna = Client::new(1, "anna", 1);
    anna.grid(3, &[(3, 30, 0), (7, 7, 0), (5, 50, 0)]);
    for lap in 0..6 {
        anna.drive(300 + lap * LAP_TICKS, 300 + (lap + 1) * LAP_TICKS);
        anna.see(300 + lap * LAP_TICKS, 300 + (lap + 1) * LAP_TICKS, &[(7, 40), (5, -70)]);
        anna.slow();
    }
    // Her client starts again, and goes on where it was.
    let mut again = Client::new(1, "anna", 2);
    again.grid(3, &[(3, 30, 0), (7, 7, 0)]);
    again.drive(7_600, 9_900);
    again.end();
    let mut turns = [carl.records.into_iter(), [anna.records, again.records].concat().into_iter(), Client::laps(2, "bert", 1, 300, 4).into_iter()];
    let mut all = vec![];
    while turns.iter().any(|turn| turn.len() > 0) {
        all.extend(turns[rng.usize(0..3)].by_ref().take(rng.usize(1..9)));
    }
    for (part, what) in [(3, Closing::SILENCE), (5, Closing::REOPENED), (7, Closing::ASKED)] {
        all.insert(all.len() * part / 8 + rng.usize(0..20), closing(1, what));
    }
    all
}

async fn until_level(status: &Status, log: &dyn Log) {
    for partition in 0..log.partitions() {
        let end = log.bounds(partition).await.unwrap().end;
        let level = || {
            let at = &status.partitions()[partition as usize];
            at.results.committed >= end && at.archive.committed >= end
        };
        until("everything is committed", level).await;
    }
}

/// Process and archive all records, with a restart in the middle. The log is dropped.
async fn processed(records: &[Bytes], results: &MemoryResults, archive: &Arc<dyn Archive>) {
    let log = Arc::new(inline_log(2));
    let (first, rest) = records.split_at(records.len() / 2);
    for part in [first, rest] {
        append(&*log, part);
        let processor = Processor::new(quick(), log.clone(), Arc::new(results.clone()), archive.clone());
        let (status, stop) = (processor.status(), CancellationToken::new());
        let work = tokio::spawn(processor.run(stop.clone()));
        until_level(&status, &*log).await;
        stop.cancel();
        work.await.unwrap().unwrap();
    }
}

async fn again(results: &MemoryResults, archive: &Arc<dyn Archive>, id: SessionId) -> (StoredSession, Recomputed) {
    let stored = results.stored(&id).await.unwrap().unwrap();
    let reached: Reached = stored.ledgers.iter().map(|l| ((l.stream.driver, l.stream.run), l.expected)).collect();
    let computed = recompute(&**archive, tenant(), id, &reached).await.unwrap();
    (stored, computed)
}

/// How often a lap was written depends on when steps were committed.
fn laps(laps: &[Lap]) -> Vec<Lap> {
    let mut laps: Vec<Lap> = laps.iter().filter(|lap| !lap.superseded).map(|lap| Lap { revision: 0, ..lap.clone() }).collect();
    laps.sort_by_key(|lap| (lap.entry, lap.number));
    laps
}

fn rows(rows: &[AnyRow]) -> Vec<AnyRow> {
    let mut rows: Vec<AnyRow> = rows.iter().filter(|row| !row.head.superseded).cloned().collect();
    rows.sort_by_key(|row| (row.head.key, row.kind));
    rows
}

async fn is_the_same_again(seed: u64, archive: Arc<dyn Archive>) {
    let results = MemoryResults::new();
    processed(&records(&mut Rng::with_seed(seed)), &results, &archive).await;
    for (id, laps_at_least) in [(1, 6), (2, 3)] {
        let (stored, computed) = again(&results, &archive, session(id)).await;
        computed.complete(&stored.info, &stored.ledgers).unwrap();
        assert!(stored.laps.len() >= laps_at_least);
        assert_eq!(laps(&computed.step.laps), laps(&stored.laps), "seed {seed}");
        assert_eq!(rows(&computed.step.rows), rows(&stored.rows), "seed {seed}");
        let info = &computed.step.sessions[0];
        assert_eq!((&info.meta, info.closed, info.sim_time_us), (&stored.info.meta, stored.info.closed, stored.info.sim_time_us));
        assert_eq!((info.rules, stored.info.rules), (boxbox_race::RULES_VERSION, boxbox_race::RULES_VERSION));
        // The states from which a processor continues.
        let checkpoint = &stored.checkpoint;
        let lease = results.acquire(&checkpoint.log, checkpoint.partition).await.unwrap();
        let state = results.load(&lease).await.unwrap();
        let of = |streams: &[StreamState]| {
            let key = |s: &StreamState| (s.ledger.stream.driver, s.ledger.stream.run);
            let here = streams.iter().filter(|s| s.ledger.stream.session == session(id));
            here.map(|s| (key(s), (s.race.clone(), s.now.clone(), s.field.clone()))).collect::<BTreeMap<_, _>>()
        };
        assert_eq!(of(&computed.step.streams), of(&state.streams), "seed {seed}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_archive_alone_gives_the_same_session() {
    for seed in 0..6 {
        is_the_same_again(seed, Arc::new(MemoryArchive::new())).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_alone_give_the_same_session() {
    let folder = tempfile::tempdir().unwrap();
    for seed in 6..8 {
        is_the_same_again(seed, Arc::new(SqliteArchive::open(&folder.path().join(format!("{seed}.db"))).await.unwrap())).await;
    }
}

/// Records that the results do not have yet are left out; those that retention removed are missed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_missing_is_noticed() {
    let (results, archive): (_, Arc<dyn Archive>) = (MemoryResults::new(), Arc::new(MemoryArchive::new()));
    processed(&Client::laps(2, "bert", 1, 300, 4), &results, &archive).await;
    let (stored, computed) = again(&results, &archive, session(2)).await;
    computed.complete(&stored.info, &stored.ledgers).unwrap();
    let early: Reached = stored.ledgers.iter().map(|l| ((l.stream.driver, l.stream.run), 200)).collect();
    let early = recompute(&*archive, tenant(), session(2), &early).await.unwrap();
    assert_eq!(early.step.streams[0].ledger.expected, 200);
    assert!(early.complete(&stored.info, &stored.ledgers).unwrap_err().contains("bert"));
    assert!(recompute(&*archive, tenant(), session(9), &Reached::new()).await.is_err(), "no such session");

    let newest = computed.step.sessions[0].updated_at_us;
    archive.retain(&Retention { oldest_us: Some(newest - 5_000_000), ..Retention::default() }).await.unwrap();
    let reached: Reached = stored.ledgers.iter().map(|l| ((l.stream.driver, l.stream.run), l.expected)).collect();
    let cut = recompute(&*archive, tenant(), session(2), &reached).await;
    assert!(cut.is_err() || cut.unwrap().complete(&stored.info, &stored.ledgers).is_err(), "the beginning was removed");
}
