//! An edge that speaks the wire contract, keeps its log in memory, admits by E1, and breaks on request.
//!
//! It checks what a client owes on every connection (W5, W9, F3) and collects complaints instead of panicking in a task.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::connect::{ConnectString, Pin};
use boxbox_schemas::record::{Content, Kind, PRELUDE_BYTES, Record, check_length};
use boxbox_schemas::wire::{self, BASE_BYTES, CloseCode, Control, Notice, STREAM_HEAD_BYTES, StreamHead, Welcome};
use boxbox_schemas::{RunId, Source};
use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{Connection, Endpoint, Incoming, RecvStream, SendStream, VarInt};

/// What can go wrong. Probabilities are per record unless said.
#[derive(Clone, Debug, Default)]
pub struct Faults {
    /// Close the connection with one of the retryable codes.
    pub close: f64,
    /// Lose the record (it never reaches the log), then close with `retry`.
    pub lose: f64,
    /// Lose the record, log some behind it, ack none of them, then close: a log that lost one in its middle (W6).
    pub hole: f64,
    /// Log the record, but close before its ack.
    pub log_and_close: f64,
    /// Keep the record back, close, and log it later, when others may have come by another connection.
    pub zombie: f64,
    /// Ack later, ms at most.
    pub ack_delay_ms: u64,
    /// Send an ack that goes back.
    pub ack_regress: f64,
    /// Per connection: never ack.
    pub deaf: f64,
    /// Say `stalled` for some time before the ack.
    pub stall: f64,
    /// Stop reading for some milliseconds.
    pub pause: f64,
    /// Stop the stream alone.
    pub stop_stream: f64,
    /// Void the record's content.
    pub void: f64,
    /// Refuse car records whose first tick is a multiple of this, for their checksum, every time (0: never).
    pub poison_every: u32,
    /// Per connection: announce that it stops.
    pub go_away: f64,
    /// Per connection: close it before the welcome, with `busy`.
    pub busy: f64,
}

/// One stream, as the log's reader sees it.
#[derive(Default, Debug)]
pub struct Admitted {
    /// E1.
    pub next: u64,
    /// Ticks of admitted car frames.
    pub ticks: Vec<u32>,
    /// Ranges that gaps cover: first, next, reason.
    pub gaps: Vec<(u64, u64, u16)>,
    /// Ranges that are void.
    pub voids: Vec<(u64, u64)>,
    /// Holes, which a right client never makes.
    pub holes: Vec<(u64, u64)>,
    /// Kinds in order of admission, without gaps.
    pub kinds: Vec<Kind>,
    /// The highest ack that was ever sent.
    pub acked: u64,
    /// `end` was admitted.
    pub ended: bool,
    /// What each sequence number held when it first came, to prove that resending changes nothing.
    sent: HashMap<u64, Bytes>,
}

impl Admitted {
    fn raise(&mut self, acked: u64) {
        self.acked = self.acked.max(acked);
    }
}

pub type Name = (RunId, Source);

pub struct State {
    pub rng: fastrand::Rng,
    pub faults: Faults,
    pub streams: HashMap<Name, Admitted>,
    pub complaints: Vec<String>,
    pub connections: u32,
    pub open: u32,
    /// Which stream each logged record was of, in order.
    pub journal: Vec<Name>,
    /// Refuse hellos with this.
    pub refuse: Option<CloseCode>,
    pub max_streams: u32,
    pub max_unacked_bytes: u32,
}

pub struct FakeEdge {
    pub state: Arc<Mutex<State>>,
    pub connect: ConnectString,
}

/// A key pair and certificate, and the pin of it.
fn identity() -> (rustls::ServerConfig, Pin) {
    let certified = rcgen::generate_simple_self_signed(vec!["edge".into()]).unwrap();
    let pin = {
        use rcgen::PublicKeyData;
        let spki = certified.signing_key.subject_public_key_info();
        ring::digest::digest(&ring::digest::SHA256, &spki).as_ref().try_into().unwrap()
    };
    let key = rustls::pki_types::PrivatePkcs8KeyDer::from(certified.signing_key.serialize_der());
    let mut config = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certified.cert.der().clone()], key.into())
        .unwrap();
    config.alpn_protocols = vec![wire::ALPN.to_vec()];
    (config, pin)
}

impl FakeEdge {
    pub fn start(seed: u64, faults: Faults) -> Self {
        let (tls, pin) = identity();
        let crypto = QuicServerConfig::try_from(tls).unwrap();
        let mut config = quinn::ServerConfig::with_crypto(Arc::new(crypto));
        config.migration(false);
        let endpoint = Endpoint::server(config, SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
        let connect =
            ConnectString { grant: "v4.public.test".into(), host: "127.0.0.1".into(), port: endpoint.local_addr().unwrap().port(), pins: vec![pin] };
        let state = Arc::new(Mutex::new(State {
            rng: fastrand::Rng::with_seed(seed),
            faults,
            streams: HashMap::new(),
            complaints: vec![],
            connections: 0,
            open: 0,
            journal: vec![],
            refuse: None,
            max_streams: 4,
            max_unacked_bytes: 64 * 1024,
        }));
        tokio::spawn(accept(endpoint, state.clone()));
        Self { state, connect }
    }

    pub fn admitted<T>(&self, name: &Name, read: impl FnOnce(&Admitted) -> T) -> T {
        let mut state = self.state.lock();
        read(state.streams.entry(*name).or_default())
    }
}

async fn accept(endpoint: Endpoint, state: Arc<Mutex<State>>) {
    while let Some(incoming) = endpoint.accept().await {
        tokio::spawn(connection(incoming, state.clone()));
    }
}

/// What a connection's streams share.
struct Shared {
    state: Arc<Mutex<State>>,
    connection: Connection,
    control: tokio::sync::Mutex<SendStream>,
    deaf: bool,
    /// What was received and not acked, by stream number: the number after each record, and its bytes.
    unacked: Mutex<HashMap<u32, VecDeque<(u64, u64)>>>,
}

impl Shared {
    async fn tell(&self, message: Control) {
        let mut out = BytesMut::new();
        message.encode(&mut out);
        let _ = self.control.lock().await.write_all(&out).await;
    }
    fn close(&self, code: CloseCode, reason: &[u8]) {
        self.connection.close(VarInt::from_u32(code.0), reason);
    }
    fn chance(&self, p: impl Fn(&Faults) -> f64) -> bool {
        let mut state = self.state.lock();
        let p = p(&state.faults);
        state.rng.f64() < p
    }
    fn complain(&self, what: String) {
        self.state.lock().complaints.push(what);
    }
}

async fn connection(incoming: Incoming, state: Arc<Mutex<State>>) {
    let Ok(connection) = incoming.await else { return };
    let Ok((send, mut recv)) = connection.accept_bi().await else { return };
    let mut buffer = BytesMut::new();
    let hello = loop {
        match Control::decode(&mut buffer) {
            Ok(Some(Control::Hello(hello))) => break hello,
            Ok(None) => {}
            other => return state.lock().complaints.push(format!("no hello but {other:?}")),
        }
        let Ok(Some(chunk)) = recv.read_chunk(usize::MAX, true).await else { return };
        buffer.extend_from_slice(&chunk.bytes);
    };
    let (refuse, deaf, go_away, busy, welcome) = {
        let mut s = state.lock();
        s.connections += 1;
        if hello.grant != "v4.public.test" {
            s.complaints.push(format!("grant {}", hello.grant));
        }
        let (deaf, go_away, busy) = (s.rng.f64() < s.faults.deaf, s.rng.f64() < s.faults.go_away, s.rng.f64() < s.faults.busy);
        let welcome = Welcome {
            edge: "fake".into(),
            max_streams: s.max_streams,
            max_record_bytes: 32 * 1024,
            max_unacked_bytes: s.max_unacked_bytes,
            reports_every_ms: None,
        };
        (s.refuse, deaf, go_away, busy, welcome)
    };
    let shared = Arc::new(Shared { state, connection: connection.clone(), control: tokio::sync::Mutex::new(send), deaf, unacked: Mutex::default() });
    if let Some(code) = refuse {
        return shared.close(code, b"refused for a test");
    }
    if busy {
        return shared.close(CloseCode::BUSY, b"");
    }
    // QUIC's own credit enforces the limit: one stream more cannot even be opened.
    connection.set_max_concurrent_uni_streams(welcome.max_streams.into());
    shared.tell(Control::Welcome(welcome)).await;
    shared.state.lock().open += 1;
    if go_away {
        shared.tell(Control::Notice(Notice::GoAway { within_ms: 20 })).await;
    }
    while let Ok(stream) = connection.accept_uni().await {
        tokio::spawn(data(stream, shared.clone()));
    }
    shared.state.lock().open -= 1;
}

async fn data(mut stream: RecvStream, edge: Arc<Shared>) {
    let mut head = [0; STREAM_HEAD_BYTES];
    if stream.read_exact(&mut head).await.is_err() {
        return;
    }
    let Ok(head) = StreamHead::decode(&head) else { return edge.complain("bad stream head".into()) };
    let name = (head.run, head.source);
    let (mut base_before, mut expected) = (0, None);
    let mut behind_a_hole: Option<u32> = None;
    loop {
        let Some((base, record)) = transmission(&mut stream, &edge, &head).await else { return };
        let p = *record.prelude();
        let next = record.next_seq().unwrap();
        let start = expected.unwrap_or(base);
        if base < base_before || p.first_seq != start || (p.run, p.source) != name {
            return edge.complain(format!("W5: {name:?} base {base} after {base_before}, first {} where {start} was due", p.first_seq));
        }
        base_before = base;
        let acked = edge.state.lock().streams.entry(name).or_default().acked;
        if base > acked {
            return edge.complain(format!("W5: {name:?} base {base}, but only {acked} was ever acked"));
        }
        match &mut behind_a_hole {
            Some(0) => return edge.close(CloseCode::RETRY, b"the log lost one"),
            Some(more) => *more -= 1,
            None => {}
        }
        if behind_a_hole.is_some() {
            expected = Some(next);
            edge.state.lock().log(name, base, &record, false);
            continue;
        }
        if edge.chance(|f| f.hole) {
            (behind_a_hole, expected) = (Some(3), Some(next));
            continue;
        }
        if edge.chance(|f| f.pause) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if edge.chance(|f| f.stop_stream) {
            let _ = stream.stop(7u8.into());
            return;
        }
        if edge.chance(|f| f.close) {
            let codes = [CloseCode::RETRY, CloseCode::GOING_AWAY, CloseCode::BUSY, CloseCode::SLOW_READER, CloseCode(777)];
            let code = codes[edge.state.lock().rng.usize(..codes.len())];
            return edge.close(code, b"a fault");
        }
        if edge.chance(|f| f.lose) {
            return edge.close(CloseCode::RETRY, b"the log failed");
        }
        let poison = edge.state.lock().faults.poison_every;
        if let (Ok(Content::Car(frames)), true) = (record.content(), poison > 0) {
            let tick = frames.iter().next().unwrap().unwrap().tick.to_native();
            if tick.is_multiple_of(poison) {
                let refused = Notice::Refused { stream: head.stream, code: "crc".into(), expected: start, detail: "a test".into() };
                if edge.state.lock().rng.bool() {
                    edge.tell(Control::Notice(refused.clone())).await;
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    return edge.close(CloseCode::CRC, b"by notice");
                }
                return edge.close(CloseCode::CRC, &refused.close_reason());
            }
        }
        if edge.chance(|f| f.zombie) {
            let (state, delay) = (edge.state.clone(), Duration::from_millis(edge.state.lock().rng.u64(..60)));
            tokio::spawn(async move {
                tokio::time::sleep(delay).await;
                state.lock().log(name, base, &record, false);
            });
            return edge.close(CloseCode::RETRY, b"zombie");
        }
        let void = edge.chance(|f| f.void) || boxbox_schemas::check::record(&record).is_err();
        edge.state.lock().log(name, base, &record, void);
        if void {
            edge.tell(Control::Notice(Notice::Void { stream: head.stream, first: p.first_seq, next, reason: "range".into() })).await;
        }
        expected = Some(next);
        if edge.chance(|f| f.log_and_close) {
            return edge.close(CloseCode::RETRY, b"logged, not acked");
        }
        if !edge.deaf {
            let regress = edge.chance(|f| f.ack_regress);
            let stall = edge.chance(|f| f.stall);
            let delay = {
                let mut state = edge.state.lock();
                let longest = state.faults.ack_delay_ms;
                if longest == 0 { 0 } else { state.rng.u64(..longest) }
            };
            let edge = edge.clone();
            let ack = async move {
                if stall {
                    for _ in 0..6 {
                        edge.tell(Control::Notice(Notice::Stalled { stream: head.stream })).await;
                        tokio::time::sleep(Duration::from_millis(40)).await;
                    }
                }
                tokio::time::sleep(Duration::from_millis(delay)).await;
                // Delays differ, so acks overtake each other; they are cumulative.
                edge.unacked.lock().entry(head.stream).or_default().retain(|(n, _)| *n > next);
                edge.state.lock().streams.entry(name).or_default().raise(next);
                edge.tell(Control::Ack { stream: head.stream, next }).await;
                if regress {
                    edge.tell(Control::Ack { stream: head.stream, next: next.saturating_sub(7) }).await;
                }
            };
            if delay > 0 || stall { drop(tokio::spawn(ack)) } else { ack.await }
        }
    }
}

async fn transmission(stream: &mut RecvStream, edge: &Shared, head: &StreamHead) -> Option<(u64, Record)> {
    let mut base = [0; BASE_BYTES];
    stream.read_exact(&mut base).await.ok()?;
    let mut start = [0; PRELUDE_BYTES];
    stream.read_exact(&mut start).await.ok()?;
    let length = check_length(u32::from_le_bytes(start[..4].try_into().unwrap())).map_err(|e| edge.complain(e.to_string())).ok()?;
    let mut whole = start.to_vec();
    whole.resize(length, 0);
    stream.read_exact(&mut whole[PRELUDE_BYTES..]).await.ok()?;
    let record = Record::parse(whole.into()).map_err(|e| edge.complain(e.to_string())).ok()?;
    let mut unacked = edge.unacked.lock();
    let held = unacked.entry(head.stream).or_default();
    held.push_back((record.next_seq().unwrap(), (BASE_BYTES + length) as u64));
    let (records, held, max) = (held.len(), held.iter().map(|h| h.1).sum::<u64>(), u64::from(edge.state.lock().max_unacked_bytes));
    if held > max && records > 1 {
        edge.complain(format!("W9: {held} bytes unacked"));
    }
    Some((u64::from_le_bytes(base), record))
}

impl State {
    /// E1, in the words of design: hole, duplicate, drop, or process.
    fn log(&mut self, name: Name, base: u64, record: &Record, void: bool) {
        self.journal.push(name);
        let s = self.streams.entry(name).or_default();
        let (first, next) = (record.prelude().first_seq, record.next_seq().unwrap());
        if record.prelude().kind != Kind::GAP {
            let before = s.sent.entry(first).or_insert_with(|| record.bytes().clone());
            if before != record.bytes() {
                self.complaints.push(format!("F3: the record at {first} was sent with other bytes"));
            }
        }
        if base > s.next {
            s.holes.push((s.next, base));
            s.next = base;
        }
        if next <= s.next || first > s.next {
            return;
        }
        match record.content().unwrap() {
            _ if void => s.voids.push((s.next, next)),
            Content::Gap(gap) => s.gaps.push((s.next, next, gap.reason.0.to_native())),
            Content::Car(frames) => s.ticks.extend(frames.iter().skip((s.next - first) as usize).map(|f| f.unwrap().tick.to_native())),
            Content::End(_) => s.ended = true,
            _ => {}
        }
        if record.prelude().kind != Kind::GAP {
            s.kinds.push(record.prelude().kind);
        }
        s.next = next;
    }
}
