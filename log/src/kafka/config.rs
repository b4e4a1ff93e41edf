//! How the Kafka log is set up, and which settings librdkafka gets, each with its reason.

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::client::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;

use super::security::Security;
use crate::Limits;

/// A Kafka log's settings; the values of `KafkaConfig::new` suit a cluster of three brokers.
#[derive(Clone, Debug)]
pub struct KafkaConfig {
    /// `host:port`, several separated by commas.
    pub brokers: String,
    /// The topic; created if it is missing.
    pub topic: String,
    /// Partitions that the topic must have; it is created with them. `None`: as many as it has, 8 for a new one.
    pub partitions: Option<u32>,
    /// Replicas of a new topic. `None`: 3, or as many as there are brokers.
    pub replication: Option<u32>,
    /// In-sync replicas that a write to a new topic needs. `None`: one less than the replicas, at least 1.
    pub min_isr: Option<u32>,
    /// How long a new topic keeps records.
    pub retention: Duration,
    /// How much each writer may hold.
    pub limits: Limits,
    /// How records are compressed on the wire and in the topic.
    pub compression: Compression,
    /// A record that Kafka has not answered for after this time has the outcome [`crate::Outcome::Failed`]. Longer than a broker
    /// restart or a change of leader takes, so that these make no record fail.
    pub deadline: Duration,
    /// TLS and login.
    pub security: Security,
    /// Further librdkafka settings, such as `ssl.certificate.location`; they win over the log's own. Those of acknowledgement
    /// and order (`acks`, `enable.idempotence`, …) and those of [`Security`] are refused.
    pub settings: BTreeMap<String, String>,
}

/// Compression of record batches.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// None: least CPU here and at the broker.
    #[default]
    None,
    /// LZ4: for slow links and expensive disks.
    Lz4,
}

impl KafkaConfig {
    /// Defaults for a topic at some brokers.
    pub fn new(brokers: impl Into<String>, topic: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            topic: topic.into(),
            partitions: None,
            replication: None,
            min_isr: None,
            retention: Duration::from_secs(7 * 86_400),
            limits: Limits::default(),
            compression: Compression::default(),
            deadline: Duration::from_secs(30),
            security: Security::default(),
            settings: BTreeMap::new(),
        }
    }

    fn client(&self) -> ClientConfig {
        let mut c = ClientConfig::new();
        c.set("bootstrap.servers", &self.brokers)
            .set("client.id", "boxbox")
            // The default waits up to 10 s after an outage; acks are to resume within 2 s of it.
            .set("reconnect.backoff.ms", "50")
            .set("reconnect.backoff.max.ms", "500")
            .set("retry.backoff.ms", "50")
            .set("retry.backoff.max.ms", "500")
            .set("topic.metadata.refresh.fast.interval.ms", "100")
            // The connection to a broker that has gone silent is closed and opened again.
            .set("socket.connection.setup.timeout.ms", "2000")
            .set("socket.keepalive.enable", "true")
            .set("socket.nagle.disable", "true")
            .set("allow.auto.create.topics", "false")
            .set_log_level(RDKafkaLogLevel::Warning);
        self.security.apply(&mut c);
        c
    }

    fn with_settings(&self, mut c: ClientConfig, only: &dyn Fn(&str) -> bool) -> ClientConfig {
        for (key, value) in self.settings.iter().filter(|(key, _)| only(key)) {
            c.set(key, value);
        }
        c
    }

    /// For metadata, watermarks and the admin client.
    pub(super) fn admin(&self) -> ClientConfig {
        self.with_settings(self.client(), &is_of_connection)
    }

    /// For the producer.
    pub(super) fn producer(&self) -> ClientConfig {
        let mut c = self.client();
        c.set("enable.idempotence", "true")
            .set("acks", "all")
            // The log's own budgets are the limit: the queue must not be full before they are used up.
            .set("queue.buffering.max.messages", "0")
            .set("queue.buffering.max.kbytes", "2147483647")
            .set("linger.ms", "5")
            // For the metrics: see `statistics.rs`.
            .set("statistics.interval.ms", "5000")
            .set(
                "compression.codec",
                match self.compression {
                    Compression::None => "none",
                    Compression::Lz4 => "lz4",
                },
            )
            // The log has its own deadline. librdkafka's would take messages out of the middle of an idempotent
            // sequence, which it must then drain and renumber; if it keeps them, they go out in order when the broker is back.
            .set("message.timeout.ms", "0")
            .set("request.timeout.ms", "5000")
            .set("socket.timeout.ms", "10000");
        self.with_settings(c, &|key| is_of_connection(key) || is_of_producer(key))
    }

    /// For a reader.
    pub(super) fn consumer(&self) -> ClientConfig {
        let mut c = self.client();
        // librdkafka requires a group name, although partitions are assigned and offsets are never committed.
        c.set("group.id", "boxbox-reader")
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            // An offset that no longer exists is an error; the reader never skips ahead.
            .set("auto.offset.reset", "error")
            .set("check.crcs", "true")
            // This event shows a reader that it has caught up with the log.
            .set("enable.partition.eof", "true")
            // Read ahead about 4 MiB, and continue at once when there is room again.
            .set("queued.min.messages", "20000")
            .set("queued.max.messages.kbytes", "4096")
            .set("fetch.queue.backoff.ms", "5")
            .set("fetch.error.backoff.ms", "100")
            .set("fetch.wait.max.ms", "250");
        self.with_settings(c, &|key| is_of_connection(key) || is_of_consumer(key))
    }

    /// A setting that would break the contract, if one is given.
    pub(super) fn forbidden(&self) -> Option<&str> {
        self.settings.keys().map(String::as_str).find(|key| FORBIDDEN.contains(key))
    }
}

const FORBIDDEN: [&str; 18] = [
    "acks",
    "request.required.acks",
    "enable.idempotence",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.timeout.ms",
    "delivery.timeout.ms",
    "transactional.id",
    "auto.offset.reset",
    "enable.auto.commit",
    "enable.partition.eof",
    "check.crcs",
    "security.protocol",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.username",
    "sasl.password",
    "ssl.ca.location",
];

// librdkafka warns of a consumer's settings in a producer and the other way round.
const PRODUCER: [&str; 12] = [
    "linger.ms",
    "queue.buffering.max.ms",
    "batch.size",
    "batch.num.messages",
    "compression.codec",
    "compression.type",
    "compression.level",
    "request.timeout.ms",
    "message.send.max.retries",
    "retries",
    "sticky.partitioning.linger.ms",
    "queue.buffering.backpressure.threshold",
];

fn is_of_producer(key: &str) -> bool {
    PRODUCER.contains(&key)
}

fn is_of_consumer(key: &str) -> bool {
    key.starts_with("fetch.") || key.starts_with("queued.") || key.starts_with("max.partition.") || key == "group.id" || key == "client.rack"
}

fn is_of_connection(key: &str) -> bool {
    !is_of_producer(key) && !is_of_consumer(key)
}

/// Sends librdkafka's log lines to ours.
pub(super) struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka client reports");
    }
}

pub(super) fn log_line(level: RDKafkaLogLevel, facility: &str, message: &str) {
    use RDKafkaLogLevel::{Alert, Critical, Debug, Emerg, Error, Info, Notice, Warning};
    match level {
        // librdkafka calls every refused connection an error; it retries, and the log's own messages say what it means.
        Emerg | Alert | Critical | Error | Warning => tracing::warn!(facility, message, "kafka client"),
        Notice | Info => tracing::info!(facility, message, "kafka client"),
        Debug => tracing::debug!(facility, message, "kafka client"),
    }
}
