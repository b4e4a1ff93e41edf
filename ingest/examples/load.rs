//! What an edge costs: CPU per frame, ack latency, memory per connection, with its clients in another process.
//!
//!     cargo run --release -p boxbox-ingest --example load -- [CONNECTIONS] [SECONDS] [FRAMES A RECORD] [HZ]
//!
//! Each client has its own socket and one stream, and sends on time whether or not acks come (open loop). The log is
//! the reference log behind a group commit of 5 ms, so that what is measured is the edge. For the whole path there is
//! the `bench` program; this one is for work on the edge.

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use boxbox_ingest::{Config, Edge, Identity, Limits};
use boxbox_log::{AppendError, Bounds, Completion, Completions, Log, LogError, Outcome, Reader, Ticket, Writer};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::grant::{Ability, Authority, Grant, SigningKey};
use boxbox_schemas::record::{Kind, Prelude, archive, seal};
use boxbox_schemas::wire::{ALPN, Control, Hello, StreamHead};
use boxbox_schemas::{DriverId, GrantId, LogId, RunId, SessionId, ShortId, Sim, Source, TenantId};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

/// As the `boxbox` binary has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const COMMIT: Duration = Duration::from_millis(5);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.first().is_some_and(|a| a == "clients") {
        return clients(&args[1..]);
    }
    let number = |i: usize, default: u64| args.get(i).map_or(Ok(default), |a| a.parse());
    let (connections, seconds, frames, hz) = (number(0, 834)?, number(1, 10)?, number(2, 5)?, number(3, 60)?);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let key = SigningKey::generate().ok_or("no randomness")?;
        let authority = watch::Sender::new(Arc::new(Authority::new([key.public()], [])));
        let made = rcgen::generate_simple_self_signed(["boxbox".to_owned()])?;
        let identity = Identity { certificate_der: made.cert.der().to_vec(), private_key_pkcs8: made.signing_key.serialize_der() };
        let limits = Limits { streams_per_driver: usize::MAX, ..Limits::default() };
        let config = Config { listen: ([127, 0, 0, 1], 0).into(), edge: ShortId::new("edge")?, limits };
        let edge = Edge::bind(config, identity, authority.subscribe(), Arc::new(GroupCommit::start())).await?;
        let (address, shutdown) = (edge.local_addr(), CancellationToken::new());
        let running = tokio::spawn(edge.run(shutdown.clone()));
        let grant = Grant { id: GrantId([1; 16]), tenant: TenantId::new("t")?, driver: DriverId::new("d")?, abilities: [Ability::Car].into(), event: None, expires: i64::MAX };
        let token = key.sign(&grant).ok_or("grant too long")?;
        let before = rss_kb();
        let mut child = Command::new(std::env::current_exe()?)
            .args(["clients", &address.to_string(), &token, &connections.to_string(), &seconds.to_string(), &frames.to_string(), &hz.to_string()])
            .stdout(Stdio::piped())
            .spawn()?;
        let report = tokio::task::spawn_blocking(move || -> std::io::Result<String> {
            let mut lines = BufReader::new(child.stdout.take().ok_or(std::io::ErrorKind::BrokenPipe)?).lines();
            // Two lines: connected, done.
            lines.next().transpose()?;
            std::thread::sleep(Duration::from_secs(1));
            let idle = rss_kb();
            let (cpu, switches, began) = (cpu_us(), switches(), Instant::now());
            let line = lines.next().transpose()?.unwrap_or_default();
            let (cpu, switches, took) = (cpu_us() - cpu, self::switches() - switches, began.elapsed());
            child.wait()?;
            let acked: f64 = line.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0.0);
            Ok(format!(
                "{line}\nserver: {:.2} us CPU a frame, {:.0} us a record, {:.0} % of a core, {:.0} frames/s acked; {:.0} wake-ups/s; idle connection {:.1} KB, RSS {} MB",
                cpu as f64 / acked, cpu as f64 / acked * frames as f64, cpu as f64 / took.as_micros() as f64 * 100.0, acked / took.as_secs_f64(), switches as f64 / took.as_secs_f64(),
                idle.saturating_sub(before) as f64 / connections as f64, rss_kb() / 1_024,
            ))
        })
        .await??;
        let _ = writeln!(std::io::stdout(), "{report}");
        shutdown.cancel();
        running.await??;
        Ok(())
    })
}

/// Completes everything every 5 ms.
struct GroupCommit {
    id: LogId,
    pending: Arc<Mutex<Pending>>,
}

#[derive(Default)]
struct Pending {
    next: u64,
    done: Vec<Completion>,
    completions: Option<Arc<dyn Completions>>,
}

impl GroupCommit {
    fn start() -> Self {
        let pending = Arc::<Mutex<Pending>>::default();
        let mine = pending.clone();
        std::thread::spawn(move || {
            loop {
                std::thread::sleep(COMMIT);
                let (batch, completions) = {
                    let mut p = mine.lock();
                    (std::mem::take(&mut p.done), p.completions.clone())
                };
                if let Some(completions) = completions.filter(|_| !batch.is_empty()) {
                    completions.completed(&batch);
                }
            }
        });
        Self { id: LogId("load".into()), pending }
    }
}

#[async_trait]
impl Log for GroupCommit {
    fn id(&self) -> &LogId {
        &self.id
    }
    fn partitions(&self) -> u32 {
        8
    }
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        self.pending.lock().completions = Some(completions);
        Ok(Box::new(GroupWriter(self.pending.clone())))
    }
    async fn reader(&self, _: u32, _: u64) -> Result<Box<dyn Reader>, LogError> {
        Err(LogError::Mismatch("write only".into()))
    }
    async fn bounds(&self, _: u32) -> Result<Bounds, LogError> {
        Ok(Bounds { start: 0, end: self.pending.lock().next })
    }
}

struct GroupWriter(Arc<Mutex<Pending>>);

impl Writer for GroupWriter {
    fn append(&self, partition: u32, _: SessionId, _: Bytes, ticket: Ticket) -> Result<(), AppendError> {
        let mut p = self.0.lock();
        let offset = p.next;
        p.next += 1;
        p.done.push(Completion { ticket, partition, outcome: Outcome::Durable(offset) });
        Ok(())
    }
}

fn clients(args: &[String]) -> Result<(), Box<dyn std::error::Error>> {
    let (address, token): (SocketAddr, _) = (args[0].parse()?, args[1].clone());
    let number = |i: usize| args[i].parse::<u64>();
    let (connections, seconds, frames, hz) = (number(2)?, number(3)?, number(4)?, number(5)?);
    tokio::runtime::Builder::new_multi_thread().enable_all().build()?.block_on(async {
        let mut tasks = tokio::task::JoinSet::new();
        let start = watch::Sender::new(None::<Instant>);
        let (ready, mut readies) = tokio::sync::mpsc::channel(connections as usize);
        for i in 0..connections {
            let (token, ready, mut started) = (token.clone(), ready.clone(), start.subscribe());
            let endpoint = endpoint()?;
            tasks.spawn(async move {
                let connection = endpoint.connect(address, "boxbox").ok()?.await.ok()?;
                let (mut control, mut acks) = connection.open_bi().await.ok()?;
                let mut hello = BytesMut::new();
                Control::Hello(Hello { grant: token, agent: "load".into() }).encode(&mut hello);
                control.write_all(&hello).await.ok()?;
                let mut data = connection.open_uni().await.ok()?;
                let head = StreamHead {
                    stream: 0,
                    run: RunId(u128::from(i).to_le_bytes()),
                    source: Source { sim: Sim::SYNTHETIC, id: u128::from(i), session_num: 0 },
                };
                data.write_all(&head.encode()).await.ok()?;
                ready.send(()).await.ok()?;
                drop(ready);
                let began = (*started.wait_for(Option::is_some).await.ok()?)?;
                let period = Duration::from_secs_f64(frames as f64 / hz as f64);
                let offset = period.mul_f64(i as f64 / connections as f64);
                let total = (seconds as f64 / period.as_secs_f64()) as u64;
                let sender = tokio::spawn(async move {
                    let frame = archive(&CarFrame::default());
                    let payload = frame.repeat(frames as usize);
                    for n in 0..total {
                        tokio::time::sleep_until((began + offset + period.mul_f64(n as f64)).into()).await;
                        let prelude = Prelude {
                            kind: Kind::CAR,
                            run: head.run,
                            source: head.source,
                            slot: 0,
                            meta_rev: 0,
                            first_seq: n * frames,
                            count: frames as u16,
                        };
                        let record = seal(&prelude, &payload).unwrap_or_default();
                        let mut whole = BytesMut::with_capacity(8 + record.len());
                        whole.extend_from_slice(&0u64.to_le_bytes());
                        whole.extend_from_slice(&record);
                        data.write_chunk(whole.freeze()).await.ok()?;
                    }
                    Some(data)
                });
                let (mut buffer, mut acked, mut waits) = (BytesMut::new(), 0, Vec::new());
                while acked < total {
                    let chunk = tokio::time::timeout(Duration::from_secs(5), acks.read_chunk(usize::MAX, true)).await.ok()?.ok()??;
                    buffer.extend_from_slice(&chunk.bytes);
                    while let Ok(Some(message)) = Control::decode(&mut buffer) {
                        if let Control::Ack { next, .. } = message {
                            let now = Instant::now();
                            while acked < next / frames {
                                waits.push((now - (began + offset + period.mul_f64(acked as f64))).as_micros() as u64);
                                acked += 1;
                            }
                        }
                    }
                }
                drop(sender.await);
                Some((acked, waits))
            });
        }
        // Those that fail let go of their end too.
        drop(ready);
        while readies.recv().await.is_some() {}
        let _ = writeln!(std::io::stdout(), "connected");
        tokio::time::sleep(Duration::from_millis(1_500)).await;
        let cpu = cpu_us();
        start.send_replace(Some(Instant::now() + Duration::from_millis(100)));
        let (mut records, mut waits, mut lost) = (0, Vec::new(), 0);
        while let Some(done) = tasks.join_next().await {
            match done? {
                Some((acked, mut w)) => {
                    records += acked;
                    waits.append(&mut w);
                }
                None => lost += 1,
            }
        }
        waits.sort_unstable();
        let at = |p: f64| waits.get(((waits.len() as f64 * p) as usize).min(waits.len().saturating_sub(1))).map_or(0.0, |us| *us as f64 / 1e3);
        let _ = writeln!(
            std::io::stdout(),
            "{} frames acked; ack p50 {:.1} ms, p99 {:.1}, p99.9 {:.1}; {lost} clients lost; client: {:.2} us CPU a frame",
            records * frames,
            at(0.5),
            at(0.99),
            at(0.999),
            (cpu_us() - cpu) as f64 / (records * frames) as f64,
        );
        Ok(())
    })
}

fn endpoint() -> Result<quinn::Endpoint, Box<dyn std::error::Error>> {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut endpoint = quinn::Endpoint::client(([127, 0, 0, 1], 0).into())?;
    let mut config = quinn::ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls)?));
    let mut transport = quinn::TransportConfig::default();
    transport.keep_alive_interval(Some(Duration::from_secs(5)));
    config.transport_config(Arc::new(transport));
    endpoint.set_default_client_config(config);
    Ok(endpoint)
}

/// Of this process: user and system time, µs.
fn cpu_us() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    // Fields 14 and 15 of proc(5), in ticks of 10 ms.
    after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum::<u64>() * 10_000
}

/// How often threads of this process went to sleep.
fn switches() -> u64 {
    let of = |path: std::path::PathBuf| {
        let status = std::fs::read_to_string(path.join("status")).unwrap_or_default();
        status.lines().find_map(|l| l.strip_prefix("voluntary_ctxt_switches:")).and_then(|n| n.trim().parse::<u64>().ok()).unwrap_or(0)
    };
    std::fs::read_dir("/proc/self/task").map_or(0, |tasks| tasks.flatten().map(|t| of(t.path())).sum())
}

fn rss_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    status.lines().find_map(|l| l.strip_prefix("VmRSS:")).and_then(|l| l.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &rustls::pki_types::ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
