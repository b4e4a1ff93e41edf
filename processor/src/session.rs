//! One session: its description, and its streams, each with its account and its race state; the laps are in the book.
//!
//! Pure: what it holds is a function of the records it was given, in the order they were given for each driver; the
//! order between drivers changes nothing but revisions (E3).
//!
//! # Its life (E9)
//!
//! `closed` records, which only the server writes, say when a session is closed, opened again, and retired.
//!
//! * Closed: laps that wait for the simulator's own time are settled without it. From here on frames are admitted, counted as late, and told to the race logic as
//!   ever; but what comes out changes no lap and no row. (The description may still change: it is no result.)
//! * Opened again: what came late counts, as if it had come in time; its laps keep the tag `late`.
//! * Retired: only its description stays. Records that come later are counted as late and dropped.

mod stream;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use boxbox_schemas::event::Closing;
use boxbox_schemas::record::{Content, session_meta};
use boxbox_schemas::results::{AnyRow, Lap, SessionInfo};
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{DriverId, RunId};
use boxbox_store::{Step, StreamState};

use boxbox_race::session::{Book, Owner, Owners, Staged};
use boxbox_race::stream::Output;

use self::stream::Stream;
use crate::admit::{Arrival, Verdict, account, admit};
use crate::counts::Counts;
use crate::error::StateError;

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
    /// Records of it since this process knows it.
    records: u64,
}

impl Session {
    /// A session whose first record is `first`.
    pub(crate) fn open(first: &LogRecord) -> Self {
        let (stamp, source) = (&first.stamp, first.record.prelude().source);
        let info = SessionInfo { id: stamp.session, ..SessionInfo::opened(stamp.tenant, source, stamp.received_at_us) };
        Self { described: true, ..Self::restore(info) }
    }

    /// A session as a store kept it; its streams, facts, laps and rows follow.
    pub(crate) fn restore(info: SessionInfo) -> Self {
        Self { info, streams: BTreeMap::new(), book: Book::default(), changed: BTreeSet::new(), described: false, records: 0 }
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

    pub(crate) fn restore_row(&mut self, row: AnyRow) {
        self.book.restore_row(row);
    }

    /// Everything has been restored.
    pub(crate) fn restored(&mut self) {
        self.book.finish_restore(self.owners(), self.info.closed);
    }

    /// How many records of it this process has seen.
    pub(crate) fn records(&self) -> u64 {
        self.records
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
        self.records += 1;
        if self.info.retired {
            counts.late = counts.late.saturating_add(arrival.next - arrival.first);
            return Ok(());
        }
        let stream = self.streams.entry(id).or_insert_with(|| Stream::new(record.stream()));
        let verdict = admit(stream.ledger().expected, &arrival);
        let admitted = stream.ledger().admitted;
        account(stream.ledger_mut(), &arrival, &verdict);
        if self.info.closed {
            let late = stream.ledger().admitted - admitted;
            stream.ledger_mut().late += late;
            counts.late = counts.late.saturating_add(late);
        }
        counts.admission(&arrival, &verdict);
        self.changed.insert(id);
        self.info.updated_at_us = self.info.updated_at_us.max(record.stamp.received_at_us);
        let nothing_new = verdict.new.is_empty();
        if nothing_new && verdict.hole.is_none() {
            return Ok(());
        }
        let (halted, car) = (stream.halted(), stream.car());
        if !nothing_new {
            self.describe(id, record);
        }
        if halted {
            counts.halted = counts.halted.saturating_add(verdict.new.end - verdict.new.start);
            return Ok(());
        }
        // What a panic leaves half done is dropped: the stream's race state by `halt`; the book is changed by `apply` only.
        match catch_unwind(AssertUnwindSafe(|| self.tell(id, record, &arrival, &verdict))) {
            Ok((staged, failed)) => {
                if !failed.is_empty() {
                    tracing::error!(session = %self.info.id, driver = %id.0, run = %id.1, parts = ?failed, "parts of the race logic panicked and are off until the next lap; laps go on");
                    counts.parts(&failed);
                }
                counts.applied(self.book.apply(staged));
                if self.streams.get(&id).is_some_and(|s| s.car() != car) {
                    self.claimed(id, counts);
                }
                Ok(())
            }
            Err(panic) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    stream.halt();
                }
                Err(reason_of(&*panic))
            }
        }
    }

    /// A `closed` record, received at `at_us` Unix µs (E9). What it asks for and is so already changes nothing.
    ///
    /// The error is the reason to quarantine the record: a panic of the race logic, as in [`Session::process`], or an
    /// unknown code.
    pub(crate) fn closing(&mut self, closing: Closing, at_us: i64, counts: &mut Counts) -> Result<(), String> {
        self.records += 1;
        let (closed, retired) = (self.info.closed, self.info.retired);
        let mut outcome = Ok(());
        match closing {
            Closing::SILENCE | Closing::ASKED if !closed => outcome = self.close(counts),
            Closing::REOPENED if closed && !retired => {
                self.info.closed = false;
                self.info.updated_at_us = self.info.updated_at_us.max(at_us);
                counts.applied(self.book.reopen());
            }
            Closing::RETIRED if !retired => {
                if !closed {
                    outcome = self.close(counts);
                }
                self.info.retired = true;
            }
            Closing::SILENCE | Closing::ASKED | Closing::REOPENED | Closing::RETIRED => return Ok(()),
            Closing(code) => return Err(format!("it is of code {code}, which this version does not know")),
        }
        self.described = true;
        counts.closing(closing);
        outcome
    }

    fn close(&mut self, counts: &mut Counts) -> Result<(), String> {
        let (mut told, mut outcome) = (vec![], Ok(()));
        for (id, stream) in &mut self.streams {
            let mut out = Output::default();
            match catch_unwind(AssertUnwindSafe(|| stream.settled(&mut out))) {
                Ok(()) => {
                    counts.parts(&out.failed);
                    told.extend(out.facts);
                }
                Err(panic) => {
                    stream.halt();
                    self.changed.insert(*id);
                    outcome = Err(reason_of(&*panic));
                }
            }
        }
        counts.applied(self.book.apply(self.book.stage(told)));
        self.book.close();
        self.info.closed = true;
        outcome
    }

    /// Whether anything has changed since the last step that somebody waits for: a lap, a row, a description.
    pub(crate) fn has_news(&self) -> bool {
        self.described || self.book.has_news()
    }

    /// Put everything that has changed since the last step into `step`.
    pub(crate) fn drain(&mut self, step: &mut Step, counts: &mut Counts) {
        step.sessions.push(self.info.clone());
        // News of a retired session is that it is retired: nothing else of it is taken in any more.
        if self.info.retired && self.described {
            step.retired.push(self.info.id);
        }
        let mut out = Output::default();
        for id in std::mem::take(&mut self.changed) {
            step.streams.extend(self.streams.get_mut(&id).map(|stream| stream.save(|seen_as| self.book.entry(seen_as), &mut out)));
        }
        counts.parts(&out.failed);
        self.book.drain(self.info.id, step);
        self.described = false;
        if self.info.retired {
            (self.streams, self.book) = Default::default();
        }
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
            Ok(Content::Field(frames)) => {
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

    /// What the stream tells of the record, and what is chosen then; and which parts of its race state failed. Changes the
    /// stream's race state, nothing else.
    fn tell(&mut self, id: StreamId, record: &LogRecord, arrival: &Arrival, verdict: &Verdict) -> (Staged, Vec<&'static str>) {
        let mut out = Output::default();
        let ancestor = self.streams.get(&id).and_then(|s| s.begins_at(record, verdict)).and_then(|tick| self.ancestor(id, tick));
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.tell(record, arrival, verdict, ancestor.as_ref(), &mut out);
        }
        (self.book.stage(out.facts), out.failed)
    }

    /// A stream says of another car than before that it is its client's: whose cars are whose is worked out anew.
    fn claimed(&mut self, id: StreamId, counts: &mut Counts) {
        let car = self.streams.get(&id).and_then(Stream::car);
        let disputed = |(driver, _): &StreamId, other: &Stream| {
            *driver != id.0 && other.car().zip(car).is_some_and(|(theirs, ours)| theirs.seen_as == ours.seen_as && theirs.entry != ours.entry)
        };
        if self.streams.iter().any(|(other, stream)| disputed(other, stream)) {
            counts.disputed += 1;
            tracing::info!(session = %self.info.id, driver = %id.0, ?car, "several drivers say that a car is theirs; what others see of it counts for the first of them");
        }
        let (moved, applied) = self.book.set_owners(self.owners());
        counts.applied(applied);
        for (id, stream) in &mut self.streams {
            if !moved.is_empty() && stream.mark_changed(&moved) {
                self.changed.insert(*id);
            }
        }
    }

    /// Whose the cars are that others see: the lowest driver's whose stream says so.
    fn owners(&self) -> Owners {
        let mut owners = Owners::new();
        for ((driver, _), stream) in &self.streams {
            if let Some(car) = stream.car() {
                owners.entry(car.seen_as).or_insert(Owner { driver: *driver, entry: car.entry });
            }
        }
        owners
    }

    /// E2: the state that a run whose first tick is `tick` goes on from: of the driver's streams that end before it,
    /// the most advanced one's.
    fn ancestor(&self, (driver, run): StreamId, tick: u32) -> Option<Stream> {
        let of_driver = self.streams.range((driver, RunId([0; 16]))..=(driver, RunId([0xff; 16])));
        let before = of_driver.filter(|((_, r), s)| *r != run && !s.halted()).filter_map(|(id, s)| Some((s.last_tick()?, id.1, s)));
        before.filter(|(last, ..)| *last < tick).max_by_key(|(last, r, _)| (*last, *r)).map(|(.., s)| s.clone())
    }
}

fn reason_of(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    format!("the race logic panicked: {text}")
}

#[cfg(test)]
mod tests;
