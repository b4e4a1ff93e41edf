//! A client that speaks the wire by hand, so that it can also get everything wrong.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::event::EventFrame;
use boxbox_schemas::frame::CarFrame;
use boxbox_schemas::record::{Kind, Prelude};
use boxbox_schemas::wire::{ALPN, CloseCode, Control, Hello, Notice, StreamHead, Welcome};
use boxbox_schemas::{RunId, Source};
use boxbox_testkit::frames::{self, sealed, source};
use boxbox_testkit::wait::PATIENCE;
use bytes::{Bytes, BytesMut};
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, RecvStream, SendStream, TransportConfig, VarInt};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};

use crate::world::rand;

/// How a connection ended.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Closed {
    pub(crate) code: CloseCode,
    pub(crate) reason: String,
}

pub(crate) struct Client {
    _endpoint: Endpoint,
    pub(crate) connection: Connection,
    pub(crate) control: SendStream,
    acks: RecvStream,
    buffer: BytesMut,
    pub(crate) welcome: Welcome,
    /// All notices so far.
    pub(crate) notices: Vec<Notice>,
    /// The last ack of each stream number.
    pub(crate) acked: std::collections::HashMap<u32, u64>,
}

/// A data stream and the records for it.
pub(crate) struct Stream {
    pub(crate) send: SendStream,
    pub(crate) head: StreamHead,
    /// Next sequence number.
    pub(crate) next: u64,
    pub(crate) base: u64,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr, token: &str) -> Result<Self, Closed> {
        Self::connect_with(address, token, |_| {}).await
    }

    pub(crate) async fn connect_with(address: SocketAddr, token: &str, tweak: impl FnOnce(&mut TransportConfig)) -> Result<Self, Closed> {
        let (endpoint, connection) = raw(address, tweak).await.map_err(closed)?;
        let (mut control, acks) = connection.open_bi().await.map_err(closed)?;
        let mut hello = BytesMut::new();
        Control::Hello(Hello { grant: token.into(), agent: "test/1".into() }).encode(&mut hello);
        if control.write_all(&hello).await.is_err() {
            return Err(closed(connection.closed().await));
        }
        let welcome = Welcome { edge: String::new(), max_streams: 0, max_record_bytes: 0, max_unacked_bytes: 0, reports_every_ms: None };
        let mut client =
            Self { _endpoint: endpoint, connection, control, acks, buffer: BytesMut::new(), welcome, notices: Vec::new(), acked: Default::default() };
        match client.next().await {
            Some(Control::Welcome(welcome)) => client.welcome = welcome,
            Some(other) => panic!("{other:?} instead of a welcome"),
            None => return Err(client.closed().await),
        }
        Ok(client)
    }

    /// The next control message; `None` when the connection has ended.
    pub(crate) async fn next(&mut self) -> Option<Control> {
        loop {
            if let Some(message) = Control::decode(&mut self.buffer).unwrap() {
                match &message {
                    Control::Notice(notice) => self.notices.push(notice.clone()),
                    Control::Ack { stream, next } => {
                        let before = self.acked.insert(*stream, *next).unwrap_or(0);
                        assert!(*next > before, "acks rise");
                    }
                    _ => {}
                }
                return Some(message);
            }
            let chunk = tokio::time::timeout(PATIENCE, self.acks.read_chunk(usize::MAX, true)).await.expect("the edge says something");
            // The close is the one end: a control stream that was finished first would hide the code.
            self.buffer.extend_from_slice(&chunk.ok()?.expect("the edge never finishes its control stream").bytes);
        }
    }

    /// Read until `stream` is acked up to `next`.
    pub(crate) async fn acked(&mut self, stream: &Stream, next: u64) {
        while self.acked.get(&stream.head.stream).is_none_or(|acked| *acked < next) {
            assert!(self.next().await.is_some(), "closed before the ack of {next}: {:?}", self.connection.close_reason());
        }
    }

    /// Read until a notice comes.
    pub(crate) async fn notice(&mut self) -> Notice {
        loop {
            match self.next().await {
                Some(Control::Notice(notice)) => return notice,
                Some(_) => {}
                None => panic!("closed before a notice: {:?}", self.connection.close_reason()),
            }
        }
    }

    /// Read to the end, then say how it ended.
    pub(crate) async fn closed(&mut self) -> Closed {
        while self.next().await.is_some() {}
        closed(tokio::time::timeout(PATIENCE, self.connection.closed()).await.expect("the edge closes the connection"))
    }

    pub(crate) async fn open(&self, number: u32) -> Stream {
        self.open_as(number, RunId(rand()), source(1)).await
    }

    pub(crate) async fn open_as(&self, number: u32, run: RunId, source: Source) -> Stream {
        let mut send = tokio::time::timeout(PATIENCE, self.connection.open_uni()).await.expect("a stream is granted").unwrap();
        let head = StreamHead { stream: number, run, source };
        send.write_all(&head.encode()).await.unwrap();
        Stream { send, head, next: 0, base: 0 }
    }
}

impl Stream {
    /// The next record: `frames` car frames.
    pub(crate) fn record(&mut self, frames: u16) -> Bytes {
        let record = car_record(&self.head, self.next, frames, |_| {});
        self.next += u64::from(frames);
        record
    }

    /// Send bytes as one transmission. Errors are left to [`Client::closed`].
    pub(crate) async fn put(&mut self, record: &[u8]) {
        let mut whole = self.base.to_le_bytes().to_vec();
        whole.extend_from_slice(record);
        let _ = self.send.write_all(&whole).await;
    }

    /// The connection has ended: that, and not a stop of this stream alone, is what the client saw.
    pub(crate) async fn was_not_stopped(self) {
        let end = self.send.stopped().await;
        assert!(matches!(&end, Err(quinn::StoppedError::ConnectionLost(_)) | Ok(None)), "{end:?}");
    }

    /// Send the next record.
    pub(crate) async fn send(&mut self, frames: u16) -> Bytes {
        let record = self.record(frames);
        self.put(&record).await;
        record
    }
}

/// Car frames from `first` on, the tick equal to the sequence number, changed by `change`.
pub(crate) fn car_record(head: &StreamHead, first: u64, frames: u16, change: impl Fn(&mut CarFrame)) -> Bytes {
    let frames: Vec<CarFrame> = (first..first + u64::from(frames))
        .map(|seq| {
            let mut frame = frames::car(seq as u32, 0.5);
            change(&mut frame);
            frame
        })
        .collect();
    sealed(frames::prelude(Kind::CAR, head.run, head.source, first), &frames)
}

/// One event.
pub(crate) fn event_record(head: &StreamHead, first: u64) -> Bytes {
    sealed(frames::prelude(Kind::EVENT, head.run, head.source, first), &[EventFrame::default()])
}

pub(crate) fn prelude(head: &StreamHead, kind: Kind, first_seq: u64, count: u16) -> Prelude {
    Prelude { count, ..frames::prelude(kind, head.run, head.source, first_seq) }
}

/// A connection that has said nothing yet.
pub(crate) async fn raw(address: SocketAddr, tweak: impl FnOnce(&mut TransportConfig)) -> Result<(Endpoint, Connection), ConnectionError> {
    let mut tls = rustls::ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Anyone))
        .with_no_client_auth();
    tls.alpn_protocols = vec![ALPN.to_vec()];
    let mut transport = TransportConfig::default();
    transport.max_idle_timeout(Some(PATIENCE.try_into().unwrap())).keep_alive_interval(Some(Duration::from_secs(2)));
    tweak(&mut transport);
    let mut config = ClientConfig::new(Arc::new(QuicClientConfig::try_from(tls).unwrap()));
    config.transport_config(Arc::new(transport));
    let mut endpoint = Endpoint::client(([127, 0, 0, 1], 0).into()).unwrap();
    endpoint.set_default_client_config(config);
    let connection = endpoint.connect(address, "boxbox").unwrap().await?;
    Ok((endpoint, connection))
}

pub(crate) fn closed(e: ConnectionError) -> Closed {
    match e {
        ConnectionError::ApplicationClosed(close) => {
            Closed { code: CloseCode(VarInt::into_inner(close.error_code) as u32), reason: String::from_utf8_lossy(&close.reason).into_owned() }
        }
        other => panic!("not closed by the edge's application: {other}"),
    }
}

/// Pins are the real client's matter; here any server will do.
#[derive(Debug)]
struct Anyone;

impl ServerCertVerifier for Anyone {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(&self, _: &[u8], _: &CertificateDer<'_>, _: &DigitallySignedStruct) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        rustls::crypto::ring::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
