//! The processing of one partition: log records in, [`Step`]s out. It is pure: no clock, no I/O, no randomness, no hash order. So the
//! same records from the same state give the same step, bit for bit (E11).
//!
//! A session's working state is in memory as long as it is needed, and else in the store (see [`resident`](crate::resident)). What is kept
//! of a session that a `closed` record has retired is its description (E9c).

mod residents;

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use boxbox_log::Offset;
use boxbox_schemas::event::{Closing, Judging};
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
use crate::resident::Elsewhere;
use crate::session::Session;

/// The state of one partition's processing. See the [module](self).
pub struct Partition {
    log: LogId,
    pub(crate) partition: u32,
    pub(crate) partitions: u32,
    pub(crate) sessions: BTreeMap<SessionId, Session>,
    /// The sessions that are not here; `None`: there are none, and one that is not here is new.
    pub(crate) elsewhere: Option<Elsewhere>,
    pub(crate) changed: BTreeSet<SessionId>,
    /// About how many bytes the sessions take that are here.
    pub(crate) bytes: u64,
    /// Records processed.
    pub(crate) processed: u64,
    pub(crate) accounts: Accounts,
    quarantine: Vec<Quarantined>,
    quarantine_bytes: usize,
    last: Option<(Offset, Bytes)>,
    counts: Counts,
}

impl Partition {
    /// Continue from the stored `state` of this partition, which is all that there is: a session that it does not have is new.
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
        Ok(Self::with((log, partition, partitions), sessions, None, Accounts::restore(state.accounts)))
    }

    pub(crate) fn with(
        (log, partition, partitions): (LogId, u32, u32),
        sessions: BTreeMap<SessionId, Session>,
        elsewhere: Option<Elsewhere>,
        accounts: Accounts,
    ) -> Self {
        Self {
            log,
            partition,
            partitions,
            sessions,
            elsewhere,
            changed: BTreeSet::new(),
            bytes: 0,
            processed: 0,
            accounts,
            quarantine: vec![],
            quarantine_bytes: 0,
            last: None,
            counts: Counts::default(),
        }
    }

    /// Process the next record of the log. No content of a record makes this fail.
    ///
    /// If the record is of a session that is not here, nothing happens, and the session's id is returned: [`Partition::put`] it and call this
    /// again.
    pub fn process(&mut self, offset: Offset, record: &Bytes) -> Option<SessionId> {
        match self.process_record(record) {
            Ok(()) => {}
            Err(Unprocessed::NotHere(session)) => return Some(session),
            Err(Unprocessed::Quarantined(kind, reason)) => {
                self.counts.quarantine(kind);
                tracing::error!(partition = self.partition, offset, %reason, "a record is quarantined");
                self.quarantine_bytes += record.len();
                self.quarantine.push(Quarantined { offset, reason, record: record.clone() });
            }
        }
        self.last = Some((offset, record.clone()));
        self.counts.records += 1;
        self.processed += 1;
        None
    }

    fn process_record(&mut self, bytes: &Bytes) -> Result<(), Unprocessed> {
        use Unprocessed::{NotHere, Quarantined};
        let record = LogRecord::parse(bytes.clone()).map_err(|e| Quarantined(quarantine_kind(&e), e.to_string()))?;
        let stamp = &record.stamp;
        let home = stamp.session.partition(self.partitions);
        if home != self.partition {
            return Err(Quarantined("misplaced", format!("session {} belongs to partition {home}", stamp.session)));
        }
        if !Arrival::in_stream(&record) {
            return self.of_session(&record);
        }
        let mut account = self.accounts.of(stamp.tenant, stamp.driver, stamp.received_at_us);
        let session = match self.sessions.entry(stamp.session) {
            Entry::Occupied(here) => here.into_mut(),
            Entry::Vacant(_) if self.elsewhere.as_ref().is_some_and(|elsewhere| !elsewhere.has_none(&stamp.session)) => {
                return Err(NotHere(stamp.session));
            }
            Entry::Vacant(new) => match account.opens_session(stamp.session) {
                Ok(()) => {
                    if let Some(elsewhere) = &mut self.elsewhere {
                        elsewhere.opens(&stamp.session);
                    }
                    let session = new.insert(Session::open(&record));
                    tracing::info!(session = %stamp.session, tenant = %stamp.tenant, driver = %stamp.driver, "a session is opened");
                    self.bytes += session.residence.bytes;
                    session
                }
                Err((bound, last)) => {
                    self.refuse_session(stamp.driver, bound, last);
                    let numbers = self.counts.arrived(&Arrival::of(&record));
                    self.counts.unopened = self.counts.unopened.saturating_add(numbers);
                    return Ok(());
                }
            },
        };
        if session.info().tenant != stamp.tenant {
            return Err(Quarantined("tenant", format!("session {} is of tenant {}, not {}", stamp.session, session.info().tenant, stamp.tenant)));
        }
        session.residence.used = self.processed;
        if !session.residence.parked {
            self.changed.insert(stamp.session);
        }
        session
            .process(&record, &mut account, &mut self.counts)
            .map_err(|reason| Quarantined("panic", format!("driver {} run {}: {reason}", stamp.driver, record.record.prelude().run)))
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

    /// The server closes, reopens or retires a session, or excludes somebody from it (E9a, E9e). For an unknown session there is nothing to do.
    fn of_session(&mut self, record: &LogRecord) -> Result<(), Unprocessed> {
        let kind = record.record.prelude().kind.name();
        let refused = |why: String| Unprocessed::Quarantined(kind, format!("a `{kind}` record: {why}"));
        let stamp = &record.stamp;
        if stamp.driver != DriverId::SERVER {
            return Err(refused(format!("driver {} is not the server", stamp.driver)));
        }
        if !self.sessions.contains_key(&stamp.session) && self.elsewhere.as_ref().is_some_and(|elsewhere| !elsewhere.has_none(&stamp.session)) {
            return Err(Unprocessed::NotHere(stamp.session));
        }
        let Some(session) = self.sessions.get_mut(&stamp.session).filter(|s| s.info().tenant == stamp.tenant) else {
            tracing::warn!(session = %stamp.session, kind, "a record of the server for an unknown session is ignored");
            return Ok(());
        };
        self.changed.insert(stamp.session);
        session.residence.used = self.processed;
        let unreadable = || "it cannot be read".to_owned();
        let outcome = match record.record.content() {
            Ok(Content::Closed(frame)) => session.closing(Closing::from(&frame.reason), stamp.received_at_us, &mut self.counts),
            Ok(Content::Judged(frame)) => frame
                .whom()
                .ok_or_else(unreadable)
                .and_then(|whom| session.judge(Judging::from(&frame.code), whom, stamp.received_at_us, &mut self.counts)),
            _ => Err(unreadable()),
        };
        outcome.map_err(refused)
    }

    /// Every session that is here, and how many records of it have come since the start.
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
                let before = session.residence.bytes;
                session.drain(&mut step, &mut self.counts);
                self.bytes = (self.bytes + session.residence.bytes).saturating_sub(before);
            }
        }
        if let Some(elsewhere) = &mut self.elsewhere {
            elsewhere.step_taken(|id| self.sessions.get(id).is_some_and(|session| session.residence.parked));
        }
        Some(step)
    }
}

/// Why a record was not processed.
enum Unprocessed {
    /// Its session is not here.
    NotHere(SessionId),
    /// It cannot be: the reason's name, and the reason.
    Quarantined(&'static str, String),
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
