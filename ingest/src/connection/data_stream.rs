//! [`DataStream`]: one data stream of a connection. Reads, validates, stamps and appends its records, or waits for its budgets (W9).

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use boxbox_log::AppendError;
use boxbox_schemas::stamp::Stamp;
use boxbox_schemas::wire::{CloseCode, Notice, STREAM_HEAD_BYTES, StreamHead};
use boxbox_schemas::{DriverId, RunId, SessionId, Source, StreamKey, TenantId, trace};
use bytes::Bytes;
use quinn::{ReadError, RecvStream};

use super::chunk::poll_chunk;
use crate::core::{Core, unix_us};
use crate::decoder::Decoder;
use crate::flow::{Flow, Stamped, What};
use crate::life::{ANSWER_WITHIN, ASK_EVERY, Answer, Life};
use crate::link::{CloseRequest, Link};
use crate::metrics::Frames;
use crate::pace::Pace;
use crate::validator::{Abilities, Validator, close_code};

/// Records of one stream that are handled before the connection's other streams get a turn.
const RECORDS_A_TURN: u32 = 64;
/// A stream that is ahead of its pace by less goes on: timers are not more exact.
const PAUSE_MIN: Duration = Duration::from_millis(2);
/// A new stream counts as much as a driver may send in this time, because what is known of it stays for as long as the archive: at the usual
/// limits a driver begins 128 at once after a pause, and then eight a second. A client that connects anew each second needs three.
const STREAM_COSTS: Duration = Duration::from_millis(125);
/// How often a client is told that it waits; well below [`boxbox_schemas::limits::ACK_SILENCE_MS`].
const TELL_EVERY: Duration = Duration::from_secs(1);
/// Pause before the next attempt when the log is full. The edge's limits are below the log's, so this is rare.
const LOG_FULL_PAUSE: Duration = Duration::from_millis(10);

/// One data stream.
pub(crate) struct DataStream {
    recv: RecvStream,
    decoder: Decoder,
    begun: Option<Instant>,
    open: Option<Box<OpenStream>>,
}

/// A stream whose head was received.
struct OpenStream {
    core: Arc<Core>,
    link: Arc<Link>,
    flow: Arc<Flow>,
    validator: Validator,
    session: SessionId,
    partition: u32,
    tenant: TenantId,
    driver: DriverId,
    waiting: Option<Waiting>,
    /// How much the driver and the tenant may send.
    paces: [Arc<Pace>; 2],
    /// Until when nothing is read, because they have sent too much.
    pause: Option<Pause>,
    /// The question whether the session is closed, until it is answered.
    question: Option<Answer>,
    /// When the question is asked again.
    ask_at: Instant,
    /// The last answer that was sent to the client.
    life: Life,
}

/// A record that waits for its budgets.
struct Waiting {
    record: Stamped,
    budget: Pin<Box<dyn Future<Output = ()> + Send>>,
}

/// A stream that is ahead of its pace.
struct Pause {
    until: Instant,
    sleep: Option<Pin<Box<tokio::time::Sleep>>>,
}

impl DataStream {
    pub(crate) fn new(recv: RecvStream) -> Self {
        Self { recv, decoder: Decoder::default(), begun: None, open: None }
    }

    /// The stream's run and session (W4), once its head was received.
    pub(crate) fn key(&self) -> Option<(RunId, Source)> {
        self.open.as_ref().map(|b| (b.flow.run, b.flow.source))
    }

    /// Since when a record is begun and not finished, through the client's fault.
    pub(crate) fn begun(&self) -> Option<Instant> {
        self.begun
    }

    /// Handles what was received. Ready when the client has ended the stream; an error closes the connection.
    /// `taken` returns whether the connection has another stream of that run and session.
    pub(crate) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        core: &Arc<Core>,
        link: &Arc<Link>,
        abilities: Abilities,
        now: Instant,
        taken: impl Fn((RunId, Source)) -> bool,
    ) -> Result<Poll<()>, CloseRequest> {
        let mut turn = 0;
        let polled = loop {
            if let Some(open) = &mut self.open {
                if open.poll_life(cx).is_pending() || open.poll_waiting(cx)?.is_pending() || open.poll_pause(cx).is_pending() {
                    // The edge has stopped reading, so an unfinished record is not the client's fault.
                    self.begun = None;
                    return Ok(Poll::Pending);
                }
                let expected = open.validator.expected();
                let cut = self.decoder.transmission().map_err(|(base, e)| {
                    core.metrics().streams_broken.with("length").increment(1);
                    at_fault(open.flow.number, expected.unwrap_or(base), close_code(&e), e.to_string())
                })?;
                if let Some((base, record)) = cut {
                    self.begun = None;
                    open.take(base, record, now)?;
                    turn += 1;
                    if turn >= RECORDS_A_TURN {
                        cx.waker().wake_by_ref();
                        break Poll::Pending;
                    }
                    continue;
                }
            } else if let Some(head) = self.decoder.array::<STREAM_HEAD_BYTES>() {
                self.begun = None;
                self.open = Some(Box::new(OpenStream::open(&head, core, link, abilities, &taken)?));
                continue;
            }
            match poll_chunk(&mut self.recv, cx) {
                Poll::Ready(Ok(Some(chunk))) => self.decoder.push(chunk.bytes),
                Poll::Ready(Ok(None)) if self.decoder.is_empty() => return Ok(Poll::Ready(())),
                Poll::Ready(Ok(None)) => {
                    core.metrics().streams_broken.with("truncated").increment(1);
                    let (number, expected) = self.open.as_ref().map_or((0, 0), |b| (b.flow.number, b.validator.expected().unwrap_or_default()));
                    return Err(at_fault(
                        number,
                        expected,
                        CloseCode::FRAMING,
                        format!("the stream ended {} bytes into a record", self.decoder.len()),
                    ));
                }
                // A client may reset a stream, also within a record.
                Poll::Ready(Err(ReadError::Reset(_))) => return Ok(Poll::Ready(())),
                // The connection has ended, which its task learns elsewhere.
                Poll::Ready(Err(_)) => return Ok(Poll::Pending),
                Poll::Pending => break Poll::Pending,
            }
        };
        if self.decoder.is_empty() {
            self.begun = None;
        } else {
            self.begun.get_or_insert(now);
        }
        Ok(polled)
    }
}

impl OpenStream {
    fn open(
        head: &[u8; STREAM_HEAD_BYTES],
        core: &Arc<Core>,
        link: &Arc<Link>,
        abilities: Abilities,
        taken: impl Fn((RunId, Source)) -> bool,
    ) -> Result<Self, CloseRequest> {
        let head = StreamHead::decode(head).map_err(|e| CloseRequest::new(CloseCode::PROTOCOL, e.to_string()))?;
        let (tenant, driver) = (link.grant().tenant, link.grant().driver);
        if taken((head.run, head.source)) {
            return Err(CloseRequest::new(CloseCode::STREAMS, "this connection has a stream of that run and session already"));
        }
        if !core.stream_begins(tenant, driver) {
            return Err(CloseRequest::new(
                CloseCode::STREAMS,
                format!("the driver has {} streams open already, over all connections", core.limits.streams_per_driver),
            ));
        }
        let session = head.session(&tenant);
        let (partition, budgets) = core.budgets(&tenant, &session);
        let key = StreamKey { tenant, session, driver, run: head.run };
        let traced = trace::of(&key).map(|_| key);
        let flow = core.ack_path.flows.open(&head, link.clone(), budgets, traced);
        // From here on, dropping the stream undoes what was done.
        let mut open = Self {
            core: core.clone(),
            link: link.clone(),
            flow: flow.clone(),
            validator: Validator::new(head, abilities),
            session,
            partition,
            tenant,
            driver,
            waiting: None,
            paces: core.paces(tenant, driver),
            pause: None,
            question: None,
            ask_at: Instant::now() + ASK_EVERY,
            life: Life::Counts,
        };
        link.add_flow(flow)?;
        open.pay_for_stream();
        open.ask();
        Ok(open)
    }

    /// Ask whether the session is closed. Nothing is read until the answer, or the time for it, has come. So the client gets the answer before
    /// the ack of what it sends, and a person who uploads a recording is still there.
    fn ask(&mut self) {
        let Some(lives) = self.core.lives.get() else { return };
        let answer = tokio::time::timeout(ANSWER_WITHIN, lives.life(self.tenant, self.session));
        self.question = Some(Box::pin(async { answer.await.ok().flatten() }));
    }

    /// Ready if no answer is outstanding.
    fn poll_life(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(question) = &mut self.question else { return Poll::Ready(()) };
        let Poll::Ready(answer) = question.as_mut().poll(cx) else { return Poll::Pending };
        self.question = None;
        let Some(life) = answer else {
            self.core.metrics().lives_unknown.increment(1);
            return Poll::Ready(());
        };
        if life != std::mem::replace(&mut self.life, life) && life != Life::Counts {
            self.link.notify(Notice::SessionClosed { stream: self.flow.number, retired: life == Life::Retired });
        }
        Poll::Ready(())
    }

    /// Handles one whole transmission.
    fn take(&mut self, base: u64, bytes: Bytes, now: Instant) -> Result<(), CloseRequest> {
        if now >= self.ask_at {
            self.ask_at = now + ASK_EVERY;
            self.ask();
        }
        let metrics = self.core.metrics();
        metrics.records_received.increment(1);
        metrics.received_bytes.increment(bytes.len() as u64);
        let passed = self.validator.validate(base, bytes).map_err(|refusal| {
            metrics.records_refused.with(refusal.reason).increment(1);
            at_fault(self.flow.number, refusal.expected, refusal.code, refusal.detail)
        })?;
        let mut frames = Frames::default();
        frames.add(passed.kind, passed.frames);
        frames.count(&metrics.frames_received);
        if let Some(reason) = passed.void {
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
        let what = What { kind: passed.kind, frames: passed.frames, void: passed.void };
        let stamped = Stamped { record: stamp.seal(&passed.record), what, first: passed.first, next: passed.next, received: now };
        self.keep_pace(stamped.record.len(), now);
        match self.flow.budgets.try_acquire(stamped.record.len() as u32) {
            Ok(()) => self.append(stamped),
            Err(budget) => {
                self.core.metrics().waits.with(budget).increment(1);
                self.wait_for_budget(stamped, None);
                Ok(())
            }
        }
    }

    /// Counts what a new stream costs; if the driver begins too many, nothing of this one is read for a time.
    fn pay_for_stream(&mut self) {
        let now = Instant::now();
        let wait = self.paces[0].take_time(STREAM_COSTS, self.core.since_start(now));
        if wait >= PAUSE_MIN {
            self.core.metrics().waits.with("driver_streams").increment(1);
            self.pause = Some(Pause { until: now + wait, sleep: None });
        }
    }

    /// Counts what was received; if it was too much, nothing more is read for a time.
    fn keep_pace(&mut self, bytes: usize, now: Instant) {
        let since_start = self.core.since_start(now);
        let [driver, tenant] = self.paces.each_ref().map(|pace| pace.take(bytes, since_start));
        let wait = driver.max(tenant);
        if wait >= PAUSE_MIN {
            self.core.metrics().waits.with(if driver >= tenant { "driver_rate" } else { "tenant_rate" }).increment(1);
            self.pause = Some(Pause { until: now + wait, sleep: None });
        }
    }

    /// Ready when the stream is not ahead of its pace. A client that waits for long is told, so that it does not take the silence for a
    /// lost connection (W8).
    fn poll_pause(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while let Some(pause) = &mut self.pause {
            let sleep = pause.sleep.get_or_insert_with(|| {
                let left = pause.until.saturating_duration_since(Instant::now());
                if left > TELL_EVERY {
                    self.link.notify(Notice::Stalled { stream: self.flow.number });
                }
                Box::pin(tokio::time::sleep(left.min(TELL_EVERY)))
            });
            if sleep.as_mut().poll(cx).is_pending() {
                return Poll::Pending;
            }
            pause.sleep = None;
            if pause.until <= Instant::now() {
                self.pause = None;
            }
        }
        Poll::Ready(())
    }

    fn append(&mut self, stamped: Stamped) -> Result<(), CloseRequest> {
        match self.core.append(&self.flow, self.partition, self.session, &stamped) {
            Ok(()) => Ok(()),
            Err(AppendError::Full) => {
                self.core.metrics().waits.with("log").increment(1);
                self.wait_for_budget(stamped, Some(LOG_FULL_PAUSE));
                Ok(())
            }
            Err(e @ (AppendError::Closed(_) | AppendError::Invalid(_))) => {
                self.core.metrics().records_abandoned.increment(1);
                Err(CloseRequest::new(CloseCode::RETRY, e.to_string()))
            }
        }
    }

    /// Keeps a record until its budgets have enough bytes; until then nothing more is read from the stream.
    fn wait_for_budget(&mut self, stamped: Stamped, pause: Option<Duration>) {
        let (budgets, bytes) = (self.flow.budgets.clone(), stamped.record.len() as u32);
        let budget = Box::pin(async move {
            if let Some(pause) = pause {
                tokio::time::sleep(pause).await;
            }
            budgets.acquire(bytes).await;
        });
        self.flow.wait(Some(stamped.received));
        self.core.metrics().records_waiting.increment(1);
        self.waiting = Some(Waiting { record: stamped, budget });
    }

    /// Ready when no record waits.
    fn poll_waiting(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, CloseRequest> {
        while let Some(waiting) = &mut self.waiting {
            if waiting.budget.as_mut().poll(cx).is_pending() {
                return Ok(Poll::Pending);
            }
            let Some(Waiting { record, .. }) = self.waiting.take() else { break };
            self.flow.wait(None);
            self.core.metrics().records_waiting.decrement(1);
            self.append(record)?;
        }
        Ok(Poll::Ready(()))
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        if self.waiting.take().is_some() {
            self.core.metrics().records_waiting.decrement(1);
            self.core.metrics().records_abandoned.increment(1);
        }
        self.core.ack_path.flows.end(&self.flow);
        self.core.stream_ended(self.tenant, self.driver);
    }
}

fn at_fault(stream: u32, expected: u64, code: CloseCode, detail: String) -> CloseRequest {
    CloseRequest { code, stream: Some((stream, expected)), detail }
}
