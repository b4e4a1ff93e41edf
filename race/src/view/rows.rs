//! Tables of rows by key. A row replaces the row with its key; a superseded row is removed.

use boxbox_schemas::ids::{DriverId, EntryId, RunId};
use boxbox_schemas::results::{CarNow, FlagChange, IncidentStep, Lap, PitVisit, SessionStateChange};

/// The rows of one session as a store returns them: in any order, with or without superseded rows.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Rows {
    /// Laps as chosen.
    pub laps: Vec<Lap>,
    /// Changes of flags, of each stream.
    pub flags: Vec<FlagChange>,
    /// Changes of the session state, of each stream.
    pub states: Vec<SessionStateChange>,
    /// Pit visits, of each stream.
    pub pit_visits: Vec<PitVisit>,
    /// Steps of incident counters, of each stream.
    pub incidents: Vec<IncidentStep>,
    /// Where cars are, of each stream.
    pub cars: Vec<CarNow>,
}

/// A row with a key that is unique among the rows of its kind within a session.
pub(super) trait Keyed: Clone + PartialEq {
    type Key: Ord + Copy;
    fn key(&self) -> Self::Key;
    /// Whether the row counts; a superseded row does not.
    fn counts(&self) -> bool;
}

/// Entry and number of a lap.
pub type LapKey = (EntryId, u32);

/// A stream's own car has no slot in its key, because it stays the same car when its slot changes.
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

impl Keyed for SessionStateChange {
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

/// What happened to the row of a key.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum RowChange {
    New,
    Revised,
    Gone,
}

/// The rows of one kind that count, sorted by key, as one slice.
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

    /// Add many rows; of several rows with one key the last one stays. Rows that come sorted are not moved.
    pub(super) fn fill(&mut self, rows: Vec<R>) {
        if self.rows.is_empty() {
            self.rows = rows;
        } else {
            self.rows.extend(rows);
        }
        if !self.rows.is_sorted_by(|a, b| a.key() < b.key()) {
            // The sort is stable, so of equal keys the last row is the newest. `dedup` keeps the first, so the order is reversed for it.
            self.rows.sort_by_key(Keyed::key);
            self.rows.reverse();
            self.rows.dedup_by(|a, b| a.key() == b.key());
            self.rows.reverse();
        }
        self.rows.retain(Keyed::counts);
    }

    /// Add one row.
    pub(super) fn put(&mut self, row: &R) -> Option<RowChange> {
        match self.rows.binary_search_by_key(&row.key(), Keyed::key) {
            Ok(at) if !row.counts() => {
                self.rows.remove(at);
                Some(RowChange::Gone)
            }
            Ok(at) if self.rows[at] == *row => None,
            Ok(at) => {
                self.rows[at] = row.clone();
                Some(RowChange::Revised)
            }
            Err(_) if !row.counts() => None,
            Err(at) => {
                self.rows.insert(at, row.clone());
                Some(RowChange::New)
            }
        }
    }

    pub(super) fn remove(&mut self, key: R::Key) -> Option<RowChange> {
        let at = self.rows.binary_search_by_key(&key, Keyed::key).ok()?;
        self.rows.remove(at);
        Some(RowChange::Gone)
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

    /// Remove the rows that `keep` refuses; true if there was one.
    pub(super) fn retain(&mut self, keep: impl FnMut(&R) -> bool) -> bool {
        let before = self.rows.len();
        self.rows.retain(keep);
        self.rows.len() < before
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// Move the rows for which `out` holds to `aside`, and from there those for which it does not. True if there was any.
    pub(super) fn exchange(&mut self, aside: &mut Self, out: impl Fn(&R) -> bool) -> bool {
        let back: Vec<R> = aside.rows.extract_if(.., |row| !out(row)).collect();
        let gone: Vec<R> = self.rows.extract_if(.., |row| out(row)).collect();
        let any = !back.is_empty() || !gone.is_empty();
        // What is in this table is newer than what was set aside before.
        if !gone.is_empty() {
            aside.fill(gone);
        }
        for row in back {
            if self.get(row.key()).is_none() {
                self.put(&row);
            }
        }
        any
    }

    /// What happens to each key if `next` replaces `self`; unchanged rows are left out.
    pub(super) fn row_changes(&self, next: &Self) -> Vec<(R::Key, RowChange)> {
        let gone = self.rows.iter().filter(|r| next.get(r.key()).is_none()).map(|r| (r.key(), RowChange::Gone));
        let put = next.rows.iter().filter_map(|r| match self.get(r.key()) {
            None => Some((r.key(), RowChange::New)),
            Some(before) => (before != r).then(|| (r.key(), RowChange::Revised)),
        });
        gone.chain(put).collect()
    }
}
