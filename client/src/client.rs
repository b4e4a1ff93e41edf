//! [`Client`]: one run of one program: starts, opens streams, tells how it goes, finishes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::event::GapReason;
use boxbox_schemas::limits::RECORD_MAX_BYTES;
use boxbox_schemas::wire::CloseCode;
use boxbox_schemas::{RunId, Source};
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::config::{Config, Spool};
use crate::core::{Core, StreamState};
use crate::driver;
use crate::observe::{Counters, Event, Remained, Stats, Status, StreamName};
use crate::queue::{Entry, Queue};
use crate::spool::{self, SpoolError};
use crate::stream::{Batcher, Stream};
use crate::tls::{self, PinVerifier};

/// Smallest spool: a few records of the longest kind.
const SPOOL_MIN_BYTES: u64 = 1 << 20;
/// Memory for each stream's records beside those not written yet, where there is a spool on disk.
pub(crate) const HEAD_MAX_BYTES: usize = 1 << 20;
/// How long closing the connection may take, so that the edge hears of it.
const CLOSE_WITHIN: Duration = Duration::from_millis(300);

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
    /// A stream of this session is open; it takes all its frames.
    #[error("a stream of this session is already open: send its frames there, or end it first")]
    AlreadyOpen,
    /// [`Client::finish`] was called.
    #[error("the client has finished: start a new one")]
    Finished,
}

/// The sending side of one program: one run, one connection, one spool. See the [crate](crate).
///
/// Its tasks run on the tokio runtime that [`Client::start`] was called on. Dropping it closes the connection at once;
/// what is not acked stays in a spool on disk, and is lost from one in memory: prefer [`Client::finish`].
pub struct Client {
    shared: Arc<Shared>,
    status: watch::Receiver<Status>,
}

impl Client {
    /// Open the spool, begin to connect, and drain what an earlier run left. Returns as soon as the spool is open:
    /// streams can be opened and filled before the edge is reached.
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
            Spool::Disk { dir, max_bytes } => {
                let (dir, max_bytes, connect) = (dir.clone(), *max_bytes, config.connect.clone());
                let opened = tokio::task::spawn_blocking(move || spool::open(&dir, &connect, max_bytes)).await;
                Some(opened.map_err(|_| StartError::Config("the runtime is shutting down"))??)
            }
        };
        let shared = Arc::new(Shared {
            connect: Mutex::new(config.connect.clone()),
            run: RunId(*uuid::Uuid::new_v4().as_bytes()),
            core: Mutex::new(core),
            file_work: Condvar::new(),
            changed: Notify::new(),
            watch: Notify::new(),
            drained: Notify::new(),
            counters: Counters::default(),
            status: status_sender,
            stop: CancellationToken::new(),
            closed: CancellationToken::new(),
            files_closed: CancellationToken::new(),
            again: Notify::new(),
            config,
        });
        if let Some(files) = files {
            spool::start(files, &shared)?;
        }
        tokio::spawn(driver::run(shared.clone(), driver::Tls { verifier, config: tls }));
        Ok(Self { shared, status })
    }

    /// This start of this program (W4). A session that is opened again after its end gets a run of its own: [`Stream::run`].
    pub fn run(&self) -> RunId {
        self.shared.run
    }

    /// A stream for a session; `slot` is the driver's own car in it. Never waits.
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
        drop(core);
        Ok(Stream::new(self.shared.clone(), batcher))
    }

    /// How it stands now.
    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// To be told when the status changes.
    pub fn watch_status(&self) -> watch::Receiver<Status> {
        self.status.clone()
    }

    /// Counters and levels.
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Connect with another connect string of the same server, tenant and driver from now on, say after the grant expired.
    pub fn reconnect(&self, connect: ConnectString) {
        *self.shared.connect.lock() = connect;
        self.shared.status.send_if_modified(|status| {
            let refused = matches!(status, Status::Refused(_));
            if refused {
                *status = Status::Connecting { error: None };
            }
            refused
        });
        self.shared.again.notify_one();
    }

    /// End all streams, wait until everything is acked, at most for `within`, and close the connection.
    ///
    /// Returns early when the edge refuses this client for good. Tells what remained; a spool on disk keeps it for the
    /// next start. May be called again to learn the same.
    pub async fn finish(&self, within: Duration) -> Remained {
        let batchers: Vec<_> = {
            let mut core = self.shared.core.lock();
            core.finished = true;
            core.streams.values().filter_map(|s| s.batcher.clone()).collect()
        };
        batchers.iter().for_each(|b| b.finish(&self.shared));
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

fn check(config: &Config) -> Result<(), StartError> {
    let (Spool::Memory { max_bytes } | Spool::Disk { max_bytes, .. }) = config.spool;
    if max_bytes < SPOOL_MIN_BYTES {
        return Err(StartError::Config("the spool must hold at least 1 MiB"));
    }
    if config.batch.max_frames == 0 || config.batch.max_bytes > RECORD_MAX_BYTES {
        return Err(StartError::Config("a batch holds at least one frame, and at most what fits a record (32 KiB)"));
    }
    Ok(())
}

/// What the client, its streams, its task and the spool's thread share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) connect: Mutex<ConnectString>,
    pub(crate) run: RunId,
    pub(crate) core: Mutex<Core>,
    /// With `core`: the spool's thread has something to do.
    pub(crate) file_work: Condvar,
    /// A stream wants a place on the connection, or gave one up.
    pub(crate) changed: Notify,
    /// A batch has begun: somebody must see that it does not get too old.
    pub(crate) watch: Notify,
    /// Something was acked to the end.
    pub(crate) drained: Notify,
    pub(crate) counters: Counters,
    pub(crate) status: watch::Sender<Status>,
    /// Close the connection and end the task.
    pub(crate) stop: CancellationToken,
    /// The task has ended.
    pub(crate) closed: CancellationToken,
    /// The spool's thread has ended.
    pub(crate) files_closed: CancellationToken,
    /// The connect string was changed.
    pub(crate) again: Notify,
}

impl Shared {
    pub(crate) fn stats(&self) -> Stats {
        let core = self.core.lock();
        let outstanding_bytes = core.streams.values().map(|s| s.queue.outstanding_bytes()).sum();
        let outstanding_frames = core.streams.values().map(|s| s.queue.next() - s.queue.acked()).sum();
        let memory_bytes = core.streams.values().map(|s| s.queue.memory_bytes() as u64).sum();
        let spool_bytes = if core.memory_max_bytes.is_some() { outstanding_bytes } else { core.file_bytes };
        drop(core);
        Stats { outstanding_bytes, outstanding_frames, memory_bytes, spool_bytes, ..self.counters.read() }
    }

    fn remained(&self) -> Remained {
        let core = self.core.lock();
        let left = core.streams.values().filter(|s| !s.queue.is_empty());
        left.fold(Remained::default(), |sum, s| Remained {
            streams: sum.streams + 1,
            frames: sum.frames + s.queue.next() - s.queue.acked(),
            bytes: sum.bytes + s.queue.outstanding_bytes(),
        })
    }

    /// A batcher has sealed a record.
    pub(crate) fn sealed(&self, id: u64, entry: Entry) {
        Counters::add(&self.counters.records, 1);
        Counters::add(&self.counters.bytes, entry.len() as u64);
        let mut core = self.core.lock();
        let events = core.push(id, entry);
        let waits = core.streams.get(&id).is_some_and(|s| s.active.is_none());
        let files = core.memory_max_bytes.is_none();
        drop(core);
        if waits {
            self.changed.notify_one();
        }
        if files {
            self.file_work.notify_one();
        }
        events.into_iter().for_each(|e| self.event(e));
    }

    pub(crate) fn stream_closed(&self, id: u64) {
        let mut core = self.core.lock();
        if let Some(stream) = core.streams.get_mut(&id) {
            stream.batcher = None;
            stream.wake.notify_one();
        }
        core.sweep();
        drop(core);
        self.changed.notify_one();
        self.drained.notify_one();
        self.file_work.notify_one();
    }

    /// A batch has begun.
    pub(crate) fn watch_batches(&self) {
        self.watch.notify_one();
    }

    /// Count an event, log it, and tell whoever wants to know.
    pub(crate) fn event(&self, event: Event) {
        match &event {
            Event::Connected { edge } => tracing::info!(edge, "connected"),
            Event::Disconnected { reason, retry_in } => {
                Counters::add(&self.counters.reconnects, 1);
                self.counters.failed(reason.clone());
                tracing::info!(reason, retry_in_ms = retry_in.as_millis() as u64, "connection is gone, trying again");
            }
            Event::Void { stream, first, next, reason } => {
                Counters::add(&self.counters.voids, 1);
                self.counters.failed(format!("the edge voided {first}..{next}: {reason}"));
                tracing::warn!(stream = stream.0, first, next, reason, "the edge did not accept what these frames say");
            }
            Event::Gap { stream, first, next, reason } => {
                Counters::add(&self.counters.gaps, 1);
                Counters::add(&self.counters.gap_frames, next - first);
                if *reason == GapReason::SPOOL_FULL
                    && let Some(batcher) = self.core.lock().streams.get(&stream.0).and_then(|s| s.batcher.as_ref())
                {
                    batcher.lost(*next);
                }
                tracing::warn!(stream = stream.0, first, next, reason = reason.0, "frames given up, a gap takes their place");
            }
            Event::Stalled { stream } => tracing::debug!(stream = stream.0, "the edge waits for its log"),
            Event::Refused(refusal) => {
                self.counters.failed(refusal.to_string());
                tracing::error!(code = refusal.code.name(), "the edge refuses this client: {refusal}");
            }
        }
        if let Some(observer) = &self.config.observer {
            observer.event(&event);
        }
    }

    /// Let the spool's thread write what it has, and wait for it.
    async fn stop_files(&self) {
        let files = {
            let mut core = self.core.lock();
            core.stop = true;
            self.file_work.notify_one();
            core.memory_max_bytes.is_none()
        };
        if files {
            spool::stopped(self).await;
        }
    }
}

/// Whether a client that was closed with `code` should try again by itself.
pub(crate) fn tries_again(code: CloseCode, welcomed: bool) -> bool {
    // DONE from an edge says nothing about us; a missed hello may be a slow network's fault.
    code.is_retryable() || code == CloseCode::DONE || (code == CloseCode::PROTOCOL && !welcomed)
}
