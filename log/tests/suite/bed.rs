//! What the behaviour suite needs of a backend, and what it uses to talk to a log.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::{AppendError, Completion, Completions, Entry, Limits, Log, Outcome, Reader, Ticket, Writer};
use boxbox_schemas::SessionId;
use boxbox_testkit::wait::{PATIENCE, until};
use bytes::Bytes;
use tokio::sync::watch;

/// How a test wants its log.
#[derive(Clone, Copy)]
pub(crate) struct Setup {
    pub(crate) partitions: u32,
    pub(crate) limits: Limits,
    /// Hold records back about this long before they become durable.
    pub(crate) hold: Duration,
    /// Keep no more than about 2 MiB.
    pub(crate) retention: bool,
}

impl Default for Setup {
    fn default() -> Self {
        Self { partitions: 4, limits: Limits::default(), hold: Duration::ZERO, retention: false }
    }
}

/// A place where one log lives.
#[async_trait]
pub(crate) trait Bed: Send + Sync {
    /// Open the log, or make it.
    async fn open(&self, setup: Setup) -> Arc<dyn Log>;
    /// Whether a log that was closed and opened again holds what it held.
    fn persists(&self) -> bool;
    /// Let retention take some of the first records of partition 0, of which there are at least 300 of 8 KiB.
    async fn trim(&self, log: &Arc<dyn Log>);
    /// Stop or go on committing in one partition.
    fn stall(&self, _partition: u32, _stalled: bool) {
        unimplemented!("this backend cannot stall one partition");
    }
    /// Remove what the test left.
    async fn clear(&self) {}
}

/// Keeps outcomes in the order in which they were delivered.
pub(crate) struct Heard {
    all: watch::Sender<Vec<Completion>>,
}

impl Heard {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self { all: watch::Sender::new(Vec::new()) })
    }

    pub(crate) fn so_far(&self) -> Vec<Completion> {
        self.all.borrow().clone()
    }

    /// Wait for `n` outcomes; then also make sure that not one more comes soon after.
    pub(crate) async fn exactly(&self, n: usize) -> Vec<Completion> {
        let mut all = self.all.subscribe();
        let came = tokio::time::timeout(PATIENCE, all.wait_for(|all| all.len() >= n)).await.is_ok();
        assert!(came, "{} of {n} outcomes came in time", self.so_far().len());
        tokio::time::sleep(Duration::from_millis(30)).await;
        let all = self.so_far();
        assert_eq!(all.len(), n, "each outcome is delivered once");
        all
    }
}

impl Completions for Heard {
    fn completed(&self, batch: &[Completion]) {
        assert!(!batch.is_empty());
        self.all.send_modify(|all| all.extend_from_slice(batch));
    }
}

/// A record whose bytes say which it is, of any length ≥ 16.
pub(crate) fn record(owner: u64, mark: u64, length: usize) -> Bytes {
    let mut bytes = Vec::with_capacity(length.max(16));
    bytes.extend_from_slice(&owner.to_le_bytes());
    bytes.extend_from_slice(&mark.to_le_bytes());
    let mut noise = fastrand::Rng::with_seed(owner << 32 ^ mark);
    bytes.extend(std::iter::repeat_with(|| noise.u8(..)).take(length.saturating_sub(16)));
    bytes.into()
}

pub(crate) fn key(owner: u64) -> SessionId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&owner.to_le_bytes());
    SessionId(id)
}

/// Append, and try again while the budget is used up.
pub(crate) async fn append(writer: &dyn Writer, partition: u32, owner: u64, mark: u64, length: usize) {
    until("the budget is given back", || match writer.append(partition, key(owner), record(owner, mark, length), Ticket { owner, mark }) {
        Ok(()) => true,
        Err(AppendError::Full) => false,
        Err(e) => panic!("{e}"),
    })
    .await;
}

/// Read `n` records, checking that offsets rise.
pub(crate) async fn read(reader: &mut dyn Reader, n: usize) -> Vec<Entry> {
    let mut entries: Vec<Entry> = Vec::new();
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while entries.len() < n {
        assert!(tokio::time::Instant::now() < deadline, "{} of {n} records came in time", entries.len());
        for entry in reader.next(1 << 20, Duration::from_millis(200)).await.expect("the log can be read") {
            assert!(entries.last().is_none_or(|last| last.offset < entry.offset), "offsets rise");
            entries.push(entry);
        }
    }
    assert_eq!(entries.len(), n);
    entries
}

/// The offset of each outcome; panics at one that is not durable.
pub(crate) fn offsets(outcomes: &[Completion]) -> Vec<u64> {
    let offset = |c: &Completion| match c.outcome {
        Outcome::Durable(offset) => offset,
        other => panic!("{:?} is {other:?}", c.ticket),
    };
    outcomes.iter().map(offset).collect()
}

pub(crate) fn of_partition(outcomes: &[Completion], partition: u32) -> Vec<Completion> {
    outcomes.iter().copied().filter(|c| c.partition == partition).collect()
}
