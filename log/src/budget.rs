//! How many bytes of uncompleted records a writer may hold (W9), counted the same way by every backend.

use std::sync::atomic::{AtomicUsize, Ordering};

use boxbox_schemas::stamp::LOG_RECORD_MAX_BYTES;

use crate::{AppendError, Limits};

/// Overhead of an uncompleted record beyond its own bytes: queue slots, ticket, allocator. A bound on the records' bytes alone
/// would admit a million tiny records.
const RECORD_OVERHEAD_BYTES: usize = 64;

/// The budget of one writer. Taken at append, given back just before the outcome is delivered.
#[derive(Debug)]
pub(crate) struct Budget {
    limits: Limits,
    held: AtomicUsize,
    by_partition: Box<[AtomicUsize]>,
}

impl Budget {
    pub(crate) fn new(limits: Limits, partitions: u32) -> Self {
        Self { limits, held: AtomicUsize::new(0), by_partition: (0..partitions).map(|_| AtomicUsize::new(0)).collect() }
    }

    /// Reserve room for a record, or return why there is none.
    pub(crate) fn take(&self, partition: u32, length: usize) -> Result<(), AppendError> {
        let Some(in_partition) = self.by_partition.get(partition as usize) else {
            return Err(AppendError::Invalid("the log has no such partition"));
        };
        if length == 0 {
            return Err(AppendError::Invalid("it is empty"));
        }
        if length > LOG_RECORD_MAX_BYTES {
            return Err(AppendError::Invalid("it is longer than the longest log record"));
        }
        let cost = cost(length);
        if cost > self.limits.partition_bytes.min(self.limits.writer_bytes) {
            return Err(AppendError::Invalid("it is larger than the writer's whole budget"));
        }
        take(in_partition, cost, self.limits.partition_bytes)?;
        take(&self.held, cost, self.limits.writer_bytes).inspect_err(|_| give(in_partition, cost))
    }

    /// Return what [`Budget::take`] reserved for a record of `length` bytes.
    pub(crate) fn give(&self, partition: u32, length: usize) {
        let cost = cost(length);
        give(&self.by_partition[partition as usize], cost);
        give(&self.held, cost);
    }
}

fn cost(length: usize) -> usize {
    length + RECORD_OVERHEAD_BYTES
}

fn take(counter: &AtomicUsize, cost: usize, limit: usize) -> Result<(), AppendError> {
    let fits = |held: usize| (held + cost <= limit).then_some(held + cost);
    counter.fetch_update(Ordering::AcqRel, Ordering::Acquire, fits).map(drop).map_err(|_| AppendError::Full)
}

fn give(counter: &AtomicUsize, cost: usize) {
    counter.fetch_sub(cost, Ordering::AcqRel);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refused_record_holds_nothing() {
        let budget = Budget::new(Limits { writer_bytes: 1_000, partition_bytes: 600 }, 2);
        assert_eq!(budget.take(0, 500), Ok(()));
        assert_eq!(budget.take(0, 100), Err(AppendError::Full), "the partition's bound");
        assert_eq!(budget.take(1, 400), Err(AppendError::Full), "the writer's bound");
        assert_eq!(budget.take(1, 300), Ok(()), "the refused one left nothing behind");
        budget.give(0, 500);
        budget.give(1, 300);
        assert_eq!(budget.take(1, 536), Ok(()));
        assert!(matches!(budget.take(2, 1), Err(AppendError::Invalid(_))));
        assert!(matches!(budget.take(0, 0), Err(AppendError::Invalid(_))));
        assert!(matches!(budget.take(0, 900), Err(AppendError::Invalid(_))));
    }
}
