//! The topic: found, created if it is missing, checked; and the requests that need no producer or consumer.

use std::time::{Duration, Instant};

use boxbox_schemas::LogId;
use parking_lot::Mutex;
use rdkafka::TopicPartitionList;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication, TopicResult};
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::producer::{BaseProducer, DeliveryResult, Producer, ProducerContext};
use tokio::runtime::Handle;

use super::closing::{Open, elsewhere};
use super::config::{KafkaConfig, Logging, log_line};
use crate::{Bounds, LogError, Offset};

/// How long a broker may take to answer a request, or a new topic to get its leaders.
const PATIENCE: Duration = Duration::from_secs(10);
/// Time for one request of several within that time.
const QUESTION: Duration = Duration::from_millis(500);
/// Long enough to receive all of a client's events.
const EVENTS: Duration = Duration::from_millis(20);
/// Partitions of a new topic: enough to spread over a small cluster, few enough for one node to own all.
const DEFAULT_PARTITIONS: u32 = 8;
const DEFAULT_REPLICATION: u32 = 3;

/// A client for metadata. It is a producer that never produces: a producer needs no group and is closed quickly.
pub(super) struct Metadata {
    /// `None` only while it is dropped.
    client: Option<(BaseProducer<Asking>, Open)>,
    topic: String,
    brokers: String,
}

/// Remembers why a broker refused the client: librdkafka reports the reason only here, and retries for ever.
#[derive(Default)]
pub(super) struct Asking {
    refused: Mutex<Option<String>>,
}

impl ClientContext for Asking {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client reports");
        if let Some(RDKafkaErrorCode::Authentication | RDKafkaErrorCode::SaslAuthenticationFailed | RDKafkaErrorCode::SSL) =
            error.rdkafka_error_code()
        {
            *self.refused.lock() = Some(reason.to_owned());
        }
    }
}

impl ProducerContext for Asking {
    type DeliveryOpaque = ();
    fn delivery(&self, _: &DeliveryResult<'_>, (): ()) {}
}

impl Drop for Metadata {
    fn drop(&mut self) {
        if let Some((client, open)) = self.client.take() {
            elsewhere(client, open);
        }
    }
}

impl Metadata {
    pub(super) fn new(config: &KafkaConfig) -> Result<Self, LogError> {
        if let Some(key) = config.forbidden() {
            return Err(LogError::Mismatch(format!("the Kafka setting {key} is the log's own and cannot be changed: leave it out")));
        }
        config.security.check(&config.brokers)?;
        let client = BaseProducer::from_config_and_context(&config.admin(), Asking::default()).map_err(bad_setting)?;
        Ok(Self { client: Some((client, Open::new())), topic: config.topic.clone(), brokers: config.brokers.clone() })
    }

    fn client(&self) -> &BaseProducer<Asking> {
        &self.client.as_ref().expect("taken only by drop").0
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
        let metadata = self.ask()?;
        let topic = metadata.topics().iter().find(|t| t.name() == self.topic && t.error().is_none());
        Ok(Seen {
            brokers: metadata.brokers().len() as u32,
            partitions: topic.map(|t| t.partitions().len() as u32).filter(|n| *n > 0),
            led: topic.is_some_and(|t| t.partitions().iter().all(|p| p.leader() >= 0)),
            replicas: topic.and_then(|t| t.partitions().iter().map(|p| p.replicas().len()).min()).unwrap_or(0) as u32,
        })
    }

    /// The cluster's metadata. It is asked for with short timeouts, so that a refused login is an error at once.
    fn ask(&self) -> Result<rdkafka::metadata::Metadata, LogError> {
        let began = Instant::now();
        loop {
            // For all topics: a request for one topic would create it at brokers that create topics automatically.
            let error = match self.client().client().fetch_metadata(None, QUESTION) {
                Ok(metadata) => return Ok(metadata),
                Err(error) => error,
            };
            // Errors reach the context by polling, after the library's log lines.
            self.client().poll(EVENTS);
            if let Some(reason) = self.client().context().refused.lock().take() {
                return Err(LogError::Refused(format!("Kafka at {} (topic {}): {reason}", self.brokers, self.topic)));
            }
            if began.elapsed() >= PATIENCE {
                return Err(self.unavailable(&error));
            }
        }
    }
}

struct Seen {
    brokers: u32,
    partitions: Option<u32>,
    led: bool,
    replicas: u32,
}

/// What a topic is for.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TopicRole {
    /// The log's records: kept for a time.
    Records,
    /// W10: the last record of each key is kept for ever.
    Control,
}

impl TopicRole {
    const fn cleanup_policy(self) -> &'static str {
        match self {
            TopicRole::Records => "delete",
            TopicRole::Control => "compact",
        }
    }
}

/// Find or create the topic; returns its identity and number of partitions.
pub(super) fn ensure(config: &KafkaConfig, role: TopicRole, metadata: &Metadata, runtime: &Handle) -> Result<(LogId, u32), LogError> {
    let admin = admin(config)?;
    let mut seen = metadata.look()?;
    if seen.partitions.is_none() {
        create(config, role, &admin, &seen, runtime)?;
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
    if seen.replicas < DEFAULT_REPLICATION && role == TopicRole::Records {
        tracing::warn!(topic = %config.topic, replicas = seen.replicas, "the topic has few replicas: what is acknowledged survives a killed broker, not a lost machine");
    }
    check_settings(config, role, &admin, runtime)?;
    let cluster = metadata.client().client().fetch_cluster_id(PATIENCE);
    let cluster = cluster.ok_or_else(|| LogError::Unavailable(format!("Kafka at {} does not say its cluster id", config.brokers)))?;
    Ok((LogId(format!("kafka:{cluster}:{}:{partitions}", config.topic)), partitions))
}

fn create(config: &KafkaConfig, role: TopicRole, admin: &AdminClient<Logging>, seen: &Seen, runtime: &Handle) -> Result<(), LogError> {
    let partitions = config.partitions.unwrap_or(DEFAULT_PARTITIONS);
    let replication = config.replication.unwrap_or(DEFAULT_REPLICATION.min(seen.brokers.max(1)));
    let min_isr = config.min_isr.unwrap_or(replication.saturating_sub(1).max(1)).to_string();
    let retention_ms = config.retention.as_millis().to_string();
    let topic = NewTopic::new(&config.topic, partitions as i32, TopicReplication::Fixed(replication as i32))
        .set("cleanup.policy", role.cleanup_policy())
        .set("min.insync.replicas", &min_isr)
        .set("unclean.leader.election.enable", "false")
        // The broker's clock stamps each record when it is appended.
        .set("message.timestamp.type", "LogAppendTime")
        // Brokers store batches as they get them, without compressing them again.
        .set("compression.type", "producer");
    let topic = match role {
        TopicRole::Records => topic.set("retention.ms", &retention_ms),
        // A reader that was disconnected for longer than this may miss that a key was removed.
        TopicRole::Control => topic.set("delete.retention.ms", &retention_ms),
    };
    match one(runtime.block_on(admin.create_topics([&topic], &patient()))) {
        Ok(()) => {
            tracing::info!(topic = %config.topic, partitions, replication, "created the log's Kafka topic");
            Ok(())
        }
        // Another node has created it in the meantime.
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

/// Checks that a topic which this program did not create keeps its records.
fn check_settings(config: &KafkaConfig, role: TopicRole, admin: &AdminClient<Logging>, runtime: &Handle) -> Result<(), LogError> {
    let began = Instant::now();
    let described = loop {
        let described = runtime.block_on(admin.describe_configs([&ResourceSpecifier::Topic(&config.topic)], &patient()));
        let resource = described.ok().and_then(|mut all| all.pop()).and_then(Result::ok);
        // A broker that does not know a new topic yet has no settings of it.
        if resource.as_ref().is_some_and(|r| r.get("cleanup.policy").is_some_and(|entry| entry.value.is_some())) || began.elapsed() > PATIENCE {
            break resource;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let Some(resource) = described.filter(|r| r.get("cleanup.policy").is_some()) else {
        let topic = &config.topic;
        tracing::warn!(%topic, "the topic's settings cannot be read: it was not checked that it keeps records");
        return Ok(());
    };
    let value = |name: &str| resource.get(name).and_then(|entry| entry.value.clone()).unwrap_or_default();
    let (policy, wanted) = (value("cleanup.policy"), role.cleanup_policy());
    if policy != wanted {
        return Err(LogError::Mismatch(format!(
            "the Kafka topic {} has cleanup.policy={policy}, which removes records that are still needed: use cleanup.policy={wanted}",
            config.topic
        )));
    }
    if value("unclean.leader.election.enable") == "true" {
        tracing::warn!(topic = %config.topic, "the topic allows unclean leader election: acknowledged records can be lost");
    }
    if role == TopicRole::Records && value("message.timestamp.type") != "LogAppendTime" {
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
    match error {
        // The message leaves out the value, which may be a password.
        KafkaError::ClientConfig(_, why, key, _) => LogError::Mismatch(format!("the Kafka client cannot be set up: {key}: {why}")),
        error => LogError::Mismatch(format!("the Kafka client cannot be set up: {error}")),
    }
}
