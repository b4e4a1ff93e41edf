//! [`Heavy`]: the requests that take much memory or time to answer. They share a bounded amount of memory, run on threads of their
//! own, and take turns: each driver, tenant and address has a few at once, and what is over that waits, in a bounded number.
//!
//! So the memory of all answers that are made is [`Config::answers_mib`] at most, whatever is asked and however often, and a person's
//! questions delay those of others for no longer than the one that is being answered. What is answered and not read yet is counted by
//! [`Unread`](crate::unread::Unread).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::http::Method;
use axum::response::{IntoResponse, Response};
use boxbox_schemas::places::{Caps, Full};
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinHandle};

use crate::config::Config;
use crate::metrics::ApiMetrics;
use crate::paths;
use crate::problem::Problem;
use crate::turns::Turns;
use crate::unread::Unread;
use crate::who::Who;

/// Threads that make heavy answers.
const THREADS: usize = 2;
/// Heavy requests that are answered at once. A driver has some at once, so that a page with several pictures is whole at once, and a
/// tenant leaves room to another.
const RUNNING: Caps = Caps { all: 8, reserved: 4, address: 3, net56: 3, net48: 4, driver: 2, tenant: 4 };
/// Heavy requests that are answered or wait for it: a waiting one costs no more than its connection.
const ADMITTED: Caps = Caps { all: 512, reserved: 256, address: 64, net56: 64, net48: 128, driver: 64, tenant: 128 };

/// The memory that the answer of a route takes to make at most, MiB; `None`: too little to count. The tests of allocation hold each
/// route to it.
pub(crate) fn weight_mib(method: &Method, route: &str) -> Option<u32> {
    if *method == Method::POST
        && let Some(of_league) = route.strip_prefix("/api/v1/leagues/{league}")
    {
        return Some(match of_league {
            // Up to 1 MiB of JSON, some twenty times that when it is read, and a league's acts and documents.
            "/acts" | "/penalties" => 72,
            // As much, read as a table.
            "/seasons/{season}/entries/import" => 72,
            // A file of up to 8 MiB, or all laps of a session.
            _ => Config::ANSWERS_MIB_LEAST,
        });
    }
    let of_session = route.strip_prefix("/api/v1/sessions/{session}").unwrap_or(route);
    match of_session {
        "" | "/close" | "/reopen" | "/laps/{entry}/{number}" => None,
        // Descriptions of sessions have up to 32 KiB each as records, and some times that in memory.
        "/api/v1/sessions" => Some(4),
        // The description of the API and its reader: everybody may ask for them, and not read them.
        paths::DOCUMENT | paths::READER | "/api/docs/" | "/api/docs/{*rest}" => Some(4),
        // A page of rows.
        "/laps" => Some(8),
        // The frames of a lap, or its records, and a text of them.
        "/laps/{entry}/{number}/trace" | "/laps/{entry}/{number}/slow" | "/laps/{entry}/{number}/field" | "/laps/{entry}/{number}/map.svg" => {
            Some(72)
        }
        "/api/v1/compare" | "/api/v1/compare.svg" => Some(96),
        // Published results and tables are kept as they are sent.
        "/api/v1/leagues/{league}/sessions/{session}/result" | "/api/v1/leagues/{league}/championships/{championship}/table" => None,
        // Lists of a league, page by page.
        "/api/v1/leagues"
        | "/api/v1/leagues/{league}"
        | "/api/v1/leagues/{league}/seasons/{season}"
        | "/api/v1/leagues/{league}/seasons/{season}/entries"
        | "/api/v1/leagues/{league}/penalties"
        | "/api/v1/leagues/{league}/rulesets/{ruleset}/{version}"
        | "/api/v1/leagues/{league}/sessions/{session}/revisions"
        | "/api/v1/leagues/{league}/championships/{championship}/revisions" => Some(8),
        "/api/v1/leagues/{league}/ledger" => Some(16),
        // All laps of a session, or all rows; and what is new here, until it says that it takes less.
        _ if route.starts_with("/api/") && route != "/api/health" => Some(Config::ANSWERS_MIB_LEAST),
        _ => None,
    }
}

pub(crate) struct Heavy {
    admitted: Arc<Turns>,
    running: Arc<Turns>,
    memory: Arc<Semaphore>,
    memory_mib: u32,
    unread: Arc<Unread>,
    wait: Duration,
    /// Present until it is dropped.
    runtime: Option<Runtime>,
}

impl Heavy {
    /// `memory_mib`: as [`Config::answers_mib`]. `wait`: how long a request waits for its turn.
    pub(crate) fn new(memory_mib: u32, wait: Duration) -> std::io::Result<Self> {
        let memory_mib = memory_mib.max(Config::ANSWERS_MIB_LEAST);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(THREADS).thread_name("api-heavy").enable_all().build()?;
        Ok(Self {
            admitted: Turns::new(ADMITTED),
            running: Turns::new(RUNNING),
            memory: Arc::new(Semaphore::new(memory_mib as usize)),
            memory_mib,
            unread: Arc::new(Unread::new()),
            wait,
            runtime: Some(runtime),
        })
    }

    /// The answer of a heavy request, when its turn has come; `make` makes it.
    pub(crate) async fn answer(&self, who: Who, weight_mib: u32, make: impl Future<Output = Response> + Send + 'static) -> Result<Response, Refusal> {
        let _admitted = self.admitted.take(who.unnamed_address(), who.holder).map_err(Refusal::TooMany)?;
        let turn = async {
            let running = self.running.wait(&who).await;
            // It is never closed.
            let memory = self.memory.clone().acquire_many_owned(weight_mib.min(self.memory_mib)).await.map_err(|_| Refusal::Stopping)?;
            Ok((running, memory))
        };
        let (running, memory) = tokio::time::timeout(self.wait, turn).await.map_err(|_| Refusal::Busy)??;
        let runtime = self.runtime.as_ref().ok_or(Refusal::Stopping)?;
        let unread = self.unread.clone();
        // A task that is cut off ends at its next pause; until then it has its turn and its memory.
        let task = runtime.spawn(async move {
            let _turn = (running, memory);
            let response = make.await;
            unread.hold(&who, response).await
        });
        match CutOff(task).await {
            Ok(held) => held.map_err(|()| Refusal::Unread),
            Err(ended) if ended.is_panic() => Ok(Problem::internal().into_response()),
            Err(_) => Err(Refusal::Stopping),
        }
    }
}

impl Drop for Heavy {
    fn drop(&mut self) {
        // It may be dropped in async code, where nothing may block.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// A task that is cut off when its answer is not waited for any more.
struct CutOff<T>(JoinHandle<T>);

impl<T> Future for CutOff<T> {
    type Output = Result<T, JoinError>;
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(cx)
    }
}

impl<T> Drop for CutOff<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why a heavy request gets no answer now.
pub(crate) enum Refusal {
    TooMany(Full),
    Busy,
    Unread,
    Stopping,
}

impl Refusal {
    pub(crate) fn problem(self, metrics: &ApiMetrics) -> Problem {
        let (reason, problem) = match self {
            Refusal::TooMany(full) => {
                (full.name(), Problem::too_many("too_many_requests", "Too many requests of yours are waiting for an answer: let some end first."))
            }
            Refusal::Busy => ("busy", Problem::unavailable("busy", "The server is busy with other long answers. Try again.")),
            Refusal::Unread => {
                ("unread", Problem::too_many("answers_unread", "You have not read your earlier answers yet: read them, or ask for less at once."))
            }
            Refusal::Stopping => ("stopping", Problem::unavailable("stopping", "The server is stopping. Try again.")),
        };
        metrics.heavy_refused.with(reason).increment(1);
        problem
    }
}
