//! [`Shared`]: the state that a client, its streams, its task and the spool's thread share.

use boxbox_schemas::RunId;
use boxbox_schemas::connect::ConnectString;
use boxbox_schemas::event::GapReason;
use boxbox_schemas::record::Kind;
use boxbox_schemas::wire::Report;
use parking_lot::{Condvar, Mutex};
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;

use crate::batcher::Sink;
use crate::config::Config;
use crate::core::Core;
use crate::observe::{Counters, Event, Remained, Stats, Status};
use crate::queue::Entry;
use crate::spans::Followed;

/// With a spool on disk: memory for each stream's records, beside those that are not written yet.
pub(crate) const HEAD_MAX_BYTES: usize = 1 << 20;
/// The state that a client, its streams, its task and the spool's thread share.
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) connect: Mutex<ConnectString>,
    pub(crate) run: RunId,
    pub(crate) core: Mutex<Core>,
    /// Used with `core`: the spool's thread has something to do.
    pub(crate) file_work: Condvar,
    /// A stream waits to be sent on the connection, or has ended there.
    pub(crate) changed: Notify,
    /// A batch has begun: the client's task must seal it in time.
    pub(crate) batch_begun: Notify,
    /// A stream may be wholly acked.
    pub(crate) drained: Notify,
    pub(crate) counters: Counters,
    /// What was last told to an edge: reconnects, and sequence numbers given up.
    pub(crate) reported: Mutex<(u64, u64)>,
    pub(crate) followed: Followed,
    pub(crate) status: watch::Sender<Status>,
    /// Closes the connection and ends the task.
    pub(crate) stop: CancellationToken,
    /// The task has ended.
    pub(crate) closed: CancellationToken,
    /// The spool's thread has ended.
    pub(crate) files_closed: CancellationToken,
    /// The connect string was changed.
    pub(crate) reconnect: Notify,
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

    /// How this client is doing, for the metrics of an edge; what it adds up is told once.
    pub(crate) fn report(&self) -> Report {
        let Stats { spool_bytes, outstanding_frames: unacked, reconnects, gap_frames, .. } = self.stats();
        let (before_reconnects, before_dropped) = std::mem::replace(&mut *self.reported.lock(), (reconnects, gap_frames));
        Report { spool_bytes, unacked, reconnects: reconnects - before_reconnects, dropped: gap_frames - before_dropped }
    }

    pub(crate) fn remained(&self) -> Remained {
        let core = self.core.lock();
        let left = core.streams.values().filter(|s| !s.queue.is_empty());
        left.fold(Remained::default(), |sum, s| Remained {
            streams: sum.streams + 1,
            frames: sum.frames + s.queue.next() - s.queue.acked(),
            bytes: sum.bytes + s.queue.outstanding_bytes(),
        })
    }

    /// A batch has begun; wakes the client's task.
    pub(crate) fn notify_batch_begun(&self) {
        self.batch_begun.notify_one();
    }

    /// Counts an event, logs it, and passes it to the observer.
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
            Event::SessionClosed { stream, retired } => {
                let what =
                    if *retired { "retired: what is sent is dropped" } else { "closed: what is sent changes no result until it is opened again" };
                tracing::warn!(stream = stream.0, "the session is {what}");
            }
            Event::Refused(refusal) => {
                self.counters.failed(refusal.to_string());
                tracing::error!(code = refusal.code.name(), "the edge refuses this client: {refusal}");
            }
        }
        if let Some(observer) = &self.config.observer {
            observer.event(&event);
        }
    }

    /// Lets the spool's thread write what is not written, and waits for its end.
    pub(crate) async fn stop_files(&self) {
        let files = {
            let mut core = self.core.lock();
            core.stop = true;
            self.file_work.notify_one();
            core.memory_max_bytes.is_none()
        };
        if files {
            self.files_closed.cancelled().await;
        }
    }
}

impl Sink for Shared {
    fn sealed(&self, id: u64, kind: Kind, entry: Entry) {
        self.followed.sealed(id, kind, entry.first, entry.next);
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

    fn stream_closed(&self, id: u64) {
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
}
