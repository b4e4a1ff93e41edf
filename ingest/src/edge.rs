//! [`Edge`]: bind, run, drain.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use boxbox_log::Log;
use boxbox_schemas::grant::Authority;
use boxbox_schemas::wire::CloseCode;
use quinn::{Endpoint, TokioRuntime, VarInt};
use tokio::runtime::{EnterGuard, Runtime};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::config::{Config, Identity};
use crate::core::{AckPath, Core};
use crate::error::EdgeError;
use crate::expiry::ExpiryClock;
use crate::health::Health;
use crate::life::Lives;
use crate::metrics::EdgeMetrics;
use crate::traffic::SocketState;
use crate::{accept, quic, sweep};

/// Time for the last packets of a close.
const CLOSE_GRACE: Duration = Duration::from_secs(1);

/// A bound edge.
pub struct Edge {
    endpoint: Endpoint,
    address: SocketAddr,
    core: Arc<Core>,
    threads: Threads,
    socket_state: SocketState,
}

impl std::fmt::Debug for Edge {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edge").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Edge {
    /// Binds the port and opens a writer on `log`. Connections wait until [`Edge::run`].
    ///
    /// `authority` verifies grants; when it changes, connections whose grant does not hold any more close within
    /// [`Limits::sweep_interval`](crate::Limits::sweep_interval). The metrics recorder must be installed before.
    pub async fn bind(config: Config, identity: Identity, authority: watch::Receiver<Arc<Authority>>, log: Arc<dyn Log>) -> Result<Edge, EdgeError> {
        config.limits.check().map_err(EdgeError::Config)?;
        let server = quic::server_config(&identity, &config.limits)?;
        let ack_path = Arc::new(AckPath::new(EdgeMetrics::new()));
        let socket = quic::socket(config.listen, config.limits.socket_buffer_bytes, &ack_path.metrics)?;
        let socket_state = SocketState::of(&socket);
        let failed = |source| EdgeError::Socket { address: config.listen, source };
        let threads = Threads::start(config.limits.threads).map_err(EdgeError::Threads)?;
        let endpoint = {
            let _inside = threads.enter();
            Endpoint::new(quic::endpoint_config()?, Some(server), socket, Arc::new(TokioRuntime)).map_err(failed)?
        };
        let address = endpoint.local_addr().map_err(failed)?;
        let core = Arc::new(Core::new(config.edge, config.limits, authority, log.partitions(), ack_path.clone()));
        core.set_writer(log.writer(ack_path)?);
        Ok(Edge { endpoint, address, core, threads, socket_state })
    }

    /// Have clients told when their session is closed on purpose, as `lives` knows it.
    #[must_use]
    pub fn with_lives(self, lives: Arc<dyn Lives>) -> Self {
        // Once, before it runs: an edge that has one keeps it.
        let _ = self.core.lives.set(lives);
        self
    }

    /// Have grants expire by `clock`, and not by this machine's wall clock.
    #[must_use]
    pub fn with_clock(self, clock: ExpiryClock) -> Self {
        // Once, before it runs: an edge that has one keeps it.
        let _ = self.core.clock.set(clock);
        self
    }

    /// The address on which it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Its state, for `/readyz`.
    pub fn health(&self) -> Arc<Health> {
        self.core.ack_path.health.clone()
    }

    /// What its threads are doing, for metrics.
    pub fn runtime(&self) -> Option<tokio::runtime::RuntimeMetrics> {
        self.threads.0.as_ref().map(|runtime| runtime.handle().metrics())
    }

    /// Serves until `shutdown`, then drains: reads no more, acks what is in flight, and closes connections with `going_away`.
    ///
    /// Dropping the future ends the edge at once, without acks; its clients then send again what is not acked.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), EdgeError> {
        let Edge { endpoint, address, core, mut threads, socket_state } = self;
        info!(%address, edge = %core.edge, "edge ready");
        threads.run(serve(CloseOnDrop(endpoint), core, socket_state, shutdown)).await
    }
}

async fn serve(endpoint: CloseOnDrop, core: Arc<Core>, socket_state: SocketState, shutdown: CancellationToken) {
    let ack_path = core.ack_path.clone();
    let (flush_every, sweeping) = (core.limits.ack_interval, core.clone());
    let flusher = AbortOnDrop(tokio::spawn(async move { ack_path.flush(flush_every).await }));
    let sweeper = AbortOnDrop(tokio::spawn(sweep::run(sweeping, socket_state)));
    // Each connection's task holds a sender; the channel ends when all of them have ended.
    let (alive, gone) = mpsc::channel::<()>(1);
    core.ack_path.health.running.store(true, Relaxed);
    loop {
        tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            incoming = endpoint.0.accept() => match incoming {
                Some(incoming) => accept::admit(&core, incoming, &alive),
                None => break,
            },
        }
    }
    drop(alive);
    drain(&endpoint, &core, gone).await;
    core.ack_path.health.running.store(false, Relaxed);
    drop((flusher, sweeper, endpoint));
    // Dropping a log's writer may block.
    let _ = tokio::task::spawn_blocking(move || drop(core)).await;
}

async fn drain(endpoint: &CloseOnDrop, core: &Core, mut gone: mpsc::Receiver<()>) {
    let began = Instant::now();
    core.ack_path.health.draining.store(true, Relaxed);
    let links: Vec<_> = core.links.lock().values().cloned().collect();
    info!(connections = links.len(), "edge stops: draining");
    links.iter().for_each(|link| link.drain(core.limits.go_away_within));
    drop(links);
    let drained = async {
        loop {
            tokio::select! {
                _ = gone.recv() => break,
                Some(incoming) = endpoint.0.accept() => {
                    core.metrics().connections_refused.with("draining").increment(1);
                    incoming.refuse();
                }
            }
        }
    };
    if tokio::time::timeout(core.limits.drain_deadline, drained).await.is_err() {
        warn!(connections = core.ack_path.health.connections(), "drain deadline reached: closing what is left, its clients will send it again");
    }
    endpoint.close();
    let _ = tokio::time::timeout(CLOSE_GRACE, endpoint.0.wait_idle()).await;
    core.metrics().drain_seconds.set(began.elapsed().as_secs_f64());
    info!(seconds = began.elapsed().as_secs_f64(), "edge stopped");
}

/// The edge's own threads, for QUIC and everything of its connections. There are few, because a connection that moves
/// between cores costs more than one that waits; and they are its own, so that no other work of the process delays acks.
struct Threads(Option<Runtime>);

impl Threads {
    fn start(threads: usize) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).thread_name("edge").enable_all().build()?;
        Ok(Self(Some(runtime)))
    }

    fn enter(&self) -> Option<EnterGuard<'_>> {
        self.0.as_ref().map(Runtime::enter)
    }

    /// Runs `work` on these threads to its end, then ends the threads.
    async fn run(&mut self, work: impl Future<Output = ()> + Send + 'static) -> Result<(), EdgeError> {
        let Some(runtime) = &self.0 else { return Ok(()) };
        let mut work = AbortOnDrop(runtime.spawn(work));
        let ended = (&mut work.0).await.map_err(|e| EdgeError::Failed(e.to_string()));
        if let Some(runtime) = self.0.take() {
            // The port is free once all tasks have ended.
            let _ = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(CLOSE_GRACE)).await;
        }
        ended
    }
}

impl Drop for Threads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

struct CloseOnDrop(Endpoint);

impl CloseOnDrop {
    fn close(&self) {
        self.0.close(VarInt::from_u32(CloseCode::GOING_AWAY.0), b"the edge is stopping");
    }
}

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.close();
    }
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}
