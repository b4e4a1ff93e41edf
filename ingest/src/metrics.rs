//! [`EdgeMetrics`]. The counters of records agree exactly while nothing is in motion:
//! received = refused + abandoned + appended, and appended = acked + failed + in flight.

boxbox_schemas::metrics! {
    /// The metrics of an edge.
    pub struct EdgeMetrics("boxbox_edge") {
        /// Connections that are open now and whose hello was accepted.
        connections: gauge,
        /// Handshakes and hellos that are not finished.
        connections_pending: gauge,
        /// Connections whose hello was accepted.
        connections_opened: counter,
        /// Connection attempts that were refused, by reason.
        connections_refused: counter by "reason",
        /// Connection attempts whose client was asked to prove its address first.
        retries: counter,
        /// Connections that ended, by close code, or by the way they were lost.
        connections_closed: counter by "code",
        /// Hellos whose grant was refused, by reason.
        grants_refused: counter by "reason",
        /// Data streams that are open now.
        streams: gauge,
        /// Data streams that were opened.
        streams_opened: counter,
        /// Bytes of whole records received.
        received_bytes: counter,
        /// Whole records received.
        records_received: counter,
        /// Frames in the records received.
        frames_received: counter,
        /// Records because of which the connection was closed, by reason.
        records_refused: counter by "reason",
        /// Records dropped without an ack because their connection ended before the log took them.
        records_abandoned: counter,
        /// Records that the log accepted.
        records_appended: counter,
        /// Records whose content was refused and that are void in the log, by reason.
        records_void: counter by "reason",
        /// Records that are durable and in order, and were acked.
        records_acked: counter,
        /// Frames in the records acked.
        frames_acked: counter,
        /// Records that the log failed to make durable, and the records behind them; clients send them again.
        records_failed: counter,
        /// Records that the log has accepted and not completed.
        in_flight_records: gauge,
        /// Bytes that the log has accepted and not completed.
        in_flight_bytes: gauge,
        /// Seconds from the receipt of a record until it is durable.
        ack_seconds: histogram,
        /// Ack messages sent; one message can cover many records.
        acks_sent: counter,
        /// Notices sent, by kind.
        notices_sent: counter by "kind",
        /// How often the results store did not say in time whether a stream's session is closed; its records are admitted all the same.
        lives_unknown: counter,
        /// How often a stream had to wait, by the budget that was used up.
        waits: counter by "budget",
        /// Size of the socket's receive buffer as the system granted it, bytes.
        socket_receive_bytes: gauge,
        /// Seconds from the request to stop until the edge had stopped.
        drain_seconds: gauge,
    }
}
