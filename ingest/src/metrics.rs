//! [`EdgeMetrics`]. The counters of records agree exactly while nothing is in motion:
//!
//! ```text
//! received = acked + void + refused + abandoned + failed + in flight + waiting
//! appended = acked + void + failed + in flight
//! ```
//! What ended within a record, or claimed one of an impossible length, is no record: see [`EdgeMetrics::streams_broken`].

use boxbox_schemas::event::Reject;
use boxbox_schemas::grant::GrantError;
use boxbox_schemas::record::Kind;

/// Why a connection attempt was refused.
const REFUSED: [&str; 15] = [
    "connections",
    "reserved_connections",
    "address_connections",
    "net56_connections",
    "net48_connections",
    "driver_connections",
    "tenant_connections",
    "address_rate",
    "net56_rate",
    "net48_rate",
    "rate",
    "addresses",
    "draining",
    "handshake",
    "handshake_timeout",
];

/// How a connection ended: every close code, and the ways to lose one.
const CLOSED: [&str; 21] = [
    "done",
    "retry",
    "going_away",
    "busy",
    "unavailable",
    "grant_invalid",
    "grant_expired",
    "grant_revoked",
    "grant_scope",
    "protocol",
    "crc",
    "framing",
    "version",
    "scope",
    "sequence",
    "streams",
    "slow_reader",
    "slow_sender",
    "by_client",
    "timed_out",
    "transport",
];

/// Why a record closes its connection.
const RECORDS_REFUSED: [&str; 9] = ["length", "truncated", "crc", "version", "sequence", "scope", "base", "base_far", "gap"];

/// Whose frames: of the client's own car, slow data of that car, of cars that the client sees.
const OF: [&str; 3] = ["own", "slow", "others"];

/// What a stream waits for.
const BUDGETS: [&str; 8] = ["stream", "partition", "tenant", "edge", "driver_streams", "driver_rate", "tenant_rate", "log"];

boxbox_schemas::metrics! {
    /// The metrics of an edge.
    pub struct EdgeMetrics("boxbox_edge") {
        /// Connections that are open now and whose hello was accepted.
        connections: gauge,
        /// Most connections at once.
        connections_limit: gauge,
        /// Handshakes and hellos that are not finished.
        connections_pending: gauge,
        /// Connections whose hello was accepted.
        connections_opened: counter,
        /// Connection attempts that were refused, by reason.
        connections_refused: counter by "reason" of REFUSED,
        /// Connection attempts whose client was asked to prove its address first.
        retries: counter,
        /// Connections that ended, by close code, or by the way they were lost.
        connections_closed: counter by "code" of CLOSED,
        /// Hellos whose grant was refused, by reason.
        grants_refused: counter by "reason" of GrantError::NAMES,
        /// Data streams that are open now.
        streams: gauge,
        /// Data streams that were opened.
        streams_opened: counter,
        /// Data streams that ended within a record, or claimed a record of an impossible length.
        streams_broken: counter by "reason" of ["truncated", "length"],
        /// Streams whose records have waited for the log longer than is usual.
        streams_stalled: gauge,
        /// Bytes of whole records received.
        received_bytes: counter,
        /// Whole records received.
        records_received: counter,
        /// Frames in the records received that were not refused: of the client's own car, slow data of that car, of cars that the client sees.
        frames_received: counter by "of" of OF,
        /// Records because of which the connection was closed, by reason.
        records_refused: counter by "reason" of RECORDS_REFUSED,
        /// Records dropped without an ack because their connection ended before the log took them.
        records_abandoned: counter,
        /// Records that the log accepted.
        records_appended: counter,
        /// Records whose content was refused: what stands for them in the log is durable and was acked, by reason.
        records_void: counter by "reason" of Reject::NAMES,
        /// Records that are durable and in order, and were acked; those whose content was refused are not among them.
        records_acked: counter,
        /// Frames in the records acked.
        frames_acked: counter by "of" of OF,
        /// Frames in the records whose content was refused.
        frames_void: counter by "of" of OF,
        /// Records that the log failed to make durable, and the records behind them; clients send them again.
        records_failed: counter,
        /// Records that were received and wait for a budget.
        records_waiting: gauge,
        /// Records that the log has accepted and not completed.
        in_flight_records: gauge,
        /// Bytes that the log has accepted and not completed.
        in_flight_bytes: gauge,
        /// Most bytes that the log may have accepted and not completed.
        in_flight_bytes_limit: gauge,
        /// Age of the oldest record that was received and is not acked, s; 0 if there is none.
        oldest_unacked_seconds: gauge,
        /// Seconds from the receipt of a record until it is durable.
        ack_seconds: histogram,
        /// Ack messages sent; one message can cover many records.
        acks_sent: counter,
        /// Notices sent, by kind.
        notices_sent: counter by "kind" of ["void", "stalled", "go_away", "session_closed", "refused", "unknown"],
        /// How often the results store did not say in time whether a stream's session is closed; its records are admitted all the same.
        lives_unknown: counter,
        /// How often a stream had to wait, by the budget that was used up.
        waits: counter by "budget" of BUDGETS,
        /// Connected clients that report the state of their spools.
        clients_reporting: gauge,
        /// Bytes in the spools of all clients that report, by their last reports.
        clients_spool_bytes: gauge,
        /// Bytes in the fullest spool of one client, by the last reports.
        clients_spool_bytes_max: gauge,
        /// Frames that clients have recorded and that are not acked, by their last reports.
        clients_unacked_frames: gauge,
        /// Connections that clients report to have lost or given up.
        clients_reconnects: counter,
        /// Frames that clients report to have dropped because their spools were full or damaged.
        clients_dropped_frames: counter,
        /// Round-trip time of each connection, sampled every 5 s.
        quic_rtt_seconds: histogram,
        /// QUIC packets sent.
        quic_packets_sent: counter,
        /// QUIC packets sent and lost.
        quic_packets_lost: counter,
        /// Times that QUIC found the way to a client congested.
        quic_congestion: counter,
        /// UDP datagrams of connections received.
        udp_received: counter,
        /// UDP datagrams that the system dropped because the socket's buffer was full; only Linux tells.
        udp_dropped: counter,
        /// Bytes that wait in the socket's receive buffer; only Linux tells.
        udp_queued_bytes: gauge,
        /// Size of the socket's receive buffer as the system granted it, bytes.
        socket_receive_bytes: gauge,
        /// Seconds from the request to stop until the edge had stopped.
        drain_seconds: gauge,
    }
}

/// Frames by whose they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Frames([u64; 3]);

impl Frames {
    /// Add the frames of a record of this kind; kinds without frames add none.
    pub(crate) fn add(&mut self, kind: Kind, frames: u16) {
        let at = match kind {
            Kind::CAR => 0,
            Kind::SLOW => 1,
            Kind::FIELD => 2,
            _ => return,
        };
        self.0[at] += u64::from(frames);
    }

    /// Add them to a counter.
    pub(crate) fn count(&self, counter: &boxbox_schemas::metrics::CounterBy) {
        for (of, n) in OF.into_iter().zip(self.0).filter(|(_, n)| *n > 0) {
            counter.with(of).increment(n);
        }
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::places::Full;
    use boxbox_schemas::record::RecordError;
    use boxbox_schemas::wire::CloseCode;

    use super::*;

    /// The lists above are made of names that stand elsewhere.
    #[test]
    fn every_value_of_a_label_is_declared() {
        assert!(CloseCode::NAMES.iter().all(|name| CLOSED.contains(name)));
        assert!(RecordError::NAMES.iter().all(|name| RECORDS_REFUSED.contains(name)));
        let full = [Full::All, Full::Reserved, Full::Address, Full::Net56, Full::Net48, Full::Driver, Full::Tenant];
        assert!(full.into_iter().all(|full| REFUSED.contains(&crate::admission::reason(full)) && Full::NAMES.contains(&full.name())));
        assert!(crate::budgets::NAMES.iter().all(|name| BUDGETS.contains(name)));
        assert!((0..100).all(|code| Reject::NAMES.contains(&Reject(code).name())));
        let grants =
            [GrantError::Malformed, GrantError::UnknownKey, GrantError::Signature, GrantError::Expired, GrantError::Revoked, GrantError::Unavailable];
        assert!(grants.into_iter().all(|error| GrantError::NAMES.contains(&error.name())));
    }

    #[test]
    fn frames_are_told_apart() {
        let mut frames = Frames::default();
        for (kind, n) in [(Kind::CAR, 5), (Kind::FIELD, 20), (Kind::SLOW, 1), (Kind::META, 1), (Kind::CAR, 2)] {
            frames.add(kind, n);
        }
        assert_eq!(frames, Frames([7, 1, 20]));
    }
}
