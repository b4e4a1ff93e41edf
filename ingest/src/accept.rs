//! The way in: a connection attempt is decided about at once, and what may come in is seen through in a task of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn::Incoming;
use tokio::sync::mpsc;

use crate::admission::Verdict;
use crate::connection;
use crate::core::Core;

/// Decide about a connection attempt and, if it may, see it through in a task of its own.
pub(crate) fn admit(core: &Arc<Core>, incoming: Incoming, alive: &mpsc::Sender<()>) {
    let metrics = core.metrics();
    let address = incoming.remote_address().ip();
    let verdict = core.admission.lock().decide(address, incoming.remote_address_validated(), Instant::now());
    match verdict {
        Verdict::Accept => {}
        Verdict::Retry => {
            metrics.retries.increment(1);
            // An attempt that is not validated can always be asked to.
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
        // A task of its own, so that a long life does not carry the size of a greeting.
        tokio::spawn(async move {
            connection.run().await;
            drop((guard, alive));
        });
    });
}

/// An accepted connection's place in the budgets.
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
