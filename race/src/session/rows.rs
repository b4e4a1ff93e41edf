//! Rows that are results as they are told, one for each key: incident steps, pit visits, changes of flags.
//!
//! What a record behind the session's close says changes no such row until the session is opened again (E9). So a row has
//! two bits: `superseded` says that it is not shown, and `late` that this is turned over at the opening.
//!
//! | `superseded` | `late` | the row |
//! |---|---|---|
//! | no | no | counts |
//! | yes | no | was taken back |
//! | yes | yes | was told late: it counts from the opening on |
//! | no | yes | was taken back late: it counts until the opening |
//!
//! A row that counts and is told again behind the close (a visit to the pits, under way then) stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{FlagChange, IncidentStep, PitVisit};
use boxbox_schemas::{DriverId, RunId};

/// The key of a row within its session: driver, run, timeline, slot (0 for the client's own car), tick.
pub(super) type RowId = (DriverId, RunId, u32, u16, u32);

pub(super) trait Row: Clone + PartialEq {
    fn id(&self) -> RowId;
    /// Whether going back to `to_us` takes it back.
    fn ends_after(&self, to_us: i64) -> bool;
    fn superseded(&mut self) -> &mut bool;
    fn late(&mut self) -> &mut bool;
}

impl Row for IncidentStep {
    fn id(&self) -> RowId {
        (self.driver, self.run, self.timeline, 0, self.tick)
    }
    fn ends_after(&self, to_us: i64) -> bool {
        self.sim_time_us > to_us
    }
    fn superseded(&mut self) -> &mut bool {
        &mut self.superseded
    }
    fn late(&mut self) -> &mut bool {
        &mut self.late
    }
}

impl Row for PitVisit {
    fn id(&self) -> RowId {
        (self.driver, self.run, self.timeline, self.slot, self.tick)
    }
    fn ends_after(&self, to_us: i64) -> bool {
        self.exit_us.is_none_or(|exit_us| exit_us > to_us)
    }
    fn superseded(&mut self) -> &mut bool {
        &mut self.superseded
    }
    fn late(&mut self) -> &mut bool {
        &mut self.late
    }
}

impl Row for FlagChange {
    fn id(&self) -> RowId {
        (self.driver, self.run, self.timeline, 0, self.tick)
    }
    fn ends_after(&self, to_us: i64) -> bool {
        self.sim_time_us > to_us
    }
    fn superseded(&mut self) -> &mut bool {
        &mut self.superseded
    }
    fn late(&mut self) -> &mut bool {
        &mut self.late
    }
}

/// Rows of one kind, and which have changed since the last step.
pub(super) struct Rows<T> {
    rows: BTreeMap<RowId, T>,
    changed: BTreeSet<RowId>,
}

/// Rows as they are to be, not yet put in place.
pub(super) type Changes<T> = BTreeMap<RowId, T>;

impl<T> Default for Rows<T> {
    fn default() -> Self {
        Self { rows: BTreeMap::new(), changed: BTreeSet::new() }
    }
}

impl<T: Row> Rows<T> {
    pub(super) fn restore(&mut self, row: T) {
        self.rows.insert(row.id(), row);
    }

    /// A row is told; `late`: by a record behind the session's close.
    pub(super) fn told(&self, changes: &mut Changes<T>, mut row: T, late: bool) {
        let id = row.id();
        match changes.get(&id).or_else(|| self.rows.get(&id)).cloned() {
            Some(mut before) => {
                let (superseded, flips) = (*before.superseded(), *before.late());
                if late && !superseded {
                    return;
                }
                // What a rewind has taken back stays so, whatever its stream still says of it.
                (*row.superseded(), *row.late()) = (superseded, flips);
            }
            None => (*row.superseded(), *row.late()) = (late, late),
        }
        changes.insert(id, row);
    }

    /// Rows of timelines below `timeline` of (driver, run) that end after `to_us` are taken back.
    pub(super) fn rewind(&self, changes: &mut Changes<T>, (driver, run, timeline): (DriverId, RunId, u32), to_us: i64, late: bool) {
        let back = (driver, run, 0, 0, 0)..(driver, run, timeline, 0, 0);
        let undone: Vec<T> = self.rows.range(back.clone()).filter(|(id, _)| !changes.contains_key(*id)).map(|(_, row)| row.clone()).collect();
        let undone = undone.into_iter().chain(changes.range(back).map(|(_, row)| row.clone()).collect::<Vec<_>>());
        for mut row in undone.filter(|row| row.ends_after(to_us)) {
            match (*row.superseded(), *row.late()) {
                (false, false) if late => *row.late() = true,
                (false, _) => *row.superseded() = true,
                (true, true) => *row.late() = false,
                (true, false) => continue,
            }
            changes.insert(row.id(), row);
        }
    }

    /// The session is opened again: what came late counts.
    pub(super) fn reopen(&self, changes: &mut Changes<T>) {
        for row in self.rows.values() {
            let mut row = row.clone();
            if std::mem::take(row.late()) {
                *row.superseded() ^= true;
                changes.insert(row.id(), row);
            }
        }
    }

    pub(super) fn apply(&mut self, changes: Changes<T>) {
        for (id, row) in changes {
            if self.rows.get(&id) != Some(&row) {
                self.changed.insert(id);
                self.rows.insert(id, row);
            }
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.rows.values()
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The rows that have changed since they were last asked for.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = T> + use<'_, T> {
        std::mem::take(&mut self.changed).into_iter().filter_map(|id| self.rows.get(&id)).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(from: u16) -> IncidentStep {
        let id = boxbox_schemas::ShortId::new("anna").unwrap();
        IncidentStep {
            session: Default::default(),
            entry: boxbox_schemas::EntryId(id),
            driver: DriverId(id),
            run: RunId([1; 16]),
            timeline: 0,
            tick: 9,
            sim_time_us: 900,
            from,
            to: from + 1,
            superseded: false,
            late: false,
        }
    }

    /// Told so, late or not; then taken back or not, late or not; then opened again: what counts before and after.
    #[test]
    fn the_table_of_the_module() {
        for (told_late, back, counts, counts_after) in [
            (false, None, true, true),
            (false, Some(false), false, false),
            (false, Some(true), true, false),
            (true, None, false, true),
            (true, Some(true), false, false),
        ] {
            let mut rows = Rows::default();
            let mut changes = Changes::new();
            rows.told(&mut changes, step(0), told_late);
            if let Some(late) = back {
                rows.rewind(&mut changes, (step(0).driver, RunId([1; 16]), 1), 500, late);
            }
            rows.apply(std::mem::take(&mut changes));
            let shown = |rows: &Rows<IncidentStep>| rows.iter().any(|row| !row.superseded);
            assert_eq!(shown(&rows), counts, "{told_late} {back:?}");
            rows.reopen(&mut changes);
            rows.apply(changes);
            assert_eq!(shown(&rows), counts_after, "opened again: {told_late} {back:?}");
            assert!(rows.iter().all(|row| !row.late));
        }
    }

    #[test]
    fn a_row_that_counts_and_is_told_again_late_stays_as_it_was() {
        let mut rows = Rows::default();
        for (from, late, kept) in [(0, false, 0), (1, false, 1), (2, true, 1), (3, false, 3)] {
            let mut changes = Changes::new();
            rows.told(&mut changes, step(from), late);
            rows.apply(changes);
            assert_eq!(rows.iter().map(|row| row.from).collect::<Vec<_>>(), [kept]);
        }
    }
}
