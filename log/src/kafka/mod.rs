//! The log on Apache Kafka: one topic, one idempotent producer per writer, one consumer thread per reader (E8).
//!
//! Nothing of Kafka's own bookkeeping is used: no consumer groups (partitions are assigned, offsets are the reader's
//! business), no transactions, no client-side partitioner. The log's id is the cluster's id, the topic and the number of
//! partitions, so that a checkpoint is never read against another topic. Durable means acknowledged by all in-sync
//! replicas; with a replication factor of 1 that survives a killed broker, not a lost machine.
//!
//! A reader costs one thread and one set of broker connections, which is fine for the 16 or so partitions of one node;
//! more belong on more nodes.

mod closing;
mod config;
pub mod control;
mod ledger;
mod reader;
mod security;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::LogId;

pub use self::closing::wait_until_closed;
pub use self::config::{Compression, KafkaConfig};
pub use self::security::{Mechanism, Sasl, Security, Tls};
use self::topic::{Kind, Metadata};
use crate::memory::no_partition;
use crate::{Bounds, Completions, Log, LogError, Offset, Reader, Writer};

/// A log in a Kafka topic. See the [module](self).
pub struct KafkaLog {
    inner: Arc<Inner>,
}

struct Inner {
    config: KafkaConfig,
    id: LogId,
    partitions: u32,
    metadata: Metadata,
}

impl KafkaLog {
    /// Open the topic, or create it when it is missing.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if no broker answers within 10 s, [`LogError::Refused`] if the login or the broker's certificate
    /// is wrong, [`LogError::Mismatch`] if the topic has another number of partitions or is compacted, if a setting is unknown,
    /// or if this build cannot do what the URL asks.
    pub async fn open(config: KafkaConfig) -> Result<Self, LogError> {
        let runtime = tokio::runtime::Handle::current();
        let opened = blocking(move || {
            let metadata = Metadata::new(&config)?;
            let (id, partitions) = topic::ensure(&config, Kind::Records, &metadata, &runtime)?;
            Ok(Inner { config, id, partitions, metadata })
        });
        Ok(Self { inner: Arc::new(opened.await?) })
    }

    /// Delete the topic with all its records; for tests and for people who mean it.
    pub async fn delete(self) -> Result<(), LogError> {
        let runtime = tokio::runtime::Handle::current();
        blocking(move || topic::delete(&self.inner.config, &runtime)).await
    }

    /// Remove the records of a partition below `offset`, as retention would.
    pub async fn remove_below(&self, partition: u32, offset: Offset) -> Result<(), LogError> {
        let (inner, runtime) = (self.inner.clone(), tokio::runtime::Handle::current());
        blocking(move || topic::remove_below(&inner.config, partition, offset, &runtime)).await
    }
}

#[async_trait]
impl Log for KafkaLog {
    fn id(&self) -> &LogId {
        &self.inner.id
    }

    fn partitions(&self) -> u32 {
        self.inner.partitions
    }

    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        Ok(Box::new(writer::KafkaWriter::start(&self.inner.config, self.inner.partitions, completions)?))
    }

    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let Bounds { start, end } = self.bounds(partition).await?;
        if from < start || from > end {
            return Err(LogError::OutOfRange { partition, asked: from, start, end });
        }
        Ok(Box::new(reader::KafkaReader::start(self.inner.clone(), partition, from, end)?))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        if partition >= self.inner.partitions {
            return Err(no_partition(partition, self.inner.partitions));
        }
        let inner = self.inner.clone();
        blocking(move || inner.metadata.bounds(partition)).await
    }
}

/// librdkafka's requests block; they run beside the async workers.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, LogError> + Send + 'static) -> Result<T, LogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(e) if e.is_cancelled() => Err(LogError::Unavailable("the runtime is shutting down".into())),
        Err(e) => std::panic::resume_unwind(e.into_panic()),
    }
}
