//! One data stream of a connection: read, check, stamp, append; or wait for room (W9).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use boxbox_log::AppendError;
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::wire::{CloseCode, Notice, STREAM_HEAD_BYTES, StreamHead};
use boxbox_schemas::{DriverId, RunId, SessionId, Source, TenantId};
use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::chunk::poll_chunk;
use crate::core::{Core, Sealed, unix_us};
use crate::flow::Flow;
use crate::gate::{Abilities, Gate, close_code};
use crate::link::{Link, Order};
use crate::pieces::Pieces;

/// Records of one stream handled before the connection's other work gets its turn.
const RECORDS_A_TURN: u32 = 64;
/// Pause before the log is asked again when its own budget is used up. Ours lie below it, so this is rare.
const LOG_FULL_PAUSE: Duration = Duration::from_millis(10);

/// One data stream.
pub(crate) struct Inlet {
    recv: RecvStream,
    pieces: Pieces,
    begun: Option<Instant>,
    body: Option<Box<Body>>,
}

/// A stream whose head has come.
struct Body {
    core: Arc<Core>,
    link: Arc<Link>,
    flow: Arc<Flow>,
    gate: Gate,
    session: SessionId,
    partition: u32,
    tenant: TenantId,
    driver: DriverId,
    parked: Option<Parked>,
}

/// A record that waits for room.
struct Parked {
    sealed: Sealed,
    room: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl Inlet {
    pub(crate) fn new(recv: RecvStream) -> Self {
        Self { recv, pieces: Pieces::default(), begun: None, body: None }
    }

    /// Which stream of W4 it is, once its head has come.
    pub(crate) fn key(&self) -> Option<(RunId, Source)> {
        self.body.as_ref().map(|b| (b.flow.run, b.flow.source))
    }

    /// Since when a record is begun and not finished through the client's fault.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// Handle what has come. Ready when the client has ended the stream; an error closes the connection.
    /// `taken` says whether the connection has a stream of that key already.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        core: &Arc<Core>,
        link: &Arc<Link>,
        abilities: Abilities,
        now: Instant,
        taken: impl Fn((RunId, Source)) -> bool,
    ) -> Result<Poll<()>, Order> {
        let mut turn = 0;
        let polled = loop {
            if let Some(body) = &mut self.body {
                if body.poll_parked(cx)?.is_pending() {
                    // It is the edge that waits: the client is not to blame for what it has not finished.
                    self.begun = None;
                    return Ok(Poll::Pending);
                }
                let expected = body.gate.expected();
                let cut = self.pieces.transmission().map_err(|(base, e)| {
                    core.metrics().records_refused.with(e.name()).increment(1);
                    at_fault(body.flow.number, expected.unwrap_or(base), close_code(&e), e.to_string())
                })?;
                if let Some((base, record)) = cut {
                    self.begun = None;
                    body.take(base, record, now)?;
                    turn += 1;
                    if turn >= RECORDS_A_TURN {
                        cx.waker().wake_by_ref();
                        break Poll::Pending;
                    }
                    continue;
                }
            } else if let Some(head) = self.pieces.array::<STREAM_HEAD_BYTES>() {
                self.begun = None;
                self.body = Some(Box::new(Body::open(&head, core, link, abilities, &taken)?));
                continue;
            }
            match poll_chunk(&mut self.recv, cx) {
                Poll::Ready(Ok(Some(chunk))) => self.pieces.push(chunk.bytes),
                Poll::Ready(Ok(None)) if self.pieces.is_empty() => return Ok(Poll::Ready(())),
                Poll::Ready(Ok(None)) => {
                    core.metrics().records_refused.with("truncated").increment(1);
                    let (number, expected) = self.body.as_ref().map_or((0, 0), |b| (b.flow.number, b.gate.expected().unwrap_or_default()));
                    return Err(at_fault(
                        number,
                        expected,
                        CloseCode::FRAMING,
                        format!("the stream ended {} bytes into a record", self.pieces.len()),
                    ));
                }
                // A client that gives a stream up, whole record or not, says so itself.
                Poll::Ready(Err(ReadError::Reset(_))) => return Ok(Poll::Ready(())),
                // The connection's end, which its task hears of by itself.
                Poll::Ready(Err(_)) => return Ok(Poll::Pending),
                Poll::Pending => break Poll::Pending,
            }
        };
        if self.pieces.is_empty() {
            self.begun = None;
        } else {
            self.begun.get_or_insert(now);
        }
        Ok(polled)
    }
}

impl Body {
    fn open(
        head: &[u8; STREAM_HEAD_BYTES],
        core: &Arc<Core>,
        link: &Arc<Link>,
        abilities: Abilities,
        taken: impl Fn((RunId, Source)) -> bool,
    ) -> Result<Self, Order> {
        let head = StreamHead::decode(head).map_err(|e| Order::new(CloseCode::PROTOCOL, e.to_string()))?;
        let (tenant, driver) = (link.grant().tenant, link.grant().driver);
        if taken((head.run, head.source)) {
            return Err(Order::new(CloseCode::STREAMS, "this connection has a stream of that run and session already"));
        }
        if !core.stream_begins(tenant, driver) {
            return Err(Order::new(
                CloseCode::STREAMS,
                format!("the driver has {} streams open already, over all connections", core.limits.streams_per_driver),
            ));
        }
        let session = head.session(&tenant);
        let (partition, room) = core.room(&tenant, &session);
        let flow = core.back.flows.open(head.stream, head.run, head.source, link.clone(), room);
        // From here on dropping the body undoes what was begun.
        let body = Self {
            core: core.clone(),
            link: link.clone(),
            flow: flow.clone(),
            gate: Gate::new(head, abilities),
            session,
            partition,
            tenant,
            driver,
            parked: None,
        };
        link.follow(flow)?;
        Ok(body)
    }

    /// One transmission has come whole.
    fn take(&mut self, base: u64, bytes: Bytes, now: Instant) -> Result<(), Order> {
        let metrics = self.core.metrics();
        metrics.records_received.increment(1);
        metrics.received_bytes.increment(bytes.len() as u64);
        let passed = self.gate.pass(base, bytes).map_err(|refusal| {
            metrics.records_refused.with(refusal.reason).increment(1);
            at_fault(self.flow.number, refusal.expected, refusal.code, refusal.detail)
        })?;
        metrics.frames_received.increment(u64::from(passed.frames));
        if let Some(reason) = passed.void {
            metrics.records_void.with(reason.name()).increment(1);
            let stream = self.flow.number;
            self.link.notify(Notice::Void { stream, first: passed.first, next: passed.next, reason: reason.name().into() });
        }
        let grant = self.link.grant();
        let stamp = Stamp {
            tenant: self.tenant,
            driver: self.driver,
            grant: grant.id,
            session: self.session,
            edge: self.core.edge,
            received_at_us: unix_us(),
            base,
        };
        let sealed = Sealed { record: stamp.seal(&passed.record), frames: passed.frames, next: passed.next, received: now };
        match self.flow.room.try_take(sealed.record.len() as u32) {
            Ok(()) => self.append(sealed),
            Err(budget) => {
                metrics.waits.with(budget).increment(1);
                self.park(sealed, None);
                Ok(())
            }
        }
    }

    fn append(&mut self, sealed: Sealed) -> Result<(), Order> {
        match self.core.append(&self.flow, self.partition, self.session, &sealed) {
            Ok(()) => Ok(()),
            Err(AppendError::Full) => {
                self.core.metrics().waits.with("log").increment(1);
                self.park(sealed, Some(LOG_FULL_PAUSE));
                Ok(())
            }
            Err(e @ (AppendError::Closed(_) | AppendError::Invalid(_))) => {
                self.core.metrics().records_abandoned.increment(1);
                Err(Order::new(CloseCode::RETRY, e.to_string()))
            }
        }
    }

    /// Keep a record until there is room; nothing more is read from the stream until then.
    fn park(&mut self, sealed: Sealed, pause: Option<Duration>) {
        let (room, bytes) = (self.flow.room.clone(), sealed.record.len() as u32);
        let room = Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            room.take(bytes).await;
        });
        self.flow.wait(Some(sealed.received));
        self.parked = Some(Parked { sealed, room });
    }

    /// Ready when no record waits.
    fn poll_parked(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Order> {
        while let Some(parked) = &mut self.parked {
            if parked.room.as_mut().poll(cx).is_pending() {
                return Ok(Poll::Pending);
            }
            let Some(Parked { sealed, .. }) = self.parked.take() else { break };
            self.flow.wait(None);
            self.append(sealed)?;
        }
        Ok(Poll::Ready(()))
    }
}

impl Drop for Body {
    fn drop(&mut self) {
        if self.parked.take().is_some() {
            self.core.metrics().records_abandoned.increment(1);
        }
        self.core.back.flows.end(&self.flow);
        self.core.stream_ended(self.tenant, self.driver);
    }
}

fn at_fault(stream: u32, expected: u64, code: CloseCode, detail: String) -> Order {
    Order { code, stream: Some((stream, expected)), detail }
}
