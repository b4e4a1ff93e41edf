//! The processing of one partition: log records in, [`Step`]s out. It is pure: no clock, no I/O, no randomness, no hash order. So the
//! same records from the same state give the same step, bit for bit (E11).
//!
//! A session's working state, some kilobytes for each stream, is kept until a `closed` record retires the session; then only its
//! description is kept (E9c).

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use boxbox_log::Offset;
use boxbox_schemas::event::Closing;
use boxbox_schemas::record::Content;
use boxbox_schemas::results::{Checkpoint, SessionInfo};
use boxbox_schemas::stamp::{LogRecord, StampError};
use boxbox_schemas::{DriverId, LogId, SessionId};
use boxbox_store::{PartitionState, Quarantined, Step};
use bytes::Bytes;

use crate::account::Accounts;
use crate::admit::Arrival;
use crate::counts::Counts;
pub use crate::error::StateError;
use crate::session::Session;

/// The state of one partition's processing. See the [module](self).
pub struct Partition {
    log: LogId,
    partition: u32,
    partitions: u32,
    sessions: BTreeMap<SessionId, Session>,
    changed: BTreeSet<SessionId>,
    accounts: Accounts,
    quarantine: Vec<Quarantined>,
    quarantine_bytes: usize,
    last: Option<(Offset, Bytes)>,
    counts: Counts,
}

impl Partition {
    /// Continue from the stored `state` of this partition.
    pub fn restore(log: LogId, partition: u32, partitions: u32, state: PartitionState) -> Result<Self, StateError> {
        let mut sessions: BTreeMap<SessionId, Session> = state.sessions.into_iter().map(|info| (info.id, Session::restore(info))).collect();
        for stream in &state.streams {
            of(&mut sessions, stream.ledger.stream.session, "a stream")?.restore_stream(stream)?;
        }
        for fact in state.facts {
            of(&mut sessions, fact.session, "a fact")?.restore_fact(fact);
        }
        for lap in state.laps {
            of(&mut sessions, lap.session, "a lap")?.restore_lap(lap);
        }
        for row in state.rows {
            of(&mut sessions, row.head.session, "a row")?.restore_row(row);
        }
        sessions.values_mut().for_each(Session::finish_restore);
        Ok(Self {
            log,
            partition,
            partitions,
            sessions,
            changed: BTreeSet::new(),
            accounts: Accounts::restore(state.accounts),
            quarantine: vec![],
            quarantine_bytes: 0,
            last: None,
            counts: Counts::default(),
        })
    }

    /// Process the next record of the log. No content of a record makes this fail.
    pub fn process(&mut self, offset: Offset, record: &Bytes) {
        self.last = Some((offset, record.clone()));
        self.counts.records += 1;
        if let Err((kind, reason)) = self.process_record(record) {
            self.counts.quarantine(kind);
            tracing::error!(partition = self.partition, offset, %reason, "a record is quarantined");
            self.quarantine_bytes += record.len();
            self.quarantine.push(Quarantined { offset, reason, record: record.clone() });
        }
    }

    fn process_record(&mut self, bytes: &Bytes) -> Result<(), (&'static str, String)> {
        let record = LogRecord::parse(bytes.clone()).map_err(|e| (quarantine_kind(&e), e.to_string()))?;
        let stamp = &record.stamp;
        let home = stamp.session.partition(self.partitions);
        if home != self.partition {
            return Err(("misplaced", format!("session {} belongs to partition {home}", stamp.session)));
        }
        if !Arrival::in_stream(&record) {
            return self.closing(&record);
        }
        let mut account = self.accounts.of(stamp.tenant, stamp.driver, stamp.received_at_us);
        let session = match self.sessions.entry(stamp.session) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => match account.opens_session(stamp.session) {
                Ok(()) => new.insert(Session::open(&record)),
                Err((bound, last)) => {
                    self.refuse_session(stamp.driver, bound, last);
                    return Ok(());
                }
            },
        };
        if session.info().tenant != stamp.tenant {
            return Err(("tenant", format!("session {} is of tenant {}, not {}", stamp.session, session.info().tenant, stamp.tenant)));
        }
        self.changed.insert(stamp.session);
        session
            .process(&record, &mut account, &mut self.counts)
            .map_err(|reason| ("panic", format!("driver {} run {}: {reason}", stamp.driver, record.record.prelude().run)))
    }

    /// A driver may not open another session: that is told in the one opened last, while that is open.
    fn refuse_session(&mut self, driver: DriverId, bound: &'static str, last: Option<SessionId>) {
        match last.and_then(|last| self.sessions.get_mut(&last)).filter(|session| !session.info().closed) {
            Some(session) => {
                session.refuse(driver, bound, 1, &mut self.counts);
                self.changed.insert(session.info().id);
            }
            None => self.counts.refused(bound, 1),
        }
    }

    /// The server closes, reopens or retires a session (E9a). For an unknown session there is nothing to do.
    fn closing(&mut self, record: &LogRecord) -> Result<(), (&'static str, String)> {
        let refused = |why: String| ("closed", format!("a `closed` record: {why}"));
        let stamp = &record.stamp;
        let Ok(Content::Closed(frame)) = record.record.content() else { return Err(refused("it cannot be read".to_owned())) };
        if stamp.driver != DriverId::SERVER {
            return Err(refused(format!("driver {} is not the server", stamp.driver)));
        }
        let Some(session) = self.sessions.get_mut(&stamp.session).filter(|s| s.info().tenant == stamp.tenant) else {
            tracing::warn!(session = %stamp.session, "a closed record for an unknown session is ignored");
            return Ok(());
        };
        self.changed.insert(stamp.session);
        session.closing(Closing::from(&frame.reason), stamp.received_at_us, &mut self.counts).map_err(refused)
    }

    /// Every session, and how many records of it have come since this was restored.
    pub fn sessions(&self) -> impl Iterator<Item = (&SessionInfo, u64)> {
        self.sessions.values().map(|s| (s.info(), s.records()))
    }

    /// The counts since the last call.
    pub fn take_counts(&mut self) -> Counts {
        self.counts.take()
    }

    /// Whether the next step contains news: a lap, a row, a session, a quarantined record.
    pub fn has_news(&self) -> bool {
        !self.quarantine.is_empty() || self.changed.iter().any(|s| self.sessions.get(s).is_some_and(Session::has_news))
    }

    /// Bytes of quarantined records that wait for the next step.
    pub fn quarantine_bytes(&self) -> usize {
        self.quarantine_bytes
    }

    /// Everything that has changed since the last step, with its checkpoint; `None` if no record was processed since. The caller must
    /// commit a step before it takes the next, or restore from the store.
    pub fn step(&mut self) -> Option<Step> {
        let (offset, record) = self.last.take()?;
        let checkpoint = Checkpoint { log: self.log.clone(), partition: self.partition, offset, crc: crc32c::crc32c(&record) };
        self.quarantine_bytes = 0;
        let quarantine = std::mem::take(&mut self.quarantine);
        let mut step = Step { quarantine, accounts: self.accounts.drain(), ..Step::new(checkpoint) };
        for id in std::mem::take(&mut self.changed) {
            if let Some(session) = self.sessions.get_mut(&id) {
                session.drain(&mut step, &mut self.counts);
            }
        }
        Some(step)
    }
}

fn of<'a>(sessions: &'a mut BTreeMap<SessionId, Session>, session: SessionId, what: &'static str) -> Result<&'a mut Session, StateError> {
    sessions.get_mut(&session).ok_or(StateError::Orphan { session, what })
}

fn quarantine_kind(error: &StampError) -> &'static str {
    match error {
        StampError::Malformed => "stamp",
        StampError::Version(_) => "stamp_version",
        StampError::Record(error) => error.name(),
    }
}
