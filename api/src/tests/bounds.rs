//! What the API puts up with: slow, silent, greedy and too many clients; a busy port; a stop.

use std::time::Instant;

use boxbox_schemas::results::{AnyRow, CarNow, RowKind};
use boxbox_store::{BestLaps, LapFilter, StoreError};

use super::*;
use crate::ApiError;

fn impatient() -> Config {
    Config { header_timeout: Duration::from_millis(400), write_timeout: Duration::from_millis(400), ..Config::default() }
}

/// Reads until the server closes; says how long that took and what came.
async fn until_closed(mut stream: TcpStream) -> (Duration, Vec<u8>) {
    let began = Instant::now();
    let mut all = vec![];
    // A reset is a close too.
    let _ = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut all)).await.expect("the server closes it");
    (began.elapsed(), all)
}

#[tokio::test]
async fn slow_senders_are_cut_off_and_hold_nobody_up() {
    let server = Server::with(impatient(), vec![]).await;
    let mut slow = vec![];
    for _ in 0..200 {
        let began = Instant::now();
        let mut stream = TcpStream::connect(server.addr).await.unwrap();
        slow.push(tokio::spawn(async move {
            // A head that never ends, a byte at a time.
            for byte in b"GET /livez HTTP/1.1\r\nX-Slow: ".iter().chain(std::iter::repeat(&b'a')) {
                if stream.write_all(&[*byte]).await.is_err() {
                    return began.elapsed();
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
                assert!(began.elapsed() < PATIENCE, "never cut off");
            }
            unreachable!("the head never ends")
        }));
    }
    while slow.iter().any(|s| !s.is_finished()) {
        assert_eq!(server.get("/livez").await.status, 200);
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    for s in slow {
        assert!(s.await.unwrap() >= impatient().header_timeout, "cut off before its time");
    }
}

#[tokio::test]
async fn silent_and_idle_connections_are_closed() {
    let server = Server::with(impatient(), vec![]).await;
    until_closed(TcpStream::connect(server.addr).await.unwrap()).await;
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    for _ in 0..3 {
        idle.write_all(format!("GET /livez HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr).as_bytes()).await.unwrap();
        let mut head = [0; 12];
        idle.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200", "a connection serves many requests");
        let mut rest = vec![0; 4096];
        let _ = idle.read(&mut rest).await.unwrap();
    }
    until_closed(idle).await;
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_cut_off() {
    let server = Server::with(impatient(), vec![]).await;
    let home = session("local", 1);
    let long = Lap { spans: vec![Span { next_seq: 20_000, ..lap(&home, 1).spans[0] }], ..lap(&home, 1) };
    server.fill(&home, vec![long]).await;
    server.archive(&home, 0, 20_000).await;
    let path = format!("/api/v1/sessions/{}/laps/max/1/trace", home.id);
    let one = server.get(&path).await.body.len();

    let mut greedy = TcpStream::connect(server.addr).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\n\r\n", server.addr);
    let many = 60;
    greedy.write_all(request.repeat(many).as_bytes()).await.unwrap();
    // Nothing is read for long enough that the server must have given up, whatever the system's buffers take.
    tokio::time::sleep(Duration::from_secs(4)).await;
    let (_, got) = until_closed(greedy).await;
    assert!(got.len() < many * one, "{} of {} bytes: it was not cut off", got.len(), many * one);
    assert_eq!(server.get("/livez").await.status, 200);
}

#[tokio::test]
async fn one_connection_too_many_takes_the_place_of_the_one_that_is_idle_longest() {
    let server = Server::with(Config { max_connections: 2, header_timeout: PATIENCE * 2, ..impatient() }, vec![]).await;
    let [first, mut second] = [TcpStream::connect(server.addr).await.unwrap(), TcpStream::connect(server.addr).await.unwrap()];
    // So that both are accepted.
    second.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    second.read_exact(&mut [0; 12]).await.unwrap();
    assert_eq!(server.get("/livez").await.status, 200, "served at once");
    until_closed(first).await;
    second.write_all(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n").await.unwrap();
    let mut rest = [0; 4096];
    while tokio::time::timeout(PATIENCE, second.read(&mut rest)).await.unwrap().unwrap() > 0 {
        if rest.windows(12).any(|piece| piece == b"HTTP/1.1 200") {
            return;
        }
    }
    panic!("the other one was closed too");
}

#[tokio::test]
async fn a_head_that_is_too_long_is_refused() {
    let server = Server::start().await;
    let answer = server.ask("GET", "/livez", &[("X-Long", &"x".repeat(40_000))]).await;
    assert_eq!(answer.status, 431);
}

fn empty() -> Stores {
    Stores { sessions: Arc::new(MemoryResults::new()), leagues: Arc::new(MemoryResults::new()), archive: Arc::new(MemoryArchive::new()) }
}

#[tokio::test]
async fn a_busy_port_is_said_plainly() {
    let server = Server::start().await;
    let (_keep, authority) = watch::channel(Arc::new(Authority::default()));
    let config = Config { listen: server.addr, ..Config::default() };
    let again = Api::bind(config, Some(empty()), None, authority.clone(), vec![], None).await;
    let e = again.err().unwrap();
    assert!(matches!(e, ApiError::Busy(addr) if addr == server.addr));
    assert!(e.to_string().contains("in use") && e.to_string().contains("--api-port"), "{e}");
    // An address that is not this machine's (TEST-NET-1, RFC 5737).
    let config = Config { listen: ([192, 0, 2, 1], 0).into(), ..Config::default() };
    let e = Api::bind(config, Some(empty()), None, authority, vec![], None).await.err().unwrap();
    assert!(matches!(e, ApiError::Listen { .. }), "{e}");
}

#[tokio::test]
async fn a_stop_lets_answers_end_and_takes_no_more() {
    let results = MemoryResults::new();
    let entered = Arc::new(tokio::sync::Notify::new());
    let slow = Slow { inner: results.clone(), entered: entered.clone(), pause: Duration::from_millis(300) };
    let server = Arc::new(Server::on(Config::default(), vec![], results, Arc::new(slow)).await);
    let mut idle = TcpStream::connect(server.addr).await.unwrap();
    let asked = tokio::spawn({
        let server = server.clone();
        async move { server.get("/api/v1/sessions").await.status }
    });
    entered.notified().await;
    server.stop.cancel();
    assert_eq!(tokio::time::timeout(PATIENCE, asked).await.unwrap().unwrap(), 200, "what was asked before is answered");
    let mut nothing = vec![];
    tokio::time::timeout(PATIENCE, idle.read_to_end(&mut nothing)).await.expect("idle connections are closed").unwrap();
    let refused = tokio::time::timeout(PATIENCE, async { while TcpStream::connect(server.addr).await.is_ok() {} }).await;
    assert!(refused.is_ok(), "still accepting");
}

/// A store that takes its time for a list of sessions or of laps.
pub(super) struct Slow {
    pub(super) inner: MemoryResults,
    pub(super) entered: Arc<tokio::sync::Notify>,
    pub(super) pause: Duration,
}

#[async_trait::async_trait]
impl Sessions for Slow {
    async fn sessions(&self, tenant: &TenantId, after: Option<boxbox_store::SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError> {
        self.entered.notify_one();
        tokio::time::sleep(self.pause).await;
        self.inner.sessions(tenant, after, limit).await
    }
    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError> {
        self.inner.session(tenant, session).await
    }
    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError> {
        self.inner.laps_at(tenant, session, at_us).await
    }
    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, of: BestLaps) -> Result<Vec<Lap>, StoreError> {
        self.inner.best_laps(tenant, session, of).await
    }
    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError> {
        self.inner.cars(tenant, session).await
    }
    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError> {
        tokio::time::sleep(self.pause).await;
        self.inner.laps(tenant, session, filter, after, limit).await
    }
    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError> {
        self.inner.lap(tenant, session, entry, number).await
    }
    async fn rows(&self, tenant: &TenantId, session: &SessionId, kind: RowKind) -> Result<Vec<AnyRow>, StoreError> {
        self.inner.rows(tenant, session, kind).await
    }
    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError> {
        self.inner.ledgers(tenant, session).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}
