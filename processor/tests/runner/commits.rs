//! From records to results: what is read, and when it is committed.

use std::sync::Arc;
use std::time::Duration;

use crate::running::*;
use crate::support::*;
use boxbox_log::Log;
use boxbox_processor::Config;
use boxbox_schemas::TenantId;
use boxbox_schemas::event::ClosedFrame;
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::stamp::{LogRecord, Stamp};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, Pace, Sessions};
use bytes::Bytes;

#[tokio::test]
async fn laps_come_out_of_a_log() {
    let (log, results, archive) = (inline_log(2), MemoryResults::new(), MemoryArchive::new());
    append(&log, &Client::laps(1, "anna", 1, 300, 3));
    let mut running = start(quick(), log.clone(), results.clone(), archive.clone());
    assert!(!running.status.ready() && !running.status.level(), "before it has looked, nothing is known");

    assert_eq!(running.next_laps().await.laps[0].entry.as_str(), "anna");
    append(&log, &Client::laps(2, "bert", 1, 300, 3));
    running.until_committed(&log).await;
    running.until_archived(&log).await;
    assert!(running.status.ready() && running.status.level());
    running.end().await;

    for (id, name) in [(1, "anna"), (2, "bert")] {
        let told: Vec<_> = laps(&results, id).await.iter().map(|l| (l.number, l.driver, l.time_us)).collect();
        assert_eq!(told, [(2, driver(name), 20_000_000), (3, driver(name), 20_000_000)]);
        let ledgers = results.ledgers(&tenant(), &session(id)).await.unwrap();
        assert!(ledgers[0].balances() && ledgers[0].ended && ledgers[0].car_frames == 700);
        assert_eq!(archive.count(&tenant(), &session(id), None).await.unwrap(), 700);
    }
}

/// Records that nobody can process are kept aside, each with its reason; everything else is as if they were not there.
#[tokio::test]
async fn poison_is_quarantined_and_harms_nothing_else() {
    let clean = Client::laps(1, "anna", 1, 300, 3);
    let mut bert = Client::new(1, "bert", 1);
    bert.put(Kind::CLOSED, 1, 1, &archive(&ClosedFrame::default()));
    bert.as_tenant(TenantId::new("others").unwrap());
    bert.drive(300, 301);
    let [closed, other_tenant] = &bert.records[..] else { panic!("two records") };
    let mut damaged = clean[9].to_vec();
    *damaged.last_mut().unwrap() ^= 1;
    let mut newer = clean[9].to_vec();
    newer[0] = 7;
    let elsewhere = (2..).find(|id| session(*id).partition(2) != session(1).partition(2)).unwrap();
    let misplaced = Client::laps(elsewhere, "emil", 1, 300, 1).remove(1);
    let poison: [(Bytes, &str); 7] = [
        (Bytes::from_static(b"\x01"), "malformed"),
        (Bytes::from_static(b"rubbish"), "version 114"),
        (damaged.into(), "checksum"),
        (newer.into(), "version 7"),
        (misplaced, "belongs to partition"),
        (closed.clone(), "closed"),
        (other_tenant.clone(), "of tenant league, not others"),
    ];
    let partition = session(1).partition(2);
    let mut found = vec![];
    for poison in [&[][..], &poison[..]] {
        let (log, results, archive) = (inline_log(2), MemoryResults::new(), MemoryArchive::new());
        let writer = log.writer(Arc::new(Told::default())).unwrap();
        for (i, record) in clean.iter().enumerate() {
            append_to(&*writer, partition, record.clone());
            if let (0, Some((poison, _))) = (i % 10, poison.get(i / 10)) {
                append_to(&*writer, partition, poison.clone());
            }
        }
        let running = start(quick(), log.clone(), results.clone(), archive.clone());
        running.until_committed(&log).await;
        running.until_archived(&log).await;
        running.end().await;
        let quarantined = results.quarantine(log.id(), partition).await.unwrap();
        assert_eq!(quarantined.len(), poison.len());
        for ((i, (bytes, says)), kept) in poison.iter().enumerate().zip(&quarantined) {
            assert!(kept.reason.contains(says), "{:?} does not say {says:?}", kept.reason);
            assert_eq!((&kept.record, kept.offset), (bytes, (i * 11 + 1) as u64));
        }
        found.push((
            laps(&results, 1).await,
            results.ledgers(&tenant(), &session(1)).await.unwrap(),
            archive.count(&tenant(), &session(1), None).await.unwrap(),
        ));
    }
    assert_eq!(found[0].0.len(), 2);
    assert_eq!(found[0], found[1]);
}

#[tokio::test]
async fn what_is_pending_is_committed_at_the_end() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    let never = Config { news_every: NEVER, quiet_every: NEVER, pace: Some(Pace { every: NEVER, idle: NEVER, bytes: 4 << 20 }), ..Config::default() };
    let running = start(never, log.clone(), results.clone(), archive.clone());
    append(&log, &Client::laps(1, "anna", 1, 300, 1));
    // The first news goes out at once; what follows waits for ever.
    running.until("read", |s| s.partitions()[0].results.next == end(&log, 0) && s.partitions()[0].archive.next == end(&log, 0)).await;
    append(&log, &Client::laps(2, "bert", 1, 300, 2));
    running.until("read", |s| s.partitions()[0].results.next == end(&log, 0) && s.partitions()[0].archive.next == end(&log, 0)).await;
    assert!(laps(&results, 2).await.is_empty());
    assert_eq!(archive.count(&tenant(), &session(2), None).await.unwrap(), 0);
    running.end().await;
    assert_eq!(numbers(&laps(&results, 2).await), [2]);
    assert_eq!(archive.count(&tenant(), &session(2), None).await.unwrap(), 500);
}

#[tokio::test]
async fn a_lap_does_not_wait_for_a_quiet_step() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    let mut running =
        start(Config { news_every: Duration::from_millis(1), quiet_every: NEVER, ..quick() }, log.clone(), results, MemoryArchive::new());
    append(&log, &Client::laps(1, "anna", 1, 300, 2));
    assert_eq!(numbers(&running.next_laps().await.laps), [2]);
    running.end().await;
}

#[tokio::test]
async fn frames_without_news_are_committed_in_time() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    let running = start(Config { news_every: NEVER, ..quick() }, log.clone(), results, MemoryArchive::new());
    let drive = Client::laps(1, "anna", 1, 300, 0);
    append(&log, &drive[..10]);
    running.until_committed(&log).await;
    append(&log, &drive[10..20]);
    running.until_committed(&log).await;
    running.end().await;
}

/// The same records again under another base, as a client sends them that has lost its connection.
#[tokio::test]
async fn resent_records_are_counted_and_change_nothing() {
    let (log, results, archive) = (inline_log(1), MemoryResults::new(), MemoryArchive::new());
    let records = Client::laps(1, "anna", 1, 300, 2);
    let again = records.iter().map(|r| {
        let LogRecord { stamp, record } = LogRecord::parse(r.clone()).unwrap();
        Stamp { base: 0, ..stamp }.seal(record.bytes())
    });
    let again: Vec<Bytes> = again.collect();
    append(&log, records.iter().chain(&again));
    let running = start(quick(), log.clone(), results.clone(), archive.clone());
    running.until_committed(&log).await;
    running.until_archived(&log).await;
    running.end().await;
    assert_eq!(numbers(&laps(&results, 1).await), [2]);
    let ledger = &results.ledgers(&tenant(), &session(1)).await.unwrap()[0];
    assert_eq!((ledger.admitted, ledger.duplicate), (502, 502));
    assert_eq!(archive.count(&tenant(), &session(1), None).await.unwrap(), 500);
}
