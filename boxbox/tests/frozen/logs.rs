//! The log of a profile with the records of a race: appended as an edge appends them, read as a processor reads them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use boxbox_log::{AppendError, Completion, Completions, Log, Outcome, Ticket};
use boxbox_schemas::stamp::LogRecord;
use boxbox_testkit::wait::until;
use bytes::Bytes;

/// Most bytes that are read at once.
const READ_BYTES: usize = 1 << 20;

/// Counts outcomes, all of which must be good ones.
#[derive(Default)]
struct Durable(AtomicUsize);

impl Completions for Durable {
    fn completed(&self, batch: &[Completion]) {
        assert!(batch.iter().all(|c| matches!(c.outcome, Outcome::Durable(_))), "{batch:?}");
        self.0.fetch_add(batch.len(), Ordering::SeqCst);
    }
}

/// Append each record to the partition of its session; they are durable when this returns.
pub async fn append(log: &dyn Log, records: &[Bytes]) {
    let durable = Arc::new(Durable::default());
    let writer = log.writer(durable.clone()).unwrap();
    for record in records {
        let session = LogRecord::parse(record.clone()).unwrap().stamp.session;
        loop {
            match writer.append(session.partition(log.partitions()), session, record.clone(), Ticket::default()) {
                Ok(()) => break,
                Err(AppendError::Full) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(refused) => panic!("{refused}"),
            }
        }
    }
    until("the records are durable", || durable.0.load(Ordering::SeqCst) == records.len()).await;
}

/// All records of a log of one partition.
pub async fn read(log: &dyn Log) -> Vec<Bytes> {
    let bounds = log.bounds(0).await.unwrap();
    let mut reader = log.reader(0, bounds.start).await.unwrap();
    let (mut records, mut next) = (vec![], bounds.start);
    while next < bounds.end {
        for entry in reader.next(READ_BYTES, Duration::from_secs(1)).await.unwrap() {
            next = entry.offset + 1;
            records.push(entry.record);
        }
    }
    records
}
