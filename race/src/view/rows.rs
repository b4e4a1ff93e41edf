//! Rows by key: a row replaces the row with its key, and one that a rewind took back is gone.

use boxbox_schemas::ids::{DriverId, EntryId, RunId};
use boxbox_schemas::results::{CarNow, FlagChange, IncidentStep, Lap, PitVisit};

/// What stores keep of one session, as they give it: in any order, superseded rows or none.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// Laps as chosen.
    pub laps: Vec<Lap>,
    /// Changes of flags, as each stream tells them.
    pub flags: Vec<FlagChange>,
    /// Visits to the pit lane, as each stream tells them.
    pub pit_visits: Vec<PitVisit>,
    /// Steps of incident counters, as each stream tells them.
    pub incidents: Vec<IncidentStep>,
    /// Where cars are, as each stream tells it.
    pub cars: Vec<CarNow>,
}

/// What tells the rows of one kind apart within a session.
pub(super) trait Keyed: Clone + PartialEq {
    type Key: Ord + Copy;
    fn key(&self) -> Self::Key;
    /// Whether it counts: a superseded row is kept for the record only.
    fn counts(&self) -> bool;
}

/// Entry and number of a lap.
pub type LapKey = (EntryId, u32);

/// A stream's own car has no slot in its key: it may change its slot, and is one car.
pub(super) type CarKey = (DriverId, RunId, Option<u16>);

impl Keyed for Lap {
    type Key = LapKey;
    fn key(&self) -> LapKey {
        (self.entry, self.number)
    }
    fn counts(&self) -> bool {
        !self.superseded
    }
}

impl Keyed for FlagChange {
    type Key = (DriverId, RunId, u32, u32);
    fn key(&self) -> Self::Key {
        (self.driver, self.run, self.timeline, self.tick)
    }
    fn counts(&self) -> bool {
        !self.superseded
    }
}

impl Keyed for PitVisit {
    type Key = (DriverId, RunId, u16, u32, u32);
    fn key(&self) -> Self::Key {
        (self.driver, self.run, self.slot, self.timeline, self.tick)
    }
    fn counts(&self) -> bool {
        !self.superseded
    }
}

impl Keyed for IncidentStep {
    type Key = (DriverId, RunId, u32, u32);
    fn key(&self) -> Self::Key {
        (self.driver, self.run, self.timeline, self.tick)
    }
    fn counts(&self) -> bool {
        !self.superseded
    }
}

impl Keyed for CarNow {
    type Key = CarKey;
    fn key(&self) -> CarKey {
        (self.driver, self.run, self.field.then_some(self.slot))
    }
    fn counts(&self) -> bool {
        true
    }
}

/// What became of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fate {
    New,
    Revised,
    Gone,
}

/// The rows of one kind that count, in order of their keys: a slice, which every fold takes as it is.
#[derive(Clone, Debug)]
pub(super) struct Table<R> {
    rows: Vec<R>,
}

impl<R> Default for Table<R> {
    fn default() -> Self {
        Self { rows: vec![] }
    }
}

impl<R: Keyed> Table<R> {
    pub(super) fn all(&self) -> &[R] {
        &self.rows
    }

    /// Take in many rows; of several with one key the last one stays. What a store gives in order of keys is not moved.
    pub(super) fn fill(&mut self, rows: Vec<R>) {
        if self.rows.is_empty() {
            self.rows = rows;
        } else {
            self.rows.extend(rows);
        }
        if !self.rows.is_sorted_by(|a, b| a.key() < b.key()) {
            // Stable: of equal keys the later one is still the later one. The last is wanted, and the first is what `dedup` leaves.
            self.rows.sort_by_key(Keyed::key);
            self.rows.reverse();
            self.rows.dedup_by(|a, b| a.key() == b.key());
            self.rows.reverse();
        }
        self.rows.retain(Keyed::counts);
    }

    /// Take in one row.
    pub(super) fn put(&mut self, row: &R) -> Option<Fate> {
        match self.rows.binary_search_by_key(&row.key(), Keyed::key) {
            Ok(at) if !row.counts() => {
                self.rows.remove(at);
                Some(Fate::Gone)
            }
            Ok(at) if self.rows[at] == *row => None,
            Ok(at) => {
                self.rows[at] = row.clone();
                Some(Fate::Revised)
            }
            Err(_) if !row.counts() => None,
            Err(at) => {
                self.rows.insert(at, row.clone());
                Some(Fate::New)
            }
        }
    }

    pub(super) fn remove(&mut self, key: R::Key) -> Option<Fate> {
        let at = self.rows.binary_search_by_key(&key, Keyed::key).ok()?;
        self.rows.remove(at);
        Some(Fate::Gone)
    }

    pub(super) fn get(&self, key: R::Key) -> Option<&R> {
        self.rows.binary_search_by_key(&key, Keyed::key).ok().map(|at| &self.rows[at])
    }

    /// The rows from the first key to the last, both included.
    pub(super) fn range(&self, first: R::Key, last: R::Key) -> &[R] {
        let from = self.rows.partition_point(|r| r.key() < first);
        let until = self.rows.partition_point(|r| r.key() <= last);
        &self.rows[from..until.max(from)]
    }

    /// Drop what does not pass; whether anything did not.
    pub(super) fn retain(&mut self, keep: impl FnMut(&R) -> bool) -> bool {
        let before = self.rows.len();
        self.rows.retain(keep);
        self.rows.len() < before
    }

    /// What becomes of each key if `self` is replaced by `next`; keys whose row is the same are left out.
    pub(super) fn fates(&self, next: &Self) -> Vec<(R::Key, Fate)> {
        let gone = self.rows.iter().filter(|r| next.get(r.key()).is_none()).map(|r| (r.key(), Fate::Gone));
        let told = next.rows.iter().filter_map(|r| match self.get(r.key()) {
            None => Some((r.key(), Fate::New)),
            Some(before) => (before != r).then(|| (r.key(), Fate::Revised)),
        });
        gone.chain(told).collect()
    }
}
