//! One stream: its ledger and its race state, and how both are kept between steps.

use std::collections::BTreeSet;

use boxbox_race::stream::{Car, Context, Fact, OtherCars, Output, OwnCar};
use boxbox_schemas::record::{Content, Kind, session_meta};
use boxbox_schemas::results::Ledger;
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{EntryId, StreamKey};
use boxbox_store::{FieldState, StreamState};

use crate::admit::{Arrival, Meaning, Verdict};
use crate::error::StateError;

/// A stream's state.
#[derive(Clone)]
pub(crate) struct Stream {
    ledger: Ledger,
    own: OwnCar,
    others: OtherCars,
}

impl Stream {
    pub(crate) fn new(key: StreamKey) -> Self {
        Self { ledger: Ledger::new(key), own: OwnCar::default(), others: OtherCars::default() }
    }

    pub(crate) fn restore(stored: &StreamState) -> Result<Self, StateError> {
        let of = stored.ledger.stream;
        let failed = |detail| StateError::Stream { of: Box::new(of), detail };
        let own = OwnCar::decode(&stored.race).map_err(failed)?;
        let slots = stored.field.iter().map(|FieldState { slot, race, .. }| (*slot, race.as_ref()));
        let others = if own.race.is_some() { OtherCars::restore(slots).map_err(failed)? } else { OtherCars::default() };
        Ok(Self { ledger: stored.ledger.clone(), own, others })
    }

    /// The stream as a store keeps it. A race state that has outgrown its bound is given up: it must not block its partition.
    /// `owner` says whose a car is that is seen as an entry. Parts that have outgrown theirs are named in `out`.
    pub(super) fn save(&mut self, owner: impl Fn(EntryId) -> EntryId, out: &mut Output) -> StreamState {
        let race = self.own.encode(out).unwrap_or_else(|detail| {
            let key = &self.ledger.stream;
            tracing::error!(session = %key.session, driver = %key.driver, run = %key.run, "the stream's race state cannot be kept ({detail}); it tells no more laps");
            self.halt();
            // Without a race state there is nothing left that could fail.
            self.own.encode(out).unwrap_or_default()
        });
        let context = self.context();
        let now = self.own.race.as_ref().and_then(|race| race.now(&context));
        let field = self.others.store(&context, out).into_iter().map(|mut car| {
            if let Some(detail) = car.dropped_because {
                tracing::error!(session = %context.session, driver = %context.driver, slot = car.slot, "what the stream sees of a car cannot be kept ({detail}); it begins anew");
            }
            car.now.iter_mut().for_each(|now| now.entry = owner(now.entry));
            FieldState { slot: car.slot, race: car.race.into(), now: car.now }
        });
        StreamState { ledger: self.ledger.clone(), race: race.into(), now, field: field.collect() }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Give the race state up, for good. The account goes on.
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

    /// Its client's car, as far as it is known.
    pub(super) fn car(&self) -> Option<Car> {
        self.own.car
    }

    /// Where the cars are that it sees as one of `entries` is to be saved again; whether there is any.
    pub(super) fn mark_changed(&mut self, entries: &BTreeSet<EntryId>) -> bool {
        let context = self.context();
        self.others.mark_changed(&context, entries)
    }

    /// The tick of the stream's first own-car frame, if this record brings it.
    pub(crate) fn begins_at(&self, record: &LogRecord, verdict: &Verdict) -> Option<u32> {
        if self.own.begun || verdict.new.is_empty() {
            return None;
        }
        let Ok(Content::Car(frames)) = record.record.content() else { return None };
        let skip = verdict.new.start - record.record.prelude().first_seq;
        frames.iter().nth(skip as usize)?.ok().map(|frame| frame.tick.to_native())
    }

    /// What the stream would tell if it ended here: what waits for the simulator's own time settles without it. The stream
    /// itself goes on waiting, should the session be opened again.
    pub(crate) fn settled(&self, out: &mut Output) {
        if let Some(race) = &self.own.race {
            race.clone().on_end(&self.context(), out);
            self.others.clone().on_end(&self.context(), out);
        }
    }

    /// Pass what is new of the record to the race logic; `ancestor` is whom the stream goes on from.
    pub(crate) fn tell(&mut self, record: &LogRecord, arrival: &Arrival, verdict: &Verdict, ancestor: Option<&Stream>, out: &mut Output) {
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
        let told = out.facts.len();
        match record.record.content() {
            _ if matches!(arrival.meaning, Meaning::Unreadable | Meaning::Gap | Meaning::Void(_)) => {
                race.on_missing(&context, new.start, new.end, out);
                self.others.on_missing(&context, new.start, new.end, out);
            }
            // `Arrival::of` has read each of a car's own frames; what cannot be read of others is left out.
            Ok(Content::Car(frames)) => {
                self.own.begun = true;
                for ((seq, _), frame) in numbered.zip(frames.iter()).filter(|((_, new), _)| *new) {
                    if let Ok(frame) = frame {
                        #[cfg(test)]
                        super::tests::panic_if_asked(frame.tick.to_native());
                        race.on_frame(&context, seq, frame, out);
                    }
                }
            }
            Ok(Content::Slow(frames)) => {
                let frames = numbered.zip(frames.iter()).filter(|((_, new), _)| *new);
                frames.filter_map(|(_, frame)| frame.ok()).for_each(|frame| race.on_slow(&context, frame, out));
            }
            Ok(Content::Field(frames)) => {
                let frames = numbered.zip(frames.iter()).filter(|((_, new), _)| *new);
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
        // The simulator goes back with all of its cars, whether an event says so or the own car's frames show it.
        let own = |fact: &Fact| match fact {
            Fact::Rewind { driver, run, to_tick, to_us, .. } if (*driver, *run) == (context.driver, context.run) => Some((*to_tick, *to_us)),
            _ => None,
        };
        for to in out.facts.get(told..).unwrap_or_default().iter().filter_map(own).collect::<Vec<_>>() {
            self.others.on_rewind(&context, to, new.start, out);
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
