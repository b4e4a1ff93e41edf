//! What one driver may make a partition keep and work (rules `limit.…`): each shape of attack is refused, counted and told, and the
//! driver beside loses nothing and is not kept waiting.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_processor::partition::Partition;
use boxbox_processor::{Counts, Processor};
use boxbox_schemas::frame::{CarBits, CarFrame, Presence};
use boxbox_schemas::limits::*;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::results::{Lap, Limited, SessionInfo};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, PartitionState, Sessions, Step, Steps};
use boxbox_testkit::frames::payload;
use bytes::Bytes;
use support::*;
use tokio_util::sync::CancellationToken;

/// By then the laps of the driver beside must be there: many times what it takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Laps of 20 s with a frame every two seconds: few bytes for each lap. With `pits`, the car is on the pit road now and then.
fn hurry(client: &mut Client, from_lap: u32, laps: u32, pits: bool) {
    let ticks: Vec<u32> = (from_lap * LAP_TICKS..(from_lap + laps) * LAP_TICKS).step_by(120).collect();
    for ticks in ticks.chunks(150) {
        let frame = |tick: &u32| {
            let frame = client.frame(*tick);
            let pit_road = if pits && tick % LAP_TICKS < 600 { CarBits::ON_PIT_ROAD } else { CarBits::default() };
            CarFrame { bits: frame.bits.with(pit_road), presence: frame.presence.with(Presence::PIT_ROAD), ..frame }
        };
        let frames: Vec<CarFrame> = ticks.iter().map(frame).collect();
        client.put(Kind::CAR, frames.len() as u16, frames.len() as u64, &payload(&frames));
    }
}

fn mallory(source: u128, run: u8) -> Client {
    Client::new(source, "mallory", run)
}

/// Mallory sees 60 cars and goes back again and again; before that there are many laps.
fn rewinds() -> Vec<Bytes> {
    let mut client = mallory(1, 1);
    client.meta(1, 0);
    hurry(&mut client, 0, 1_500, false);
    let cars: Vec<(u16, i64)> = (2..62).map(|slot| (slot, 0)).collect();
    let end = 1_500 * LAP_TICKS;
    client.see(end - 60, end, &cars);
    (0..60_000).for_each(|n| client.rewind(end - n % 600));
    client.records
}

/// Laps with pit edges, and metadata that names another driver in the car, again and again; what the others in the session see of these
/// drivers goes to and fro.
fn renames() -> Vec<Bytes> {
    let mut client = mallory(1, 1);
    client.grid(1, &[(1, 7, 0), (2, 8, 0)]);
    hurry(&mut client, 0, 2_000, true);
    client.see(0, 300 * LAP_TICKS, &[(2, 0)]);
    for n in 0..3_000 {
        client.grid(1, &[(1, 7 + n % 2, 0), (2, 8 + n % 2, 0)]);
    }
    client.records
}

/// A client that starts again and again.
fn runs() -> Vec<Bytes> {
    let start = |n: u32| {
        let mut client = mallory(1, (n % 250) as u8);
        client.as_run(boxbox_schemas::RunId(u128::from(n).to_be_bytes()));
        client.meta(1, 0);
        client.drive(300 + n, 306 + n);
        client.records
    };
    (0..60_000 / 3).flat_map(start).collect()
}

/// Many laps in a few bytes.
fn laps() -> Vec<Bytes> {
    let mut client = mallory(1, 1);
    client.meta(1, 0);
    hurry(&mut client, 0, 30_000, false);
    client.records
}

/// A description of nearly 32 KB.
fn describe(client: &mut Client) {
    let text = "x".repeat(38);
    let car = |slot| MetaEntry { slot, driver_name: text.clone(), team_name: text.clone(), car_name: text.clone(), ..MetaEntry::default() };
    let meta = SessionMeta { own_slot: 1, entries: (0..META_ENTRIES_MAX as u16).map(car).collect(), ..SessionMeta::default() };
    client.put(Kind::META, 1, 1, &archive(&meta));
}

/// Many sessions, each with a long description.
fn sessions(n: u32) -> Vec<Bytes> {
    let open = |n: u32| {
        let mut client = mallory(1_000 + u128::from(n), 1);
        describe(&mut client);
        client.records
    };
    (0..n).flat_map(open).collect()
}

/// What is sent beside, in another session.
fn honest() -> Vec<Bytes> {
    Client::laps(2, "bert", 1, 300, 4)
}

/// Every shape, and the bounds that it meets; several names: one of them at least.
fn shapes() -> Vec<(&'static str, Vec<Bytes>, &'static [&'static str])> {
    vec![
        ("rewinds", rewinds(), &["work"]),
        ("renames", renames(), &["work"]),
        ("runs", runs(), &["runs"]),
        ("laps", laps(), &["kept"]),
        ("sessions", sessions(2_000), &["sessions", "kept"]),
    ]
}

/// `beside` among `records`, evenly.
fn among(records: &[Bytes], beside: Vec<Bytes>) -> Vec<Bytes> {
    let every = (records.len() / beside.len()).max(1);
    let mut beside = beside.into_iter();
    let mut all: Vec<Bytes> = records.chunks(every).flat_map(|chunk| chunk.iter().cloned().chain(beside.next())).collect();
    all.extend(beside);
    all
}

/// What came of some records: the chosen laps, the sessions, and the counts.
#[derive(Default)]
struct Outcome {
    laps: BTreeMap<(boxbox_schemas::SessionId, boxbox_schemas::EntryId, u32), Lap>,
    sessions: BTreeMap<boxbox_schemas::SessionId, SessionInfo>,
    counts: Counts,
    streams: std::collections::BTreeSet<boxbox_schemas::StreamKey>,
}

impl Outcome {
    fn of(records: &[Bytes]) -> Self {
        let mut partition = Partition::restore(boxbox_schemas::LogId("bench".into()), 0, 1, PartitionState::default()).unwrap();
        let mut outcome = Self::default();
        for (offset, record) in records.iter().enumerate() {
            partition.process(offset as u64, record);
            if offset % 2_000 == 0 {
                outcome.take(partition.step());
            }
        }
        outcome.take(partition.step());
        outcome.counts = partition.take_counts();
        outcome
    }

    fn take(&mut self, step: Option<Step>) {
        let Some(step) = step else { return };
        step.withdrawn.iter().for_each(|key| _ = self.laps.remove(key));
        self.laps.extend(step.laps.into_iter().map(|lap| ((lap.session, lap.entry, lap.number), lap)));
        self.sessions.extend(step.sessions.into_iter().map(|info| (info.id, info)));
        self.streams.extend(step.streams.into_iter().map(|s| s.ledger.stream));
    }

    fn laps_of(&self, source: u128) -> Vec<&Lap> {
        self.laps.values().filter(|lap| lap.session == session(source)).collect()
    }

    fn refused(&self, bound: &str) -> u64 {
        self.counts.refused.iter().filter(|(name, _)| *name == bound).map(|(_, n)| n).sum()
    }
}

#[test]
fn every_shape_is_bounded_counted_and_told_and_who_is_beside_loses_nothing() {
    let alone = Outcome::of(&honest());
    assert_eq!(alone.laps_of(2).len(), 3, "whole laps");
    assert_eq!(alone.counts.refused, []);
    for (name, records, bounds) in shapes() {
        let frames: u64 = records.len() as u64 * 150;
        let outcome = Outcome::of(&among(&records, honest()));
        assert_eq!(outcome.laps_of(2), alone.laps_of(2), "{name}");
        assert!(bounds.iter().any(|bound| outcome.refused(bound) > 0), "{name}: {:?}", outcome.counts.refused);
        assert!(outcome.counts.refused.iter().all(|(bound, _)| bounds.contains(bound)), "{name}: {:?}", outcome.counts.refused);
        let told: Vec<&Limited> = outcome.sessions.values().flat_map(|info| &info.limited).collect();
        assert!(told.iter().all(|limited| limited.driver == driver("mallory")), "{name}: {told:?}");
        let told_of = |bound: &str| told.iter().filter(|limited| limited.bound == bound).map(|limited| limited.refused).sum::<u64>();
        for (bound, refused) in &outcome.counts.refused {
            assert_eq!(told_of(bound), *refused, "{name}: all of it is told where people see it");
        }
        // What the records bring along, and what a driver may overdraw, by one record at most.
        let bound = DRIVER_WORK_MAX + records.len() as u64 * RECORD_WORK + frames * FRAME_WORK;
        assert!(outcome.counts.work <= bound + 200_000, "{name}: {} units of work", outcome.counts.work);
        assert!(outcome.sessions.len() as u32 <= DRIVER_SESSIONS_PER_DAY + 1, "{name}: {} sessions", outcome.sessions.len());
        assert!(outcome.streams.len() <= DRIVER_RUNS_PER_SESSION.max(DRIVER_SESSIONS_PER_DAY as usize) + 1, "{name}");
        let most = DRIVER_KEPT_MAX_BYTES / LAP_BYTES + 1_000;
        assert!(outcome.laps_of(1).len() as u64 <= most, "{name}: {} laps", outcome.laps_of(1).len());
        assert_eq!(outcome.counts.quarantined, [], "{name}");
    }
}

#[test]
fn the_laps_of_a_car_in_a_minute_are_bounded() {
    let mut client = mallory(1, 1);
    client.meta(1, 0);
    // A lap a second, on a track so short that it is possible.
    let meta = SessionMeta { track_id: 1, track_length_m: 110.0, own_slot: 1, ..SessionMeta::default() };
    client.put(Kind::META, 1, 1, &archive(&meta));
    let frames = |from: u32| -> Vec<CarFrame> {
        (from..from + 100)
            .map(|n| {
                let (tick, laps) = (n * 12, f64::from(n) / 5.0);
                let frame = client.frame(tick);
                CarFrame { lap_pct: laps.fract(), lap: laps as i16 + 1, laps_completed: laps as i16, speed_mps: 110.0, ..frame }
            })
            .collect()
    };
    let all: Vec<Vec<CarFrame>> = (0..10).map(|n| frames(n * 100)).collect();
    for frames in all {
        client.put(Kind::CAR, 100, 100, &payload(&frames));
    }
    let outcome = Outcome::of(&client.records);
    let laps = outcome.laps_of(1).len();
    assert!((CAR_LAPS_PER_MINUTE..=4 * CAR_LAPS_PER_MINUTE + 4).contains(&laps), "{laps} laps in 200 s");
    assert!(outcome.refused("laps") > 0);
    assert_eq!(outcome.sessions[&session(1)].limited[0].bound, "laps");
}

#[test]
fn the_descriptions_of_a_driver_are_bounded() {
    let run = |run: u8| {
        let mut client = mallory(1, run);
        describe(&mut client);
        client.records
    };
    let outcome = Outcome::of(&(0..60).flat_map(run).collect::<Vec<_>>());
    assert!((10..50).contains(&outcome.refused("meta")), "{:?}", outcome.counts.refused);
    assert_eq!(outcome.sessions[&session(1)].limited[0].bound, "meta");
    assert!(outcome.sessions[&session(1)].meta.is_some());
}

#[test]
fn the_rows_of_a_stream_are_bounded() {
    let mut client = mallory(1, 1);
    client.meta(1, 0);
    let ticks: Vec<u32> = (300..).step_by(TICK_STEP as usize).take(STREAM_ROWS_MAX + 5_000).collect();
    for ticks in ticks.chunks(150) {
        let incidents = |tick: &u32| CarFrame { incident_count: (tick / TICK_STEP) as u16, ..client.frame(*tick) };
        let frames: Vec<CarFrame> = ticks.iter().map(incidents).collect();
        client.put(Kind::CAR, frames.len() as u16, frames.len() as u64, &payload(&frames));
        // In this time more is given back to the driver than a record adds.
        client.wait(Duration::from_secs(240));
    }
    let outcome = Outcome::of(&client.records);
    assert!(outcome.refused("rows") > 1_000, "{:?}", outcome.counts.refused);
    assert!(outcome.counts.rows <= STREAM_ROWS_MAX as u64 && outcome.laps_of(1).len() > 100, "laps go on");
}

/// What is refused is the same from every checkpoint, because accounts are part of the state.
#[tokio::test]
async fn a_restart_refuses_the_same() {
    let mut records = among(&sessions(700), honest());
    let mut client = mallory(1, 1);
    client.meta(1, 0);
    hurry(&mut client, 0, 4_000, false);
    records.extend(client.records);
    let mut states = vec![];
    for every in [usize::MAX, 97] {
        let results = MemoryResults::new();
        let log = boxbox_schemas::LogId("log".into());
        let mut lease = results.acquire(&log, 0).await.unwrap();
        let mut partition = Partition::restore(log.clone(), 0, 1, results.load(&lease).await.unwrap()).unwrap();
        for (offset, record) in records.iter().enumerate() {
            partition.process(offset as u64, record);
            if offset % every == every - 1 {
                results.commit(&lease, &partition.step().unwrap()).await.unwrap();
                lease = results.acquire(&log, 0).await.unwrap();
                partition = Partition::restore(log.clone(), 0, 1, results.load(&lease).await.unwrap()).unwrap();
            }
        }
        results.commit(&lease, &partition.step().unwrap()).await.unwrap();
        let state = results.load(&lease).await.unwrap();
        assert!(state.accounts.iter().any(|account| account.sessions > 0 && account.kept > 0));
        states.push(state);
    }
    assert!(states[0].sessions.iter().any(|info| !info.limited.is_empty()));
    assert!(states[0] == states[1], "the same from every checkpoint");
}

async fn beside(results: Arc<dyn Steps>, sessions: &dyn Sessions, archive: Arc<dyn Archive>, name: &str, records: &[Bytes]) {
    let log = Arc::new(inline_log(1));
    append(&*log, &among(records, honest()));
    let processor = Processor::new(quick(), log.clone(), results, archive);
    let stop = CancellationToken::new();
    let work = tokio::spawn(processor.run(stop.clone()));
    let all = async {
        while sessions.laps(&tenant(), &session(2), &Default::default(), None, 100).await.unwrap().len() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, all).await.unwrap_or_else(|_| panic!("{name}: the laps beside wait"));
    stop.cancel();
    work.await.unwrap().unwrap();
    assert!(log.bounds(0).await.unwrap().end > 0);
}

#[tokio::test]
async fn the_laps_beside_are_committed_in_time() {
    for (name, records, _) in shapes() {
        let results = MemoryResults::new();
        beside(Arc::new(results.clone()), &results, Arc::new(MemoryArchive::new()), name, &records).await;
    }
}

#[tokio::test]
async fn the_laps_beside_are_committed_in_time_on_files() {
    for (name, records, _) in shapes() {
        let folder = tempfile::tempdir().unwrap();
        let results = Arc::new(SqliteResults::open(&folder.path().join("results.sqlite")).await.unwrap());
        let archive = Arc::new(SqliteArchive::open(&folder.path().join("archive.sqlite")).await.unwrap());
        beside(results.clone(), &*results, archive, name, &records).await;
    }
}
