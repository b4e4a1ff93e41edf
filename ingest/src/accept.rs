//! Accepting connections: the edge decides about an attempt at once, and then serves the connection in a separate task.

use std::sync::Arc;
use std::time::Instant;

use boxbox_schemas::places::{Full, Place};
use boxbox_schemas::{DriverId, TenantId};
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
    let place = match verdict {
        Verdict::Accept(place) => place,
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
    };
    let mut guard = AdmissionGuard { core: core.clone(), place: Some(place), in_handshake: true };
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
        let Some(connection) = connection::accept(&core, connection, |tenant, driver| guard.name(tenant, driver)).await else { return };
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
    /// Some until the guard is dropped.
    place: Option<Place>,
    in_handshake: bool,
}

impl AdmissionGuard {
    /// The client is who its grant says. An error names what is full.
    fn name(&mut self, tenant: TenantId, driver: DriverId) -> Result<(), Full> {
        self.place.as_mut().map_or(Ok(()), |place| self.core.admission.lock().name(place, tenant, driver))
    }

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
        if let Some(place) = self.place.take() {
            admission.connection_ended(place);
        }
    }
}
