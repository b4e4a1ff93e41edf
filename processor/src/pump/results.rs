//! The pump that makes laps: log records through a [`Partition`], its steps into a store ([`Steps`]), one transaction each (E5).
//!
//! When to commit is a matter of freshness against writing: a step rewrites the states of all streams it touched. So
//! news (a lap, a row) goes out at once if the last commit is long enough ago, and with the next one otherwise;
//! steps without news are merged. What is committed when changes no result: a step is all that changed up to its checkpoint.

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_store::crash::crash_point;
use boxbox_store::{Lease, Step, Steps};
use tokio::time::Instant;

use super::relay::Feeder;
use super::{Patience, Place, Post, now_us, resume};
use crate::closer::Closer;
use crate::error::ProcessorError;
use crate::partition::Partition;

/// Longest wait for records when nothing is pending: how fresh the known durable end of an idle partition is.
const IDLE_WAIT: Duration = Duration::from_secs(1);

/// Work on the partition of `lease` until the end is asked for, or a failure for good.
pub(crate) async fn run(post: Post, results: Arc<dyn Steps>, lease: Lease, feeder: Feeder) -> Result<(), ProcessorError> {
    let started = post.patiently("start", || start(&*post.log, &*results, &lease)).await?;
    let Some((state, place)) = started else { return Ok(()) };
    post.begin(&place);
    feeder.begin(place.next, place.end);
    tracing::info!(partition = post.partition, epoch = lease.epoch, next = place.next, "processing");
    let closer = Closer::new(&post.shared.config);
    Box::pin(Work { post, closer, lease, results, state, pending: Pending::new(), committed: None, feeder }.pump(place)).await
}

/// The owner before can write no more, so that what is loaded stays true.
async fn start(log: &dyn Log, results: &dyn Steps, lease: &Lease) -> Result<(Partition, Place), ProcessorError> {
    let state = results.load(lease).await?;
    let place = resume(log, lease.partition, state.checkpoint.as_ref()).await?;
    let state = Partition::restore(log.id().clone(), lease.partition, log.partitions(), state)?;
    Ok((state, place))
}

struct Work {
    post: Post,
    closer: Closer,
    lease: Lease,
    results: Arc<dyn Steps>,
    state: Partition,
    pending: Pending,
    committed: Option<Instant>,
    feeder: Feeder,
}

/// Processed and not committed.
struct Pending {
    since: Option<Instant>,
    records: u64,
}

impl Work {
    async fn pump(mut self, mut place: Place) -> Result<(), ProcessorError> {
        let (stop, read_bytes) = (self.post.stop.clone(), self.post.shared.config.read_bytes);
        let mut patience = Patience::default();
        loop {
            let wait = self.due().map_or(IDLE_WAIT, |due| due.saturating_duration_since(Instant::now()));
            let batch = tokio::select! {
                () = stop.cancelled() => break,
                batch = place.reader.next(read_bytes, wait.min(IDLE_WAIT).min(self.closer.every())) => batch,
            };
            let batch = match batch {
                Ok(batch) => {
                    patience.answered(&self.post);
                    batch
                }
                Err(error) => {
                    // What was read before goes out now, not when the log answers again; the reader knows its place.
                    if !self.commit().await? || !patience.pause(&self.post, "read the log", error.into()).await? {
                        return Ok(());
                    }
                    continue;
                }
            };
            for entry in &batch {
                self.state.process(entry.offset, &entry.record);
                place.next = entry.offset + 1;
            }
            if !batch.is_empty() {
                self.pending.since.get_or_insert_with(Instant::now);
                self.pending.records += batch.len() as u64;
                self.post.shared.metrics.count(self.state.take_counts());
            }
            self.feeder.hand_on(batch, place.next, place.reader.end());
            self.post.at(place.next, place.reader.end());
            let level = place.next >= place.reader.end();
            self.closer.look(level, &self.state, &self.post.shared.clerk, &*self.post.log, now_us());
            if self.due().is_some_and(|due| due <= Instant::now()) && !self.commit().await? {
                return Ok(());
            }
        }
        self.commit().await?;
        Ok(())
    }

    /// When the pending step is to be committed; `None` if there is none.
    fn due(&self) -> Option<Instant> {
        let (config, since) = (&self.post.shared.config, self.pending.since?);
        let full = self.pending.records >= config.step_records || self.state.quarantine_bytes() >= config.step_quarantine_bytes;
        if full {
            return Some(since);
        }
        let quiet = since + config.quiet_every;
        if self.state.has_news() { Some(self.committed.map_or(since, |last| last + config.news_every).min(quiet)) } else { Some(quiet) }
    }

    /// Commit what is pending; whether it was, or nothing was: `false` when the end was asked for before the store answered.
    ///
    /// A step whose answer was lost may be there; the very same step is committed again, which changes nothing (rows are
    /// replaced by key). Nothing is read meanwhile: the log keeps what waits.
    async fn commit(&mut self) -> Result<bool, ProcessorError> {
        let Some(step) = self.state.step() else { return Ok(true) };
        self.pending = Pending::new();
        let began = Instant::now();
        let (results, lease) = (&self.results, &self.lease);
        let step: &Step = &step;
        crash_point("step-before");
        let answer = self.post.patiently("commit a step", || async move { Ok(results.commit(lease, step).await?) }).await?;
        crash_point("step-committed");
        if answer.is_none() {
            return Ok(false);
        }
        self.committed = Some(Instant::now());
        self.post.shared.metrics.commits.increment(1);
        self.post.shared.metrics.commit_seconds.record(began.elapsed().as_secs_f64());
        self.post.committed(step.checkpoint.offset + 1);
        // Nobody listening is no error.
        let _ = self.post.shared.feed.send(Arc::new(step.clone()));
        Ok(true)
    }
}

impl Pending {
    fn new() -> Self {
        Self { since: None, records: 0 }
    }
}
