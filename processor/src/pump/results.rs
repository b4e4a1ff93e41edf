//! The results pump: passes log records to a [`Partition`] and commits its steps to a store ([`Steps`]), one transaction each (E5a).
//!
//! A step rewrites the states of all streams that it touched, so fewer commits mean less writing and later results. News (a lap, a
//! row) is committed at once if the last commit is long enough ago, else with the next commit. Steps without news are merged. The time
//! of a commit changes no result, because a step contains everything that changed up to its checkpoint.

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Entry;
use boxbox_schemas::stamp;
use boxbox_store::crash::crash_point;
use boxbox_store::{Lease, Step, Steps};
use tokio::time::Instant;

use super::fold::Fold;
use super::relay::Feeder;
use super::residents::Residents;
use super::spans::Waiting;
use super::{Backoff, LogPosition, PumpContext};
use crate::closer::{Closer, RETIRED_AT_ONCE};
use crate::error::ProcessorError;
use crate::partition::Partition;
use crate::time::{Believed, now_us};

/// Longest wait for records if no step is pending. The known durable end of an idle partition is at most this old.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Sessions leave at most this often while no records come.
const LEAVE_EVERY_MIN: Duration = Duration::from_millis(10);

/// Process the partition of `lease` until a stop is requested or a failure is final.
pub(crate) async fn run(ctx: PumpContext, results: Arc<dyn Steps>, lease: Lease, feeder: Feeder) -> Result<(), ProcessorError> {
    let started = ctx.with_retries("start", || start(&ctx, &*results, &lease)).await?;
    let Some((state, position)) = started else { return Ok(()) };
    ctx.begin(&position);
    feeder.begin(position.next, position.end);
    tracing::info!(partition = ctx.partition, epoch = lease.epoch, next = position.next, "processing");
    let (closer, residents) = (Closer::new(&ctx.shared.config), Residents::new(ctx.shared.memory.share()));
    let fold = Fold::new(ctx.partition, state);
    Box::pin(ResultsPump { ctx, closer, lease, results, fold, residents, pending: Pending::default(), committed: None, feeder }.pump(position)).await
}

/// The lease keeps the previous owner from writing, so what is found in the store stays valid.
async fn start(ctx: &PumpContext, results: &dyn Steps, lease: &Lease) -> Result<(Partition, LogPosition), ProcessorError> {
    let beginning = results.begin(lease).await?;
    let position = ctx.resume(beginning.checkpoint.as_ref()).await?;
    Ok((Partition::resume(ctx.log.id().clone(), lease.partition, ctx.log.partitions(), beginning), position))
}

pub(super) struct ResultsPump {
    pub(super) ctx: PumpContext,
    closer: Closer,
    pub(super) lease: Lease,
    pub(super) results: Arc<dyn Steps>,
    pub(super) fold: Fold,
    pub(super) residents: Residents,
    pending: Pending,
    committed: Option<Instant>,
    feeder: Feeder,
}

/// Records that are processed and not committed.
#[derive(Default)]
struct Pending {
    since: Option<Instant>,
    /// When the first of them was received, Unix µs.
    oldest_us: Option<i64>,
    records: u64,
    /// When the records that completed or changed laps were received, Unix µs, and how many laps each.
    crossings: Vec<(i64, u64)>,
    /// Records of streams that are followed.
    traced: Waiting,
}

impl Pending {
    fn count(&mut self, records: &[Entry]) {
        self.since.get_or_insert_with(Instant::now);
        self.oldest_us = self.oldest_us.or_else(|| records.first().and_then(received_at_us));
        self.records += records.len() as u64;
    }
}

impl ResultsPump {
    async fn pump(mut self, mut position: LogPosition) -> Result<(), ProcessorError> {
        let (stop, read_bytes) = (self.ctx.stop.clone(), self.ctx.shared.config.read_bytes);
        let leave_every = self.ctx.shared.config.leave_after.max(LEAVE_EVERY_MIN);
        let mut backoff = Backoff::default();
        loop {
            let wait = self.due().map_or(IDLE_WAIT, |due| due.saturating_duration_since(Instant::now()));
            let batch = tokio::select! {
                () = stop.cancelled() => break,
                batch = position.reader.next(read_bytes, wait.min(IDLE_WAIT).min(self.closer.every()).min(leave_every)) => batch,
            };
            let batch = match batch {
                Ok(batch) => {
                    backoff.succeeded(&self.ctx);
                    batch
                }
                Err(error) => {
                    // Commit what was read before, because the log may be away for long. The reader keeps its position.
                    if !self.commit(None).await? {
                        return Ok(());
                    }
                    match self.ctx.beyond_removed(position.next, error).await {
                        Ok(beyond) => {
                            position = beyond;
                            self.feeder.begin(position.next, position.end);
                        }
                        Err(error) => {
                            if !backoff.pause(&self.ctx, "read the log", error).await? {
                                return Ok(());
                            }
                        }
                    }
                    continue;
                }
            };
            let batch = Arc::new(batch);
            let mut done = 0;
            while done < batch.len() && !stop.is_cancelled() {
                let slice = self.fold.process(&batch, done).await?;
                self.processed(&batch[done..slice.next], &mut position);
                done = slice.next;
                if slice.needs_session && !self.find(&batch[done..]).await? {
                    return Ok(());
                }
                // The rest of the batch may take long: what is done is not kept waiting for it.
                if done < batch.len() && self.is_due() && !self.commit(batch.get(done)).await? {
                    return Ok(());
                }
            }
            if done < batch.len() {
                break;
            }
            self.feeder.hand_on(Arc::unwrap_or_clone(batch), position.next, position.reader.end());
            self.ctx.at(position.next, position.reader.end());
            let level = position.next >= position.reader.end();
            let time = (self.ctx.shared.time)();
            self.closer.check(level, &self.fold.state(), &self.ctx.shared.close_writer, &*self.ctx.log, time.now_us);
            self.retire(level, time).await?;
            if self.is_due() && !self.commit(None).await? {
                return Ok(());
            }
            if !self.leave().await? {
                return Ok(());
            }
        }
        self.commit(None).await?;
        Ok(())
    }

    /// These records are processed.
    fn processed(&mut self, records: &[Entry], position: &mut LogPosition) {
        let Some(last) = records.last() else { return };
        self.pending.count(records);
        position.next = last.offset + 1;
        let mut counts = self.fold.state().take_counts();
        self.pending.crossings.append(&mut counts.crossings);
        self.pending.traced.add(std::mem::take(&mut counts.traced));
        self.ctx.shared.metrics.count(counts);
        self.ctx.at(position.next, position.reader.end());
        self.ctx.waits_since(self.pending.oldest_us);
    }

    /// Write the records that retire sessions which were closed long ago. If the store does not answer, they are retired later.
    async fn retire(&mut self, level: bool, time: Believed) -> Result<(), ProcessorError> {
        let Some(before_us) = self.closer.retires(level, time) else { return Ok(()) };
        match self.results.closed_before(&self.lease, before_us, RETIRED_AT_ONCE).await {
            Ok(old) => self.closer.retire(&old, &self.ctx.shared.close_writer, &*self.ctx.log, time.now_us),
            Err(error) if error.is_retryable() => tracing::debug!(partition = self.ctx.partition, %error, "no session is retired now"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Laps of records received then can be read now.
    fn fresh(&self, crossings: &[(i64, u64)]) {
        let now_us = now_us();
        for (received_at_us, laps) in crossings {
            let age_s = now_us.saturating_sub(*received_at_us).max(0) as f64 / 1e6;
            if age_s <= FRESH_WITHIN_S {
                self.ctx.shared.metrics.freshness_seconds.record_many(age_s, *laps as usize);
            }
        }
    }

    fn is_due(&self) -> bool {
        self.due().is_some_and(|due| due <= Instant::now())
    }

    /// When the pending step is to be committed; `None` if there is none.
    fn due(&self) -> Option<Instant> {
        let (config, since) = (&self.ctx.shared.config, self.pending.since?);
        let state = self.fold.state();
        let full = self.pending.records >= config.step_records || state.quarantine_bytes() >= config.step_quarantine_bytes;
        if full {
            return Some(since);
        }
        let quiet = since + config.quiet_every;
        if state.has_news() { Some(self.committed.map_or(since, |last| last + config.news_every).min(quiet)) } else { Some(quiet) }
    }

    /// Commit the pending step, if there is one; `next` is the next record, if it has been read. `false` if a stop was requested before the store answered.
    ///
    /// If the answer was lost, the step may be committed already. The same step is then committed again, which changes nothing because
    /// rows are replaced by key. No records are read meanwhile; they wait in the log.
    pub(super) async fn commit(&mut self, next: Option<&Entry>) -> Result<bool, ProcessorError> {
        let Some(step) = self.fold.step().await? else { return Ok(true) };
        let Pending { crossings, traced, .. } = std::mem::take(&mut self.pending);
        let (began, began_us) = (Instant::now(), now_us());
        let (results, lease) = (&self.results, &self.lease);
        let step: &Step = &step;
        crash_point("step-before");
        let answer = self.ctx.with_retries("commit a step", || async move { Ok(results.commit(lease, step).await?) }).await?;
        crash_point("step-committed");
        if answer.is_none() {
            return Ok(false);
        }
        self.committed = Some(Instant::now());
        self.ctx.shared.metrics.commits.increment(1);
        self.ctx.shared.metrics.commit_seconds.record(began.elapsed().as_secs_f64());
        self.fresh(&crossings);
        traced.committed(began_us, self.ctx.partition, step.laps.len());
        self.ctx.committed(step.checkpoint.offset + 1);
        self.ctx.waits_since(next.and_then(received_at_us));
        let feed = &self.ctx.shared.feed;
        if feed.receiver_count() > 0 {
            // Sending fails if the last receiver has just gone, which is no error.
            let _ = feed.send(Arc::new(step.clone()));
        }
        Ok(true)
    }
}

/// Age of a lap beyond which it says nothing of how soon laps can be read: a log is processed again.
const FRESH_WITHIN_S: f64 = 3_600.0;

pub(super) fn received_at_us(entry: &Entry) -> Option<i64> {
    stamp::received_at_us(&entry.record)
}
