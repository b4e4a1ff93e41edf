//! Who decides that a session is over (E9): outside the race logic, by this machine's clock, and only while the results of
//! its partition are level with the log. The decision is a `closed` record in the partition: what follows from it is as
//! pure as everything else.
//!
//! A session that nobody has sent for is closed; one that was closed long ago is retired. What cannot be written is tried
//! again: closing is asked for until the partition's state says that it is done, and asking twice does no harm.

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

/// Sessions are looked at this often, at most: some thousands of them cost nothing then.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// What was asked for and has not come about by then is asked for again.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// Decides for one partition.
pub(crate) struct Closer {
    close_after: Duration,
    retire_after: Duration,
    /// Of each session that is not retired: how many records it had when it was last heard of, and when that was.
    heard: BTreeMap<SessionId, Heard>,
    looked: Instant,
    /// The partition was level with the log since the last look.
    level: bool,
    open: usize,
}

struct Heard {
    records: u64,
    at: Instant,
    asked: Option<Instant>,
}

impl Closer {
    pub(crate) fn new(config: &Config) -> Self {
        let (close_after, retire_after) = (config.close_after, config.retire_after);
        Self { close_after, retire_after, heard: BTreeMap::new(), looked: Instant::now(), level: false, open: 0 }
    }

    /// How often [`Closer::look`] is to be asked.
    pub(crate) fn every(&self) -> Duration {
        (self.close_after / 5).clamp(Duration::from_millis(10), LOOK_EVERY)
    }

    /// Look whether any session is to be closed, if it is time to. `level`: everything durable has been processed.
    pub(crate) fn look(&mut self, level: bool, partition: &Partition, clerk: &Clerk, log: &dyn Log, now_us: i64) {
        self.level |= level;
        if self.looked.elapsed() < self.every() {
            return;
        }
        for (session, closing) in self.due(partition.sessions(), Instant::now(), now_us) {
            tracing::info!(session = %session.id, how = closing.name(), "the session is over");
            clerk.append(log, &session, closing, now_us);
        }
        let open = partition.sessions().filter(|(s, _)| !s.closed).count();
        clerk.metrics.open_sessions.increment(open as f64 - self.open as f64);
        self.open = open;
    }

    /// What is to be asked for at `now`, and by the clock on the wall at `now_us`, Unix µs.
    fn due<'a>(&mut self, sessions: impl Iterator<Item = (&'a SessionInfo, u64)>, now: Instant, now_us: i64) -> Vec<(SessionInfo, Closing)> {
        self.looked = now;
        if !std::mem::take(&mut self.level) {
            // Who is behind has not heard what is in the log: silence is counted from when it is level again.
            self.heard.clear();
            return vec![];
        }
        let (mut before, mut due) = (std::mem::take(&mut self.heard), vec![]);
        for (session, records) in sessions.filter(|(s, _)| !s.retired) {
            let known = before.remove(&session.id).filter(|h| h.records == records);
            let heard = self.heard.entry(session.id).or_insert(known.unwrap_or(Heard { records, at: now, asked: None }));
            let age = Duration::from_micros(now_us.saturating_sub(session.updated_at_us).max(0) as u64);
            let closing = match session.closed {
                false if now.duration_since(heard.at) >= self.close_after => Closing::SILENCE,
                true if age >= self.retire_after => Closing::RETIRED,
                _ => continue,
            };
            if heard.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN) {
                heard.asked = Some(now);
                due.push((session.clone(), closing));
            }
        }
        due
    }
}

/// Writes `closed` records, for all partitions, with a writer that is opened when the first is to be written.
pub(crate) struct Clerk {
    metrics: ProcessorMetrics,
    writer: Mutex<Option<Box<dyn Writer>>>,
}

impl Clerk {
    pub(crate) fn new(metrics: ProcessorMetrics) -> Self {
        Self { metrics, writer: Mutex::new(None) }
    }

    fn append(&self, log: &dyn Log, session: &SessionInfo, closing: Closing, now_us: i64) {
        let record = stamp::closed(session.tenant, session.source, closing, now_us);
        let mut writer = self.writer.lock();
        let outcome = match &mut *writer {
            Some(writer) => Ok(writer),
            none => log.writer(Arc::new(Refusals(self.metrics.clone()))).map(|new| none.insert(new)).map_err(|e| e.to_string()),
        };
        let appended = outcome.and_then(|writer| {
            let partition = session.id.partition(log.partitions());
            writer.append(partition, session.id, record, Ticket::default()).map_err(|e| e.to_string())
        });
        if let Err(error) = appended {
            // Perhaps this writer has failed for good; the next attempt makes a new one.
            *writer = None;
            self.metrics.closing_retries.increment(1);
            tracing::warn!(session = %session.id, how = closing.name(), %error, "a session cannot be closed yet; trying again");
        }
    }
}

/// Counts what did not become durable.
struct Refusals(ProcessorMetrics);

impl Completions for Refusals {
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
            let due = self.closer.due([(session, records)].into_iter(), self.start + Duration::from_secs(s), s as i64 * 1_000_000);
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
    fn a_session_closed_long_ago_is_retired_once() {
        let (mut clock, closed) = (Clock::new(), SessionInfo { closed: true, updated_at_us: 1_000_000, ..session(1) });
        assert_eq!(clock.at(3_600, true, &closed, 7), []);
        assert_eq!(clock.at(3_601, true, &closed, 7), [Closing::RETIRED]);
        assert_eq!(clock.at(9_000, true, &SessionInfo { retired: true, ..closed }, 8), []);
    }
}
