//! What a client reports: its status, its statistics, and events as they happen.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use boxbox_schemas::event::GapReason;
use boxbox_schemas::wire::CloseCode;
use boxbox_schemas::{RunId, Source};
use parking_lot::Mutex;

/// The id of a stream of a client; a larger id is a younger stream.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct StreamId(pub u64);

/// Called with acks and events. All methods do nothing unless implemented; they run on the client's task and must be quick.
pub trait Observer: Send + Sync {
    /// Everything of `stream` below `next` is durable.
    fn acked(&self, stream: StreamId, next: u64) {
        let _ = (stream, next);
    }
    /// Something happened that a person may want to know.
    fn event(&self, event: &Event) {
        let _ = event;
    }
}

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Event {
    /// An edge accepted this client.
    Connected {
        /// The edge's name.
        edge: String,
    },
    /// The connection is gone; the client reconnects.
    Disconnected {
        /// The reason, for a person.
        reason: String,
        /// When it tries again.
        retry_in: Duration,
    },
    /// The edge did not accept the content of a record; the range is void (W7).
    Void {
        /// The stream.
        stream: StreamId,
        /// First sequence number.
        first: u64,
        /// First sequence number after it.
        next: u64,
        /// The reason in a word.
        reason: String,
    },
    /// Records were given up; a gap takes their place. One gap of the stream may grow by several of these.
    Gap {
        /// The stream.
        stream: StreamId,
        /// First sequence number.
        first: u64,
        /// First sequence number after it.
        next: u64,
        /// The reason.
        reason: GapReason,
    },
    /// The edge answers, but its log does not (W8).
    Stalled {
        /// The stream.
        stream: StreamId,
    },
    /// E9: the session of a stream is closed on purpose: what is sent is kept, and changes no result until the session is opened again.
    SessionClosed {
        /// The stream.
        stream: StreamId,
        /// It is retired: what is sent is dropped.
        retired: bool,
    },
    /// The edge refuses this client for good; the client keeps frames in its spool.
    Refused(Refusal),
}

/// Why an edge refuses a client until something changes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The code it closed with.
    pub code: CloseCode,
    /// The edge's explanation, for a person.
    pub detail: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.detail, self.code.name())?;
        match self.code {
            CloseCode::GRANT_EXPIRED | CloseCode::GRANT_REVOKED | CloseCode::GRANT_INVALID => {
                f.write_str("; paste a new connect string (`boxbox grant create` prints one)")
            }
            CloseCode::VERSION => f.write_str("; client and server are of different versions: update the older"),
            _ => Ok(()),
        }
    }
}

/// The state of a client.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum Status {
    /// Connecting, or waiting for the next attempt.
    Connecting {
        /// Why the last attempt or connection ended, for a person.
        error: Option<String>,
    },
    /// Connected, and sending.
    Connected {
        /// The edge's name.
        edge: String,
    },
    /// Refused until something changes; the client keeps frames in its spool and does not try again without being asked.
    Refused(Refusal),
    /// [`crate::Client::finish`] has ended.
    Finished,
}

/// Counters since the start, and levels now.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Car, slow and field frames added to streams.
    pub frames: u64,
    /// Records sealed.
    pub records: u64,
    /// Bytes of sealed records.
    pub bytes: u64,
    /// Bytes sent, repetitions included, without the overhead of QUIC.
    pub sent_bytes: u64,
    /// Frames acked, including those in the spools of earlier runs.
    pub acked_frames: u64,
    /// Records acked.
    pub acked_records: u64,
    /// Bytes sealed and not acked now; for records in files an estimate.
    pub outstanding_bytes: u64,
    /// Sequence numbers sealed and not acked now.
    pub outstanding_frames: u64,
    /// Bytes of the spool now: in memory, or of its files.
    pub spool_bytes: u64,
    /// Bytes of records in memory now.
    pub memory_bytes: u64,
    /// Connections lost or given up.
    pub reconnects: u64,
    /// Records that edges refused for their content (W7).
    pub voids: u64,
    /// How often records were given up.
    pub gaps: u64,
    /// Sequence numbers given up.
    pub gap_frames: u64,
    /// Writes to the spool's files that failed; the records stay in memory meanwhile.
    pub spool_errors: u64,
    /// Last round trip time that QUIC measured.
    pub rtt: Option<Duration>,
    /// The last thing that went wrong, for a person.
    pub last_error: Option<String>,
}

/// The counters behind [`Stats`].
#[derive(Default)]
pub(crate) struct Counters {
    pub(crate) frames: AtomicU64,
    pub(crate) records: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) sent_bytes: AtomicU64,
    pub(crate) acked_frames: AtomicU64,
    pub(crate) acked_records: AtomicU64,
    pub(crate) reconnects: AtomicU64,
    pub(crate) voids: AtomicU64,
    pub(crate) gaps: AtomicU64,
    pub(crate) gap_frames: AtomicU64,
    pub(crate) spool_errors: AtomicU64,
    pub(crate) rtt_us: AtomicU64,
    pub(crate) last_error: Mutex<Option<String>>,
}

impl Counters {
    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: impl Into<String>) {
        *self.last_error.lock() = Some(error.into());
    }

    /// The counters alone; levels are zero.
    pub(crate) fn read(&self) -> Stats {
        let at = |c: &AtomicU64| c.load(Ordering::Relaxed);
        Stats {
            frames: at(&self.frames),
            records: at(&self.records),
            bytes: at(&self.bytes),
            sent_bytes: at(&self.sent_bytes),
            acked_frames: at(&self.acked_frames),
            acked_records: at(&self.acked_records),
            reconnects: at(&self.reconnects),
            voids: at(&self.voids),
            gaps: at(&self.gaps),
            gap_frames: at(&self.gap_frames),
            spool_errors: at(&self.spool_errors),
            rtt: Some(at(&self.rtt_us)).filter(|us| *us > 0).map(Duration::from_micros),
            last_error: self.last_error.lock().clone(),
            ..Stats::default()
        }
    }
}

/// What was unacked when [`crate::Client::finish`] returned. A spool on disk keeps it for the next start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Remained {
    /// Streams with unacked records.
    pub streams: usize,
    /// Sequence numbers unacked.
    pub frames: u64,
    /// Bytes unacked; an estimate.
    pub bytes: u64,
}

impl Remained {
    /// Whether everything was acked.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The identity of a stream.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct StreamName {
    pub(crate) run: RunId,
    pub(crate) source: Source,
}
