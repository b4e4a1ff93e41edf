//! [`Health`]: the state of an edge, for `/readyz` and for people.

use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering::Relaxed};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

/// A log that has made nothing durable for this long, while streams wait for it, counts as not answering.
const LOG_SILENCE_MS: i64 = 5_000;

/// The state of an edge, readable from any thread. Its values are of the moment.
#[derive(Debug, Default)]
pub struct Health {
    pub(crate) running: AtomicBool,
    pub(crate) draining: AtomicBool,
    pub(crate) log_closed: AtomicBool,
    pub(crate) connections: AtomicUsize,
    pub(crate) streams: AtomicUsize,
    pub(crate) in_flight_records: AtomicUsize,
    pub(crate) stalled_streams: AtomicUsize,
    pub(crate) last_ack_unix_ms: AtomicI64,
}

impl Health {
    /// Whether clients may be sent to this edge: it runs, does not drain, and its log takes records and answers.
    pub fn ready(&self) -> bool {
        self.running.load(Relaxed) && !self.draining.load(Relaxed) && !self.log_closed.load(Relaxed) && self.log_answers()
    }
    /// Whether the log answers: no stream waits for it, or it made a record durable a moment ago (a dead partition stalls only
    /// its own sessions).
    pub fn log_answers(&self) -> bool {
        let now_ms = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_millis() as i64);
        self.stalled_streams() == 0 || now_ms - self.last_ack_unix_ms.load(Relaxed) < LOG_SILENCE_MS
    }
    /// Whether the edge is stopping.
    pub fn draining(&self) -> bool {
        self.draining.load(Relaxed)
    }
    /// Connections whose hello was accepted.
    pub fn connections(&self) -> usize {
        self.connections.load(Relaxed)
    }
    /// Open data streams.
    pub fn streams(&self) -> usize {
        self.streams.load(Relaxed)
    }
    /// Records that the log has accepted and not completed.
    pub fn in_flight_records(&self) -> usize {
        self.in_flight_records.load(Relaxed)
    }
    /// Streams whose records have waited for the log longer than [`crate::Limits::stalled_after`].
    pub fn stalled_streams(&self) -> usize {
        self.stalled_streams.load(Relaxed)
    }
    /// Unix time of the last durable record, ms; `None` before the first.
    pub fn last_ack_unix_ms(&self) -> Option<i64> {
        Some(self.last_ack_unix_ms.load(Relaxed)).filter(|ms| *ms != 0)
    }

    /// All values as JSON, for a health document.
    pub fn report(&self) -> serde_json::Value {
        json!({
            "ready": self.ready(),
            "draining": self.draining(),
            "log_closed": self.log_closed.load(Relaxed),
            "connections": self.connections(),
            "streams": self.streams(),
            "in_flight_records": self.in_flight_records(),
            "stalled_streams": self.stalled_streams(),
            "last_ack_unix_ms": self.last_ack_unix_ms(),
        })
    }
}
