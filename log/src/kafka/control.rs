//! W10: the control topic of a Kafka log: small records with keys, of which the last of each key counts. Nodes that share no
//! folder learn from it while they run.
//!
//! The topic `<topic>.control` has one partition and is compacted. This module does not interpret its records (see
//! [`boxbox_schemas::control`]). A client that may write to it decides for all nodes: the broker's access rules should let only
//! the machine that runs `boxbox grant` write; nodes only read.

mod changes;
mod follower;

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, ProducerContext};

pub use self::changes::{Change, Changes};
use super::blocking::blocking;
use super::closing::{Open, elsewhere};
use super::config::{KafkaConfig, log_line};
use super::topic::{self, Metadata, TopicRole, bad_setting};
use crate::LogError;
use crate::open::{Options, kafka_config};

/// Ends the control topic's name, after the log's.
const SUFFIX: &str = ".control";
/// How long a record may take to be durable: long enough for a change of leader.
const PUT_PATIENCE: Duration = Duration::from_secs(15);
/// How long one poll for the answer takes.
const POLL: Duration = Duration::from_millis(50);

/// The control topic of a log. See the [module](self).
pub struct Control {
    inner: Arc<Inner>,
}

struct Inner {
    config: KafkaConfig,
    metadata: Metadata,
    /// Made for the first put.
    producer: Mutex<Option<(BaseProducer<Answers>, Open)>>,
}

impl Control {
    /// Open the control topic of the Kafka log that `url` names, or create it when it is missing: with as many replicas as the
    /// log's own topic gets.
    ///
    /// # Errors
    /// [`LogError::Mismatch`] if `url` names no Kafka log or the topic is not compacted or has several partitions; else as
    /// [`super::KafkaLog::open`].
    pub async fn open(url: &str, options: Options) -> Result<Self, LogError> {
        let mut config = kafka_config(url, options)?;
        config.topic.push_str(SUFFIX);
        config.partitions = Some(1);
        let runtime = tokio::runtime::Handle::current();
        let opened = blocking(move || {
            let metadata = Metadata::new(&config)?;
            topic::ensure(&config, TopicRole::Control, &metadata, &runtime)?;
            Ok(Inner { config, metadata, producer: Mutex::default() })
        });
        Ok(Self { inner: Arc::new(opened.await?) })
    }

    /// The topic's name.
    pub fn topic(&self) -> &str {
        &self.inner.config.topic
    }

    /// Set the value of `key`, or (`None`) remove it. The change is durable when this returns.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if it is not known to be durable within 15 s (it may be durable nevertheless);
    /// [`LogError::Refused`] if this client may not write.
    pub async fn put(&self, key: impl Into<Vec<u8>>, value: Option<Vec<u8>>) -> Result<(), LogError> {
        let (inner, change) = (self.inner.clone(), Change { key: key.into(), value });
        blocking(move || inner.put(&change)).await
    }

    /// Everything that the topic holds up to its present end, in order, and the changes that follow.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if not all of it could be read within 30 s: a part of it would be worse than nothing.
    pub async fn read(&self) -> Result<(Vec<Change>, Changes), LogError> {
        let inner = self.inner.clone();
        let bounds = blocking(move || inner.metadata.bounds(0)).await?;
        follower::start(&self.inner.config, bounds.end).await
    }

    /// Delete the topic, for tests and for operators.
    ///
    /// # Errors
    /// [`LogError::Unavailable`] if Kafka does not delete it.
    pub async fn delete(self) -> Result<(), LogError> {
        let runtime = tokio::runtime::Handle::current();
        blocking(move || topic::delete(&self.inner.config, &runtime)).await
    }
}

impl Inner {
    fn put(&self, change: &Change) -> Result<(), LogError> {
        let mut slot = self.producer.lock();
        if slot.is_none() {
            let mut config = self.config.producer();
            // One record at a time, and a copy of it does no harm; a deadline does harm to idempotent producers.
            config.set("enable.idempotence", "false").set("message.timeout.ms", PUT_PATIENCE.as_millis().to_string());
            *slot = Some((BaseProducer::from_config_and_context(&config, Answers).map_err(bad_setting)?, Open::new()));
        }
        let (producer, _) = slot.as_ref().expect("made above");
        let answer = Arc::new(Answer::default());
        let record = BaseRecord::with_opaque_to(&self.config.topic, answer.clone()).partition(0).key(&change.key);
        let record = match &change.value {
            Some(value) => record.payload(value),
            None => record,
        };
        producer.send(record).map_err(|(error, _)| self.not_put(&error))?;
        // librdkafka answers at its own deadline; ours is for the case that it does not.
        let began = Instant::now();
        while began.elapsed() < PUT_PATIENCE * 2 {
            producer.poll(POLL);
            if let Some(answer) = answer.0.lock().take() {
                return answer.map_err(|error| self.not_put(&error));
            }
        }
        Err(self.not_put(&KafkaError::Canceled))
    }

    fn not_put(&self, error: &KafkaError) -> LogError {
        let text = format!("Kafka at {} did not take a record of topic {}: {error}", self.config.brokers, self.config.topic);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::ClusterAuthorizationFailed) => LogError::Refused(text),
            _ => LogError::Unavailable(text),
        }
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some((producer, open)) = self.producer.lock().take() {
            elsewhere(producer, open);
        }
    }
}

/// What became of one record.
#[derive(Default)]
struct Answer(Mutex<Option<Result<(), KafkaError>>>);

struct Answers;

impl ClientContext for Answers {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer reports");
    }
}

impl ProducerContext for Answers {
    type DeliveryOpaque = Arc<Answer>;

    fn delivery(&self, result: &DeliveryResult<'_>, answer: Arc<Answer>) {
        *answer.0.lock() = Some(result.as_ref().map(drop).map_err(|(error, _)| error.clone()));
    }
}
