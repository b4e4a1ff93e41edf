//! [`Config`] of a client: where to connect, where unacked records are kept, how frames are batched, how long to wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::limits;

use crate::observe::Observer;

/// The configuration of a [`crate::Client`]. Start from [`Config::new`].
#[derive(Clone)]
pub struct Config {
    /// Where to connect, with which grant, and the key that identifies the server (W1).
    pub connect: ConnectString,
    /// Where unacked records are kept.
    pub spool: Spool,
    /// Program and version, for the edge's log.
    pub agent: String,
    /// When a batch is full.
    pub batch: Batch,
    /// How long to wait.
    pub timing: Timing,
    /// Called with acks and events, on the client's task, so it must be quick.
    pub observer: Option<Arc<dyn Observer>>,
}

impl Config {
    /// A client that keeps up to 64 MiB in memory: about an hour of one car at 60 Hz.
    pub fn new(connect: ConnectString) -> Self {
        Self {
            connect,
            spool: Spool::Memory { max_bytes: 64 << 20 },
            agent: concat!("boxbox-client/", env!("CARGO_PKG_VERSION")).into(),
            batch: Batch::default(),
            timing: Timing::default(),
            observer: None,
        }
    }
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { connect, spool, agent, batch, timing, observer } = self;
        let observer = observer.is_some();
        f.debug_struct("Config")
            .field("connect", connect)
            .field("spool", spool)
            .field("agent", agent)
            .field("batch", batch)
            .field("timing", timing)
            .field("observer", &observer)
            .finish()
    }
}

/// Where records are kept until they are acked (W8). When the spool is full, the oldest are dropped, and a gap record takes their
/// place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Spool {
    /// In memory: the records survive a lost connection, but not the end of the process.
    Memory {
        /// Most bytes of sealed records.
        max_bytes: u64,
    },
    /// In a folder below `dir`, one for each server, tenant and driver: the records survive the end of the process.
    ///
    /// A sealed record is handed to the file and to the connection at the same moment. It survives a killed process as
    /// soon as it is written (well under a millisecond on a fast disk), and a power cut once it is synced
    /// (in the background, every second).
    Disk {
        /// The folder of all spools.
        dir: PathBuf,
        /// Most bytes of files, at least 1 MiB.
        max_bytes: u64,
    },
    /// In a folder that an earlier process left, whichever server it was for: what is in it is sent to the server of this configuration. It
    /// must be of the same tenant and driver.
    Kept {
        /// The folder of one spool: [`Kept::folder`](crate::Kept::folder).
        folder: PathBuf,
        /// Most bytes of files, at least 1 MiB.
        max_bytes: u64,
    },
}

/// When a batch becomes a record: when the first of these limits is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Age of the first frame. If the simulator stops within a batch, it may take twice as long.
    pub max_delay: Duration,
    /// Car frames; five fit one datagram.
    pub max_frames: u16,
    /// Bytes of the record, at most [`limits::RECORD_MAX_BYTES`].
    pub max_bytes: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self { max_delay: Duration::from_millis(80), max_frames: 5, max_bytes: limits::RECORD_MAX_BYTES }
    }
}

/// How long to wait. The defaults are the protocol's; tests shorten them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// For the QUIC handshake, and as long again for the welcome.
    pub handshake: Duration,
    /// A connection without packets for this long is lost.
    pub idle: Duration,
    /// How often an idle connection is kept alive.
    pub keep_alive: Duration,
    /// The client reconnects after this long without an ack or a `stalled` notice while data is unacked (W8).
    /// The time doubles, up to eightfold, while reconnecting brings no ack.
    pub ack_silence: Duration,
    /// Upper bound of the random wait before the first reconnect; it doubles each time (full jitter).
    pub backoff_base: Duration,
    /// Longest wait while the edge cannot be reached.
    pub backoff_cap: Duration,
    /// How often a client whose grant has expired tries again, at most (a random part of it later): a server whose clock is wrong says so
    /// of a good grant.
    pub expired_retry: Duration,
    /// Longest wait while the edge answers but its log does not: short, so that acks resume soon after an outage.
    pub backoff_alive_cap: Duration,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            handshake: Duration::from_millis(limits::HANDSHAKE_MS),
            idle: Duration::from_millis(limits::IDLE_MS),
            keep_alive: Duration::from_millis(limits::KEEP_ALIVE_MS),
            ack_silence: Duration::from_millis(limits::ACK_SILENCE_MS),
            backoff_base: Duration::from_millis(100),
            backoff_cap: Duration::from_secs(5),
            expired_retry: Duration::from_secs(120),
            backoff_alive_cap: Duration::from_secs(1),
        }
    }
}
