//! Decides when a session is closed or retired (E9a). The decision uses this machine's clock, so it is made outside the race logic,
//! and only while the results of the partition are level with the log. It is written to the partition as a `closed` record, so all
//! that follows from it is a function of the log.
//!
//! A session without new records is closed; a session that was closed long ago is retired. Which are open the partition knows, which were
//! closed long ago only the store. The record is written again until it has an effect. Writing it twice changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::{Completion, Completions, Log, Outcome, Ticket, Writer};
use boxbox_schemas::event::Closing;
use boxbox_schemas::results::SessionKey;
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

/// The store is asked for sessions to retire once in so many checks.
const CHECKS_OF_A_RETIRING: u32 = 10;
/// Most sessions retired at once; each comes into memory for that.
pub(crate) const RETIRED_AT_ONCE: u32 = 100;

/// Decides for the sessions of one partition.
pub(crate) struct Closer {
    close_after: Duration,
    retire_after: Duration,
    /// For each open session, its number of records, and when that number last changed.
    last_records: BTreeMap<SessionId, LastRecord>,
    checked: Instant,
    /// The partition has been level with the log at some time since the last check.
    level: bool,
    open: usize,
    /// When the store was last asked for sessions to retire.
    retired: Instant,
    /// Sessions for which a `closed` record that retires them was written, and when.
    retiring: BTreeMap<SessionId, Instant>,
}

struct LastRecord {
    records: u64,
    at: Instant,
    asked: Option<Instant>,
}

impl Closer {
    pub(crate) fn new(config: &Config) -> Self {
        let (close_after, retire_after) = (config.close_after, config.retire_after);
        Self {
            close_after,
            retire_after,
            last_records: BTreeMap::new(),
            checked: Instant::now(),
            level: false,
            open: 0,
            retired: Instant::now(),
            retiring: BTreeMap::new(),
        }
    }

    /// How often to call [`Closer::check`].
    pub(crate) fn every(&self) -> Duration {
        (self.close_after / 5).clamp(Duration::from_millis(10), CHECK_EVERY)
    }

    /// Write a `closed` record for each session that is to be closed, if a check is due. `level`: all durable records have been
    /// processed.
    pub(crate) fn check(&mut self, level: bool, partition: &Partition, close_writer: &CloseWriter, log: &dyn Log, now_us: i64) {
        self.level |= level;
        if self.checked.elapsed() < self.every() {
            return;
        }
        for session in self.due(partition.open(), Instant::now()) {
            close_writer.append(log, &session, Closing::SILENCE, now_us);
        }
        let open = partition.open().count();
        close_writer.metrics.open_sessions.increment(open as f64 - self.open as f64);
        self.open = open;
    }

    /// The sessions to close at `now`.
    fn due(&mut self, open: impl Iterator<Item = (SessionId, SessionKey, u64)>, now: Instant) -> Vec<SessionKey> {
        self.checked = now;
        if !std::mem::take(&mut self.level) {
            // While the partition is behind, unread records may belong to the session, so its silence is counted from when it is level again.
            self.last_records.clear();
            return vec![];
        }
        let (mut before, mut due) = (std::mem::take(&mut self.last_records), vec![]);
        for (id, key, records) in open {
            let known = before.remove(&id).filter(|h| h.records == records);
            let last = self.last_records.entry(id).or_insert(known.unwrap_or(LastRecord { records, at: now, asked: None }));
            if now.duration_since(last.at) >= self.close_after && last.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN) {
                last.asked = Some(now);
                due.push(key);
            }
        }
        due
    }

    /// Whether to ask the store now for sessions to retire, and by when their last record must have come, Unix µs.
    /// None while the clock may be wrong: a retiring cannot be undone.
    pub(crate) fn retires(&mut self, level: bool, time: Believed) -> Option<i64> {
        let pause = self.every() * CHECKS_OF_A_RETIRING;
        if !level || time.jumped || self.retired.elapsed() < pause {
            return None;
        }
        self.retired = Instant::now();
        Some(time.now_us.saturating_sub(i64::try_from(self.retire_after.as_micros()).unwrap_or(i64::MAX)))
    }

    /// Write a `closed` record for each of `old`, all that are to be retired.
    pub(crate) fn retire(&mut self, old: &[SessionKey], close_writer: &CloseWriter, log: &dyn Log, now_us: i64) {
        for session in self.retire_due(old, Instant::now()) {
            close_writer.append(log, &session, Closing::RETIRED, now_us);
        }
    }

    /// Those of `old` for which no record is under way at `now`.
    fn retire_due(&mut self, old: &[SessionKey], now: Instant) -> Vec<SessionKey> {
        let before = std::mem::take(&mut self.retiring);
        let mut due = vec![];
        for session in old {
            // What comes later is counted and dropped (`session.retire`).
            let asked = before.get(&session.id()).copied().filter(|asked| now.duration_since(*asked) < ASK_AGAIN);
            self.retiring.insert(session.id(), asked.unwrap_or(now));
            due.extend(asked.is_none().then_some(*session));
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

    fn append(&self, log: &dyn Log, session: &SessionKey, closing: Closing, now_us: i64) {
        let id = session.id();
        tracing::info!(session = %id, how = closing.name(), "writing a closed record for the session");
        let record = stamp::closed(session.tenant, session.source, closing, now_us);
        let mut writer = self.writer.lock();
        let outcome = match &mut *writer {
            Some(writer) => Ok(writer),
            none => log.writer(Arc::new(FailedWrites(self.metrics.clone()))).map(|new| none.insert(new)).map_err(|e| e.to_string()),
        };
        let appended = outcome.and_then(|writer| {
            let partition = id.partition(log.partitions());
            writer.append(partition, id, record, Ticket::default()).map_err(|e| e.to_string())
        });
        if let Err(error) = appended {
            // The writer may have failed for good, so the next attempt opens a new one.
            *writer = None;
            self.metrics.closing_retries.increment(1);
            tracing::warn!(session = %id, how = closing.name(), %error, "the closed record cannot be written yet; trying again");
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

    fn session(n: u128) -> SessionKey {
        SessionKey { tenant: TenantId::new("league").unwrap(), source: source(n) }
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
        /// Whether a session, if it is open, is to be closed at `s` seconds, when so many records of it have come.
        fn closes(&mut self, s: u64, level: bool, session: Option<SessionKey>, records: u64) -> bool {
            self.closer.level = level;
            let open = session.into_iter().map(|session| (session.id(), session, records));
            let due = self.closer.due(open, self.start + Duration::from_secs(s));
            assert!(due.iter().all(|due| Some(*due) == session));
            !due.is_empty()
        }
    }

    #[test]
    fn a_session_is_closed_after_silence_and_asked_again_until_it_is() {
        let (mut clock, open) = (Clock::new(), Some(session(1)));
        assert!(!clock.closes(0, true, open, 7));
        assert!(!clock.closes(299, true, open, 7));
        assert!(!clock.closes(300, true, open, 8), "a record came");
        assert!(!clock.closes(599, true, open, 8));
        assert!(clock.closes(600, true, open, 8));
        assert!(!clock.closes(605, true, open, 8), "the record is under way");
        assert!(clock.closes(610, true, open, 8), "it was lost");
        assert!(!clock.closes(611, true, None, 9));
    }

    #[test]
    fn who_is_behind_closes_nothing_and_counts_from_when_it_is_level() {
        let (mut clock, open) = (Clock::new(), Some(session(1)));
        assert!(!clock.closes(0, true, open, 7));
        assert!(!clock.closes(299, false, open, 7));
        assert!(!clock.closes(400, false, open, 7));
        assert!(!clock.closes(410, true, open, 7));
        assert!(!clock.closes(709, true, open, 7));
        assert!(clock.closes(710, true, open, 7));
    }

    #[test]
    fn a_session_closed_long_ago_is_retired_once() {
        let mut clock = Clock::new();
        clock.closer.retired -= Duration::from_secs(10);
        let now = Believed { now_us: 3_601_000_000, jumped: false };
        assert_eq!(clock.closer.retires(false, now), None, "a record of it may be unread");
        assert_eq!(clock.closer.retires(true, Believed { jumped: true, ..now }), None, "the clock may be wrong");
        assert_eq!(clock.closer.retires(true, now), Some(1_000_000), "its last record is an hour old");
        assert_eq!(clock.closer.retires(true, now), None, "not at every check");
        let mut at = |s: u64, old: &[SessionKey]| clock.closer.retire_due(old, clock.start + Duration::from_secs(s));
        assert_eq!(at(0, &[session(1)]), [session(1)]);
        assert_eq!(at(9, &[session(1), session(2)]), [session(2)], "the record of the first is under way");
        assert_eq!(at(10, &[session(1), session(2)]), [session(1)], "it was lost");
        assert_eq!(at(19, &[session(2)]), [session(2)]);
        assert_eq!(at(20, &[]), []);
    }
}
