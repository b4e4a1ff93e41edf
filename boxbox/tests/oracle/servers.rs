//! The very records of the embedded log, on Kafka, through two processors that share PostgreSQL, into ClickHouse: what comes of
//! them must be the same, byte for byte.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use boxbox_log::{Completion, Completions, Log, Outcome as Appended, Ticket};
use boxbox_processor::{Config, Processor};
use boxbox_schemas::SessionId;
use boxbox_schemas::stamp::LogRecord;
use boxbox_store::Archive;
use boxbox_store::clickhouse::{self, ClickHouseArchive};
use boxbox_store::postgres::PostgresResults;
use boxbox_testkit::wait::{PATIENCE, until};
use tokio_util::sync::CancellationToken;

use crate::common::place::Engines;
use crate::world::{Outcome, World};

const TEST: &str = "every_history_gives_the_same_result on Kafka, PostgreSQL and ClickHouse";
/// Most bytes read from the embedded log at once.
const READ_BYTES: usize = 256 << 10;

/// Counts what has become durable.
#[derive(Default)]
struct Durable(AtomicU64);

impl Completions for Durable {
    fn completed(&self, batch: &[Completion]) {
        assert!(batch.iter().all(|c| c.outcome != Appended::Failed), "the broker refused a record");
        self.0.fetch_add(batch.len() as u64, Ordering::SeqCst);
    }
}

/// Copy the log of `world` to Kafka, record by record, and hold what comes of it against `expected`.
pub(crate) async fn give_the_same(world: &World, expected: &[(SessionId, Outcome)]) {
    let Some(engines) = Engines::new(TEST) else { return };
    engines.prepare();
    let url = format!("kafka://{}/{}?partitions={}", engines.brokers, engines.name, world.log.partitions());
    let log = boxbox_log::open(&url, Default::default()).await.unwrap();
    let records = copy(&*world.log, &*log).await;

    let (results_password, archive_password) = (engines.results_password(), engines.archive_password());
    let results = PostgresResults::open(&engines.results(), Some(results_password.expose())).await.unwrap();
    let postgres = (engines.results(), results_password.expose());
    // As `boxbox migrate` has made the tables.
    let options = clickhouse::Options { max_age: Some(Duration::from_secs(30 * 86_400)), ..Default::default() };
    let archive =
        ClickHouseArchive::open(&engines.archive(), Some(archive_password.expose()), (&postgres.0, Some(postgres.1)), options).await.unwrap();
    let (results, archive): (_, Arc<dyn Archive>) = (Arc::new(results), Arc::new(archive));
    let (stop, began) = (CancellationToken::new(), Instant::now());
    let processors: Vec<_> = (0..2)
        .map(|_| {
            let processor = Processor::new(Config::default(), log.clone(), results.clone(), archive.clone());
            tokio::spawn(processor.run(stop.clone()))
        })
        .collect();
    for (session, embedded) in expected {
        let served = Outcome::of(&*results, &*archive, &world.tenant(), session, embedded.ledgers.iter().filter(|l| l.ended).count()).await;
        println!("on the servers: digest {}", served.digest);
        assert_eq!(served.digest, embedded.digest);
        assert_eq!(&served, embedded, "byte for byte");
        for span in embedded.laps.iter().flat_map(|lap| &lap.spans) {
            let here = world.archive.frames(&world.tenant(), session, span, u32::MAX).await.unwrap();
            let there = archive.frames(&world.tenant(), session, span, u32::MAX).await.unwrap();
            assert!(here == there, "the frames of {span:?} differ");
        }
    }
    println!("{records} records processed by two processors within {:.1} s", began.elapsed().as_secs_f64());
    stop.cancel();
    for processor in processors {
        tokio::time::timeout(PATIENCE, processor).await.expect("it stops").unwrap().unwrap();
    }
    drop((results, archive, log));
    engines.remove();
}

/// Every record of `from`, in order of partitions and offsets; how many.
async fn copy(from: &dyn Log, to: &dyn Log) -> u64 {
    let durable = Arc::new(Durable::default());
    let writer = to.writer(durable.clone()).unwrap();
    let mut records = 0;
    for partition in 0..from.partitions() {
        let bounds = from.bounds(partition).await.unwrap();
        let mut reader = from.reader(partition, bounds.start).await.unwrap();
        let mut next = bounds.start;
        while next < bounds.end {
            for entry in reader.next(READ_BYTES, PATIENCE).await.unwrap() {
                next = entry.offset + 1;
                let session = LogRecord::parse(entry.record.clone()).unwrap().stamp.session;
                // As an edge does: a full writer is asked again a moment later.
                while writer.append(partition, session, entry.record.clone(), Ticket::default()).is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
                records += 1;
            }
        }
    }
    until("the records are durable", || durable.0.load(Ordering::SeqCst) == records).await;
    records
}
