//! The way in: a connection attempt is decided about at once, and what may come in is seen through in a task of its own.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use quinn::Incoming;
use tokio::sync::mpsc;

use crate::admission::Verdict;
use crate::core::Core;
use crate::session;

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
    let mut place = Place { core: core.clone(), address, settled: false };
    let alive = alive.clone();
    let connecting = match incoming.accept() {
        Ok(connecting) => connecting,
        Err(_) => return metrics.connections_refused.with("handshake").increment(1),
    };
    tokio::spawn(async move {
        let core = place.core.clone();
        let connection = match tokio::time::timeout(core.limits.handshake_timeout, connecting).await {
            Ok(Ok(connection)) => connection,
            Ok(Err(_)) => return core.metrics().connections_refused.with("handshake").increment(1),
            Err(_) => return core.metrics().connections_refused.with("handshake_timeout").increment(1),
        };
        let Some(session) = session::greet(&core, connection).await else { return };
        place.settle();
        // A task of its own, so that a long life does not carry the size of a greeting.
        tokio::spawn(async move {
            session.run().await;
            drop((place, alive));
        });
    });
}

/// An accepted connection's place in the budgets.
struct Place {
    core: Arc<Core>,
    address: IpAddr,
    settled: bool,
}

impl Place {
    fn settle(&mut self) {
        self.settled = true;
        self.core.admission.lock().settle();
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut admission = self.core.admission.lock();
        if !self.settled {
            admission.settle();
        }
        admission.leave(self.address);
    }
}
