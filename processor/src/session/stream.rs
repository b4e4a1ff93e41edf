//! One stream: its ledger and its race state, and how both are stored.

use std::collections::BTreeSet;
use std::sync::Arc;

use boxbox_race::session::{COVERAGE_SLOT, Coverage, DESCRIBED_SLOTS, Described};
use boxbox_race::stream::{Car, Context, Fact, OtherCars, Output, OwnCar};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Content, Kind, session_meta};
use boxbox_schemas::results::Ledger;
use boxbox_schemas::results::memory::{field_bytes, stream_bytes};
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{DriverId, EntryId, RunId, StreamKey};
use boxbox_store::{FieldState, StreamState};

use crate::admit::{Arrival, Meaning, Verdict};
use crate::error::StateError;

/// A stream within its session: the grant's driver, and the run of the client. (The session's id includes the tenant.)
pub(super) type StreamId = (DriverId, RunId);

/// A stream's state.
#[derive(Clone)]
pub(crate) struct Stream {
    ledger: Ledger,
    own: OwnCar,
    others: OtherCars,
    /// What its client said last of the session; kept when the race state has been dropped.
    described: Option<Described>,
    /// It has changed since the stream was last saved.
    described_anew: bool,
    /// When its client showed its own car drive, and other cars.
    coverage: Coverage,
    /// It has changed since the stream was last saved.
    covered_anew: bool,
    weight: Weight,
}

/// About how many bytes of memory its parts take.
#[derive(Clone, Copy, Default)]
struct Weight {
    own: u64,
    described: u64,
    covered: u64,
    /// The largest of the cars that it sees.
    car: u64,
}

impl Stream {
    pub(crate) fn new(key: StreamKey) -> Self {
        Self {
            ledger: Ledger::new(key),
            own: OwnCar::default(),
            others: OtherCars::default(),
            described: None,
            described_anew: false,
            coverage: Coverage::default(),
            covered_anew: false,
            weight: Weight::default(),
        }
    }

    pub(crate) fn restore(stored: &StreamState) -> Result<Self, StateError> {
        let of = stored.ledger.stream;
        let failed = |detail| StateError::Stream { of: Box::new(of), detail };
        let own = OwnCar::decode(&stored.race).map_err(failed)?;
        let (of_session, cars): (Vec<&FieldState>, Vec<&FieldState>) = stored.field.iter().partition(|field| DESCRIBED_SLOTS.contains(&field.slot));
        let parts: Vec<&[u8]> = of_session.iter().map(|field| field.race.as_ref()).collect();
        let described = Described::restore(&parts).map_err(|e| failed(format!("its description of the session: {e}")))?;
        let (covered, cars): (Vec<&FieldState>, Vec<&FieldState>) = cars.into_iter().partition(|field| field.slot == COVERAGE_SLOT);
        let covered = covered.first().map_or(&[][..], |field| field.race.as_ref());
        let coverage = Coverage::restore(covered).map_err(|e| failed(format!("what it showed and when: {e}")))?;
        let slots = cars.iter().map(|field| (field.slot, field.race.as_ref()));
        let others = if own.race.is_some() { OtherCars::restore(slots).map_err(failed)? } else { OtherCars::default() };
        let mut stream = Self {
            ledger: stored.ledger.clone(),
            own,
            others,
            described,
            described_anew: false,
            coverage,
            covered_anew: false,
            weight: Weight::default(),
        };
        stream.weigh(stored);
        Ok(stream)
    }

    /// The stream as it is stored. A race state that exceeds its bound is dropped, because it must not block its partition. `owner`
    /// returns the owner's entry for the entry under which a car is seen. Parts that exceed their bound are named in `out`.
    pub(super) fn save(&mut self, owner: impl Fn(EntryId) -> EntryId, out: &mut Output) -> StreamState {
        let race = self.own.encode(out).unwrap_or_else(|detail| {
            let key = &self.ledger.stream;
            tracing::error!(session = %key.session, driver = %key.driver, run = %key.run, "the stream's race state cannot be kept ({detail}); it makes no more laps");
            self.halt();
            // Encoding cannot fail without a race state.
            self.own.encode(out).unwrap_or_default()
        });
        let context = self.context();
        let now = self.own.race.as_ref().and_then(|race| race.now(&context));
        let field = self.others.store(&context, out).into_iter().map(|mut car| {
            if let Some(detail) = car.dropped_because {
                tracing::error!(session = %context.session, driver = %context.driver, slot = car.slot, "the state of a car that the stream sees cannot be kept ({detail}); it begins again");
            }
            car.now.iter_mut().for_each(|now| now.entry = owner(now.entry));
            FieldState { slot: car.slot, race: car.race.into(), now: car.now }
        });
        let mut field: Vec<FieldState> = field.collect();
        if let (true, Some(described)) = (std::mem::take(&mut self.described_anew), &self.described) {
            let parts = described.store();
            if parts.is_empty() {
                tracing::error!(session = %context.session, driver = %context.driver, "the stream's description of the session is too long to be kept");
            }
            field.extend(parts.into_iter().map(|(slot, part)| FieldState { slot, race: part.into(), now: None }));
            field.sort_by_key(|state| state.slot);
        }
        if std::mem::take(&mut self.covered_anew) {
            field.push(FieldState { slot: COVERAGE_SLOT, race: self.coverage.store().into(), now: None });
            field.sort_by_key(|state| state.slot);
        }
        let saved = StreamState { ledger: self.ledger.clone(), race: race.into(), now, field };
        self.weigh(&saved);
        saved
    }

    /// About how many bytes of memory it takes.
    pub(super) fn bytes(&self) -> u64 {
        let Weight { own, described, covered, car } = self.weight;
        own + described + covered + car * self.others.count() as u64
    }

    fn weigh(&mut self, saved: &StreamState) {
        let (described, others): (Vec<&FieldState>, Vec<&FieldState>) = saved.field.iter().partition(|field| DESCRIBED_SLOTS.contains(&field.slot));
        self.weight.own = stream_bytes(&saved.race);
        if !described.is_empty() {
            self.weight.described = described.into_iter().map(field_bytes).sum();
        }
        let (covered, cars): (Vec<&FieldState>, Vec<&FieldState>) = others.into_iter().partition(|field| field.slot == COVERAGE_SLOT);
        self.weight.covered = covered.first().map_or(self.weight.covered, |field| field_bytes(field));
        self.weight.car = cars.into_iter().filter(|field| field.now.is_some()).map(field_bytes).max().unwrap_or(0).max(self.weight.car);
    }

    /// What its client said last of the session.
    pub(super) fn described(&self) -> Option<&Described> {
        self.described.as_ref()
    }

    /// About the bytes that its description keeps.
    pub(super) fn described_bytes(&self) -> usize {
        self.described.as_ref().map_or(0, |described| described_bytes(&described.meta))
    }

    /// Its client describes the session; whether that says anything new.
    pub(super) fn describe(&mut self, rev: u32, meta: SessionMeta) -> bool {
        if self.described.as_ref().is_some_and(|before| before.rev == rev && *before.meta == meta) {
            return false;
        }
        let at_us = self.own.race.as_ref().and_then(|race| race.now(&self.context())).map(|now| now.sim_time_us);
        self.described = Some(Described { rev, at_us, meta: Arc::new(meta) });
        self.described_anew = true;
        true
    }

    /// An own frame of session time `us` has come; whether it says since when the description is true.
    pub(super) fn date_description(&mut self, us: i64) -> bool {
        let Some(described) = self.described.as_mut().filter(|described| described.at_us.is_none()) else { return false };
        described.at_us = Some(us);
        self.described_anew = true;
        true
    }

    /// The slot of its client's car.
    pub(super) fn slot(&self) -> u16 {
        self.own.slot
    }

    /// When its client showed what.
    pub(super) fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// Session time of its newest frame, µs; `None` before its first.
    pub(super) fn until_us(&self) -> Option<i64> {
        self.own.race.as_ref().and_then(|race| race.now(&self.context())).map(|now| now.sim_time_us)
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Drop the race state for good. The ledger continues.
    pub(crate) fn halt(&mut self) {
        self.own.race = None;
        self.others = OtherCars::default();
    }

    pub(crate) fn halted(&self) -> bool {
        self.own.race.is_none()
    }

    pub(crate) fn last_tick(&self) -> Option<u32> {
        self.own.race.as_ref()?.last_tick()
    }

    /// Whose car its client drives, if known.
    pub(super) fn car(&self) -> Option<Car> {
        self.own.car
    }

    /// Have the cars that it sees as one of `entries` stored again; true if there is any.
    pub(super) fn mark_changed(&mut self, entries: &BTreeSet<EntryId>) -> bool {
        let context = self.context();
        self.others.mark_changed(&context, entries)
    }

    /// The tick of the stream's first own-car frame, if this record contains it.
    pub(crate) fn begins_at(&self, record: &LogRecord, verdict: &Verdict) -> Option<u32> {
        if self.own.begun || verdict.new.is_empty() {
            return None;
        }
        let Ok(Content::Car(frames)) = record.record.content() else { return None };
        let skip = verdict.new.start - record.record.prelude().first_seq;
        frames.iter().nth(skip as usize)?.ok().map(|frame| frame.tick.to_native())
    }

    /// The facts that the stream would emit if it ended now: a pending lap settles without the simulator's own time. The stream itself
    /// does not change, because the session may be opened again.
    pub(crate) fn facts_at_end(&self, out: &mut Output) {
        if let Some(race) = &self.own.race {
            race.clone().on_end(&self.context(), out);
            self.others.clone().on_end(&self.context(), out);
        }
    }

    /// Pass the new sequence numbers of the record to the race logic; `ancestor` is the stream whose state this one inherits.
    pub(crate) fn process(&mut self, record: &LogRecord, arrival: &Arrival, verdict: &Verdict, ancestor: Option<&Stream>, out: &mut Output) {
        let prelude = record.record.prelude();
        let moved = std::mem::replace(&mut self.own.slot, prelude.slot) != prelude.slot;
        let context = self.context();
        let Some(race) = &mut self.own.race else { return };
        if let Some((from, before)) = ancestor.and_then(|s| Some((s.own.race.as_ref()?, &s.others))) {
            race.inherit(from, out);
            self.others.inherit(&context, before, out);
        }
        if let Some(hole) = &verdict.hole {
            race.on_missing(&context, hole.start, hole.end, out);
            self.others.on_missing(&context, hole.start, hole.end, out);
        }
        let new = verdict.new.clone();
        if new.is_empty() {
            return;
        }
        let numbered = (prelude.first_seq..).map(|seq| (seq, new.contains(&seq)));
        let facts_before = out.facts.len();
        match record.record.content() {
            _ if matches!(arrival.meaning, Meaning::Unreadable | Meaning::Gap | Meaning::Void(_)) => {
                race.on_missing(&context, new.start, new.end, out);
                self.others.on_missing(&context, new.start, new.end, out);
            }
            // `Arrival::of` has checked the frames of own cars. Frames of other kinds that cannot be read are skipped.
            Ok(Content::Car(frames)) => {
                self.own.begun = true;
                for ((seq, _), frame) in numbered.zip(frames.iter()).filter(|((_, new), _)| *new) {
                    if let Ok(frame) = frame {
                        #[cfg(test)]
                        super::tests::panic_if_asked(frame.tick.to_native());
                        race.on_frame(&context, seq, frame, out);
                    }
                }
                if let (Some(until_us), Some(Ok(first))) = (race.driving_us(), frames.iter().nth((new.start - prelude.first_seq) as usize)) {
                    self.coverage.drive(first.sim_time_us.to_native(), until_us);
                    self.covered_anew = true;
                }
            }
            Ok(Content::Slow(frames)) => {
                let frames = numbered.zip(frames.iter()).filter(|((_, new), _)| *new);
                frames.filter_map(|(_, frame)| frame.ok()).for_each(|frame| race.on_slow(&context, frame, out));
            }
            Ok(Content::Field(frames)) => {
                let times =
                    frames.iter().skip((new.start - prelude.first_seq) as usize).filter_map(Result::ok).map(|frame| frame.sim_time_us.to_native());
                if let Some((first_us, last_us)) = times.map(|us| (us, us)).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
                    self.coverage.see(first_us, last_us);
                    self.covered_anew = true;
                }
                let frames = numbered.zip(frames.iter()).filter(|((_, new), _)| *new);
                self.others.on_slips(race.slips());
                self.others.on_frames(&context, race.start(), frames.filter_map(|((seq, _), frame)| Some((seq, frame.ok()?))), out);
            }
            Ok(Content::Meta(meta)) => {
                let meta = session_meta(meta);
                race.on_meta(&context, &meta, out);
                self.others.on_meta(&context, &meta, out);
            }
            Ok(Content::Event(event)) => race.on_event(&context, new.start, event, out),
            Ok(Content::End(_)) => {
                race.on_end(&context, out);
                self.others.on_end(&context, out);
            }
            _ => {}
        }
        // A rewind concerns all cars of the simulator, whether an event reports it or the own car's frames show it.
        let own = |fact: &Fact| match fact {
            Fact::Rewind { driver, run, to_tick, to_us, .. } if (*driver, *run) == (context.driver, context.run) => Some((*to_tick, *to_us)),
            _ => None,
        };
        for to in out.facts.get(facts_before..).unwrap_or_default().iter().filter_map(own).collect::<Vec<_>>() {
            self.others.on_rewind(&context, to, new.start, out);
            self.coverage.rewind(to.1);
            self.covered_anew = true;
        }
        if moved || ancestor.is_some() || self.own.car.is_none() || prelude.kind == Kind::META {
            self.own.claim(context.driver);
        }
    }

    fn context(&self) -> Context {
        let StreamKey { session, driver, run, .. } = self.ledger.stream;
        Context { session, driver, run, slot: self.own.slot }
    }
}

/// About the bytes that a description keeps.
pub(super) fn described_bytes(meta: &SessionMeta) -> usize {
    let texts = [&meta.track_name, &meta.track_config, &meta.session_type, &meta.category].into_iter();
    let cars = meta.entries.iter().flat_map(|e| [&e.driver_name, &e.team_name, &e.number, &e.class_name, &e.car_name]);
    size_of::<SessionMeta>() + meta.entries.len() * size_of::<MetaEntry>() + texts.chain(cars).map(String::len).sum::<usize>()
}
