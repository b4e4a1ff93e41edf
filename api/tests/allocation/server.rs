//! A running API on stores that hold any laps, and what an answer took.

use std::net::SocketAddr;
use std::sync::Arc;

use boxbox_api::{Api, Config, Stores};
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::grant::Authority;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{Checkpoint, Lap, SessionInfo, Span};
use boxbox_schemas::{DriverId, LogId, RunId, SessionId, Source, StreamKey, TenantId};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, ArchiveBlock, FrameRun, Leagues, Lease, Sessions, Step, Steps};
use boxbox_testkit::frames::{payload, source};
use boxbox_testkit::laps;
use boxbox_testkit::wait::PATIENCE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::counting;

/// A results store as a processor and as a reader see it.
pub(super) trait ResultsStore: Steps + Sessions + Leagues {}
impl<T: Steps + Sessions + Leagues> ResultsStore for T {}

/// An API with its stores.
pub(crate) struct Server {
    pub(crate) name: &'static str,
    addr: SocketAddr,
    results: Arc<dyn ResultsStore>,
    archive: Arc<dyn Archive>,
    lease: Lease,
    /// Sessions so far: each is another, and so is its place in the log.
    sessions: u32,
    _authority: watch::Sender<Arc<Authority>>,
    _stop: DropGuard,
    _folder: Option<tempfile::TempDir>,
}

/// A lap as it is stored, and its frames.
#[derive(Clone, Debug)]
pub(crate) struct Driven {
    pub(crate) start_us: i64,
    pub(crate) end_us: i64,
    pub(crate) frames: Vec<CarFrame>,
    /// Frames that the archive does not have.
    pub(crate) missing: u32,
}

/// What an answer was.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    /// The most that the process had at once while it was made, beyond what it had before, bytes.
    pub(crate) most: usize,
    /// Bytes that came.
    pub(crate) bytes: usize,
}

impl Server {
    /// On the reference of the stores, and on the embedded profile's.
    pub(crate) async fn both() -> [Self; 2] {
        let memory = Self::on("memory", Arc::new(MemoryResults::new()), Arc::new(MemoryArchive::new()), None).await;
        let folder = tempfile::tempdir().unwrap();
        let results = SqliteResults::open(&folder.path().join("results.db")).await.unwrap();
        let archive = SqliteArchive::open(&folder.path().join("archive.db")).await.unwrap();
        [memory, Self::on("embedded", Arc::new(results), Arc::new(archive), Some(folder)).await]
    }

    async fn on(name: &'static str, results: Arc<dyn ResultsStore>, archive: Arc<dyn Archive>, folder: Option<tempfile::TempDir>) -> Self {
        let (authority, watching) = watch::channel(Arc::new(Authority::default()));
        let stores = Stores { sessions: results.clone(), leagues: results.clone(), archive: archive.clone() };
        let api = Api::bind(Config::default(), Some(stores), None, watching, vec![], None).await.unwrap();
        let (addr, stop) = (api.local_addr(), CancellationToken::new());
        tokio::spawn(api.run(stop.clone()));
        let lease = results.acquire(&LogId("log".into()), 0).await.unwrap();
        Self { name, addr, results, archive, lease, sessions: 0, _authority: authority, _stop: stop.drop_guard(), _folder: folder }
    }

    /// One more session, with `laps` of entry `max` from number 1 on.
    pub(crate) async fn session(&mut self, meta: Option<SessionMeta>, laps: &[Driven]) -> SessionId {
        self.sessions += 1;
        let tenant = TenantId::new("local").unwrap();
        let source = Source { session_num: self.sessions, ..source(1) };
        let info = SessionInfo { meta, ..SessionInfo::opened(tenant, source, 0) };
        let stream = StreamKey { tenant, session: info.id, driver: DriverId::new("max").unwrap(), run: RunId([7; 16]) };
        let checkpoint = Checkpoint { log: LogId("log".into()), partition: 0, offset: self.sessions.into(), crc: 0 };
        let (mut runs, mut told, mut next) = (vec![], vec![], 0);
        for (lap, number) in laps.iter().zip(1..) {
            let first = next;
            next += lap.frames.len() as u64;
            if !lap.frames.is_empty() {
                runs.push(FrameRun::new(stream, first, payload(&lap.frames).into()).unwrap());
            }
            told.push(of(&stream, number, lap, (first, next)));
        }
        let step = Step { sessions: vec![info.clone()], laps: told, ..Step::new(checkpoint.clone()) };
        self.results.commit(&self.lease, &step).await.unwrap();
        let block = ArchiveBlock { checkpoint, received_at_us: 0, appended_at_us: 0, cursors: vec![(stream, next)], runs, records: vec![] };
        self.archive.append(&self.lease, &block).await.unwrap();
        info.id
    }

    /// One more session with `count` laps of 100 entries, without frames, with as many numbers as laps have.
    pub(crate) async fn laps(&mut self, count: u32, meta: Option<SessionMeta>) -> SessionId {
        const ENTRIES: u32 = 100;
        self.sessions += 1;
        let tenant = TenantId::new("local").unwrap();
        let info = SessionInfo { meta, ..SessionInfo::opened(tenant, Source { session_num: self.sessions, ..source(1) }, 0) };
        let lap = |n: u32| {
            let (driver, number) = (DriverId::new(&format!("driver-{}", n % ENTRIES)).unwrap(), n / ENTRIES + 1);
            let start_us = i64::from(number) * 90_000_000 + i64::from(n % ENTRIES) * 1_000;
            Lap {
                sectors_us: vec![30_000_000; 3],
                loops_us: (0..19).map(|n| n * 4_500_000).collect(),
                spans: vec![Span { driver, run: RunId([7; 16]), first_seq: u64::from(n), next_seq: u64::from(n) + 1 }],
                ..laps::lap(info.id, driver, RunId([7; 16]), number, start_us, start_us + 90_000_000)
            }
        };
        let all: Vec<u32> = (0..count).collect();
        for some in all.chunks(5_000) {
            let checkpoint = Checkpoint { log: LogId("log".into()), partition: 0, offset: self.sessions.into(), crc: 0 };
            let step = Step { sessions: vec![info.clone()], laps: some.iter().map(|n| lap(*n)).collect(), ..Step::new(checkpoint) };
            self.results.commit(&self.lease, &step).await.unwrap();
        }
        info.id
    }

    /// The body of an answer.
    pub(crate) async fn body(&self, path: &str) -> Vec<u8> {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        stream.write_all(self.request("GET", path).as_bytes()).await.unwrap();
        let mut all = vec![];
        stream.read_to_end(&mut all).await.unwrap();
        let head = all.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
        all.split_off(head + 4)
    }

    /// The status of an answer of which nothing more is read while the connection is held.
    pub(crate) async fn begin(&self, path: &str) -> (u16, TcpStream) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(8_192).unwrap();
        let mut stream = socket.connect(self.addr).await.unwrap();
        stream.write_all(self.request("GET", path).as_bytes()).await.unwrap();
        let mut head = [0; 12];
        tokio::time::timeout(PATIENCE, stream.read_exact(&mut head)).await.unwrap().unwrap();
        (std::str::from_utf8(&head[9..]).unwrap().parse().unwrap(), stream)
    }

    fn request(&self, method: &str, path: &str) -> String {
        // The header is what marks a request that changes something as one that no web page sends.
        format!("{method} {path} HTTP/1.1\r\nHost: {}\r\nX-Boxbox: 1\r\nConnection: close\r\n\r\n", self.addr)
    }

    /// What `GET path` is answered with, and what that took.
    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path).await
    }

    /// The same for any method.
    pub(crate) async fn ask(&self, method: &str, path: &str) -> Answer {
        self.exchange(path, self.request(method, path).into_bytes()).await
    }

    /// What a body that is posted is answered with, and what that took.
    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Answer {
        let head =
            format!("POST {path} HTTP/1.1\r\nHost: {}\r\nX-Boxbox: 1\r\nConnection: close\r\nContent-Length: {}\r\n\r\n", self.addr, body.len());
        self.exchange(path, [head.as_bytes(), body].concat()).await
    }

    async fn exchange(&self, path: &str, request: Vec<u8>) -> Answer {
        let mut piece = vec![0; 1 << 16];
        let exchange = async {
            let counted = counting::begin();
            let mut stream = TcpStream::connect(self.addr).await.unwrap();
            stream.write_all(&request).await.unwrap();
            let (mut status, mut bytes) = (None, 0);
            // Not kept, so that only what the API has is counted.
            while let got @ 1.. = stream.read(&mut piece).await.unwrap() {
                let head = std::str::from_utf8(&piece[..got.min(12)]).unwrap_or_default();
                status = status.or_else(|| head.strip_prefix("HTTP/1.1 ")?.parse().ok());
                bytes += got;
            }
            Answer { status: status.unwrap(), most: counted.most(), bytes }
        };
        tokio::time::timeout(PATIENCE, exchange).await.unwrap_or_else(|_| panic!("no answer to {path}"))
    }
}

fn of(stream: &StreamKey, number: u32, lap: &Driven, (first_seq, next_seq): (u64, u64)) -> Lap {
    Lap {
        frames: lap.frames.len() as u32 + lap.missing,
        spans: vec![Span { driver: stream.driver, run: stream.run, first_seq, next_seq }],
        ..laps::lap(stream.session, stream.driver, stream.run, number, lap.start_us, lap.end_us)
    }
}
