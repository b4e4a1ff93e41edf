//! Applies the steps that processors commit to a [`SessionView`], and returns what changed. No other file reads a step.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::DriverId;
use boxbox_schemas::results::{AnyRow, CarNow, FlagChange, IncidentStep, Lap, PitVisit, Row, SessionInfo, SessionStateChange, Silenced, Step};

use crate::stream::field_entry;

use super::rows::{Keyed, LapKey, RowChange, Rows, Table};
use super::{SessionView, plain, tables};

/// What changed in a session.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Laps that are new.
    pub new: BTreeSet<LapKey>,
    /// Laps whose content changed.
    pub revised: BTreeSet<LapKey>,
    /// Laps that were removed.
    pub withdrawn: BTreeSet<LapKey>,
    /// Changes of flags. Which flags are out depends on `states` and `cars` too.
    pub flags: bool,
    /// The session state that clients are shown.
    pub states: bool,
    /// Pit visits.
    pub pit_visits: bool,
    /// Incidents.
    pub incidents: bool,
    /// Where a car is.
    pub cars: bool,
    /// The description of the session: its track, its cars, its limits.
    pub description: bool,
    /// The session was closed, opened again or retired (E9), or other clients' reports count than before.
    pub life: bool,
}

impl Changes {
    fn lap(&mut self, key: LapKey, change: Option<RowChange>) {
        match change {
            Some(RowChange::New) if self.withdrawn.remove(&key) => _ = self.revised.insert(key),
            Some(RowChange::New) => _ = self.new.insert(key),
            Some(RowChange::Revised) if !self.new.contains(&key) => _ = self.revised.insert(key),
            Some(RowChange::Gone) if !self.new.remove(&key) => {
                self.revised.remove(&key);
                self.withdrawn.insert(key);
            }
            _ => {}
        }
    }

    fn session(&mut self, before: Option<&SessionInfo>, after: Option<&SessionInfo>) {
        let meta = |info: Option<&SessionInfo>| info.and_then(|i| i.meta.clone());
        let life = |info: Option<&SessionInfo>| info.map(|i| (i.closed, i.retired, i.excluded.clone(), i.refused.clone()));
        self.description |= meta(before) != meta(after);
        self.life |= life(before) != life(after);
    }
}

impl SessionView {
    /// Apply a step that a processor committed. Steps must come in the order of their commits.
    ///
    /// A step that is already part of the rows given to [`SessionView::replace`] may come again, if all steps after it come again too: a
    /// row that it sets back to an older state is then set again by a later step.
    pub fn apply(&mut self, step: &Step) -> Changes {
        let (id, mut changes) = (self.session, Changes::default());
        if let Some(info) = step.sessions.iter().rfind(|s| s.id == id) {
            changes.session(self.info.as_ref(), Some(info));
            self.info = Some(info.clone());
        }
        // A step's withdrawals apply before its laps.
        for (_, entry, number) in step.withdrawn.iter().filter(|(session, ..)| *session == id) {
            changes.lap((*entry, *number), self.laps.remove((*entry, *number)));
        }
        for lap in step.laps.iter().filter(|l| l.session == id) {
            changes.lap(lap.key(), self.laps.put(lap));
        }
        for row in step.rows.iter().filter(|row| row.head.session == id) {
            // A row of another kind comes from a newer version. This view does not show it.
            if row.kind == FlagChange::KIND {
                changes.flags |= put(&mut self.flags, row);
            } else if row.kind == SessionStateChange::KIND {
                changes.states |= put(&mut self.states, row);
            } else if row.kind == PitVisit::KIND {
                changes.pit_visits |= put(&mut self.pit_visits, row);
            } else if row.kind == IncidentStep::KIND {
                changes.incidents |= put(&mut self.incidents, row);
            }
        }
        for stream in step.streams.iter().filter(|s| s.ledger.stream.session == id) {
            let key = stream.ledger.stream;
            let own = std::iter::once((None, stream.now.as_ref()));
            // A step names only the seen cars that changed; the others stay as they are.
            let seen = stream.field.iter().map(|f| (Some(f.slot), f.now.as_ref()));
            for (slot, now) in own.chain(seen) {
                let before = self.aside.cars.remove((key.driver, key.run, slot));
                let change = match now {
                    Some(now) => self.cars.put(now),
                    None => self.cars.remove((key.driver, key.run, slot)),
                };
                changes.cars |= before.or(change).is_some();
            }
        }
        if step.retired.contains(&id) {
            // A store keeps each stream's own car of a retired session, and removes the cars that it saw.
            changes.cars |= self.cars.retain(|c| !c.field) | self.aside.cars.retain(|c| !c.field);
        }
        let moved = self.silence();
        changes.flags |= moved.flags;
        changes.states |= moved.states;
        changes.pit_visits |= moved.pit_visits;
        changes.incidents |= moved.incidents;
        changes.cars |= moved.cars;
        changes
    }

    /// Set aside the rows of those whose reports do not count, and take back those of whom they count again.
    pub(super) fn silence(&mut self) -> Changes {
        let mut changes = Changes::default();
        let silenced = self.info.as_ref().map(SessionInfo::silenced).unwrap_or_default();
        let aside = &mut self.aside;
        let meta = self.info.as_ref().and_then(|info| info.meta.as_ref());
        let laps = &self.laps;
        let unlisted = Unlisted::of(self.cars.all().iter().chain(aside.cars.all()), silenced, laps);
        // `seen.stranger`
        let stranger = |car: &CarNow| {
            let ids = car.field && car.entry.as_str().as_bytes().get(1) == Some(&b':');
            let named = meta.filter(|meta| ids && meta.entries.iter().any(|e| e.slot == car.slot)).and_then(|meta| field_entry(Some(meta), car.slot));
            let otherwise = named.is_some_and(|named| named != car.entry);
            (otherwise || unlisted.has(car)) && laps.range((car.entry, 0), (car.entry, u32::MAX)).is_empty()
        };
        changes.cars |= self.cars.exchange(&mut aside.cars, |r| silenced.covers(r.driver, r.run, r.entry, r.field) || stranger(r));
        if !silenced.any() && aside.is_empty() {
            return changes;
        }
        changes.flags |= self.flags.exchange(&mut aside.flags, |r| silenced.covers(r.driver, r.run, r.entry, false));
        changes.states |= self.states.exchange(&mut aside.states, |r| silenced.covers(r.driver, r.run, r.entry, false));
        changes.pit_visits |= self.pit_visits.exchange(&mut aside.pit_visits, |r| silenced.covers(r.driver, r.run, r.entry, r.field));
        changes.incidents |= self.incidents.exchange(&mut aside.incidents, |r| silenced.covers(r.driver, r.run, r.entry, false));
        changes
    }

    /// Replace all rows, after a store was read again: rows that are not among `rows` are removed.
    pub fn replace(&mut self, info: Option<SessionInfo>, rows: Rows) -> Changes {
        let mut next = Self { session: self.session, info: info.map(plain), ..tables(rows) };
        next.silence();
        let mut changes = Changes {
            flags: differ(&self.flags, &next.flags),
            states: differ(&self.states, &next.states),
            pit_visits: differ(&self.pit_visits, &next.pit_visits),
            incidents: differ(&self.incidents, &next.incidents),
            cars: differ(&self.cars, &next.cars),
            ..Changes::default()
        };
        changes.session(self.info.as_ref(), next.info.as_ref());
        for (key, change) in self.laps.row_changes(&next.laps) {
            changes.lap(key, Some(change));
        }
        *self = next;
        changes
    }
}

/// Put a row into its table; true if this changed it. A row that cannot be read comes from a newer version and is left out.
fn put<R: Row + Keyed>(table: &mut Table<R>, row: &AnyRow) -> bool {
    row.read::<R>().is_ok_and(|row| table.put(&row).is_some())
}

fn differ<R: Keyed>(before: &Table<R>, after: &Table<R>) -> bool {
    before.all() != after.all()
}

/// The slots in which few see cars without a lap, and others, who see cars too, see none (`seen.stranger`).
struct Unlisted(BTreeSet<u16>);

impl Unlisted {
    fn of<'a>(cars: impl Iterator<Item = &'a CarNow>, silenced: Silenced<'_>, laps: &Table<Lap>) -> Self {
        let (mut observers, mut seen): (BTreeSet<DriverId>, BTreeMap<u16, BTreeSet<DriverId>>) = Default::default();
        let (mut own, mut driving) = (BTreeSet::new(), BTreeSet::new());
        for car in cars.filter(|car| !silenced.covers(car.driver, car.run, car.entry, car.field)) {
            if car.field {
                observers.insert(car.driver);
                seen.entry(car.slot).or_default().insert(car.driver);
            } else {
                own.insert(car.slot);
            }
            if !laps.range((car.entry, 0), (car.entry, u32::MAX)).is_empty() {
                driving.insert(car.slot);
            }
        }
        let few = |by: &BTreeSet<DriverId>| observers.len() - by.len() >= 2 && observers.len() > 2 * by.len();
        let slots = seen.into_iter().filter(|(slot, by)| !own.contains(slot) && !driving.contains(slot) && few(by));
        Self(slots.map(|(slot, _)| slot).collect())
    }

    fn has(&self, car: &CarNow) -> bool {
        car.field && self.0.contains(&car.slot)
    }
}
