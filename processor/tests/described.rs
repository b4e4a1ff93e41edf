//! The description of a session is merged from what its clients tell, kept over restarts, and a car that two drivers claim is named.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use boxbox_processor::partition::Partition;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::results::{Dispute, SessionInfo};
use boxbox_schemas::{EntryId, LogId};
use boxbox_store::memory::MemoryResults;
use boxbox_store::sqlite::SqliteResults;
use boxbox_store::{PartitionState, Steps};
use bytes::Bytes;
use support::*;

fn car(slot: u16, user_id: u64, name: &str) -> MetaEntry {
    MetaEntry { slot, user_id, driver_name: name.into(), number: format!("{slot}"), class_id: 2, class_name: "C2".into(), ..MetaEntry::default() }
}

/// A client of the car in `slot` that knows `cars` and drives from tick `from` on.
fn client(name: &str, slot: u16, cars: &[MetaEntry], from: u32) -> Client {
    let mut client = Client::new(1, name, 1);
    let meta =
        SessionMeta { own_slot: slot, track_name: "Ring".into(), session_type: "practice".into(), entries: cars.to_vec(), ..SessionMeta::default() };
    client.put(Kind::META, 1, 1, &archive(&meta));
    client.drive(from, from + 300);
    client
}

fn names(info: &SessionInfo) -> Vec<(u16, &str)> {
    info.meta.iter().flat_map(|meta| &meta.entries).map(|e| (e.slot, &*e.driver_name)).collect()
}

fn info(bench: &Bench) -> &SessionInfo {
    bench.kept.steps.iter().flat_map(|step| &step.sessions).next_back().unwrap()
}

#[test]
fn who_joins_late_is_in_the_description() {
    let alpha = client("alpha", 1, &[car(1, 11, "Alpha")], 300);
    let gamma = client("gamma", 3, &[car(1, 11, "Alpha"), car(3, 13, "Gamma")], 9_000);
    for records in [[&alpha.records, &gamma.records], [&gamma.records, &alpha.records]] {
        let mut bench = Bench::new();
        for record in records.into_iter().flatten() {
            bench.feed([record]).commit();
        }
        assert_eq!(names(info(&bench)), [(1, "Alpha"), (3, "Gamma")]);
    }
}

/// A newer description of a client takes the place of its older one, also behind a restart of the processor between any two records.
#[tokio::test]
async fn descriptions_are_kept_over_restarts() {
    let long = "x".repeat(100);
    let mut alpha = client("alpha", 1, &[car(1, 11, "Alpha"), car(2, 12, "Beta?")], 300);
    let field: Vec<MetaEntry> = (1..50).map(|slot| car(slot, 10 + u64::from(slot), &long)).collect();
    let meta = SessionMeta { own_slot: 1, track_name: "Ring".into(), entries: field, ..SessionMeta::default() };
    alpha.put(Kind::META, 1, 1, &archive(&meta));
    alpha.drive(600, 900);
    let beta = client("beta", 2, &[car(2, 12, "Beta")], 600);
    let records: Vec<&Bytes> = alpha.records.iter().chain(&beta.records).collect();
    let folder = tempfile::tempdir().unwrap();
    let files = SqliteResults::open(&folder.path().join("results.db")).await.unwrap();
    let memory = MemoryResults::new();
    let stores: [&dyn Steps; 2] = [&files, &memory];
    for store in stores {
        let log = LogId("bench".into());
        let lease = store.acquire(&log, 0).await.unwrap();
        for (offset, record) in records.iter().enumerate() {
            let state = store.load(&lease).await.unwrap();
            let mut partition = Partition::restore(log.clone(), 0, 1, state).unwrap();
            partition.process(offset as u64, record);
            store.commit(&lease, &partition.step().unwrap()).await.unwrap();
        }
        let PartitionState { sessions, .. } = store.load(&lease).await.unwrap();
        let told = names(&sessions[0]);
        assert_eq!((told.len(), told[0].1, told[1].1, told[48].1), (49, &*long, "Beta", &*long));
        let mut straight = Bench::new();
        straight.feed(records.iter().copied()).commit();
        assert_eq!(sessions[0].meta, info(&straight).meta);
    }
}

/// What a version before has stored is one stream's description: it goes on as that stream's.
#[tokio::test]
async fn a_description_stored_by_the_version_before_is_gone_on_with() {
    let alpha = client("alpha", 1, &[car(1, 11, "Alpha"), car(2, 12, "Seen")], 300);
    let gamma = client("gamma", 3, &[car(3, 13, "Gamma")], 600);
    let (memory, log) = (MemoryResults::new(), LogId("bench".into()));
    let lease = memory.acquire(&log, 0).await.unwrap();
    let mut partition = Partition::restore(log.clone(), 0, 1, PartitionState::default()).unwrap();
    alpha.records.iter().enumerate().for_each(|(offset, record)| assert_eq!(partition.process(offset as u64, record), None));
    memory.commit(&lease, &partition.step().unwrap()).await.unwrap();
    let mut state = memory.load(&lease).await.unwrap();
    // That version kept no stream's description.
    state.streams.iter_mut().for_each(|stream| stream.field.clear());
    let mut partition = Partition::restore(log, 0, 1, state).unwrap();
    gamma.records.iter().enumerate().for_each(|(n, record)| assert_eq!(partition.process((alpha.records.len() + n) as u64, record), None));
    let step = partition.step().unwrap();
    assert_eq!(names(&step.sessions[0]), [(1, "Alpha"), (2, "Seen"), (3, "Gamma")]);
    assert!(step.streams.iter().any(|s| s.ledger.stream.driver == driver("alpha") && !s.field.is_empty()), "and is kept from now on");
}

#[test]
fn a_disputed_car_is_named_with_its_claims() {
    let cars = [car(1, 11, "Alpha")];
    let (alpha, zoe) = (client("alpha", 1, &cars, 300), client("zoe", 1, &cars, 300));
    let entry = |text: &str| EntryId::new(text).unwrap();
    for records in [[&alpha.records, &zoe.records], [&zoe.records, &alpha.records]] {
        let mut bench = Bench::new();
        bench.feed(records[0]).commit();
        assert_eq!(info(&bench).disputes, []);
        bench.feed(records[1]).commit();
        assert_eq!(info(&bench).disputes, [Dispute { seen_as: entry("u:11"), entries: vec![entry("alpha"), entry("zoe")] }]);
    }
}
