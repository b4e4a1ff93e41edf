//! What QUIC and the system say of the network, for the metrics: packets and round trips of all connections together, and what the socket
//! lost.

use boxbox_schemas::metrics::facade::Counter;

use crate::metrics::EdgeMetrics;

/// What of a connection is counted already.
#[derive(Debug, Default)]
pub(crate) struct Traffic {
    sent: u64,
    lost: u64,
    congested: u64,
    received: u64,
}

impl Traffic {
    /// Count what the connection has added since the last call.
    pub(crate) fn count(&mut self, quic: &quinn::Connection, metrics: &EdgeMetrics) {
        let stats = quic.stats();
        add(&metrics.quic_packets_sent, &mut self.sent, stats.path.sent_packets);
        add(&metrics.quic_packets_lost, &mut self.lost, stats.path.lost_packets);
        add(&metrics.quic_congestion, &mut self.congested, stats.path.congestion_events);
        add(&metrics.udp_received, &mut self.received, stats.udp_rx.datagrams);
    }

    /// As [`Traffic::count`], and note the round trip.
    pub(crate) fn sample(&mut self, quic: &quinn::Connection, metrics: &EdgeMetrics) {
        self.count(quic, metrics);
        metrics.quic_rtt_seconds.record(quic.rtt().as_secs_f64());
    }
}

/// Raise `counter` by what `now` is above `before`, which becomes `now`.
fn add(counter: &Counter, before: &mut u64, now: u64) {
    counter.increment(now.saturating_sub(*before));
    *before = now;
}

/// What the system says of the edge's socket.
#[derive(Debug, Default)]
pub(crate) struct SocketState {
    /// The socket's number in the system's tables; `None`: the system does not tell.
    inode: Option<String>,
    dropped: u64,
}

impl SocketState {
    /// Of this socket, whose number other sockets do not have while it is open.
    #[cfg(target_os = "linux")]
    pub(crate) fn of(socket: &std::net::UdpSocket) -> Self {
        use std::os::fd::AsRawFd;
        let link = std::fs::read_link(format!("/proc/self/fd/{}", socket.as_raw_fd())).unwrap_or_default();
        let inode = link.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']')).map(str::to_owned);
        Self { inode, dropped: 0 }
    }

    /// This system does not tell.
    #[cfg(not(target_os = "linux"))]
    pub(crate) fn of(_: &std::net::UdpSocket) -> Self {
        Self::default()
    }

    /// Count what was dropped since the last call, and note what waits.
    pub(crate) fn count(&mut self, metrics: &EdgeMetrics) {
        let Some(inode) = &self.inode else { return };
        let tables = ["/proc/net/udp", "/proc/net/udp6"].into_iter().filter_map(|table| std::fs::read_to_string(table).ok());
        let Some((queued, dropped)) = tables.into_iter().find_map(|table| found(&table, inode)) else { return };
        metrics.udp_queued_bytes.set(queued as f64);
        add(&metrics.udp_dropped, &mut self.dropped, dropped);
    }
}

/// Bytes that wait to be received, and datagrams dropped, of the socket with this number, in the system's table of sockets.
fn found(table: &str, inode: &str) -> Option<(u64, u64)> {
    let line = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>()).find(|columns| columns.get(9) == Some(&inode))?;
    let (_, receive_hex) = line.get(4)?.split_once(':')?;
    Some((u64::from_str_radix(receive_hex, 16).ok()?, line.last()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_of_a_socket_is_found_by_its_number() {
        let table = "   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n  \
                     18: 0100007F:1D13 00000000:0000 07 00000000:00001A00 00:00000000 00000000  1000        0 4711 2 0000000000000000 12\n";
        assert_eq!(found(table, "4711"), Some((0x1a00, 12)));
        assert_eq!(found(table, "471"), None);
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_socket_finds_itself() {
        let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let inode = SocketState::of(&socket).inode.unwrap();
        assert_eq!(found(&std::fs::read_to_string("/proc/net/udp").unwrap(), &inode), Some((0, 0)));
    }
}
