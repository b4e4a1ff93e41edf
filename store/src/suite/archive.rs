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
use crate::{Archive, ArchiveBlock, ArchiveState, Daily, FrameRun, Lease, Piece, Removed, Retention, StoreError};

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

/// A run whose numbers are those of `ranges`.
fn pieces(stream: StreamKey, ranges: &[(u64, u64)]) -> FrameRun {
    let listed = ranges.iter().map(|(first, next)| Piece { first_seq: *first, count: next - first }).collect();
    let bytes: Vec<u8> = ranges.iter().flat_map(|(first, next)| frames(*first, next - first)).collect();
    FrameRun::of(stream, listed, bytes.into()).unwrap()
}

fn block(offset: u64, runs: Vec<FrameRun>) -> ArchiveBlock {
    let cursors = runs.iter().map(|r| (r.stream, r.next_seq())).collect();
    ArchiveBlock { checkpoint: checkpoint(offset), received_at_us: offset as i64, appended_at_us: offset as i64, cursors, runs, records: vec![] }
}

async fn read(store: &impl Archive, of: &StreamKey, first: u64, next: u64, limit: u32) -> Option<FrameRun> {
    store.frames(&of.tenant, &of.session, &span(of, first, next), limit).await.unwrap()
}

async fn count(store: &impl Archive, of: &StreamKey) -> u64 {
    store.count(&of.tenant, &of.session, Some(&of.driver)).await.unwrap()
}

pub(crate) async fn frames_come_back_bit_for_bit<F: ArchiveFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(4);
    let store = f.open().await;
    assert_eq!(store.load(&lease()).await.unwrap(), ArchiveState::default());
    let mut next = 5;
    let mut kept = vec![];
    for (offset, count) in [1usize, 599, 600, 601, 1, 2_000].into_iter().enumerate() {
        let bytes: Bytes = (0..count * CAR_FRAME_BYTES).map(|_| rng.u8(..)).collect();
        store.append(&lease(), &block(offset as u64, vec![FrameRun::new(key(1), next, bytes.clone()).unwrap()])).await.unwrap();
        next += count as u64;
        kept.extend_from_slice(&bytes);
    }
    drop(store);
    let store = f.open().await;
    let run = read(&store, &key(1), 0, u64::MAX, ALL).await;
    assert_eq!(run, Some(FrameRun::new(key(1), 5, kept.into()).unwrap()), "one run, however it came");
    assert_eq!(count(&store, &key(1)).await, next - 5);
    store.ping().await.unwrap();
}

pub(crate) async fn a_span_is_given_exactly<F: ArchiveFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(5);
    let store = f.open().await;
    // Two runs with a hole between, 1,000..1,100.
    store.append(&lease(), &block(1, vec![part(key(1), 0, 1_000), part(key(1), 1_100, 3_000), part(key(2), 0, 50)])).await.unwrap();
    for _ in 0..200 {
        let (a, b) = (rng.u64(0..3_200), rng.u64(0..3_200));
        let (first, next) = (a.min(b), a.max(b));
        let limit = *[1, 7, 700, ALL].get(rng.usize(0..4)).unwrap();
        let wanted = (first..next).filter(|s| !(1_000..1_100).contains(s) && *s < 3_000).take(limit as usize);
        let run = read(&store, &key(1), first, next, limit).await;
        let got: Vec<(u64, i64)> = run.iter().flat_map(|r| r.iter().map(|(seq, frame)| (seq, frame.sim_time_us.into()))).collect();
        assert_eq!(got, wanted.map(|s| (s, s as i64 * 16_667)).collect::<Vec<_>>());
        if let Some(run) = &run {
            assert_eq!((run.first_us, run.last_us), (run.first_seq() as i64 * 16_667, (run.next_seq() - 1) as i64 * 16_667));
            assert!(run.pieces.len() <= 2, "pieces are as long as they can be");
        }
    }
    assert!(read(&store, &key(1), 500, 400, ALL).await.is_none(), "a span that ends before it begins");
    assert!(read(&store, &key(1), 5, 500, 0).await.is_none());
    assert!(read(&store, &key(1), 1_000, 1_100, ALL).await.is_none(), "a span of numbers that no frame has");
}

/// Frames of one stream with other kinds between them: a second of frames in a block, numbers missing in each.
pub(crate) async fn runs_with_gaps_come_back_as_they_were<F: ArchiveFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(6);
    let store = f.open().await;
    let (mut at, mut listed) = (3, vec![]);
    for offset in 0..60 {
        let mut ranges = vec![];
        for _ in 0..rng.u32(1..6) {
            let next = at + rng.u64(1..40);
            ranges.push((at, next));
            at = next + rng.u64(1..4);
        }
        listed.extend(ranges.clone());
        store.append(&lease(), &block(offset, vec![pieces(key(1), &ranges)])).await.unwrap();
        assert_eq!(read(&store, &key(1), 0, u64::MAX, ALL).await, Some(pieces(key(1), &listed)), "what is appended can be read at once");
    }
    let all: Vec<u64> = listed.iter().flat_map(|(first, next)| *first..*next).collect();
    assert!(all.len() > 1_800, "too few for three chunks");
    assert_eq!(count(&store, &key(1)).await, all.len() as u64);
    for _ in 0..100 {
        let (a, b) = (rng.u64(0..at), rng.u64(0..at));
        let (first, next, limit) = (a.min(b), a.max(b), rng.u32(1..900));
        let wanted: Vec<u64> = all.iter().copied().filter(|s| (first..next).contains(s)).take(limit as usize).collect();
        let run = read(&store, &key(1), first, next, limit).await;
        assert_eq!(run.iter().flat_map(|r| r.iter().map(|(seq, _)| seq)).collect::<Vec<_>>(), wanted);
    }
}

/// Streams that send little, or have ended: their frames are as good as anyone's, however long ago they came.
pub(crate) async fn what_waited_long_is_kept<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    for second in 0..200 {
        let mut runs = vec![part(key(1), second * 5, second * 5 + 5)];
        if second < 3 {
            runs.push(part(key(2), second * 60, second * 60 + 60));
        }
        let block = ArchiveBlock { received_at_us: 1_000_000 * second as i64, ..block(second, runs) };
        store.append(&lease(), &block).await.unwrap();
    }
    assert_eq!(read(&store, &key(1), 0, u64::MAX, ALL).await, Some(part(key(1), 0, 1_000)));
    assert_eq!(read(&store, &key(2), 0, u64::MAX, ALL).await, Some(part(key(2), 0, 180)));
    assert_eq!((count(&store, &key(1)).await, count(&store, &key(2)).await), (1_000, 180));
}

async fn remove_all(store: &impl Archive, retention: Retention) -> u64 {
    let mut frames = 0;
    loop {
        let removed = store.retain(&retention).await.unwrap();
        frames += removed.frames;
        if !removed.more {
            return frames;
        }
    }
}

pub(crate) async fn the_oldest_are_removed_by_age<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    for offset in 0..10 {
        store
            .append(&lease(), &block(offset, vec![part(key(1), offset * 600, offset * 600 + 600), part(key(2), offset * 600, offset * 600 + 600)]))
            .await
            .unwrap();
    }
    let before = store.load(&lease()).await.unwrap();
    assert_eq!(store.retain(&Retention::default()).await.unwrap(), Removed::default(), "nothing asked, nothing removed");
    assert_eq!(remove_all(&store, Retention { oldest_us: Some(4), ..Retention::default() }).await, 2 * 4 * 600);
    for n in [1, 2] {
        assert_eq!(read(&store, &key(n), 0, u64::MAX, ALL).await, Some(part(key(n), 2_400, 6_000)));
        assert_eq!(count(&store, &key(n)).await, 3_600);
    }
    assert_eq!(store.load(&lease()).await.unwrap(), before);
    store.append(&lease(), &block(3, vec![part(key(1), 0, 2_400)])).await.unwrap();
    assert_eq!(count(&store, &key(1)).await, 3_600, "what was removed does not come back");
    assert_eq!(remove_all(&store, Retention { oldest_us: Some(4), ..Retention::default() }).await, 0);
    drop(store);
    let store = f.open().await;
    assert_eq!(read(&store, &key(1), 0, 3_000, ALL).await, Some(part(key(1), 2_400, 3_000)));
    assert_eq!(remove_all(&store, Retention { oldest_us: Some(i64::MAX), ..Retention::default() }).await, 7_200);
    assert_eq!(count(&store, &key(1)).await, 0);
    store.append(&lease(), &block(11, vec![part(key(1), 6_000, 6_600)])).await.unwrap();
    assert_eq!(read(&store, &key(1), 0, u64::MAX, ALL).await, Some(part(key(1), 6_000, 6_600)), "it goes on");
}

pub(crate) async fn the_oldest_are_removed_by_bytes<F: ArchiveFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(7);
    let store = f.open().await;
    for offset in 0..10 {
        let bytes: Bytes = (0..600 * CAR_FRAME_BYTES).map(|_| rng.u8(..)).collect();
        store.append(&lease(), &block(offset, vec![FrameRun::new(key(1), offset * 600, bytes).unwrap()])).await.unwrap();
    }
    let max = |bytes: u64| Retention { max_bytes: Some(bytes), ..Retention::default() };
    assert_eq!(remove_all(&store, max(u64::MAX)).await, 0);
    assert_eq!(remove_all(&store, max(2 * 10 * 600 * CAR_FRAME_BYTES as u64)).await, 0);
    // Bytes that cannot be packed: five chunks take the space of five, besides what the backend needs.
    let removed = remove_all(&store, max(6 * 600 * CAR_FRAME_BYTES as u64)).await;
    assert!((4 * 600..=6 * 600).contains(&removed), "{removed}");
    let left = read(&store, &key(1), 0, u64::MAX, ALL).await.unwrap();
    assert_eq!((left.first_seq(), left.next_seq(), left.count()), (removed, 6_000, 6_000 - removed), "the newest are left");
    assert_eq!(count(&store, &key(1)).await, 6_000 - removed);
    assert_eq!(remove_all(&store, max(0)).await, 6_000 - removed);
    assert!(read(&store, &key(1), 0, u64::MAX, ALL).await.is_none());
}

/// Whatever the clock shows, a part of the archive goes by age in a day, and no more; by bytes goes what must.
pub(crate) async fn by_age_a_part_goes_in_a_day<F: ArchiveFixture>(f: &F) {
    const HOUR: i64 = 3_600_000_000;
    const BLOCKS: u64 = 40;
    let mut rng = fastrand::Rng::with_seed(7);
    let mut store = f.open().await;
    for offset in 0..BLOCKS {
        // Bytes that cannot be packed.
        let bytes: Bytes = (0..600 * CAR_FRAME_BYTES).map(|_| rng.u8(..)).collect();
        store.append(&lease(), &block(offset, vec![FrameRun::new(key(1), offset * 600, bytes).unwrap()])).await.unwrap();
    }
    // All of it is old, as after a jump of the clock.
    let at =
        |hour: i64| Retention { oldest_us: Some(i64::MAX), daily: Some(Daily { share_ppm: 100_000, now_us: hour * HOUR }), ..Retention::default() };
    let (all, part) = (BLOCKS * 600, BLOCKS * 600 / 10);
    // A chunk more, as chunks go whole.
    let a_part = |removed: u64, of: u64| (1..=of / 10 + 600).contains(&removed);
    let first = remove_all(&store, at(1_000)).await;
    assert!(a_part(first, all) && first > part / 2, "{first} of {all}");
    for hour in [1_000, 1_001, 1_010, 1_023] {
        assert_eq!(remove_all(&store, at(hour)).await, 0, "hour {hour}");
        // A restart gives no more.
        drop(store);
        store = f.open().await;
    }
    let second = remove_all(&store, at(1_024)).await;
    assert!(a_part(second, all - first) && second > 0, "a day later it goes on: {second}");
    // However the clock goes on, each of these is one day at most; set back, what was removed is not forgotten.
    for hour in [1_025, 900, 0, -5_000] {
        assert_eq!(remove_all(&store, at(hour)).await, 0, "hour {hour}");
    }
    let third = remove_all(&store, at(-5_000 + 24)).await;
    assert!(a_part(third, all - first - second), "and not for ever: {third}");
    assert_eq!(count(&store, &key(1)).await, all - first - second - third);
    let left = read(&store, &key(1), 0, u64::MAX, ALL).await.unwrap();
    assert_eq!(left.first_seq(), first + second + third, "the oldest went");
    remove_all(&store, Retention { max_bytes: Some(0), ..at(-5_000) }).await;
    assert_eq!(count(&store, &key(1)).await, 0, "what must go by bytes goes");
}

/// For any times of arrival and any blocks: frames that are young enough stay, and the count is that of the frames read.
pub(crate) async fn retention_takes_nothing_young<F: ArchiveFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let store = f.open().await;
    let (mut next, mut came, mut cutoff) = ([0u64; 3], vec![], 0);
    for offset in 0..120 {
        let now = offset as i64 * 1_000_000;
        let mut runs = vec![];
        for n in 0..3 {
            let first = next[n as usize] + rng.u64(0..3);
            next[n as usize] = first + rng.u64(1..150);
            runs.push(part(key(n), first, next[n as usize]));
            came.extend((first..next[n as usize]).map(|seq| (n, seq, now)));
        }
        store.append(&lease(), &ArchiveBlock { received_at_us: now, ..block(offset, runs) }).await.unwrap();
        if rng.u8(0..6) == 0 {
            cutoff = cutoff.max(now - rng.i64(0..90_000_000));
            remove_all(&store, Retention { oldest_us: Some(cutoff), ..Retention::default() }).await;
        }
        for n in 0..3 {
            let run = read(&store, &key(n), 0, u64::MAX, ALL).await;
            let kept: Vec<u64> = run.iter().flat_map(|r| r.iter().map(|(seq, _)| seq)).collect();
            assert_eq!(kept.len() as u64, count(&store, &key(n)).await);
            let of: Vec<&(u32, u64, i64)> = came.iter().filter(|(of, ..)| *of == n).collect();
            assert!(of[of.len() - kept.len()..].iter().map(|(_, seq, _)| *seq).eq(kept.iter().copied()), "what is left is the newest");
            let young = of.iter().filter(|(_, _, at)| *at >= cutoff).count();
            assert!(kept.len() >= young, "a frame that is young enough is gone");
            // A chunk goes when its newest frame is old enough, so some hundred older ones may stay with it.
            assert!(kept.len() < young + 600 + 150 || cutoff == 0, "{} kept, {young} young", kept.len());
        }
    }
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
            stores[who].append(&lease(), &block(next, runs)).await.unwrap();
            at[who] = next;
        }
    }
    assert_eq!((count(&stores[0], &key(1)).await, count(&stores[1], &key(2)).await), (5_000, 5_000));
    assert_eq!(stores[0].count(&key(1).tenant, &key(1).session, None).await.unwrap(), 10_000);
    assert_eq!(read(&stores[0], &key(1), 0, 9_999, ALL).await, Some(part(key(1), 0, 5_000)));
    let again = block(5_000, vec![part(key(1), 0, 5_000)]);
    stores[1].append(&lease(), &again).await.unwrap();
    assert_eq!(count(&stores[0], &key(1)).await, 5_000);
}

pub(crate) async fn a_refused_block_changes_nothing<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    store.append(&lease(), &block(5, vec![part(key(1), 0, 100)])).await.unwrap();
    let before = store.load(&lease()).await.unwrap();
    let good = || part(key(1), 100, 200);
    let torn = FrameRun { frames: Bytes::from(vec![0; CAR_FRAME_BYTES + 1]), ..part(key(2), 0, 1) };
    let empty = FrameRun { frames: Bytes::new(), ..part(key(2), 0, 1) };
    let touching = FrameRun { pieces: vec![Piece { first_seq: 100, count: 50 }, Piece { first_seq: 150, count: 50 }], ..good() };
    let short = FrameRun { pieces: vec![Piece { first_seq: 100, count: 99 }], ..good() };
    let falling = FrameRun { pieces: vec![Piece { first_seq: 150, count: 50 }, Piece { first_seq: 100, count: 50 }], ..good() };
    let bad: [(&str, ArchiveBlock); 9] = [
        ("runs that overlap", block(6, vec![part(key(1), 150, 200), part(key(1), 100, 151)])),
        (
            "runs one within the other",
            ArchiveBlock { cursors: vec![(key(1), 300)], ..block(6, vec![pieces(key(1), &[(100, 150), (200, 300)]), part(key(1), 150, 200)]) },
        ),
        ("pieces that touch", block(6, vec![touching])),
        ("more frames than numbers", block(6, vec![short])),
        ("pieces that fall", ArchiveBlock { cursors: vec![(key(1), 200)], ..block(6, vec![falling]) }),
        ("half a frame", ArchiveBlock { cursors: vec![(key(1), 200), (key(2), 2)], runs: vec![good(), torn], ..block(6, vec![]) }),
        ("no frame", ArchiveBlock { cursors: vec![(key(1), 200), (key(2), 2)], runs: vec![good(), empty], ..block(6, vec![]) }),
        ("frames above the cursor", ArchiveBlock { cursors: vec![(key(1), 199)], ..block(6, vec![good()]) }),
        ("another record at the checkpoint", ArchiveBlock { checkpoint: Checkpoint { crc: 1, ..checkpoint(5) }, ..block(5, vec![good()]) }),
    ];
    for (what, block) in bad {
        let refused = store.append(&lease(), &block).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{what}: {refused:?}");
        assert_eq!(store.load(&lease()).await.unwrap(), before, "{what}");
        assert_eq!(count(&store, &key(1)).await, 100, "{what}");
    }
    store.append(&lease(), &block(6, vec![good()])).await.unwrap();
    assert_eq!(count(&store, &key(1)).await, 200);
}

pub(crate) async fn cursors_and_checkpoint_survive_and_never_go_back<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    // A cursor may stand beyond the last frame, or have no frame at all: gaps and other kinds take numbers too.
    let ahead = ArchiveBlock { cursors: vec![(key(1), 150), (key(2), 7)], ..block(10, vec![part(key(1), 0, 100)]) };
    store.append(&lease(), &ahead).await.unwrap();
    drop(store);
    let store = f.open().await;
    let state = ArchiveState { checkpoint: Some(checkpoint(10)), cursors: vec![(key(1), 150), (key(2), 7)], ..store.load(&lease()).await.unwrap() };
    assert_eq!(store.load(&lease()).await.unwrap(), state);
    store.append(&lease(), &block(4, vec![part(key(1), 0, 50)])).await.unwrap();
    assert_eq!(store.load(&lease()).await.unwrap(), state, "an old block is nothing new");
    let next_door = Lease { partition: 4, ..lease() };
    assert_eq!(store.load(&next_door).await.unwrap(), ArchiveState::default());
    assert_eq!(store.load(&Lease { log: LogId("other".into()), ..lease() }).await.unwrap(), ArchiveState::default());
    let elsewhere = Checkpoint { partition: 4, ..checkpoint(1) };
    store.append(&next_door, &ArchiveBlock { checkpoint: elsewhere.clone(), ..block(1, vec![part(key(3), 0, 5)]) }).await.unwrap();
    let there = store.load(&next_door).await.unwrap();
    assert_eq!((there.checkpoint, there.cursors), (Some(elsewhere), vec![(key(3), 5)]));
}

pub(crate) async fn tenants_see_only_their_own<F: ArchiveFixture>(f: &F) {
    let store = f.open().await;
    let theirs = StreamKey { tenant: tenant("b"), ..key(1) };
    store.append(&lease(), &block(1, vec![part(key(1), 0, 10), part(theirs, 0, 20)])).await.unwrap();
    assert_eq!((count(&store, &key(1)).await, count(&store, &theirs).await), (10, 20));
    assert_eq!(read(&store, &key(1), 0, 99, ALL).await, Some(part(key(1), 0, 10)));
    let nobody = StreamKey { tenant: tenant("c"), ..key(1) };
    assert!(read(&store, &nobody, 0, 99, ALL).await.is_none());
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
            tokio::spawn(async move { store.load(&lease()).await })
        });
        let block = block(at + 10, runs());
        super::drop_after(store.append(&lease(), &block), rng.u32(0..2_000)).await;
        if let Some(rival) = rival {
            rival.await.unwrap().unwrap();
        }
        let state = tokio::time::timeout(NO_LOCK_LEFT, store.load(&lease())).await.expect("no lock is left").unwrap();
        let now = state.checkpoint.map_or(0, |c| c.offset);
        assert!(now == at || now == at + 10, "from {at} to {now}");
        assert!(state.cursors.iter().all(|(_, next)| *next == now));
        assert_eq!((count(&*store, &key(1)).await, count(&*store, &key(2)).await), (now, now));
        kept += u32::from(now > at);
        at = now;
    }
    println!("{kept} of 1000 appends happened");
    assert_eq!(read(&*store, &key(1), 0, u64::MAX, ALL).await, (at > 0).then(|| part(key(1), 0, at)));
    tokio::time::timeout(NO_LOCK_LEFT, f.open().await.append(&lease(), &block(at + 10, vec![part(key(1), at, at + 10)])))
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
                // Sometimes with a gap in it, sometimes with one behind it; what other blocks had may come again.
                let gap = rng.u64(1..30);
                runs.push(if rng.bool() { part(key(n), at, next) } else { pieces(key(n), &[(at, next), (next + gap, next + gap + 7)]) });
                at = runs.last().map_or(0, FrameRun::next_seq) + rng.u64(0..200);
            }
        }
        rng.shuffle(&mut runs);
        let cursors = runs.iter().map(|r| (r.stream, runs.iter().filter(|o| o.stream == r.stream).map(FrameRun::next_seq).max().unwrap())).collect();
        let block = ArchiveBlock { cursors, ..block(offset, runs) };
        store.append(&lease(), &block).await.unwrap();
        model.append(&lease(), &block).await.unwrap();
        if rng.u8(0..8) == 0 {
            store = f.open().await;
        }
        let (at, wanted) = (store.load(&lease()).await.unwrap(), model.load(&lease()).await.unwrap());
        assert_eq!((at.checkpoint, at.cursors), (wanted.checkpoint, wanted.cursors));
        for n in 0..3 {
            let (first, next, limit) = (rng.u64(0..4_000), rng.u64(0..5_000), rng.u32(0..3_000));
            assert_eq!(read(&store, &key(n), first, next, limit).await, read(&model, &key(n), first, next, limit).await);
            assert_eq!(count(&store, &key(n)).await, count(&model, &key(n)).await);
        }
    }
}
