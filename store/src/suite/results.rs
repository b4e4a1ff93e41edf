//! What every results store must do: [`Steps`] and [`Sessions`].

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use boxbox_schemas::results::{Account, Checkpoint, FlagChange, IncidentStep, Lap, PitVisit, Reasons, Row, SessionInfo};
use boxbox_schemas::{LogId, TenantId};
use bytes::Bytes;

use super::ResultsFixture;
use super::rows::{shown_and_not, stored_rows};
use super::samples::*;
use crate::memory::MemoryResults;
use crate::{
    BestLaps, LapFilter, Lease, PartitionState, QUARANTINE_MAX_ROWS, Quarantined, STREAM_RACE_MAX_BYTES, SessionCursor, Sessions, Step, Steps,
    StoreError,
};

/// How long a commit may take that waits for nothing but a lock left behind. Far above what a busy machine needs.
const NO_LOCK_LEFT: Duration = Duration::from_secs(60);

/// Steps that a reader must have seen come.
const CHANGES: u32 = 100;

pub(super) async fn owner(store: &impl Steps) -> Lease {
    store.acquire(&log(), 3).await.unwrap()
}

pub(crate) async fn the_owner_before_is_fenced<F: ResultsFixture>(f: &F) {
    let (one, two) = (f.open().await, f.open().await);
    let first = owner(&one).await;
    let home = session(tenant("a"), 1);
    one.commit(&first, &step_of_revision(&home, 1)).await.unwrap();

    let second = owner(&two).await;
    assert!(second.epoch > first.epoch);
    let refused = one.commit(&first, &step_of_revision(&home, 2)).await.unwrap_err();
    assert!(matches!(refused, StoreError::Fenced { partition: 3, mine, newer } if mine == first.epoch && newer == second.epoch), "{refused}");
    assert!(!refused.is_retryable());
    assert!(matches!(one.load(&first).await, Err(StoreError::Fenced { .. })));
    assert_eq!(two.load(&second).await.unwrap().checkpoint, Some(checkpoint(1)));

    two.commit(&second, &step_of_revision(&home, 2)).await.unwrap();
    assert_eq!(one.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap()[0].revision, 2);
    let forged = Lease { epoch: second.epoch + 1, ..second.clone() };
    assert!(matches!(two.commit(&forged, &step_of_revision(&home, 3)).await, Err(StoreError::Fenced { .. })));
    let never_taken = Lease { partition: 4, ..second };
    assert!(matches!(two.load(&never_taken).await, Err(StoreError::Fenced { newer: 0, .. })));
}

pub(crate) async fn everything_survives_a_restart<F: ResultsFixture>(f: &F) {
    let mut rng = fastrand::Rng::with_seed(1);
    let store = f.open().await;
    let lease = owner(&store).await;
    assert_eq!(store.load(&lease).await.unwrap(), PartitionState::default());
    let home = SessionInfo { meta: Some(random_meta(&mut rng)), meta_from: Some((driver(1), run(1), 4)), ..session(tenant("a"), 1) };
    let mut step = step_of_revision(&home, 9);
    let incidents = [incident(home.id, 1, 20), incident(home.id, 1, 30), incident(home.id, 2, 10)];
    let pit_visits = [visit(home.id, 1, 20), visit(home.id, 2, 10)];
    let flags = [flag(home.id, 1, 20), flag(home.id, 2, 10)];
    step.rows = [rows(&incidents), rows(&pit_visits), rows(&flags)].concat();
    step.rows.sort_by_key(|row| (row.head.key, row.kind));
    step.accounts = [1, 2].map(|n| Account { sessions: n, opened: Some(home.id), ..Account::new(home.tenant, driver(n)) }).to_vec();
    store.commit(&lease, &step).await.unwrap();
    let changed = Account { kept: u64::MAX >> 1, work: 7, ..step.accounts[1].clone() };
    let next = Step { accounts: vec![changed.clone()], sessions: step.sessions.clone(), ..empty_step(step.checkpoint.offset + 1) };
    store.commit(&lease, &next).await.unwrap();
    (step.checkpoint, step.accounts[1]) = (next.checkpoint, changed);
    drop(store);

    let store = f.open().await;
    let lease = owner(&store).await;
    let Step { checkpoint, streams, sessions, facts, laps, rows, accounts, .. } = step;
    let whole = PartitionState {
        checkpoint: Some(checkpoint),
        streams: streams.clone(),
        sessions: sessions.clone(),
        facts,
        laps: laps.clone(),
        rows,
        accounts,
    };
    assert_eq!(store.load(&lease).await.unwrap(), whole);
    assert_eq!(store.session(&home.tenant, &home.id).await.unwrap().as_ref(), sessions.first());
    assert_eq!(store.sessions(&home.tenant, None, 10).await.unwrap(), sessions);
    assert_eq!(store.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap(), laps);
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(2), 1).await.unwrap().as_ref(), laps.get(1));
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(2), 2).await.unwrap(), None);
    assert_eq!(store.ledgers(&home.tenant, &home.id).await.unwrap(), [streams[0].ledger.clone()]);
    assert_eq!(stored_rows::<IncidentStep>(&store, &home).await, incidents, "by entry, then time");
    assert_eq!(stored_rows::<PitVisit>(&store, &home).await, pit_visits, "by entry, then time");
    assert_eq!(stored_rows::<FlagChange>(&store, &home).await, flags, "by entry, then time");
    let own = streams[0].now.clone().unwrap();
    let seen = streams[0].field.iter().map(|f| f.now.clone().unwrap());
    assert_eq!(store.cars(&home.tenant, &home.id).await.unwrap(), std::iter::once(own).chain(seen).collect::<Vec<_>>(), "by entry");
    store.ping().await.unwrap();
}

pub(crate) async fn a_refused_step_changes_nothing<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    store.commit(&lease, &step_of_revision(&home, 5)).await.unwrap();
    let before = store.load(&lease).await.unwrap();

    let good = step_of_revision(&home, 6);
    let stranger = session(tenant("a"), 2);
    let thief = SessionInfo { tenant: tenant("b"), ..home.clone() };
    let mut long_field = good.streams[0].clone();
    long_field.field[1].race = Bytes::from(vec![0; STREAM_RACE_MAX_BYTES + 1]);
    let at = |checkpoint: Checkpoint| Step { checkpoint, ..good.clone() };
    let bad: [(&str, Step); 15] = [
        ("a lap of no known session", Step { laps: vec![lap(home.id, entry(1), 1, 6), lap(stranger.id, entry(1), 1, 6)], ..good.clone() }),
        ("a fact of no known session", Step { facts: vec![lap(stranger.id, entry(1), 1, 6)], ..good.clone() }),
        ("an incident of no known session", Step { rows: rows(&[incident(stranger.id, 1, 1)]), ..good.clone() }),
        ("a pit visit of no known session", Step { rows: rows(&[visit(stranger.id, 1, 1)]), ..good.clone() }),
        ("a row of a newer kind and no known session", Step { rows: vec![newer(stranger.id, 1, 1)], ..good.clone() }),
        ("an unknown session retired", Step { retired: vec![home.id, stranger.id], ..good.clone() }),
        ("a field state that is too long", Step { streams: vec![long_field.clone()], ..good.clone() }),
        ("a field state that is too long, and good ones", Step { streams: vec![good.streams[0].clone(), long_field], ..good.clone() }),
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
        assert!(stored_rows::<IncidentStep>(&store, &home).await.is_empty(), "{what}");
    }
    store.commit(&lease, &at(checkpoint(5))).await.unwrap();
    store.commit(&lease, &good).await.unwrap();
}

pub(crate) async fn rows_are_replaced_by_key<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = SessionInfo { meta: Some(random_meta(&mut fastrand::Rng::with_seed(2))), ..session(tenant("a"), 1) };
    store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
    let again = SessionInfo { meta: None, closed: true, ..home.clone() };
    store.commit(&lease, &step_of_revision(&again, 2)).await.unwrap();
    let state = store.load(&lease).await.unwrap();
    let expected = step_of_revision(&again, 2);
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
    store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
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
    let mut step = step_of_revision(&home, 1);
    step.facts.push(gone(Lap { timeline: 7, ..lap(home.id, entry(9), 9, 1) }));
    step.laps.push(gone(lap(home.id, entry(9), 9, 1)));
    step.rows = shown_and_not(&home);
    store.commit(&lease, &step).await.unwrap();
    assert!(store.laps(&home.tenant, &home.id, &Default::default(), None, 100).await.unwrap().iter().all(|l| l.entry != entry(9)));
    assert_eq!(store.lap(&home.tenant, &home.id, &entry(9), 9).await.unwrap(), None);
    assert_eq!(stored_rows::<IncidentStep>(&store, &home).await, [incident(home.id, 1, 10)]);
    assert_eq!(stored_rows::<PitVisit>(&store, &home).await, [visit(home.id, 1, 10)]);
    assert_eq!(stored_rows::<FlagChange>(&store, &home).await, [flag(home.id, 1, 10)]);
    assert!(store.laps_at(&home.tenant, &home.id, i64::MAX).await.unwrap().iter().all(|l| l.entry != entry(9)));
    let state = store.load(&lease).await.unwrap();
    assert_eq!(state.facts.iter().chain(&state.laps).filter(|l| l.superseded).count(), 2, "kept for the record");
    assert_eq!(state.rows, step.rows);
    // A rewind reaches what was shown before.
    let rewound = Step { rows: rows(&[IncidentStep { superseded: true, ..incident(home.id, 1, 10) }]), ..empty_step(2) };
    store.commit(&lease, &rewound).await.unwrap();
    assert!(stored_rows::<IncidentStep>(&store, &home).await.is_empty());
}

pub(crate) async fn tenants_see_only_their_own<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let homes = [session(tenant("a"), 1), session(tenant("b"), 1)];
    for (i, home) in homes.iter().enumerate() {
        let mut step = Step { rows: rows(&[visit(home.id, 1, 10)]), checkpoint: checkpoint(9), ..step_of_revision(home, i as u32 + 1) };
        step.laps[0].reasons = Reasons(0);
        store.commit(&lease, &step).await.unwrap();
    }
    for (home, other) in [(&homes[0], &homes[1]), (&homes[1], &homes[0])] {
        let me = &home.tenant;
        assert_eq!(store.sessions(me, None, 10).await.unwrap().iter().map(|s| s.id).collect::<Vec<_>>(), [home.id]);
        assert!(store.session(me, &home.id).await.unwrap().is_some() && store.session(me, &other.id).await.unwrap().is_none());
        assert_eq!(store.laps(me, &home.id, &Default::default(), None, 10).await.unwrap().len(), 5);
        assert!(store.laps(me, &other.id, &Default::default(), None, 10).await.unwrap().is_empty());
        assert!(store.lap(me, &home.id, &entry(1), 1).await.unwrap().is_some() && store.lap(me, &other.id, &entry(1), 1).await.unwrap().is_none());
        assert_eq!(store.laps_at(me, &home.id, i64::MAX).await.unwrap().len(), 5);
        assert!(store.laps_at(me, &other.id, i64::MAX).await.unwrap().is_empty());
        assert_eq!(store.best_laps(me, &home.id, BestLaps::ended_by(i64::MAX)).await.unwrap().len(), 1);
        assert!(store.best_laps(me, &other.id, BestLaps::ended_by(i64::MAX)).await.unwrap().is_empty());
        let kind = PitVisit::KIND;
        assert_eq!((store.rows(me, &home.id, kind).await.unwrap().len(), store.rows(me, &other.id, kind).await.unwrap().len()), (1, 0));
        assert_eq!((store.cars(me, &home.id).await.unwrap().len(), store.cars(me, &other.id).await.unwrap().len()), (4, 0));
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

/// Every filter, alone and together, page by page, is what a look at every lap gives.
pub(crate) async fn laps_are_filtered<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    let of = |n: u32| {
        let reasons = if n.is_multiple_of(3) { Reasons(0) } else { Reasons::OFF_TRACK };
        Lap { driver: driver(n % 2), reasons, superseded: n.is_multiple_of(11), ..lap(home.id, entry(n % 4), 1 + n / 4, 1) }
    };
    let mut all: Vec<Lap> = (0..60).map(of).collect();
    store.commit(&lease, &Step { sessions: vec![home.clone()], laps: all.clone(), ..empty_step(1) }).await.unwrap();
    all.retain(|l| !l.superseded);
    all.sort_by_key(|l| (l.entry, l.number));
    let mut rng = fastrand::Rng::with_seed(8);
    let mut filters: Vec<LapFilter> = (0..60).map(|_| random_filter(&mut rng)).collect();
    filters.push(LapFilter { from_number: Some(u32::MAX), ..Default::default() });
    filters.push(LapFilter { entry: Some(entry(9)), ..Default::default() });
    for filter in filters {
        let wanted: Vec<&Lap> = all.iter().filter(|l| filter.lets_pass(l)).collect();
        for limit in [1, 4, 100] {
            let (mut walked, mut after) = (vec![], None);
            loop {
                let page = store.laps(&home.tenant, &home.id, &filter, after, limit).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some((last.entry, last.number));
                walked.extend(page);
            }
            assert_eq!(walked.iter().collect::<Vec<_>>(), wanted, "{filter:?} in pages of {limit}");
        }
    }
    let last = Some((entry(1), u32::MAX));
    let of_first = LapFilter { entry: Some(entry(1)), ..Default::default() };
    assert!(store.laps(&home.tenant, &home.id, &of_first, last, 9).await.unwrap().is_empty(), "behind the last number there is");
}

/// At every moment the laps that were begun and the best that was known, as truth has them.
pub(crate) async fn laps_at_a_moment<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    let mut rng = fastrand::Rng::with_seed(9);
    let mut laps = vec![];
    for n in 0..6 {
        let mut at = rng.i64(0..100);
        for number in 1..=20 {
            let time_us = rng.i64(90..100);
            let reasons = if rng.u8(0..3) == 0 { Reasons::INCIDENT } else { Reasons(0) };
            // The simulator's own time decides, where it reported one.
            let sim_time_us = rng.bool().then(|| time_us + rng.i64(-3..4));
            laps.push(Lap { start_us: at, end_us: at + time_us, time_us, sim_time_us, reasons, ..lap(home.id, entry(n), number, 1) });
            at += time_us;
        }
    }
    store.commit(&lease, &Step { sessions: vec![home.clone()], laps: laps.clone(), ..empty_step(1) }).await.unwrap();
    for at in (-10..2_100).step_by(13) {
        let (mut begun, mut best) = (vec![], vec![]);
        let which = match at % 3 {
            0 => BestLaps::ended_by(at),
            1 => BestLaps { from_number: 3, ..BestLaps::ended_by(at) },
            _ => BestLaps { begun_before_us: at / 2, ..BestLaps::ended_by(at) },
        };
        for n in 0..6 {
            let of = |l: &&Lap| l.entry == entry(n);
            let run: Vec<&Lap> = laps.iter().filter(of).filter(|l| l.start_us <= at).collect();
            begun.extend(run[run.len().saturating_sub(2)..].iter().map(|l| (*l).clone()));
            best.extend(laps.iter().filter(of).filter(|l| which.lets_pass(l)).min_by_key(|l| (l.deciding_us(), l.end_us)).cloned());
        }
        assert_eq!(store.laps_at(&home.tenant, &home.id, at).await.unwrap(), begun, "at {at}");
        assert_eq!(store.best_laps(&home.tenant, &home.id, which).await.unwrap(), best, "{which:?}");
    }
}

/// E9: state that is no longer needed to continue is dropped, visible rows stay, and of the session only its own row is loaded.
pub(crate) async fn retired_sessions_keep_what_is_shown<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let (home, other) = (session(tenant("a"), 1), session(tenant("a"), 2));
    let gone = |l: Lap| Lap { superseded: true, ..l };
    for (offset, home) in [(1, &home), (2, &other)] {
        let mut step = step_of_revision(home, offset);
        step.laps.push(gone(lap(home.id, entry(9), 9, 1)));
        step.rows = shown_and_not(home);
        store.commit(&lease, &step).await.unwrap();
    }
    let shown = (
        store.laps(&home.tenant, &home.id, &Default::default(), None, 99).await.unwrap(),
        stored_rows::<IncidentStep>(&store, &home).await,
        stored_rows::<PitVisit>(&store, &home).await,
        stored_rows::<FlagChange>(&store, &home).await,
        store.ledgers(&home.tenant, &home.id).await.unwrap(),
    );
    let before = store.load(&lease).await.unwrap();
    let info = SessionInfo { retired: true, closed: true, sim_time_us: 1, ..home.clone() };
    let step = Step { sessions: vec![info.clone()], retired: vec![home.id], ..empty_step(3) };
    store.commit(&lease, &step).await.unwrap();
    store.commit(&lease, &step).await.unwrap();
    drop(store);

    let store = f.open().await;
    let lease = owner(&store).await;
    let state = store.load(&lease).await.unwrap();
    assert!(state.sessions.contains(&info) && state.sessions.len() == 2);
    assert!(state.streams.iter().all(|s| s.ledger.stream.session == other.id));
    let of_other = |state: &PartitionState| {
        let laps = state.facts.iter().chain(&state.laps).filter(|l| l.session == other.id).cloned().collect::<Vec<_>>();
        (laps, state.streams.iter().filter(|s| s.ledger.stream.session == other.id).cloned().collect::<Vec<_>>())
    };
    assert_eq!(of_other(&state), of_other(&before), "another session is as it was");
    let mut kept = state.facts.iter().chain(&state.laps).map(|l| l.session).chain(state.rows.iter().map(|row| row.head.session));
    assert!(kept.all(|session| session == other.id));
    let kept = (
        store.laps(&home.tenant, &home.id, &Default::default(), None, 99).await.unwrap(),
        stored_rows::<IncidentStep>(&store, &home).await,
        stored_rows::<PitVisit>(&store, &home).await,
        stored_rows::<FlagChange>(&store, &home).await,
        store.ledgers(&home.tenant, &home.id).await.unwrap(),
    );
    assert_eq!(kept, shown);
    let cars = store.cars(&home.tenant, &home.id).await.unwrap();
    assert_eq!(cars.iter().map(|c| c.field).collect::<Vec<_>>(), [false], "what others saw of cars is gone with its state");
    // The session comes to life again in the log: nothing of what was dropped comes back, superseded rows least of all.
    store.commit(&lease, &Step { sessions: vec![SessionInfo { retired: false, ..info }], ..empty_step(4) }).await.unwrap();
    let state = store.load(&lease).await.unwrap();
    let own: Vec<_> = state.streams.iter().filter(|s| s.ledger.stream.session == home.id).collect();
    assert!(own.iter().all(|s| s.race.is_empty() && s.field.is_empty()) && own.len() == 1);
    assert!(state.facts.iter().all(|l| l.session == other.id) && state.laps.iter().all(|l| l.session == other.id || !l.superseded));
    assert!(state.rows.iter().all(|row| row.head.session == other.id || !row.head.superseded));
}

/// A stream's step brings only those cars that changed; the others stay.
pub(crate) async fn field_states_are_merged_by_slot<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let home = session(tenant("a"), 1);
    let key = stream(&home, 1);
    let with = |field: Vec<crate::FieldState>| crate::StreamState { field, ..stream_state(key, 1) };
    let first = Step { sessions: vec![home.clone()], streams: vec![with((0..5).map(|s| seen(&key, 2, s)).collect())], ..empty_step(1) };
    store.commit(&lease, &first).await.unwrap();
    let moved = crate::FieldState { now: None, race: Bytes::from_static(b"moved"), slot: 2 };
    // The same stream twice in a step: what either says of a slot counts, the later one's word last.
    let twice = vec![with(vec![seen(&key, 3, 2), seen(&key, 3, 4)]), with(vec![moved.clone(), seen(&key, 4, 9)])];
    store.commit(&lease, &Step { streams: twice, ..empty_step(2) }).await.unwrap();
    let expected = [seen(&key, 2, 0), seen(&key, 2, 1), moved, seen(&key, 2, 3), seen(&key, 3, 4), seen(&key, 4, 9)];
    assert_eq!(store.load(&lease).await.unwrap().streams[0].field, expected);
    assert_eq!(store.cars(&home.tenant, &home.id).await.unwrap().iter().map(|c| (c.entry, c.slot)).collect::<Vec<_>>(), {
        [(entry(2), 0), (entry(2), 1), (entry(2), 3), (entry(3), 4), (entry(4), 9)]
    });
}

pub(crate) async fn partitions_and_logs_are_apart<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let places = [(log(), 3), (log(), 4), (LogId("log-2".into()), 3)];
    let mut leases = vec![];
    for (n, (log, partition)) in places.iter().enumerate() {
        let lease = store.acquire(log, *partition).await.unwrap();
        assert_eq!(lease.epoch, 1, "epochs are counted for each partition");
        let mut step = step_of_revision(&session(tenant("a"), n as u32), 1);
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
    store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
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
        store.commit(&lease, &step_of_revision(&home, revision)).await.unwrap();
        tokio::task::yield_now().await;
    }
    reader.await.unwrap();
}

/// A commit dropped at any moment is stored whole or not at all, and the next caller is not locked out.
pub(crate) async fn aborted_commits_are_whole_or_nothing<F: ResultsFixture>(f: &F) {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut rng = fastrand::Rng::with_seed(seed);
    let store = Arc::new(f.open().await);
    let lease = owner(&*store).await;
    let home = session(tenant("a"), 1);
    store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
    let (mut at, mut kept, mut lost) = (1, 0, 0);
    for _ in 0..1_000 {
        // Half of them wait for another's turn first: dropped there, they must not happen.
        let rival = rng.bool().then(|| {
            let (store, lease) = (store.clone(), lease.clone());
            tokio::spawn(async move { store.load(&lease).await })
        });
        let step = step_of_revision(&home, at + 1);
        super::drop_after(store.commit(&lease, &step), rng.u32(0..200)).await;
        if let Some(rival) = rival {
            rival.await.unwrap().unwrap();
        }
        let state = tokio::time::timeout(NO_LOCK_LEFT, store.load(&lease)).await.expect("no lock is left").unwrap();
        let now = state.checkpoint.as_ref().map(|c| c.offset as u32).unwrap();
        assert!(now == at || now == at + 1, "from {at} to {now}");
        let whole = step_of_revision(&home, now);
        assert_eq!((state.sessions, state.streams), (whole.sessions, whole.streams));
        assert_eq!((state.facts, state.laps), (whole.facts, whole.laps));
        *(if now == at { &mut lost } else { &mut kept }) += 1;
        at = now;
    }
    println!("{kept} commits happened, {lost} did not");
    let other = f.open().await;
    let newer = tokio::time::timeout(NO_LOCK_LEFT, owner(&other)).await.expect("no lock is left");
    tokio::time::timeout(NO_LOCK_LEFT, other.commit(&newer, &step_of_revision(&home, at + 1))).await.expect("no lock is left").unwrap();
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
        let whole = model.load(&theirs).await.unwrap();
        assert_eq!(store.load(&ours).await.unwrap(), whole);
        assert_eq!(store.begin(&ours).await.unwrap(), model.begin(&theirs).await.unwrap());
        let wanted: Vec<_> = whole.sessions.iter().map(|s| s.id).collect();
        let room = rng.u64(1_000..60_000);
        assert_eq!(store.find(&ours, &wanted, room).await.unwrap(), model.find(&theirs, &wanted, room).await.unwrap());
        let us = whole.sessions.get(rng.usize(0..4)).map_or(0, |s| s.updated_at_us);
        assert_eq!(store.closed_before(&ours, us, 3).await.unwrap(), model.closed_before(&theirs, us, 3).await.unwrap());
        for tenant in &tenants {
            compare_reads(&mut rng, &store, &model, tenant).await;
        }
    }
    assert_eq!(f.quarantine(&store, &log(), 3).await, model.quarantine(&log(), 3).await.unwrap());
}

async fn compare_reads(rng: &mut fastrand::Rng, store: &impl Sessions, model: &MemoryResults, tenant: &TenantId) {
    let limit = rng.u32(1..8);
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
        for _ in 0..5 {
            let filter = random_filter(rng);
            let after = rng.bool().then(|| (entry(rng.u32(0..3)), rng.u32(0..4)));
            let found = store.laps(tenant, &s.id, &filter, after, limit).await.unwrap();
            assert_eq!(found, model.laps(tenant, &s.id, &filter, after, limit).await.unwrap(), "{filter:?} after {after:?}");
        }
        for at in [-1, 0, 1, 2, 3, i64::MIN, i64::MAX] {
            assert_eq!(store.laps_at(tenant, &s.id, at).await.unwrap(), model.laps_at(tenant, &s.id, at).await.unwrap(), "at {at}");
            for of in [BestLaps::ended_by(at), BestLaps { begun_before_us: 2, from_number: 2, ..BestLaps::ended_by(at) }] {
                assert_eq!(store.best_laps(tenant, &s.id, of).await.unwrap(), model.best_laps(tenant, &s.id, of).await.unwrap(), "{of:?}");
            }
        }
        for kind in [IncidentStep::KIND, PitVisit::KIND, FlagChange::KIND, newer(s.id, 1, 1).kind] {
            assert_eq!(store.rows(tenant, &s.id, kind).await.unwrap(), model.rows(tenant, &s.id, kind).await.unwrap(), "{kind:?}");
        }
        assert_eq!(store.cars(tenant, &s.id).await.unwrap(), model.cars(tenant, &s.id).await.unwrap());
        assert_eq!(store.ledgers(tenant, &s.id).await.unwrap(), model.ledgers(tenant, &s.id).await.unwrap());
    }
}
