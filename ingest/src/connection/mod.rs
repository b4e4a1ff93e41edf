//! [`Connection`]: one connection of a client, from hello to close. One task reads its control stream and its data streams.

mod chunk;
mod control;
mod data_stream;
mod hello;

pub(crate) use hello::{accept, close_code_of};

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use boxbox_schemas::wire::{CloseCode, Control};
use quinn::{ConnectionError, VarInt};
use tracing::info;

use crate::config::Limits;
use crate::core::Core;
use crate::link::{CloseRequest, Link};
use crate::validator::Abilities;
use control::ControlIn;
use data_stream::DataStream;

/// Why a connection ends.
enum Ending {
    /// The edge closes it.
    CloseRequested,
    /// It was drained.
    Drained,
    /// The client or the network closed it.
    Lost(ConnectionError),
}

/// A connection whose client was accepted.
pub(crate) struct Connection {
    core: Arc<Core>,
    link: Arc<Link>,
    abilities: Abilities,
    control: ControlIn,
    data_streams: Vec<DataStream>,
}

impl Connection {
    fn new(core: Arc<Core>, link: Arc<Link>, abilities: Abilities, control: ControlIn) -> Self {
        core.links.lock().insert(link.id, link.clone());
        if core.ack_path.health.draining() {
            // It was accepted while the drain began, so the drain may have missed it.
            link.drain(core.limits.go_away_within);
        }
        core.metrics().connections.increment(1);
        core.metrics().connections_opened.increment(1);
        core.ack_path.health.connections.fetch_add(1, Relaxed);
        Self { core, link, abilities, control, data_streams: Vec::new() }
    }

    /// Serves the connection until it ends.
    pub(crate) async fn run(mut self) {
        // Before its hello is accepted, a client may open no data streams and has a small window.
        let quic = self.link.quic.clone();
        let streams = self.core.limits.streams_per_connection;
        quic.set_receive_window(receive_window(&self.core.limits));
        quic.set_max_concurrent_uni_streams(VarInt::from_u32(streams));
        let ending = self.serve(&quic).await;
        // The streams are dropped after the close only: the client would take their end for another reason.
        let code = match ending {
            Ending::CloseRequested => {
                let request = self.link.close_request().cloned().unwrap_or_else(|| CloseRequest::new(CloseCode::DONE, ""));
                self.link.close(&request, self.core.limits.close_linger).await;
                info!(peer = %quic.remote_address(), driver = %self.link.grant().driver, code = request.code.name(), "connection closed: {}", request.detail);
                request.code.name()
            }
            Ending::Drained => {
                self.link.close(&CloseRequest::new(CloseCode::GOING_AWAY, "the edge is stopping"), self.core.limits.close_linger).await;
                CloseCode::GOING_AWAY.name()
            }
            Ending::Lost(e) => {
                info!(peer = %quic.remote_address(), driver = %self.link.grant().driver, "client gone: {e}");
                match e {
                    ConnectionError::ApplicationClosed(_) => "by_client",
                    ConnectionError::TimedOut => "timed_out",
                    ConnectionError::LocallyClosed => CloseCode::GOING_AWAY.name(),
                    _ => "transport",
                }
            }
        };
        self.core.metrics().connections_closed.with(code).increment(1);
    }

    async fn serve(&mut self, quic: &quinn::Connection) -> Ending {
        let mut opened = pin!(quic.accept_uni());
        poll_fn(|cx| {
            // Registered before anything is read, so that no request to close and no wake-up is missed.
            self.link.register(cx);
            if self.link.close_request().is_some() {
                return Poll::Ready(Ending::CloseRequested);
            }
            if self.link.is_blocked() || self.data_streams.is_empty() {
                // An error means that the connection has ended, which accepting streams reports.
                let _ = self.link.poll_flush(cx);
            }
            loop {
                match opened.as_mut().poll(cx) {
                    Poll::Ready(Ok(recv)) => {
                        self.data_streams.push(DataStream::new(recv));
                        opened.set(quic.accept_uni());
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Ending::Lost(e)),
                    Poll::Pending => break,
                }
            }
            if let Poll::Ready(Err(request)) = self.poll_control(cx) {
                self.link.request_close(request);
                return Poll::Ready(Ending::CloseRequested);
            }
            if self.link.draining() {
                let flushed = self.link.poll_flush(cx).is_ready();
                return if flushed && self.link.is_idle() { Poll::Ready(Ending::Drained) } else { Poll::Pending };
            }
            match self.poll_data_streams(cx) {
                Ok(()) => Poll::Pending,
                Err(request) => {
                    self.link.request_close(request);
                    Poll::Ready(Ending::CloseRequested)
                }
            }
        })
        .await
    }

    /// After its hello a client sends nothing on this stream but reports.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), CloseRequest>> {
        match self.control.poll(cx) {
            Poll::Ready(Ok(Some(Control::Report(report)))) => {
                // More may have come with it.
                cx.waker().wake_by_ref();
                let taken = self.link.reports.lock().take(&report, Instant::now(), self.core.metrics());
                let flood = || CloseRequest::new(CloseCode::PROTOCOL, "reports come much more often than they were asked for");
                Poll::Ready(taken.then_some(()).ok_or_else(flood))
            }
            Poll::Ready(Ok(Some(_))) => Poll::Ready(Err(CloseRequest::new(CloseCode::PROTOCOL, "an unexpected message on the control stream"))),
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(request)) => Poll::Ready(Err(request)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_data_streams(&mut self, cx: &mut Context<'_>) -> Result<(), CloseRequest> {
        let now = Instant::now();
        let mut begun: Option<Instant> = None;
        let mut i = 0;
        while i < self.data_streams.len() {
            // Each stream is polled beside the others, because no two may have the same run and session.
            let (done, rest) = self.data_streams.split_at_mut(i);
            let Some((data_stream, rest)) = rest.split_first_mut() else { break };
            let taken = |key| done.iter().chain(&*rest).any(|other| other.key() == Some(key));
            match data_stream.poll(cx, &self.core, &self.link, self.abilities, now, taken)? {
                Poll::Ready(()) => drop(self.data_streams.swap_remove(i)),
                Poll::Pending => {
                    begun = begun.into_iter().chain(data_stream.begun()).min();
                    i += 1;
                }
            }
        }
        self.link.begun_ms.store(begun.map_or(0, |at| self.core.ms(at)), Relaxed);
        Ok(())
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        // Closed already, unless this task panicked: the client must not wait then.
        self.link.quic.close(VarInt::from_u32(CloseCode::RETRY.0), b"the edge failed to serve this connection");
        self.data_streams.clear();
        self.link.end();
        self.link.traffic.lock().count(&self.link.quic, self.core.metrics());
        self.core.links.lock().remove(&self.link.id);
        self.core.metrics().connections.decrement(1);
        self.core.ack_path.health.connections.fetch_sub(1, Relaxed);
    }
}

/// Bytes that all streams of a connection may send ahead: one window for each stream.
fn receive_window(limits: &Limits) -> VarInt {
    let bytes = limits.stream_unacked_bytes.saturating_mul(limits.streams_per_connection as usize);
    VarInt::from_u32(u32::try_from(bytes).unwrap_or(u32::MAX))
}
