//! What every results store must do for a processor that needs sessions of it: begin without them, find them, name those to retire.

use boxbox_schemas::results::{Beginning, Lap, SessionInfo, SessionKey, SessionState};

use super::ResultsFixture;
use super::results::owner;
use super::rows::shown_and_not;
use super::samples::*;
use crate::{FOUND_AT_ONCE_BYTES, Found, Step, Steps, StoreError};

/// A processor begins with the open sessions of its partition, and finds any by its id; a session is found whole or not at all.
pub(crate) async fn sessions_are_found_when_they_are_needed<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    assert_eq!(store.begin(&lease).await.unwrap(), Beginning::default());
    let mut homes: Vec<SessionInfo> = (0..6).map(|n| session(tenant(["a", "b"][n as usize % 2]), n)).collect();
    for (n, home) in homes.iter_mut().enumerate() {
        (home.closed, home.retired) = (n > 1, n == 5);
        home.meta = Some(random_meta(&mut fastrand::Rng::with_seed(n as u64)));
        (home.opened_at_us, home.updated_at_us) = (1_000 - n as i64, 1_000 + n as i64);
        let mut step = Step { rows: shown_and_not(home), checkpoint: checkpoint(n as u64), ..step_of_revision(home, n as u32) };
        step.facts.push(Lap { superseded: true, timeline: 7, ..lap(home.id, entry(9), 9, 1) });
        step.retired.extend(home.retired.then_some(home.id));
        store.commit(&lease, &step).await.unwrap();
    }
    let key = |n: usize| SessionKey { tenant: homes[n].tenant, source: homes[n].source };
    let beginning = store.begin(&lease).await.unwrap();
    assert_eq!(beginning.checkpoint, Some(checkpoint(5)));
    let mut open = vec![key(0), key(1)];
    open.sort_by_key(SessionKey::id);
    assert_eq!(beginning.open, open);

    let whole = store.load(&lease).await.unwrap();
    let of = |n: usize| {
        let id = homes[n].id;
        Box::new(SessionState {
            info: whole.sessions.iter().find(|s| s.id == id).unwrap().clone(),
            streams: whole.streams.iter().filter(|s| s.ledger.stream.session == id).cloned().collect(),
            facts: whole.facts.iter().filter(|l| l.session == id).cloned().collect(),
            laps: whole.laps.iter().filter(|l| l.session == id).cloned().collect(),
            rows: whole.rows.iter().filter(|r| r.head.session == id).cloned().collect(),
        })
    };
    assert!(of(3).facts.len() == 6 && of(3).rows.len() == 8 && !of(3).streams[0].field.is_empty(), "there is something to find");
    let ids = [homes[3].id, session(tenant("a"), 99).id, homes[5].id, homes[0].id];
    let found = store.find(&lease, &ids, u64::MAX).await.unwrap();
    assert_eq!(found, [Found::Whole(of(3)), Found::Nothing(ids[1]), Found::Whole(of(5)), Found::Whole(of(0))]);
    assert_eq!(of(5).streams, [], "of a retired session only its description is found");
    assert_eq!(store.find(&lease, &[], 1).await.unwrap(), []);

    // Exactly what it takes is enough, and a byte less is not; the description is there in any case.
    let bytes = of(3).bytes();
    assert_eq!(store.find(&lease, &ids[..1], bytes).await.unwrap(), [Found::Whole(of(3))]);
    for less in [bytes - 1, bytes / 2, 1, 0] {
        assert_eq!(store.find(&lease, &ids[..1], less).await.unwrap(), [Found::TooLarge(Box::new(of(3).info))], "{less} of {bytes}");
    }

    assert_eq!(store.closed_before(&lease, 1_003, 9).await.unwrap(), [key(3), key(2)], "opened first, and not retired");
    assert_eq!(store.closed_before(&lease, 1_003, 1).await.unwrap(), [key(3)]);
    assert_eq!(store.closed_before(&lease, 1_001, 9).await.unwrap(), []);

    let next_door = store.acquire(&log(), 4).await.unwrap();
    assert_eq!(store.begin(&next_door).await.unwrap(), Beginning::default());
    assert_eq!(store.find(&next_door, &ids[..1], u64::MAX).await.unwrap(), [Found::Nothing(ids[0])], "it is another partition's");
    assert_eq!(store.closed_before(&next_door, i64::MAX, 9).await.unwrap(), []);
    owner(&store).await;
    assert!(matches!(store.begin(&lease).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(store.find(&lease, &ids, u64::MAX).await, Err(StoreError::Fenced { .. })));
    assert!(matches!(store.closed_before(&lease, 0, 1).await, Err(StoreError::Fenced { .. })));
}

/// Large sessions are found a few at a time, and one at least.
pub(crate) async fn many_large_sessions_are_found_in_parts<F: ResultsFixture>(f: &F) {
    let store = f.open().await;
    let lease = owner(&store).await;
    let homes: Vec<SessionInfo> = (0..4).map(|n| session(tenant("a"), n)).collect();
    for (n, home) in homes.iter().enumerate() {
        let laps: Vec<Lap> = (0..1_500).map(|n| lap(home.id, entry(1), n, 1)).collect();
        store.commit(&lease, &Step { laps, sessions: vec![home.clone()], ..empty_step(n as u64 + 1) }).await.unwrap();
    }
    let mut wanted: Vec<_> = homes.iter().map(|home| home.id).collect();
    let mut calls = 0;
    while !wanted.is_empty() {
        let found = store.find(&lease, &wanted, u64::MAX).await.unwrap();
        let bytes = |found: &Found| if let Found::Whole(state) = found { state.bytes() } else { 0 };
        let of_all_but_the_last: u64 = found.iter().rev().skip(1).map(bytes).sum();
        assert!(!found.is_empty() && of_all_but_the_last < FOUND_AT_ONCE_BYTES);
        for found in found {
            let Found::Whole(state) = found else { panic!("not whole") };
            assert_eq!((state.info.id, state.laps.len()), (wanted.remove(0), 1_500));
        }
        calls += 1;
    }
    assert!((2..=4).contains(&calls), "{calls} calls");
}
