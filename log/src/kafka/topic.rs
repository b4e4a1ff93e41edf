//! The topic: looked up, created when missing, checked; and the questions that need no producer or consumer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::LogId;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use tokio::runtime::Handle;

use super::config::{KafkaConfig, Logging, log_line};
use crate::{Bounds, LogError, Offset};

/// How long a broker may take to answer a question, or a new topic to have its leaders.
const PATIENCE: Duration = Duration::from_secs(10);
/// Partitions of a new topic: spreads over a small cluster, and one node can still own them all.
const DEFAULT_PARTITIONS: u32 = 8;
const DEFAULT_REPLICATION: u32 = 3;

/// A client for questions. It is a producer that never produces: that needs no group and is closed quickly.
pub(super) struct Metadata {
    client: Option<Arc<BaseProducer<Asking>>>,
    topic: String,
    brokers: String,
}

struct Asking;

impl ClientContext for Asking {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client reports");
    }
}

impl ProducerContext for Asking {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl Drop for Metadata {
    fn drop(&mut self) {
        // Closing waits for librdkafka's threads: not here, this may be an async worker.
        let client = self.client.take();
        let _ = std::thread::Builder::new().name("kafka-close".into()).spawn(move || drop(client));
    }
}

impl Metadata {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        if let Some(key) = config.forbidden() {
            return Err(LogError::Mismatch(format!("the Kafka setting {key} is the log's own and cannot be changed: leave it out")));
        }
        let client = BaseProducer::from_config_and_context(&config.admin(), Asking).map_err(bad_setting)?;
        Ok(Self { client: Some(Arc::new(client)), topic: config.topic.clone(), brokers: config.brokers.clone() })
    }

    fn client(&self) -> &BaseProducer<Asking> {
        self.client.as_ref().expect("taken only by drop")
    }

    /// The offsets of a partition. Blocks.
    pub(super) fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        let (start, end) = self.client().client().fetch_watermarks(&self.topic, partition as i32, PATIENCE).map_err(|e| self.unavailable(&e))?;
        Ok(Bounds { start: start.max(0) as Offset, end: end.max(0) as Offset })
    }

    fn unavailable(&self, error: &KafkaError) -> LogError {
        LogError::Unavailable(format!("Kafka at {} (topic {}): {error}", self.brokers, self.topic))
    }

    fn look(&self) -> Result<Seen, LogError> {
        // All topics: a question about one creates it at brokers that create topics by themselves.
        let metadata = self.client().client().fetch_metadata(None, PATIENCE).map_err(|e| self.unavailable(&e))?;
        let topic = metadata.topics().iter().find(|t| t.name() == self.topic && t.error().is_none());
        Ok(Seen {
            brokers: metadata.brokers().len() as u32,
            partitions: topic.map(|t| t.partitions().len() as u32).filter(|n| *n > 0),
            led: topic.is_some_and(|t| t.partitions().iter().all(|p| p.leader() >= 0)),
            replicas: topic.and_then(|t| t.partitions().iter().map(|p| p.replicas().len()).min()).unwrap_or(0) as u32,
        })
    }
}

struct Seen {
    brokers: u32,
    partitions: Option<u32>,
    led: bool,
    replicas: u32,
}

/// Find or create the topic; its identity and number of partitions.
pub(super) fn ensure(config: &KafkaConfig, metadata: &Metadata, runtime: &Handle) -> Result<(LogId, u32), LogError> {
    let admin = admin(config)?;
    let mut seen = metadata.look()?;
    if seen.partitions.is_none() {
        create(config, &admin, &seen, runtime)?;
        let began = Instant::now();
        while seen.partitions.is_none() || !seen.led {
            if began.elapsed() > PATIENCE {
                return Err(LogError::Unavailable(format!("the new Kafka topic {} has no leaders yet", config.topic)));
            }
            std::thread::sleep(Duration::from_millis(50));
            seen = metadata.look()?;
        }
    }
    let partitions = seen.partitions.unwrap_or_default();
    if let Some(wanted) = config.partitions.filter(|wanted| *wanted != partitions) {
        return Err(LogError::Mismatch(format!(
            "the Kafka topic {} has {partitions} partitions, not {wanted}: that is fixed for a log's life. Ask for {partitions}, or use another topic",
            config.topic
        )));
    }
    if seen.replicas < DEFAULT_REPLICATION {
        tracing::warn!(topic = %config.topic, replicas = seen.replicas, "the topic has few replicas: what is acknowledged survives a killed broker, not a lost machine");
    }
    check_settings(config, &admin, runtime)?;
    let cluster = metadata.client().client().fetch_cluster_id(PATIENCE);
    let cluster = cluster.ok_or_else(|| LogError::Unavailable(format!("Kafka at {} does not tell its cluster id", config.brokers)))?;
    Ok((LogId(format!("kafka:{cluster}:{}:{partitions}", config.topic)), partitions))
}

fn create(config: &KafkaConfig, admin: &AdminClient<Logging>, seen: &Seen, runtime: &Handle) -> Result<(), LogError> {
    let partitions = config.partitions.unwrap_or(DEFAULT_PARTITIONS);
    let replication = config.replication.unwrap_or(DEFAULT_REPLICATION.min(seen.brokers.max(1)));
    let min_isr = config.min_isr.unwrap_or(replication.saturating_sub(1).max(1)).to_string();
    let retention_ms = config.retention.as_millis().to_string();
    let topic = NewTopic::new(&config.topic, partitions as i32, TopicReplication::Fixed(replication as i32))
        .set("cleanup.policy", "delete")
        .set("retention.ms", &retention_ms)
        .set("min.insync.replicas", &min_isr)
        .set("unclean.leader.election.enable", "false")
        // Entries say when the log took them, by one clock.
        .set("message.timestamp.type", "LogAppendTime")
        // Brokers store what they get: no recompression.
        .set("compression.type", "producer");
    match one(runtime.block_on(admin.create_topics([&topic], &patient()))) {
        Ok(()) => {
            tracing::info!(topic = %config.topic, partitions, replication, "created the log's Kafka topic");
            Ok(())
        }
        // Another node was quicker.
        Err(Refused::Topic(RDKafkaErrorCode::TopicAlreadyExists)) => Ok(()),
        Err(Refused::Topic(
            code @ (RDKafkaErrorCode::InvalidReplicationFactor | RDKafkaErrorCode::PolicyViolation | RDKafkaErrorCode::InvalidPartitions),
        )) => Err(LogError::Mismatch(format!(
            "Kafka does not create the topic {} with {partitions} partitions and {replication} replicas on {} broker(s): {code}",
            config.topic, seen.brokers
        ))),
        Err(refused) => Err(refused.name("create the topic", config)),
    }
}

/// A topic that somebody else made must not lose records.
fn check_settings(config: &KafkaConfig, admin: &AdminClient<Logging>, runtime: &Handle) -> Result<(), LogError> {
    let described = runtime.block_on(admin.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &patient()));
    let Some(Ok(resource)) = described.ok().and_then(|mut all| all.pop()) else {
        tracing::warn!(topic = %config.topic, "the topic's settings cannot be read: nobody has checked that it keeps records");
        return Ok(());
    };
    let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
    let policy = value("cleanup.policy");
    if policy != "delete" {
        return Err(LogError::Mismatch(format!(
            "the Kafka topic {} has cleanup.policy={policy}, which removes records that are still needed: use cleanup.policy=delete",
            config.topic
        )));
    }
    if value("unclean.leader.election.enable") == "true" {
        tracing::warn!(topic = %config.topic, "the topic allows unclean leader election: acknowledged records can be lost");
    }
    if value("message.timestamp.type") != "LogAppendTime" {
        tracing::warn!(topic = %config.topic, "the topic has message.timestamp.type other than LogAppendTime: times of append come from the edges' clocks");
    }
    Ok(())
}

/// Delete the topic.
pub(super) fn delete(config: &KafkaConfig, runtime: &Handle) -> Result<(), LogError> {
    let admin = admin(config)?;
    one(runtime.block_on(admin.delete_topics(&[&config.topic], &patient()))).map_err(|refused| refused.name("delete the topic", config))
}

/// Remove records below an offset.
pub(super) fn remove_below(config: &KafkaConfig, partition: u32, offset: Offset, runtime: &Handle) -> Result<(), LogError> {
    let admin = admin(config)?;
    let mut below = TopicPartitionList::new();
    let added = below.add_partition_offset(&config.topic, partition as i32, rdkafka::Offset::Offset(offset as i64));
    let done = added.and_then(|()| runtime.block_on(admin.delete_records(&below, &patient())));
    done.map(drop).map_err(|e| Refused::Request(e).name("remove records", config))
}

enum Refused {
    Topic(RDKafkaErrorCode),
    Request(KafkaError),
}

impl Refused {
    fn name(self, action: &str, config: &KafkaConfig) -> LogError {
        let why = match self {
            Refused::Topic(code) => code.to_string(),
            Refused::Request(e) => e.to_string(),
        };
        LogError::Unavailable(format!("Kafka at {} did not {action} {}: {why}", config.brokers, config.topic))
    }
}

/// The answer to a request about one topic.
fn one(answer: Result<Vec<TopicResult>, KafkaError>) -> Result<(), Refused> {
    match answer.map_err(Refused::Request)?.pop() {
        Some(Err((_, code))) => Err(Refused::Topic(code)),
        _ => Ok(()),
    }
}

fn admin(config: &KafkaConfig) -> Result<AdminClient<Logging>, LogError> {
    AdminClient::from_config_and_context(&config.admin(), Logging).map_err(bad_setting)
}

fn patient() -> AdminOptions {
    AdminOptions::new().request_timeout(Some(PATIENCE)).operation_timeout(Some(PATIENCE))
}

pub(super) fn bad_setting(error: KafkaError) -> LogError {
    LogError::Mismatch(format!("the Kafka client cannot be set up: {error}"))
}
