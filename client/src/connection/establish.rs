//! Makes a connection: host name, socket, handshake, hello, welcome.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::wire::{Control, Hello, Welcome};
use bytes::BytesMut;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{ClientConfig, Connection, ConnectionError, Endpoint, EndpointConfig, RecvStream, SendStream, TransportConfig, TransportErrorCode};

use crate::ended::{Ended, broken, closed};
use crate::shared::Shared;
use crate::tls::Tls;

/// Kernel buffers of the socket: with the defaults packets are lost in bursts.
const SOCKET_BUFFER_BYTES: usize = 4 << 20;
/// Addresses of a host that are tried, one after the other.
const ADDRESSES_MAX: usize = 4;
/// Unacked data that quinn keeps; the protocol's own limit is far below.
const SEND_WINDOW_BYTES: u64 = 1 << 20;
/// The client reads acks and notices at once, so a small window is enough.
const RECEIVE_WINDOW_BYTES: u32 = 128 << 10;

pub(super) struct Established {
    pub(super) endpoint: Endpoint,
    pub(super) connection: Connection,
    pub(super) control: RecvStream,
    pub(super) welcome: Welcome,
    /// Bytes that came behind the welcome.
    pub(super) buffer: BytesMut,
    /// The client's half of the control stream. It stays open until the connection ends; after its hello the client sends reports only.
    pub(super) hello: SendStream,
}

pub(super) async fn establish(shared: &Shared, tls: &Tls, connect: &ConnectString) -> Result<Established, Ended> {
    let handshake = shared.config.timing.handshake;
    tls.verifier.set_pins(&connect.pins);
    let addresses: Vec<SocketAddr> = match tokio::time::timeout(handshake, tokio::net::lookup_host((connect.host.as_str(), connect.port))).await {
        Ok(Ok(found)) => found.take(ADDRESSES_MAX).collect(),
        Ok(Err(e)) => return Err(Ended::Lost(format!("cannot find the host {}: {e}", connect.host))),
        Err(_) => return Err(Ended::Lost(format!("looking up the host {} takes too long", connect.host))),
    };
    let mut failed = Ended::Lost(format!("the host {} has no address", connect.host));
    for address in addresses {
        match establish_at(shared, tls, connect, address).await {
            // What an edge answers is final; the next address is tried only if this one cannot be reached.
            Err(Ended::Lost(reason)) => failed = Ended::Lost(reason),
            other => return other,
        }
    }
    Err(failed)
}

async fn establish_at(shared: &Shared, tls: &Tls, connect: &ConnectString, address: SocketAddr) -> Result<Established, Ended> {
    let lost = |what: &str, e: &dyn fmt::Display| Ended::Lost(format!("{what} {address}: {e}"));
    let handshake = shared.config.timing.handshake;
    let endpoint = bind(address).map_err(|e| lost("cannot open a socket for", &e))?;
    let crypto = QuicClientConfig::try_from(tls.config.clone()).map_err(|e| lost("cannot set up TLS for", &e))?;
    let mut config = ClientConfig::new(Arc::new(crypto));
    config.transport_config(Arc::new(transport(shared)));
    // The server is not identified by its name (W1), so a name that TLS cannot carry is replaced.
    let name = if rustls::pki_types::ServerName::try_from(connect.host.as_str()).is_ok() { connect.host.as_str() } else { "boxbox" };
    let connecting = endpoint.connect_with(config, address, name).map_err(|e| lost("cannot connect to", &e))?;
    let connection = match tokio::time::timeout(handshake, connecting).await {
        Ok(Ok(connection)) => connection,
        Ok(Err(e)) if tls.verifier.take_mismatch() => {
            let _ = e;
            return Err(Ended::Lost(format!(
                "{address} is another server than the connect string says (its key is not the pinned one): paste the string that the server prints now"
            )));
        }
        Ok(Err(ConnectionError::ApplicationClosed(close))) => return Err(closed(&close)),
        Ok(Err(ConnectionError::ConnectionClosed(close))) if close.error_code == TransportErrorCode::CONNECTION_REFUSED => {
            return Err(Ended::Lost(format!(
                "{address} has no place for this connection: the server is full or stopping, or too many connections come from this address or network"
            )));
        }
        Ok(Err(e)) => return Err(lost("cannot connect to", &e)),
        Err(_) => return Err(Ended::Lost(format!("{address} does not answer: is the server up, and UDP let through?"))),
    };
    let welcomed = tokio::time::timeout(handshake, greet(shared, connect, &connection)).await;
    match welcomed {
        Ok(Ok((hello, control, welcome, buffer))) => Ok(Established { endpoint, connection, control, welcome, buffer, hello }),
        Ok(Err(why)) => Err(why),
        Err(_) => Err(Ended::Lost(format!("{address} does not answer our hello"))),
    }
}

async fn greet(shared: &Shared, connect: &ConnectString, connection: &Connection) -> Result<(SendStream, RecvStream, Welcome, BytesMut), Ended> {
    let lost = |e: &dyn fmt::Display| broken(connection, e);
    let (mut hello, mut control) = connection.open_bi().await.map_err(|e| lost(&e))?;
    let mut buffer = BytesMut::new();
    Control::Hello(Hello { grant: connect.grant.clone(), agent: shared.config.agent.clone() }).encode(&mut buffer);
    hello.write_all(&buffer).await.map_err(|e| lost(&e))?;
    buffer.clear();
    loop {
        match Control::decode(&mut buffer).map_err(|e| Ended::Lost(format!("the edge's welcome is not readable: {e}")))? {
            Some(Control::Welcome(welcome)) => return Ok((hello, control, welcome, buffer)),
            Some(_) => continue,
            None => {}
        }
        let chunk = control.read_chunk(usize::MAX, true).await.map_err(|e| lost(&e))?;
        buffer.extend_from_slice(&chunk.ok_or_else(|| lost(&"the edge ended the control stream"))?.bytes);
    }
}

fn bind(to: SocketAddr) -> std::io::Result<Endpoint> {
    let (domain, any): (_, SocketAddr) =
        if to.is_ipv4() { (socket2::Domain::IPV4, ([0, 0, 0, 0], 0).into()) } else { (socket2::Domain::IPV6, ([0u16; 8], 0).into()) };
    let socket = socket2::Socket::new(domain, socket2::Type::DGRAM, Some(socket2::Protocol::UDP))?;
    // Systems limit these sizes; what they grant is used.
    let _ = socket.set_send_buffer_size(SOCKET_BUFFER_BYTES);
    let _ = socket.set_recv_buffer_size(SOCKET_BUFFER_BYTES);
    socket.bind(&any.into())?;
    let runtime = quinn::default_runtime().ok_or_else(|| std::io::Error::other("not inside a tokio runtime"))?;
    Endpoint::new(EndpointConfig::default(), None, socket.into(), runtime)
}

fn transport(shared: &Shared) -> TransportConfig {
    let timing = &shared.config.timing;
    let mut transport = TransportConfig::default();
    transport
        .max_idle_timeout(timing.idle.try_into().ok())
        .keep_alive_interval(Some(timing.keep_alive))
        .max_concurrent_bidi_streams(0u8.into())
        .max_concurrent_uni_streams(0u8.into())
        .datagram_receive_buffer_size(None)
        .send_window(SEND_WINDOW_BYTES)
        .stream_receive_window(RECEIVE_WINDOW_BYTES.into())
        .receive_window(RECEIVE_WINDOW_BYTES.into());
    transport
}
