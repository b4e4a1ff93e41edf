//! What all tasks of an edge share, and the path of acks: completions come from the log, acks go to clients.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, OnceLock, Weak};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use boxbox_log::{AppendError, Completion, Completions, Ticket, Writer};
use boxbox_schemas::grant::Authority;
use boxbox_schemas::wire::CloseCode;
use boxbox_schemas::{DriverId, SessionId, ShortId, TenantId};
use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, watch};

use crate::admission::Admission;
use crate::budgets::Budgets;
use crate::config::Limits;
use crate::expiry::{ExpiryClock, Graces};
use crate::flow::{Flow, Stamped};
use crate::flows::{Flows, Linked};
use crate::health::Health;
use crate::life::Lives;
use crate::link::{CloseRequest, Link};
use crate::metrics::{EdgeMetrics, Frames};
use crate::pace::{Pace, Paces};
use crate::spans;

/// Connections whose acks are written before other tasks get a turn.
const LINKS_A_TURN: usize = 256;

/// One edge.
pub(crate) struct Core {
    pub(crate) edge: ShortId,
    pub(crate) limits: Limits,
    pub(crate) authority: watch::Receiver<Arc<Authority>>,
    pub(crate) admission: Mutex<Admission>,
    pub(crate) links: Mutex<HashMap<u64, Arc<Link>>>,
    pub(crate) ack_path: Arc<AckPath>,
    next_link: AtomicU64,
    partitions: Vec<Arc<Semaphore>>,
    tenants: Mutex<HashMap<TenantId, Weak<Semaphore>>>,
    drivers: Mutex<HashMap<(TenantId, DriverId), usize>>,
    driver_paces: Paces<(TenantId, DriverId)>,
    tenant_paces: Paces<TenantId>,
    all: Arc<Semaphore>,
    // Set once, right after the log has made it: the log needs the ack path for that.
    writer: OnceLock<Box<dyn Writer>>,
    /// Who knows the life of sessions; set before the first connection, if at all.
    pub(crate) lives: OnceLock<Arc<dyn Lives>>,
    /// What expires grants; without it this machine's wall clock does.
    pub(crate) clock: OnceLock<ExpiryClock>,
    pub(crate) graces: Graces,
    started: Instant,
}

/// The part of an edge that the log's thread uses.
pub(crate) struct AckPath {
    pub(crate) flows: Flows,
    pub(crate) metrics: Arc<EdgeMetrics>,
    pub(crate) health: Arc<Health>,
    /// Links that have something to send to their clients.
    listed: Mutex<Vec<Arc<Link>>>,
    /// Wakes the flusher: a link is listed.
    wake: Notify,
}

impl Core {
    pub(crate) fn new(edge: ShortId, limits: Limits, authority: watch::Receiver<Arc<Authority>>, partitions: u32, ack_path: Arc<AckPath>) -> Self {
        let budget = |bytes| Arc::new(Semaphore::new(bytes));
        ack_path.metrics.connections_limit.set(limits.connections as f64);
        ack_path.metrics.in_flight_bytes_limit.set(limits.unacked_bytes as f64);
        Self {
            edge,
            admission: Mutex::new(Admission::new(limits.clone(), Instant::now())),
            authority,
            links: Mutex::default(),
            ack_path,
            next_link: AtomicU64::new(0),
            partitions: (0..partitions.max(1)).map(|_| budget(limits.partition_unacked_bytes)).collect(),
            tenants: Mutex::default(),
            drivers: Mutex::default(),
            driver_paces: Paces::new(limits.driver_rate),
            tenant_paces: Paces::new(limits.tenant_rate),
            all: budget(limits.unacked_bytes),
            writer: OnceLock::new(),
            lives: OnceLock::new(),
            clock: OnceLock::new(),
            graces: Graces::default(),
            started: Instant::now(),
            limits,
        }
    }

    /// Sets the writer, whose completions go to [`Core::ack_path`].
    pub(crate) fn set_writer(&self, writer: Box<dyn Writer>) {
        // Called once, by the only function that makes a core.
        let _ = self.writer.set(writer);
    }

    pub(crate) fn metrics(&self) -> &EdgeMetrics {
        &self.ack_path.metrics
    }

    pub(crate) fn link_id(&self) -> u64 {
        self.next_link.fetch_add(1, Relaxed)
    }

    /// Milliseconds since the edge started, never 0.
    pub(crate) fn ms(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_millis() as u64 + 1
    }

    /// Time since the edge started.
    pub(crate) fn since_start(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.started)
    }

    /// The paces of a driver and of its tenant.
    pub(crate) fn paces(&self, tenant: TenantId, driver: DriverId) -> [Arc<Pace>; 2] {
        let now = self.since_start(Instant::now());
        [self.driver_paces.of((tenant, driver), now), self.tenant_paces.of(tenant, now)]
    }

    /// The time by which grants expire, and the grace after it: Unix s, s.
    pub(crate) fn expiry(&self) -> (i64, i64) {
        self.clock.get().map_or_else(|| (unix_us() / 1_000_000, 0), |clock| (clock.now_s(), clock.grace_s()))
    }

    /// The partition of a session, and the budgets of one of its streams.
    pub(crate) fn budgets(&self, tenant: &TenantId, session: &SessionId) -> (u32, Budgets) {
        let partition = session.partition(self.partitions.len() as u32);
        let tenant_budget = {
            let mut tenants = self.tenants.lock();
            match tenants.get(tenant).and_then(Weak::upgrade) {
                Some(budget) => budget,
                None => {
                    // Tenants without streams are removed here, so that the map does not grow.
                    tenants.retain(|_, budget| budget.strong_count() > 0);
                    let budget = Arc::new(Semaphore::new(self.limits.tenant_unacked_bytes));
                    tenants.insert(*tenant, Arc::downgrade(&budget));
                    budget
                }
            }
        };
        (partition, Budgets::new(self.limits.stream_unacked_bytes, self.partitions[partition as usize].clone(), tenant_budget, self.all.clone()))
    }

    /// Counts one more stream of this driver, unless it has too many; [`Core::stream_ended`] takes it back.
    pub(crate) fn stream_begins(&self, tenant: TenantId, driver: DriverId) -> bool {
        let mut drivers = self.drivers.lock();
        let streams = drivers.entry((tenant, driver)).or_default();
        if *streams >= self.limits.streams_per_driver {
            return false;
        }
        *streams += 1;
        self.metrics().streams.increment(1);
        self.metrics().streams_opened.increment(1);
        self.ack_path.health.streams.fetch_add(1, Relaxed);
        true
    }

    pub(crate) fn stream_ended(&self, tenant: TenantId, driver: DriverId) {
        let mut drivers = self.drivers.lock();
        if let Some(streams) = drivers.get_mut(&(tenant, driver)) {
            *streams -= 1;
            if *streams == 0 {
                drivers.remove(&(tenant, driver));
            }
        }
        self.metrics().streams.decrement(1);
        self.ack_path.health.streams.fetch_sub(1, Relaxed);
    }

    /// Hands a record to the log. Its bytes have been taken from the budgets. They are given back when the log has completed
    /// the record, or here if the log does not accept it.
    pub(crate) fn append(&self, flow: &Flow, partition: u32, session: SessionId, stamped: &Stamped) -> Result<(), AppendError> {
        let bytes = stamped.record.len();
        let (metrics, health) = (self.metrics(), &self.ack_path.health);
        // Counted before it is in the log, because the log may complete it at once.
        flow.begin(stamped);
        metrics.in_flight_records.increment(1);
        metrics.in_flight_bytes.increment(bytes as f64);
        health.in_flight_records.fetch_add(1, Relaxed);
        let ticket = Ticket { owner: flow.owner, mark: stamped.next };
        let accepted = match self.writer.get() {
            Some(writer) => writer.append(partition, session, stamped.record.clone(), ticket),
            None => Err(AppendError::Closed("it was never opened")),
        };
        match accepted {
            Ok(()) => metrics.records_appended.increment(1),
            Err(e) => {
                flow.cancel();
                flow.budgets.release(bytes);
                metrics.in_flight_records.decrement(1);
                metrics.in_flight_bytes.decrement(bytes as f64);
                health.in_flight_records.fetch_sub(1, Relaxed);
                health.log_closed.fetch_or(matches!(e, AppendError::Closed(_)), Relaxed);
            }
        }
        accepted
    }
}

impl AckPath {
    pub(crate) fn new(metrics: EdgeMetrics) -> Self {
        Self { flows: Flows::default(), metrics: Arc::new(metrics), health: Arc::default(), listed: Mutex::default(), wake: Notify::new() }
    }

    /// Writes acks as they come, those of one link at most once in `interval`. Never ends.
    pub(crate) async fn flush(&self, interval: std::time::Duration) {
        loop {
            self.wake.notified().await;
            let links = std::mem::take(&mut *self.listed.lock());
            for some in links.chunks(LINKS_A_TURN) {
                some.iter().for_each(|link| link.flush());
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(interval).await;
        }
    }
}

impl Completions for AckPath {
    fn completed(&self, batch: &[Completion]) {
        let now = Instant::now();
        let (mut acked, mut void, mut failed, mut bytes) = (0, 0, 0, 0);
        let (mut frames, mut void_frames) = (Frames::default(), Frames::default());
        let (mut touched, mut over) = (Vec::new(), Vec::new());
        self.flows.each(batch, |completion, Linked { flow, link }| {
            let Some(completed) = flow.complete(completion, now) else { return };
            flow.budgets.release(completed.bytes as usize);
            if let Some(stream) = &flow.traced {
                spans::completed(stream, &completed, unix_us());
            }
            bytes += u64::from(completed.bytes);
            match completed.verdict {
                Ok(()) => {
                    match completed.what.void {
                        None => {
                            acked += 1;
                            frames.add(completed.what.kind, completed.what.frames);
                        }
                        Some(reason) => {
                            void += 1;
                            void_frames.add(completed.what.kind, completed.what.frames);
                            self.metrics.records_void.with(reason.name()).increment(1);
                        }
                    }
                    self.metrics.ack_seconds.record(completed.took.as_secs_f64());
                }
                Err(why) => {
                    failed += 1;
                    link.request_close(CloseRequest::new(CloseCode::RETRY, format!("{why}: reconnect and send again what is not acked")));
                }
            }
            if completed.over {
                over.push(flow.owner);
            }
            if link.list() {
                touched.push(link.clone());
            }
        });
        let completed = acked + void + failed;
        self.metrics.records_acked.increment(acked);
        frames.count(&self.metrics.frames_acked);
        void_frames.count(&self.metrics.frames_void);
        self.metrics.records_failed.increment(failed);
        self.metrics.in_flight_records.decrement(completed as f64);
        self.metrics.in_flight_bytes.decrement(bytes as f64);
        self.health.in_flight_records.fetch_sub(completed as usize, Relaxed);
        if acked + void > 0 {
            self.health.last_ack_unix_ms.store(unix_us() / 1_000, Relaxed);
        }
        if !over.is_empty() {
            self.flows.forget(&over);
        }
        if !touched.is_empty() {
            self.listed.lock().append(&mut touched);
            self.wake.notify_one();
        }
    }
}

/// Unix time, µs. For stamps, grants and statistics; nothing is ordered by it (F7).
pub(crate) fn unix_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_micros() as i64)
}
