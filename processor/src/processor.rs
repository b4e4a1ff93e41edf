//! [`Processor`]: all partitions of a log, two pumps each.

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_store::{Archive, Results, Step};
use tokio::sync::broadcast;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::closer::Clerk;
use crate::error::ProcessorError;
use crate::metrics::ProcessorMetrics;
use crate::pump::relay::relay;
use crate::pump::{self, Shared};
use crate::status::{Phase, Pump, Status};

/// Steps that a receiver of the feed may lag behind before it loses some: at 10 steps a second and partition, several
/// seconds of a whole log. What it loses is in the store.
const FEED_STEPS: usize = 256;

/// When a processor reads and writes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Config {
    /// Most bytes read from the log at once: some milliseconds of work between two looks at the clock.
    pub read_bytes: usize,
    /// Steps with news (a lap, an incident) are committed at most this often: a lap waits no longer, and a busy
    /// partition, where some lap ends all the time, writes its streams' states no more often.
    pub news_every: Duration,
    /// Steps without news are merged up to this age: after a crash that much is processed again.
    pub quiet_every: Duration,
    /// Most records in a step, whatever its age.
    pub step_records: u64,
    /// Most bytes of quarantined records in a step, whatever its age.
    pub step_quarantine_bytes: usize,
    /// E10: longest run of frames in the archive, session time.
    pub run_span: Duration,
    /// A block of frames is archived at this age, so that a lap's trace can be read soon after it.
    pub block_every: Duration,
    /// A block is archived when nothing has come for so long.
    pub block_idle: Duration,
    /// A block is archived at this size, bytes: what a partition's archive may hold in memory, once as the block and once as
    /// records that wait for it.
    pub block_bytes: usize,
    /// The archive removes its oldest frames beyond this, bytes; `None`: it keeps them.
    pub archive_max_bytes: Option<u64>,
    /// The archive removes frames received longer ago than this; `None`: it keeps them.
    pub archive_max_age: Option<Duration>,
    /// How often the archive looks for what to remove.
    pub retain_every: Duration,
    /// E9: a session is closed when no record of it has come for so long, as this process sees it while it is level.
    pub close_after: Duration,
    /// E9: a closed session is retired when its last record is so old, by this machine's clock.
    pub retire_after: Duration,
    /// First pause before trying again what did not answer; doubles up to `retry_last`.
    pub retry_first: Duration,
    /// Longest pause before trying again: results go on at most so long after an outage ends.
    pub retry_last: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            read_bytes: 256 << 10,
            news_every: Duration::from_millis(200),
            quiet_every: Duration::from_secs(1),
            step_records: 50_000,
            step_quarantine_bytes: 4 << 20,
            run_span: Duration::from_secs(10),
            block_every: Duration::from_secs(1),
            block_idle: Duration::from_secs(1),
            block_bytes: 4 << 20,
            archive_max_bytes: None,
            archive_max_age: None,
            retain_every: Duration::from_secs(60),
            close_after: Duration::from_secs(5 * 60),
            retire_after: Duration::from_secs(30 * 24 * 3_600),
            retry_first: Duration::from_millis(20),
            retry_last: Duration::from_secs(1),
        }
    }
}

/// Log in, results out. See the [crate's documentation](crate).
pub struct Processor {
    log: Arc<dyn Log>,
    results: Arc<dyn Results>,
    archive: Arc<dyn Archive>,
    shared: Arc<Shared>,
}

impl Processor {
    /// A processor of every partition of `log`. Nothing happens before [`Processor::run`].
    pub fn new(config: Config, log: Arc<dyn Log>, results: Arc<dyn Results>, archive: Arc<dyn Archive>) -> Self {
        let status = Arc::new(Status::new(log.partitions()));
        let metrics = ProcessorMetrics::new();
        let shared = Shared { config, clerk: Clerk::new(metrics.clone()), metrics, status, feed: broadcast::Sender::new(FEED_STEPS) };
        Self { log, results, archive, shared: Arc::new(shared) }
    }

    /// Committed steps as they are committed. A receiver that lags loses steps, but nothing that is not in the store;
    /// after a crash, a step may have been committed that no feed ever told.
    pub fn feed(&self) -> broadcast::Receiver<Arc<Step>> {
        self.shared.feed.subscribe()
    }

    /// A live view of the work; it outlives [`Processor::run`].
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.clone()
    }

    /// Work until `stop` is cancelled (then whatever is pending is committed, and this returns `Ok`), or until no
    /// partition's results are worked on any more: then the first reason is the error.
    ///
    /// A partition that fails for good leaves the others working; [`Processor::status`] says so. What does not answer
    /// is tried again for ever. An archive that fails ends neither its partition nor the processor.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProcessorError> {
        let Self { log, results, archive, shared } = self;
        let (asked, stop) = (stop.clone(), stop.child_token());
        let mut pumps = JoinSet::new();
        let mut tasks = std::collections::BTreeMap::new();
        let partitions = log.partitions();
        for partition in 0..partitions {
            let (feeder, follower) = relay(shared.config.block_bytes);
            let task = pumps.spawn(pump::results::run(shared.clone(), log.clone(), results.clone(), partition, feeder, stop.clone()));
            tasks.insert(task.id(), (partition, Pump::Results));
            let task = pumps.spawn(pump::archive::run(shared.clone(), log.clone(), archive.clone(), partition, follower, stop.clone()));
            tasks.insert(task.id(), (partition, Pump::Archive));
        }
        let (mut working, mut first) = (partitions, None);
        while let Some(ended) = pumps.join_next_with_id().await {
            let (id, outcome) = match ended {
                Ok((id, outcome)) => (id, Some(outcome)),
                Err(panic) => (panic.id(), None),
            };
            let Some((partition, pump)) = tasks.remove(&id) else { continue };
            let outcome = outcome.unwrap_or(Err(ProcessorError::Panicked(partition)));
            shared.status.update(partition, pump, |s| {
                s.phase = match &outcome {
                    Ok(()) => Phase::Ended,
                    Err(error) => Phase::Stopped(error.to_string()),
                }
            });
            if let Err(error) = outcome {
                tracing::error!(partition, ?pump, %error, "a partition is not worked on any more");
                shared.metrics.stopped_partitions.set(shared.status.sum(Pump::Results, |s| u64::from(matches!(s.phase, Phase::Stopped(_)))) as f64);
                if pump == Pump::Results {
                    first.get_or_insert(error);
                }
            }
            if pump == Pump::Results {
                working -= 1;
            }
            // Without results there is nothing to wait for; archive pumps commit what they hold and end.
            if working == 0 {
                stop.cancel();
            }
        }
        first.filter(|_| !asked.is_cancelled()).map_or(Ok(()), Err)
    }
}
