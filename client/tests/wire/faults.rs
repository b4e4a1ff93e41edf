//! Faults: each by itself, then mixed by a seed. `BOXBOX_SEED=n` repeats one script, `BOXBOX_SCRIPTS=n` runs more.
//!
//! Whatever happens, each stream's sequence must be admitted once, in order and without holes; every frame that no gap
//! and no void took must be there; nothing may be sent with other bytes than before.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_client::{Client, Config, Event, Spool, Status};
use boxbox_schemas::event::{EndReason, GapReason};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::slow::SlowFrame;
use boxbox_testkit::campaign::{number, seed_asked};
use boxbox_testkit::wait::{PATIENCE, until};

use crate::fake::{FakeEdge, Faults};
use crate::{Witness, car, quick, source, start};

/// Scripts in an ordinary run; a campaign sets BOXBOX_SCRIPTS.
const SCRIPTS: u64 = 200;
/// Scripts at once.
const AT_ONCE: usize = 8;

/// Put `frames` frames of each of `sessions` sessions in, at the script's own pace.
async fn drive(client: &Client, rng: &mut fastrand::Rng, sessions: u32, frames: u32) {
    let streams: Vec<_> = (0..sessions).map(|n| client.open(source(n), 0).unwrap()).collect();
    for tick in 0..frames {
        for stream in &streams {
            match rng.u32(..400) {
                0 => stream.meta(&SessionMeta { track_name: "t".repeat(rng.usize(..100)), ..Default::default() }).unwrap(),
                1..4 => stream.slow(&SlowFrame { tick, ..Default::default() }).unwrap(),
                4..8 => (0..20).for_each(|slot| stream.field(&FieldFrame { tick, slot, ..Default::default() }).unwrap()),
                8 => stream.rewind(tick, 0).unwrap(),
                9 => stream.slot(rng.u16(..3)).unwrap(),
                _ => {}
            }
            stream.car(&car(tick)).unwrap();
        }
        if rng.u32(..60) == 0 {
            tokio::time::sleep(Duration::from_millis(rng.u64(..12))).await;
        }
    }
    for (n, stream) in streams.iter().enumerate() {
        if n % 2 == 0 {
            stream.end(frames, 0, EndReason::FINISHED).unwrap();
        }
    }
}

/// Nothing lost, nothing twice, nothing out of order.
fn judge(edge: &FakeEdge, client: &Client, sessions: u32, frames: u32, seed: u64) {
    assert_eq!(edge.state.lock().complaints, [] as [String; 0], "BOXBOX_SEED={seed}");
    for n in 0..sessions {
        edge.admitted(&(client.run(), source(n)), |s| {
            let at = format!("session {n}, BOXBOX_SEED={seed}");
            assert_eq!(s.holes, [], "holes, {at}");
            assert!(s.ticks.windows(2).all(|w| w[0] < w[1]), "order, {at}");
            assert!(s.ticks.iter().all(|t| *t < frames));
            assert_eq!(s.ended, n % 2 == 0 && s.voids.iter().all(|v| v.1 < s.next), "end, {at}");
            // Gap and void ranges count all kinds of frames: they bound what may be missing from above.
            let given_up: u64 = s.gaps.iter().map(|g| g.1 - g.0).chain(s.voids.iter().map(|v| v.1 - v.0)).sum();
            let missing = u64::from(frames) - s.ticks.len() as u64;
            assert!(missing <= given_up, "{missing} missing, {given_up} given up, {at}");
            assert!(given_up > 0 || missing == 0);
            assert!(s.gaps.iter().all(|g| g.2 == GapReason::REFUSED.0), "gaps {:?}, {at}", s.gaps);
        });
    }
}

async fn script(seed: u64, faults: Faults, sessions: u32, frames: u32) -> (FakeEdge, Client, Arc<Witness>) {
    script_with(seed, faults, sessions, frames, |_| ()).await
}

async fn script_with(seed: u64, faults: Faults, sessions: u32, frames: u32, change: impl FnOnce(&mut Config)) -> (FakeEdge, Client, Arc<Witness>) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let edge = FakeEdge::start(seed, faults);
    edge.state.lock().max_streams = rng.u32(1..5);
    edge.state.lock().max_unacked_bytes = [1_500, 8_000, 64 * 1024][rng.usize(..3)];
    let mut config = quick(edge.connect.clone());
    change(&mut config);
    let (client, witness) = start(config).await;
    drive(&client, &mut rng, sessions, frames).await;
    let remained = client.finish(PATIENCE).await;
    assert!(remained.is_empty(), "{remained:?} after {PATIENCE:?}, {:?}, BOXBOX_SEED={seed}", client.stats());
    judge(&edge, &client, sessions, frames, seed);
    (edge, client, witness)
}

macro_rules! alone {
    ($($(#[$doc:meta])* $name:ident: $faults:expr;)*) => {$(
        $(#[$doc])*
        #[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            let faults = Faults { $name: $faults, ..Faults::default() };
            let (edge, ..) = script(1, faults, 2, 600).await;
            assert!(edge.state.lock().connections >= 1);
        }
    )*};
}

alone! {
    close: 0.03;
    lose: 0.03;
    hole: 0.03;
    log_and_close: 0.03;
    zombie: 0.03;
    ack_delay_ms: 30;
    ack_regress: 0.5;
    pause: 0.03;
    stop_stream: 0.02;
    void: 0.05;
    go_away: 0.7;
    busy: 0.7;
}

/// W8: silence is not waited out; another connection is tried.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_never_acks_is_left() {
    let (edge, client, _) = script(3, Faults { deaf: 0.5, ..Faults::default() }, 1, 600).await;
    let connections = edge.state.lock().connections;
    assert!(connections > 1 || client.stats().reconnects == 0);
    let edge = FakeEdge::start(4, Faults { deaf: 1.0, ..Faults::default() });
    let (client, witness) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(0), 0).unwrap();
    stream.car(&car(0)).unwrap();
    until("reconnects", || edge.state.lock().connections >= 3).await;
    assert!(witness.events.lock().iter().any(|e| matches!(e, Event::Disconnected { reason, .. } if reason.contains("does not ack"))));
    edge.state.lock().faults.deaf = 0.0;
    assert!(client.finish(PATIENCE).await.is_empty());
}

/// W8: an edge that says that its log is slow is waited for, on the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn a_stalled_edge_is_waited_for() {
    let edge = FakeEdge::start(4, Faults { stall: 1.0, ..Faults::default() });
    let mut config = quick(edge.connect.clone());
    config.timing.ack_silence = Duration::from_millis(200);
    let (client, witness) = start(config).await;
    let stream = client.open(source(0), 0).unwrap();
    stream.car(&car(0)).unwrap();
    assert!(client.finish(PATIENCE).await.is_empty());
    assert_eq!(client.stats().reconnects, 0, "{:?}", client.stats().last_error);
    assert!(witness.events.lock().iter().any(|e| matches!(e, Event::Stalled { .. })));
    drop(stream);
}

/// W7: what is refused twice becomes a gap, and the stream goes on.
#[tokio::test(flavor = "multi_thread")]
async fn a_record_refused_twice_becomes_a_gap() {
    let (edge, client, witness) = script(5, Faults { poison_every: 50, ..Faults::default() }, 2, 600).await;
    let stats = client.stats();
    assert!(stats.gaps >= 2 * 2 && stats.reconnects >= 2 * stats.gaps, "{stats:?}");
    let gaps = witness.events.lock().iter().filter(|e| matches!(e, Event::Gap { reason: GapReason::REFUSED, .. })).count();
    assert_eq!(gaps as u64, stats.gaps);
    edge.admitted(&(client.run(), source(0)), |s| assert!(!s.ticks.contains(&0) && s.ticks.contains(&599)));
}

/// W7: voids are counted and told, and their frames acked.
#[tokio::test(flavor = "multi_thread")]
async fn voids_are_told() {
    let (edge, client, witness) = script(6, Faults { void: 0.2, ..Faults::default() }, 1, 600).await;
    let told = witness.events.lock().iter().filter(|e| matches!(e, Event::Void { reason, .. } if reason == "range")).count();
    assert_eq!(told as u64, client.stats().voids);
    edge.admitted(&(client.run(), source(0)), |s| assert_eq!(s.voids.len(), told));
}

/// An ack of what was never sent must not make the client forget anything.
#[tokio::test(flavor = "multi_thread")]
async fn an_edge_that_is_gone_for_a_while_gets_everything() {
    let edge = FakeEdge::start(7, Faults { busy: 1.0, ..Faults::default() });
    let (client, _) = start(quick(edge.connect.clone())).await;
    let stream = client.open(source(0), 0).unwrap();
    (0..5_000).for_each(|tick| stream.car(&car(tick)).unwrap());
    until("tried", || edge.state.lock().connections >= 5).await;
    let status = client.status();
    assert!(matches!(&status, Status::Connecting { error: Some(e) } if e.contains("busy")), "{status:?}");
    edge.state.lock().faults.busy = 0.0;
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(0)), |s| assert_eq!(s.ticks, (0..5_000).collect::<Vec<_>>()));
}

/// Every fault at once, in doses that the seed chooses.
fn any_faults(rng: &mut fastrand::Rng) -> Faults {
    let mut dose = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
    Faults {
        close: dose(0.05),
        lose: dose(0.05),
        hole: dose(0.05),
        log_and_close: dose(0.05),
        zombie: dose(0.05),
        ack_delay_ms: dose(30.0) as u64,
        ack_regress: dose(0.3),
        deaf: dose(0.3),
        stall: dose(0.01),
        pause: dose(0.02),
        stop_stream: dose(0.02),
        void: dose(0.03),
        poison_every: (dose(4.0) as u32) * 37,
        go_away: dose(0.3),
        busy: dose(0.4),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn seeded_scripts_lose_and_duplicate_nothing() {
    let one = seed_asked();
    let scripts = if one.is_some() { 1 } else { number("BOXBOX_SCRIPTS").unwrap_or(SCRIPTS) };
    let first = one.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("{scripts} scripts from BOXBOX_SEED={first}");
    let (began, mut running) = (Instant::now(), tokio::task::JoinSet::new());
    let (mut connections, mut gaps, mut voids) = (0, 0, 0);
    for seed in first..first + scripts {
        if running.len() >= AT_ONCE
            && let Some(done) = running.join_next().await
        {
            let (c, g, v) = done.unwrap();
            (connections, gaps, voids) = (connections + c, gaps + g, voids + v);
        }
        running.spawn(async move {
            let mut rng = fastrand::Rng::with_seed(seed ^ 0xB0B0);
            let faults = any_faults(&mut rng);
            let (sessions, frames) = (rng.u32(1..4), rng.u32(50..600));
            let spool = tempfile::tempdir().unwrap();
            let on_disk = rng.bool();
            let (edge, client, _) = Box::pin(script_with(seed, faults, sessions, frames, |config| {
                if on_disk {
                    config.spool = Spool::Disk { dir: spool.path().into(), max_bytes: 16 << 20 };
                }
            }))
            .await;
            let connections = edge.state.lock().connections;
            let stats = client.stats();
            (connections, stats.gaps, stats.voids)
        });
    }
    for (c, g, v) in running.join_all().await {
        (connections, gaps, voids) = (connections + c, gaps + g, voids + v);
    }
    println!("{scripts} scripts, {connections} connections, {gaps} gaps, {voids} voids in {:?}", began.elapsed());
}
