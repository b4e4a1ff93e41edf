//! [`Door`]: accepts connections, lets in as many as there are places, and serves each.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use crate::app::App;
use crate::client;
use crate::connections::{Connections, Guest};
use crate::write_timeout::WriteTimeout;

/// Bytes of a request's head at most; hyper answers longer heads with 431. A grant is below 1 KiB.
const HEAD_MAX_BYTES: usize = 16 * 1024;
/// Pause after an error of `accept` (usually: no file handles left), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Time that a displaced connection has to close, before the next is accepted without waiting for it.
const CLOSE_WITHIN: Duration = Duration::from_millis(200);

/// A listener's places, and what it answers with.
pub(crate) struct Door {
    pub(crate) connections: Arc<Connections>,
    /// One for each socket that is open, so that those who are displaced are gone before others come.
    pub(crate) handles: Arc<Semaphore>,
    pub(crate) app: Arc<App>,
    pub(crate) router: Router,
    /// Connections end then.
    pub(crate) stopping: CancellationToken,
}

impl Door {
    /// Accepts connections for ever. One for which there is no place is closed at once, before a byte of it is read.
    pub(crate) async fn accept(&self, listener: &TcpListener) {
        loop {
            match listener.accept().await {
                Ok((stream, peer)) => self.enter(stream, peer).await,
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be accepted");
                    self.connections.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    async fn enter(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = peer.ip().to_canonical();
        let Ok(guest) = self.connections.enter(peer, client::is_trusted(peer, &self.app.config.trusted_proxies)) else { return };
        // The connection that was displaced for it closes now.
        let Ok(Ok(handle)) = tokio::time::timeout(CLOSE_WITHIN, self.handles.clone().acquire_owned()).await else { return };
        let (app, router, stopping) = (self.app.clone(), self.router.clone(), self.stopping.clone());
        tokio::spawn(async move {
            serve(stream, app, router, guest, stopping).await;
            drop(handle);
        });
    }
}

async fn serve(stream: TcpStream, app: Arc<App>, router: Router, guest: Guest, stopping: CancellationToken) {
    let _ = stream.set_nodelay(true);
    let config = &app.config;
    let io = TokioIo::new(WriteTimeout::new(stream, config.write_timeout));
    let (displaced, guest) = (guest.displaced.clone(), Arc::new(guest));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_timeout)
        .max_buf_size(HEAD_MAX_BYTES)
        .serve_connection(io, Visit { inner: TowerToHyperService::new(router), guest });
    tokio::pin!(connection);
    app.metrics.connections.increment(1.0);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = displaced.cancelled() => Ok(()),
        () = stopping.cancelled() => {
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

/// The requests of one connection: each knows whose it is.
struct Visit {
    inner: TowerToHyperService<Router>,
    guest: Arc<Guest>,
}

type Inner = TowerToHyperService<Router>;

impl Service<Request<Incoming>> for Visit {
    type Response = <Inner as Service<Request<Incoming>>>::Response;
    type Error = <Inner as Service<Request<Incoming>>>::Error;
    type Future = <Inner as Service<Request<Incoming>>>::Future;

    fn call(&self, mut request: Request<Incoming>) -> Self::Future {
        request.extensions_mut().insert(self.guest.clone());
        self.inner.call(request)
    }
}
