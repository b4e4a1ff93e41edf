//! The cars that a stream's client sees beside its own: one [`FieldRace`] for each, and what the client knows of them.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::EntryId;
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_store::{FieldState, STREAM_RACE_MAX_BYTES};

use super::version::STATE_VERSION;
use boxbox_race::stream::{Context, Fact, FieldRace, Start, field_entry};

/// Cars kept for one client; of more, those that it saw first. iRacing has 64 slots.
const CARS_MAX: usize = 64;
/// No car has this slot: under it, the client's own description of the session is kept.
const DESCRIPTION_SLOT: u16 = u16::MAX;

/// What a client sees of others. See the [module](self).
#[derive(Clone, Default)]
pub(super) struct Field {
    /// The session as the client describes it, without names.
    description: Option<SessionMeta>,
    cars: BTreeMap<u16, FieldRace>,
    /// Slots that have changed since they were last saved.
    changed: BTreeSet<u16>,
}

impl Field {
    /// As a store kept it; the error says what cannot be read.
    pub(super) fn restore(stored: &[FieldState]) -> Result<Self, String> {
        let mut field = Self::default();
        for FieldState { slot, race, .. } in stored {
            let Some((&STATE_VERSION, bytes)) = race.split_first() else {
                return Err(format!("its state of the car in slot {slot} has version {:?}; this build reads {STATE_VERSION}", race.first()));
            };
            let failed = |e: rmp_serde::decode::Error| format!("its state of the car in slot {slot}: {e}");
            if *slot == DESCRIPTION_SLOT {
                field.description = rmp_serde::from_slice(bytes).map_err(failed)?;
            } else if let Some(car) = rmp_serde::from_slice(bytes).map_err(failed)? {
                field.cars.insert(*slot, car);
            }
        }
        Ok(field)
    }

    /// What has changed since this was last asked for. `own` is the client's own context, `owner` says whose a car is that is
    /// seen as an entry.
    pub(super) fn save(&mut self, own: &Context, owner: impl Fn(EntryId) -> EntryId) -> Vec<FieldState> {
        let mut saved = vec![];
        for slot in std::mem::take(&mut self.changed) {
            if slot == DESCRIPTION_SLOT {
                saved.push(FieldState { slot, race: encode_description(&self.description).unwrap_or_default().into(), now: None });
                continue;
            }
            let Some(car) = self.cars.get(&slot) else { continue };
            match encode_car(Some(car)) {
                Ok(race) => {
                    let now = car.now(&Context { slot, ..*own }).map(|mut now| {
                        now.entry = owner(now.entry);
                        now
                    });
                    saved.push(FieldState { slot, race: race.into(), now });
                }
                Err(detail) => {
                    tracing::error!(session = %own.session, driver = %own.driver, slot, "what the stream sees of a car cannot be kept ({detail}); it begins anew");
                    self.cars.remove(&slot);
                    saved.push(FieldState { slot, race: encode_car(None).unwrap_or_default().into(), now: None });
                }
            }
        }
        saved
    }

    /// E2: the stream goes on from `before`, with what it has seen itself in the meantime.
    pub(super) fn inherit(&mut self, own: &Context, before: &Field, out: &mut Vec<Fact>) {
        for (slot, car) in &before.cars {
            if !self.cars.contains_key(slot) && self.cars.len() < CARS_MAX {
                let mut car = FieldRace::inherit(car);
                if let Some(description) = &self.description {
                    car.on_meta(&Context { slot: *slot, ..*own }, description, out);
                }
                self.cars.insert(*slot, car);
                self.changed.insert(*slot);
            }
        }
        if self.description.is_none() {
            self.description = before.description.clone();
            self.changed.insert(DESCRIPTION_SLOT);
        }
    }

    pub(super) fn on_meta(&mut self, own: &Context, meta: &SessionMeta, out: &mut Vec<Fact>) {
        let nameless = Some(nameless(meta));
        if nameless == self.description {
            return;
        }
        // Without a description cars are known by their slots.
        self.description = if encode_description(&nameless).is_ok() { nameless } else { None };
        self.changed.insert(DESCRIPTION_SLOT);
        if let Some(description) = self.description.clone() {
            self.each(own, |ctx, car| car.on_meta(ctx, &description, out));
        }
    }

    /// Frames of other cars, with their sequence numbers; `start` is what the client's own car knows of the start.
    pub(super) fn on_frames<'a>(
        &mut self,
        own: &Context,
        start: Start,
        frames: impl Iterator<Item = (u64, &'a ArchivedFieldFrame)>,
        out: &mut Vec<Fact>,
    ) {
        let mut told = BTreeSet::new();
        for (seq, frame) in frames {
            let slot = frame.slot.to_native();
            if slot == own.slot || slot == DESCRIPTION_SLOT {
                continue;
            }
            let ctx = Context { slot, ..*own };
            if !self.cars.contains_key(&slot) && (self.cars.len() == CARS_MAX || field_entry(self.description.as_ref(), slot).is_none()) {
                continue;
            }
            let car = self.cars.entry(slot).or_insert_with(|| {
                let mut car = FieldRace::new();
                if let Some(description) = &self.description {
                    car.on_meta(&ctx, description, out);
                }
                car
            });
            if told.insert(slot) {
                car.on_start(&ctx, start, out);
            }
            car.on_frame(&ctx, seq, frame, out);
        }
        self.changed.extend(told);
    }

    pub(super) fn on_rewind(&mut self, own: &Context, (tick, us): (u32, i64), seq: u64, out: &mut Vec<Fact>) {
        self.each(own, |ctx, car| car.on_rewind(ctx, tick, us, seq, out));
    }

    pub(super) fn on_missing(&mut self, own: &Context, first: u64, next: u64, out: &mut Vec<Fact>) {
        self.each(own, |ctx, car| car.on_missing(ctx, first, next, out));
    }

    pub(super) fn on_end(&mut self, own: &Context, out: &mut Vec<Fact>) {
        self.each(own, |ctx, car| car.on_end(ctx, out));
    }

    /// Where the cars are that are seen as one of `entries` is to be saved again; whether there is any.
    pub(super) fn touch(&mut self, own: &Context, entries: &BTreeSet<EntryId>) -> bool {
        let seen_as = |slot: u16, car: &FieldRace| car.now(&Context { slot, ..*own }).map(|now| now.entry);
        let slots: Vec<u16> = self
            .cars
            .iter()
            .filter(|(slot, car)| seen_as(**slot, car).is_some_and(|entry| entries.contains(&entry)))
            .map(|(slot, _)| *slot)
            .collect();
        self.changed.extend(&slots);
        !slots.is_empty()
    }

    fn each(&mut self, own: &Context, mut tell: impl FnMut(&Context, &mut FieldRace)) {
        for (slot, car) in &mut self.cars {
            tell(&Context { slot: *slot, ..*own }, car);
            self.changed.insert(*slot);
        }
    }
}

/// What a car's race logic needs to know of the session, within the bound of a car's state.
fn nameless(meta: &SessionMeta) -> SessionMeta {
    let entry = |e: &MetaEntry| MetaEntry { slot: e.slot, user_id: e.user_id, team_id: e.team_id, special: e.special, ..MetaEntry::default() };
    SessionMeta {
        track_name: String::new(),
        track_config: String::new(),
        category: String::new(),
        entries: meta.entries.iter().map(entry).collect(),
        ..meta.clone()
    }
}

/// A description with its fields in order, for with their names 128 entries would not fit.
fn encode_description(description: &Option<SessionMeta>) -> Result<Vec<u8>, String> {
    bounded(|bytes| rmp_serde::encode::write(bytes, description))
}

/// A car; `None` is one that was given up.
fn encode_car(car: Option<&FieldRace>) -> Result<Vec<u8>, String> {
    bounded(|bytes| rmp_serde::encode::write_named(bytes, &car))
}

fn bounded(write: impl FnOnce(&mut Vec<u8>) -> Result<(), rmp_serde::encode::Error>) -> Result<Vec<u8>, String> {
    let mut bytes = vec![STATE_VERSION];
    write(&mut bytes).map_err(|e| e.to_string())?;
    if bytes.len() <= STREAM_RACE_MAX_BYTES { Ok(bytes) } else { Err(format!("{} bytes, more than {STREAM_RACE_MAX_BYTES}", bytes.len())) }
}
