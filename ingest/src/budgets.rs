//! W9: room for a record on its way through the log. A record takes its bytes from four budgets, in this order: its
//! stream's window, its partition, its tenant, the edge; and gives them back when the log has completed it.
//!
//! Who finds no room waits in line and is served in order, so that nobody's share depends on how hard they push. The
//! stream's own window comes first: a client at many times its share waits for itself. A dead partition comes before
//! tenant and edge: whoever waits for it holds nothing of the others' room.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// The names of the budgets, in order, for metrics.
const NAMES: [&str; 4] = ["stream", "partition", "tenant", "edge"];

/// The four budgets of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Budgets([Arc<Semaphore>; 4]);

impl Budgets {
    pub(crate) fn new(stream: usize, partition: Arc<Semaphore>, tenant: Arc<Semaphore>, edge: Arc<Semaphore>) -> Self {
        Self([Arc::new(Semaphore::new(stream)), partition, tenant, edge])
    }

    /// Take `bytes` of all four if they are there; else the name of the first that is short.
    pub(crate) fn try_acquire(&self, bytes: u32) -> Result<(), &'static str> {
        for (i, budget) in self.0.iter().enumerate() {
            match budget.try_acquire_many(bytes) {
                Ok(permit) => permit.forget(),
                Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
                    self.0[..i].iter().for_each(|taken| taken.add_permits(bytes as usize));
                    return Err(NAMES[i]);
                }
            }
        }
        Ok(())
    }

    /// Wait in line for `bytes` of each. Dropping the future gives back what it has.
    pub(crate) async fn acquire(self, bytes: u32) {
        let mut held: Vec<OwnedSemaphorePermit> = Vec::with_capacity(self.0.len());
        for budget in self.0 {
            // Budgets are never closed.
            if let Ok(permit) = budget.acquire_many_owned(bytes).await {
                held.push(permit);
            }
        }
        held.into_iter().for_each(OwnedSemaphorePermit::forget);
    }

    /// Give back `bytes` to all four.
    pub(crate) fn release(&self, bytes: usize) {
        self.0.iter().for_each(|budget| budget.add_permits(bytes));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::FutureExt;
    use proptest::prelude::*;

    proptest! {
        /// Takes, waits that are given up, and gives in any order leave every budget as it was.
        #[test]
        fn nothing_is_lost(steps in proptest::collection::vec((0u8..3, 1u32..100), 1..60)) {
            let budgets = [150, 120, 200].map(|n| Arc::new(Semaphore::new(n)));
            let [partition, tenant, edge] = budgets.clone();
            let stream_budgets = Budgets::new(180, partition, tenant, edge);
            let (mut taken, mut waiting) = (Vec::new(), Vec::new());
            for (step, bytes) in steps {
                match step {
                    0 => if stream_budgets.try_acquire(bytes).is_ok() { taken.push(bytes) },
                    1 => {
                        let mut wait = Box::pin(stream_budgets.clone().acquire(bytes));
                        if wait.as_mut().now_or_never().is_some() { taken.push(bytes) } else { waiting.push(wait) }
                    }
                    _ => {
                        waiting.pop();
                        if let Some(bytes) = taken.pop() { stream_budgets.release(bytes as usize) }
                    }
                }
                prop_assert!(taken.iter().sum::<u32>() <= 120);
            }
            drop(waiting);
            taken.iter().for_each(|bytes| stream_budgets.release(*bytes as usize));
            prop_assert_eq!(stream_budgets.0.each_ref().map(|b| b.available_permits()), [180, 150, 120, 200]);
        }
    }
}
