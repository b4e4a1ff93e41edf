//! A log that counts what is read, and one that does not answer, now and then.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::memory::MemoryLog;
use boxbox_log::{Bounds, Completions, Entry, Log, LogError, Offset, Reader, Writer};
use boxbox_schemas::LogId;

/// [`MemoryLog`] that counts its readers and what they were given.
#[derive(Clone)]
pub struct Counting {
    pub inner: MemoryLog,
    open: Arc<AtomicU64>,
    opened: Arc<AtomicU64>,
    given: Arc<AtomicU64>,
}

impl Counting {
    pub fn new(inner: MemoryLog) -> Self {
        Self { inner, open: Arc::default(), opened: Arc::default(), given: Arc::default() }
    }
    /// Readers that are open now.
    pub fn open(&self) -> u64 {
        self.open.load(Ordering::Relaxed)
    }
    /// Readers that were ever opened.
    pub fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }
    /// Records given to all readers.
    pub fn given(&self) -> u64 {
        self.given.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl Log for Counting {
    fn id(&self) -> &LogId {
        self.inner.id()
    }
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        self.inner.writer(completions)
    }
    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let inner = self.inner.reader(partition, from).await?;
        self.open.fetch_add(1, Ordering::Relaxed);
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(Box::new(CountingReader { inner, log: self.clone() }))
    }
    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        self.inner.bounds(partition).await
    }
}

struct CountingReader {
    inner: Box<dyn Reader>,
    log: Counting,
}

#[async_trait]
impl Reader for CountingReader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError> {
        let batch = self.inner.next(max_bytes, wait).await?;
        self.log.given.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(batch)
    }
    fn end(&self) -> Offset {
        self.inner.end()
    }
}

impl Drop for CountingReader {
    fn drop(&mut self) {
        self.log.open.fetch_sub(1, Ordering::Relaxed);
    }
}

/// [`MemoryLog`], of which every third call of a reader, and every second new reader, does not answer.
#[derive(Clone)]
pub struct Flaky {
    pub inner: MemoryLog,
    calls: Arc<AtomicU64>,
    failed: Arc<AtomicU64>,
}

impl Flaky {
    pub fn new(inner: MemoryLog) -> Self {
        Self { inner, calls: Arc::default(), failed: Arc::default() }
    }

    pub fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    fn answer(&self, every: u64) -> Result<(), LogError> {
        if self.calls.fetch_add(1, Ordering::Relaxed) % every == every - 1 {
            self.failed.fetch_add(1, Ordering::Relaxed);
            return Err(LogError::Unavailable("it sleeps".into()));
        }
        Ok(())
    }
}

#[async_trait]
impl Log for Flaky {
    fn id(&self) -> &LogId {
        self.inner.id()
    }
    fn partitions(&self) -> u32 {
        self.inner.partitions()
    }
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        self.inner.writer(completions)
    }
    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        self.answer(2)?;
        Ok(Box::new(FlakyReader { inner: self.inner.reader(partition, from).await?, log: self.clone() }))
    }
    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        self.inner.bounds(partition).await
    }
}

struct FlakyReader {
    inner: Box<dyn Reader>,
    log: Flaky,
}

#[async_trait]
impl Reader for FlakyReader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError> {
        self.log.answer(3)?;
        self.inner.next(max_bytes, wait).await
    }
    fn end(&self) -> Offset {
        self.inner.end()
    }
}
