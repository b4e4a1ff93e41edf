//! One behaviour suite for every backend: a log is a log.
//!
//! Kafka needs a broker: `KAFKA_BROKERS=host:port`, each test makes and deletes a topic of its own.

// Helpers outside of #[test] functions unwrap as tests do.
#![allow(clippy::unwrap_used)]

mod bed;
mod behaviours;
mod control;
mod full_disk;
mod handles;
mod kill;
mod secured;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::Log;
use boxbox_log::embedded::{EmbeddedLog, Faults, Options};
use boxbox_log::kafka::{KafkaConfig, KafkaLog};
use boxbox_log::memory::MemoryLog;
use boxbox_testkit::not_run;
use parking_lot::Mutex;

use crate::bed::{Bed, Setup};

/// Every behaviour as a test of one backend; `$new` makes a bed from the test's name, or says why it cannot.
macro_rules! behaviour_suite {
    ($backend:ident => $new:expr) => {
        behaviour_suite!(@tests $backend, $new,
            records_come_back_in_order_with_outcomes_in_order,
            accepted_is_not_yet_durable,
            a_reader_begins_at_any_offset,
            a_reader_at_the_end_waits_for_more,
            offsets_that_are_not_there_are_refused,
            budgets_bound_what_is_on_its_way,
            writers_do_not_disturb_each_other,
            records_of_every_size_that_the_contract_allows,
            a_cancelled_read_loses_nothing,
            a_dropped_writer_completes_what_it_holds,
            a_log_opened_again_is_the_same_log,
        );
    };
    (@tests $backend:ident, $new:expr, $($behaviour:ident),* $(,)?) => {
        mod $backend {
            use super::*;
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn $behaviour() {
                    match $new(concat!("log ", stringify!($backend), "::", stringify!($behaviour))) {
                        Ok(bed) => {
                            behaviours::$behaviour(&bed).await;
                            bed.clear().await;
                        }
                        Err(why) => not_run(concat!("log ", stringify!($backend), "::", stringify!($behaviour)), why),
                    }
                }
            )*
        }
    };
}

behaviour_suite!(memory => MemoryBed::new);
behaviour_suite!(embedded => EmbeddedBed::new);
behaviour_suite!(kafka => KafkaBed::new);
// One partition of a broker cannot be stalled from outside; there the budgets are what keeps it to itself.
behaviour_suite!(@tests memory_stalls, MemoryBed::new, a_stalled_partition_stops_only_itself);
behaviour_suite!(@tests embedded_stalls, EmbeddedBed::new, a_stalled_partition_stops_only_itself);

#[derive(Default)]
struct MemoryBed {
    log: Mutex<Option<MemoryLog>>,
}

impl MemoryBed {
    fn new(_test: &str) -> Result<Self, &'static str> {
        Ok(Self::default())
    }
}

#[async_trait]
impl Bed for MemoryBed {
    async fn open(&self, setup: Setup) -> Arc<dyn Log> {
        let log = MemoryLog::with_limits(setup.partitions, setup.limits);
        *self.log.lock() = Some(log.clone());
        if !setup.hold.is_zero() {
            let log = log.clone();
            // Open half of the time, for a moment, like a commit.
            tokio::spawn(async move {
                loop {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                    log.stall(true);
                    tokio::time::sleep(setup.hold).await;
                    log.stall(false);
                }
            });
        }
        Arc::new(log)
    }

    fn persists(&self) -> bool {
        false
    }

    async fn trim(&self, _log: &Arc<dyn Log>) {
        self.log.lock().as_ref().unwrap().remove_below(0, 300);
    }

    fn stall(&self, partition: u32, stalled: bool) {
        self.log.lock().as_ref().unwrap().stall_partition(partition, stalled);
    }
}

struct EmbeddedBed {
    folder: tempfile::TempDir,
    faults: Arc<Faults>,
}

impl EmbeddedBed {
    fn new(_test: &str) -> Result<Self, &'static str> {
        Ok(Self { folder: tempfile::tempdir().unwrap(), faults: Arc::default() })
    }
}

#[async_trait]
impl Bed for EmbeddedBed {
    async fn open(&self, setup: Setup) -> Arc<dyn Log> {
        let options = Options {
            partitions: Some(setup.partitions),
            limits: setup.limits,
            commit_every: setup.hold.max(Options::default().commit_every),
            // Small, so that every test crosses from one segment into the next.
            segment_bytes: 256 << 10,
            retention_bytes: setup.retention.then_some(2 << 20),
            faults: self.faults.clone(),
            on_fatal: Arc::new(|what| panic!("{what}")),
            ..Options::default()
        };
        Arc::new(EmbeddedLog::open(self.folder.path(), options).unwrap())
    }

    fn persists(&self) -> bool {
        true
    }

    async fn trim(&self, _log: &Arc<dyn Log>) {
        // Its retention has been at work all the time.
    }

    fn stall(&self, partition: u32, stalled: bool) {
        let bit = 1 << partition;
        if stalled {
            self.faults.stalled.fetch_or(bit, Ordering::Relaxed)
        } else {
            self.faults.stalled.fetch_and(!bit, Ordering::Relaxed)
        };
    }
}

/// A topic of its own for each test.
struct KafkaBed {
    brokers: String,
    topic: String,
}

impl KafkaBed {
    fn new(test: &str) -> Result<Self, &'static str> {
        let brokers = std::env::var("KAFKA_BROKERS").map_err(|_| "KAFKA_BROKERS is not set (cargo xtask stack up --kafka starts a broker)")?;
        let name: String = test.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).take(60).collect();
        Ok(Self { brokers, topic: format!("boxbox-test-{name}-{:016x}", fastrand::u64(..)) })
    }

    fn config(&self) -> KafkaConfig {
        KafkaConfig::new(&self.brokers, &self.topic)
    }
}

#[async_trait]
impl Bed for KafkaBed {
    async fn open(&self, setup: Setup) -> Arc<dyn Log> {
        let mut config = KafkaConfig { partitions: Some(setup.partitions), limits: setup.limits, ..self.config() };
        if !setup.hold.is_zero() {
            config.settings.insert("linger.ms".into(), setup.hold.as_millis().to_string());
            config.settings.insert("sticky.partitioning.linger.ms".into(), "0".into());
        }
        Arc::new(KafkaLog::open(config).await.unwrap())
    }

    fn persists(&self) -> bool {
        true
    }

    async fn trim(&self, _log: &Arc<dyn Log>) {
        KafkaLog::open(self.config()).await.unwrap().remove_below(0, 300).await.unwrap();
    }

    async fn clear(&self) {
        KafkaLog::open(self.config()).await.unwrap().delete().await.unwrap();
    }
}
