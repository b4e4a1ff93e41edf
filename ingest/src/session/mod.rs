//! One connection from hello to close: one task that reads its control stream and its data streams.

mod inlet;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::Instant;

use boxbox_schemas::grant::GrantError;
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::wire::{CloseCode, Control, Hello, Welcome};
use bytes::BytesMut;
use quinn::{Chunk, Connection, ConnectionError, ReadError, RecvStream, SendStream, VarInt};
use tracing::{debug, info};

use crate::core::{Core, unix_us};
use crate::gate::Abilities;
use crate::link::{Link, Order};
use inlet::Inlet;

/// Messages of unknown type that a newer client may send; more are noise.
const UNKNOWN_MAX: u32 = 1_000;
/// What a client may have on its way to the edge before its hello is accepted, bytes.
pub(crate) const WINDOW_BEFORE_HELLO_BYTES: u32 = 16 * 1024;
/// Longest part of a client's self-description that is logged, characters.
const AGENT_MAX_CHARS: usize = 64;

/// Hear the client's hello and let it in. Whoever is not let in is told why by the close code.
pub(crate) async fn greet(core: &Arc<Core>, connection: Connection) -> Option<Session> {
    match welcome(core, &connection).await {
        Ok(session) => Some(session),
        Err(Refused::Gone) => None,
        Err(Refused::Order(order)) => {
            debug!(peer = %connection.remote_address(), code = order.code.name(), "client not let in: {}", order.detail);
            core.metrics().connections_closed.with(order.code.name()).increment(1);
            connection.close(VarInt::from_u32(order.code.0), order.detail.as_bytes());
            None
        }
    }
}

/// Why a connection was not let in.
enum Refused {
    /// The edge closes it.
    Order(Order),
    /// It ended; nobody is there to be told.
    Gone,
}

fn refused(code: CloseCode, detail: impl Into<String>) -> Refused {
    Refused::Order(Order::new(code, detail))
}

async fn welcome(core: &Arc<Core>, connection: &Connection) -> Result<Session, Refused> {
    let heard = tokio::time::timeout(core.limits.hello_timeout, hello(connection)).await;
    let (hello, send, control) = heard.map_err(|_| refused(CloseCode::PROTOCOL, "no hello came in time"))??;
    let authority = core.authority.borrow().clone();
    let verified = authority.verify(&hello.grant, unix_us() / 1_000_000).map_err(|e| {
        core.metrics().grants_refused.with(e.name()).increment(1);
        refused(grant_code(e), e.to_string())
    })?;
    let grant = &verified.grant;
    let abilities = Abilities::of(grant);
    if !abilities.any() {
        return Err(refused(CloseCode::GRANT_SCOPE, "the grant does not allow to send: ask for one for a driver (`grant create --driver`)"));
    }
    if grant.event.is_some() {
        // A restriction that cannot be checked must not be ignored: no record names its event yet.
        return Err(refused(CloseCode::GRANT_SCOPE, "the grant is for one event, which this edge cannot check"));
    }
    info!(peer = %connection.remote_address(), tenant = %grant.tenant, driver = %grant.driver, grant = %grant.id, agent = plain(&hello.agent), "client connected");
    let link = Arc::new(Link::new(core.link_id(), connection.clone(), verified, send, core.back.metrics.clone()));
    link.greet(&Control::Welcome(Welcome {
        edge: core.edge.to_string(),
        max_streams: core.limits.streams_per_connection,
        max_record_bytes: RECORD_MAX_BYTES as u32,
        max_unacked_bytes: core.limits.stream_unacked_bytes as u32,
    }));
    Ok(Session::new(core.clone(), link, abilities, control))
}

async fn hello(connection: &Connection) -> Result<(Hello, SendStream, ControlIn), Refused> {
    let (send, recv) = connection.accept_bi().await.map_err(|_| Refused::Gone)?;
    let mut control = ControlIn { recv: Some(recv), buffer: BytesMut::new(), unknown: 0 };
    match poll_fn(|cx| control.poll(cx)).await {
        Ok(Some(Control::Hello(hello))) => Ok((hello, send, control)),
        Ok(Some(_)) => Err(refused(CloseCode::PROTOCOL, "the first message was no hello")),
        Ok(None) => Err(refused(CloseCode::PROTOCOL, "the control stream ended before a hello")),
        Err(order) => Err(Refused::Order(order)),
    }
}

/// The close code for a grant that does not hold.
pub(crate) fn grant_code(e: GrantError) -> CloseCode {
    match e {
        GrantError::Expired => CloseCode::GRANT_EXPIRED,
        GrantError::Revoked => CloseCode::GRANT_REVOKED,
        GrantError::Unavailable => CloseCode::UNAVAILABLE,
        GrantError::Malformed | GrantError::UnknownKey | GrantError::Signature => CloseCode::GRANT_INVALID,
    }
}

/// A peer's text as it may stand in a log: no control characters, and short.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(AGENT_MAX_CHARS).collect()
}

/// What has come on a stream. The future holds nothing between polls, so a new one each time loses nothing.
fn poll_chunk(recv: &mut RecvStream, cx: &mut Context<'_>) -> Poll<Result<Option<Chunk>, ReadError>> {
    pin!(recv.read_chunk(RECORD_MAX_BYTES, true)).poll(cx)
}

/// The client's half of the control stream.
#[derive(Debug)]
struct ControlIn {
    recv: Option<RecvStream>,
    buffer: BytesMut,
    unknown: u32,
}

impl ControlIn {
    /// The next message of a known type; `None` at the stream's end.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Control>, Order>> {
        loop {
            match Control::decode(&mut self.buffer) {
                Ok(Some(Control::Unknown(_))) if self.unknown < UNKNOWN_MAX => self.unknown += 1,
                Ok(Some(Control::Unknown(_))) => {
                    return Poll::Ready(Err(Order::new(CloseCode::PROTOCOL, "too many control messages of unknown type")));
                }
                Ok(Some(message)) => return Poll::Ready(Ok(Some(message))),
                Err(e) => return Poll::Ready(Err(Order::new(CloseCode::PROTOCOL, e.to_string()))),
                Ok(None) => {
                    if self.buffer.is_empty() {
                        self.buffer = BytesMut::new();
                    }
                    let Some(recv) = &mut self.recv else { return Poll::Pending };
                    match poll_chunk(recv, cx) {
                        Poll::Pending => return Poll::Pending,
                        Poll::Ready(Ok(Some(chunk))) => self.buffer.extend_from_slice(&chunk.bytes),
                        // The client may end its half; it has nothing more to say. A lost connection is seen elsewhere.
                        Poll::Ready(Ok(None) | Err(_)) => {
                            self.recv = None;
                            return Poll::Ready(Ok(None));
                        }
                    }
                }
            }
        }
    }
}

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
    fn new(core: Arc<Core>, link: Arc<Link>, abilities: Abilities, control: ControlIn) -> Self {
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
        connection.set_receive_window(window(&self.core.limits));
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
pub(crate) fn window(limits: &crate::Limits) -> VarInt {
    let bytes = limits.stream_unacked_bytes.saturating_mul(limits.streams_per_connection as usize);
    VarInt::from_u32(u32::try_from(bytes).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_a_peer_says_cannot_forge_log_lines() {
        assert_eq!(plain("rig/1\n2026-01-01 ERROR \u{1b}[31mfake\u{7}\r"), "rig/12026-01-01 ERROR [31mfake");
        assert_eq!(plain(&"x".repeat(1_000)).len(), 64);
    }
}
