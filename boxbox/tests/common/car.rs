//! [`Car`]: a client in the test's own process that drives in real time until it is dropped.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boxbox_client::{Client, Config, Observer, Status, StreamId};
use boxbox_testkit::frames;
use boxbox_testkit::wait::{PATIENCE, block_until};

#[derive(Default)]
struct Acks(AtomicU64);

impl Observer for Acks {
    fn acked(&self, _: StreamId, next: u64) {
        self.0.store(next, Ordering::SeqCst);
    }
}

/// A car that drives until it is dropped.
pub struct Car {
    client: Arc<Client>,
    acks: Arc<Acks>,
    stop: Arc<AtomicU64>,
}

impl Car {
    /// Begin to drive in session `source`.
    pub async fn start(connect: &str, source: u128) -> Car {
        let acks = Arc::new(Acks::default());
        let client = Client::start(Config { observer: Some(acks.clone()), ..Config::new(connect.parse().unwrap()) }).await.unwrap();
        let (client, stop) = (Arc::new(client), Arc::new(AtomicU64::new(0)));
        let (driving, stopped) = (client.open(frames::source(source), 1).unwrap(), stop.clone());
        std::thread::spawn(move || {
            for tick in 1.. {
                if stopped.load(Ordering::SeqCst) > 0 || driving.car(&frames::car(tick, 0.1)).is_err() {
                    return;
                }
                std::thread::sleep(Duration::from_micros(16_667));
            }
        });
        Car { client, acks, stop }
    }

    /// First sequence number that is not acked.
    pub fn acked(&self) -> u64 {
        self.acks.0.load(Ordering::SeqCst)
    }

    /// Why the edge does not let it in, if so.
    pub fn refused(&self) -> Option<String> {
        match self.client.status() {
            Status::Refused(reason) => Some(reason.to_string()),
            _ => None,
        }
    }

    /// Whether an edge has welcomed it and serves it now.
    pub fn connected(&self) -> bool {
        matches!(self.client.status(), Status::Connected { .. })
    }

    /// Connections that were lost or given up so far.
    pub fn reconnects(&self) -> u64 {
        self.client.stats().reconnects
    }

    /// Stop driving, and wait until every frame is acked: how many sequence numbers that makes.
    pub async fn finish(&self) -> u64 {
        self.stop.store(1, Ordering::SeqCst);
        let remained = self.client.finish(PATIENCE).await;
        assert!(remained.is_empty(), "{remained:?}: {:?}", self.client.status());
        self.acked()
    }

    /// It gets acks for another two seconds' driving, on the connection that it has.
    pub fn drives_on(&self, why: &str) {
        let (acked, reconnects) = (self.acked(), self.reconnects());
        block_until(why, || self.acked() > acked + 120);
        assert_eq!((self.refused(), self.reconnects()), (None, reconnects), "{why}");
    }
}

impl Drop for Car {
    fn drop(&mut self) {
        self.stop.store(1, Ordering::SeqCst);
    }
}
