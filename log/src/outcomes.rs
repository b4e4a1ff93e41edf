//! Records on their way to a partition, and their outcomes: each writer gets its own, in order of append.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use crate::budget::Budget;
use crate::metrics::LogMetrics;
use crate::{AppendError, Completion, Completions, Limits, Outcome, Ticket};

/// State that a writer shares with the partitions that still hold its records.
pub(crate) struct WriterShared {
    completions: Arc<dyn Completions>,
    budget: Budget,
    dropped: AtomicBool,
}

impl WriterShared {
    pub(crate) fn new(completions: Arc<dyn Completions>, limits: Limits, partitions: u32) -> Arc<Self> {
        Arc::new(Self { completions, budget: Budget::new(limits, partitions), dropped: AtomicBool::new(false) })
    }

    /// Reserve room for `record`; the [`Pending`] gives it back when its outcome is delivered.
    pub(crate) fn accept(self: &Arc<Self>, partition: u32, record: Bytes, ticket: Ticket) -> Result<Pending, AppendError> {
        self.budget.take(partition, record.len())?;
        Ok(Pending { record, ticket, writer: self.clone() })
    }

    /// Undo [`WriterShared::accept`] for a record that was not taken in the end.
    pub(crate) fn refuse(&self, partition: u32, pending: &Pending) {
        self.budget.give(partition, pending.record.len());
    }

    pub(crate) fn mark_dropped(&self) {
        self.dropped.store(true, Ordering::Release);
    }

    pub(crate) fn is_dropped(&self) -> bool {
        self.dropped.load(Ordering::Acquire)
    }
}

/// An accepted record.
pub(crate) struct Pending {
    pub(crate) record: Bytes,
    pub(crate) ticket: Ticket,
    pub(crate) writer: Arc<WriterShared>,
}

/// Outcomes that are collected to be delivered. Kept between batches, so that a busy partition allocates nothing.
#[derive(Default)]
pub(crate) struct Outcomes {
    metrics: LogMetrics,
    // Few writers share a partition: a linear search beats a map.
    by_writer: Vec<(Arc<WriterShared>, Vec<Completion>)>,
}

impl Outcomes {
    /// Record the outcome of `pending` and give its budget back.
    pub(crate) fn add(&mut self, partition: u32, pending: &Pending, outcome: Outcome) {
        let writer = &pending.writer;
        writer.budget.give(partition, pending.record.len());
        let at = match self.by_writer.iter().position(|(known, _)| Arc::ptr_eq(known, writer)) {
            Some(at) => at,
            None => {
                self.by_writer.push((writer.clone(), Vec::new()));
                self.by_writer.len() - 1
            }
        };
        self.by_writer[at].1.push(Completion { ticket: pending.ticket, partition, outcome });
    }

    /// Deliver the outcomes to every writer, and forget writers that are dropped.
    pub(crate) fn deliver(&mut self) {
        for (writer, batch) in &mut self.by_writer {
            if !batch.is_empty() {
                self.metrics.count(batch);
                writer.completions.completed(batch);
                batch.clear();
            }
        }
        self.by_writer.retain(|(writer, _)| !writer.is_dropped());
    }
}
