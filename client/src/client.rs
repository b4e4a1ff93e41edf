//! [`Client`]: one run of one program. It starts, opens streams, reports its status and statistics, and finishes.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::{RunId, Source};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::batcher::Batcher;
use crate::config::{Config, Spool};
use crate::core::{Core, StreamState};
use crate::driver;
use crate::observe::{Counters, Remained, Stats, Status, StreamName};
use crate::queue::Queue;
use crate::shared::{HEAD_MAX_BYTES, Shared};
use crate::spans::Followed;
use crate::spool::{self, Files, SpoolError};
use crate::stream::Stream;
use crate::tls::{self, PinVerifier, Tls};

/// Smallest spool: a few records of the greatest length.
const SPOOL_MIN_BYTES: u64 = 1 << 20;
/// How long closing the connection may take, so that the edge receives the close.
const CLOSE_WITHIN: Duration = Duration::from_millis(300);

/// How a spool on disk is opened.
type OpenSpool = fn(&Path, &ConnectString, u64) -> Result<Files, SpoolError>;

/// Why a client cannot start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The spool on disk cannot be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
    /// The configuration makes no sense.
    #[error("{0}")]
    Config(&'static str),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why a stream cannot be opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenError {
    /// A stream of this session is open; all frames of the session belong to it.
    #[error("a stream of this session is already open: send its frames there, or end it first")]
    AlreadyOpen,
    /// [`Client::finish`] was called.
    #[error("the client has finished: start a new one")]
    Finished,
}

/// Sends what one program collects: one run, one connection, one spool. See the [crate](crate).
///
/// Its tasks run on the tokio runtime on which [`Client::start`] was called. Dropping it closes the connection at once;
/// records that are not acked stay in a spool on disk, and are lost from a spool in memory: prefer [`Client::finish`].
pub struct Client {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
}

impl Client {
    /// Opens the spool, begins to connect, and sends what an earlier run left. Returns as soon as the spool is open: streams
    /// can be opened and filled before the edge is reached.
    pub async fn start(config: Config) -> Result<Self, StartError> {
        check(&config)?;
        let verifier = Arc::new(PinVerifier::new(config.connect.pins.clone()));
        let tls = Arc::new(tls::client_config(verifier.clone())?);
        let (status_sender, status) = watch::channel(Status::Connecting { error: None });
        let mut core = Core::default();
        let files = match &config.spool {
            Spool::Memory { max_bytes } => {
                core.memory_max_bytes = Some(*max_bytes);
                None
            }
            Spool::Disk { dir, max_bytes } => Some(opened(spool::open, dir, *max_bytes, &config.connect).await?),
            Spool::Kept { folder, max_bytes } => Some(opened(spool::open_kept, folder, *max_bytes, &config.connect).await?),
        };
        let shared = Arc::new(Shared {
            connect: Mutex::new(config.connect.clone()),
            run: RunId(*uuid::Uuid::new_v4().as_bytes()),
            core: Mutex::new(core),
            file_work: Condvar::new(),
            changed: Notify::new(),
            batch_begun: Notify::new(),
            drained: Notify::new(),
            counters: Counters::default(),
            reported: Mutex::default(),
            followed: Followed::new(&config.connect.grant),
            status: status_sender,
            stop: CancellationToken::new(),
            closed: CancellationToken::new(),
            files_closed: CancellationToken::new(),
            reconnect: Notify::new(),
            config,
        });
        if let Some(files) = files {
            spool::start(files, &shared)?;
        }
        tokio::spawn(driver::run(shared.clone(), Tls { verifier, config: tls }));
        Ok(Self { shared, status })
    }

    /// The run that this client is (W4). If a session is opened again after its end, its stream gets another run: [`Stream::run`].
    pub fn run(&self) -> RunId {
        self.shared.run
    }

    /// Opens a stream for a session; `slot` is the driver's own car in it. Never waits.
    pub fn open(&self, source: Source, slot: u16) -> Result<Stream, OpenError> {
        let mut core = self.shared.core.lock();
        if core.finished {
            return Err(OpenError::Finished);
        }
        if core.streams.values().any(|s| s.name.source == source && s.batcher.is_some()) {
            return Err(OpenError::AlreadyOpen);
        }
        let run = if core.opened.insert(source) { self.shared.run } else { RunId(*uuid::Uuid::new_v4().as_bytes()) };
        let name = StreamName { run, source };
        let id = core.next_id;
        core.next_id += 1;
        let batcher = Arc::new(Batcher::new(id, name, slot));
        let head_max = core.memory_max_bytes.is_none().then_some(HEAD_MAX_BYTES);
        core.streams.insert(id, StreamState::new(name, Queue::new(head_max), Some(batcher.clone())));
        self.shared.followed.begin(id, &name);
        drop(core);
        Ok(Stream::new(self.shared.clone(), batcher))
    }

    /// The status now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// A receiver that sees each change of the status.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Counters since the start, and levels now.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Connects from now on with another connect string of the same server, tenant and driver, for example after the grant expired.
    pub fn reconnect(&self, connect: ConnectString) {
        *self.shared.connect.lock() = connect;
        self.shared.status.send_if_modified(|status| {
            let refused = matches!(status, Status::Refused(_));
            if refused {
                *status = Status::Connecting { error: None };
            }
            refused
        });
        self.shared.reconnect.notify_one();
    }

    /// Ends all streams, waits until everything is acked, for `within` at most, and closes the connection.
    ///
    /// Returns early when the edge refuses this client for good. Returns what remained unacked; a spool on disk keeps it for
    /// the next start. It may be called again and then returns the same.
    pub async fn finish(&self, within: Duration) -> Remained {
        let batchers: Vec<_> = {
            let mut core = self.shared.core.lock();
            core.finished = true;
            core.streams.values().filter_map(|s| s.batcher.clone()).collect()
        };
        batchers.iter().for_each(|b| b.finish(&*self.shared));
        let deadline = Instant::now() + within;
        let mut status = self.status.clone();
        loop {
            let drained = self.shared.drained.notified();
            if self.shared.remained().is_empty() || self.shared.stop.is_cancelled() {
                break;
            }
            tokio::select! {
                () = drained => {}
                refused = status.wait_for(|s| matches!(s, Status::Refused(_))) => if refused.is_ok() { break },
                () = tokio::time::sleep_until(deadline.into()) => break,
            }
        }
        self.shared.stop.cancel();
        let _ = tokio::time::timeout(CLOSE_WITHIN, self.shared.closed.cancelled()).await;
        self.shared.stop_files().await;
        if !matches!(*self.status.borrow(), Status::Refused(_)) {
            self.shared.status.send_replace(Status::Finished);
        }
        self.shared.remained()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shared.stop.cancel();
        let mut core = self.shared.core.lock();
        core.finished = true;
        core.stop = true;
        self.shared.file_work.notify_one();
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("run", &self.shared.run).field("status", &self.status()).finish()
    }
}

/// Open a spool on a thread that may wait for the disk.
async fn opened(open: OpenSpool, path: &Path, max_bytes: u64, connect: &ConnectString) -> Result<Files, StartError> {
    let (path, connect) = (path.to_owned(), connect.clone());
    let opened = tokio::task::spawn_blocking(move || open(&path, &connect, max_bytes)).await;
    Ok(opened.map_err(|_| StartError::Config("the runtime is shutting down"))??)
}

fn check(config: &Config) -> Result<(), StartError> {
    let (Spool::Memory { max_bytes } | Spool::Disk { max_bytes, .. } | Spool::Kept { max_bytes, .. }) = config.spool;
    if max_bytes < SPOOL_MIN_BYTES {
        return Err(StartError::Config("the spool must hold at least 1 MiB"));
    }
    if config.batch.max_frames == 0 || config.batch.max_bytes > RECORD_MAX_BYTES {
        return Err(StartError::Config("a batch holds at least one frame, and at most what fits a record (32 KiB)"));
    }
    Ok(())
}
