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
use std::ops::Bound;

use boxbox_schemas::limits::STREAM_ROWS_MAX;
use boxbox_schemas::results::{AnyRow, RowHead, RowKey, RowKind};
use boxbox_schemas::{DriverId, EntryId, RunId};

/// The key of a row within its session.
type RowId = (RowKey, RowKind);
/// The key of a row within its stream: timeline, slot, tick, kind.
type RowOfStream = (u32, u16, u32, RowKind);

/// A session's rows, and which of them have changed since the last step.
#[derive(Default)]
pub(super) struct Rows {
    rows: BTreeMap<RowId, AnyRow>,
    of_streams: BTreeMap<(DriverId, RunId), OfStream>,
    /// Rows about cars that other clients see, by the entry under which they see it.
    seen: BTreeMap<EntryId, BTreeSet<RowId>>,
    changed: BTreeSet<RowId>,
}

/// An index of one stream's rows.
#[derive(Default)]
struct OfStream {
    rows: usize,
    /// Rows that a rewind may still undo, by their end, µs; those without an end are last.
    by_end: BTreeSet<(i64, RowOfStream)>,
}

/// Rows with their new content, not yet applied.
#[derive(Default)]
pub(super) struct Changes {
    rows: BTreeMap<RowId, AnyRow>,
    /// How many of them do not exist yet.
    added: usize,
}

impl Changes {
    pub(super) fn len(&self) -> usize {
        self.rows.len()
    }
}

impl Rows {
    pub(super) fn restore(&mut self, row: AnyRow) {
        self.insert(id(&row), row);
    }

    fn insert(&mut self, id: RowId, row: AnyRow) {
        let of_stream = self.of_streams.entry((id.0.driver, id.0.run)).or_default();
        let end = (end_us(&row.head), in_stream(&id));
        if can_be_undone(&row.head) {
            of_stream.by_end.insert(end);
        }
        let head = row.head;
        if head.field {
            self.seen.entry(seen_as(&head)).or_default().insert(id);
        }
        let Some(before) = self.rows.insert(id, row).map(|before| before.head) else {
            of_stream.rows += 1;
            return;
        };
        if !can_be_undone(&head) || end_us(&before) != end.0 {
            of_stream.by_end.remove(&(end_us(&before), end.1));
        }
        if before.field && (!head.field || seen_as(&before) != seen_as(&head)) {
            self.seen.entry(seen_as(&before)).or_default().remove(&id);
        }
    }

    /// Whether no row has the key of `row`.
    pub(super) fn is_new(&self, changes: &Changes, row: &AnyRow) -> bool {
        let id = id(row);
        !changes.rows.contains_key(&id) && !self.rows.contains_key(&id)
    }

    /// Whether the stream of `row` has as many rows as a stream may have (`limit.rows`). `changes` are of the same stream.
    pub(super) fn is_full(&self, changes: &Changes, row: &AnyRow) -> bool {
        let rows = self.of_streams.get(&(row.head.key.driver, row.head.key.run)).map_or(0, |of_stream| of_stream.rows);
        rows + changes.added >= STREAM_ROWS_MAX
    }

    /// Add or replace a row; `late`: its record comes after the session's close.
    pub(super) fn put(&self, changes: &mut Changes, mut row: AnyRow, late: bool) {
        let id = id(&row);
        match changes.rows.get(&id).or_else(|| self.rows.get(&id)).map(|before| before.head) {
            Some(before) if late && !before.superseded => return,
            // A row that a rewind has superseded stays superseded, even if its stream emits it again.
            Some(before) => (row.head.superseded, row.head.late) = (before.superseded, before.late),
            None => {
                changes.added += 1;
                (row.head.superseded, row.head.late) = (late, late);
            }
        }
        changes.rows.insert(id, row);
    }

    /// Supersede the rows of (driver, run) whose timeline is below `timeline` and that end after `to_us`. Returns how many were looked at.
    pub(super) fn rewind(&self, changes: &mut Changes, (driver, run, timeline): (DriverId, RunId, u32), to_us: i64, late: bool) -> u64 {
        let first = |timeline| (RowKey { driver, run, timeline, slot: 0, tick: 0 }, RowKind::FIRST);
        let behind = (Bound::Excluded((to_us, (u32::MAX, u16::MAX, u32::MAX, RowKind::LAST))), Bound::Unbounded);
        let ends = self.of_streams.get(&(driver, run)).into_iter().flat_map(|of_stream| of_stream.by_end.range(behind));
        let known = ends.map(|&(_, (timeline, slot, tick, kind))| (RowKey { driver, run, timeline, slot, tick }, kind));
        let mut ids: Vec<RowId> = known.filter(|id| !changes.rows.contains_key(id)).collect();
        ids.extend(changes.rows.range(first(0)..first(timeline)).map(|(id, _)| *id));
        let work = 1 + ids.len() as u64;
        for id in ids.into_iter().filter(|id| id.0.timeline < timeline) {
            let Some(row) = changes.rows.get(&id).or_else(|| self.rows.get(&id)).filter(|row| ends_after(&row.head, to_us)) else { continue };
            if !can_be_undone(&row.head) {
                continue;
            }
            let mut row = row.clone();
            match row.head.superseded {
                false if late => row.head.late = true,
                false => row.head.superseded = true,
                true => row.head.late = false,
            }
            changes.rows.insert(id, row);
        }
        work
    }

    /// The session is opened again: late rows count.
    pub(super) fn reopen(&self, changes: &mut Changes) {
        for row in self.rows.values().filter(|row| row.head.late) {
            let mut row = row.clone();
            row.head.late = false;
            row.head.superseded ^= true;
            changes.rows.insert(id(&row), row);
        }
    }

    /// Rows about cars that other clients see count for the entry of the car's owner, which `owner` returns for the entry seen. `moved`:
    /// the entries seen whose owner has changed; `None`: any. Returns how many rows were looked at.
    pub(super) fn assign_owners(&self, changes: &mut Changes, owner: impl Fn(EntryId) -> EntryId, moved: Option<&BTreeSet<EntryId>>) -> u64 {
        changes.rows.values_mut().for_each(|row| row.head = with_owner(row.head, &owner));
        let mut work = changes.rows.len() as u64;
        let seen: Vec<&BTreeSet<RowId>> = match moved {
            Some(moved) => moved.iter().filter_map(|entry| self.seen.get(entry)).collect(),
            None => self.seen.values().collect(),
        };
        for id in seen.into_iter().flatten() {
            work += 1;
            let row = self.rows.get(id).filter(|row| with_owner(row.head, &owner) != row.head && !changes.rows.contains_key(id));
            if let Some(row) = row {
                changes.rows.insert(*id, AnyRow { head: with_owner(row.head, &owner), ..row.clone() });
            }
        }
        work
    }

    pub(super) fn apply(&mut self, changes: Changes) {
        for (id, row) in changes.rows {
            if self.rows.get(&id) != Some(&row) {
                self.changed.insert(id);
                self.insert(id, row);
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

fn in_stream((key, kind): &RowId) -> RowOfStream {
    (key.timeline, key.slot, key.tick, *kind)
}

/// When the row ends, µs; what has no end is last.
fn end_us(head: &RowHead) -> i64 {
    head.until_us.unwrap_or(i64::MAX)
}

/// Whether a rewind to `to_us` supersedes the row.
fn ends_after(head: &RowHead, to_us: i64) -> bool {
    head.until_us.is_none_or(|until_us| until_us > to_us)
}

/// Whether a rewind changes the row; else one has done so already.
fn can_be_undone(head: &RowHead) -> bool {
    head.superseded == head.late
}

/// The entry under which another client sees the row's car.
fn seen_as(head: &RowHead) -> EntryId {
    head.seen_as.unwrap_or(head.entry)
}

/// The head with the entry of the car's owner.
pub(super) fn with_owner(head: RowHead, owner: impl Fn(EntryId) -> EntryId) -> RowHead {
    if !head.field {
        return head;
    }
    let seen_as = seen_as(&head);
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
            let mut changes = Changes::default();
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

    /// The driver goes back twice after the close, over the same row: it is undone once.
    #[test]
    fn a_row_that_is_undone_twice_late_stays_undone() {
        let (mut rows, mut changes) = (Rows::default(), Changes::default());
        rows.put(&mut changes, AnyRow::of(&step(0)), false);
        rows.apply(std::mem::take(&mut changes));
        for timeline in [1, 2] {
            rows.rewind(&mut changes, (step(0).driver, RunId([1; 16]), timeline), 500, true);
            rows.apply(std::mem::take(&mut changes));
        }
        assert!(rows.rows.values().all(|row| !row.head.superseded), "the session is closed");
        rows.reopen(&mut changes);
        rows.apply(changes);
        assert!(rows.rows.values().all(|row| row.head.superseded));
    }

    #[test]
    fn a_row_that_counts_and_comes_again_late_stays_as_it_was() {
        let mut rows = Rows::default();
        for (from, late, kept) in [(0, false, 0), (1, false, 1), (2, true, 1), (3, false, 3)] {
            let mut changes = Changes::default();
            rows.put(&mut changes, AnyRow::of(&step(from)), late);
            rows.apply(changes);
            assert_eq!(AnyRow::read_all::<IncidentStep>(rows.rows.values()).unwrap().iter().map(|row| row.from).collect::<Vec<_>>(), [kept]);
        }
    }
}
