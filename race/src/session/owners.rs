//! [`Owners`]: whose car is whose, where a driver's own client and those of others see the same car (`seen.owner`).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{Lap, Tags};
use boxbox_schemas::{DriverId, EntryId};

/// Cars that other clients see and whose driver has a stream too. Key: the entry under which other clients see the car.
pub type Owners = BTreeMap<EntryId, Owner>;

/// Who a car belongs to.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owner {
    /// Who drives it.
    pub driver: DriverId,
    /// Who competes in it.
    pub entry: EntryId,
}

/// [`Owners`] that can be asked from both sides.
#[derive(Default)]
pub(super) struct Ownership {
    owners: Owners,
    /// For each owner's entry, the entries under which other clients see its car.
    seen: BTreeMap<EntryId, BTreeSet<EntryId>>,
}

impl Ownership {
    pub(super) fn new(owners: Owners) -> Self {
        let mut ownership = Self::default();
        for (seen_as, owner) in owners {
            ownership.set(seen_as, Some(owner));
        }
        ownership
    }

    /// Who owns the car that other clients see as `seen_as`, if anybody claims it.
    pub(super) fn get(&self, seen_as: EntryId) -> Option<Owner> {
        self.owners.get(&seen_as).copied()
    }

    /// The car that other clients see as `seen_as` is `owner`'s from now on.
    pub(super) fn set(&mut self, seen_as: EntryId, owner: Option<Owner>) {
        let before = match owner {
            Some(owner) => self.owners.insert(seen_as, owner),
            None => self.owners.remove(&seen_as),
        };
        if let Some(seen) = before.and_then(|before| self.seen.get_mut(&before.entry)) {
            seen.remove(&seen_as);
        }
        if let Some(owner) = owner {
            self.seen.entry(owner.entry).or_default().insert(seen_as);
        }
    }

    /// The entry of the car that other clients see as `seen_as`.
    pub(super) fn entry(&self, seen_as: EntryId) -> EntryId {
        self.get(seen_as).map_or(seen_as, |owner| owner.entry)
    }

    /// The entries under which facts about `entry`'s car are kept: its own first, then those under which other clients see the car.
    pub(super) fn kept_under(&self, entry: EntryId) -> impl Iterator<Item = EntryId> {
        let others = self.seen.get(&entry).into_iter().flatten().copied();
        std::iter::once(entry).chain(others.filter(move |seen_as| *seen_as != entry))
    }

    /// Who the fact's car belongs to. A car that no stream claims gets the entry as its driver, not the driver of the client that saw
    /// it (`seen.owner`).
    pub(super) fn of(&self, fact: &Lap) -> Owner {
        let Lap { entry, driver, .. } = *fact;
        if !fact.tags.has(Tags::FIELD) {
            return Owner { driver, entry };
        }
        self.get(entry).unwrap_or(Owner { driver: DriverId(entry.0), entry })
    }

    /// The fact with its owner as driver and entry.
    pub(super) fn owned(&self, fact: &Lap) -> Lap {
        let Owner { driver, entry } = self.of(fact);
        Lap { driver, entry, ..fact.clone() }
    }
}
