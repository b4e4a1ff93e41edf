//! [`Sender`]: a connection that sends what a shape makes as fast as the server takes it, and comes back when the server closes it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::Context;
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::limits::STREAM_UNACKED_MAX_BYTES;
use boxbox_schemas::wire::{Control, StreamHead};
use bytes::{Bytes, BytesMut};
use tokio::sync::Notify;

use super::shapes::{Action, Records, Shape};
use crate::connection::{Welcomed, next_control, welcomed};

/// Pause before a connection that was lost is made again.
const AGAIN_AFTER: Duration = Duration::from_millis(200);
/// Connections that one task holds open to the edge at most.
const HELD_MAX: usize = 12_000;

/// What the attack could send.
#[derive(Default)]
pub struct Counts {
    /// Connections that the edge accepted.
    pub connected: AtomicU64,
    /// Records sent.
    pub records: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Why connections were closed or refused, and how often.
    pub closed: Mutex<BTreeMap<String, u64>>,
}

impl Counts {
    /// A connection ended because of `reason`.
    pub fn close(&self, reason: &anyhow::Error) {
        // The reason of the close itself, which comes last; without the numbers in it, so that equal reasons are counted together.
        let text = reason.root_cause().to_string();
        let text: String = text.chars().filter(|c| !c.is_ascii_digit()).take(80).collect();
        *self.closed.lock().unwrap_or_else(PoisonError::into_inner).entry(text).or_default() += 1;
    }
}

/// A hostile client.
pub struct Sender {
    /// Its socket.
    pub endpoint: quinn::Endpoint,
    /// Its TLS.
    pub config: quinn::ClientConfig,
    /// The server and the grant.
    pub to: ConnectString,
    /// What it could send.
    pub counts: Arc<Counts>,
}

impl Sender {
    /// Sends the records of `shape` until it is dropped.
    pub async fn run(self, shape: Shape, number: u32) {
        let mut records = Records::new(shape, number);
        loop {
            let ended = if shape == Shape::Connections { self.hold().await } else { self.send(&mut records).await };
            if let Err(reason) = ended {
                self.counts.close(&reason);
            }
            records.again();
            tokio::time::sleep(AGAIN_AFTER).await;
        }
    }

    /// Opens connections until the edge takes no more, and holds them.
    async fn hold(&self) -> anyhow::Result<()> {
        let mut held = vec![];
        loop {
            match self.connected().await {
                Ok(one) => held.push(one),
                Err(reason) => {
                    self.counts.close(&reason);
                    tokio::time::sleep(AGAIN_AFTER).await;
                }
            }
            held.retain(|one: &Welcomed| one.connection.close_reason().is_none());
            if held.len() >= HELD_MAX {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
    }

    async fn connected(&self) -> anyhow::Result<Welcomed> {
        let one = welcomed(&self.endpoint, self.config.clone(), &self.to).await?;
        self.counts.connected.fetch_add(1, Ordering::Relaxed);
        Ok(one)
    }

    async fn send(&self, records: &mut Records) -> anyhow::Result<()> {
        let Welcomed { connection, control, control_out: _held } = self.connected().await?;
        let acks = Arc::new(Acks::default());
        let mut reading = tokio::spawn(acks.clone().read(control));
        let sending = self.stream(&connection, records, &acks);
        let ended = tokio::select! {
            ended = sending => ended,
            ended = &mut reading => ended?,
        };
        reading.abort();
        // A close overtakes the errors that it causes: its reason says more.
        match connection.close_reason() {
            Some(reason) => Err(reason.into()),
            None => ended,
        }
    }

    async fn stream(&self, connection: &quinn::Connection, records: &mut Records, acks: &Acks) -> anyhow::Result<()> {
        let mut stream: Option<(quinn::SendStream, Window)> = None;
        let mut number = 0;
        loop {
            match records.next_action() {
                Action::Open(run, source) => {
                    if let Some((mut ended, _)) = stream.take() {
                        ended.finish()?;
                    }
                    number += 1;
                    let mut opened = connection.open_uni().await?;
                    acks.follow(number);
                    opened.write_all(&StreamHead { stream: number, run, source }.encode()).await?;
                    stream = Some((opened, Window::default()));
                }
                Action::Send(record, next) => {
                    let (data, window) = stream.as_mut().context("a shape opens a stream before it sends")?;
                    let base = window.wait_for(record.len(), next, acks).await;
                    self.counts.records.fetch_add(1, Ordering::Relaxed);
                    self.counts.bytes.fetch_add(record.len() as u64, Ordering::Relaxed);
                    // A stream that begins far ahead has no ack yet: its base is its first number.
                    let base = base.unwrap_or_else(|| next - u64::from(u16::from_le_bytes([record[14], record[15]])));
                    data.write_all_chunks(&mut [Bytes::copy_from_slice(&base.to_le_bytes()), record]).await?;
                }
            }
        }
    }
}

/// The bytes of the current stream that are not acked.
#[derive(Default)]
struct Window {
    sent: std::collections::VecDeque<(u64, usize)>,
    unacked: usize,
}

impl Window {
    /// Waits until `bytes` more may be sent, and counts them; what was acked last, if anything was.
    async fn wait_for(&mut self, bytes: usize, next: u64, acks: &Acks) -> Option<u64> {
        loop {
            let acked = acks.next.load(Ordering::Acquire);
            while let Some(&(upto, bytes)) = self.sent.front().filter(|(upto, _)| *upto <= acked) {
                _ = (upto, self.sent.pop_front());
                self.unacked -= bytes;
            }
            if self.unacked + bytes <= STREAM_UNACKED_MAX_BYTES {
                self.sent.push_back((next, bytes));
                self.unacked += bytes;
                return (acked > 0 || self.sent.len() > 1).then_some(acked);
            }
            acks.changed.notified().await;
        }
    }
}

/// The acks of the stream that is followed.
#[derive(Default)]
struct Acks {
    stream: AtomicU64,
    next: AtomicU64,
    changed: Notify,
}

impl Acks {
    fn follow(&self, stream: u32) {
        self.stream.store(stream.into(), Ordering::Release);
        self.next.store(0, Ordering::Release);
    }

    async fn read(self: Arc<Self>, mut control: quinn::RecvStream) -> anyhow::Result<()> {
        let mut buffer = BytesMut::new();
        loop {
            if let Control::Ack { stream, next } = next_control(&mut control, &mut buffer).await?
                && u64::from(stream) == self.stream.load(Ordering::Acquire)
            {
                self.next.store(next, Ordering::Release);
                self.changed.notify_one();
            }
        }
    }
}
