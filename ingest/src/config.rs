//! [`Config`] of an edge: where it listens, its name, and every limit with its reason.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use boxbox_schemas::ShortId;
use boxbox_schemas::limits::{HANDSHAKE_MS, IDLE_MS, STREAM_UNACKED_MAX_BYTES, STREAMS_PER_CONNECTION};
use boxbox_schemas::places::Caps;
use boxbox_schemas::stamp::LOG_RECORD_MAX_BYTES;

pub use crate::pace::Rate;

/// Where an edge listens, its name, and its limits.
#[derive(Clone, Debug)]
pub struct Config {
    /// UDP address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The edge's name. It is in every stamp that the edge writes.
    pub edge: ShortId,
    /// Limits.
    pub limits: Limits,
}

/// The key pair and certificate that clients pin (W1). The program that runs the edge makes and keeps them.
#[derive(Clone)]
pub struct Identity {
    /// The certificate, DER.
    pub certificate_der: Vec<u8>,
    /// Its private key, PKCS#8 DER.
    pub private_key_pkcs8: Vec<u8>,
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Identity(…)")
    }
}

/// Every limit of an edge.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// Open connections. An idle connection costs about 50 KB, so these take half a gigabyte at most.
    pub connections: usize,
    /// Of these, for clients whose grant was accepted: who shows no grant cannot take them.
    pub connections_reserved: usize,
    /// Open connections from one address (IPv4 /32, IPv6 /64): enough for a whole league behind one router.
    pub connections_per_address: usize,
    /// Open connections from one /56 of IPv6, which many providers give to one home.
    pub connections_per_net56: usize,
    /// Open connections from one /48 of IPv6, which anyone can have.
    pub connections_per_net48: usize,
    /// Open connections of one driver: several relays, and old ones that the network lost and that are not timed out yet.
    pub connections_per_driver: usize,
    /// Open connections of one tenant: others always find places.
    pub connections_per_tenant: usize,
    /// New connections a second. A handshake with its grant costs about 0.5 ms of CPU: 400 take a fifth of a core.
    pub handshakes_per_s: u32,
    /// New connections in a burst: all clients of a large event after a restart.
    pub handshake_burst: u32,
    /// New connections a second from one address.
    pub address_handshakes_per_s: u32,
    /// New connections in a burst from one address.
    pub address_handshake_burst: u32,
    /// Whether loopback addresses are exempt from the limits per address: relays, tests and load generators run there.
    pub exempt_loopback: bool,
    /// Unfinished handshakes above which a client must prove its address first (a QUIC Retry, which is one more round trip).
    pub retry_above_pending: usize,
    /// Time limit of a handshake.
    pub handshake_timeout: Duration,
    /// Time limit of the hello, after the handshake.
    pub hello_timeout: Duration,
    /// A connection without any packet for this long is closed.
    pub idle_timeout: Duration,
    /// Open data streams of one connection (W4).
    pub streams_per_connection: u32,
    /// Open data streams of one driver over all connections: enough for several relays and their reconnects.
    pub streams_per_driver: usize,
    /// What one driver may send. A car at 60 Hz is about 20 kB/s, a client that also sends all cars it sees some 200 kB/s; an hour's
    /// spool of one car (75 MB) is in the burst and a few seconds.
    pub driver_rate: Rate,
    /// What one tenant may send: 3,000 cars.
    pub tenant_rate: Rate,
    /// Bytes of one stream in flight to the log (W9). Beyond it the edge stops reading that stream.
    pub stream_unacked_bytes: usize,
    /// Bytes in flight to one partition, so that a dead partition stalls only its own sessions. Below the log's own limit.
    pub partition_unacked_bytes: usize,
    /// Bytes of one tenant in flight.
    pub tenant_unacked_bytes: usize,
    /// Bytes in flight in all. Below the log's own limit for a writer.
    pub unacked_bytes: usize,
    /// Least time between two acks of one stream. One packet can carry many acks, and it is the packets that cost.
    pub ack_interval: Duration,
    /// A record in flight for this long makes the edge send a `stalled` notice, again and again while it lasts (W8). Well below
    /// the time after which a client reconnects ([`boxbox_schemas::limits::ACK_SILENCE_MS`]).
    pub stalled_after: Duration,
    /// A client that has read nothing from its control stream for this long is closed.
    pub slow_reader_after: Duration,
    /// A record that was begun and not finished for this long closes its connection.
    pub slow_sender_after: Duration,
    /// How often the edge looks for stalls, slow clients and grants that do not hold. Bounds how late a revocation takes effect (W3: 5 s).
    pub sweep_interval: Duration,
    /// The time over which clients spread their reconnects when the edge stops.
    pub go_away_within: Duration,
    /// Time that the last messages get before the connection is closed: one round trip, and at most this.
    pub close_linger: Duration,
    /// When the edge stops: time for records in flight to be acked.
    pub drain_deadline: Duration,
    /// Threads of the edge's own runtime. One thread carries 100,000 to 150,000 frames/s. A second one raises the cost of each
    /// frame by a fifth, because connections then move between cores.
    pub threads: usize,
    /// Socket buffers to ask of the system, bytes. With the defaults of most systems packets are lost in bursts.
    pub socket_buffer_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 10_000,
            connections_reserved: 1_000,
            connections_per_address: 64,
            connections_per_net56: 256,
            connections_per_net48: 1_024,
            connections_per_driver: 32,
            connections_per_tenant: 7_500,
            handshakes_per_s: 400,
            handshake_burst: 1_000,
            address_handshakes_per_s: 5,
            address_handshake_burst: 64,
            exempt_loopback: true,
            retry_above_pending: 256,
            handshake_timeout: Duration::from_millis(HANDSHAKE_MS),
            hello_timeout: Duration::from_millis(HANDSHAKE_MS),
            idle_timeout: Duration::from_millis(IDLE_MS),
            streams_per_connection: STREAMS_PER_CONNECTION,
            streams_per_driver: 64,
            driver_rate: Rate { bytes_per_s: 4 << 20, burst_bytes: 64 << 20 },
            tenant_rate: Rate { bytes_per_s: 64 << 20, burst_bytes: 512 << 20 },
            stream_unacked_bytes: STREAM_UNACKED_MAX_BYTES,
            partition_unacked_bytes: 12 << 20,
            tenant_unacked_bytes: 24 << 20,
            unacked_bytes: 48 << 20,
            ack_interval: Duration::from_millis(2),
            stalled_after: Duration::from_secs(1),
            slow_reader_after: Duration::from_secs(5),
            slow_sender_after: Duration::from_secs(10),
            sweep_interval: Duration::from_millis(250),
            go_away_within: Duration::from_secs(1),
            close_linger: Duration::from_millis(500),
            drain_deadline: Duration::from_secs(10),
            threads: 1,
            socket_buffer_bytes: 4 << 20,
        }
    }
}

impl Limits {
    /// These limits with another number of connections. A tenant keeps its part of them (three in four), and so do clients with a grant
    /// (one in ten).
    #[must_use]
    pub fn with_connections(self, connections: usize) -> Self {
        Self { connections, connections_reserved: connections / 10, connections_per_tenant: connections.saturating_sub(connections / 4), ..self }
    }

    /// How places are counted.
    pub(crate) fn caps(&self) -> Caps {
        let cap = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Caps {
            all: cap(self.connections),
            reserved: cap(self.connections_reserved.min(self.connections / 10)),
            address: cap(self.connections_per_address),
            net56: cap(self.connections_per_net56),
            net48: cap(self.connections_per_net48),
            driver: cap(self.connections_per_driver),
            tenant: cap(self.connections_per_tenant),
        }
    }

    /// Checks that the longest record fits every limit in bytes and that the numbers fit their types. The error says what to change.
    pub(crate) fn check(&self) -> Result<(), String> {
        let budgets = [
            ("stream_unacked_bytes", self.stream_unacked_bytes),
            ("partition_unacked_bytes", self.partition_unacked_bytes),
            ("tenant_unacked_bytes", self.tenant_unacked_bytes),
            ("unacked_bytes", self.unacked_bytes),
        ];
        for (name, bytes) in budgets {
            if !(LOG_RECORD_MAX_BYTES..=u32::MAX as usize).contains(&bytes) {
                return Err(format!("{name} is {bytes}: it must hold the longest record ({LOG_RECORD_MAX_BYTES} bytes) and be below 4 GiB"));
            }
        }
        for (name, rate) in [("driver_rate", self.driver_rate), ("tenant_rate", self.tenant_rate)] {
            if rate.bytes_per_s == 0 {
                return Err(format!("{name} is 0 bytes/s: it must be at least 1"));
            }
        }
        if self.threads == 0 {
            return Err("threads is 0: it must be at least 1".into());
        }
        if self.streams_per_connection == 0 || self.streams_per_connection > 64 {
            return Err(format!("streams_per_connection is {}: it must be 1 to 64", self.streams_per_connection));
        }
        Ok(())
    }
}
