//! The wire between client and edge (W1-W7): ALPN, control messages, the head of a data stream, close codes.
//!
//! One bidirectional control stream carries length-prefixed [`Control`] messages. Each stream of W4 has one
//! unidirectional QUIC stream: a [`StreamHead`] of [`STREAM_HEAD_BYTES`], then transmissions `u64 base | record`.
//! Acks are binary because there are many; hello, welcome and notices are JSON because they are few and will get more fields.
//!
//! Rules that both sides may rely on:
//!
//! * The client opens the control stream and says hello first; data streams follow the welcome.
//! * [`StreamHead::stream`] is the client's choice, unique on its connection. A client opens at most one stream for a
//!   (run, source) on a connection, and finishes it when all of it is acked and no more will come. [`Welcome::max_streams`]
//!   is also the edge's QUIC stream credit, so no further stream can be opened, and a new stream may arrive before the end of
//!   an old one.
//! * On a connection `base` never decreases, the first record's `first_seq` equals its base, and each further record begins
//!   where the one before ended (W5). A gap record may begin inside a range that an earlier connection sent as records.
//! * An ack covers only records that were sent on its own connection (W6). It may cover many records, and never ends inside a record,
//!   unless the record is a gap.
//! * [`Notice::Stalled`] replaces an ack as a sign of life: an edge repeats it at least every second for each stream whose records wait
//!   for the log, and clients stay connected. Without acks and notices they reconnect (W8).
//! * [`Notice::SessionClosed`] comes before the ack of what is sent, where the edge knows that the session is closed.
//! * A client sends [`Report`]s only to an edge whose welcome asks for them ([`Welcome::reports_every_ms`]). An older client does not know
//!   the field and sends none; an older edge does not ask.
//! * A close for a record (crc, framing, scope, sequence) is announced by [`Notice::Refused`], whose `expected` is the
//!   first sequence number of the refused record. A close overtakes messages in the control stream, so its reason
//!   contains the same notice: [`Notice::close_reason`].

use bytes::{BufMut, Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use crate::ids::{RunId, SessionId, Sim, Source};
use crate::limits::CONTROL_MAX_BYTES;

/// ALPN of this protocol. A change that old peers cannot read needs a new one.
pub const ALPN: &[u8] = b"boxbox/1";
/// Bytes of the `u64 base` before each record.
pub const BASE_BYTES: usize = 8;
/// Bytes of a [`StreamHead`].
pub const STREAM_HEAD_BYTES: usize = 4 + 4 + 16 + 2 + 16 + 4 + 2;
const STREAM_MAGIC: [u8; 4] = *b"BXS1";
/// Bytes before a control message's body: u8 type, u24 length.
pub const CONTROL_HEAD_BYTES: usize = 4;

/// First message of a client.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Hello {
    /// The grant token (W3).
    pub grant: String,
    /// Program and version, for the edge's log.
    #[serde(default)]
    pub agent: String,
}

/// First message of an edge: its limits. It has no resume point, because the edge keeps no state (W4).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Welcome {
    /// The edge's name.
    pub edge: String,
    /// Most data streams at once.
    pub max_streams: u32,
    /// Longest record, bytes.
    pub max_record_bytes: u32,
    /// Unacked bytes for each live stream.
    pub max_unacked_bytes: u32,
    /// How often the client is to send a [`Report`]; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reports_every_ms: Option<u32>,
}

/// How a client is doing, for the metrics of the edge. Nothing is decided by it, because a client may say anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// Bytes of its spool now.
    #[serde(default)]
    pub spool_bytes: u64,
    /// Sequence numbers sealed and not acked now.
    #[serde(default)]
    pub unacked: u64,
    /// Connections lost or given up since its report before, on whichever connection that was.
    #[serde(default)]
    pub reconnects: u64,
    /// Sequence numbers given up since its report before.
    #[serde(default)]
    pub dropped: u64,
}

/// A message of an edge to its client, beside acks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(tag = "notice", rename_all = "snake_case")]
pub enum Notice {
    /// A record's content was refused; the range is void in the log (W7).
    Void {
        /// The stream's number on this connection.
        stream: u32,
        /// First sequence number.
        first: u64,
        /// First sequence number after it.
        next: u64,
        /// [`crate::event::Reject::name`].
        reason: String,
    },
    /// The edge works, but its log does not answer (W8).
    Stalled {
        /// The stream's number on this connection.
        stream: u32,
    },
    /// The edge is about to stop. Reconnect after a random part of this time.
    GoAway {
        /// Spread of the reconnects, ms.
        within_ms: u64,
    },
    /// E9: the stream's session is closed on purpose: what is sent is kept, and changes no result until the session is opened again.
    SessionClosed {
        /// The stream's number on this connection.
        stream: u32,
        /// It is closed for good: what is sent is dropped.
        #[serde(default)]
        retired: bool,
    },
    /// The connection is about to be closed: what was wrong, and the sequence number to continue with.
    Refused {
        /// The stream's number on this connection.
        stream: u32,
        /// The [`CloseCode`]'s name.
        code: String,
        /// The sequence number that was expected there.
        expected: u64,
        /// A text for people.
        detail: String,
    },
    /// A notice from a newer edge.
    #[serde(other)]
    Unknown,
}

impl Notice {
    /// The notice as the reason of a close. A QUIC close reason must fit into a packet, so details are cut to fit 512 bytes.
    pub fn close_reason(&self) -> Vec<u8> {
        let mut notice = self.clone();
        if let Notice::Refused { detail, .. } = &mut notice {
            let end = (0..=detail.len().min(CLOSE_DETAIL_MAX_BYTES)).rev().find(|at| detail.is_char_boundary(*at)).unwrap_or(0);
            detail.truncate(end);
        }
        serde_json::to_vec(&notice).unwrap_or_default()
    }

    /// Read a close's reason; `None` if it is plain text.
    pub fn from_close_reason(reason: &[u8]) -> Option<Notice> {
        serde_json::from_slice(reason).ok()
    }
}

const CLOSE_DETAIL_MAX_BYTES: usize = 240;

/// A message on the control stream.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Control {
    /// Client: its grant.
    Hello(Hello),
    /// Edge: the client is accepted.
    Welcome(Welcome),
    /// Edge: everything below `next` of `stream` is durable and in order (W6).
    Ack {
        /// The stream's number on this connection.
        stream: u32,
        /// First sequence number that is not acked.
        next: u64,
    },
    /// Edge: a notice.
    Notice(Notice),
    /// Client: how it is doing.
    Report(Report),
    /// A type of a newer peer; skipped.
    Unknown(u8),
}

/// The bytes are not a control message.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ControlError {
    /// The body is longer than [`CONTROL_MAX_BYTES`].
    #[error("control message of {0} bytes is longer than {CONTROL_MAX_BYTES}")]
    TooLong(usize),
    /// The body does not match its type.
    #[error("control message of type {0} is malformed")]
    Malformed(u8),
}

const HELLO: u8 = 1;
const WELCOME: u8 = 2;
const ACK: u8 = 3;
const NOTICE: u8 = 4;
const REPORT: u8 = 5;

impl Control {
    /// Append this message to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        fn json<T: Serialize>(out: &mut BytesMut, kind: u8, body: &T) {
            // These types hold only texts and numbers, which always serialise.
            let body = serde_json::to_vec(body).unwrap_or_default();
            head(out, kind, body.len());
            out.put_slice(&body);
        }
        fn head(out: &mut BytesMut, kind: u8, length: usize) {
            out.put_u8(kind);
            out.put_uint_le(length as u64, 3);
        }
        match self {
            Control::Hello(m) => json(out, HELLO, m),
            Control::Welcome(m) => json(out, WELCOME, m),
            Control::Notice(m) => json(out, NOTICE, m),
            Control::Report(m) => json(out, REPORT, m),
            Control::Ack { stream, next } => {
                head(out, ACK, 12);
                out.put_u32_le(*stream);
                out.put_u64_le(*next);
            }
            Control::Unknown(kind) => head(out, *kind, 0),
        }
    }

    /// Take one message from the front of `buffer`; `None` if it is not complete yet.
    pub fn decode(buffer: &mut BytesMut) -> Result<Option<Control>, ControlError> {
        let Some(&[kind, a, b, c]) = buffer.first_chunk::<CONTROL_HEAD_BYTES>() else { return Ok(None) };
        let length = u32::from_le_bytes([a, b, c, 0]) as usize;
        if length > CONTROL_MAX_BYTES {
            return Err(ControlError::TooLong(length));
        }
        if buffer.len() < CONTROL_HEAD_BYTES + length {
            return Ok(None);
        }
        let body = buffer.split_to(CONTROL_HEAD_BYTES + length).split_off(CONTROL_HEAD_BYTES).freeze();
        Self::read(kind, &body).map(Some)
    }

    fn read(kind: u8, body: &Bytes) -> Result<Control, ControlError> {
        let malformed = ControlError::Malformed(kind);
        match kind {
            HELLO => serde_json::from_slice(body).map(Control::Hello).map_err(|_| malformed),
            WELCOME => serde_json::from_slice(body).map(Control::Welcome).map_err(|_| malformed),
            NOTICE => serde_json::from_slice(body).map(Control::Notice).map_err(|_| malformed),
            REPORT => serde_json::from_slice(body).map(Control::Report).map_err(|_| malformed),
            ACK => {
                let (stream, next) = body.split_first_chunk::<4>().ok_or(malformed.clone())?;
                let next = next.try_into().map_err(|_| malformed)?;
                Ok(Control::Ack { stream: u32::from_le_bytes(*stream), next: u64::from_le_bytes(next) })
            }
            other => Ok(Control::Unknown(other)),
        }
    }
}

/// The head of a data stream: its run and session.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct StreamHead {
    /// The client's number of the stream on this connection; acks and notices use it.
    pub stream: u32,
    /// The client's run.
    pub run: RunId,
    /// The session. Every record of the stream must have the same.
    pub source: Source,
}

/// The bytes are not a [`StreamHead`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the stream does not begin with a stream head of this protocol")]
pub struct StreamHeadError;

impl StreamHead {
    /// The bytes at the front of a stream.
    pub fn encode(&self) -> [u8; STREAM_HEAD_BYTES] {
        let mut out = [0; STREAM_HEAD_BYTES];
        let mut w = &mut out[..];
        w.put_slice(&STREAM_MAGIC);
        w.put_u32_le(self.stream);
        w.put_slice(&self.run.0);
        w.put_u16_le(self.source.sim.0);
        w.put_u128_le(self.source.id);
        w.put_u32_le(self.source.session_num);
        out
    }

    /// Read a head. The last two bytes are zero, for fields to come.
    pub fn decode(bytes: &[u8; STREAM_HEAD_BYTES]) -> Result<Self, StreamHeadError> {
        fn at<const N: usize>(bytes: &[u8], from: usize) -> [u8; N] {
            let mut out = [0; N];
            out.copy_from_slice(&bytes[from..from + N]);
            out
        }
        if at::<4>(bytes, 0) != STREAM_MAGIC || at::<2>(bytes, 46) != [0, 0] {
            return Err(StreamHeadError);
        }
        let source = Source {
            sim: Sim(u16::from_le_bytes(at(bytes, 24))),
            id: u128::from_le_bytes(at(bytes, 26)),
            session_num: u32::from_le_bytes(at(bytes, 42)),
        };
        Ok(Self { stream: u32::from_le_bytes(at(bytes, 4)), run: RunId(at(bytes, 8)), source })
    }

    /// The session this stream belongs to under `tenant`.
    pub fn session(&self, tenant: &crate::TenantId) -> SessionId {
        SessionId::of(tenant, &self.source)
    }
}

macro_rules! close_codes {
    ($($(#[$doc:meta])* $name:ident = $code:literal, $word:literal, $retry:literal;)*) => {
        /// Why a connection is closed; the QUIC application error code. The close reason has the details.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
        pub struct CloseCode(pub u32);

        impl CloseCode {
            $($(#[$doc])* pub const $name: CloseCode = CloseCode($code);)*

            /// Every code, for metrics and documents.
            pub const ALL: &'static [CloseCode] = &[$(CloseCode::$name),*];
            /// The names of all codes, in the same order.
            pub const NAMES: &'static [&'static str] = &[$($word),*];

            /// The code as one word, for metrics and logs.
            pub const fn name(self) -> &'static str {
                match self.0 { $($code => $word,)* _ => "unknown" }
            }

            /// Whether reconnecting and sending the same again can succeed.
            pub const fn is_retryable(self) -> bool {
                match self.0 { $($code => $retry,)* _ => true }
            }
        }
    };
}

close_codes! {
    /// Finished; nothing is wrong.
    DONE = 0, "done", false;
    /// The log failed or went back: reconnect and resume at the client's own acked number (W6).
    RETRY = 1, "retry", true;
    /// The edge is stopping; reconnect.
    GOING_AWAY = 2, "going_away", true;
    /// The edge has no room; reconnect later.
    BUSY = 3, "busy", true;
    /// The edge cannot read which grants are valid; reconnect later.
    UNAVAILABLE = 4, "unavailable", true;
    /// The edge does not know the grant: malformed, unknown key, bad signature.
    GRANT_INVALID = 16, "grant_invalid", false;
    /// The grant has expired: ask for a new one.
    GRANT_EXPIRED = 17, "grant_expired", false;
    /// The grant was revoked: ask for a new one.
    GRANT_REVOKED = 18, "grant_revoked", false;
    /// The grant does not cover this.
    GRANT_SCOPE = 19, "grant_scope", false;
    /// Control messages are malformed, or hello did not come.
    PROTOCOL = 32, "protocol", false;
    /// A record's checksum does not match.
    CRC = 33, "crc", true;
    /// A record's length or count is impossible.
    FRAMING = 34, "framing", true;
    /// A record's or protocol's version is not readable here.
    VERSION = 35, "version", false;
    /// A record names another run or source than its stream.
    SCOPE = 36, "scope", true;
    /// The sequence has a hole or goes back on this connection (W5).
    SEQUENCE = 37, "sequence", true;
    /// More streams than allowed.
    STREAMS = 38, "streams", false;
    /// The client does not read its acks.
    SLOW_READER = 39, "slow_reader", true;
    /// A record was begun and not finished in time.
    SLOW_SENDER = 40, "slow_sender", true;
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn control_round_trips_in_any_pieces(stream: u32, next: u64, grant in "[ -~]{0,200}", pieces in proptest::collection::vec(1usize..20, 1..50)) {
            let messages = vec![
                Control::Hello(Hello { grant, agent: "test/1".into() }),
                Control::Ack { stream, next },
                Control::Notice(Notice::Void { stream, first: 1, next, reason: "range".into() }),
                Control::Notice(Notice::GoAway { within_ms: 5 }),
                Control::Notice(Notice::SessionClosed { stream, retired: true }),
                Control::Report(Report { spool_bytes: next, unacked: 5, reconnects: 1, dropped: 0 }),
                Control::Unknown(200),
            ];
            let mut whole = BytesMut::new();
            messages.iter().for_each(|m| m.encode(&mut whole));
            let (mut buffer, mut seen, mut cuts) = (BytesMut::new(), Vec::new(), pieces.iter().cycle());
            while !whole.is_empty() {
                let cut = (*cuts.next().unwrap()).min(whole.len());
                buffer.extend_from_slice(&whole.split_to(cut));
                while let Some(m) = Control::decode(&mut buffer).unwrap() { seen.push(m); }
            }
            prop_assert_eq!(seen, messages);
        }

        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let mut buffer = BytesMut::from(&bytes[..]);
            while let Ok(Some(_)) = Control::decode(&mut buffer) {}
        }

        #[test]
        fn stream_heads_round_trip(stream: u32, run: [u8; 16], sim: u16, id: u128, session_num: u32) {
            let head = StreamHead { stream, run: RunId(run), source: Source { sim: Sim(sim), id, session_num } };
            prop_assert_eq!(StreamHead::decode(&head.encode()).unwrap(), head);
        }
    }

    #[test]
    fn a_close_reason_carries_the_refusal() {
        let refused = |detail: String| Notice::Refused { stream: 1, code: "crc".into(), expected: 7, detail };
        let short = refused("the checksum does not match".into());
        assert_eq!(Notice::from_close_reason(&short.close_reason()), Some(short));
        let long = refused("é".repeat(4_000)).close_reason();
        assert!(long.len() <= 512 && Notice::from_close_reason(&long).is_some());
        assert_eq!(Notice::from_close_reason(b"going away"), None);
    }

    /// Either side may be of the version before, which knows no reports.
    #[test]
    fn who_knows_no_reports_is_asked_for_none() {
        #[derive(Deserialize)]
        struct Before {
            max_unacked_bytes: u32,
        }
        let asks = Welcome { edge: "e".into(), max_streams: 4, max_record_bytes: 1, max_unacked_bytes: 7, reports_every_ms: Some(10_000) };
        let read: Before = serde_json::from_slice(&serde_json::to_vec(&asks).unwrap()).unwrap();
        assert_eq!(read.max_unacked_bytes, 7, "an older client reads the welcome");
        let before = br#"{"edge":"e","max_streams":4,"max_record_bytes":1,"max_unacked_bytes":7}"#;
        let read: Welcome = serde_json::from_slice(before).unwrap();
        assert_eq!(read, Welcome { reports_every_ms: None, ..asks }, "an older edge asks for nothing");
        assert_eq!(serde_json::from_slice::<Report>(b"{\"spool_bytes\":3,\"later\":1}").unwrap(), Report { spool_bytes: 3, ..Report::default() });
    }

    #[test]
    fn an_unknown_notice_is_skipped_not_an_error() {
        let mut buffer = BytesMut::new();
        let body = br#"{"notice":"from_the_future","x":1}"#;
        buffer.put_u8(NOTICE);
        buffer.put_uint_le(body.len() as u64, 3);
        buffer.put_slice(body);
        assert_eq!(Control::decode(&mut buffer), Ok(Some(Control::Notice(Notice::Unknown))));
    }
}
