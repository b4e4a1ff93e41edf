//! [`Flows`]: finds the flow, and its connection, for each completion of the log.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use boxbox_log::Completion;
use boxbox_schemas::StreamKey;
use boxbox_schemas::wire::StreamHead;
use parking_lot::RwLock;

use crate::budgets::Budgets;
use crate::flow::Flow;
use crate::link::Link;

/// A flow, and the connection that it belongs to.
#[derive(Clone)]
pub(crate) struct Linked {
    pub(crate) flow: Arc<Flow>,
    pub(crate) link: Arc<Link>,
}

/// The flows of all streams that are open or have records in flight, by owner.
#[derive(Default)]
pub(crate) struct Flows {
    next_owner: AtomicU64,
    flows: RwLock<HashMap<u64, Linked>>,
}

impl Flows {
    /// Makes the flow of a stream that begins on the connection of `link`.
    pub(crate) fn open(&self, head: &StreamHead, link: Arc<Link>, budgets: Budgets, traced: Option<StreamKey>) -> Arc<Flow> {
        let owner = self.next_owner.fetch_add(1, Relaxed);
        let flow = Arc::new(Flow::new(owner, head.stream, head.run, head.source, budgets, traced));
        self.flows.write().insert(owner, Linked { flow: flow.clone(), link });
        flow
    }

    /// The stream has ended; its flow is removed once the log has completed its records.
    pub(crate) fn end(&self, flow: &Flow) {
        if flow.end() {
            self.flows.write().remove(&flow.owner);
        }
    }

    /// Removes flows whose last record was completed.
    pub(crate) fn forget(&self, owners: &[u64]) {
        let mut flows = self.flows.write();
        owners.iter().for_each(|owner| drop(flows.remove(owner)));
    }

    /// Calls `f` with each completion, its flow and the flow's link.
    pub(crate) fn each(&self, batch: &[Completion], mut f: impl FnMut(&Completion, &Linked)) {
        let flows = self.flows.read();
        for completion in batch {
            if let Some(linked) = flows.get(&completion.ticket.owner) {
                f(completion, linked);
            }
        }
    }

    /// All flows.
    pub(crate) fn all(&self) -> Vec<Linked> {
        self.flows.read().values().cloned().collect()
    }
}
