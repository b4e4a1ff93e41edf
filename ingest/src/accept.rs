//! Accepting connections: the edge decides about an attempt at once, and then serves the connection in a separate task.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn::Incoming;
use tokio::sync::mpsc;

use crate::admission::Verdict;
use crate::connection;
use crate::core::Core;

/// Decides about a connection attempt. If it is accepted, a separate task does the handshake and serves the connection.
pub(crate) fn admit(core: &Arc<Core>, incoming: Incoming, alive: &mpsc::Sender<()>) {
    let metrics = core.metrics();
    let address = incoming.remote_address().ip();
    let verdict = core.admission.lock().decide(address, incoming.remote_address_validated(), Instant::now());
    match verdict {
        Verdict::Accept => {}
        Verdict::Retry => {
            metrics.retries.increment(1);
            // quinn allows a Retry for every attempt whose address is not validated yet.
            let _ = incoming.retry();
            return;
        }
        Verdict::Ignore(reason) => {
            metrics.connections_refused.with(reason).increment(1);
            return incoming.ignore();
        }
        Verdict::Refuse(reason) => {
            metrics.connections_refused.with(reason).increment(1);
            return incoming.refuse();
        }
    }
    let mut guard = AdmissionGuard { core: core.clone(), address, in_handshake: true };
    let alive = alive.clone();
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(_) => return metrics.connections_refused.with("handshake").increment(1),
    };
    tokio::spawn(async move {
        let core = guard.core.clone();
        let connection = match tokio::time::timeout(core.limits.handshake_timeout, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => return core.metrics().connections_refused.with("handshake").increment(1),
            Err(_) => return core.metrics().connections_refused.with("handshake_timeout").increment(1),
        };
        let Some(connection) = connection::accept(&core, connection).await else { return };
        guard.handshake_ended();
        // A second task, so that the memory of the handshake's future is not kept for the life of the connection.
        tokio::spawn(async move {
            connection.run().await;
            drop((guard, alive));
        });
    });
}

/// Counts one accepted connection in the admission budgets until it is dropped.
struct AdmissionGuard {
    core: Arc<Core>,
    address: IpAddr,
    in_handshake: bool,
}

impl AdmissionGuard {
    fn handshake_ended(&mut self) {
        self.in_handshake = false;
        self.core.admission.lock().handshake_ended();
    }
}

impl Drop for AdmissionGuard {
    fn drop(&mut self) {
        let mut admission = self.core.admission.lock();
        if self.in_handshake {
            admission.handshake_ended();
        }
        admission.connection_ended(self.address);
    }
}
