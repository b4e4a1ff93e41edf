//! [`Named`]: in which slots each driver's client says that there are cars (`seen.majority`).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::DriverId;

use super::voice::{Told, differing, voices};

/// Of each driver whose client lists cars, the slots of its newest description, in order. See the [module](self).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Named(BTreeMap<DriverId, Vec<u16>>);

impl Named {
    /// As the newest descriptions of all drivers tell it.
    pub fn told<'a>(clients: impl Iterator<Item = Told<'a>>) -> Self {
        let listed = voices(clients).into_iter().filter(|voice| !voice.meta.entries.is_empty());
        let slots = listed.map(|voice| {
            let mut slots: Vec<u16> = voice.meta.entries.iter().map(|e| e.slot).collect();
            slots.sort_unstable();
            slots.dedup();
            (voice.driver, slots)
        });
        Self(slots.collect())
    }

    /// The drivers whose clients list cars, and none in this slot.
    pub(in crate::session) fn without(&self, slot: u16) -> impl Iterator<Item = DriverId> + '_ {
        self.0.iter().filter(move |(_, slots)| slots.binary_search(&slot).is_err()).map(|(driver, _)| *driver)
    }

    /// For which of `slots` `after` has other drivers without.
    pub(in crate::session) fn changed(&self, after: &Self, slots: impl Iterator<Item = u16>) -> BTreeSet<u16> {
        let changed = differing(&self.0, &after.0);
        let lacks = |named: &Self, driver: &DriverId, slot: u16| named.0.get(driver).is_some_and(|slots| slots.binary_search(&slot).is_err());
        slots.filter(|slot| changed.iter().any(|driver| lacks(self, driver, *slot) != lacks(after, driver, *slot))).collect()
    }
}
