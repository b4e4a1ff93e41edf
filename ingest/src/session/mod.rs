//! One connection from hello to close: one task that reads its control stream and its data streams.

mod chunk;
mod control;
mod greet;
mod inlet;

pub(crate) use greet::{grant_code, greet};

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use boxbox_schemas::wire::CloseCode;
use quinn::{Connection, ConnectionError, VarInt};
use tracing::info;

use crate::config::Limits;
use crate::core::Core;
use crate::gate::Abilities;
use crate::link::{Link, Order};
use control::ControlIn;
use inlet::Inlet;

/// Why a session is over.
enum Ending {
    /// The edge closes it.
    Ordered,
    /// It was drained.
    Drained,
    /// The client or the network closed it.
    Lost(ConnectionError),
}

/// A connection that was let in.
pub(crate) struct Session {
    core: Arc<Core>,
    link: Arc<Link>,
    abilities: Abilities,
    control: ControlIn,
    inlets: Vec<Inlet>,
}

impl Session {
    pub(super) fn new(core: Arc<Core>, link: Arc<Link>, abilities: Abilities, control: ControlIn) -> Self {
        core.links.lock().insert(link.id, link.clone());
        if core.back.health.draining() {
            // It came in while the drain began, and may have been overlooked.
            link.drain(core.limits.go_away_within);
        }
        core.metrics().connections.increment(1);
        core.metrics().connections_opened.increment(1);
        core.back.health.connections.fetch_add(1, Relaxed);
        Self { core, link, abilities, control, inlets: Vec::new() }
    }

    /// Serve the connection until it ends.
    pub(crate) async fn run(mut self) {
        // Only now may the client open streams and fill windows: before its hello it is nobody.
        let connection = self.link.connection.clone();
        let streams = self.core.limits.streams_per_connection;
        connection.set_receive_window(receive_window(&self.core.limits));
        connection.set_max_concurrent_uni_streams(VarInt::from_u32(streams));
        let ending = self.serve(&connection).await;
        // The streams stay until the close: letting go of them first would tell the client something else.
        let code = match ending {
            Ending::Ordered => {
                let order = self.link.order().cloned().unwrap_or_else(|| Order::new(CloseCode::DONE, ""));
                self.link.part(&order, self.core.limits.farewell).await;
                info!(peer = %connection.remote_address(), driver = %self.link.grant().driver, code = order.code.name(), "connection closed: {}", order.detail);
                order.code.name()
            }
            Ending::Drained => {
                self.link.part(&Order::new(CloseCode::GOING_AWAY, "the edge is stopping"), self.core.limits.farewell).await;
                CloseCode::GOING_AWAY.name()
            }
            Ending::Lost(e) => {
                info!(peer = %connection.remote_address(), driver = %self.link.grant().driver, "client gone: {e}");
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

    async fn serve(&mut self, connection: &Connection) -> Ending {
        let mut opened = pin!(connection.accept_uni());
        poll_fn(|cx| {
            // Registered before anything is looked at, so that no order or wake-up falls between.
            self.link.register(cx);
            if self.link.order().is_some() {
                return Poll::Ready(Ending::Ordered);
            }
            if self.link.is_blocked() || self.inlets.is_empty() {
                // An error here is the connection's end, which accepting streams reports.
                let _ = self.link.poll_flush(cx);
            }
            loop {
                match opened.as_mut().poll(cx) {
                    Poll::Ready(Ok(recv)) => {
                        self.inlets.push(Inlet::new(recv));
                        opened.set(connection.accept_uni());
                    }
                    Poll::Ready(Err(e)) => return Poll::Ready(Ending::Lost(e)),
                    Poll::Pending => break,
                }
            }
            if let Poll::Ready(Err(order)) = self.poll_control(cx) {
                self.link.close(order);
                return Poll::Ready(Ending::Ordered);
            }
            if self.link.draining() {
                let flushed = self.link.poll_flush(cx).is_ready();
                return if flushed && self.link.is_settled() { Poll::Ready(Ending::Drained) } else { Poll::Pending };
            }
            match self.poll_inlets(cx) {
                Ok(()) => Poll::Pending,
                Err(order) => {
                    self.link.close(order);
                    Poll::Ready(Ending::Ordered)
                }
            }
        })
        .await
    }

    /// After its hello a client has nothing to say here that an edge of this version knows.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Order>> {
        match self.control.poll(cx) {
            Poll::Ready(Ok(Some(_))) => Poll::Ready(Err(Order::new(CloseCode::PROTOCOL, "an unexpected message on the control stream"))),
            Poll::Ready(Ok(None)) => Poll::Ready(Ok(())),
            Poll::Ready(Err(order)) => Poll::Ready(Err(order)),
            Poll::Pending => Poll::Pending,
        }
    }

    fn poll_inlets(&mut self, cx: &mut Context<'_>) -> Result<(), Order> {
        let now = Instant::now();
        let mut begun: Option<Instant> = None;
        let mut i = 0;
        while i < self.inlets.len() {
            // One inlet at a time is looked at beside the others, which it may not contradict.
            let (done, rest) = self.inlets.split_at_mut(i);
            let Some((inlet, rest)) = rest.split_first_mut() else { break };
            let taken = |key| done.iter().chain(&*rest).any(|other| other.key() == Some(key));
            match inlet.poll(cx, &self.core, &self.link, self.abilities, now, taken)? {
                Poll::Ready(()) => drop(self.inlets.swap_remove(i)),
                Poll::Pending => {
                    begun = begun.into_iter().chain(inlet.begun()).min();
                    i += 1;
                }
            }
        }
        self.link.begun_ms.store(begun.map_or(0, |at| self.core.ms(at)), Relaxed);
        Ok(())
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // Closed already, unless this task panicked: then the client must not wait for it.
        self.link.connection.close(VarInt::from_u32(CloseCode::RETRY.0), b"the edge failed to serve this connection");
        self.inlets.clear();
        self.link.end();
        self.core.links.lock().remove(&self.link.id);
        self.core.metrics().connections.decrement(1);
        self.core.back.health.connections.fetch_sub(1, Relaxed);
    }
}

/// What all streams of a connection may have on their way to the edge: each its window, and as much again for the rest.
fn receive_window(limits: &Limits) -> VarInt {
    let bytes = limits.stream_unacked_bytes.saturating_mul(limits.streams_per_connection as usize);
    VarInt::from_u32(u32::try_from(bytes).unwrap_or(u32::MAX))
}
