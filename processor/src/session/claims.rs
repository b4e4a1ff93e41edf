//! [`Claims`]: which streams claim which cars, and what follows from it: who owns a car that other clients see (E3b), and which cars are in
//! dispute. Indexed by car, so that a stream that claims another car costs what it changes.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::session::{Owner, Owners};
use boxbox_race::stream::Car;
use boxbox_schemas::EntryId;
use boxbox_schemas::results::Dispute;

use super::stream::StreamId;

/// The claims of a session's streams. See the [module](self).
#[derive(Default)]
pub(super) struct Claims {
    /// By the entry under which other clients see the car: the streams that claim it, and for whom.
    cars: BTreeMap<EntryId, BTreeMap<StreamId, EntryId>>,
}

impl Claims {
    /// The stream claims `after` now, and no longer `before`. Returns the cars of which something has changed.
    pub(super) fn change(&mut self, stream: StreamId, before: Option<Car>, after: Option<Car>) -> BTreeSet<EntryId> {
        if let Some(before) = before
            && let Some(claims) = self.cars.get_mut(&before.seen_as)
        {
            claims.remove(&stream);
            if claims.is_empty() {
                self.cars.remove(&before.seen_as);
            }
        }
        if let Some(after) = after {
            self.cars.entry(after.seen_as).or_default().insert(stream, after.entry);
        }
        [before, after].into_iter().flatten().map(|car| car.seen_as).collect()
    }

    /// Number of streams that claim the car.
    pub(super) fn len(&self, seen_as: EntryId) -> u64 {
        self.cars.get(&seen_as).map_or(0, |claims| claims.len() as u64)
    }

    /// Whether another driver's stream claims the car for another entry.
    pub(super) fn disputed(&self, stream: StreamId, car: Car) -> bool {
        let claims = self.cars.get(&car.seen_as).into_iter().flatten();
        claims.into_iter().any(|((driver, _), entry)| *driver != stream.0 && *entry != car.entry)
    }

    /// The owner of a car. If several drivers' streams claim it, it belongs to the lowest driver (`seen.dispute`).
    pub(super) fn owner(&self, seen_as: EntryId) -> Option<Owner> {
        let ((driver, _), entry) = self.cars.get(&seen_as)?.first_key_value()?;
        Some(Owner { driver: *driver, entry: *entry })
    }

    /// The owners of all cars that other clients see.
    pub(super) fn owners(&self) -> Owners {
        self.cars.keys().filter_map(|seen_as| Some((*seen_as, self.owner(*seen_as)?))).collect()
    }

    /// `seen.dispute`: the car, if drivers claim it for different entries.
    pub(super) fn dispute(&self, seen_as: EntryId) -> Option<Dispute> {
        let entries: BTreeSet<EntryId> = self.cars.get(&seen_as)?.values().copied().collect();
        (entries.len() > 1).then(|| Dispute { seen_as, entries: entries.into_iter().collect() })
    }

    /// All cars in dispute.
    pub(super) fn disputes(&self) -> Vec<Dispute> {
        self.cars.keys().filter_map(|seen_as| self.dispute(*seen_as)).collect()
    }

    /// Update `disputes`, which are in order of cars, with what is true of `cars` now. True if anything changed.
    pub(super) fn update(&self, disputes: &mut Vec<Dispute>, cars: &BTreeSet<EntryId>) -> bool {
        let mut changed = false;
        for car in cars {
            match (disputes.binary_search_by_key(car, |dispute| dispute.seen_as), self.dispute(*car)) {
                (Ok(place), Some(dispute)) if disputes[place] != dispute => disputes[place] = dispute,
                (Ok(place), None) => _ = disputes.remove(place),
                (Err(place), Some(dispute)) => disputes.insert(place, dispute),
                _ => continue,
            }
            changed = true;
        }
        changed
    }
}
