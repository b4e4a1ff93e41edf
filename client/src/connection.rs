//! One connection to an edge, until it ends: handshake, hello, a sender for each stream, acks and notices (W1-W9).

mod establish;

use std::convert::Infallible;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::wire::{CloseCode, Control, Notice, StreamHead, Welcome};
use bytes::{Bytes, BytesMut};
use quinn::{Connection, ConnectionError, RecvStream, SendStream, VarInt};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use self::establish::{Established, establish};
use crate::core::Next;
use crate::ended::{Ended, broken};
use crate::observe::{Counters, Event, Status, StreamId};
use crate::shared::{HEAD_MAX_BYTES, Shared};
use crate::tls::Tls;

/// How often the client looks for silence, as a fraction of the time that is allowed.
const SILENCE_CHECKS: u32 = 6;
/// A client reports how it is doing at most this often, whatever the edge asks.
const REPORTS_EVERY_MIN: Duration = Duration::from_secs(1);
/// Frames of a live session are sent before those of old ones.
const LIVE_PRIORITY: i32 = 1;

/// How a connection ended.
pub(crate) struct Outcome {
    pub(crate) why: Ended,
    /// The edge sent its welcome.
    pub(crate) welcomed: bool,
    /// Something was acked.
    pub(crate) progressed: bool,
}

/// Connects, and sends until the connection ends. The client ends it after `silence` without an ack.
pub(crate) async fn run(shared: &Arc<Shared>, tls: &Tls, silence: Duration) -> Outcome {
    let connect = shared.connect.lock().clone();
    let established = tokio::select! {
        established = establish(shared, tls, &connect) => established,
        () = shared.stop.cancelled() => Err(Ended::Stopped),
    };
    let established = match established {
        Ok(established) => established,
        Err(why) => return Outcome { why, welcomed: false, progressed: false },
    };
    let Established { endpoint, connection, control, welcome, buffer, hello } = established;
    shared.status.send_replace(Status::Connected { edge: welcome.edge.clone() });
    shared.event(Event::Connected { edge: welcome.edge.clone() });
    let mut active = ActiveConnection {
        shared,
        connection: connection.clone(),
        welcome,
        numbers: vec![],
        senders: JoinSet::new(),
        refused: None,
        progressed: false,
        moving: None,
    };
    let reporter = report(shared.clone(), hello, active.welcome.reports_every_ms);
    let why = tokio::select! {
        why = active.serve(control, buffer, silence) => why,
        never = reporter => match never {},
    };
    let progressed = active.progressed;
    active.senders.abort_all();
    let code = match why {
        Ended::Silent => CloseCode::RETRY,
        _ => CloseCode::DONE,
    };
    connection.close(VarInt::from_u32(code.0), why.to_string().as_bytes());
    drop((active, connection));
    if why == Ended::Stopped {
        endpoint.wait_idle().await;
    }
    Outcome { why, welcomed: true, progressed }
}

struct ActiveConnection<'a> {
    shared: &'a Arc<Shared>,
    connection: Connection,
    welcome: Welcome,
    /// Stream ids by their number on this connection.
    numbers: Vec<u64>,
    senders: JoinSet<Result<(), String>>,
    /// The last refusal that the edge sent: number of the stream, expected sequence number.
    refused: Option<(u32, u64)>,
    progressed: bool,
    /// When to leave an edge that will stop.
    moving: Option<Instant>,
}

impl ActiveConnection<'_> {
    async fn serve(&mut self, mut control: RecvStream, mut buffer: BytesMut, silence: Duration) -> Ended {
        let mut tick = tokio::time::interval(silence / SILENCE_CHECKS);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            match self.read(&mut buffer) {
                Ok(()) => {}
                Err(why) => return why,
            }
            if self.start_streams() {
                return Ended::Moved;
            }
            tokio::select! {
                chunk = control.read_chunk(usize::MAX, true) => match chunk {
                    Ok(Some(chunk)) => buffer.extend_from_slice(&chunk.bytes),
                    Ok(None) => return self.closed("the edge ended the control stream").await,
                    Err(e) => return self.closed(&e.to_string()).await,
                },
                () = self.shared.changed.notified() => {}
                Some(sender) = self.senders.join_next() => if let Ok(Err(e)) = sender {
                    return self.closed(&e).await;
                },
                _ = tick.tick() => {
                    self.shared.counters.rtt_us.store(self.connection.rtt().as_micros() as u64, std::sync::atomic::Ordering::Relaxed);
                    let now = Instant::now();
                    if self.shared.core.lock().oldest_answer().is_some_and(|at| now.saturating_duration_since(at) >= silence) {
                        return Ended::Silent;
                    }
                }
                () = until(self.moving) => return Ended::Moved,
                () = self.shared.reconnect.notified() => return Ended::Moved,
                () = self.shared.stop.cancelled() => return Ended::Stopped,
            }
        }
    }

    /// Starts senders for streams that may be sent now; true if a live session can be sent on a new connection only.
    fn start_streams(&mut self) -> bool {
        let streams_max = self.welcome.max_streams.max(1) as usize;
        let mut core = self.shared.core.lock();
        core.sweep();
        for id in core.schedule(streams_max.saturating_sub(self.senders.len()), streams_max) {
            let Some(stream) = core.streams.get(&id) else { continue };
            let number = self.numbers.len() as u32;
            self.numbers.push(id);
            let sender = Sender {
                shared: self.shared.clone(),
                connection: self.connection.clone(),
                id,
                head: StreamHead { stream: number, run: stream.name.run, source: stream.name.source },
                wake: stream.wake.clone(),
                window: (self.welcome.max_unacked_bytes as usize).min(HEAD_MAX_BYTES / 2),
                priority: if stream.batcher.is_some() { LIVE_PRIORITY } else { 0 },
            };
            self.senders.spawn(sender.run());
        }
        core.is_live_starved(streams_max)
    }

    /// Handles everything that was received on the control stream.
    fn read(&mut self, buffer: &mut BytesMut) -> Result<(), Ended> {
        loop {
            let message = Control::decode(buffer).map_err(|e| Ended::Lost(format!("the edge's control stream is not readable: {e}")))?;
            match message {
                Some(Control::Ack { stream, next }) => self.ack(stream, next)?,
                Some(Control::Notice(notice)) => self.notice(notice),
                Some(_) => {}
                None => return Ok(()),
            }
        }
    }

    fn ack(&mut self, number: u32, next: u64) -> Result<(), Ended> {
        let Some(id) = self.numbers.get(number as usize).copied() else {
            return Err(Ended::Lost(format!("the edge acks stream {number}, which does not exist")));
        };
        let acked = self.shared.core.lock().ack(id, next, Instant::now());
        let Some(acked) = acked else {
            return Err(Ended::Lost(format!("the edge acks {next} of stream {number}, which was not sent")));
        };
        if acked == Default::default() {
            return Ok(());
        }
        let counters = &self.shared.counters;
        Counters::add(&counters.acked_frames, acked.released.frames);
        Counters::add(&counters.acked_records, acked.released.records);
        self.progressed |= acked.released.records > 0;
        if acked.file_work {
            self.shared.file_work.notify_one();
        }
        if acked.done {
            self.shared.changed.notify_one();
            self.shared.file_work.notify_one();
        }
        self.shared.followed.acked(id, acked.next, acked.done);
        self.shared.drained.notify_one();
        if let Some(observer) = &self.shared.config.observer {
            observer.acked(StreamId(id), acked.next);
        }
        Ok(())
    }

    fn notice(&mut self, notice: Notice) {
        let id = |number: u32| self.numbers.get(number as usize).copied();
        match notice {
            Notice::Void { stream, first, next, reason } => {
                if let Some(id) = id(stream) {
                    self.shared.event(Event::Void { stream: StreamId(id), first, next, reason });
                }
            }
            Notice::Stalled { stream } => {
                if let Some(id) = id(stream) {
                    self.shared.core.lock().stalled(id, Instant::now());
                    self.shared.event(Event::Stalled { stream: StreamId(id) });
                }
            }
            Notice::SessionClosed { stream, retired } => {
                if let Some(id) = id(stream) {
                    self.shared.event(Event::SessionClosed { stream: StreamId(id), retired });
                }
            }
            Notice::GoAway { within_ms } => {
                let within = Duration::from_millis(within_ms).mul_f64(fastrand::f64());
                self.moving.get_or_insert(Instant::now() + within);
            }
            Notice::Refused { stream, expected, .. } => self.refused = Some((stream, expected)),
            Notice::Unknown => {}
        }
    }

    /// The connection is over or must be closed. Returns why, and notes which record the edge refused.
    async fn closed(&mut self, e: &str) -> Ended {
        // If one stream fails alone (reset, stopped), the edge has a bug, and the connection is given up.
        let why = broken(&self.connection, &e);
        if let Some(ConnectionError::ApplicationClosed(close)) = self.connection.close_reason()
            && let Some(Notice::Refused { stream, expected, .. }) = Notice::from_close_reason(&close.reason)
        {
            self.refused = Some((stream, expected));
        }
        if let (Ended::Closed { code, .. }, Some((number, expected))) = (&why, self.refused)
            && matches!(*code, CloseCode::CRC | CloseCode::FRAMING | CloseCode::SCOPE | CloseCode::SEQUENCE)
            && let Some(id) = self.numbers.get(number as usize)
        {
            let gap = self.shared.core.lock().refused(*id, expected);
            gap.into_iter().for_each(|event| self.shared.event(event));
        }
        why
    }
}

/// Reports how this client is doing, if the edge asked for it. It has the client's half of the control stream, which stays open until the
/// connection ends. A report that cannot be written waits without delaying anything.
async fn report(shared: Arc<Shared>, mut control: SendStream, every_ms: Option<u32>) -> Infallible {
    if let Some(every_ms) = every_ms {
        let every = Duration::from_millis(every_ms.into()).max(REPORTS_EVERY_MIN);
        loop {
            let mut message = BytesMut::new();
            Control::Report(shared.report()).encode(&mut message);
            if control.write_all(&message).await.is_err() {
                // The connection has ended, which is noticed elsewhere.
                break;
            }
            tokio::time::sleep(every).await;
        }
    }
    std::future::pending().await
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// Sends one stream.
struct Sender {
    shared: Arc<Shared>,
    connection: Connection,
    id: u64,
    head: StreamHead,
    wake: Arc<Notify>,
    window: usize,
    priority: i32,
}

impl Sender {
    async fn run(self) -> Result<(), String> {
        let mut stream = self.connection.open_uni().await.map_err(|e| e.to_string())?;
        let _ = stream.set_priority(self.priority);
        let mut chunks = vec![Bytes::copy_from_slice(&self.head.encode())];
        loop {
            // The lock's guard must not be held across an await.
            let next = self.shared.core.lock().next(self.id, self.window, Instant::now(), &mut chunks);
            match next {
                Next::Send(bytes) => {
                    Counters::add(&self.shared.counters.sent_bytes, bytes as u64);
                    stream.write_all_chunks(&mut chunks).await.map_err(|e| e.to_string())?;
                    chunks.clear();
                }
                Next::Wait => self.wake.notified().await,
                Next::Done => {
                    let _ = stream.finish();
                    return Ok(());
                }
            }
        }
    }
}
