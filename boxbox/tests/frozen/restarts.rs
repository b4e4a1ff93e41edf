//! E5a, E7, E11 over every profile: a processor that is stopped and started again at a hundred points of a race comes to the frozen
//! result, and to every row that processing without a stop comes to.
//!
//! The points are drawn from the seed. At each the processor is given no record beyond it, so it stops behind exactly that record: in the
//! middle of what it read at once, of what the log holds as one batch, and of what would have been one step. Some stops are crashes: what
//! is processed and not committed is lost.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::{Bounds, Completions, Entry, Log, LogError, Offset, Reader, Writer};
use boxbox_processor::{Config, Processor};
use boxbox_schemas::LogId;
use boxbox_testkit::campaign;
use boxbox_testkit::wait::until;
use tokio_util::sync::CancellationToken;

use crate::pipeline::{Outcome, Profile};
use crate::records::Input;
use crate::{SEEDS, digests, golden, logs, processed, runtime, seeded};

/// How often the processor is stopped.
const STOPS: usize = 100;
/// One of so many stops is a crash. Where processors share the store, the next one waits until the crashed one has been silent for long.
const CRASHES: usize = 5;

/// A log that its readers see up to a record.
struct Gated {
    log: Arc<dyn Log>,
    /// The first offset that readers do not see. It only rises.
    gate: Arc<AtomicU64>,
}

#[async_trait]
impl Log for Gated {
    fn id(&self) -> &LogId {
        self.log.id()
    }
    fn partitions(&self) -> u32 {
        self.log.partitions()
    }
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        self.log.writer(completions)
    }
    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        Ok(Box::new(GatedReader { reader: self.log.reader(partition, from).await?, gate: self.gate.clone(), held: VecDeque::new() }))
    }
    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        let bounds = self.log.bounds(partition).await?;
        Ok(Bounds { end: bounds.end.min(self.gate.load(Ordering::SeqCst)), ..bounds })
    }
}

struct GatedReader {
    reader: Box<dyn Reader>,
    gate: Arc<AtomicU64>,
    /// Read, and not given yet.
    held: VecDeque<Entry>,
}

#[async_trait]
impl Reader for GatedReader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError> {
        if self.held.is_empty() {
            self.held.extend(self.reader.next(max_bytes, wait).await?);
        }
        let gate = self.gate.load(Ordering::SeqCst);
        let seen = self.held.iter().take_while(|entry| entry.offset < gate).count();
        if seen == 0 {
            tokio::time::sleep(wait.min(Duration::from_millis(1))).await;
        }
        Ok(self.held.drain(..seen).collect())
    }
    fn end(&self) -> Offset {
        self.reader.end().min(self.gate.load(Ordering::SeqCst))
    }
}

/// What the stops were.
#[derive(Default, Debug)]
struct Stops {
    /// The processor was asked to end, and committed what it had.
    asked: usize,
    /// It was dropped.
    crashed: usize,
    /// It was dropped when it had processed records that were not committed.
    half_way: usize,
}

/// Process `input` with a stop behind each of `points`, numbers of records.
async fn with_stops(profile: &Profile, input: &Input, points: &[usize]) -> Stops {
    let log = profile.log("restarts", 1).await;
    logs::append(&*log, &input.records).await;
    let start = log.bounds(0).await.unwrap().start;
    let mut stops = Stops::default();
    for (n, point) in points.iter().enumerate() {
        let gate = start + *point as u64;
        let gated = Gated { log: log.clone(), gate: Arc::new(gate.into()) };
        // News may wait for the stop: else hardly anything was uncommitted.
        let config = Config { news_every: Duration::from_secs(5), quiet_every: Duration::from_secs(5), ..processed::config() };
        let processor = Processor::new(config, Arc::new(gated), profile.results.clone(), profile.archive.clone());
        let (status, stop) = (processor.status(), CancellationToken::new());
        let work = tokio::spawn(processor.run(stop.clone()));
        until(format!("record {point} is processed"), || {
            assert!(!work.is_finished(), "the processor has ended: {:?}", status.partitions());
            status.partitions()[0].results.next == gate
        })
        .await;
        let committed = || status.partitions()[0].results.committed;
        if n % CRASHES == CRASHES - 1 {
            work.abort();
            assert!(work.await.unwrap_err().is_cancelled());
            stops.crashed += 1;
            stops.half_way += usize::from(committed() < gate);
        } else {
            stop.cancel();
            work.await.unwrap().unwrap();
            stops.asked += 1;
            assert_eq!(committed(), gate, "what was processed is committed");
        }
    }
    processed::process(profile, &log).await;
    stops
}

/// Without how often rows were told, which depends on the steps.
fn without_revisions(mut outcome: Outcome) -> Outcome {
    outcome.laps.iter_mut().for_each(|lap| lap.revision = 0);
    outcome
}

#[test]
fn a_hundred_restarts_change_no_result() {
    const TEST: &str = "a_hundred_restarts_change_no_result";
    let (runtime, mut rng) = (runtime(), campaign::seeded(TEST));
    let input = seeded::input(rng.u64(SEEDS));
    let mut profiles = vec![Profile::memory(), runtime.block_on(Profile::sqlite())];
    profiles.extend(runtime.block_on(Profile::servers(TEST)));
    let expected = runtime.block_on(async {
        let straight = Profile::memory();
        straight.process(&input, input.records.len()).await;
        straight.outcomes(&input).await
    });
    golden::held("races.txt", &digests(&input, &expected), |race| race == input.name);
    for profile in profiles {
        let mut points = rng.choose_multiple(1..input.records.len(), STOPS);
        points.sort_unstable();
        let (stops, found) = runtime.block_on(async {
            let stops = with_stops(&profile, &input, &points).await;
            let found = profile.outcomes(&input).await;
            processed::assert_archived(&profile, &found[0]).await;
            (stops, found)
        });
        println!("{TEST}: {} on {}: {} records, {stops:?}", input.name, profile.name, input.records.len());
        assert_eq!((stops.asked + stops.crashed, expected.len(), found.len()), (STOPS, 1, 1));
        assert!(stops.half_way * 4 > stops.crashed, "{}: {stops:?}: hardly a crash was half-way", profile.name);
        assert_eq!(digests(&input, &found), digests(&input, &expected), "{}: {} at {points:?}", profile.name, input.name);
        let [expected, found] = [&expected, &found].map(|outcomes| without_revisions(outcomes[0].clone()));
        let wrong = expected.differences(&found);
        assert!(wrong.is_empty(), "{}: {} at {points:?}:\n{}", profile.name, input.name, wrong.join("\n"));
        profile.remove();
    }
}
