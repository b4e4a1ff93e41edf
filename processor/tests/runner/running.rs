//! A processor that runs, and what tests ask of it.

use std::sync::Arc;
use std::time::Duration;

use crate::support::*;
use boxbox_log::Log;
use boxbox_log::memory::MemoryLog;
use boxbox_processor::time::{Time, of_this_machine};
use boxbox_processor::{Config, Processor, ProcessorError, Status};
use boxbox_schemas::results::Lap;
use boxbox_store::{Archive, Pace, Sessions, Step, Steps};
use boxbox_testkit::wait::{self, PATIENCE};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

pub const NEVER: Duration = Duration::from_secs(3600);

/// Milliseconds and bytes.
pub fn pace(every: u64, idle: u64, bytes: usize) -> Option<Pace> {
    Some(Pace { every: Duration::from_millis(every), idle: Duration::from_millis(idle), bytes })
}

pub struct Running {
    pub status: Arc<Status>,
    pub feed: tokio::sync::broadcast::Receiver<Arc<Step>>,
    pub stop: CancellationToken,
    pub work: JoinHandle<Result<(), ProcessorError>>,
}

pub fn start(config: Config, log: impl Log, results: impl Steps, archive: impl Archive) -> Running {
    start_by(config, log, results, archive, of_this_machine())
}

pub fn start_by(config: Config, log: impl Log, results: impl Steps, archive: impl Archive, time: Time) -> Running {
    let processor = Processor::new(config, Arc::new(log), Arc::new(results), Arc::new(archive)).with_time(time);
    let (status, feed, stop) = (processor.status(), processor.feed().subscribe(), CancellationToken::new());
    Running { status, feed, stop: stop.clone(), work: tokio::spawn(processor.run(stop)) }
}

impl Running {
    pub async fn until(&self, what: &str, done: impl Fn(&Status) -> bool) {
        let what = std::fmt::from_fn(|f| write!(f, "{what}: {:?}", self.status.partitions()));
        wait::until(what, || done(&self.status)).await;
    }

    /// Everything that is in the log now is in the results store.
    pub async fn until_committed(&self, log: &MemoryLog) {
        self.until("committed", |s| s.partitions().iter().all(|p| p.results.committed == end(log, p.partition))).await;
    }

    /// Everything that is in the log now is in the archive.
    pub async fn until_archived(&self, log: &MemoryLog) {
        self.until("archived", |s| s.partitions().iter().all(|p| p.archive.committed == end(log, p.partition))).await;
    }

    pub async fn next_laps(&mut self) -> Arc<Step> {
        let news = async {
            loop {
                let step = self.feed.recv().await.unwrap();
                if !step.laps.is_empty() {
                    return step;
                }
            }
        };
        tokio::time::timeout(PATIENCE, news).await.expect("no lap came")
    }

    pub async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.work).await.unwrap().unwrap().unwrap();
    }
}

pub fn end(log: &MemoryLog, partition: u32) -> u64 {
    log.records(partition).last().map_or(0, |e| e.offset + 1)
}

pub async fn laps(results: &impl Sessions, source_id: u128) -> Vec<Lap> {
    results.laps(&tenant(), &session(source_id), &Default::default(), None, 1_000).await.unwrap()
}

pub fn numbers(laps: &[Lap]) -> Vec<u32> {
    laps.iter().map(|l| l.number).collect()
}
