//! What every [`Archive`] must do with records of other kinds than frames of the own car.

use boxbox_schemas::StreamKey;
use boxbox_schemas::results::Span;
use bytes::Bytes;

use super::ArchiveFixture;
use super::samples::*;
use crate::{Archive, ArchiveBlock, FrameRun, KeptRecord, Retention, StoreError, StreamRecords};

const MINUTE_US: i64 = 60_000_000;

fn key(n: u32) -> StreamKey {
    stream(&session(tenant("a"), 1), n)
}

/// Bytes that tell the numbers they are for; their kind, where a sealed record has it, is one of three.
fn bytes(seq: u64) -> Bytes {
    let mut out = vec![b'r'; 10 + (seq % 4) as usize * 50];
    (out[9], out[0]) = ((seq % 3) as u8, seq as u8);
    out.into()
}

fn record(first_seq: u64, next_seq: u64, offset: u64) -> KeptRecord {
    KeptRecord { first_seq, next_seq, offset, received_at_us: offset as i64 * 7, bytes: bytes(first_seq) }
}

/// A block of frames and records of streams: for each, numbers that rise, which a random choice gives to frames or to records.
struct Maker {
    rng: fastrand::Rng,
    next: [u64; 3],
    all: [Vec<KeptRecord>; 3],
}

impl Maker {
    fn new() -> Self {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        Self { rng: fastrand::Rng::with_seed(seed), next: [3; 3], all: Default::default() }
    }

    fn block(&mut self, offset: u64, received_at_us: i64) -> ArchiveBlock {
        let (mut runs, mut records) = (vec![], vec![]);
        for n in 0..3usize {
            let mut of = vec![];
            for _ in 0..self.rng.u32(0..4) {
                let first = self.next[n];
                let count = self.rng.u64(1..6);
                match self.rng.u8(0..3) {
                    0 => {
                        of.push(record(first, first, offset));
                        runs.push(FrameRun::new(key(n as u32), first, frames(first, count)).unwrap());
                    }
                    1 => runs.push(FrameRun::new(key(n as u32), first, frames(first, count)).unwrap()),
                    _ => of.push(record(first, first + count, offset)),
                }
                self.next[n] = first + count + self.rng.u64(0..2);
            }
            if !of.is_empty() {
                self.all[n].extend(of.clone());
                records.push(StreamRecords { stream: key(n as u32), records: of });
            }
        }
        let cursors = (0..3).map(|n| (key(n as u32), self.next[n])).collect();
        ArchiveBlock { checkpoint: checkpoint(offset), received_at_us, appended_at_us: offset as i64, cursors, runs, records }
    }
}

async fn read(store: &impl Archive, of: &StreamKey, first_seq: u64, next_seq: u64, limit: u32) -> Vec<KeptRecord> {
    store.records(&of.tenant, &of.session, &Span { driver: of.driver, run: of.run, first_seq, next_seq }, limit).await.unwrap()
}

/// Blocks of a second, for minutes: whatever a backend does to rows that have waited, what was put in comes out.
pub(crate) async fn records_come_back_as_they_were<F: ArchiveFixture>(f: &F) {
    let (mut maker, mut store) = (Maker::new(), f.open().await);
    for offset in 0..240u64 {
        store.append(&lease(), &maker.block(offset, offset as i64 * 1_000_000)).await.unwrap();
        if offset % 50 == 0 {
            store = f.open().await;
        }
        let n = maker.rng.usize(0..3);
        let (a, b) = (maker.rng.u64(0..maker.next[n] + 5), maker.rng.u64(0..maker.next[n] + 5));
        let (first, next, limit) = (a.min(b), a.max(b), maker.rng.u32(0..100));
        let wanted: Vec<_> = maker.all[n].iter().filter(|r| (first..next).contains(&r.first_seq)).take(limit as usize).cloned().collect();
        assert_eq!(read(&store, &key(n as u32), first, next, limit).await, wanted);
    }
    for n in 0..3 {
        assert_eq!(read(&store, &key(n), 0, u64::MAX, u32::MAX).await, maker.all[n as usize]);
    }
    assert!(read(&store, &key(0), 5, 2, 9).await.is_empty() && read(&store, &key(9), 0, u64::MAX, 9).await.is_empty());
    let home = session(tenant("a"), 1);
    let mut streams = [key(0), key(1), key(2)];
    streams.sort();
    assert_eq!(store.streams(&home.tenant, &home.id).await.unwrap(), streams);
    let stranger = tenant("b");
    assert!(store.streams(&stranger, &home.id).await.unwrap().is_empty());
    let span = Span { driver: key(0).driver, run: key(0).run, first_seq: 0, next_seq: u64::MAX };
    assert!(store.records(&stranger, &home.id, &span, 9).await.unwrap().is_empty(), "another tenant's");
}

/// Owners that do not know of each other archive the same log, each in its own blocks.
pub(crate) async fn records_are_kept_once<F: ArchiveFixture>(f: &F) {
    let stores = [f.open().await, f.open().await];
    let mut rng = fastrand::Rng::with_seed(8);
    let whole: Vec<KeptRecord> = (0..900).filter(|seq| seq % 3 != 0).map(|seq| record(seq, seq + 1, seq)).collect();
    let mut at = [0u64; 2];
    while at.iter().any(|at| *at < 900) {
        let who = rng.usize(0..2);
        let next = (at[who] + rng.u64(1..200)).min(900);
        let records: Vec<_> = whole.iter().filter(|r| (at[who]..next).contains(&r.first_seq)).cloned().collect();
        let runs = (at[who]..next).filter(|seq| seq % 3 == 0).map(|seq| FrameRun::new(key(1), seq, frames(seq, 1)).unwrap()).collect();
        let block = ArchiveBlock {
            checkpoint: checkpoint(next),
            received_at_us: 0,
            appended_at_us: next as i64,
            cursors: vec![(key(1), next)],
            runs,
            records: vec![StreamRecords { stream: key(1), records }],
        };
        if next > at[who] {
            stores[who].append(&lease(), &block).await.unwrap();
            stores[who].append(&lease(), &block).await.unwrap();
        }
        at[who] = next;
    }
    assert_eq!(read(&stores[0], &key(1), 0, u64::MAX, u32::MAX).await, whole);
    assert_eq!(stores[1].count(&key(1).tenant, &key(1).session, None).await.unwrap(), 300);
}

pub(crate) async fn wrong_records_are_refused<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    let block = |cursor: u64, records: Vec<KeptRecord>| ArchiveBlock {
        checkpoint: checkpoint(1),
        received_at_us: 0,
        appended_at_us: 1,
        cursors: vec![(key(1), cursor)],
        runs: vec![],
        records: vec![StreamRecords { stream: key(1), records }],
    };
    let twice = {
        let one = block(9, vec![record(0, 1, 0)]);
        ArchiveBlock { records: [one.records.clone(), one.records.clone()].concat(), ..one }
    };
    let bad = [
        ("above the cursor", block(5, vec![record(3, 6, 0)])),
        ("a heading at the cursor", block(5, vec![record(5, 5, 0)])),
        ("overlapping", block(9, vec![record(3, 6, 0), record(5, 7, 0)])),
        ("ending before it begins", block(9, vec![KeptRecord { next_seq: 2, ..record(3, 6, 0) }])),
        ("a stream twice", twice),
    ];
    for (what, block) in bad {
        assert!(matches!(store.append(&lease(), &block).await, Err(StoreError::Refused(_))), "{what}");
    }
    assert!(read(&store, &key(1), 0, u64::MAX, 9).await.is_empty());
    store.append(&lease(), &block(9, vec![record(3, 6, 0), record(6, 6, 0)])).await.unwrap();
    assert_eq!(read(&store, &key(1), 0, u64::MAX, 9).await.len(), 2);
}

/// Records that are old enough go, and nothing that is young enough.
pub(crate) async fn records_are_removed_by_age<F: ArchiveFixture>(f: &F) {
    let (mut maker, store) = (Maker::new(), f.open().await);
    let mut kept_from = 0;
    for minute in 0..6i64 {
        if minute == 3 {
            kept_from = maker.all[1].len();
        }
        for second in 0..60 {
            let at = minute * 60 + second;
            store.append(&lease(), &maker.block(at as u64, at * 1_000_000)).await.unwrap();
        }
    }
    // Rows of about a minute may be one, so the minute before the limit may be kept or not.
    let retention = Retention { oldest_us: Some(3 * MINUTE_US), ..Retention::default() };
    while store.retain(&retention).await.unwrap().more {}
    let left = read(&store, &key(1), 0, u64::MAX, u32::MAX).await;
    assert!(maker.all[1].ends_with(&left), "the newest are left");
    assert!(left.len() >= maker.all[1].len() - kept_from, "one that is young enough is gone");
    assert!(left.len() < maker.all[1].len() - kept_from / 3, "{} of {} are left", left.len(), maker.all[1].len());
    while store.retain(&Retention { oldest_us: Some(i64::MAX), ..Retention::default() }).await.unwrap().more {}
    assert!(read(&store, &key(1), 0, u64::MAX, 9).await.is_empty());
}
