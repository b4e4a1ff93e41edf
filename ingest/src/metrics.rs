//! What an edge counts. Conservation, exact when nothing moves:
//! received = refused + abandoned + appended, and appended = acked + failed + in flight (all in flights).

boxbox_schemas::metrics! {
    /// What an edge counts.
    pub struct EdgeMetrics("boxbox_edge") {
        /// Connections that said hello and are open now.
        connections: gauge,
        /// Handshakes and hellos that are not finished.
        connections_pending: gauge,
        /// Connections that were let in.
        connections_opened: counter,
        /// Connection attempts that were not let in, by reason.
        connections_refused: counter by "reason",
        /// Connection attempts that were asked to prove their address first.
        retries: counter,
        /// Connections that ended, by close code, or by how they were lost.
        connections_closed: counter by "code",
        /// Hellos whose grant was refused, by reason.
        grants_refused: counter by "reason",
        /// Data streams open now.
        streams: gauge,
        /// Data streams opened.
        streams_opened: counter,
        /// Bytes of whole records received.
        received_bytes: counter,
        /// Whole records received.
        records_received: counter,
        /// Frames in them.
        frames_received: counter,
        /// Records that closed their connection, by what was wrong.
        records_refused: counter by "reason",
        /// Records that were dropped, unacked, because their connection ended before there was room in the log.
        records_abandoned: counter,
        /// Records accepted by the log; acked, failed or in flight.
        records_appended: counter,
        /// Records whose content was refused and whose place in the log is void, by reason (W7).
        records_void: counter by "reason",
        /// Records durable and in order, which their clients may forget (W6).
        records_acked: counter,
        /// Frames in them.
        frames_acked: counter,
        /// Records that the log failed, or that came after such a one, and are not acked; they come again.
        records_failed: counter,
        /// Records accepted by the log and not completed.
        in_flight_records: gauge,
        /// Bytes accepted by the log and not completed.
        in_flight_bytes: gauge,
        /// Seconds from the receipt of a record to its being durable.
        ack_seconds: histogram,
        /// Ack messages sent; one covers many records.
        acks_sent: counter,
        /// Notices sent, by kind.
        notices_sent: counter by "kind",
        /// Times a stream had to wait for room, by the budget that had none.
        waits: counter by "budget",
        /// Size of the socket's receive buffer as the system granted it, bytes.
        socket_receive_bytes: gauge,
        /// Seconds to finish what was in flight when the edge stopped.
        drain_seconds: gauge,
    }
}
