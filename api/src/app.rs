//! [`App`]: what every handler can use; [`Check`]: a condition of readiness.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::grant::Authority;
use boxbox_store::{Archive, Leagues, Sessions, StoreError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::append::Appender;
use crate::bodies::Bodies;
use crate::heavy::Heavy;
use crate::leagues::LeagueService;
use crate::problem::Problem;
use crate::scrape::Scrape;
use crate::stored::stored;
use crate::turns::Turns;
use crate::{ApiMetrics, Config};

/// Time limit of a store's answer to a readiness check.
const PING_TIMEOUT: Duration = Duration::from_secs(1);

/// A named condition of readiness.
pub struct Check {
    name: &'static str,
    /// Whether the process is not ready when it fails.
    decides: bool,
    ask: Box<dyn Fn() -> Result<(), String> + Send + Sync>,
    note: Box<dyn Fn() -> Option<String> + Send + Sync>,
}

impl Check {
    /// `ask` must return at once; its error describes for operators what is wrong.
    pub fn new(name: &'static str, ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { name, decides: true, ask: Box::new(ask), note: Box::new(|| None) }
    }

    /// As [`Check::new`], of something that a person has to do while the process serves as well as ever: it does not decide about readiness.
    pub fn advice(name: &'static str, ask: impl Fn() -> Result<(), String> + Send + Sync + 'static) -> Self {
        Self { decides: false, ..Self::new(name, ask) }
    }

    /// `note` must return at once; it says what operators should know though the check passes.
    #[must_use]
    pub fn noting(self, note: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { note: Box::new(note), ..self }
    }
}

/// The stores that an API reads.
#[derive(Clone)]
pub struct Stores {
    /// Sessions, their laps and their other rows. Read only.
    pub sessions: Arc<dyn Sessions>,
    /// What leagues decided. Read, and written by requests of stewards and admins.
    pub leagues: Arc<dyn Leagues>,
    /// Frames.
    pub archive: Arc<dyn Archive>,
}

/// The result of a check.
pub(crate) struct Checked {
    pub(crate) name: &'static str,
    pub(crate) decides: bool,
    pub(crate) outcome: Result<(), String>,
    /// What is to be known though it passes.
    pub(crate) note: Option<String>,
}

impl Checked {
    fn of(name: &'static str, outcome: Result<(), String>) -> Self {
        Self { name, decides: true, outcome, note: None }
    }
}

pub(crate) struct App {
    /// `None`: this process has no stores and answers operators only.
    pub(crate) stores: Option<Stores>,
    /// `None` as for `stores`.
    pub(crate) leagues: Option<LeagueService>,
    /// `None`: this process has no log, and no session can be closed through it.
    pub(crate) log: Option<Appender>,
    pub(crate) authority: watch::Receiver<Arc<Authority>>,
    pub(crate) heavy: Heavy,
    pub(crate) bodies: Bodies,
    /// Requests that come through trusted proxies: each of its clients has as many at once as it would have connections.
    pub(crate) through_proxies: Arc<Turns>,
    pub(crate) config: Config,
    pub(crate) checks: Vec<Check>,
    pub(crate) scrape: Option<Scrape>,
    pub(crate) metrics: ApiMetrics,
    pub(crate) started: Instant,
    pub(crate) stopping: CancellationToken,
}

impl App {
    /// The results of all checks; those of the stores come first.
    pub(crate) async fn check(&self) -> Vec<Checked> {
        let mut all = vec![];
        if let Some(Stores { sessions, archive, .. }) = &self.stores {
            let (results, archive) = tokio::join!(ping(sessions.ping()), ping(archive.ping()));
            all.extend([Checked::of("results", results), Checked::of("archive", archive)]);
        }
        if self.stopping.is_cancelled() {
            all.push(Checked::of("api", Err("it is stopping".into())));
        }
        let asked = |check: &Check| Checked { decides: check.decides, note: (check.note)(), ..Checked::of(check.name, (check.ask)()) };
        all.extend(self.checks.iter().map(asked));
        all
    }

    /// The store of sessions. A process without stores has no route that needs it.
    pub(crate) fn sessions(&self) -> Result<&dyn Sessions, Problem> {
        self.stores.as_ref().map(|s| &*s.sessions).ok_or_else(no_stores)
    }

    /// The leagues; as for [`Self::sessions`].
    pub(crate) fn leagues(&self) -> Result<&LeagueService, Problem> {
        self.leagues.as_ref().ok_or_else(no_stores)
    }

    /// The archive; as for [`Self::sessions`].
    pub(crate) fn archive(&self) -> Result<&dyn Archive, Problem> {
        self.stores.as_ref().map(|s| &*s.archive).ok_or_else(no_stores)
    }

    /// A store's answer, or the problem to send to the client; the store's error is logged.
    pub(crate) fn stored<T>(&self, answer: Result<T, StoreError>) -> Result<T, Problem> {
        stored(&self.metrics, answer)
    }
}

fn no_stores() -> Problem {
    Problem::unavailable("unavailable", "This process reads no stores: ask one that runs the API.".to_owned())
}

async fn ping(answer: impl Future<Output = Result<(), StoreError>>) -> Result<(), String> {
    match tokio::time::timeout(PING_TIMEOUT, answer).await {
        Ok(answer) => answer.map_err(|e| e.to_string()),
        Err(_) => Err(format!("no answer within {} s", PING_TIMEOUT.as_secs())),
    }
}
