//! Shared by both pumps of a partition: opening the log at a checkpoint (E7), and retries with backoff.

pub(crate) mod archive;
mod fold;
pub(crate) mod memory;
pub(crate) mod relay;
mod residents;
pub(crate) mod results;
mod sessions;
mod spans;

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{Log, LogError, Offset, Reader};
use boxbox_schemas::results::Checkpoint;
use boxbox_store::Step;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use self::memory::SessionMemory;
use crate::closer::CloseWriter;
use crate::config::Config;
use crate::error::ProcessorError;
use crate::metrics::ProcessorMetrics;
use crate::releases::Releases;
use crate::status::{Phase, Pump, PumpStatus, Status};
use crate::time::{Time, now_us};

/// How long to wait for the record at the checkpoint. It is durable, so it must come.
const CHECKPOINT_WAIT: Duration = Duration::from_secs(10);
/// How often to look for a position that the log removes while it is looked for.
const RESUME_ATTEMPTS: u32 = 10;
/// How long to wait for the log's bounds if only the status needs them.
const BOUNDS_WAIT: Duration = Duration::from_secs(1);

/// Shared by all pumps of a processor.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) metrics: ProcessorMetrics,
    pub(crate) close_writer: CloseWriter,
    pub(crate) status: Arc<Status>,
    /// What the sessions of all partitions take.
    pub(crate) memory: Arc<SessionMemory>,
    pub(crate) feed: broadcast::Sender<Arc<Step>>,
    pub(crate) time: Time,
    pub(crate) releases: Releases,
}

/// What one pump of one partition needs to report its status and to retry.
#[derive(Clone)]
pub(crate) struct PumpContext {
    pub(crate) shared: Arc<Shared>,
    pub(crate) log: Arc<dyn Log>,
    pub(crate) partition: u32,
    pub(crate) pump: Pump,
    pub(crate) stop: CancellationToken,
}

/// A position in the log: the reader, the first offset to process, and the log's durable end just before.
pub(crate) struct LogPosition {
    pub(crate) reader: Box<dyn Reader>,
    pub(crate) next: Offset,
    pub(crate) end: Offset,
}

impl PumpContext {
    pub(crate) fn status(&self, change: impl FnOnce(&mut PumpStatus)) {
        self.shared.status.update(self.partition, self.pump, change);
    }

    /// The pump is ready to read at `position`.
    pub(crate) fn begin(&self, position: &LogPosition) {
        self.status(|s| (s.phase, s.next, s.committed, s.end) = (Phase::Working, position.next, position.next, position.end));
        self.shared.releases.begun(&*self.log, self.partition, &self.shared.status);
        self.measure_lag();
    }

    /// The oldest record that is not committed yet was received at `waiting_since_us`, Unix µs.
    pub(crate) fn waits_since(&self, waiting_since_us: Option<i64>) {
        self.status(|s| s.waiting_since_us = waiting_since_us);
    }

    /// The pump has processed everything below `next`; the log's durable end is `end`.
    pub(crate) fn at(&self, next: Offset, end: Offset) {
        self.status(|s| (s.next, s.end) = (next, end));
        self.measure_lag();
        self.shared.releases.update(&*self.log, self.partition, &self.shared.status, &self.shared.config);
    }

    /// Open the log just after `checkpoint` (E7). If the log has removed what follows there, go on with its oldest record if the
    /// configuration says so, and count what is missing.
    async fn resume(&self, checkpoint: Option<&Checkpoint>) -> Result<LogPosition, ProcessorError> {
        let position = match self.settled(checkpoint).await {
            Err(ProcessorError::Removed { next, start, .. }) if self.shared.config.skip_removed => {
                self.missing(next, start);
                self.settled(None).await?
            }
            other => other?,
        };
        if checkpoint.is_none() && position.next > 0 && position.next < position.end {
            self.missing(0, position.next);
        }
        Ok(position)
    }

    /// A read at `next` failed with `error`. If the log has removed what is there, go on behind it if the configuration says so, else say what
    /// a person can do; any other error is returned as it is.
    pub(crate) async fn beyond_removed(&self, next: Offset, error: LogError) -> Result<LogPosition, ProcessorError> {
        if !matches!(error, LogError::OutOfRange { .. }) {
            return Err(error.into());
        }
        let (log, partition) = (&*self.log, self.partition);
        let start = log.bounds(partition).await?.start;
        if start <= next {
            return Err(error.into());
        }
        if !self.shared.config.skip_removed {
            return Err(ProcessorError::Removed { partition, next, start });
        }
        let position = self.settled(None).await?;
        self.missing(next, position.next);
        Ok(position)
    }

    /// As [`resume`], in a log that may remove its oldest records meanwhile.
    async fn settled(&self, checkpoint: Option<&Checkpoint>) -> Result<LogPosition, ProcessorError> {
        let mut attempts = 1..RESUME_ATTEMPTS;
        loop {
            match resume(&*self.log, self.partition, checkpoint).await {
                Err(ProcessorError::Log(LogError::OutOfRange { .. })) if attempts.next().is_some() => {}
                other => return other,
            }
        }
    }

    fn missing(&self, next: Offset, start: Offset) {
        let records = start.saturating_sub(next);
        self.shared.metrics.removed_unprocessed.increment(records);
        tracing::warn!(
            partition = self.partition,
            pump = ?self.pump,
            records,
            "the log has removed records that this store has not: it goes on behind them. Sessions that the archive has whole are complete \
             again after `boxbox recompute`"
        );
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

    /// Update the log's end in the status: the log grows while the pump waits.
    async fn update_end(&self) {
        if let Ok(Ok(bounds)) = tokio::time::timeout(BOUNDS_WAIT, self.log.bounds(self.partition)).await {
            self.status(|s| s.end = bounds.end);
            self.measure_lag();
        }
    }

    /// Repeat `attempt` until it succeeds, fails for good, or a stop is requested (`None`). `what` completes "cannot … yet". An attempt
    /// that has begun is never cancelled.
    pub(crate) async fn with_retries<T, F: Future<Output = Result<T, ProcessorError>>>(
        &self,
        what: &str,
        mut attempt: impl FnMut() -> F,
    ) -> Result<Option<T>, ProcessorError> {
        let mut backoff = Backoff::default();
        loop {
            match attempt().await {
                Ok(value) => {
                    backoff.succeeded(self);
                    return Ok(Some(value));
                }
                Err(error) => {
                    if !backoff.pause(self, what, error).await? {
                        return Ok(None);
                    }
                }
            }
        }
    }
}

/// Pauses between retries, which double. The first failure and the recovery are logged.
#[derive(Default)]
pub(crate) struct Backoff {
    /// The last pause; `None` after a success.
    pause: Option<Duration>,
}

impl Backoff {
    /// The attempt succeeded.
    pub(crate) fn succeeded(&mut self, ctx: &PumpContext) {
        if self.pause.take().is_some() {
            ctx.status(|s| s.phase = Phase::Working);
            tracing::info!(partition = ctx.partition, pump = ?ctx.pump, "the pump works again after retries");
        }
    }

    /// The attempt failed: wait before the next one. `false` if a stop was requested meanwhile; the error if it is not retryable.
    pub(crate) async fn pause(&mut self, ctx: &PumpContext, what: &str, error: ProcessorError) -> Result<bool, ProcessorError> {
        if !error.is_retryable() {
            return Err(error);
        }
        let config = &ctx.shared.config;
        if self.pause.is_none() {
            tracing::warn!(partition = ctx.partition, pump = ?ctx.pump, %error, "cannot {what} yet; trying until it answers");
        }
        let pause = self.pause.map_or(config.retry_first, |last| (last * 2).min(config.retry_last));
        self.pause = Some(pause);
        ctx.status(|s| s.phase = Phase::Retrying(format!("cannot {what}: {error}")));
        match ctx.pump {
            Pump::Results => ctx.shared.metrics.retries.increment(1),
            Pump::Archive => ctx.shared.metrics.archive_retries.increment(1),
        }
        let wait = async { tokio::join!(tokio::time::sleep(pause), ctx.update_end()) };
        tokio::select! {
            () = ctx.stop.cancelled() => Ok(false),
            _ = wait => Ok(true),
        }
    }
}

/// Open the log just after `checkpoint`, after checking that the checkpoint belongs to this log (E7).
pub(crate) async fn resume(log: &dyn Log, partition: u32, checkpoint: Option<&Checkpoint>) -> Result<LogPosition, ProcessorError> {
    let bounds = log.bounds(partition).await?;
    let position = |reader, next| LogPosition { reader, next, end: bounds.end };
    let Some(checkpoint) = checkpoint else {
        return Ok(position(log.reader(partition, bounds.start).await?, bounds.start));
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
        tracing::warn!(partition, offset, "retention has removed the record at the checkpoint, so only the log's id was checked");
        return Ok(position(log.reader(partition, next).await?, next));
    }
    let mut reader = log.reader(partition, offset).await?;
    // One byte at most means one record.
    let first = reader.next(1, CHECKPOINT_WAIT).await?;
    let Some(entry) = first.first() else {
        return Err(LogError::Unavailable(format!("partition {partition} gave no record at offset {offset}")).into());
    };
    if entry.offset != offset || crc32c::crc32c(&entry.record) != checkpoint.crc {
        return Err(ProcessorError::OtherRecord { partition, offset });
    }
    Ok(position(reader, next))
}

#[cfg(test)]
mod tests;
