//! What every [`Results`] must do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use boxbox_schemas::results::{Checkpoint, IncidentStep, Lap, SessionInfo};
use boxbox_schemas::{LogId, TenantId};
use bytes::Bytes;

use super::ResultsFixture;
use super::samples::*;
use crate::memory::MemoryResults;
use crate::{Lease, PartitionState, QUARANTINE_MAX_ROWS, Quarantined, Results, STREAM_RACE_MAX_BYTES, SessionCursor, Step, StoreError};

/// How long a commit may take that waits for nothing but a lock left behind. Far above what a busy machine needs.
const NO_LOCK_LEFT: Duration = Duration::from_secs(60);

/// Steps that a reader must have seen come.
const CHANGES: u32 = 100;

async fn owner(store: &impl Results) -> Lease {
    store.acquire(&log(), 3).await.unwrap()
}

pub(crate) async fn the_owner_before_is_fenced<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let first = owner(&one).await;
    let home = session(tenant("a"), 1);
    one.commit(&first, &telling_step(&home, 1)).await.unwrap();

    let second = owner(&two).await;
    assert!(second.epoch > first.epoch);
    let refused = one.commit(&first, &telling_step(&home, 2)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { partition: 3, mine, newer } if mine == first.epoch && newer == second.epoch), "{refused}");
    assert!(!refused.is_retryable());
    assert!(matches!(one.load(&first).await, Err(StoreError::Fenced { .. })));
    assert_eq!(two.load(&second).await.unwrap().checkpoint, Some(checkpoint(1)));

    two.commit(&second, &telling_step(&home, 2)).await.unwrap();
    assert_eq!(one.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap()[0].revision, 2);
    let forged = Lease { epoch: second.epoch + 1, ..second.clone() };
    assert!(matches!(two.commit(&forged, &telling_step(&home, 3)).await, Err(StoreError::Fenced { .. })));
    let never_taken = Lease { partition: 4, ..second };
    assert!(matches!(two.load(&never_taken).await, Err(StoreError::Fenced { newer: 0, .. })));
}

pub(crate) async fn everything_survives_a_restart<F: ResultsFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(1);
    let store = f.open().await;
    let lease = owner(&store).await;
    assert_eq!(store.load(&lease).await.unwrap(), PartitionState::default());
    let home = SessionInfo { meta: Some(random_meta(&mut rng)), meta_from: Some((driver(1), run(1), 4)), ..session(tenant("a"), 1) };
    let mut step = telling_step(&home, 9);
    step.incidents = vec![incident(home.id, 1, 30), incident(home.id, 2, 10), incident(home.id, 1, 20)];
    store.commit(&lease, &step).await.unwrap();
    drop(store);

    let store = f.open().await;
    let lease = owner(&store).await;
    let Step { checkpoint, streams, sessions, facts, laps, incidents, .. } = step;
    let whole = PartitionState {
        checkpoint: Some(checkpoint),
        streams: streams.clone(),
        sessions: sessions.clone(),
        facts,
        laps: laps.clone(),
        incidents: incidents.clone(),
        ..Default::default()
    };
    assert_eq!(store.load(&lease).await.unwrap(), whole);
    assert_eq!(store.session(&home.tenant, &home.id).await.unwrap().as_ref(), sessions.first());
    assert_eq!(store.sessions(&home.tenant, None, 10).await.unwrap(), sessions);
    assert_eq!(store.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap(), laps);
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(2), 1).await.unwrap().as_ref(), laps.get(1));
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(2), 2).await.unwrap(), None);
    assert_eq!(store.ledgers(&home.tenant, &home.id).await.unwrap(), [streams[0].ledger.clone()]);
    let in_order = [incidents[2].clone(), incidents[0].clone(), incidents[1].clone()];
    assert_eq!(store.incidents(&home.tenant, &home.id).await.unwrap(), in_order, "by entry, then time");
    store.ping().await.unwrap();
}

pub(crate) async fn a_refused_step_changes_nothing<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    store.commit(&lease, &telling_step(&home, 5)).await.unwrap();
    let before = store.load(&lease).await.unwrap();

    let good = telling_step(&home, 6);
    let stranger = session(tenant("a"), 2);
    let thief = SessionInfo { tenant: tenant("b"), ..home.clone() };
    let at = |checkpoint: Checkpoint| Step { checkpoint, ..good.clone() };
    let bad: [(&str, Step); 10] = [
        ("a lap of no known session", Step { laps: vec![lap(home.id, entry(1), 1, 6), lap(stranger.id, entry(1), 1, 6)], ..good.clone() }),
        ("a fact of no known session", Step { facts: vec![lap(stranger.id, entry(1), 1, 6)], ..good.clone() }),
        ("an incident of no known session", Step { incidents: vec![incident(stranger.id, 1, 1)], ..good.clone() }),
        ("a stream of no known session", Step { streams: vec![stream_state(stream(&stranger, 1), 6)], ..good.clone() }),
        ("a session that is another tenant's", Step { sessions: vec![thief.clone()], ..good.clone() }),
        ("a stream of another tenant's", Step { streams: vec![stream_state(stream(&thief, 1), 6)], ..good.clone() }),
        (
            "a race state that is too long",
            Step {
                streams: vec![crate::StreamState { race: Bytes::from(vec![0; STREAM_RACE_MAX_BYTES + 1]), ..good.streams[0].clone() }],
                ..good.clone()
            },
        ),
        ("a checkpoint behind", at(checkpoint(4))),
        ("another record at the checkpoint", at(Checkpoint { crc: 1, ..checkpoint(5) })),
        ("another partition's checkpoint", at(Checkpoint { partition: 4, ..checkpoint(6) })),
    ];
    for (what, step) in bad {
        let refused = store.commit(&lease, &step).await;
        assert!(matches!(refused, Err(StoreError::Refused(_))), "{what}: {refused:?}");
        assert_eq!(store.load(&lease).await.unwrap(), before, "{what}");
        assert!(store.incidents(&home.tenant, &home.id).await.unwrap().is_empty(), "{what}");
    }
    store.commit(&lease, &at(checkpoint(5))).await.unwrap();
    store.commit(&lease, &good).await.unwrap();
}

pub(crate) async fn rows_are_replaced_by_key<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = SessionInfo { meta: Some(random_meta(&mut fastrand::Rng::with_seed(2))), ..session(tenant("a"), 1) };
    store.commit(&lease, &telling_step(&home, 1)).await.unwrap();
    let again = SessionInfo { meta: None, closed: true, ..home.clone() };
    store.commit(&lease, &telling_step(&again, 2)).await.unwrap();
    let state = store.load(&lease).await.unwrap();
    let expected = telling_step(&again, 2);
    assert_eq!((state.sessions, state.streams), (expected.sessions, expected.streams));
    assert_eq!((state.facts, state.laps), (expected.facts, expected.laps));

    let twice = |revision| lap(home.id, entry(1), 1, revision);
    store.commit(&lease, &Step { laps: vec![twice(4), twice(3)], ..empty_step(3) }).await.unwrap();
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(1), 1).await.unwrap().unwrap().revision, 3, "the later of a step stays");
    // Facts of other streams and timelines are other facts.
    let others = [Lap { driver: driver(2), ..twice(1) }, Lap { run: run(2), ..twice(1) }, Lap { timeline: 1, ..twice(1) }];
    store.commit(&lease, &Step { facts: others.to_vec(), ..empty_step(4) }).await.unwrap();
    assert_eq!(store.load(&lease).await.unwrap().facts.len(), 5 + 3);
}

pub(crate) async fn withdrawn_laps_are_gone<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    store.commit(&lease, &telling_step(&home, 1)).await.unwrap();
    let key = |n| (home.id, entry(n), 1);
    let step = Step { withdrawn: vec![key(1), key(2), key(99)], laps: vec![lap(home.id, entry(2), 1, 2)], ..empty_step(2) };
    store.commit(&lease, &step).await.unwrap();
    let shown: Vec<_> =
        store.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap().into_iter().map(|l| (l.entry, l.revision)).collect();
    assert_eq!(shown, [(entry(2), 2), (entry(3), 1), (entry(4), 1), (entry(5), 1)], "a lap chosen in the same step stays");
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(1), 1).await.unwrap(), None);
    assert_eq!(store.load(&lease).await.unwrap().facts.len(), 5, "facts stay");
}

pub(crate) async fn what_is_superseded_is_never_shown<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    let gone = |lap: Lap| Lap { superseded: true, ..lap };
    let mut step = telling_step(&home, 1);
    step.facts.push(gone(Lap { timeline: 7, ..lap(home.id, entry(9), 9, 1) }));
    step.laps.push(gone(lap(home.id, entry(9), 9, 1)));
    step.incidents = vec![incident(home.id, 1, 10), IncidentStep { superseded: true, ..incident(home.id, 1, 20) }];
    store.commit(&lease, &step).await.unwrap();
    assert!(store.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap().iter().all(|l| l.entry != entry(9)));
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(9), 9).await.unwrap(), None);
    assert_eq!(store.incidents(&home.tenant, &home.id).await.unwrap(), [incident(home.id, 1, 10)]);
    let state = store.load(&lease).await.unwrap();
    assert_eq!(state.facts.iter().chain(&state.laps).filter(|l| l.superseded).count(), 2, "kept for the record");
    // A rewind reaches what was shown before.
    let rewound = Step { incidents: vec![IncidentStep { superseded: true, ..incident(home.id, 1, 10) }], ..empty_step(2) };
    store.commit(&lease, &rewound).await.unwrap();
    assert!(store.incidents(&home.tenant, &home.id).await.unwrap().is_empty());
}

pub(crate) async fn tenants_see_only_their_own<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let homes = [session(tenant("a"), 1), session(tenant("b"), 1)];
    for (i, home) in homes.iter().enumerate() {
        let step = Step { incidents: vec![incident(home.id, 1, 10)], checkpoint: checkpoint(9), ..telling_step(home, i as u32 + 1) };
        store.commit(&lease, &step).await.unwrap();
    }
    for (home, other) in [(&homes[0], &homes[1]), (&homes[1], &homes[0])] {
        let me = &home.tenant;
        assert_eq!(store.sessions(me, None, 10).await.unwrap().iter().map(|s| s.id).collect::<Vec<_>>(), [home.id]);
        assert!(store.session(me, &home.id).await.unwrap().is_some() && store.session(me, &other.id).await.unwrap().is_none());
        assert_eq!(store.laps(me, &home.id, &Default::default(), None, 10).await.unwrap().len(), 5);
        assert!(store.laps(me, &other.id, &Default::default(), None, 10).await.unwrap().is_empty());
        assert!(store.lap(me, &home.id, &entry(1), 1).await.unwrap().is_some() && store.lap(me, &other.id, &entry(1), 1).await.unwrap().is_none());
        assert!(!store.incidents(me, &home.id).await.unwrap().is_empty() && store.incidents(me, &other.id).await.unwrap().is_empty());
        assert!(!store.ledgers(me, &home.id).await.unwrap().is_empty() && store.ledgers(me, &other.id).await.unwrap().is_empty());
    }
}

pub(crate) async fn sessions_are_paged_newest_first<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let mut mine: Vec<SessionInfo> = (0..25).map(|n| session(tenant("a"), n)).collect();
    let others = (0..25).map(|n| session(tenant("b"), n));
    store.commit(&lease, &Step { sessions: mine.iter().cloned().chain(others).collect(), ..empty_step(1) }).await.unwrap();
    mine.sort_by_key(|s| (std::cmp::Reverse(s.opened_at_us), s.id));
    for limit in [1, 2, 7, 25, 26] {
        let (mut walked, mut after) = (vec![], None);
        loop {
            let page = store.sessions(&tenant("a"), after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some(SessionCursor { opened_at_us: last.opened_at_us, id: last.id });
            walked.extend(page);
        }
        assert_eq!(walked, mine, "in pages of {limit}");
    }
}

pub(crate) async fn laps_are_paged_in_order<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    let laps: Vec<Lap> = (0..40).map(|n| lap(home.id, entry(n % 12), 1 + n, 1)).collect();
    store.commit(&lease, &Step { sessions: vec![home.clone()], laps: laps.clone(), ..empty_step(1) }).await.unwrap();
    let mut all = laps;
    all.sort_by_key(|l| (l.entry, l.number));
    for limit in [1, 3, 40, 41] {
        let (mut walked, mut after) = (vec![], None);
        loop {
            let page = store.laps(&home.tenant, &home.id, &Default::default(), after, limit).await.unwrap();
            assert!(page.len() <= limit as usize);
            let Some(last) = page.last() else { break };
            after = Some((last.entry, last.number));
            walked.extend(page);
        }
        assert_eq!(walked, all, "in pages of {limit}: text order of entries, 10 before 2");
    }
}

pub(crate) async fn partitions_and_logs_are_apart<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let places = [(log(), 3), (log(), 4), (LogId("log-2".into()), 3)];
    let mut leases = vec![];
    for (n, (log, partition)) in places.iter().enumerate() {
        let lease = store.acquire(log, *partition).await.unwrap();
        assert_eq!(lease.epoch, 1, "epochs are counted for each partition");
        let mut step = telling_step(&session(tenant("a"), n as u32), 1);
        step.checkpoint = Checkpoint { log: log.clone(), partition: *partition, offset: 100 + n as u64, crc: n as u32 };
        store.commit(&lease, &step).await.unwrap();
        leases.push(lease);
    }
    for (n, lease) in leases.iter().enumerate() {
        let state = store.load(lease).await.unwrap();
        assert_eq!(state.checkpoint.map(|c| c.offset), Some(100 + n as u64));
        assert_eq!(state.sessions.iter().map(|s| s.id).collect::<Vec<_>>(), [session(tenant("a"), n as u32).id]);
        assert_eq!((state.streams.len(), state.facts.len(), state.laps.len()), (1, 5, 5));
    }
}

pub(crate) async fn quarantine_keeps_the_newest<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let bad = |offset: u64| Quarantined { offset, reason: "crc".into(), record: Bytes::from(offset.to_le_bytes().to_vec()) };
    let total = QUARANTINE_MAX_ROWS as u64 + 300;
    for first in (0..total).step_by(100) {
        store.commit(&lease, &Step { quarantine: (first..first + 100).map(bad).collect(), ..empty_step(first) }).await.unwrap();
    }
    let kept = f.quarantine(&store, &log(), 3).await;
    assert_eq!(kept, (300..total).map(bad).collect::<Vec<_>>());
    assert!(f.quarantine(&store, &log(), 4).await.is_empty());
}

pub(crate) async fn readers_see_whole_steps_only<F: ResultsFixture>(f: &F) {
    let store = Arc::new(f.open().await);
    let lease = owner(&*store).await;
    let home = session(tenant("a"), 1);
    store.commit(&lease, &telling_step(&home, 1)).await.unwrap();
    let seen = Arc::new(AtomicU32::new(0));
    let reader = tokio::spawn({
        let (store, home, seen) = (store.clone(), home.clone(), seen.clone());
        async move {
            let mut newest = 0;
            while seen.load(Ordering::Relaxed) < CHANGES {
                let laps = store.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap();
                let revisions: Vec<u32> = laps.iter().map(|l| l.revision).collect();
                assert!(revisions.len() == 5 && revisions.iter().all(|r| *r == revisions[0]), "a torn step: {revisions:?}");
                assert!(revisions[0] >= newest, "a step that was seen is gone");
                seen.fetch_add(u32::from(revisions[0] > newest), Ordering::Relaxed);
                newest = revisions[0];
                tokio::task::yield_now().await;
            }
        }
    });
    let mut revision = 1;
    while seen.load(Ordering::Relaxed) < CHANGES && !reader.is_finished() {
        revision += 1;
        store.commit(&lease, &telling_step(&home, revision)).await.unwrap();
        tokio::task::yield_now().await;
    }
    reader.await.unwrap();
}

/// A commit dropped at any moment is there whole or not at all, and whoever comes next is not locked out.
pub(crate) async fn aborted_commits_are_whole_or_nothing<F: ResultsFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let store = Arc::new(f.open().await);
    let lease = owner(&*store).await;
    let home = session(tenant("a"), 1);
    store.commit(&lease, &telling_step(&home, 1)).await.unwrap();
    let (mut at, mut kept, mut lost) = (1, 0, 0);
    for _ in 0..1_000 {
        // Half of them wait for another's turn first: dropped there, they must not happen.
        let rival = rng.bool().then(|| {
            let (store, lease) = (store.clone(), lease.clone());
            tokio::spawn(async move { store.load(&lease).await })
        });
        let step = telling_step(&home, at + 1);
        super::drop_after(store.commit(&lease, &step), rng.u32(0..200)).await;
        if let Some(rival) = rival {
            rival.await.unwrap().unwrap();
        }
        let state = tokio::time::timeout(NO_LOCK_LEFT, store.load(&lease)).await.expect("no lock is left").unwrap();
        let now = state.checkpoint.as_ref().map(|c| c.offset as u32).unwrap();
        assert!(now == at || now == at + 1, "from {at} to {now}");
        let whole = telling_step(&home, now);
        assert_eq!((state.sessions, state.streams), (whole.sessions, whole.streams));
        assert_eq!((state.facts, state.laps), (whole.facts, whole.laps));
        *(if now == at { &mut lost } else { &mut kept }) += 1;
        at = now;
    }
    println!("{kept} commits happened, {lost} did not");
    let other = f.open().await;
    let newer = tokio::time::timeout(NO_LOCK_LEFT, owner(&other)).await.expect("no lock is left");
    tokio::time::timeout(NO_LOCK_LEFT, other.commit(&newer, &telling_step(&home, at + 1))).await.expect("no lock is left").unwrap();
}

/// Random steps, with restarts and changes of owner between them, against the reference.
pub(crate) async fn random_steps_are_as_in_the_reference<F: ResultsFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let tenants = [tenant("a"), tenant("b")];
    let model = MemoryResults::new();
    let (mut store, mut theirs) = (f.open().await, owner(&model).await);
    let mut ours = owner(&store).await;
    for offset in 1..=60 {
        let step = random_step(&mut rng, offset, &tenants);
        store.commit(&ours, &step).await.unwrap();
        model.commit(&theirs, &step).await.unwrap();
        if rng.u8(0..10) == 0 {
            store = f.open().await;
        }
        if rng.u8(0..10) == 0 {
            (ours, theirs) = (owner(&store).await, owner(&model).await);
        }
        assert_eq!(store.load(&ours).await.unwrap(), model.load(&theirs).await.unwrap());
        let limit = rng.u32(1..8);
        for tenant in &tenants {
            compare_reads(&store, &model, tenant, limit).await;
        }
    }
    assert_eq!(f.quarantine(&store, &log(), 3).await, model.quarantine(&log(), 3).await.unwrap());
}

async fn compare_reads(store: &impl Results, model: &MemoryResults, tenant: &TenantId, limit: u32) {
    let sessions = model.sessions(tenant, None, 100).await.unwrap();
    assert_eq!(store.sessions(tenant, None, 100).await.unwrap(), sessions);
    for s in &sessions {
        let after = Some(SessionCursor { opened_at_us: s.opened_at_us, id: s.id });
        assert_eq!(store.sessions(tenant, after, limit).await.unwrap(), model.sessions(tenant, after, limit).await.unwrap());
        let laps = model.laps(tenant, &s.id, &Default::default(), None, 1_000).await.unwrap();
        assert_eq!(store.laps(tenant, &s.id, &Default::default(), None, 1_000).await.unwrap(), laps);
        if let Some(some) = laps.get(limit as usize) {
            let after = Some((some.entry, some.number));
            assert_eq!(
                store.laps(tenant, &s.id, &Default::default(), after, limit).await.unwrap(),
                model.laps(tenant, &s.id, &Default::default(), after, limit).await.unwrap()
            );
            assert_eq!(store.lap(tenant, &s.id, &some.entry, some.number).await.unwrap().as_ref(), Some(some));
        }
        assert_eq!(store.incidents(tenant, &s.id).await.unwrap(), model.incidents(tenant, &s.id).await.unwrap());
        assert_eq!(store.ledgers(tenant, &s.id).await.unwrap(), model.ledgers(tenant, &s.id).await.unwrap());
    }
}
