//! One simulated car: its connection, its records at their intended times, its acks.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::limits::STREAM_UNACKED_MAX_BYTES;
use boxbox_schemas::wire::{Control, Hello, StreamHead};
use boxbox_schemas::{RunId, Sim, Source};
use bytes::{Bytes, BytesMut};
use hdrhistogram::Histogram;

use crate::car::Car;

/// Records that wait at a car for the server's window. A real client's spool is larger; records dropped here are counted.
const BACKLOG_RECORDS: usize = 64;

/// Counters of all cars together.
#[derive(Default)]
pub struct Counters {
    /// Frames acked.
    pub acked: AtomicU64,
    /// Frames offered.
    pub offered: AtomicU64,
    /// Frames dropped because a car's backlog was full.
    pub dropped: AtomicU64,
    /// Connections lost.
    pub lost: AtomicU64,
    /// While set, latencies are recorded.
    pub counting: std::sync::atomic::AtomicBool,
    /// Interval between a car's records, ns; may change during a run.
    pub interval_ns: AtomicU64,
    /// Ack latency from the intended send time, µs.
    pub latency: Mutex<Option<Histogram<u64>>>,
    /// Watches for laps in the API, with --freshness.
    pub freshness: Option<crate::freshness::Watch>,
}

/// A car that is connected and does not send yet.
pub struct Connected {
    number: u32,
    connection: quinn::Connection,
    control: quinn::RecvStream,
    // Held open: if it ended, the edge would close the connection.
    _control_out: quinn::SendStream,
    data: quinn::SendStream,
    car: Car,
}

/// Bytes of socket buffer to ask of the system: with the usual default, packets of hundreds of cars are lost.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;

/// Opens a UDP socket that some of the cars share.
pub fn endpoint() -> anyhow::Result<quinn::Endpoint> {
    let socket = std::net::UdpSocket::bind("127.0.0.1:0")?;
    let options = socket2::SockRef::from(&socket);
    options.set_recv_buffer_size(SOCKET_BUFFER_BYTES)?;
    options.set_send_buffer_size(SOCKET_BUFFER_BYTES)?;
    Ok(quinn::Endpoint::new(quinn::EndpointConfig::default(), None, socket, Arc::new(quinn::TokioRuntime))?)
}

/// A connection that the edge has accepted.
pub struct Welcomed {
    /// The connection.
    pub connection: quinn::Connection,
    /// What the edge says.
    pub control: quinn::RecvStream,
    /// Held open: if it ended, the edge would close the connection.
    pub control_out: quinn::SendStream,
}

/// Connects with the grant of `to`.
pub async fn welcomed(endpoint: &quinn::Endpoint, config: quinn::ClientConfig, to: &ConnectString) -> anyhow::Result<Welcomed> {
    let address = format!("{}:{}", to.host, to.port).parse()?;
    let connection = endpoint.connect_with(config, address, "boxbox")?.await.context("connect")?;
    let (mut control_out, mut control) = connection.open_bi().await?;
    let mut hello = BytesMut::new();
    Control::Hello(Hello { grant: to.grant.clone(), agent: "boxbox-bench".into() }).encode(&mut hello);
    control_out.write_all(&hello).await?;
    let mut buffer = BytesMut::new();
    match next_control(&mut control, &mut buffer).await? {
        Control::Welcome(_) => Ok(Welcomed { connection, control, control_out }),
        other => bail!("expected a welcome, got {other:?}"),
    }
}

/// The TLS of a client that knows the server of `to`.
pub fn tls(to: &ConnectString) -> anyhow::Result<quinn::ClientConfig> {
    let tls = boxbox_client::pinned(to.pins.clone())?;
    Ok(quinn::ClientConfig::new(Arc::new(quinn::crypto::rustls::QuicClientConfig::try_from(tls)?)))
}

/// Connects car `number` over `endpoint`.
pub async fn connect(
    endpoint: &quinn::Endpoint,
    config: quinn::ClientConfig,
    to: &ConnectString,
    number: u32,
    rate: f64,
    lap_s: f64,
) -> anyhow::Result<Connected> {
    let Welcomed { connection, control, control_out } = welcomed(endpoint, config, to).await?;
    let mut data = connection.open_uni().await?;
    let run = RunId(u128::from(fastrand::u64(..) | 1).to_le_bytes());
    // Twenty cars in a session, as in a league race.
    let source = Source { sim: Sim::SYNTHETIC, id: u128::from(number / 20) + 1, session_num: 0 };
    data.write_all(&StreamHead { stream: 0, run, source }.encode()).await?;
    let car = Car::new(run, source, f64::from(number % 20) / 20.0, rate, lap_s);
    Ok(Connected { number, connection, control, _control_out: control_out, data, car })
}

/// The next message of the edge; `buffer` holds what was read beyond it.
pub async fn next_control(stream: &mut quinn::RecvStream, buffer: &mut BytesMut) -> anyhow::Result<Control> {
    loop {
        if let Some(message) = Control::decode(buffer)? {
            return Ok(message);
        }
        let chunk = stream.read_chunk(64 * 1024, true).await?.context("the server closed the control stream")?;
        buffer.extend_from_slice(&chunk.bytes);
    }
}

struct Sent {
    next: u64,
    bytes: usize,
    intended: Instant,
}

/// Sends until `until`: each record at its intended time. Reads acks as they come.
pub async fn drive(car: Connected, batch: u16, phase: Duration, until: Instant, counters: Arc<Counters>) {
    let Connected { number, connection, mut control, _control_out, mut data, mut car } = car;
    let mut due = Instant::now() + phase;
    let mut backlog: VecDeque<(Bytes, Instant)> = VecDeque::new();
    let mut sent: VecDeque<Sent> = VecDeque::new();
    let (mut next, mut acked, mut unacked, mut buffer) = (0u64, 0u64, 0usize, BytesMut::new());
    while due < until {
        tokio::select! {
            () = tokio::time::sleep_until(due.into()) => {
                // A record is due when its last frame is; a late wake-up does not move the intended time.
                counters.offered.fetch_add(batch.into(), Ordering::Relaxed);
                if backlog.len() < BACKLOG_RECORDS {
                    backlog.push_back((car.record(batch), due));
                    if let (Some(watch), Some(crossing)) = (&counters.freshness, car.crossing(batch)) {
                        watch.crossed(number, car.source(), &crossing, due, counters.counting.load(Ordering::Relaxed));
                    }
                } else {
                    counters.dropped.fetch_add(batch.into(), Ordering::Relaxed);
                }
                due += Duration::from_nanos(counters.interval_ns.load(Ordering::Relaxed));
            }
            message = next_control(&mut control, &mut buffer) => match message {
                Ok(Control::Ack { next: up_to, .. }) => {
                    counters.acked.fetch_add(up_to.saturating_sub(acked), Ordering::Relaxed);
                    acked = acked.max(up_to);
                    let counting = counters.counting.load(Ordering::Relaxed);
                    while sent.front().is_some_and(|s| s.next <= up_to) {
                        let Some(s) = sent.pop_front() else { break };
                        unacked -= s.bytes;
                        if counting && let Ok(mut latency) = counters.latency.lock() && let Some(latency) = latency.as_mut() {
                            latency.saturating_record(s.intended.elapsed().as_micros() as u64);
                        }
                    }
                }
                Ok(_) => {}
                Err(_) => {
                    counters.lost.fetch_add(1, Ordering::Relaxed);
                    if let Some(reason) = connection.close_reason() { eprintln!("boxbox-bench: a car lost its connection: {reason}"); }
                    return;
                }
            },
        }
        while let Some((record, intended)) = backlog.front() {
            if unacked + record.len() > STREAM_UNACKED_MAX_BYTES {
                break;
            }
            let mut head = [Bytes::copy_from_slice(&acked.to_le_bytes()), record.clone()];
            if data.write_all_chunks(&mut head).await.is_err() {
                break;
            }
            next += u64::from(batch);
            unacked += record.len();
            sent.push_back(Sent { next, bytes: record.len(), intended: *intended });
            backlog.pop_front();
        }
    }
    connection.close(0u32.into(), b"done");
}
