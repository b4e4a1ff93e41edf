//! What every [`Archive`] must do.

use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{LogId, StreamKey};
use bytes::Bytes;

use super::ArchiveFixture;
use super::samples::*;
use crate::memory::MemoryArchive;
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, StoreError};

/// How long an append may take that waits for nothing but a lock left behind. Far above what a busy machine needs.
const NO_LOCK_LEFT: Duration = Duration::from_secs(60);
const ALL: u32 = u32::MAX;

fn key(n: u32) -> StreamKey {
    stream(&session(tenant("a"), 1), n)
}

fn span(of: &StreamKey, first_seq: u64, next_seq: u64) -> Span {
    Span { driver: of.driver, run: of.run, first_seq, next_seq }
}

fn part(stream: StreamKey, first: u64, next: u64) -> FrameRun {
    FrameRun::new(stream, first, frames(first, next - first)).unwrap()
}

fn block(offset: u64, runs: Vec<FrameRun>) -> ArchiveBlock {
    let cursors = runs.iter().map(|r| (r.stream, r.next_seq())).collect();
    ArchiveBlock { checkpoint: checkpoint(offset), cursors, runs }
}

async fn read(store: &impl Archive, of: &StreamKey, first: u64, next: u64, limit: u32) -> Vec<FrameRun> {
    store.frames(&of.tenant, &of.session, &span(of, first, next), limit).await.unwrap()
}

async fn count(store: &impl Archive, of: &StreamKey) -> u64 {
    store.count(&of.tenant, &of.session, Some(&of.driver)).await.unwrap()
}

pub(crate) async fn frames_come_back_bit_for_bit<F: ArchiveFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(4);
    let store = f.open().await;
    assert_eq!(store.load(&log(), 3).await.unwrap(), ArchiveState::default());
    let mut next = 5;
    let mut kept = vec![];
    for (offset, count) in [1usize, 599, 600, 601, 1, 2_000].into_iter().enumerate() {
        let bytes: Bytes = (0..count * CAR_FRAME_BYTES).map(|_| rng.u8(..)).collect();
        store.append(&block(offset as u64, vec![FrameRun::new(key(1), next, bytes.clone()).unwrap()])).await.unwrap();
        next += count as u64;
        kept.extend_from_slice(&bytes);
    }
    drop(store);
    let store = f.open().await;
    let runs = read(&store, &key(1), 0, u64::MAX, ALL).await;
    assert_eq!(runs, [FrameRun::new(key(1), 5, kept.into()).unwrap()], "one run, however it came");
    assert_eq!(count(&store, &key(1)).await, next - 5);
    store.ping().await.unwrap();
}

pub(crate) async fn a_span_is_given_exactly<F: ArchiveFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(5);
    let store = f.open().await;
    // Two runs with a hole between, 1,000..1,100.
    store.append(&block(1, vec![part(key(1), 0, 1_000), part(key(1), 1_100, 3_000), part(key(2), 0, 50)])).await.unwrap();
    for _ in 0..200 {
        let (a, b) = (rng.u64(0..3_200), rng.u64(0..3_200));
        let (first, next) = (a.min(b), a.max(b));
        let limit = *[1, 7, 700, ALL].get(rng.usize(0..4)).unwrap();
        let wanted = (first..next).filter(|s| !(1_000..1_100).contains(s) && *s < 3_000).take(limit as usize);
        let runs = read(&store, &key(1), first, next, limit).await;
        let got: Vec<(u64, i64)> = runs.iter().flat_map(|r| r.iter().map(|(seq, frame)| (seq, frame.sim_time_us.into()))).collect();
        assert_eq!(got, wanted.map(|s| (s, s as i64 * 16_667)).collect::<Vec<_>>());
        for run in &runs {
            assert_eq!((run.first_us, run.last_us), (run.first_seq as i64 * 16_667, (run.next_seq() - 1) as i64 * 16_667));
        }
        assert!(runs.windows(2).all(|w| w[0].next_seq() < w[1].first_seq), "runs are as long as they can be");
    }
    assert!(read(&store, &key(1), 500, 400, ALL).await.is_empty(), "a span that ends before it begins");
    assert!(read(&store, &key(1), 5, 500, 0).await.is_empty());
}

/// Two owners that do not know of each other archive the same log in different blocks: every frame is kept once.
pub(crate) async fn overlapping_owners_keep_each_frame_once<F: ArchiveFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let stores = [f.open().await, f.open().await];
    let mut at = [0u64; 2];
    while at.iter().any(|a| *a < 5_000) {
        let who = rng.usize(0..2);
        let next = (at[who] + rng.u64(1..1_500)).min(5_000);
        if next > at[who] {
            let runs = vec![part(key(1), at[who], next), part(key(2), at[who], next)];
            stores[who].append(&block(next, runs)).await.unwrap();
            at[who] = next;
        }
    }
    assert_eq!((count(&stores[0], &key(1)).await, count(&stores[1], &key(2)).await), (5_000, 5_000));
    assert_eq!(stores[0].count(&key(1).tenant, &key(1).session, None).await.unwrap(), 10_000);
    assert_eq!(read(&stores[0], &key(1), 0, 9_999, ALL).await, [part(key(1), 0, 5_000)]);
    let again = block(5_000, vec![part(key(1), 0, 5_000)]);
    stores[1].append(&again).await.unwrap();
    assert_eq!(count(&stores[0], &key(1)).await, 5_000);
}

pub(crate) async fn a_refused_block_changes_nothing<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    store.append(&block(5, vec![part(key(1), 0, 100)])).await.unwrap();
    let before = store.load(&log(), 3).await.unwrap();
    let good = || part(key(1), 100, 200);
    let torn = FrameRun { frames: Bytes::from(vec![0; CAR_FRAME_BYTES + 1]), ..part(key(2), 0, 1) };
    let empty = FrameRun { frames: Bytes::new(), ..part(key(2), 0, 1) };
    let bad: [(&str, ArchiveBlock); 4] = [
        ("half a frame", ArchiveBlock { cursors: vec![(key(1), 200), (key(2), 2)], runs: vec![good(), torn], ..block(6, vec![]) }),
        ("no frame", ArchiveBlock { cursors: vec![(key(1), 200), (key(2), 2)], runs: vec![good(), empty], ..block(6, vec![]) }),
        ("frames above the cursor", ArchiveBlock { cursors: vec![(key(1), 199)], ..block(6, vec![good()]) }),
        ("another record at the checkpoint", ArchiveBlock { checkpoint: Checkpoint { crc: 1, ..checkpoint(5) }, ..block(5, vec![good()]) }),
    ];
    for (what, block) in bad {
        let refused = store.append(&block).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{what}: {refused:?}");
        assert_eq!(store.load(&log(), 3).await.unwrap(), before, "{what}");
        assert_eq!(count(&store, &key(1)).await, 100, "{what}");
    }
    store.append(&block(6, vec![good()])).await.unwrap();
    assert_eq!(count(&store, &key(1)).await, 200);
}

pub(crate) async fn cursors_and_checkpoint_survive_and_never_go_back<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    // A cursor may stand beyond the last frame, or have no frame at all: gaps and other kinds take numbers too.
    let ahead = ArchiveBlock { cursors: vec![(key(1), 150), (key(2), 7)], ..block(10, vec![part(key(1), 0, 100)]) };
    store.append(&ahead).await.unwrap();
    drop(store);
    let store = f.open().await;
    let state = ArchiveState { checkpoint: Some(checkpoint(10)), cursors: vec![(key(1), 150), (key(2), 7)] };
    assert_eq!(store.load(&log(), 3).await.unwrap(), state);
    store.append(&block(4, vec![part(key(1), 0, 50)])).await.unwrap();
    assert_eq!(store.load(&log(), 3).await.unwrap(), state, "an old block is nothing new");
    assert_eq!(store.load(&log(), 4).await.unwrap(), ArchiveState::default());
    assert_eq!(store.load(&LogId("other".into()), 3).await.unwrap(), ArchiveState::default());
    let elsewhere = Checkpoint { partition: 4, ..checkpoint(1) };
    store.append(&ArchiveBlock { checkpoint: elsewhere.clone(), ..block(1, vec![part(key(3), 0, 5)]) }).await.unwrap();
    assert_eq!(store.load(&log(), 4).await.unwrap(), ArchiveState { checkpoint: Some(elsewhere), cursors: vec![(key(3), 5)] });
}

pub(crate) async fn tenants_see_only_their_own<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    let theirs = StreamKey { tenant: tenant("b"), ..key(1) };
    store.append(&block(1, vec![part(key(1), 0, 10), part(theirs, 0, 20)])).await.unwrap();
    assert_eq!((count(&store, &key(1)).await, count(&store, &theirs).await), (10, 20));
    assert_eq!(read(&store, &key(1), 0, 99, ALL).await, [part(key(1), 0, 10)]);
    let nobody = StreamKey { tenant: tenant("c"), ..key(1) };
    assert!(read(&store, &nobody, 0, 99, ALL).await.is_empty());
    assert_eq!(count(&store, &nobody).await, 0);
}

pub(crate) async fn aborted_appends_are_whole_or_nothing<F: ArchiveFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let store = Arc::new(f.open().await);
    let (mut at, mut kept) = (0, 0);
    for _ in 0..1_000 {
        let runs = || vec![part(key(1), at, at + 10), part(key(2), at, at + 10)];
        let rival = rng.bool().then(|| {
            let store = store.clone();
            tokio::spawn(async move { store.load(&log(), 3).await })
        });
        let block = block(at + 10, runs());
        super::drop_after(store.append(&block), rng.u32(0..2_000)).await;
        if let Some(rival) = rival {
            rival.await.unwrap().unwrap();
        }
        let state = tokio::time::timeout(NO_LOCK_LEFT, store.load(&log(), 3)).await.expect("no lock is left").unwrap();
        let now = state.checkpoint.map_or(0, |c| c.offset);
        assert!(now == at || now == at + 10, "from {at} to {now}");
        assert!(state.cursors.iter().all(|(_, next)| *next == now));
        assert_eq!((count(&*store, &key(1)).await, count(&*store, &key(2)).await), (now, now));
        kept += u32::from(now > at);
        at = now;
    }
    println!("{kept} of 1000 appends happened");
    assert_eq!(read(&*store, &key(1), 0, u64::MAX, ALL).await, if at == 0 { vec![] } else { vec![part(key(1), 0, at)] });
    tokio::time::timeout(NO_LOCK_LEFT, f.open().await.append(&block(at + 10, vec![part(key(1), at, at + 10)])))
        .await
        .expect("no lock is left")
        .unwrap();
}

pub(crate) async fn random_blocks_are_as_in_the_reference<F: ArchiveFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let model = MemoryArchive::new();
    let mut store = f.open().await;
    for offset in 0..40 {
        let mut runs = vec![];
        for n in 0..3 {
            let mut at = rng.u64(0..2_000);
            for _ in 0..rng.u32(0..3) {
                let next = at + rng.u64(1..900);
                runs.push(part(key(n), at, next));
                // Sometimes a hole, sometimes an overlap.
                at = next.saturating_add_signed(rng.i64(-20..200));
            }
        }
        rng.shuffle(&mut runs);
        let cursors = runs.iter().map(|r| (r.stream, runs.iter().filter(|o| o.stream == r.stream).map(FrameRun::next_seq).max().unwrap())).collect();
        let block = ArchiveBlock { cursors, ..block(offset, runs) };
        store.append(&block).await.unwrap();
        model.append(&block).await.unwrap();
        if rng.u8(0..8) == 0 {
            store = f.open().await;
        }
        assert_eq!(store.load(&log(), 3).await.unwrap(), model.load(&log(), 3).await.unwrap());
        for n in 0..3 {
            let (first, next, limit) = (rng.u64(0..4_000), rng.u64(0..5_000), rng.u32(0..3_000));
            assert_eq!(read(&store, &key(n), first, next, limit).await, read(&model, &key(n), first, next, limit).await);
            assert_eq!(count(&store, &key(n)).await, count(&model, &key(n)).await);
        }
    }
}
