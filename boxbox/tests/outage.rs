//! A real broker that is killed under load and comes back: acks pause, resume soon after it answers, and nothing is lost.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use boxbox_client::{Client, Config, Observer, StreamId};
use boxbox_testkit::stack::{Options, Stack};
use boxbox_testkit::wait::{PATIENCE, block_until};
use boxbox_testkit::{frames, needed};
use common::{Server, boxbox, free_port};

/// Frames in the whole test, at 60 Hz.
const FRAMES: u32 = 60 * 14;
const DOWN_FOR: Duration = Duration::from_secs(3);

#[derive(Default)]
struct Acks {
    next: AtomicU64,
    at: Mutex<Vec<Instant>>,
}

impl Observer for Acks {
    fn acked(&self, _: StreamId, next: u64) {
        self.next.store(next, Ordering::SeqCst);
        self.at.lock().unwrap().push(Instant::now());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn acks_resume_soon_after_a_killed_broker_is_back() {
    const TEST: &str = "acks_resume_soon_after_a_killed_broker_is_back";
    // A broker of its own: the one that other tests share must not be killed.
    let stack = tokio::task::spawn_blocking(|| Stack::up(Options::owned())).await.unwrap();
    let Some(stack) = needed(TEST, stack) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap().to_owned();
    let log = format!("kafka://{}/outage?partitions=2", stack.kafka_brokers().unwrap());
    let quic = free_port().to_string();
    let service = |name: &str, quic: &str| Server::start(&[name, "--data", &data, "--quic-port", quic, "--api-port", "0", "--log-url", &log]);
    let (edge, processor, api) = (service("ingest", &quic), service("processor", "0"), service("api", "0"));
    let connect = boxbox(&["grant", "create", "--driver", "anna", "--data", &data, "--quic-port", &quic]).output().unwrap();
    let connect = String::from_utf8(connect.stdout).unwrap().trim().parse().unwrap();
    let acks = Arc::new(Acks::default());
    let client = Client::start(Config { observer: Some(acks.clone()), ..Config::new(connect) }).await.unwrap();
    let stream = client.open(frames::source(7), 1).unwrap();
    let driving = std::thread::spawn(move || {
        for tick in 1..=FRAMES {
            stream.car(&frames::car(tick, f64::from(tick) / 1e4)).unwrap();
            std::thread::sleep(Duration::from_micros(16_667));
        }
        stream.end(FRAMES, frames::tick_us(FRAMES), boxbox_schemas::event::EndReason::FINISHED).unwrap();
    });
    block_until("the first acks", || acks.next.load(Ordering::SeqCst) > 60);

    let (stack, back) = tokio::task::spawn_blocking(move || {
        stack.kill_kafka().unwrap();
        std::thread::sleep(DOWN_FOR);
        stack.start_kafka().unwrap();
        (stack, Instant::now())
    })
    .await
    .unwrap();
    block_until("acks after the broker is back", || {
        acks.at.lock().unwrap().iter().any(|at| *at > back) || acks.next.load(Ordering::SeqCst) > u64::from(FRAMES)
    });
    let resumed = acks.at.lock().unwrap().iter().find(|at| **at > back).map_or(Duration::ZERO, |at| *at - back);
    eprintln!("{TEST}: acks resumed {resumed:?} after the broker answered (goal: 2 s)");
    assert!(resumed < Duration::from_secs(10), "{resumed:?}; the goal is 2 s, the margin is for a loaded machine");

    driving.join().unwrap();
    assert!(client.finish(PATIENCE).await.is_empty());
    let session = {
        block_until("the session", || api.get("/api/v1/sessions")["sessions"].as_array().is_some_and(|s| !s.is_empty()));
        api.only_session()
    };
    let ledger = || api.get(&format!("/api/v1/sessions/{session}/ledger"))["streams"][0].clone();
    block_until("the stream's end", || ledger()["ended"] == true);
    let ledger = ledger();
    assert_eq!((&ledger["car_frames"], &ledger["hole"], &ledger["gap"]), (&FRAMES.into(), &0.into(), &0.into()), "{ledger}");
    edge.conserves();
    processor.conserves();
    drop(stack);
}
