//! [`OtherCars`]: the cars that a stream's client sees beside its own, and the client's description of the session.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::EntryId;
use boxbox_schemas::field::ArchivedFieldFrame;
use boxbox_schemas::limits::STREAM_RACE_MAX_BYTES;
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::CarNow;

use super::car::CarState;
use super::fact::{Context, Output, Start};
use super::identity::field_entry;
use super::other_car::OtherCar;
use super::slips::Slips;
use super::state::{VERSION, is_known};

/// Number of cars kept for one client: the first ones that it sees (`seen.bound`). iRacing has 64 slots.
const CARS_MAX: usize = 64;
/// Units of work for what an event does to one of them.
const CAR_WORK: u64 = 4;
/// No car has this slot or a higher one: what a stream stores beside its cars is stored under them.
pub(crate) const SLOTS_END: u16 = 0xffe0;
/// The client's description of the session is stored under it.
const DESCRIPTION_SLOT: u16 = u16::MAX;

/// The cars that a client sees. See the [module](self).
#[derive(Clone, Default)]
pub struct OtherCars {
    /// The client's description of the session, without names.
    description: Option<SessionMeta>,
    cars: BTreeMap<u16, OtherCar>,
    /// Slots whose state has changed since it was last stored.
    changed: BTreeSet<u16>,
    /// The slips of the client's clock.
    slips: Slips,
}

/// The stored state of one slot.
#[derive(Clone, PartialEq, Debug)]
pub struct StoredCar {
    /// The slot: that of a car, or the one that stands for the description.
    pub slot: u16,
    /// Its state.
    pub race: Vec<u8>,
    /// Where the car is.
    pub now: Option<CarNow>,
    /// Why the state was dropped, if it was; the car then begins again.
    pub dropped_because: Option<String>,
}

impl OtherCars {
    /// Restore stored states, by slot; the error says what cannot be read.
    pub fn restore<'a>(stored: impl Iterator<Item = (u16, &'a [u8])>) -> Result<Self, String> {
        let mut others = Self::default();
        for (slot, race) in stored {
            let failed = |e: String| format!("its state of the car in slot {slot}: {e}");
            if slot == DESCRIPTION_SLOT {
                others.description = decode_description(race).map_err(failed)?;
            } else if let Some(car) = OtherCar::decode(race).map_err(failed)? {
                others.cars.insert(slot, car);
            }
        }
        Ok(others)
    }

    /// The states that have changed since the last call. `own` is the client's own context.
    pub fn store(&mut self, own: &Context, out: &mut Output) -> Vec<StoredCar> {
        let slots = std::mem::take(&mut self.changed);
        slots.into_iter().filter_map(|slot| self.store_slot(&Context { slot, ..*own }, out)).collect()
    }

    fn store_slot(&mut self, ctx: &Context, out: &mut Output) -> Option<StoredCar> {
        let slot = ctx.slot;
        if slot == DESCRIPTION_SLOT {
            let race = encode_description(&self.description).unwrap_or_default();
            return Some(StoredCar { slot, race, now: None, dropped_because: None });
        }
        let car = self.cars.get_mut(&slot)?;
        Some(match car.encode(out) {
            Ok(race) => StoredCar { slot, race, now: car.now(ctx), dropped_because: None },
            Err(detail) => {
                self.cars.remove(&slot);
                StoredCar { slot, race: CarState::encode_none(), now: None, dropped_because: Some(detail) }
            }
        })
    }

    /// The stream continues from `before` (E2). Cars that it has already seen itself keep their state.
    pub fn inherit(&mut self, own: &Context, before: &Self, out: &mut Output) {
        out.work += CAR_WORK * before.cars.len() as u64;
        for (slot, car) in &before.cars {
            if !self.cars.contains_key(slot) && self.cars.len() < CARS_MAX {
                let mut car = OtherCar::inherit(car, out);
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

    /// The session's metadata, as the client reports it.
    pub fn on_meta(&mut self, own: &Context, meta: &SessionMeta, out: &mut Output) {
        let description = Some(without_names(meta));
        if description == self.description {
            return;
        }
        // Without a description, cars are identified by their slots.
        self.description = if encode_description(&description).is_ok() { description } else { None };
        self.changed.insert(DESCRIPTION_SLOT);
        if let Some(description) = self.description.clone() {
            self.each(own, out, |ctx, car, out| car.on_meta(ctx, &description, out));
        }
    }

    /// The slips of the client's clock ([`CarState::slips`]). They are not stored, so call this before each record of frames.
    pub fn on_slips(&mut self, slips: Slips) {
        self.slips = slips;
    }

    /// Frames of other cars, with their sequence numbers; `start` is what the client's own car shows of the start.
    pub fn on_frames<'a>(&mut self, own: &Context, start: Start, frames: impl Iterator<Item = (u64, &'a ArchivedFieldFrame)>, out: &mut Output) {
        let mut seen = BTreeSet::new();
        for (seq, frame) in frames {
            let slot = frame.slot.to_native();
            if slot == own.slot || slot >= SLOTS_END {
                continue;
            }
            let ctx = Context { slot, ..*own };
            if !self.cars.contains_key(&slot) && (self.cars.len() == CARS_MAX || field_entry(self.description.as_ref(), slot).is_none()) {
                continue;
            }
            let car = self.cars.entry(slot).or_insert_with(|| {
                let mut car = OtherCar::new();
                if let Some(description) = &self.description {
                    car.on_meta(&ctx, description, out);
                }
                car
            });
            if seen.insert(slot) {
                car.on_slips(self.slips);
                car.on_start(&ctx, start, out);
            }
            car.on_frame(&ctx, seq, frame, out);
        }
        self.changed.extend(seen);
    }

    /// The client's simulator went back to `(tick, us)`; `seq` is the sequence number of the rewind event (`seen.rewind`).
    pub fn on_rewind(&mut self, own: &Context, (tick, us): (u32, i64), seq: u64, out: &mut Output) {
        self.each(own, out, |ctx, car, out| car.on_rewind(ctx, tick, us, seq, out));
    }

    /// Sequence numbers `first` to `next` (exclusive) of the client will never come.
    pub fn on_missing(&mut self, own: &Context, first: u64, next: u64, out: &mut Output) {
        self.each(own, out, |ctx, car, out| car.on_missing(ctx, first, next, out));
    }

    /// The client's stream is over.
    pub fn on_end(&mut self, own: &Context, out: &mut Output) {
        self.each(own, out, |ctx, car, out| car.on_end(ctx, out));
    }

    /// Number of cars.
    pub fn count(&self) -> usize {
        self.cars.len()
    }

    /// Have the cars that are seen as one of `entries` stored again; true if there is any.
    pub fn mark_changed(&mut self, own: &Context, entries: &BTreeSet<EntryId>) -> bool {
        let seen_as = |slot: u16, car: &OtherCar| car.now(&Context { slot, ..*own }).map(|now| now.entry);
        let slots: Vec<u16> = self
            .cars
            .iter()
            .filter(|(slot, car)| seen_as(**slot, car).is_some_and(|entry| entries.contains(&entry)))
            .map(|(slot, _)| *slot)
            .collect();
        self.changed.extend(&slots);
        !slots.is_empty()
    }

    fn each(&mut self, own: &Context, out: &mut Output, mut call: impl FnMut(&Context, &mut OtherCar, &mut Output)) {
        out.work += CAR_WORK * self.cars.len() as u64;
        for (slot, car) in &mut self.cars {
            call(&Context { slot: *slot, ..*own }, car, out);
            self.changed.insert(*slot);
        }
    }
}

/// The description without the texts that the race logic does not need, so that it fits in the bound of a car's state.
fn without_names(meta: &SessionMeta) -> SessionMeta {
    let entry = |e: &MetaEntry| MetaEntry { slot: e.slot, user_id: e.user_id, team_id: e.team_id, special: e.special, ..MetaEntry::default() };
    SessionMeta {
        track_name: String::new(),
        track_config: String::new(),
        category: String::new(),
        entries: meta.entries.iter().map(entry).collect(),
        ..meta.clone()
    }
}

/// A description as an array of its fields: as a map with names, 128 entries would not fit.
fn encode_description(description: &Option<SessionMeta>) -> Result<Vec<u8>, String> {
    let mut bytes = vec![VERSION];
    rmp_serde::encode::write(&mut bytes, description).map_err(|e| e.to_string())?;
    if bytes.len() <= STREAM_RACE_MAX_BYTES { Ok(bytes) } else { Err(format!("{} bytes, more than {STREAM_RACE_MAX_BYTES}", bytes.len())) }
}

fn decode_description(bytes: &[u8]) -> Result<Option<SessionMeta>, String> {
    // The encoding has not changed since version 1.
    rmp_serde::from_slice(is_known(bytes)?).map_err(|e| e.to_string())
}
