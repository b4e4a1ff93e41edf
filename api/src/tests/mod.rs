//! The API over real sockets, on the stores' reference.

mod access;
mod bounds;
mod close;
mod compare;
mod data;
mod document;
mod errors;
mod exclude;
mod kept;
mod league_acts;
mod league_entries;
mod league_texts;
mod leagues;
mod operators;
mod page;
mod places;
mod timing;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use boxbox_log::Log;
use boxbox_log::memory::MemoryLog;
use boxbox_schemas::frame::{CarFrame, Presence};
use boxbox_schemas::grant::{Ability, Authority, Grant, SigningKey};
use boxbox_schemas::results::{Checkpoint, Lap, Ledger, Reasons, SessionInfo, Span, Tags};
use boxbox_schemas::{DriverId, EntryId, GrantId, LogId, RunId, SessionId, Sim, Source, StreamKey, TenantId};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Archive, ArchiveBlock, FrameRun, Lease, Sessions, Step, Steps, StreamState};
use boxbox_testkit::frames::payload;
use boxbox_testkit::laps;
use boxbox_testkit::wait::PATIENCE;
use metrics_exporter_prometheus::{PrometheusBuilder, PrometheusHandle};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::{Api, Check, Config, Stores};

/// A running API with its stores.
struct Server {
    addr: SocketAddr,
    probes: Option<SocketAddr>,
    results: MemoryResults,
    archive: MemoryArchive,
    log: MemoryLog,
    key: SigningKey,
    authority: watch::Sender<Arc<Authority>>,
    stop: CancellationToken,
    _stop: DropGuard,
}

impl Server {
    async fn start() -> Self {
        Self::with(Config::default(), vec![]).await
    }

    async fn with(config: Config, checks: Vec<Check>) -> Self {
        let results = MemoryResults::new();
        Self::on(config, checks, results.clone(), Arc::new(results)).await
    }

    async fn on(config: Config, checks: Vec<Check>, memory: MemoryResults, sessions: Arc<dyn Sessions>) -> Self {
        let (archive, key) = (MemoryArchive::new(), SigningKey::generate().unwrap());
        let (authority, watching) = watch::channel(Arc::new(Authority::new([key.public()], [])));
        let log = MemoryLog::new(3);
        let written = Some(Arc::new(log.clone()) as Arc<dyn Log>);
        let leagues = Arc::new(memory.clone());
        let stores = Stores { sessions, leagues, archive: Arc::new(archive.clone()) };
        let api = Api::bind(config, Some(stores), written, watching, checks, Some(prometheus().into())).await.unwrap();
        let addr = SocketAddr::from(([127, 0, 0, 1], api.local_addr().port()));
        let (probes, stop) = (api.probe_addr(), CancellationToken::new());
        tokio::spawn(api.run(stop.clone()));
        Self { addr, probes, results: memory, archive, log, key, authority, _stop: stop.clone().drop_guard(), stop }
    }

    /// A token with these abilities for a tenant.
    fn grant(&self, tenant: &str, abilities: &[Ability]) -> String {
        self.sign(&grant(tenant, abilities))
    }

    fn sign(&self, grant: &Grant) -> String {
        self.key.sign(grant).unwrap()
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[]).await
    }

    async fn get_as(&self, token: &str, path: &str) -> Answer {
        self.ask("GET", path, &[("Authorization", &format!("Bearer {token}"))]).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Answer {
        let host = if headers.iter().any(|(name, _)| *name == "Host") { String::new() } else { format!("Host: {}\r\n", self.addr) };
        let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
        self.raw(&format!("{method} {path} HTTP/1.1\r\n{host}{headers}Connection: close\r\n\r\n")).await
    }

    async fn raw(&self, request: &str) -> Answer {
        let exchange = async {
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut answer = vec![];
            stream.read_to_end(&mut answer).await.unwrap();
            Answer::parse(&answer)
        };
        tokio::time::timeout(PATIENCE, exchange).await.expect("an answer")
    }

    /// Put `laps` and all that belongs to them into the stores.
    async fn fill(&self, session: &SessionInfo, laps: Vec<Lap>) {
        let lease = self.results.acquire(&log(), 0).await.unwrap();
        let ledger = Ledger { expected: 110, admitted: 100, car_frames: 90, gap: 7, void: vec![("range".into(), 3)], ..Ledger::new(stream(session)) };
        let step = Step {
            streams: vec![StreamState { ledger, race: Default::default(), now: None, field: vec![] }],
            sessions: vec![session.clone()],
            laps,
            ..empty_step()
        };
        self.results.commit(&lease, &step).await.unwrap();
    }

    /// Archive frames `first..next` of the session's stream, 10 ms apart from session time 0.
    async fn archive(&self, session: &SessionInfo, first: u64, next: u64) {
        self.archive_frames(session, first, &frames(first, next)).await;
    }

    /// Archives these frames, of which the first has the sequence number `first`.
    async fn archive_frames(&self, session: &SessionInfo, first: u64, frames: &[CarFrame]) {
        let next = first + frames.len() as u64;
        let run = FrameRun::new(stream(session), first, payload(frames).into()).unwrap();
        let checkpoint = Checkpoint { log: log(), partition: 0, offset: next, crc: 0 };
        let lease = Lease { log: log(), partition: 0, epoch: 1 };
        self.archive
            .append(
                &lease,
                &ArchiveBlock {
                    checkpoint,
                    received_at_us: 0,
                    appended_at_us: 0,
                    cursors: vec![(stream(session), next)],
                    runs: vec![run],
                    records: vec![],
                },
            )
            .await
            .unwrap();
    }
}

/// An HTTP answer.
struct Answer {
    status: u16,
    head: String,
    body: String,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Self {
        let text = String::from_utf8(bytes.to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        Self { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }

    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.split_once(": ").filter(|(n, _)| *n == name).map(|(_, v)| v))
    }

    fn json(&self) -> Value {
        assert_eq!((self.status, self.header("content-type")), (200, Some("application/json")), "{}", self.body);
        serde_json::from_str(&self.body).unwrap()
    }

    /// Checks that it is a whole problem document of this status and code.
    #[track_caller]
    fn problem(&self, status: u16, code: &str) -> Value {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{} {}", self.status, self.body);
        let body: Value = serde_json::from_str(&self.body).unwrap();
        assert_eq!((self.status, body["status"].as_u64(), body["code"].as_str()), (status, Some(status.into()), Some(code)), "{body}");
        assert!(body["type"].is_string() && body["title"].is_string() && body["detail"].as_str().is_some_and(|d| d.len() > 10), "{body}");
        body
    }
}

/// One recorder for all tests of the process, as in the product.
fn prometheus() -> PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| PrometheusBuilder::new().install_recorder().unwrap()).clone()
}

fn grant(tenant: &str, abilities: &[Ability]) -> Grant {
    let (tenant, driver) = (TenantId::new(tenant).unwrap(), DriverId::new("reader").unwrap());
    Grant { id: GrantId([5; 16]), tenant, driver, abilities: abilities.iter().copied().collect(), event: None, expires: i64::MAX }
}

fn log() -> LogId {
    LogId("log".into())
}

fn empty_step() -> Step {
    let checkpoint = Checkpoint { log: log(), partition: 0, offset: 1, crc: 0 };
    Step::new(checkpoint)
}

fn session(tenant: &str, n: u32) -> SessionInfo {
    let tenant = TenantId::new(tenant).unwrap();
    let source = Source { sim: Sim::IRACING, id: 0xabc, session_num: n };
    SessionInfo { updated_at_us: 2_000, sim_time_us: 3_000, ..SessionInfo::opened(tenant, source, 1_000 + i64::from(n / 4)) }
}

fn stream(session: &SessionInfo) -> StreamKey {
    StreamKey { tenant: session.tenant, session: session.id, driver: DriverId::new("max").unwrap(), run: RunId([7; 16]) }
}

/// A lap of entry `max`, 1 s long, from frame 100 × `number` on.
fn lap(session: &SessionInfo, number: u32) -> Lap {
    let stream = stream(session);
    let first_seq = u64::from(number) * 100;
    let start_us = i64::from(number) * 1_000_000;
    Lap {
        revision: 2,
        sectors_us: vec![400_000, 600_000],
        reasons: Reasons::IN_LAP.with(Reasons::OFF_TRACK),
        tags: Tags::HAD_YELLOW,
        spans: vec![Span { driver: stream.driver, run: stream.run, first_seq, next_seq: first_seq + 100 }],
        ..laps::lap(session.id, stream.driver, stream.run, number, start_us, start_us + 1_000_000)
    }
}

/// A lap from `start_us` to `end_us`, for what needs no more of it.
pub(crate) fn plain_lap(start_us: i64, end_us: i64) -> Lap {
    Lap { start_us, end_us, time_us: end_us - start_us, ..lap(&session("local", 1), 1) }
}

fn frames(first: u64, next: u64) -> Vec<CarFrame> {
    (first..next)
        .map(|seq| {
            let presence = Presence::SPEED
                .with(Presence::GEAR)
                .with(Presence::LAP_PCT)
                .with(Presence::LAP_DIST)
                .with(Presence::LAT_LON)
                .with(if seq % 2 == 0 { Presence::BRAKE } else { Presence(0) });
            CarFrame {
                tick: seq as u32,
                sim_time_us: seq as i64 * 10_000,
                presence,
                speed_mps: seq as f32 / 8.0,
                lap_pct: (seq % 100) as f64 / 100.0,
                lap_dist_m: (seq % 100) as f32 * 10.0,
                lat_deg: -38.5 + (seq % 100) as f64 * 1e-4,
                lon_deg: 145.2,
                gear: -1,
                brake: 0.25,
                ..CarFrame::default()
            }
        })
        .collect()
}
