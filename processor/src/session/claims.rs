//! [`Claims`]: which streams claim which cars, and what follows from it: who owns a car that other clients see (E3b), and which cars are in
//! dispute. Indexed by car, so that a stream that claims another car costs what it changes.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_race::session::{Owner, Owners};
use boxbox_race::stream::Car;
use boxbox_schemas::EntryId;
use boxbox_schemas::results::{Dispute, RefusedClaim, Silenced};

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
    pub(super) fn disputed(&self, stream: StreamId, car: Car, silenced: Silenced<'_>) -> bool {
        self.heard(car.seen_as, silenced).any(|((driver, _), entry)| driver != stream.0 && entry != car.entry)
    }

    /// The claims to a car that count.
    fn heard(&self, seen_as: EntryId, silenced: Silenced<'_>) -> impl Iterator<Item = (StreamId, EntryId)> {
        let claims = self.cars.get(&seen_as).into_iter().flatten().map(|(stream, entry)| (*stream, *entry));
        claims.filter(move |((driver, run), entry)| !silenced.refuses(*driver, seen_as) && !silenced.covers(*driver, *run, *entry, false))
    }

    /// The cars that are claimed.
    pub(super) fn cars(&self) -> BTreeSet<EntryId> {
        self.cars.keys().copied().collect()
    }

    /// The owner of a car. If several drivers' streams claim it, it belongs to the lowest driver (`seen.dispute`).
    pub(super) fn owner(&self, seen_as: EntryId, silenced: Silenced<'_>) -> Option<Owner> {
        let ((driver, _), entry) = self.heard(seen_as, silenced).next()?;
        Some(Owner { driver, entry })
    }

    /// The owners of all cars that other clients see.
    pub(super) fn owners(&self, silenced: Silenced<'_>) -> Owners {
        self.cars.keys().filter_map(|seen_as| Some((*seen_as, self.owner(*seen_as, silenced)?))).collect()
    }

    /// What drivers claim to be, as others see their cars: of each claim the newest stream.
    pub(super) fn claimed(&self) -> BTreeMap<RefusedClaim, StreamId> {
        let mut claims = BTreeMap::new();
        for (car, streams) in &self.cars {
            for stream in streams.keys() {
                let newest = claims.entry(RefusedClaim { driver: stream.0, entry: *car }).or_insert(*stream);
                *newest = (*newest).max(*stream);
            }
        }
        claims
    }

    /// `seen.dispute`: the car, if drivers claim it for different entries.
    pub(super) fn dispute(&self, seen_as: EntryId, silenced: Silenced<'_>) -> Option<Dispute> {
        let entries: BTreeSet<EntryId> = self.heard(seen_as, silenced).map(|(_, entry)| entry).collect();
        (entries.len() > 1).then(|| Dispute { seen_as, entries: entries.into_iter().collect() })
    }

    /// All cars in dispute.
    pub(super) fn disputes(&self, silenced: Silenced<'_>) -> Vec<Dispute> {
        self.cars.keys().filter_map(|seen_as| self.dispute(*seen_as, silenced)).collect()
    }

    /// Update `disputes`, which are in order of cars, with what is true of `cars` now. True if anything changed.
    pub(super) fn update(&self, disputes: &mut Vec<Dispute>, cars: &BTreeSet<EntryId>, silenced: Silenced<'_>) -> bool {
        let mut changed = false;
        for car in cars {
            match (disputes.binary_search_by_key(car, |dispute| dispute.seen_as), self.dispute(*car, silenced)) {
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
