//! [`Processor`]: the public interface; [`membership`](crate::membership) runs the pumps.

use std::sync::Arc;

use boxbox_log::Log;
use boxbox_store::{Archive, Step, Steps};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use crate::closer::CloseWriter;
use crate::config::Config;
use crate::error::ProcessorError;
use crate::membership::Membership;
use crate::metrics::ProcessorMetrics;
use crate::pump::Shared;
use crate::pump::memory::SessionMemory;
use crate::releases::Releases;
use crate::status::Status;
use crate::time::{self, Time};

/// A receiver of the feed loses steps if it lags behind by more than this many: several seconds at 10 steps a second and partition. Lost
/// steps are in the store.
const FEED_STEPS: usize = 256;

/// Steps as they are committed. It keeps steps in memory only while somebody subscribes.
#[derive(Clone, Debug)]
pub struct Feed(broadcast::Sender<Arc<Step>>);

impl Feed {
    /// The steps from now on. A receiver that lags loses steps, which are in the store. A step that was committed just before a crash may
    /// never come. Drop the receiver when it is not read any more, because the steps that it has not read are kept for it.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<Step>> {
        self.0.subscribe()
    }
}

/// Turns the log into results. See the [crate's documentation](crate).
pub struct Processor {
    log: Arc<dyn Log>,
    results: Arc<dyn Steps>,
    archive: Arc<dyn Archive>,
    shared: Shared,
}

impl Processor {
    /// A processor of all partitions of `log`. It does nothing before [`Processor::run`].
    pub fn new(config: Config, log: Arc<dyn Log>, results: Arc<dyn Steps>, archive: Arc<dyn Archive>) -> Self {
        let status = Arc::new(Status::new(log.partitions(), config.ready_lag));
        let metrics = ProcessorMetrics::new();
        let memory = SessionMemory::new(&config);
        metrics.session_bytes_limit.set(config.session_max_bytes as f64);
        let shared = Shared {
            config,
            memory,
            close_writer: CloseWriter::new(metrics.clone()),
            metrics,
            status,
            feed: broadcast::Sender::new(FEED_STEPS),
            time: time::of_this_machine(),
            releases: Releases::default(),
        };
        Self { log, results, archive, shared }
    }

    /// By another clock than this machine's, or one that notices when it jumps.
    #[must_use]
    pub fn with_time(mut self, time: Time) -> Self {
        self.shared.time = time;
        self
    }

    /// The feed of steps, which outlives [`Processor::run`].
    pub fn feed(&self) -> Feed {
        Feed(self.shared.feed.clone())
    }

    /// A live view of the processor's status; it outlives [`Processor::run`].
    pub fn status(&self) -> Arc<Status> {
        self.shared.status.clone()
    }

    /// Sets the gauges that change while nothing happens: how old is what waits. To be called whenever metrics are read; it outlives
    /// [`Processor::run`].
    pub fn measuring(&self) -> impl Fn() + Send + Sync + 'static {
        let (status, metrics) = (self.shared.status.clone(), self.shared.metrics.clone());
        move || {
            let now_us = time::now_us();
            metrics.lag_seconds.set(status.lag(now_us).as_secs_f64());
            metrics.archive_lag_seconds.set(status.archive_lag(now_us).as_secs_f64());
        }
    }

    /// Run until `stop` is cancelled: then pending steps and blocks are committed, and this returns `Ok`. If the results of all
    /// partitions have failed for good, it returns the first error.
    ///
    /// If one partition fails for good, the others continue, and [`Processor::status`] shows it. Attempts at a log or store that does
    /// not answer are repeated for ever. If an archive fails, the results continue. If processors share a store, this one processes
    /// its share of the partitions (E5b).
    pub async fn run(self, stop: CancellationToken) -> Result<(), ProcessorError> {
        let Self { log, results, archive, shared } = self;
        Membership::new(Arc::new(shared), log, results, archive).run(stop).await
    }
}
