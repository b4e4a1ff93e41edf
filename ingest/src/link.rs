//! [`Link`]: the part of a connection that other tasks and threads use. It writes to the control stream and takes requests to
//! close the connection.
//!
//! Acks are not queued: the newest ack of each stream is looked up when the control stream takes bytes. So a client that does
//! not read costs one ack for each stream, however long it does not read. A thread that finds the control stream blocked
//! wakes the connection's own task, which waits.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::atomic::{
    AtomicBool, AtomicU64,
    Ordering::{AcqRel, Acquire, Relaxed, Release},
};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use boxbox_schemas::grant::{Grant, Verified};
use boxbox_schemas::wire::{CloseCode, Control, Notice};
use bytes::{Buf, BytesMut};
use futures::task::AtomicWaker;
use parking_lot::Mutex;
use quinn::{SendStream, VarInt, WriteError};

use crate::flow::Flow;
use crate::metrics::EdgeMetrics;
use crate::reports::Reports;
use crate::traffic::Traffic;

/// Notices that may wait to be written; further ones are dropped, because they only inform.
const NOTICES_MAX: usize = 64;

/// Least time between the last message and the close, so that the message arrives first.
const CLOSE_DELAY_MIN: Duration = Duration::from_millis(10);

/// Why a connection is to be closed. The first request counts.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct CloseRequest {
    pub(crate) code: CloseCode,
    /// The number of the stream at fault and the sequence number expected there, if a stream is at fault.
    pub(crate) stream: Option<(u32, u64)>,
    /// For people.
    pub(crate) detail: String,
}

impl CloseRequest {
    pub(crate) fn new(code: CloseCode, detail: impl Into<String>) -> Self {
        Self { code, stream: None, detail: detail.into() }
    }
}

/// What others may do with one connection.
pub(crate) struct Link {
    pub(crate) id: u64,
    pub(crate) quic: quinn::Connection,
    /// The grant with which the client was accepted.
    pub(crate) verified: Verified,
    task: AtomicWaker,
    close_request: OnceLock<CloseRequest>,
    draining: AtomicBool,
    /// Whether the link waits in the flusher's list.
    listed: AtomicBool,
    /// When the oldest unfinished record was begun, ms of the edge's clock; 0 if there is none.
    pub(crate) begun_ms: AtomicU64,
    /// What the client reports of itself.
    pub(crate) reports: Mutex<Reports>,
    /// What QUIC has counted of the connection so far.
    pub(crate) traffic: Mutex<Traffic>,
    outgoing: Mutex<Outgoing>,
}

struct Outgoing {
    send: SendStream,
    buffer: BytesMut,
    flows: Vec<Arc<Flow>>,
    notices: VecDeque<Notice>,
    blocked_since: Option<Instant>,
    metrics: Arc<EdgeMetrics>,
}

impl Link {
    pub(crate) fn new(id: u64, quic: quinn::Connection, verified: Verified, send: SendStream, metrics: Arc<EdgeMetrics>) -> Self {
        let outgoing = Outgoing { send, buffer: BytesMut::new(), flows: Vec::new(), notices: VecDeque::new(), blocked_since: None, metrics };
        Self {
            id,
            quic,
            verified,
            task: AtomicWaker::new(),
            close_request: OnceLock::new(),
            draining: AtomicBool::new(false),
            listed: AtomicBool::new(false),
            begun_ms: AtomicU64::new(0),
            reports: Mutex::new(Reports::new(Instant::now())),
            traffic: Mutex::default(),
            outgoing: Mutex::new(outgoing),
        }
    }

    pub(crate) fn grant(&self) -> &Grant {
        &self.verified.grant
    }

    /// Registers `cx` to be woken as the connection's task.
    pub(crate) fn register(&self, cx: &Context<'_>) {
        self.task.register(cx.waker());
    }

    /// Asks the connection's task to close the connection. Only the first request counts.
    pub(crate) fn request_close(&self, request: CloseRequest) {
        if self.close_request.set(request).is_ok() {
            self.task.wake();
        }
    }

    /// The request to close, if there is one.
    pub(crate) fn close_request(&self) -> Option<&CloseRequest> {
        self.close_request.get()
    }

    /// Asks the connection's task to read no more, and to close once everything in flight is acked.
    pub(crate) fn drain(&self, within: Duration) {
        self.notify(Notice::GoAway { within_ms: within.as_millis() as u64 });
        self.draining.store(true, Release);
        self.task.wake();
    }

    pub(crate) fn draining(&self) -> bool {
        self.draining.load(Acquire)
    }

    /// Puts the link on the flusher's list; whether it was not there before.
    pub(crate) fn list(&self) -> bool {
        !self.listed.swap(true, AcqRel)
    }

    /// Writes what can be written without waiting. Called by the flusher.
    pub(crate) fn flush(&self) {
        // Cleared before the acks are read: an ack that comes later lists the link again.
        self.listed.store(false, Release);
        let blocked = self.outgoing.lock().write(&mut Context::from_waker(Waker::noop())).is_pending();
        if blocked || self.draining() {
            self.task.wake();
        }
    }

    /// Writes what there is to write; `cx` is woken when the rest can be written.
    pub(crate) fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        self.outgoing.lock().write(cx)
    }

    /// Whether there are bytes that the client does not read.
    pub(crate) fn is_blocked(&self) -> bool {
        self.outgoing.lock().blocked_since.is_some()
    }

    /// Since when there are bytes that the client does not read.
    pub(crate) fn blocked_since(&self) -> Option<Instant> {
        self.outgoing.lock().blocked_since
    }

    /// Puts the welcome in front of everything else. It is the first message, so nothing was written before.
    pub(crate) fn queue_welcome(&self, welcome: &Control) {
        welcome.encode(&mut self.outgoing.lock().buffer);
    }

    /// Sends a notice to the client.
    pub(crate) fn notify(&self, notice: Notice) {
        let mut outgoing = self.outgoing.lock();
        if outgoing.notices.len() < NOTICES_MAX {
            outgoing.notices.push_back(notice);
        }
        if outgoing.write(&mut Context::from_waker(Waker::noop())).is_pending() {
            self.task.wake();
        }
    }

    /// Adds a stream, whose acks are sent from now on; fails if the client uses its number already.
    pub(crate) fn add_flow(&self, flow: Arc<Flow>) -> Result<(), CloseRequest> {
        let mut outgoing = self.outgoing.lock();
        outgoing.flows.retain(|f| !f.is_over());
        if outgoing.flows.iter().any(|f| f.number == flow.number) {
            return Err(CloseRequest::new(CloseCode::PROTOCOL, format!("stream number {} is in use on this connection", flow.number)));
        }
        outgoing.flows.push(flow);
        Ok(())
    }

    /// Whether no record of any stream is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.outgoing.lock().flows.iter().all(|f| f.is_idle())
    }

    /// Writes what there is to write, and closes. The control stream is not finished, so that the close and its code are the
    /// only end that a client sees. What was written gets one round trip to arrive, `linger` at most; if the client does not
    /// read, the close is immediate.
    pub(crate) async fn close(&self, request: &CloseRequest, linger: Duration) {
        let refused = request.stream.map(|(stream, expected)| Notice::Refused {
            stream,
            code: request.code.name().into(),
            expected,
            detail: request.detail.clone(),
        });
        // The close may overtake the control stream, so its reason says the same.
        let reason = refused.as_ref().map_or_else(|| request.detail.clone().into_bytes(), Notice::close_reason);
        if let Some(notice) = refused {
            self.notify(notice);
        }
        let flushed = async {
            // An error means that the connection has ended.
            let _ = std::future::poll_fn(|cx| self.poll_flush(cx)).await;
            let head_start = self.quic.rtt().max(CLOSE_DELAY_MIN);
            let _ = tokio::time::timeout(head_start, self.quic.closed()).await;
        };
        if !self.is_blocked() {
            let _ = tokio::time::timeout(linger, flushed).await;
        }
        self.quic.close(VarInt::from_u32(request.code.0), &reason);
    }

    /// The connection has ended: drops its streams and notices.
    pub(crate) fn end(&self) {
        let mut outgoing = self.outgoing.lock();
        outgoing.flows.clear();
        outgoing.notices.clear();
        self.begun_ms.store(0, Relaxed);
    }
}

impl Outgoing {
    fn write(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), WriteError>> {
        loop {
            if self.buffer.is_empty() {
                self.fill();
                if self.buffer.is_empty() {
                    self.blocked_since = None;
                    // An idle connection keeps no buffer.
                    self.buffer = BytesMut::new();
                    return Poll::Ready(Ok(()));
                }
            }
            match Pin::new(&mut self.send).poll_write(cx, &self.buffer) {
                Poll::Ready(Ok(n)) => {
                    self.buffer.advance(n);
                    self.blocked_since = None;
                }
                Poll::Ready(Err(e)) => {
                    self.buffer.clear();
                    return Poll::Ready(Err(e));
                }
                Poll::Pending => {
                    self.blocked_since.get_or_insert_with(Instant::now);
                    return Poll::Pending;
                }
            }
        }
    }

    /// Encodes the acks and notices that the client has not been sent.
    fn fill(&mut self) {
        for flow in &self.flows {
            if let Some(next) = flow.take_ack() {
                Control::Ack { stream: flow.number, next }.encode(&mut self.buffer);
                self.metrics.acks_sent.increment(1);
            }
        }
        self.flows.retain(|f| !f.is_over());
        for notice in self.notices.drain(..) {
            self.metrics.notices_sent.with(kind(&notice)).increment(1);
            Control::Notice(notice).encode(&mut self.buffer);
        }
    }
}

fn kind(notice: &Notice) -> &'static str {
    match notice {
        Notice::Void { .. } => "void",
        Notice::Stalled { .. } => "stalled",
        Notice::GoAway { .. } => "go_away",
        Notice::SessionClosed { .. } => "session_closed",
        Notice::Refused { .. } => "refused",
        Notice::Unknown => "unknown",
    }
}
