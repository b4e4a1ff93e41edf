//! The status of each partition, for readiness checks and to show to people.

use std::time::Duration;

use boxbox_log::Offset;
use boxbox_schemas::SessionId;
use parking_lot::Mutex;

use crate::time::now_us;

/// Most parked sessions that are named to a person.
const NAMED_MAX: usize = 10;

/// A live view of a processor; outlives it.
#[derive(Debug)]
pub struct Status {
    partitions: Vec<Mutex<PartitionStatus>>,
    /// Results that are older than this are not ready.
    ready_lag: Duration,
}

/// The status of one partition.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: u32,
    /// The results pump.
    pub results: PumpStatus,
    /// The archive pump.
    pub archive: PumpStatus,
}

/// The status of one pump.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct PumpStatus {
    /// The pump's phase.
    pub phase: Phase,
    /// The first offset that it has not processed.
    pub next: Offset,
    /// The first offset that is not committed in its store.
    pub committed: Offset,
    /// The log's durable end, as last known.
    pub end: Offset,
    /// When the oldest record that is not committed in its store was received, as far as records are read, Unix µs; `None`: there is none.
    pub waiting_since_us: Option<i64>,
    /// When it last committed, Unix µs; only shown to people.
    pub last_commit_us: Option<i64>,
    /// Of the results pump: how many sessions are in memory.
    pub sessions: usize,
    /// Of the results pump: the sessions that are parked, because they would take too much memory.
    pub parked: Vec<SessionId>,
}

/// The phase of a pump.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub enum Phase {
    /// Loading its state and opening the log.
    #[default]
    Starting,
    /// Working, or waiting for records.
    Working,
    /// The log or a store does not answer; the pump retries. The text says which.
    Retrying(String),
    /// It has stopped for good. The text says why, and what to do.
    Stopped(String),
    /// Another processor works on the partition.
    Elsewhere,
    /// It has ended, because a stop was requested.
    Ended,
}

impl PumpStatus {
    /// Durable records that are not committed in its store yet (with a log whose offsets have gaps: at most).
    pub fn lag(&self) -> u64 {
        self.end.saturating_sub(self.committed)
    }
    /// Whether it works and has processed everything durable.
    pub fn level(&self) -> bool {
        self.phase == Phase::Working && self.next >= self.end
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Pump {
    Results,
    Archive,
}

impl Status {
    pub(crate) fn new(partitions: u32, ready_lag: Duration) -> Self {
        let fresh = |partition| Mutex::new(PartitionStatus { partition, results: PumpStatus::default(), archive: PumpStatus::default() });
        Self { partitions: (0..partitions).map(fresh).collect(), ready_lag }
    }

    /// Every partition, in order.
    pub fn partitions(&self) -> Vec<PartitionStatus> {
        self.partitions.iter().map(|p| p.lock().clone()).collect()
    }

    /// Whether the results pump of each partition of this processor works, and is not farther behind than
    /// [`Config::ready_lag`](crate::Config::ready_lag). The archive does not count, because it delays no lap.
    pub fn ready(&self) -> bool {
        self.working() && self.lag(now_us()) <= self.ready_lag
    }

    /// Whether the results pump of each partition of this processor works.
    pub fn working(&self) -> bool {
        self.partitions.iter().all(|p| matches!(p.lock().results.phase, Phase::Working | Phase::Elsewhere))
    }

    /// At `now_us` (Unix µs), the age of the oldest record whose results are not committed.
    pub fn lag(&self, now_us: i64) -> Duration {
        self.lag_of(now_us, |status| &status.results)
    }

    /// As [`Status::lag`], of frames that are not archived.
    pub fn archive_lag(&self, now_us: i64) -> Duration {
        self.lag_of(now_us, |status| &status.archive)
    }

    fn lag_of(&self, now_us: i64, of: impl Fn(&PartitionStatus) -> &PumpStatus) -> Duration {
        let oldest_us = self.partitions.iter().filter_map(|p| of(&p.lock()).waiting_since_us).min();
        oldest_us.map_or(Duration::ZERO, |us| Duration::from_micros(now_us.saturating_sub(us).max(0) as u64))
    }

    /// Whether the results of all partitions of this processor include everything durable.
    pub fn level(&self) -> bool {
        self.partitions.iter().all(|p| {
            let status = p.lock();
            status.results.level() || status.results.phase == Phase::Elsewhere
        })
    }

    /// What a person should know though every partition is processed: which sessions are parked (`session.park`).
    pub fn notes(&self) -> Option<String> {
        let parked: Vec<String> = self.partitions.iter().flat_map(|p| p.lock().results.parked.clone()).map(|id| id.to_string()).collect();
        let some = parked.iter().take(NAMED_MAX).cloned().collect::<Vec<_>>().join(", ");
        let count = parked.len();
        (count > 0).then(|| {
            format!("parked sessions, which take more memory than --session-max-bytes allows, and whose records are skipped: {count} ({some})")
        })
    }

    pub(crate) fn update(&self, partition: u32, pump: Pump, change: impl FnOnce(&mut PumpStatus)) {
        if let Some(status) = self.partitions.get(partition as usize) {
            let mut status = status.lock();
            change(match pump {
                Pump::Results => &mut status.results,
                Pump::Archive => &mut status.archive,
            });
        }
    }

    /// The first offset of a partition that one of its stores has not committed; 0 until both have begun.
    pub(crate) fn committed(&self, partition: u32) -> Offset {
        self.partitions.get(partition as usize).map_or(0, |p| {
            let status = p.lock();
            status.results.committed.min(status.archive.committed)
        })
    }

    pub(crate) fn sum(&self, pump: Pump, of: impl Fn(&PumpStatus) -> u64) -> u64 {
        let one = |status: &PartitionStatus| match pump {
            Pump::Results => of(&status.results),
            Pump::Archive => of(&status.archive),
        };
        self.partitions.iter().map(|p| one(&p.lock())).fold(0, u64::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pump_is_level_when_it_works_and_has_everything_durable() {
        let at = |phase, next, end| PumpStatus { phase, next, end, committed: 4, ..PumpStatus::default() };
        assert!(at(Phase::Working, 7, 7).level());
        assert!(!at(Phase::Working, 6, 7).level());
        assert!(!at(Phase::Starting, 0, 0).level(), "an unknown end is no end reached");
        assert!(!at(Phase::Stopped("x".into()), 7, 7).level());
        assert_eq!((at(Phase::Working, 7, 7).lag(), at(Phase::Working, 4, 3).lag()), (3, 0));
    }

    #[test]
    fn readiness_asks_every_partition_for_laps_and_none_for_the_archive() {
        let status = Status::new(2, Duration::from_secs(60));
        assert!(!status.ready());
        for partition in 0..2 {
            status.update(partition, Pump::Results, |p| p.phase = Phase::Working);
        }
        status.update(0, Pump::Archive, |p| p.phase = Phase::Retrying("down".into()));
        assert!(status.ready());
        status.update(1, Pump::Results, |p| p.waiting_since_us = Some(now_us() - 50_000_000));
        assert!(status.ready());
        status.update(1, Pump::Results, |p| p.waiting_since_us = Some(now_us() - 70_000_000));
        assert!(status.working() && !status.ready(), "results that are a minute old");
        assert!(status.lag(now_us()) >= Duration::from_secs(70));
        status.update(1, Pump::Results, |p| p.waiting_since_us = None);
        assert!(status.ready());
        status.update(1, Pump::Results, |p| p.phase = Phase::Stopped("damaged".into()));
        assert!(!status.ready());
    }
}
