//! [`Api`]: bind, run, drain. It has its own accept loop, because axum's has no time limits.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Router;
use boxbox_log::Log;
use boxbox_schemas::grant::Authority;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use metrics_exporter_prometheus::PrometheusHandle;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio_util::sync::CancellationToken;

use crate::app::{App, Check, Stores};
use crate::append::Appender;
use crate::write_timeout::WriteTimeout;
use crate::{ApiMetrics, Config, routes};

/// Bytes of a request's head at most; hyper answers longer heads with 431. A grant is below 1 KiB.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// Pause after an error of `accept` (usually: no file handles left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How often the metrics recorder merges its samples, so that histograms do not grow while nothing scrapes them.
const UPKEEP: Duration = Duration::from_secs(5);

/// Why the API cannot run.
#[derive(Debug, thiserror::Error)]
pub enum ApiError {
    /// The address is in use.
    #[error("{0} is in use: another program, or another boxbox, listens there. Stop it, or take another port (--api-port; 0 takes a free one)")]
    Busy(SocketAddr),
    /// The system does not allow to listen there.
    #[error("cannot listen on {listen}: {error}")]
    Listen {
        /// The address.
        listen: SocketAddr,
        /// The system's error.
        error: std::io::Error,
    },
}

/// An API that listens.
pub struct Api {
    listener: TcpListener,
    local_addr: SocketAddr,
    app: Arc<App>,
}

impl Api {
    /// Listens as `config` says. `stores` are what requests read; without them only health and metrics are answered. `checks` are
    /// conditions of `/readyz` beside the stores; `prometheus` has the metrics for `/metrics`; sessions are closed and opened again
    /// through `log` (without it such a request is answered with 503). No request is answered before [`Api::run`].
    pub async fn bind(
        config: Config,
        stores: Option<Stores>,
        log: Option<Arc<dyn Log>>,
        authority: watch::Receiver<Arc<Authority>>,
        checks: Vec<Check>,
        prometheus: Option<PrometheusHandle>,
    ) -> Result<Self, ApiError> {
        let listen = config.listen;
        let failed = |error: std::io::Error| match error.kind() {
            std::io::ErrorKind::AddrInUse => ApiError::Busy(listen),
            _ => ApiError::Listen { listen, error },
        };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let local_addr = listener.local_addr().map_err(failed)?;
        let app = App {
            stores,
            log: log.map(Appender::new),
            authority,
            local: local_addr.ip().is_loopback(),
            config,
            checks,
            prometheus,
            metrics: ApiMetrics::new(),
            started: Instant::now(),
            stopping: CancellationToken::new(),
        };
        Ok(Self { listener, local_addr, app: Arc::new(app) })
    }

    /// The address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Answers requests until `stop`, then lets those in progress end, for [`Config::drain`] at most.
    pub async fn run(self, stop: CancellationToken) -> Result<(), ApiError> {
        let router = if self.app.stores.is_some() { routes::router(self.app.clone()) } else { routes::operations(self.app.clone()) };
        let permits = Arc::new(Semaphore::new(self.app.config.max_connections));
        tracing::info!(listen = %self.local_addr, grants_needed = !self.app.local, "the API answers");
        if !self.app.local {
            tracing::warn!(listen = %self.local_addr, "the API is reachable from elsewhere and speaks plain HTTP: put TLS in front of it, or grants can be read on the way");
        }
        tokio::select! {
            () = accept(&self.listener, &self.app, &router, &permits) => {}
            () = upkeep(self.app.prometheus.as_ref()) => {}
            () = stop.cancelled() => {}
        }
        self.app.stopping.cancel();
        drop(self.listener);
        let all = u32::try_from(self.app.config.max_connections).unwrap_or(u32::MAX);
        if tokio::time::timeout(self.app.config.drain, permits.acquire_many(all)).await.is_err() {
            tracing::warn!("some API requests did not end in time and were cut off");
        }
        Ok(())
    }
}

/// Accepts connections for ever; waits while there are as many as allowed.
async fn accept(listener: &TcpListener, app: &Arc<App>, router: &Router, permits: &Arc<Semaphore>) {
    // The semaphore is never closed.
    while let Ok(permit) = permits.clone().acquire_owned().await {
        match listener.accept().await {
            Ok((stream, _)) => drop(tokio::spawn(serve(stream, app.clone(), router.clone(), permit))),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, app: Arc<App>, router: Router, _permit: OwnedSemaphorePermit) {
    let _ = stream.set_nodelay(true);
    let config = &app.config;
    let io = TokioIo::new(WriteTimeout::new(stream, config.write_timeout));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(io, TowerToHyperService::new(router));
    tokio::pin!(connection);
    app.metrics.connections.increment(1.0);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = app.stopping.cancelled() => {
            connection.as_mut().graceful_shutdown();
            tokio::time::timeout(config.drain, connection).await.unwrap_or(Ok(()))
        }
    };
    app.metrics.connections.decrement(1.0);
    if let Err(error) = ended {
        app.metrics.connections_failed.increment(1);
        tracing::debug!(%error, "an API connection ended early");
    }
}

async fn upkeep(prometheus: Option<&PrometheusHandle>) {
    let Some(prometheus) = prometheus else { return std::future::pending().await };
    let mut ticks = tokio::time::interval(UPKEEP);
    loop {
        ticks.tick().await;
        prometheus.run_upkeep();
    }
}
