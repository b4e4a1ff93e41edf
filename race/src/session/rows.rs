//! Rows that need no choice: each is a result as its stream emits it. One row for each key, of any kind; its head has all that is
//! needed here.
//!
//! A record that comes after the session's close changes no row until the session is opened again (E9b). So a row has two bits:
//! `superseded` means that the row does not count, and `late` that `superseded` is inverted when the session is opened again.
//!
//! | `superseded` | `late` | the row |
//! |---|---|---|
//! | no | no | counts |
//! | yes | no | was superseded by a rewind |
//! | yes | yes | came late: it counts once the session is opened again |
//! | no | yes | was superseded late: it counts until the session is opened again |
//!
//! A row that counts and comes again after the close (a pit visit that was under way then) stays as it was.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{AnyRow, RowHead, RowKey, RowKind};
use boxbox_schemas::{DriverId, EntryId, RunId};

/// The key of a row within its session. Rows of a timeline are neighbours, so that a rewind finds them.
type RowId = (RowKey, RowKind);

/// A session's rows, and which of them have changed since the last step.
#[derive(Default)]
pub(super) struct Rows {
    rows: BTreeMap<RowId, AnyRow>,
    changed: BTreeSet<RowId>,
}

/// Rows with their new content, not yet applied.
pub(super) type Changes = BTreeMap<RowId, AnyRow>;

impl Rows {
    pub(super) fn restore(&mut self, row: AnyRow) {
        self.rows.insert(id(&row), row);
    }

    /// Add or replace a row; `late`: its record comes after the session's close.
    pub(super) fn put(&self, changes: &mut Changes, mut row: AnyRow, late: bool) {
        let id = id(&row);
        match changes.get(&id).or_else(|| self.rows.get(&id)).map(|before| before.head) {
            Some(before) if late && !before.superseded => return,
            // A row that a rewind has superseded stays superseded, even if its stream emits it again.
            Some(before) => (row.head.superseded, row.head.late) = (before.superseded, before.late),
            None => (row.head.superseded, row.head.late) = (late, late),
        }
        changes.insert(id, row);
    }

    /// Supersede the rows of (driver, run) whose timeline is below `timeline` and that end after `to_us`.
    pub(super) fn rewind(&self, changes: &mut Changes, (driver, run, timeline): (DriverId, RunId, u32), to_us: i64, late: bool) {
        let first = |timeline| (RowKey { driver, run, timeline, slot: 0, tick: 0 }, RowKind::FIRST);
        let back = first(0)..first(timeline);
        let known = self.rows.range(back.clone()).filter(|(id, _)| !changes.contains_key(*id)).map(|(_, row)| row);
        let undone: Vec<AnyRow> = known.chain(changes.range(back).map(|(_, row)| row)).filter(|row| ends_after(&row.head, to_us)).cloned().collect();
        for mut row in undone {
            match (row.head.superseded, row.head.late) {
                (false, false) if late => row.head.late = true,
                (false, _) => row.head.superseded = true,
                (true, true) => row.head.late = false,
                (true, false) => continue,
            }
            changes.insert(id(&row), row);
        }
    }

    /// The session is opened again: late rows count.
    pub(super) fn reopen(&self, changes: &mut Changes) {
        for row in self.rows.values().filter(|row| row.head.late) {
            let mut row = row.clone();
            row.head.late = false;
            row.head.superseded ^= true;
            changes.insert(id(&row), row);
        }
    }

    /// Rows about cars that other clients see count for the entry of the car's owner, which `owner` returns for the entry seen.
    pub(super) fn assign_owners(&self, changes: &mut Changes, owner: impl Fn(EntryId) -> EntryId) {
        let moved = |row: &AnyRow| with_owner(row.head, &owner) != row.head;
        changes.values_mut().for_each(|row| row.head = with_owner(row.head, &owner));
        let known = self.rows.iter().filter(|(id, row)| moved(row) && !changes.contains_key(*id));
        let known: Vec<_> = known.map(|(id, row)| (*id, AnyRow { head: with_owner(row.head, &owner), ..row.clone() })).collect();
        changes.extend(known);
    }

    pub(super) fn apply(&mut self, changes: Changes) {
        for (id, row) in changes {
            if self.rows.get(&id) != Some(&row) {
                self.changed.insert(id);
                self.rows.insert(id, row);
            }
        }
    }

    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The rows that have changed since the last call.
    pub(super) fn drain(&mut self) -> impl Iterator<Item = AnyRow> + use<'_> {
        std::mem::take(&mut self.changed).into_iter().filter_map(|id| self.rows.get(&id)).cloned()
    }
}

fn id(row: &AnyRow) -> RowId {
    (row.head.key, row.kind)
}

/// Whether a rewind to `to_us` supersedes the row.
fn ends_after(head: &RowHead, to_us: i64) -> bool {
    head.until_us.is_none_or(|until_us| until_us > to_us)
}

/// The head with the entry of the car's owner.
pub(super) fn with_owner(head: RowHead, owner: impl Fn(EntryId) -> EntryId) -> RowHead {
    if !head.field {
        return head;
    }
    let seen_as = head.seen_as.unwrap_or(head.entry);
    let entry = owner(seen_as);
    RowHead { entry, seen_as: (entry != seen_as).then_some(seen_as), ..head }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxbox_schemas::results::IncidentStep;

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

    /// A row comes, late or not; then a rewind supersedes it or not, late or not; then the session is opened again: what counts before and after.
    #[test]
    fn the_table_of_the_module() {
        for (put_late, back, counts, counts_after) in [
            (false, None, true, true),
            (false, Some(false), false, false),
            (false, Some(true), true, false),
            (true, None, false, true),
            (true, Some(true), false, false),
        ] {
            let mut rows = Rows::default();
            let mut changes = Changes::new();
            rows.put(&mut changes, AnyRow::of(&step(0)), put_late);
            if let Some(late) = back {
                rows.rewind(&mut changes, (step(0).driver, RunId([1; 16]), 1), 500, late);
            }
            rows.apply(std::mem::take(&mut changes));
            let shown = |rows: &Rows| rows.rows.values().any(|row| !row.head.superseded);
            assert_eq!(shown(&rows), counts, "{put_late} {back:?}");
            rows.reopen(&mut changes);
            rows.apply(changes);
            assert_eq!(shown(&rows), counts_after, "opened again: {put_late} {back:?}");
            assert!(rows.rows.values().all(|row| !row.head.late));
        }
    }

    #[test]
    fn a_row_that_counts_and_comes_again_late_stays_as_it_was() {
        let mut rows = Rows::default();
        for (from, late, kept) in [(0, false, 0), (1, false, 1), (2, true, 1), (3, false, 3)] {
            let mut changes = Changes::new();
            rows.put(&mut changes, AnyRow::of(&step(from)), late);
            rows.apply(changes);
            assert_eq!(AnyRow::read_all::<IncidentStep>(rows.rows.values()).unwrap().iter().map(|row| row.from).collect::<Vec<_>>(), [kept]);
        }
    }
}
