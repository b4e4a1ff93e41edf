//! What both pumps of a partition share: finding their place in the log (E7), and patience with what does not answer.

pub(crate) mod archive;
pub(crate) mod relay;
pub(crate) mod results;

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boxbox_log::{Log, Offset, Reader};
use boxbox_schemas::results::Checkpoint;
use boxbox_store::Step;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::closer::Clerk;
use crate::config::Config;
use crate::error::ProcessorError;
use crate::metrics::ProcessorMetrics;
use crate::status::{Phase, Pump, PumpStatus, Status};

/// How long to wait for the record at the checkpoint, which is durable and must come.
const CHECKPOINT_WAIT: Duration = Duration::from_secs(10);
/// How long to wait for the log's bounds when they are wanted for the status only.
const BOUNDS_WAIT: Duration = Duration::from_secs(1);

/// What all pumps of a processor share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) metrics: ProcessorMetrics,
    pub(crate) clerk: Clerk,
    pub(crate) status: Arc<Status>,
    pub(crate) feed: broadcast::Sender<Arc<Step>>,
}

/// One pump of one partition.
#[derive(Clone)]
pub(crate) struct Post {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) partition: u32,
    pub(crate) pump: Pump,
    pub(crate) stop: CancellationToken,
}

/// A place in the log: what to read from, the first offset to process, and how far the log went just before.
pub(crate) struct Place {
    pub(crate) reader: Box<dyn Reader>,
    pub(crate) next: Offset,
    pub(crate) end: Offset,
}

impl Post {
    pub(crate) fn status(&self, change: impl FnOnce(&mut PumpStatus)) {
        self.shared.status.update(self.partition, self.pump, change);
    }

    /// Ready to read.
    pub(crate) fn begin(&self, place: &Place) {
        self.status(|s| (s.phase, s.next, s.committed, s.end) = (Phase::Working, place.next, place.next, place.end));
        self.measure_lag();
    }

    /// What was read and processed.
    pub(crate) fn at(&self, next: Offset, end: Offset) {
        self.status(|s| (s.next, s.end) = (next, end));
        self.measure_lag();
    }

    fn measure_lag(&self) {
        let lag = self.shared.status.sum(self.pump, PumpStatus::lag) as f64;
        match self.pump {
            Pump::Results => self.shared.metrics.lag_records.set(lag),
            Pump::Archive => self.shared.metrics.archive_lag_records.set(lag),
        }
    }

    pub(crate) fn committed(&self, next: Offset) {
        let now_us = now_us();
        self.status(|s| (s.committed, s.last_commit_us) = (next, Some(now_us)));
        self.measure_lag();
    }

    /// While nothing can be committed the log goes on: how far, people will want to know.
    async fn look_at_end(&self) {
        if let Ok(Ok(bounds)) = tokio::time::timeout(BOUNDS_WAIT, self.log.bounds(self.partition)).await {
            self.status(|s| s.end = bounds.end);
            self.measure_lag();
        }
    }

    /// Do `attempt` until it succeeds, fails for good, or the end is asked for (`None`).
    /// `what` completes "cannot … yet". An attempt that has begun is never dropped.
    pub(crate) async fn patiently<T, F: Future<Output = Result<T, ProcessorError>>>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Option<T>, ProcessorError> {
        let mut patience = Patience::default();
        loop {
            match attempt().await {
                Ok(value) => {
                    patience.answered(self);
                    return Ok(Some(value));
                }
                Err(error) => {
                    if !patience.pause(self, what, error).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Unix µs. For people, and for what is decided outside of what is computed (E9); nothing that is computed depends on it.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}

/// What has not answered since when: doubles its pauses, and tells people once.
#[derive(Default)]
pub(crate) struct Patience {
    /// The last pause; `None` while everything answers.
    pause: Option<Duration>,
}

impl Patience {
    /// It answered.
    pub(crate) fn answered(&mut self, post: &Post) {
        if self.pause.take().is_some() {
            post.status(|s| s.phase = Phase::Working);
            tracing::info!(partition = post.partition, pump = ?post.pump, "goes on: everything answers again");
        }
    }

    /// It did not: wait before the next try. `false` if the end was asked for meanwhile; the error if trying again is no use.
    pub(crate) async fn pause(&mut self, post: &Post, what: &str, error: ProcessorError) -> Result<bool, ProcessorError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let config = &post.shared.config;
        if self.pause.is_none() {
            tracing::warn!(partition = post.partition, pump = ?post.pump, %error, "cannot {what} yet; trying until it answers");
        }
        let pause = self.pause.map_or(config.retry_first, |last| (last * 2).min(config.retry_last));
        self.pause = Some(pause);
        post.status(|s| s.phase = Phase::Retrying(format!("cannot {what}: {error}")));
        match post.pump {
            Pump::Results => post.shared.metrics.retries.increment(1),
            Pump::Archive => post.shared.metrics.archive_retries.increment(1),
        }
        let wait = async { tokio::join!(tokio::time::sleep(pause), post.look_at_end()) };
        tokio::select! {
            () = post.stop.cancelled() => Ok(false),
            _ = wait => Ok(true),
        }
    }
}

/// Read on from `next`, where this pump has been before: the log and the records before it are known.
pub(crate) async fn go_on(log: &dyn Log, partition: u32, next: Offset) -> Result<Box<dyn Reader>, ProcessorError> {
    let start = log.bounds(partition).await?.start;
    if next < start {
        return Err(ProcessorError::Removed { partition, next, start });
    }
    Ok(log.reader(partition, next).await?)
}

/// Open the log behind `checkpoint`, having made sure that it is the log that the checkpoint is of (E7).
pub(crate) async fn resume(log: &dyn Log, partition: u32, checkpoint: Option<&Checkpoint>) -> Result<Place, ProcessorError> {
    let bounds = log.bounds(partition).await?;
    let place = |reader, next| Place { reader, next, end: bounds.end };
    let Some(checkpoint) = checkpoint else {
        return Ok(place(log.reader(partition, bounds.start).await?, bounds.start));
    };
    if checkpoint.log != *log.id() {
        return Err(ProcessorError::OtherLog { partition, stored: checkpoint.log.clone(), found: log.id().clone() });
    }
    let (offset, next) = (checkpoint.offset, checkpoint.offset + 1);
    if offset >= bounds.end {
        return Err(ProcessorError::BeyondEnd { partition, offset, end: bounds.end });
    }
    if next < bounds.start {
        return Err(ProcessorError::Removed { partition, next, start: bounds.start });
    }
    if next == bounds.start {
        tracing::warn!(partition, offset, "retention has removed the record at the checkpoint: that it is the same log is known by its id alone");
        return Ok(place(log.reader(partition, next).await?, next));
    }
    let mut reader = log.reader(partition, offset).await?;
    // One byte at most means one record.
    let first = reader.next(1, CHECKPOINT_WAIT).await?;
    let Some(entry) = first.first() else {
        return Err(boxbox_log::LogError::Unavailable(format!("partition {partition} gave no record at offset {offset}")).into());
    };
    if entry.offset != offset || crc32c::crc32c(&entry.record) != checkpoint.crc {
        return Err(ProcessorError::OtherRecord { partition, offset });
    }
    Ok(place(reader, next))
}

#[cfg(test)]
mod tests;
