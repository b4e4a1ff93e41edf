//! One stream: its ledger and its race state, and how both are kept between steps.

use std::collections::BTreeSet;

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Content, Kind, session_meta};
use boxbox_schemas::results::Ledger;
use boxbox_schemas::stamp::LogRecord;
use boxbox_schemas::{DriverId, EntryId, StreamKey};
use boxbox_store::{STREAM_RACE_MAX_BYTES, StreamState};
use serde::{Deserialize, Serialize};

use super::field::Field;
use super::version::STATE_VERSION;
use crate::admit::{Arrival, Meaning, Verdict};
use crate::error::StateError;
use boxbox_race::stream::{Claim, Context, Fact, StreamRace, field_entry};

/// A stream's state.
#[derive(Clone)]
pub(crate) struct Stream {
    ledger: Ledger,
    state: State,
    field: Field,
}

/// Whose car a stream's client drives.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Car {
    /// As whom other clients see it ([`field_entry`]).
    pub(super) seen_as: EntryId,
    /// Who competes in it.
    pub(super) entry: EntryId,
}

/// What is stored of a stream beside its ledger.
#[derive(Clone, Serialize, Deserialize)]
struct State {
    /// Its first own-car frame has come: whom it goes on from is decided.
    begun: bool,
    /// The slot of its car, of its last record.
    #[serde(default)]
    slot: u16,
    /// Its car; stays known when the race state is gone.
    #[serde(default)]
    car: Option<Car>,
    /// The race state; `None` once the race logic has panicked over it, or it has outgrown its bound (E5).
    race: Option<StreamRace>,
}

impl Stream {
    pub(crate) fn new(key: StreamKey) -> Self {
        Self { ledger: Ledger::new(key), state: State { begun: false, slot: 0, car: None, race: Some(StreamRace::new()) }, field: Field::default() }
    }

    pub(crate) fn restore(stored: &StreamState) -> Result<Self, StateError> {
        let of = stored.ledger.stream;
        let failed = |detail| StateError::Stream { of: Box::new(of), detail };
        let state = match stored.race.split_first() {
            Some((&STATE_VERSION, bytes)) => rmp_serde::from_slice::<State>(bytes).map_err(|e| failed(e.to_string()))?,
            version => return Err(failed(format!("it has version {:?}; this build reads {STATE_VERSION}", version.map(|(v, _)| v)))),
        };
        let field = if state.race.is_some() { Field::restore(&stored.field).map_err(failed)? } else { Field::default() };
        Ok(Self { ledger: stored.ledger.clone(), state, field })
    }

    /// The stream as a store keeps it. A race state that has outgrown its bound is given up: it must not block its partition.
    /// `owner` says whose a car is that is seen as an entry.
    pub(super) fn save(&mut self, owner: impl Fn(EntryId) -> EntryId) -> StreamState {
        let race = self.encode().unwrap_or_else(|detail| {
            let key = &self.ledger.stream;
            tracing::error!(session = %key.session, driver = %key.driver, run = %key.run, "the stream's race state cannot be kept ({detail}); it tells no more laps");
            self.halt();
            // Without a race state there is nothing left that could fail.
            self.encode().unwrap_or_default()
        });
        let context = self.context();
        let now = self.state.race.as_ref().and_then(|race| race.now(&context));
        StreamState { ledger: self.ledger.clone(), race: race.into(), now, field: self.field.save(&context, owner) }
    }

    fn encode(&self) -> Result<Vec<u8>, String> {
        let mut bytes = vec![STATE_VERSION];
        self.state.serialize(&mut rmp_serde::Serializer::new(&mut bytes).with_struct_map()).map_err(|e| e.to_string())?;
        if bytes.len() <= STREAM_RACE_MAX_BYTES { Ok(bytes) } else { Err(format!("{} bytes, more than {STREAM_RACE_MAX_BYTES}", bytes.len())) }
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) fn ledger_mut(&mut self) -> &mut Ledger {
        &mut self.ledger
    }

    /// Give the race state up, for good. The account goes on.
    pub(crate) fn halt(&mut self) {
        self.state.race = None;
        self.field = Field::default();
    }

    pub(crate) fn halted(&self) -> bool {
        self.state.race.is_none()
    }

    pub(crate) fn last_tick(&self) -> Option<u32> {
        self.state.race.as_ref()?.last_tick()
    }

    /// Its client's car, as far as it is known.
    pub(super) fn car(&self) -> Option<Car> {
        self.state.car
    }

    /// Where the cars are that it sees as one of `entries` is to be saved again; whether there is any.
    pub(super) fn touch(&mut self, entries: &BTreeSet<EntryId>) -> bool {
        let context = self.context();
        self.field.touch(&context, entries)
    }

    /// The tick of the stream's first own-car frame, if this record brings it.
    pub(crate) fn begins_at(&self, record: &LogRecord, verdict: &Verdict) -> Option<u32> {
        if self.state.begun || verdict.new.is_empty() {
            return None;
        }
        let Ok(Content::Car(frames)) = record.record.content() else { return None };
        let skip = verdict.new.start - record.record.prelude().first_seq;
        frames.iter().nth(skip as usize)?.ok().map(|frame| frame.tick.to_native())
    }

    /// What the stream would tell if it ended here: what waits for the simulator's own time settles without it. The stream
    /// itself goes on waiting, should the session be opened again.
    pub(crate) fn settled(&self, out: &mut Vec<Fact>) {
        if let Some(race) = &self.state.race {
            race.clone().on_end(&self.context(), out);
            self.field.clone().on_end(&self.context(), out);
        }
    }

    /// Pass what is new of the record to the race logic; `ancestor` is whom the stream goes on from.
    pub(crate) fn tell(&mut self, record: &LogRecord, arrival: &Arrival, verdict: &Verdict, ancestor: Option<&Stream>, out: &mut Vec<Fact>) {
        let prelude = record.record.prelude();
        let moved = std::mem::replace(&mut self.state.slot, prelude.slot) != prelude.slot;
        let context = self.context();
        let Some(race) = &mut self.state.race else { return };
        if let Some((from, before)) = ancestor.and_then(|s| Some((s.state.race.as_ref()?, &s.field))) {
            race.inherit(from);
            self.field.inherit(&context, before, out);
        }
        if let Some(hole) = &verdict.hole {
            race.on_missing(&context, hole.start, hole.end, out);
            self.field.on_missing(&context, hole.start, hole.end, out);
        }
        let new = verdict.new.clone();
        if new.is_empty() {
            return;
        }
        let numbered = (prelude.first_seq..).map(|seq| (seq, new.contains(&seq)));
        let told = out.len();
        match record.record.content() {
            _ if matches!(arrival.meaning, Meaning::Unreadable | Meaning::Gap | Meaning::Void(_)) => {
                race.on_missing(&context, new.start, new.end, out);
                self.field.on_missing(&context, new.start, new.end, out);
            }
            // `Arrival::of` has read each of a car's own frames; what cannot be read of others is left out.
            Ok(Content::Car(frames)) => {
                self.state.begun = true;
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
                self.field.on_frames(&context, race.start(), frames.filter_map(|((seq, _), frame)| Some((seq, frame.ok()?))), out);
            }
            Ok(Content::Meta(meta)) => {
                let meta = session_meta(meta);
                race.on_meta(&context, &meta, out);
                self.field.on_meta(&context, &meta, out);
            }
            Ok(Content::Event(event)) => race.on_event(&context, new.start, event, out),
            Ok(Content::End(_)) => {
                race.on_end(&context, out);
                self.field.on_end(&context, out);
            }
            _ => {}
        }
        // The simulator goes back with all of its cars, whether an event says so or the own car's frames show it.
        let own = |fact: &Fact| match fact {
            Fact::Rewind { driver, run, to_tick, to_us, .. } if (*driver, *run) == (context.driver, context.run) => Some((*to_tick, *to_us)),
            _ => None,
        };
        for to in out.get(told..).unwrap_or_default().iter().filter_map(own).collect::<Vec<_>>() {
            self.field.on_rewind(&context, to, new.start, out);
        }
        if moved || ancestor.is_some() || self.state.car.is_none() || prelude.kind == Kind::META {
            self.state.car = race.car().map(|claim| Car::of(claim, race.entry(context.driver), context.driver));
        }
    }

    fn context(&self) -> Context {
        let StreamKey { session, driver, run, .. } = self.ledger.stream;
        Context { session, driver, run, slot: self.state.slot }
    }
}

impl Car {
    /// The car that `driver` drives, for `entry`. Others know it by the simulator's ids, as [`field_entry`] has it.
    fn of(claim: Claim, entry: EntryId, driver: DriverId) -> Self {
        let team = entry != EntryId(driver.0);
        let seen_as = SessionMeta {
            team_racing: u8::from(team),
            entries: vec![MetaEntry { slot: claim.slot, user_id: claim.user_id, team_id: claim.team_id, ..MetaEntry::default() }],
            ..SessionMeta::default()
        };
        Self { seen_as: field_entry(Some(&seen_as), claim.slot).unwrap_or(entry), entry }
    }
}
