//! One session: its description, and its streams, each with its account and its race state; the laps are in the book.
//!
//! Pure: what it holds is a function of the records it was given, in the order they were given for each driver; the
//! order between drivers changes nothing but revisions (E3).

mod book;
mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use boxbox_schemas::record::{Content, session_meta};
use boxbox_schemas::results::{IncidentStep, Lap, SessionInfo};
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{DriverId, RunId};
use boxbox_store::{Step, StreamState};

use self::book::{Book, Staged};
use self::stream::Stream;
use crate::admit::{Arrival, Verdict, account, admit};
use crate::counts::Counts;
use crate::partition::StateError;

/// A stream of a session: whose grant, which start of the producer. (The session's id has the tenant in it.)
type StreamId = (DriverId, RunId);

/// A session's state. See the [module](self).
pub(crate) struct Session {
    info: SessionInfo,
    streams: BTreeMap<StreamId, Stream>,
    book: Book,
    /// Streams that have changed since the last step.
    changed: BTreeSet<StreamId>,
    /// Whether the description has.
    described: bool,
}

impl Session {
    /// A session whose first record is `first`.
    pub(crate) fn open(first: &LogRecord) -> Self {
        let (stamp, source) = (&first.stamp, first.record.prelude().source);
        let info = SessionInfo {
            id: stamp.session,
            tenant: stamp.tenant,
            source,
            opened_at_us: stamp.received_at_us,
            updated_at_us: stamp.received_at_us,
            sim_time_us: 0,
            closed: false,
            retired: false,
            meta: None,
            meta_from: None,
        };
        Self { described: true, ..Self::restore(info) }
    }

    /// A session as a store kept it; its streams, facts, laps and incident steps follow.
    pub(crate) fn restore(info: SessionInfo) -> Self {
        Self { info, streams: BTreeMap::new(), book: Book::default(), changed: BTreeSet::new(), described: false }
    }

    pub(crate) fn restore_stream(&mut self, state: &StreamState) -> Result<(), StateError> {
        let key = state.ledger.stream;
        self.streams.insert((key.driver, key.run), Stream::restore(state)?);
        Ok(())
    }

    pub(crate) fn restore_fact(&mut self, fact: Lap) {
        self.book.restore_fact(fact);
    }

    pub(crate) fn restore_lap(&mut self, lap: Lap) {
        self.book.restore_lap(lap);
    }

    pub(crate) fn restore_incident(&mut self, step: IncidentStep) {
        self.book.restore_incident(step);
    }

    pub(crate) fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Take in one record of this session: E1, then the race logic, then the choice.
    ///
    /// A panic of the race logic or of the choice is contained: the stream's account goes on, its race state is dropped
    /// for good, its laps so far stay. The reason comes back, for the record to be quarantined.
    pub(crate) fn process(&mut self, record: &LogRecord, counts: &mut Counts) -> Result<(), String> {
        let id = (record.stamp.driver, record.record.prelude().run);
        let arrival = Arrival::of(record);
        let stream = self.streams.entry(id).or_insert_with(|| Stream::new(record.stream()));
        let verdict = admit(stream.ledger().expected, &arrival);
        account(stream.ledger_mut(), &arrival, &verdict);
        counts.admission(&arrival, &verdict);
        self.changed.insert(id);
        self.info.updated_at_us = self.info.updated_at_us.max(record.stamp.received_at_us);
        let nothing_new = verdict.new.is_empty();
        if nothing_new && verdict.hole.is_none() {
            return Ok(());
        }
        let halted = stream.halted();
        if !nothing_new {
            self.describe(id, record);
        }
        if halted {
            counts.halted = counts.halted.saturating_add(verdict.new.end - verdict.new.start);
            return Ok(());
        }
        // What a panic leaves half done is dropped: the stream's race state by `halt`; the book is changed by `apply` only.
        match catch_unwind(AssertUnwindSafe(|| self.tell(id, record, &arrival, &verdict))) {
            Ok(staged) => {
                self.book.apply(staged, counts);
                Ok(())
            }
            Err(panic) => {
                let text =
                    panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
                let reason = format!("the race logic panicked: {text}");
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.halt();
                }
                Err(reason)
            }
        }
    }

    /// Whether anything has changed since the last step that somebody waits for: a lap, an incident, a description.
    pub(crate) fn has_news(&self) -> bool {
        self.described || self.book.has_news()
    }

    /// Put everything that has changed since the last step into `step`.
    pub(crate) fn drain(&mut self, step: &mut Step) {
        step.sessions.push(self.info.clone());
        for id in std::mem::take(&mut self.changed) {
            step.streams.extend(self.streams.get_mut(&id).map(Stream::save));
        }
        self.book.drain(self.info.id, step);
        self.described = false;
    }

    /// Keep what the record says of the session: the description of the lowest (driver, run), its newest revision.
    fn describe(&mut self, (driver, run): StreamId, record: &LogRecord) {
        match record.record.content() {
            Ok(Content::Meta(meta)) => {
                let rev = record.record.prelude().meta_rev;
                let kept = self.info.meta_from;
                if kept.is_none_or(|(d, r, v)| (driver, run) < (d, r) || ((driver, run) == (d, r) && rev >= v)) {
                    self.info.meta = Some(session_meta(meta));
                    self.info.meta_from = Some((driver, run, rev));
                    self.described = true;
                }
            }
            // Times rise within a record (F4), so the last frame's is the highest.
            Ok(Content::Car(frames)) => {
                if let Some(Ok(last)) = frames.iter().last() {
                    self.info.sim_time_us = self.info.sim_time_us.max(last.sim_time_us.to_native());
                }
            }
            Ok(Content::End(end)) => {
                self.info.sim_time_us = self.info.sim_time_us.max(end.sim_time_us.to_native());
                self.described = true;
            }
            _ => {}
        }
    }

    /// What the stream tells of the record, and what is chosen then. Changes the stream's race state, nothing else.
    fn tell(&mut self, id: StreamId, record: &LogRecord, arrival: &Arrival, verdict: &Verdict) -> Staged {
        let mut facts = vec![];
        let ancestor = self.streams.get(&id).and_then(|s| s.begins_at(record, verdict)).and_then(|tick| self.ancestor(id, tick));
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.tell(record, arrival, verdict, ancestor.as_ref(), &mut facts);
        }
        self.book.stage(facts)
    }

    /// E2: the state that a run whose first tick is `tick` goes on from: of the driver's streams that end before it,
    /// the most advanced one's.
    fn ancestor(&self, (driver, run): StreamId, tick: u32) -> Option<Stream> {
        let of_driver = self.streams.range((driver, RunId([0; 16]))..=(driver, RunId([0xff; 16])));
        let before = of_driver.filter(|((_, r), s)| *r != run && !s.halted()).filter_map(|(id, s)| Some((s.last_tick()?, id.1, s)));
        before.filter(|(last, ..)| *last < tick).max_by_key(|(last, r, _)| (*last, *r)).map(|(.., s)| s.clone())
    }
}

#[cfg(test)]
mod tests;
