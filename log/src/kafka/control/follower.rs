//! The reading side of the control topic: a consumer on its own thread that reads all records, then follows the topic.
//!
//! It never gives up: through an outage the last known values stay in force, and one warning is logged. It asks for the topic's
//! end itself, because a consumer of a quiet topic does not notice that no broker serves it any more, or that the topic was replaced.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::{mpsc, oneshot};

use super::super::closing::Open;
use super::super::config::{KafkaConfig, log_line};
use super::super::topic::bad_setting;
use super::changes::{Change, Changes};
use crate::{LogError, Offset};

/// How long the first reading may take.
const FIRST_PATIENCE: Duration = Duration::from_secs(30);
/// If a partition reports its end below the known end, and no record follows for this long, there are none: compaction left a gap.
const GAP_PATIENCE: Duration = Duration::from_secs(1);
/// How long the thread waits in the consumer before it checks whether it should end.
const POLL: Duration = Duration::from_millis(100);
/// How often the topic's end is asked for, and in an outage.
const CHECK_EVERY: Duration = Duration::from_secs(5);
const CHECK_AGAIN: Duration = Duration::from_secs(1);
/// An outage has ended when the broker answers and there was no error for this long.
const QUIET: Duration = Duration::from_secs(2);
/// Changes in the channel to the caller; if it is full the thread waits.
const CHANGES: usize = 256;

type First = Result<Vec<Change>, LogError>;

/// Read up to `end`, then follow.
pub(super) async fn start(config: &KafkaConfig, end: Offset) -> Result<(Vec<Change>, Changes), LogError> {
    let consumer: BaseConsumer<Logging> = BaseConsumer::from_config_and_context(&config.consumer(), Logging).map_err(bad_setting)?;
    let (send, receiver) = mpsc::channel(CHANGES);
    let (first, read) = oneshot::channel();
    let changes = Changes { receiver, closing: Arc::default() };
    let (brokers, topic, closing) = (config.brokers.clone(), config.topic.clone(), changes.closing.clone());
    let mut follower = Follower { consumer, brokers, topic, next: 0, closing, send, trouble: None, checked: Instant::now() };
    let open = Open::new();
    // The consumer is used and dropped on its thread alone: both block.
    std::thread::Builder::new()
        .name("kafka-control".into())
        .spawn(move || {
            let all = follower.read_to(end);
            let whole = all.is_ok();
            if first.send(all).is_ok() && whole {
                follower.follow();
            }
            drop(follower);
            drop(open);
        })
        .map_err(|e| LogError::Io { context: "start the control topic's thread".into(), source: e })?;
    let first: First = read.await.unwrap_or_else(|_| Err(LogError::Unavailable("the control topic's reader has died".into())));
    Ok((first?, changes))
}

struct Follower {
    consumer: BaseConsumer<Logging>,
    brokers: String,
    topic: String,
    /// Above the last record that was read.
    next: Offset,
    closing: Arc<AtomicBool>,
    send: mpsc::Sender<Change>,
    /// When the last error was, during an outage.
    trouble: Option<Instant>,
    /// When the end was asked for.
    checked: Instant,
}

impl Follower {
    /// Everything below `end`, or an error.
    fn read_to(&mut self, end: Offset) -> First {
        self.seek_beginning().map_err(|e| self.unavailable(&e.to_string()))?;
        let began = Instant::now();
        let (mut all, mut no_more, mut last_error) = (Vec::new(), None::<Instant>, None);
        while self.next < end && no_more.is_none_or(|since| since.elapsed() < GAP_PATIENCE) {
            if began.elapsed() >= FIRST_PATIENCE || self.closing.load(Ordering::Acquire) {
                let last_error = last_error.map_or_else(|| "it does not answer".to_owned(), |e: KafkaError| e.to_string());
                return Err(self.unavailable(&format!("{} of {end} read; {last_error}", self.next)));
            }
            match self.consumer.poll(POLL) {
                None => {}
                Some(Ok(message)) => {
                    let (next, change) = taken(&message);
                    (self.next, no_more) = (next, None);
                    all.extend(change);
                }
                Some(Err(KafkaError::PartitionEOF(_))) => no_more = Some(Instant::now()),
                Some(Err(error)) => {
                    if let Some(RDKafkaErrorCode::TopicAuthorizationFailed | RDKafkaErrorCode::Authentication) = error.rdkafka_error_code() {
                        return Err(LogError::Refused(format!("Kafka at {}: topic {}: {error}", self.brokers, self.topic)));
                    }
                    // A report of the end from before an error does not count.
                    (no_more, last_error) = (None, Some(error));
                }
            }
        }
        Ok(all)
    }

    fn follow(&mut self) {
        while !self.closing.load(Ordering::Acquire) {
            match self.consumer.poll(POLL) {
                None | Some(Err(KafkaError::PartitionEOF(_))) => {}
                Some(Ok(message)) => {
                    let (next, change) = taken(&message);
                    self.next = next;
                    if change.is_some_and(|change| self.send.blocking_send(change).is_err()) {
                        return;
                    }
                }
                Some(Err(error)) => match error.rdkafka_error_code() {
                    Some(RDKafkaErrorCode::AutoOffsetReset | RDKafkaErrorCode::OffsetOutOfRange) => self.begin_again(),
                    _ => self.troubled(&error),
                },
            }
            let every = if self.trouble.is_some() { CHECK_AGAIN } else { CHECK_EVERY };
            if self.checked.elapsed() >= every {
                self.check();
            }
        }
    }

    /// Ask for the topic's end, to see whether it is served and still the topic that was read.
    fn check(&mut self) {
        let asked = self.consumer.fetch_watermarks(&self.topic, 0, CHECK_AGAIN);
        self.checked = Instant::now();
        match asked {
            Ok((_, end)) if (end.max(0) as Offset) < self.next => self.begin_again(),
            Ok(_) => {
                if self.trouble.is_some_and(|last| last.elapsed() >= QUIET) {
                    self.trouble = None;
                    tracing::warn!(topic = %self.topic, "the control topic can be read again");
                }
            }
            Err(error) => self.troubled(&error),
        }
    }

    fn troubled(&mut self, error: &KafkaError) {
        if self.trouble.replace(Instant::now()).is_none() {
            tracing::warn!(%error, topic = %self.topic, "the control topic cannot be read: keys and revocations stay as last known");
        }
    }

    /// The topic is shorter than what was read of it: it was deleted and created again.
    fn begin_again(&mut self) {
        tracing::error!(topic = %self.topic, "the control topic was replaced by another: reading it from its beginning; what the old one said holds here until a restart");
        if let Err(error) = self.seek_beginning() {
            self.troubled(&error);
        }
    }

    fn seek_beginning(&mut self) -> Result<(), KafkaError> {
        self.next = 0;
        let mut assignment = TopicPartitionList::new();
        assignment.add_partition_offset(&self.topic, 0, rdkafka::Offset::Beginning)?;
        self.consumer.assign(&assignment)
    }

    fn unavailable(&self, why: &str) -> LogError {
        LogError::Unavailable(format!("Kafka at {} did not give all of the topic {}: {why}", self.brokers, self.topic))
    }
}

/// The offset after a message, and its change; a message without a key has none.
fn taken(message: &BorrowedMessage<'_>) -> (Offset, Option<Change>) {
    let change = message.key().map(|key| Change { key: key.to_vec(), value: message.payload().map(<[u8]>::to_vec) });
    (message.offset() as Offset + 1, change)
}

struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "control topic's reader reports");
    }
}

impl ConsumerContext for Logging {}
