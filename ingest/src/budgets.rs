//! How many bytes may be on their way through the log (W9). A record takes its bytes from four budgets, in this order: its
//! stream's, its partition's, its tenant's, the edge's. It gives them back when the log has completed it.
//!
//! A stream that finds a budget used up waits in a queue, so no stream gets more than its share by trying more often. The
//! stream's own budget comes first: a client that sends too much waits for itself only. The partition's budget comes before
//! the tenant's and the edge's: a stream that waits for a dead partition takes nothing from those two.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

/// Names of the budgets, in order, for metrics.
pub(crate) const NAMES: [&str; 4] = ["stream", "partition", "tenant", "edge"];

/// The four budgets of one stream.
#[derive(Clone, Debug)]
pub(crate) struct Budgets([Arc<Semaphore>; 4]);

impl Budgets {
    pub(crate) fn new(stream: usize, partition: Arc<Semaphore>, tenant: Arc<Semaphore>, edge: Arc<Semaphore>) -> Self {
        Self([Arc::new(Semaphore::new(stream)), partition, tenant, edge])
    }

    /// Takes `bytes` from all four budgets, or from none: the error is the name of the first budget that has too few.
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

    /// Waits for `bytes` of each budget. If the future is dropped, it gives back what it has taken.
    pub(crate) async fn acquire(self, bytes: u32) {
        let mut held: Vec<OwnedSemaphorePermit> = Vec::with_capacity(self.0.len());
        for budget in self.0 {
            // Budgets are never closed, so this does not fail.
            if let Ok(permit) = budget.acquire_many_owned(bytes).await {
                held.push(permit);
            }
        }
        held.into_iter().for_each(OwnedSemaphorePermit::forget);
    }

    /// Gives `bytes` back to all four budgets.
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
        /// Acquires, cancelled waits and releases in any order leave every budget as it was.
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
