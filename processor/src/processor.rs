//! [`Processor`]: what it is given and how it may be set; [`crew`](crate::crew) does the work.

use std::sync::Arc;
use std::time::Duration;

use boxbox_log::Log;
use boxbox_store::{Archive, Pace, Step, Steps};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::closer::Clerk;
use crate::crew::Crew;
use crate::error::ProcessorError;
use crate::metrics::ProcessorMetrics;
use crate::pump::Shared;
use crate::status::Status;

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
    /// When blocks are archived; `None`: as the archive asks for.
    pub pace: Option<Pace>,
    /// How often laps are copied to where seasons are analysed.
    pub export_every: Duration,
    /// E5: a processor that shares its store and is silent for so long loses its partitions to others. It says five times in
    /// this time that it is alive.
    pub member_ttl: Duration,
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
            pace: None,
            export_every: Duration::from_secs(10),
            member_ttl: Duration::from_secs(5),
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
    results: Arc<dyn Steps>,
    archive: Arc<dyn Archive>,
    shared: Arc<Shared>,
}

impl Processor {
    /// A processor of every partition of `log`. Nothing happens before [`Processor::run`].
    pub fn new(config: Config, log: Arc<dyn Log>, results: Arc<dyn Steps>, archive: Arc<dyn Archive>) -> Self {
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
    /// partition's results can be worked on any more: then the first reason is the error.
    ///
    /// A partition that fails for good leaves the others working; [`Processor::status`] says so. What does not answer
    /// is tried again for ever. An archive that fails ends neither its partition nor the processor. Where processors share a
    /// store, this one works on its share (E5).
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProcessorError> {
        let Self { log, results, archive, shared } = self;
        Crew::new(shared, log, results, archive).work(stop).await
    }
}
