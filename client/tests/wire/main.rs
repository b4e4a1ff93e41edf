//! The client against an edge that speaks the wire contract: the plain way, every fault by name, and seeded fault scripts.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod fake;
mod faults;
mod plain;
mod spool;

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_client::{Batch, Client, Config, Event, Observer, Spool, StreamId, Timing};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::frame::{CarFrame, Presence};
use boxbox_schemas::{Sim, Source};
use parking_lot::Mutex;

/// Far above what any of these tests takes.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub fn source(n: u32) -> Source {
    Source { sim: Sim::SYNTHETIC, id: 7, session_num: n }
}

pub fn car(tick: u32) -> CarFrame {
    CarFrame { tick, sim_time_us: i64::from(tick) * 16_667, presence: Presence::LAP_PCT, lap_pct: 0.5, ..Default::default() }
}

/// Short waits, so that hundreds of faults fit into seconds.
pub fn quick(connect: ConnectString) -> Config {
    Config {
        spool: Spool::Memory { max_bytes: 16 << 20 },
        batch: Batch { max_delay: Duration::from_millis(5), ..Batch::default() },
        timing: Timing {
            handshake: Duration::from_secs(5),
            ack_silence: Duration::from_millis(150),
            backoff_base: Duration::from_millis(1),
            backoff_cap: Duration::from_millis(20),
            backoff_alive_cap: Duration::from_millis(20),
            ..Timing::default()
        },
        ..Config::new(connect)
    }
}

/// Remembers events.
#[derive(Default)]
pub struct Witness {
    pub events: Mutex<Vec<Event>>,
    pub acks: Mutex<Vec<(StreamId, u64)>>,
}

impl Observer for Witness {
    fn acked(&self, stream: StreamId, next: u64) {
        self.acks.lock().push((stream, next));
    }
    fn event(&self, event: &Event) {
        self.events.lock().push(event.clone());
    }
}

pub async fn start(config: Config) -> (Client, Arc<Witness>) {
    let witness = Arc::new(Witness::default());
    let client = Client::start(Config { observer: Some(witness.clone()), ..config }).await.unwrap();
    (client, witness)
}

/// Wait for something to become true.
pub async fn eventually(what: &str, mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}
