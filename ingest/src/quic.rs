//! The QUIC configuration and the socket of an edge: TLS 1.3 only, small windows, few streams, large socket buffers.

use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::wire::ALPN;
use quinn::crypto::rustls::QuicServerConfig;
use quinn::{EndpointConfig, ServerConfig, TransportConfig, VarInt};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use socket2::{Domain, Protocol, Socket, Type};
use tracing::{info, warn};

use crate::config::{Identity, Limits};
use crate::error::EdgeError;
use crate::metrics::EdgeMetrics;

/// Packets of new connections that wait for the accept loop; it is fast, so few suffice.
const INCOMING_MAX: usize = 1_024;
/// Bytes of one connection's packets before it is accepted: a hello may come with the handshake.
const INCOMING_BYTES: u64 = 64 * 1024;
/// The same limit for all connections together.
const INCOMING_BYTES_TOTAL: u64 = 16 << 20;
/// How long the proof of address of a Retry is valid.
const RETRY_LIFETIME: Duration = Duration::from_secs(10);
/// Bytes of acks and notices that QUIC keeps until the client has acknowledged their packets.
const SEND_WINDOW_BYTES: u64 = 128 * 1024;
/// Bytes that a client may send before its hello is accepted.
const WINDOW_BEFORE_HELLO_BYTES: u32 = 16 * 1024;
/// Largest UDP payload that is accepted: that of an Ethernet frame.
const DATAGRAM_MAX_BYTES: u16 = 1_472;
/// The client is asked for one QUIC acknowledgement for this many of our packets, most of which are acks themselves.
const CLIENT_ACKS_EVERY: u32 = 10;

/// The configuration for all connections of a socket.
pub(crate) fn endpoint_config() -> Result<EndpointConfig, EdgeError> {
    let mut endpoint = EndpointConfig::default();
    endpoint.max_udp_payload_size(DATAGRAM_MAX_BYTES).map_err(|e| EdgeError::Config(e.to_string()))?;
    Ok(endpoint)
}

/// The configuration of connections: TLS 1.3 only, small windows, no 0-RTT (early data can be replayed) and no tickets (a full handshake is cheap).
pub(crate) fn server_config(identity: &Identity, limits: &Limits) -> Result<ServerConfig, EdgeError> {
    let unusable = |e: &dyn std::fmt::Display| EdgeError::Identity(e.to_string());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(identity.private_key_pkcs8.clone()));
    let certificate = CertificateDer::from(identity.certificate_der.clone());
    let mut tls = rustls::ServerConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|e| unusable(&e))?
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .map_err(|e| unusable(&e))?;
    tls.alpn_protocols = vec![ALPN.to_vec()];
    tls.max_early_data_size = 0;
    tls.send_tls13_tickets = 0;
    let mut server = ServerConfig::with_crypto(Arc::new(QuicServerConfig::try_from(tls).map_err(|e| unusable(&e))?));
    server
        .transport_config(Arc::new(transport(limits)?))
        .migration(false)
        .max_incoming(INCOMING_MAX)
        .incoming_buffer_size(INCOMING_BYTES)
        .incoming_buffer_size_total(INCOMING_BYTES_TOTAL)
        .retry_token_lifetime(RETRY_LIFETIME);
    Ok(server)
}

fn transport(limits: &Limits) -> Result<TransportConfig, EdgeError> {
    let mut acks = quinn::AckFrequencyConfig::default();
    acks.ack_eliciting_threshold(VarInt::from_u32(CLIENT_ACKS_EVERY));
    let idle = limits.idle_timeout.try_into().map_err(|_| EdgeError::Config("idle_timeout is too long".into()))?;
    let mut transport = TransportConfig::default();
    transport
        .max_concurrent_bidi_streams(VarInt::from_u32(1))
        // None until the hello is accepted, then Limits::streams_per_connection.
        .max_concurrent_uni_streams(VarInt::from_u32(0))
        .stream_receive_window(VarInt::from_u32(limits.stream_unacked_bytes as u32))
        .receive_window(VarInt::from_u32(WINDOW_BEFORE_HELLO_BYTES))
        .send_window(SEND_WINDOW_BYTES)
        .send_fairness(false)
        .datagram_receive_buffer_size(None)
        .max_idle_timeout(Some(idle))
        .keep_alive_interval(None)
        .allow_spin(false)
        // An edge sends little; probing for larger packets would only cost packets.
        .mtu_discovery_config(None)
        .ack_frequency_config(Some(acks));
    Ok(transport)
}

/// Binds the socket, with buffers as large as asked for or as the system allows.
pub(crate) fn socket(address: SocketAddr, buffer_bytes: usize, metrics: &EdgeMetrics) -> Result<UdpSocket, EdgeError> {
    let failed = |source: std::io::Error| match source.kind() {
        std::io::ErrorKind::AddrInUse => EdgeError::Busy(address),
        _ => EdgeError::Socket { address, source },
    };
    let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP)).map_err(failed)?;
    if address.is_ipv6() {
        socket.set_only_v6(false).map_err(failed)?;
    }
    // Asking for more than the system allows is no error; the system then gives what it allows.
    let _ = socket.set_recv_buffer_size(buffer_bytes);
    let _ = socket.set_send_buffer_size(buffer_bytes);
    let (receive, send) = (socket.recv_buffer_size().unwrap_or(0), socket.send_buffer_size().unwrap_or(0));
    metrics.socket_receive_bytes.set(receive as f64);
    if receive < buffer_bytes {
        warn!(
            receive,
            send,
            wanted = buffer_bytes,
            "socket buffers are smaller than asked for: bursts may be lost. Raise net.core.rmem_max and net.core.wmem_max"
        );
    } else {
        info!(receive, send, "socket buffers");
    }
    socket.bind(&address.into()).map_err(failed)?;
    Ok(socket.into())
}
