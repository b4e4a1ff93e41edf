//! One writer: an idempotent producer, a ledger for each partition, and a thread that polls, delivers outcomes and repairs.
//!
//! Records wait in librdkafka through an outage and go out in order after it; so in a short outage no record fails. A fatal error
//! of the producer (its sequence is lost, its epoch fenced) fails all outstanding records, and a new producer replaces it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;
use std::time::{Duration, Instant};

use boxbox_schemas::SessionId;
use bytes::Bytes;
use parking_lot::{Mutex, RwLock};
use rdkafka::Statistics;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::Message;
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext};

use super::closing::Open;
use super::config::{KafkaConfig, log_line};
use super::ledger::Ledger;
use super::statistics::{KafkaMetrics, Watched};
use super::topic::bad_setting;
use crate::budget::Budget;
use crate::metrics::LogMetrics;
use crate::{AppendError, Completion, Completions, LogError, Outcome, Ticket, Writer};

/// How often answers are polled for and delivered together; short compared with linger and the broker's answer.
const POLL: Duration = Duration::from_millis(2);
/// How often a writer without outstanding records polls for events.
const IDLE: Duration = Duration::from_millis(250);
/// How often deadlines are checked.
const DEADLINE_EVERY: Duration = Duration::from_millis(100);
/// Outcomes delivered at once.
const DELIVER_MAX: usize = 512;
/// A dropped writer waits this long for answers before it gives up the rest.
const CLOSE_PATIENCE: Duration = Duration::from_secs(5);
/// A producer that holds a record for this many deadlines is replaced: the outcome of that record was delivered long ago.
const REPLACE_AFTER_DEADLINES: u32 = 4;

type Hooked = BaseProducer<Hook>;

pub(super) struct KafkaWriter {
    shared: Arc<Shared>,
    thread: Thread,
}

impl KafkaWriter {
    pub(super) fn start(config: &KafkaConfig, partitions: u32, completions: Arc<dyn Completions>) -> Result<Self, LogError> {
        let shared = Arc::new(Shared {
            config: config.clone(),
            completions,
            metrics: LogMetrics::new(),
            kafka_metrics: KafkaMetrics::new(),
            budget: Budget::new(config.limits, partitions),
            ledgers: (0..partitions).map(|_| Mutex::default()).collect(),
            producer: RwLock::new(None),
            generation: AtomicU64::new(0),
            outstanding: AtomicUsize::new(0),
            answers: AtomicU64::new(0),
            closing: AtomicBool::new(false),
            broken: AtomicBool::new(false),
            undelivered: Mutex::default(),
        });
        *shared.producer.write() = Some(Arc::new(shared.produce()?));
        let (own, open) = (shared.clone(), Open::new());
        let thread = std::thread::Builder::new()
            .name("kafka-writer".into())
            .spawn(move || {
                // This drops its producer before it returns.
                own.run();
                drop(open);
            })
            .map_err(|e| LogError::Io { context: "start a Kafka writer's thread".into(), source: e })?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// As after a fatal error; for tests.
    #[cfg(test)]
    pub(super) fn break_producer(&self) {
        self.shared.broken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl Writer for KafkaWriter {
    fn append(&self, partition: u32, key: SessionId, record: Bytes, ticket: Ticket) -> Result<(), AppendError> {
        let shared = &self.shared;
        shared.budget.take(partition, record.len())?;
        // The ledger stays locked over the send, so that its order is librdkafka's order.
        let mut ledger = shared.ledgers[partition as usize].lock();
        let number = ledger.next();
        let sent = match &*shared.producer.read() {
            Some(producer) => {
                let message = BaseRecord::with_opaque_to(&shared.config.topic, number as usize);
                producer.send(message.partition(partition as i32).key(&key.0[..]).payload(&record[..])).map_err(|(e, _)| e)
            }
            None => Err(KafkaError::Canceled),
        };
        match sent.as_ref().err().and_then(KafkaError::rdkafka_error_code) {
            Some(RDKafkaErrorCode::QueueFull) => {
                shared.budget.give(partition, record.len());
                return Err(AppendError::Full);
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge) => {
                shared.budget.give(partition, record.len());
                return Err(AppendError::Invalid("it is longer than the Kafka topic takes"));
            }
            _ => {}
        }
        ledger.push(ticket, record.len(), Instant::now());
        let before = shared.outstanding.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = sent {
            // The record was accepted and has failed: the thread delivers this outcome in its order.
            tracing::debug!(%error, partition, "kafka producer refused a record");
            shared.answer(&mut ledger, partition, number, Outcome::Failed);
            shared.broken.fetch_or(error.rdkafka_error_code() == Some(RDKafkaErrorCode::Fatal), Ordering::AcqRel);
        } else if before > 0 {
            return Ok(());
        }
        drop(ledger);
        self.thread.unpark();
        Ok(())
    }
}

impl Drop for KafkaWriter {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

struct Shared {
    config: KafkaConfig,
    completions: Arc<dyn Completions>,
    metrics: LogMetrics,
    kafka_metrics: KafkaMetrics,
    budget: Budget,
    // Locked before `producer` wherever both are locked.
    ledgers: Box<[Mutex<Ledger>]>,
    /// `None` only while a new producer cannot be made, and after the end.
    producer: RwLock<Option<Arc<Hooked>>>,
    /// The generation of the present producer: answers of earlier ones are ignored.
    generation: AtomicU64,
    /// Records that librdkafka has not answered for, and outcomes that are not delivered.
    outstanding: AtomicUsize,
    /// Number of answers so far.
    answers: AtomicU64,
    closing: AtomicBool,
    broken: AtomicBool,
    undelivered: Mutex<Vec<Completion>>,
}

impl Shared {
    fn produce(self: &Arc<Self>) -> Result<Hooked, LogError> {
        let watched = Watched::new(self.kafka_metrics.clone());
        let hook = Hook { shared: self.clone(), generation: self.generation.load(Ordering::Acquire), watched };
        BaseProducer::from_config_and_context(&self.config.producer(), hook).map_err(bad_setting)
    }

    fn run(self: Arc<Self>) {
        let mut looked = Instant::now();
        let mut closing_since = None;
        loop {
            let producer = self.producer.read().clone();
            if let Some(producer) = &producer {
                self.poll(producer);
            }
            self.deliver();
            let idle = self.outstanding.load(Ordering::Acquire) == 0 && !self.closing.load(Ordering::Acquire);
            std::thread::park_timeout(if idle { IDLE } else { POLL });
            if looked.elapsed() >= DEADLINE_EVERY {
                looked = Instant::now();
                self.expire();
                let fatal = producer.as_ref().and_then(|p| p.client().fatal_error());
                if fatal.is_some() || producer.is_none() || self.broken.swap(false, Ordering::AcqRel) {
                    self.replace(fatal);
                }
            }
            if self.closing.load(Ordering::Acquire) {
                let since = *closing_since.get_or_insert_with(Instant::now);
                if self.outstanding.load(Ordering::Acquire) == 0 || since.elapsed() >= CLOSE_PATIENCE {
                    break;
                }
            }
        }
        self.abandon(None);
    }

    /// Handle the events that librdkafka has ready. This does not wait: librdkafka's waits end with up to a millisecond of spinning.
    fn poll(&self, producer: &Hooked) {
        loop {
            let before = self.answers.load(Ordering::Relaxed);
            // One event: the answers of one batch, or a log line.
            producer.poll(Duration::ZERO);
            if self.answers.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    /// Record an answer; the caller holds the partition's ledger.
    fn answer(&self, ledger: &mut Ledger, partition: u32, number: u64, outcome: Outcome) {
        if let Some(length) = ledger.answer(number, outcome) {
            self.budget.give(partition, length);
            self.outstanding.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn deliver(&self) {
        let mut out = self.undelivered.lock();
        for (partition, ledger) in self.ledgers.iter().enumerate() {
            ledger.lock().deliver(partition as u32, &mut out);
        }
        if !out.is_empty() {
            self.metrics.count(&out);
            self.completions.completed(&out);
            out.clear();
        }
    }

    fn expire(&self) {
        let now = Instant::now();
        let Some(deadline) = now.checked_sub(self.config.deadline) else { return };
        for ledger in &self.ledgers {
            let mut ledger = ledger.lock();
            ledger.expire(deadline);
            let too_old = ledger.oldest().is_some_and(|oldest| now - oldest > self.config.deadline * REPLACE_AFTER_DEADLINES);
            self.broken.fetch_or(too_old, Ordering::AcqRel);
        }
    }

    /// Give up the producer with its records, and continue with a new one.
    fn replace(self: &Arc<Self>, fatal: Option<(RDKafkaErrorCode, String)>) {
        let reason = fatal.map_or_else(|| "it has not answered for long".to_owned(), |(code, text)| format!("{code}: {text}"));
        tracing::warn!(topic = %self.config.topic, reason, "replacing the Kafka producer; records on their way fail and are sent again by their clients");
        self.metrics.producers_replaced.increment(1);
        self.abandon(Some(self));
    }

    /// Fail all outstanding records; with `again`, start a new producer before a caller can append.
    fn abandon(&self, again: Option<&Arc<Self>>) {
        let old = {
            let mut ledgers: Vec<_> = self.ledgers.iter().map(Mutex::lock).collect();
            for (partition, ledger) in (0..).zip(&mut ledgers) {
                for length in ledger.abandon() {
                    self.budget.give(partition, length);
                    self.outstanding.fetch_sub(1, Ordering::AcqRel);
                }
            }
            self.generation.fetch_add(1, Ordering::AcqRel);
            let new = again.map(Self::produce).transpose();
            let new = new.inspect_err(|error| tracing::error!(%error, "no new Kafka producer; trying again")).ok().flatten();
            std::mem::replace(&mut *self.producer.write(), new.map(Arc::new))
        };
        self.deliver();
        // Closing takes up to half a second; only this thread waits for it.
        drop(old);
    }
}

/// The context that librdkafka calls back.
pub(super) struct Hook {
    shared: Arc<Shared>,
    generation: u64,
    watched: Watched,
}

impl ClientContext for Hook {
    fn stats(&self, statistics: Statistics) {
        self.watched.take(&statistics);
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka producer reports");
    }
}

impl ProducerContext for Hook {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        let shared = &self.shared;
        shared.answers.fetch_add(1, Ordering::Relaxed);
        if self.generation != shared.generation.load(Ordering::Acquire) {
            return;
        }
        let (message, outcome) = match result {
            // An answered retry has no offset: the broker only says that it already has the record.
            Ok(message) => (message, u64::try_from(message.offset()).map_or(Outcome::DurableUnplaced, Outcome::Durable)),
            Err((error, message)) => {
                tracing::debug!(%error, partition = message.partition(), "kafka did not take a record");
                (message, Outcome::Failed)
            }
        };
        let partition = message.partition() as u32;
        let full = {
            let mut ledger = shared.ledgers[partition as usize].lock();
            shared.answer(&mut ledger, partition, number as u64, outcome);
            let mut out = shared.undelivered.lock();
            ledger.deliver(partition, &mut out);
            out.len() >= DELIVER_MAX
        };
        if full {
            shared.deliver();
        }
    }
}
