//! [`Api`]: bind, run, drain. It has its own accept loop, because axum's has no limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_log::Log;
use boxbox_schemas::grant::Authority;
use boxbox_schemas::places::Caps;
use tokio::net::TcpListener;
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Check, Stores};
use crate::append::Appender;
use crate::bodies::Bodies;
use crate::connections::Connections;
use crate::door::Door;
use crate::heavy::Heavy;
use crate::leagues::LeagueService;
use crate::scrape::Scrape;
use crate::turns::Turns;
use crate::{ApiMetrics, Config, routes};

/// How often the metrics recorder merges its samples, so that histograms do not grow while nothing scrapes them.
const UPKEEP: Duration = Duration::from_secs(5);
/// The places of the listener for probes: a few orchestrators, scrapers and people.
const PROBES: Caps = Caps { all: PROBE_CONNECTIONS, reserved: 0, address: 16, net56: 16, net48: 16, driver: 8, tenant: 8 };
const PROBE_CONNECTIONS: u32 = 32;

/// Why the API cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is in use.
    #[error(
        "{0} is in use: another program, or another boxbox, listens there. Stop it, or take another port (--api-port or --probe-port; 0 takes a free one)"
    )]
    Busy(SocketAddr),
    /// The system does not allow to listen there.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's error.
        error: std::io::Error,
    },
    /// The system gives no more threads.
    #[error("cannot start the threads of the API: {0}")]
    Threads(std::io::Error),
}

/// An API that listens.
pub struct Api {
    listener: TcpListener,
    local_addr: SocketAddr,
    probes: Option<std::net::TcpListener>,
    probe_addr: Option<SocketAddr>,
    app: Arc<App>,
}

impl Api {
    /// Listens as `config` says. `stores` are what requests read; without them only health and metrics are answered. `checks` are
    /// conditions of `/readyz` beside the stores; `scrape` has the metrics for `/metrics`; sessions are closed and opened again
    /// through `log` (without it such a request is answered with 503). No request is answered before [`Api::run`].
    pub async fn bind(
        config: Config,
        stores: Option<Stores>,
        log: Option<Arc<dyn Log>>,
        authority: watch::Receiver<Arc<Authority>>,
        checks: Vec<Check>,
        scrape: Option<Scrape>,
    ) -> Result<Self, ApiError> {
        let (listener, local_addr) = listen(config.listen).await?;
        let (probes, probe_addr) = match config.probes {
            Some(address) => {
                let (listener, address) = listen(address).await?;
                let listener = listener.into_std().map_err(|error| ApiError::Listen { listen: address, error })?;
                (Some(listener), Some(address))
            }
            None => (None, None),
        };
        let metrics = ApiMetrics::new();
        let leagues = stores.as_ref().map(|stores| LeagueService::new(stores.leagues.clone(), metrics.clone()));
        let app = App {
            stores,
            leagues,
            log: log.map(Appender::new),
            authority,
            heavy: Heavy::new(config.answers_mib, config.request_timeout.mul_f32(0.6)).map_err(ApiError::Threads)?,
            bodies: Bodies::new(config.body_timeout),
            through_proxies: Turns::new(config.places()),
            config,
            checks,
            scrape,
            metrics,
            started: Instant::now(),
            stopping: CancellationToken::new(),
        };
        Ok(Self { listener, local_addr, probes, probe_addr, app: Arc::new(app) })
    }

    /// What its handlers use.
    #[cfg(test)]
    pub(crate) fn app(&self) -> &Arc<App> {
        &self.app
    }

    /// The address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The address on which it answers probes, if it has a listener for them.
    pub fn probe_addr(&self) -> Option<SocketAddr> {
        self.probe_addr
    }

    /// Answers requests until `stop`, then lets those in progress end, for [`Config::drain`] at most. Probes are answered to the end.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ApiError> {
        let Self { listener, local_addr, probes, app, .. } = self;
        let is_local = |address: SocketAddr| address.ip().is_loopback() && !app.config.always_grants;
        let probed = probes.map(|probes| Probed::begin(probes, &app)).transpose()?;
        let router = if app.stores.is_some() {
            routes::router(app.clone(), is_local(local_addr))
        } else {
            routes::operations(app.clone(), is_local(local_addr))
        };
        let door = Door {
            connections: Connections::new(app.config.places(), app.metrics.clone()),
            handles: Arc::new(Semaphore::new(app.config.max_connections)),
            stopping: app.stopping.clone(),
            app: app.clone(),
            router,
        };
        tracing::info!(listen = %local_addr, grants_needed = !is_local(local_addr), "the API answers");
        if !local_addr.ip().is_loopback() {
            tracing::warn!(listen = %local_addr, "the API is reachable from elsewhere and speaks plain HTTP: put TLS in front of it, or grants can be read on the way");
        }
        tokio::select! {
            () = door.accept(&listener) => {}
            () = upkeep(app.scrape.as_ref()) => {}
            () = routes::leagues::watch::watch(&app) => {}
            () = stop.cancelled() => {}
        }
        app.stopping.cancel();
        drop(listener);
        let all = u32::try_from(app.config.max_connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(app.config.drain, door.handles.acquire_many(all)).await.is_err() {
            tracing::warn!("some API requests did not end in time and were cut off");
        }
        drop(probed);
        Ok(())
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), ApiError> {
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AddrInUse => ApiError::Busy(address),
        _ => ApiError::Listen { listen: address, error },
    };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let local_addr = listener.local_addr().map_err(failed)?;
    Ok((listener, local_addr))
}

/// The listener for probes, on a separate thread: it ends when this is dropped.
struct Probed(CancellationToken);

impl Probed {
    fn begin(listener: std::net::TcpListener, app: &Arc<App>) -> Result<Self, ApiError> {
        let (app, stop) = (app.clone(), CancellationToken::new());
        let stopped = stop.clone();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(ApiError::Threads)?;
        let listener = {
            let _entered = runtime.enter();
            TcpListener::from_std(listener).map_err(ApiError::Threads)?
        };
        let answer = move || {
            runtime.block_on(async {
                let local = listener.local_addr().is_ok_and(|address| address.ip().is_loopback()) && !app.config.always_grants;
                let door = Door {
                    connections: Connections::new(PROBES, app.metrics.clone()),
                    handles: Arc::new(Semaphore::new(PROBE_CONNECTIONS as usize)),
                    router: routes::operations(app.clone(), local),
                    stopping: stopped.clone(),
                    app,
                };
                tokio::select! {
                    () = door.accept(&listener) => {}
                    () = stopped.cancelled() => {}
                }
            });
        };
        std::thread::Builder::new().name("api-probes".into()).spawn(answer).map_err(ApiError::Threads)?;
        Ok(Self(stop))
    }
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn upkeep(scrape: Option<&Scrape>) {
    let Some(scrape) = scrape else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        scrape.upkeep();
    }
}
