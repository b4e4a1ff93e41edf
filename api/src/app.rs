//! [`App`]: what every handler can reach; [`Check`]: what readiness asks.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::grant::Authority;
use boxbox_store::{Archive, Results, StoreError};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::append::Appender;
use crate::problem::Problem;
use crate::{ApiMetrics, Config};

/// How long a store may take to say that it is there before readiness gives it up.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A named question that readiness asks.
pub struct Check {
    name: &'static str,
    ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
}

impl Check {
    /// `ask` must answer at once; its error says what is wrong, to operators.
    pub fn new(name: &'static str, ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, ask: Box::new(ask) }
    }
}

/// A check's answer.
pub(crate) struct Checked {
    pub(crate) name: &'static str,
    pub(crate) outcome: Result<(), String>,
}

pub(crate) struct App {
    pub(crate) results: Arc<dyn Results>,
    pub(crate) archive: Arc<dyn Archive>,
    /// `None`: this process has no log, and nobody can close a session through it.
    pub(crate) log: Option<Appender>,
    pub(crate) authority: watch::Receiver<Arc<Authority>>,
    pub(crate) config: Config,
    /// Whether it listens on a loopback address, where no grant is needed.
    pub(crate) local: bool,
    pub(crate) checks: Vec<Check>,
    pub(crate) prometheus: Option<PrometheusHandle>,
    pub(crate) metrics: ApiMetrics,
    pub(crate) started: Instant,
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// Every check's answer, the stores' first.
    pub(crate) async fn check(&self) -> Vec<Checked> {
        let (results, archive) = tokio::join!(ping(self.results.ping()), ping(self.archive.ping()));
        let mut all = vec![Checked { name: "results", outcome: results }, Checked { name: "archive", outcome: archive }];
        if self.stopping.is_cancelled() {
            all.push(Checked { name: "api", outcome: Err("it is stopping".into()) });
        }
        all.extend(self.checks.iter().map(|check| Checked { name: check.name, outcome: (check.ask)() }));
        all
    }

    /// What a store answered, or the problem that its error is to the reader; the error itself goes to the log.
    pub(crate) fn stored<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        answer.map_err(|e| {
            let kind = match e {
                StoreError::Unavailable(_) => "unavailable",
                StoreError::Unreadable(_) => "unreadable",
                StoreError::Refused(_) => "refused",
                StoreError::Fenced { .. } => "fenced",
            };
            self.metrics.store_errors.with(kind).increment(1);
            tracing::warn!(kind, error = %e, "a request could not be answered");
            Problem::of_store(&e)
        })
    }
}

async fn ping(answer: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match tokio::time::timeout(PING_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", PING_TIMEOUT.as_secs())),
    }
}
