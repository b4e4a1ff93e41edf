//! The client against an edge that speaks the wire contract: the plain way, every fault by name, and seeded fault scripts.

#![allow(missing_docs, unreachable_pub, clippy::unwrap_used, clippy::print_stdout)]

mod fake;
mod faults;
mod plain;
mod spool;

use std::sync::Arc;
use std::time::Duration;

use boxbox_client::{Batch, Client, Config, Event, Observer, Spool, StreamId, Timing};
use boxbox_schemas::Source;
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::frame::CarFrame;
use boxbox_testkit::frames;
use parking_lot::Mutex;

pub fn source(n: u32) -> Source {
    Source { session_num: n, ..frames::source(7) }
}

pub fn car(tick: u32) -> CarFrame {
    frames::car(tick, 0.5)
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
