//! Stores that fail on request, in front of the reference ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use async_trait::async_trait;
use boxbox_schemas::{LogId, SessionId, TenantId};
use boxbox_store::memory::MemoryResults;
use boxbox_store::{Beginning, Found, Lease, PartitionState, SessionKey, Step, Steps, StoreError, StoredSession};

/// [`Steps`] whose commits fail, before or after they happen.
#[derive(Clone, Default)]
pub struct Faulty {
    pub inner: MemoryResults,
    faults: Arc<Faults>,
}

#[derive(Default)]
struct Faults {
    /// Of 100 commits, how many fail before anything is written, and how many after it is.
    before: AtomicU32,
    after: AtomicU32,
    /// Of 100 searches for sessions, how many fail.
    finds: AtomicU32,
    seed: AtomicU64,
    failed: AtomicU64,
    commits: AtomicU64,
}

impl Faulty {
    pub fn fail(&self, before_percent: u32, after_percent: u32, seed: u64) {
        self.faults.before.store(before_percent, Ordering::Relaxed);
        self.faults.after.store(after_percent, Ordering::Relaxed);
        self.faults.seed.store(seed, Ordering::Relaxed);
    }

    pub fn fail_finds(&self, percent: u32) {
        self.faults.finds.store(percent, Ordering::Relaxed);
    }

    pub fn failed(&self) -> u64 {
        self.faults.failed.load(Ordering::Relaxed)
    }

    pub fn commits(&self) -> u64 {
        self.faults.commits.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Steps for Faulty {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        self.inner.acquire(log, partition).await
    }
    async fn begin(&self, lease: &Lease) -> Result<Beginning, StoreError> {
        self.inner.begin(lease).await
    }
    async fn find(&self, lease: &Lease, sessions: &[SessionId], max_bytes: u64) -> Result<Vec<Found>, StoreError> {
        if self.faults.finds.load(Ordering::Relaxed) > fastrand::u32(0..100) {
            self.faults.failed.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Unavailable("it does not find".into()));
        }
        self.inner.find(lease, sessions, max_bytes).await
    }
    async fn closed_before(&self, lease: &Lease, us: i64, limit: u32) -> Result<Vec<SessionKey>, StoreError> {
        self.inner.closed_before(lease, us, limit).await
    }
    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        self.inner.load(lease).await
    }
    async fn stored(&self, session: &SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.inner.stored(session).await
    }
    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        let seed = self.faults.seed.fetch_add(1, Ordering::Relaxed);
        let dice = fastrand::Rng::with_seed(seed).u32(0..100);
        let (before, after) = (self.faults.before.load(Ordering::Relaxed), self.faults.after.load(Ordering::Relaxed));
        if dice < before {
            self.faults.failed.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Unavailable("it fell over before".into()));
        }
        self.inner.commit(lease, step).await?;
        self.faults.commits.fetch_add(1, Ordering::Relaxed);
        if dice < before + after {
            self.faults.failed.fetch_add(1, Ordering::Relaxed);
            return Err(StoreError::Unavailable("the answer was lost".into()));
        }
        Ok(())
    }
}

/// An archive that also remembers the blocks it was given.
#[derive(Clone, Default)]
pub struct Blocks {
    pub inner: boxbox_store::memory::MemoryArchive,
    pub blocks: Arc<std::sync::Mutex<Vec<boxbox_store::ArchiveBlock>>>,
}

#[async_trait]
impl boxbox_store::Archive for Blocks {
    fn pace(&self) -> boxbox_store::Pace {
        self.inner.pace()
    }
    async fn load(&self, lease: &Lease) -> Result<boxbox_store::ArchiveState, StoreError> {
        self.inner.load(lease).await
    }
    async fn append(&self, lease: &Lease, block: &boxbox_store::ArchiveBlock) -> Result<(), StoreError> {
        self.inner.append(lease, block).await?;
        self.blocks.lock().unwrap().push(block.clone());
        Ok(())
    }
    async fn retain(&self, retention: &boxbox_store::Retention) -> Result<boxbox_store::Removed, StoreError> {
        self.inner.retain(retention).await
    }
    async fn frames(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        span: &boxbox_schemas::results::Span,
        limit: u32,
    ) -> Result<Option<boxbox_store::FrameRun>, StoreError> {
        self.inner.frames(tenant, session, span, limit).await
    }
    async fn records(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        span: &boxbox_schemas::results::Span,
        limit: u32,
    ) -> Result<Vec<boxbox_store::KeptRecord>, StoreError> {
        self.inner.records(tenant, session, span, limit).await
    }
    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<boxbox_schemas::StreamKey>, StoreError> {
        self.inner.streams(tenant, session).await
    }
    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&boxbox_schemas::DriverId>) -> Result<u64, StoreError> {
        self.inner.count(tenant, session, driver).await
    }
    async fn ping(&self) -> Result<(), StoreError> {
        self.inner.ping().await
    }
}
