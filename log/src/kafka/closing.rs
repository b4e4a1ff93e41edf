//! Waiting for librdkafka's clients to close, which they do on their own threads, before the process ends.
//!
//! OpenSSL frees its memory when a process exits. If a client is closing its connections at that moment it frees the same memory,
//! and the process crashes after all its work was done.

use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

static OPEN: Mutex<usize> = Mutex::new(0);
static CLOSED: Condvar = Condvar::new();

/// Stands for one client; dropped after it.
pub(super) struct Open(());

impl Open {
    pub(super) fn new() -> Self {
        *OPEN.lock() += 1;
        Self(())
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        *OPEN.lock() -= 1;
        CLOSED.notify_all();
    }
}

/// Wait until every Kafka client of this process is closed; false if `within` was too short for that. A program calls this last,
/// after it has dropped its logs. Blocks.
pub fn wait_until_closed(within: Duration) -> bool {
    let until = Instant::now() + within;
    let mut open = OPEN.lock();
    while *open > 0 {
        if CLOSED.wait_until(&mut open, until).timed_out() {
            return *open == 0;
        }
    }
    true
}

/// Drop a client on another thread: closing it blocks, and this may be an async worker.
pub(super) fn elsewhere<T: Send + 'static>(client: T, open: Open) {
    let closing = std::thread::Builder::new().name("kafka-close".into()).spawn(move || {
        drop(client);
        drop(open);
    });
    // If no thread could be started, the closure and the client in it were dropped here.
    drop(closing);
}
