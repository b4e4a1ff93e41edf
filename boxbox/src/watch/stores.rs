//! The connections of the stores: how many are reading, and how many could.

use std::sync::Arc;

use boxbox_store::{Archive, Readers, Sessions};

/// The stores.
const STORES: [&str; 2] = ["results", "archive"];
/// What a connection does; `max`: how many there may be.
const STATES: [&str; 3] = ["used", "idle", "max"];

boxbox_schemas::metrics! {
    /// The stores.
    pub struct StoreMetrics("boxbox_store") {
        /// Connections for reading: those that read, those that are open and wait, and the most that read at once.
        pool_connections: gauge by "store" of STORES, "state" of STATES,
    }
}

/// Measures the connections of the stores.
pub struct StoreWatch {
    metrics: StoreMetrics,
    sessions: Arc<dyn Sessions>,
    archive: Arc<dyn Archive>,
}

impl StoreWatch {
    /// Of these stores.
    pub fn new(sessions: Arc<dyn Sessions>, archive: Arc<dyn Archive>) -> Self {
        Self { metrics: StoreMetrics::new(), sessions, archive }
    }

    /// As they are now.
    pub fn measure(&self) {
        for (store, readers) in STORES.into_iter().zip([self.sessions.readers(), self.archive.readers()]) {
            let Some(Readers { used, idle, max }) = readers else { continue };
            for (state, connections) in STATES.into_iter().zip([used, idle, max]) {
                self.metrics.pool_connections.with([store, state]).set(connections as f64);
            }
        }
    }
}
