//! The log's metrics, for every service that writes to a log.

boxbox_schemas::metrics! {
    /// Metrics of the durable log.
    pub struct LogMetrics("boxbox_log") {
        /// Partitions of the log.
        partitions: gauge,
        /// Records made durable.
        durable: counter,
        /// Records that were accepted and failed.
        failed: counter,
        /// Records that Kafka has, without saying where: their streams are sent again.
        unplaced: counter,
        /// Seconds from the write of a batch to its sync, embedded log.
        commit_seconds: histogram,
        /// Partitions of embedded logs that find no space on their disk.
        partitions_without_space: gauge,
        /// Partitions of embedded logs that find no file handle for their next segment.
        partitions_without_handles: gauge,
        /// Bytes of the files of embedded logs.
        kept_bytes: gauge,
        /// Unix time, seconds, of the oldest records of the embedded log: at the latest, because they are removed many at a time.
        oldest_unix_seconds: gauge,
        /// Bytes beyond the limit of embedded logs that are kept because results or archive have not processed them.
        unprocessed_beyond_bytes: gauge,
        /// Bytes that embedded logs have removed, by the limit.
        trimmed_bytes: counter by "limit" of ["size", "age"],
        /// Kafka producers replaced after a fatal error or a very long silence.
        producers_replaced: counter,
    }
}

impl LogMetrics {
    /// Count outcomes that are about to be delivered.
    pub(crate) fn count(&self, batch: &[crate::Completion]) {
        use crate::Outcome::{Durable, DurableUnplaced, Failed};
        let (mut durable, mut unplaced, mut failed) = (0, 0, 0);
        for completion in batch {
            match completion.outcome {
                Durable(_) => durable += 1,
                DurableUnplaced => unplaced += 1,
                Failed => failed += 1,
            }
        }
        // Usually all records are durable: counters that do not change are not touched.
        for (counter, n) in [(&self.durable, durable), (&self.unplaced, unplaced), (&self.failed, failed)] {
            if n > 0 {
                counter.increment(n);
            }
        }
    }
}
