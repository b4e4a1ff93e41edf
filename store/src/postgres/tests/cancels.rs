//! Calls dropped at any moment.

use std::sync::Arc;
use std::time::Duration;

use super::*;

/// Calls that are dropped.
const CALLS: u32 = 10_000;
/// How long a call may take that waits for nothing but a lock left behind.
const NO_LOCK_LEFT: Duration = Duration::from_secs(30);

on_a_server! {
    /// Ten thousand calls of every kind, dropped after some turns or microseconds: no transaction is left open, no connection is
    /// used in a broken state, no lock is left, and each step is whole or not there.
    async fn ten_thousand_cancelled_calls_leave_nothing(database) {
        let seed = fastrand::u64(..);
        println!("seed {seed}");
        let mut rng = fastrand::Rng::with_seed(seed);
        let store = Arc::new(database.store().await);
        let home = session(tenant("a"), 1);
        let me = Member { name: "a".into(), ttl: Duration::from_secs(600) };
        let mut lease = store.acquire(&log(), 3).await.unwrap();
        store.commit(&lease, &step_of_revision(&home, 1)).await.unwrap();
        let mut watcher = database.raw().await;
        let (mut at, mut kept, mut cut, mut open_seen, mut taken) = (1u32, 0, 0, 0, 0);
        for call in 0..CALLS {
            let kind = rng.u8(0..10);
            let step = step_of_revision(&home, at + 1);
            let tenant = home.tenant;
            let offer: std::pin::Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>> = match kind {
                0..3 => Box::pin(async { store.commit(&lease, &step).await }),
                3 => Box::pin(async { store.load(&lease).await.map(drop) }),
                4 => Box::pin(async { store.beat(&log(), 2, &me).await.map(drop) }),
                5 => Box::pin(async { store.acquire(&log(), 4).await.map(drop) }),
                6 => Box::pin(async { store.laps(&tenant, &home.id, &Default::default(), None, 100).await.map(drop) }),
                7 => Box::pin(async { store.sessions(&tenant, None, 10).await.map(drop) }),
                8 => Box::pin(async { store.cars(&tenant, &home.id).await.map(drop) }),
                _ => Box::pin(async { store.acquire(&log(), 3).await.map(drop) }),
            };
            let mut answered = None;
            let run = async { answered = Some(offer.await) };
            if rng.bool() {
                crate::suite::drop_after(run, rng.u32(0..60)).await;
            } else {
                drop(tokio::time::timeout(Duration::from_micros(rng.u64(0..2_500)), run).await);
            }
            match &answered {
                Some(answer) => assert!(answer.is_ok() || matches!(answer, Err(StoreError::Fenced { .. })), "call {call}, kind {kind}: {answer:?}"),
                None => cut += 1,
            }
            if kind == 9 {
                // Whether or not that takeover has happened: take it for good.
                lease = tokio::time::timeout(NO_LOCK_LEFT, store.acquire(&log(), 3)).await.expect("no lock is left").unwrap();
                taken += 1;
            }
            if kind < 3 || call % 97 == 0 {
                let state = tokio::time::timeout(NO_LOCK_LEFT, store.load(&lease)).await.expect("no lock is left").unwrap();
                let now = state.checkpoint.as_ref().map(|c| c.offset as u32).unwrap();
                assert!(now == at || now == at + 1, "call {call}: from {at} to {now}");
                let whole = step_of_revision(&home, now);
                assert_eq!((state.sessions, state.streams, state.facts, state.laps), (whole.sessions, whole.streams, whole.facts, whole.laps));
                kept += u32::from(now != at);
                at = now;
            }
            if call % 500 == 499 {
                open_seen += idle_in_transaction(&mut watcher).await;
            }
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        let left = idle_in_transaction(&mut watcher).await;
        let waiting: i64 = sqlx::query_scalar(
            "SELECT count(*) FROM pg_locks l JOIN pg_stat_activity a USING (pid) WHERE a.datname = current_database() AND a.pid <> pg_backend_pid()",
        )
        .fetch_one(&mut watcher)
        .await
        .unwrap();
        let connections: i64 = sqlx::query_scalar("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()")
            .fetch_one(&mut watcher)
            .await
            .unwrap();
        let failed = crate::postgres::error::tests::IN_FAILED_TRANSACTION.load(std::sync::atomic::Ordering::Relaxed);
        println!(
            "{CALLS} calls, {cut} of them cut off before their answer; {kept} steps committed, {taken} takeovers; \
             idle in transaction afterwards: {left} (longer than 100 ms while running: {open_seen}); locks held: {waiting}; \
             connections: {connections}; 25P02: {failed}"
        );
        assert_eq!((left, open_seen, waiting, failed), (0, 0, 0, 0));
        assert!(cut > CALLS / 10 && cut < CALLS, "{cut} of {CALLS} calls were cut off: this test tested little");
        // Everybody can go on, here and elsewhere.
        let other = database.store().await;
        let newer = tokio::time::timeout(NO_LOCK_LEFT, other.acquire(&log(), 3)).await.expect("no lock is left").unwrap();
        tokio::time::timeout(NO_LOCK_LEFT, other.commit(&newer, &step_of_revision(&home, at + 1))).await.expect("no lock is left").unwrap();
        assert!(matches!(store.commit(&lease, &step_of_revision(&home, at + 1)).await, Err(StoreError::Fenced { .. })));
    }
}

/// Connections whose transaction is open while nothing has been asked on it for a tenth of a second.
async fn idle_in_transaction(watcher: &mut sqlx::PgConnection) -> i64 {
    let query = sqlx::query_scalar(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND state LIKE 'idle in transaction%' \
         AND state_change < clock_timestamp() - INTERVAL '100 milliseconds'",
    );
    query.fetch_one(watcher).await.unwrap()
}
