//! Decides when a session is closed or retired (E9a). The decision uses this machine's clock, so it is made outside the race logic,
//! and only while the results of the partition are level with the log. It is written to the partition as a `closed` record, so all
//! that follows from it is a function of the log.
//!
//! A session without new records is closed; a session that was closed long ago is retired. The record is written again until the
//! partition's state shows its effect. Writing it twice changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{Completion, Completions, Log, Outcome, Ticket, Writer};
use boxbox_schemas::event::Closing;
use boxbox_schemas::results::SessionInfo;
use boxbox_schemas::{SessionId, stamp};
use parking_lot::Mutex;
use tokio::time::Instant;

use crate::config::Config;
use crate::metrics::ProcessorMetrics;
use crate::partition::Partition;
use crate::time::Believed;

/// Sessions are checked at most this often, so that thousands of sessions cost little.
const CHECK_EVERY: Duration = Duration::from_secs(1);
/// A `closed` record without effect after this time is written again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Decides for the sessions of one partition.
pub(crate) struct Closer {
    close_after: Duration,
    retire_after: Duration,
    /// For each session that is not retired, its number of records, and when that number last changed.
    last_records: BTreeMap<SessionId, LastRecord>,
    checked: Instant,
    /// The partition has been level with the log at some time since the last check.
    level: bool,
    open: usize,
}

struct LastRecord {
    records: u64,
    at: Instant,
    asked: Option<Instant>,
}

impl Closer {
    pub(crate) fn new(config: &Config) -> Self {
        let (close_after, retire_after) = (config.close_after, config.retire_after);
        Self { close_after, retire_after, last_records: BTreeMap::new(), checked: Instant::now(), level: false, open: 0 }
    }

    /// How often to call [`Closer::check`].
    pub(crate) fn every(&self) -> Duration {
        (self.close_after / 5).clamp(Duration::from_millis(10), CHECK_EVERY)
    }

    /// Write a `closed` record for each session that is to be closed or retired, if a check is due. `level`: all durable records have been
    /// processed.
    pub(crate) fn check(&mut self, level: bool, partition: &Partition, close_writer: &CloseWriter, log: &dyn Log, time: Believed) {
        self.level |= level;
        if self.checked.elapsed() < self.every() {
            return;
        }
        for (session, closing) in self.due(partition.sessions(), Instant::now(), time) {
            tracing::info!(session = %session.id, how = closing.name(), "writing a closed record for the session");
            close_writer.append(log, &session, closing, time.now_us);
        }
        let open = partition.sessions().filter(|(s, _)| !s.closed).count();
        close_writer.metrics.open_sessions.increment(open as f64 - self.open as f64);
        self.open = open;
    }

    /// The sessions to close or retire at `now`; `time` is the same moment by the clock.
    fn due<'a>(&mut self, sessions: impl Iterator<Item = (&'a SessionInfo, u64)>, now: Instant, time: Believed) -> Vec<(SessionInfo, Closing)> {
        self.checked = now;
        if !std::mem::take(&mut self.level) {
            // While the partition is behind, unread records may belong to the session, so its silence is counted from when it is level again.
            self.last_records.clear();
            return vec![];
        }
        let (mut before, mut due) = (std::mem::take(&mut self.last_records), vec![]);
        for (session, records) in sessions.filter(|(s, _)| !s.retired) {
            let known = before.remove(&session.id).filter(|h| h.records == records);
            let last = self.last_records.entry(session.id).or_insert(known.unwrap_or(LastRecord { records, at: now, asked: None }));
            let age = Duration::from_micros(time.now_us.saturating_sub(session.updated_at_us).max(0) as u64);
            let closing = match session.closed {
                false if now.duration_since(last.at) >= self.close_after => Closing::SILENCE,
                // What comes later is counted and dropped (`session.retire`).
                // It cannot be undone, so it is not done by a clock that may be wrong.
                true if age >= self.retire_after && !time.jumped => Closing::RETIRED,
                _ => continue,
            };
            if last.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN) {
                last.asked = Some(now);
                due.push((session.clone(), closing));
            }
        }
        due
    }
}

/// Writes `closed` records for all partitions. Its writer is opened for the first record.
pub(crate) struct CloseWriter {
    metrics: ProcessorMetrics,
    writer: Mutex<Option<Box<dyn Writer>>>,
}

impl CloseWriter {
    pub(crate) fn new(metrics: ProcessorMetrics) -> Self {
        Self { metrics, writer: Mutex::new(None) }
    }

    fn append(&self, log: &dyn Log, session: &SessionInfo, closing: Closing, now_us: i64) {
        let record = stamp::closed(session.tenant, session.source, closing, now_us);
        let mut writer = self.writer.lock();
        let outcome = match &mut *writer {
            Some(writer) => Ok(writer),
            none => log.writer(Arc::new(FailedWrites(self.metrics.clone()))).map(|new| none.insert(new)).map_err(|e| e.to_string()),
        };
        let appended = outcome.and_then(|writer| {
            let partition = session.id.partition(log.partitions());
            writer.append(partition, session.id, record, Ticket::default()).map_err(|e| e.to_string())
        });
        if let Err(error) = appended {
            // The writer may have failed for good, so the next attempt opens a new one.
            *writer = None;
            self.metrics.closing_retries.increment(1);
            tracing::warn!(session = %session.id, how = closing.name(), %error, "the closed record cannot be written yet; trying again");
        }
    }
}

/// Counts records that did not become durable.
struct FailedWrites(ProcessorMetrics);

impl Completions for FailedWrites {
    fn completed(&self, batch: &[Completion]) {
        let failed = batch.iter().filter(|c| c.outcome == Outcome::Failed).count();
        self.0.closing_retries.increment(failed as u64);
    }
}

#[cfg(test)]
mod tests {
    use boxbox_schemas::TenantId;
    use boxbox_testkit::frames::source;

    use super::*;

    fn session(n: u128) -> SessionInfo {
        SessionInfo::opened(TenantId::new("league").unwrap(), source(n), 0)
    }

    struct Clock {
        closer: Closer,
        start: Instant,
    }

    impl Clock {
        fn new() -> Self {
            let config = Config { close_after: Duration::from_secs(300), retire_after: Duration::from_secs(3_600), ..Config::default() };
            Self { closer: Closer::new(&config), start: Instant::now() }
        }
        /// What is due at `s` seconds, for one session with so many records.
        fn at(&mut self, s: u64, level: bool, session: &SessionInfo, records: u64) -> Vec<Closing> {
            self.closer.level = level;
            self.shown(s, Believed { now_us: s as i64 * 1_000_000, jumped: false }, session, records)
        }
        /// Likewise where the clock of day shows `time`.
        fn shown(&mut self, s: u64, time: Believed, session: &SessionInfo, records: u64) -> Vec<Closing> {
            let due = self.closer.due([(session, records)].into_iter(), self.start + Duration::from_secs(s), time);
            due.into_iter().map(|(_, closing)| closing).collect()
        }
    }

    #[test]
    fn a_session_is_closed_after_silence_and_asked_again_until_it_is() {
        let (mut clock, open) = (Clock::new(), session(1));
        assert_eq!(clock.at(0, true, &open, 7), []);
        assert_eq!(clock.at(299, true, &open, 7), []);
        assert_eq!(clock.at(300, true, &open, 8), [], "a record came");
        assert_eq!(clock.at(599, true, &open, 8), []);
        assert_eq!(clock.at(600, true, &open, 8), [Closing::SILENCE]);
        assert_eq!(clock.at(605, true, &open, 8), [], "the record is under way");
        assert_eq!(clock.at(610, true, &open, 8), [Closing::SILENCE], "it was lost");
        let closed = SessionInfo { closed: true, ..open };
        assert_eq!(clock.at(611, true, &closed, 9), []);
    }

    #[test]
    fn who_is_behind_closes_nothing_and_counts_from_when_it_is_level() {
        let (mut clock, open) = (Clock::new(), session(1));
        assert_eq!(clock.at(0, true, &open, 7), []);
        assert_eq!(clock.at(299, false, &open, 7), []);
        assert_eq!(clock.at(400, false, &open, 7), []);
        assert_eq!(clock.at(410, true, &open, 7), []);
        assert_eq!(clock.at(709, true, &open, 7), []);
        assert_eq!(clock.at(710, true, &open, 7), [Closing::SILENCE]);
    }

    #[test]
    fn a_clock_that_jumped_retires_nothing_and_silence_still_closes() {
        let (mut clock, closed, open) = (Clock::new(), SessionInfo { closed: true, ..session(1) }, session(2));
        for jumped in [true, false] {
            let time = Believed { now_us: 40 * 86_400_000_000, jumped };
            clock.closer.level = true;
            assert_eq!(clock.shown(1, time, &closed, 7), if jumped { vec![] } else { vec![Closing::RETIRED] });
        }
        let time = Believed { now_us: 40 * 86_400_000_000, jumped: true };
        for (s, due) in [(2, vec![]), (302, vec![Closing::SILENCE])] {
            clock.closer.level = true;
            assert_eq!(clock.shown(s, time, &open, 7), due, "silence is measured by the other clock");
        }
    }

    #[test]
    fn a_session_closed_long_ago_is_retired_once() {
        let (mut clock, closed) = (Clock::new(), SessionInfo { closed: true, updated_at_us: 1_000_000, ..session(1) });
        assert_eq!(clock.at(3_600, true, &closed, 7), []);
        assert_eq!(clock.at(3_601, true, &closed, 7), [Closing::RETIRED]);
        assert_eq!(clock.at(9_000, true, &SessionInfo { retired: true, ..closed }, 8), []);
    }
}
