//! One reader: a consumer on its own thread, a bounded channel, and the async side.
//!
//! The consumer is never used on an async worker: polling it blocks, and so does dropping it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use bytes::Bytes;
use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{FromClientConfigAndContext, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use tokio::sync::mpsc;

use super::closing::Open;
use super::config::log_line;
use super::inner::Inner;
use super::topic::bad_setting;
use crate::{Entry, LogError, Offset, Reader};

/// Chunks between the thread and the async side; with librdkafka's own 4 MiB this bounds what is read ahead.
const CHUNKS: usize = 2;
const CHUNK_BYTES: usize = 256 << 10;
/// How long the thread waits in the consumer before it checks whether it should end.
const POLL: Duration = Duration::from_millis(100);
/// How often the end is asked for while the reader is behind it.
const END_EVERY: Duration = Duration::from_secs(1);

pub(super) struct KafkaReader {
    ready: VecDeque<Entry>,
    chunks: mpsc::Receiver<Result<Vec<Entry>, LogError>>,
    shared: Arc<Shared>,
}

struct Shared {
    /// See [`Reader::end`]. Until the broker has reported the end of the partition it is one more than the next offset.
    end: AtomicU64,
    closing: AtomicBool,
}

impl KafkaReader {
    pub(super) fn start(log: Arc<Inner>, partition: u32, from: Offset, end: Offset) -> Result<Self, LogError> {
        let consumer: BaseConsumer<Logging> = BaseConsumer::from_config_and_context(&log.config.consumer(), Logging).map_err(bad_setting)?;
        let mut assignment = TopicPartitionList::new();
        let assigned = assignment
            .add_partition_offset(&log.config.topic, partition as i32, rdkafka::Offset::Offset(from as i64))
            .and_then(|()| consumer.assign(&assignment));
        let (send, chunks) = mpsc::channel(CHUNKS);
        let shared = Arc::new(Shared { end: AtomicU64::new(end), closing: AtomicBool::new(false) });
        let mut pump = Pump { consumer, log, partition, next: from, shared: shared.clone(), send, asked_end: Instant::now() };
        let open = Open::new();
        // Started before the check: the consumer is dropped on the thread in any case.
        std::thread::Builder::new()
            .name(format!("kafka-read-{partition}"))
            .spawn(move || {
                match assigned {
                    Ok(()) => pump.run(),
                    Err(e) => drop(pump.send.blocking_send(Err(LogError::Unavailable(format!("Kafka does not assign the partition: {e}"))))),
                };
                drop(pump);
                drop(open);
            })
            .map_err(|e| LogError::Io { context: "start a Kafka reader's thread".into(), source: e })?;
        Ok(Self { ready: VecDeque::new(), chunks, shared })
    }
}

#[async_trait]
impl Reader for KafkaReader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError> {
        if self.ready.is_empty() {
            match tokio::time::timeout(wait, self.chunks.recv()).await {
                Err(_) => return Ok(Vec::new()),
                Ok(Some(chunk)) => self.ready = chunk?.into(),
                Ok(None) => return Err(LogError::Unavailable("this Kafka reader ended with an error: open a new one".into())),
            }
        }
        let mut room = max_bytes;
        let mut given = Vec::new();
        while let Some(entry) = self.ready.pop_front_if(|e| given.is_empty() || e.record.len() <= room) {
            room = room.saturating_sub(entry.record.len());
            given.push(entry);
        }
        Ok(given)
    }

    fn end(&self) -> Offset {
        self.shared.end.load(Ordering::Acquire)
    }
}

impl Drop for KafkaReader {
    fn drop(&mut self) {
        self.shared.closing.store(true, Ordering::Release);
    }
}

/// The thread's side.
struct Pump {
    consumer: BaseConsumer<Logging>,
    log: Arc<Inner>,
    partition: u32,
    next: Offset,
    shared: Arc<Shared>,
    send: mpsc::Sender<Result<Vec<Entry>, LogError>>,
    asked_end: Instant,
}

impl Pump {
    fn run(&mut self) {
        while !self.shared.closing.load(Ordering::Acquire) {
            let (mut chunk, mut bytes, mut patience) = (Vec::new(), 0, POLL);
            let mut trouble = None;
            while bytes < CHUNK_BYTES && trouble.is_none() {
                match self.consumer.poll(patience) {
                    None => break,
                    Some(Ok(message)) => {
                        let entry = entry(&message);
                        bytes += entry.record.len();
                        self.passed(entry.offset);
                        chunk.push(entry);
                    }
                    Some(Err(KafkaError::PartitionEOF(_))) => self.shared.end.store(self.next, Ordering::Release),
                    Some(Err(error)) => trouble = self.judge(&error),
                }
                patience = Duration::ZERO;
            }
            if !chunk.is_empty() && self.send.blocking_send(Ok(chunk)).is_err() {
                return;
            }
            if let Some(error) = trouble {
                let last = !error.is_retryable();
                if self.send.blocking_send(Err(error)).is_err() || last {
                    return;
                }
            }
            self.ask_end();
        }
    }

    /// `offset` was read. Whether it was the last is not known until the broker says so.
    fn passed(&mut self, offset: Offset) {
        self.next = offset + 1;
        if self.shared.end.load(Ordering::Acquire) <= self.next {
            self.shared.end.store(self.next + 1, Ordering::Release);
        }
    }

    /// While the reader is behind, ask how far. (At the end, the broker says so.)
    fn ask_end(&mut self) {
        if self.shared.end.load(Ordering::Acquire) <= self.next || self.asked_end.elapsed() < END_EVERY {
            return;
        }
        self.asked_end = Instant::now();
        if let Ok((_, end)) = self.consumer.fetch_watermarks(&self.log.config.topic, self.partition as i32, END_EVERY) {
            self.shared.end.fetch_max(end.max(0) as Offset, Ordering::AcqRel);
        }
    }

    /// The error for the caller, if there is one; librdkafka recovers from most errors itself.
    fn judge(&self, error: &KafkaError) -> Option<LogError> {
        use RDKafkaErrorCode as Code;
        let (topic, partition) = (&self.log.config.topic, self.partition);
        match error.rdkafka_error_code() {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => Some(match self.log.metadata.bounds(partition) {
                Ok(bounds) => LogError::OutOfRange { partition, asked: self.next, start: bounds.start, end: bounds.end },
                Err(_) => LogError::OutOfRange { partition, asked: self.next, start: 0, end: 0 },
            }),
            Some(Code::BadMessage | Code::InvalidMessage | Code::BadCompression) => {
                Some(LogError::Damaged { partition, place: format!("Kafka topic {topic} offset {} or after", self.next), detail: error.to_string() })
            }
            Some(Code::UnknownTopicOrPartition | Code::UnknownTopic | Code::UnknownPartition) => {
                Some(LogError::Mismatch(format!("the Kafka topic {topic} or its partition {partition} is gone")))
            }
            Some(Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::Authentication) => {
                Some(LogError::Unavailable(format!("Kafka does not let this client read topic {topic}: {error}")))
            }
            _ => {
                tracing::debug!(%error, %topic, partition, "kafka reader reports");
                None
            }
        }
    }
}

fn entry(message: &BorrowedMessage<'_>) -> Entry {
    Entry {
        offset: message.offset() as Offset,
        appended_at_us: message.timestamp().to_millis().unwrap_or(0).saturating_mul(1_000),
        record: Bytes::copy_from_slice(message.payload().unwrap_or_default()),
    }
}

struct Logging;

impl ClientContext for Logging {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log_line(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(%error, reason, "kafka reader reports");
    }
}

impl ConsumerContext for Logging {}
