//! One session: its description, its streams, each with a ledger and a race state, and the book with the laps.
//!
//! Pure: its state is a function of its records, in the order of each driver's records. The order between drivers changes only
//! revisions (E3a).
//!
//! # Closing (E9)
//!
//! `closed` records, which only the server writes, close a session, open it again, and retire it.
//!
//! * Closed: laps that wait for the simulator's own time settle without it.
//! * Closed by silence: the session is open again with the first record that brings anything new, and nothing is late.
//! * Closed on purpose: later frames are admitted, counted as late, and passed to the race logic as before, but their facts change no lap
//!   and no row (E9b). (The description may still change, because it is no result.)
//! * Opened again: late facts count as if they had come in time; their laps keep the tag `late` (E9b).
//! * Retired: only the description is kept. Later records are counted as late and dropped (E9c).
//!
//! A session that is too large for the memory that the processor may take is parked (`session.park`): it is here without its streams and
//! its book. Its records are counted and skipped; closing, opening again and retiring change its description only.

mod bounds;
mod claims;
mod contradictions;
mod judge;
mod stream;
mod whose;

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};

use boxbox_schemas::event::Closing;
use boxbox_schemas::record::{Content, session_meta};
use boxbox_schemas::results::{AnyRow, Lap, SessionInfo, Silenced};
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{EntryId, RunId, trace};
use boxbox_store::{SessionState, Step, StreamState};

use boxbox_race::RULES_VERSION;
use boxbox_race::session::{Book, Known, Staged};
use boxbox_race::stream::{Car, Output};

use self::claims::Claims;
use self::contradictions::Contradictions;
use self::stream::{Stream, StreamId};
use crate::account::Charged;
use crate::admit::{Arrival, Verdict, account, admit};
use crate::counts::Counts;
use crate::error::StateError;
use crate::resident::{Grown, Residence};

/// A session's state. See the [module](self).
pub(crate) struct Session {
    info: SessionInfo,
    streams: BTreeMap<StreamId, Stream>,
    claims: Claims,
    book: Book,
    /// Entries under which cars are seen whose owner has changed since the last step.
    moved: BTreeSet<EntryId>,
    /// Streams that have changed since the last step.
    changed: BTreeSet<StreamId>,
    /// Whether the description has changed since the last step.
    description_changed: bool,
    /// A stream's own description has changed since the descriptions were merged.
    merge_due: bool,
    /// A description or a claim to a car has changed since it was decided what follows for laps.
    judge_due: bool,
    /// What the clients tell against each other.
    contradictions: Contradictions,
    /// Number of its records since this process took the partition.
    pub(crate) records: u64,
    /// Its place in memory.
    pub(crate) residence: Residence,
}

impl Session {
    /// A session whose first record is `first`.
    pub(crate) fn open(first: &LogRecord) -> Self {
        let (stamp, source) = (&first.stamp, first.record.prelude().source);
        let info = SessionInfo { id: stamp.session, rules: RULES_VERSION, ..SessionInfo::opened(stamp.tenant, source, stamp.received_at_us) };
        Self { description_changed: true, ..Self::restore(info) }
    }

    /// A stored session; its streams, facts, laps and rows are restored next.
    pub(crate) fn restore(info: SessionInfo) -> Self {
        Self {
            residence: Residence::new(&info),
            info,
            streams: BTreeMap::new(),
            claims: Claims::default(),
            book: Book::default(),
            moved: BTreeSet::new(),
            changed: BTreeSet::new(),
            description_changed: false,
            merge_due: false,
            judge_due: false,
            contradictions: Contradictions::default(),
            records: 0,
        }
    }

    /// A session that comes back from the store.
    pub(crate) fn from_state(state: SessionState) -> Result<Self, StateError> {
        let bytes = state.bytes();
        let mut session = Self::restore(state.info);
        session.residence.bytes = bytes;
        state.streams.iter().try_for_each(|stream| session.restore_stream(stream))?;
        state.facts.into_iter().for_each(|fact| session.restore_fact(fact));
        state.laps.into_iter().for_each(|lap| session.restore_lap(lap));
        state.rows.into_iter().for_each(|row| session.restore_row(row));
        session.finish_restore();
        Ok(session)
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

    /// Call this after everything has been restored.
    pub(crate) fn finish_restore(&mut self) {
        for (id, stream) in &self.streams {
            self.claims.change(*id, None, stream.car());
        }
        let known = Known {
            streams: self.streams.iter().map(|(id, stream)| (*id, entry_of(*id, stream), stream.coverage().clone())).collect(),
            silenced: self.info.silenced(),
            lengths: self.lengths(),
            named: self.named(),
        };
        self.book.finish_restore(self.claims.owners(self.info.silenced()), &known, self.info.closed);
        self.info.disputes = self.claims.disputes(self.info.silenced());
        self.restore_contradictions();
        // What is not agreed is not stored with all that it is made of.
        self.merge_due = self.streams.values().filter(|stream| stream.described().is_some()).count() > 1;
        // A description that a version before kept is that of one stream.
        if let (Some((driver, run, rev)), Some(meta)) = (self.info.meta_from, &self.info.meta)
            && let Some(stream) = self.streams.get_mut(&(driver, run)).filter(|stream| stream.described().is_none())
            && stream.describe(rev, meta.clone())
        {
            self.changed.insert((driver, run));
        }
    }

    /// Number of its records since this process took the partition.
    pub(crate) fn records(&self) -> u64 {
        self.records
    }

    pub(crate) fn info(&self) -> &SessionInfo {
        &self.info
    }

    /// Process one record of this session: admission (E1), then the race logic, then the choice.
    ///
    /// A panic of the race logic or of the choice is caught (E5c): the stream's race state is dropped for good, its ledger continues and
    /// its laps so far stay. The error is the reason to quarantine the record.
    ///
    /// What exceeds a bound of its driver, whose account is `charged`, is refused ([`bounds`]).
    pub(crate) fn process(&mut self, record: &LogRecord, charged: &mut Charged<'_>, counts: &mut Counts) -> Result<(), String> {
        let id = (record.stamp.driver, record.record.prelude().run);
        let arrival = Arrival::of(record);
        self.records += 1;
        let numbers = counts.arrived(&arrival);
        if self.residence.parked {
            counts.parked = counts.parked.saturating_add(numbers);
            return Ok(());
        }
        if self.info.retired {
            counts.retired = counts.retired.saturating_add(numbers);
            return Ok(());
        }
        if !self.streams.contains_key(&id)
            && let Err(bound) = self.may_begin(id.0, charged)
        {
            self.refuse(id.0, bound, 1, counts);
            counts.unopened = counts.unopened.saturating_add(numbers);
            return Ok(());
        }
        let stream = self.streams.entry(id).or_insert_with(|| Stream::new(record.stream()));
        let verdict = admit(stream.ledger().expected, &arrival);
        let admitted = stream.ledger().admitted;
        account(stream.ledger_mut(), &arrival, &verdict);
        if self.info.closed && self.info.provisional && stream.ledger().admitted > admitted {
            // Silence was not the end (`session.silence`). Not `late`: no person has decided that it was.
            self.open_again(counts);
            counts.closing(Closing::REOPENED);
        }
        let Some(stream) = self.streams.get_mut(&id) else { return Ok(()) };
        if self.info.closed {
            let late = stream.ledger().admitted - admitted;
            stream.ledger_mut().late += late;
            counts.late = counts.late.saturating_add(late);
        }
        let followed = trace::tracer().map(|_| record.stream()).filter(|stream| trace::of(stream).is_some());
        counts.admission(record.record.prelude().kind, &arrival, &verdict, followed);
        self.changed.insert(id);
        self.info.updated_at_us = self.info.updated_at_us.max(record.stamp.received_at_us);
        let nothing_new = verdict.new.is_empty();
        if nothing_new && verdict.hole.is_none() {
            return Ok(());
        }
        let (halted, car) = (stream.halted(), stream.car());
        if !nothing_new {
            self.describe(id, record, verdict.new.start - arrival.first, charged, counts);
        }
        if halted {
            counts.halted = counts.halted.saturating_add(verdict.new.end - verdict.new.start);
            let work = self.decide(id, counts);
            charged.work(work, verdict.new.end - verdict.new.start);
            return Ok(());
        }
        // After a panic, `halt` drops the stream's race state. The book is unchanged, because only `apply` changes it.
        let room = charged.room();
        match catch_unwind(AssertUnwindSafe(|| self.run_race_logic(id, record, &arrival, &verdict, room))) {
            Ok((staged, failed, mut work)) => {
                if !failed.is_empty() {
                    tracing::error!(session = %self.info.id, driver = %id.0, run = %id.1, parts = ?failed, "parts of the race logic panicked and are off until the next lap; laps continue");
                    counts.parts(&failed);
                }
                work += staged.work();
                charged.keep(staged.kept());
                staged.refused().iter().for_each(|(bound, n)| self.refuse(id.0, bound, *n, counts));
                let applied = self.book.apply(staged);
                counts.crossed(applied.laps, record.stamp.received_at_us);
                counts.applied(applied);
                work += applied.work + self.cover(id, counts);
                work += self.update_owners(id, car, counts) + self.decide(id, counts);
                counts.work = counts.work.saturating_add(work);
                if !charged.work(work, verdict.new.end - verdict.new.start) {
                    self.halt_overworked(id, counts);
                }
                Ok(())
            }
            Err(panic) => {
                if let Some(stream) = self.streams.get_mut(&id) {
                    // Its laps end here, and no other stream is touched (`session.halt`).
                    stream.halt();
                }
                self.cover(id, counts);
                self.decide(id, counts);
                Err(panic_message(&*panic))
            }
        }
    }

    /// Process a `closed` record, received at `at_us`, Unix µs (E9a). If the session is in the requested state already, nothing changes.
    ///
    /// The error is the reason to quarantine the record: a panic of the race logic, as in [`Session::process`], or an
    /// unknown code.
    pub(crate) fn closing(&mut self, closing: Closing, at_us: i64, counts: &mut Counts) -> Result<(), String> {
        self.records += 1;
        let (closed, retired) = (self.info.closed, self.info.retired);
        let mut outcome = Ok(());
        match closing {
            Closing::SILENCE | Closing::ASKED if !closed => {
                outcome = self.close(counts);
                self.info.provisional = closing == Closing::SILENCE;
            }
            // Who asks means it, whatever silence has done before.
            Closing::ASKED if self.info.provisional && !retired => self.info.provisional = false,
            Closing::REOPENED if closed && !retired => {
                self.info.updated_at_us = self.info.updated_at_us.max(at_us);
                self.open_again(counts);
            }
            Closing::RETIRED if !retired => {
                if !closed {
                    outcome = self.close(counts);
                }
                (self.info.retired, self.info.provisional) = (true, false);
            }
            Closing::SILENCE | Closing::ASKED | Closing::REOPENED | Closing::RETIRED => return Ok(()),
            Closing(code) => return Err(format!("it is of code {code}, which this version does not know")),
        }
        self.description_changed = true;
        counts.closing(closing);
        tracing::info!(session = %self.info.id, tenant = %self.info.tenant, how = closing.name(), "a session is closed, opened again or retired");
        outcome
    }

    fn open_again(&mut self, counts: &mut Counts) {
        (self.info.closed, self.info.provisional, self.description_changed) = (false, false, true);
        counts.applied(self.book.reopen());
        // They are decided while a session is open only.
        (self.merge_due, self.judge_due) = (true, true);
    }

    // What waits for the simulator is settled without it (`session.close`).
    fn close(&mut self, counts: &mut Counts) -> Result<(), String> {
        let (mut facts, mut outcome) = (vec![], Ok(()));
        for (id, stream) in &mut self.streams {
            let mut out = Output::default();
            match catch_unwind(AssertUnwindSafe(|| stream.facts_at_end(&mut out))) {
                Ok(()) => {
                    counts.parts(&out.failed);
                    facts.extend(out.facts);
                }
                Err(panic) => {
                    stream.halt();
                    self.changed.insert(*id);
                    outcome = Err(panic_message(&*panic));
                }
            }
        }
        counts.applied(self.book.apply(self.book.stage(facts, None)));
        // Of what was told against each other it stays as it is now.
        self.merge_descriptions();
        self.book.close();
        self.info.closed = true;
        outcome
    }

    /// Whether the session has news since the last step: a lap, a row, a description.
    pub(crate) fn has_news(&self) -> bool {
        self.description_changed || self.book.has_news()
    }

    /// Put everything that has changed since the last step into `step`.
    pub(crate) fn drain(&mut self, step: &mut Step, counts: &mut Counts) {
        self.merge_descriptions();
        let moved = std::mem::take(&mut self.moved);
        for (id, stream) in self.streams.iter_mut().filter(|_| !moved.is_empty()) {
            if stream.mark_changed(&moved) {
                self.changed.insert(*id);
            }
        }
        step.sessions.push(self.info.clone());
        // The description of a retired session changes only once, when it is retired.
        if self.info.retired && self.description_changed {
            step.retired.push(self.info.id);
        }
        let mut out = Output::default();
        let grown = Grown::before(step);
        for id in std::mem::take(&mut self.changed) {
            let Some(stream) = self.streams.get_mut(&id) else { continue };
            let before = stream.bytes();
            step.streams.push(stream.save(|seen_as| self.book.entry(seen_as), &mut out));
            self.residence.changed(before, stream.bytes());
        }
        counts.parts(&out.failed);
        self.book.drain(self.info.id, step);
        self.residence.grew(grown, step, &self.info, self.description_changed);
        self.description_changed = false;
        if self.info.retired {
            (self.streams, self.claims, self.book) = Default::default();
            self.residence = Residence { used: self.residence.used, ..Residence::new(&self.info) };
        }
    }

    /// Keep what the record says of the session.
    fn describe(&mut self, id: StreamId, record: &LogRecord, new: u64, charged: &mut Charged<'_>, counts: &mut Counts) {
        match record.record.content() {
            Ok(Content::Meta(meta)) => {
                let (rev, meta) = (record.record.prelude().meta_rev, session_meta(meta));
                if let Err(bound) = self.may_describe(id, &meta, charged) {
                    self.refuse(id.0, bound, 1, counts);
                } else if self.streams.get_mut(&id).is_some_and(|stream| stream.describe(rev, meta)) {
                    (self.merge_due, self.judge_due, self.description_changed) = (true, true, true);
                }
            }
            // Times rise within a record (F4), so the last frame's is the highest.
            Ok(Content::Car(frames)) => {
                if let Some(Ok(last)) = frames.iter().last() {
                    self.info.sim_time_us = self.info.sim_time_us.max(last.sim_time_us.to_native());
                }
                if let (Some(stream), Some(Ok(first))) = (self.streams.get_mut(&id), frames.iter().nth(new as usize))
                    && stream.date_description(first.sim_time_us.to_native())
                {
                    (self.merge_due, self.judge_due) = (true, true);
                }
            }
            Ok(Content::Field(frames)) => {
                if let Some(Ok(last)) = frames.iter().last() {
                    self.info.sim_time_us = self.info.sim_time_us.max(last.sim_time_us.to_native());
                }
            }
            Ok(Content::End(end)) => {
                self.info.sim_time_us = self.info.sim_time_us.max(end.sim_time_us.to_native());
                self.description_changed = true;
            }
            _ => {}
        }
    }

    /// Pass the record to the stream's race logic. Returns the changes to the book, which may add `room` bytes to what is kept, the parts of
    /// the race state that failed, and units of work. Changes only the stream's race state.
    fn run_race_logic(
        &mut self,
        id: StreamId,
        record: &LogRecord,
        arrival: &Arrival,
        verdict: &Verdict,
        room: u64,
    ) -> (Staged, Vec<&'static str>, u64) {
        let mut out = Output::default();
        let ancestor = self.streams.get(&id).and_then(|s| s.begins_at(record, verdict)).and_then(|tick| self.ancestor(id, tick));
        if let Some(stream) = self.streams.get_mut(&id) {
            stream.process(record, arrival, verdict, ancestor.as_ref(), &mut out);
        }
        (self.book.stage(out.facts, Some(room)), out.failed, out.work)
    }

    /// What the stream has shown may contradict what others tell of laps (`seen.covered`). Returns units of work.
    fn cover(&mut self, id: StreamId, counts: &mut Counts) -> u64 {
        let Some(stream) = self.streams.get(&id) else { return 0 };
        let applied = self.book.cover(id, entry_of(id, stream), stream.coverage());
        counts.applied(applied);
        applied.work
    }

    /// If the stream claims another car than `before`, the car's owner may be another (E3b). Returns units of work.
    fn update_owners(&mut self, id: StreamId, before: Option<Car>, counts: &mut Counts) -> u64 {
        let car = self.streams.get(&id).and_then(Stream::car);
        if car == before {
            return 0;
        }
        let cars = self.claims.change(id, before, car);
        if car.is_some_and(|car| self.claims.disputed(id, car, self.info.silenced())) {
            counts.disputed += 1;
            tracing::info!(session = %self.info.id, driver = %id.0, ?car, "several drivers claim a car; what other clients see of it counts for the first of them");
        }
        (self.merge_due, self.judge_due) = (true, true);
        self.assign_owners(&cars, counts)
    }

    /// Give each of `cars`, as other clients see them, to whom the claims that count say. Returns units of work.
    fn assign_owners(&mut self, cars: &BTreeSet<EntryId>, counts: &mut Counts) -> u64 {
        let silenced = Silenced { excluded: &self.info.excluded, refused: &self.info.refused };
        self.description_changed |= self.claims.update(&mut self.info.disputes, cars, silenced);
        let looked_at: u64 = cars.iter().map(|car| self.claims.len(*car)).sum();
        let moved = self.book.set_owners(cars.iter().map(|car| (*car, self.claims.owner(*car, silenced))));
        counts.applied(moved.applied);
        self.moved.extend(moved.entries);
        looked_at + moved.applied.work
    }

    /// The stream that a run whose first tick is `tick` inherits from (E2): the driver's most advanced stream that ends before it.
    fn ancestor(&self, (driver, run): StreamId, tick: u32) -> Option<Stream> {
        let of_driver = self.streams.range((driver, RunId([0; 16]))..=(driver, RunId([0xff; 16])));
        let before = of_driver.filter(|((_, r), s)| *r != run && !s.halted()).filter_map(|(id, s)| Some((s.last_tick()?, id.1, s)));
        before.filter(|(last, ..)| *last < tick).max_by_key(|(last, r, _)| (*last, *r)).map(|(.., s)| s.clone())
    }
}

/// Whose car the stream's own car is.
fn entry_of((driver, _): StreamId, stream: &Stream) -> EntryId {
    stream.car().map_or(EntryId(driver.0), |car| car.entry)
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("no message");
    format!("the race logic panicked: {text}")
}

#[cfg(test)]
mod tests;
