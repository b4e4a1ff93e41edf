//! [`KafkaLog`].

use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::LogId;

use super::blocking::blocking;
use super::config::KafkaConfig;
use super::inner::Inner;
use super::reader::KafkaReader;
use super::topic::{self, Metadata, TopicRole};
use super::writer::KafkaWriter;
use crate::memory::no_partition;
use crate::{Bounds, Completions, Log, LogError, Offset, Reader, Writer};

/// A log in a Kafka topic. See the [module](super).
pub struct KafkaLog {
    inner: Arc<Inner>,
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
            let (id, partitions) = topic::ensure(&config, TopicRole::Records, &metadata, &runtime)?;
            Ok(Inner { config, id, partitions, metadata })
        });
        Ok(Self { inner: Arc::new(opened.await?) })
    }

    /// Delete the topic with all its records, for tests and for operators.
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
        Ok(Box::new(KafkaWriter::start(&self.inner.config, self.inner.partitions, completions)?))
    }

    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let Bounds { start, end } = self.bounds(partition).await?;
        if from < start || from > end {
            return Err(LogError::OutOfRange { partition, asked: from, start, end });
        }
        Ok(Box::new(KafkaReader::start(self.inner.clone(), partition, from, end)?))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        if partition >= self.inner.partitions {
            return Err(no_partition(partition, self.inner.partitions));
        }
        let inner = self.inner.clone();
        blocking(move || inner.metadata.bounds(partition)).await
    }
}
