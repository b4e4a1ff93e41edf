//! How a [`SessionView`] follows what processors commit, and what that changed.
//!
//! A step is looked into here and nowhere else.

use std::collections::BTreeSet;

use boxbox_schemas::results::{AnyRow, FlagChange, IncidentStep, PitVisit, Row, SessionInfo, Step};

use super::rows::{Fate, Keyed, LapKey, Rows, Table};
use super::{SessionView, tables};

/// What of a session changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Changes {
    /// Laps that were not there before.
    pub new: BTreeSet<LapKey>,
    /// Laps that were there and are told anew.
    pub revised: BTreeSet<LapKey>,
    /// Laps that are no more.
    pub withdrawn: BTreeSet<LapKey>,
    /// Flags.
    pub flags: bool,
    /// Visits to the pit lane.
    pub pit_visits: bool,
    /// Incidents.
    pub incidents: bool,
    /// Where a car is.
    pub cars: bool,
    /// What a client says of the session: its track, its cars, its limits.
    pub description: bool,
    /// It was closed, opened again or retired (E9).
    pub life: bool,
}

impl Changes {
    fn lap(&mut self, key: LapKey, fate: Option<Fate>) {
        match fate {
            Some(Fate::New) if self.withdrawn.remove(&key) => _ = self.revised.insert(key),
            Some(Fate::New) => _ = self.new.insert(key),
            Some(Fate::Revised) if !self.new.contains(&key) => _ = self.revised.insert(key),
            Some(Fate::Gone) if !self.new.remove(&key) => {
                self.revised.remove(&key);
                self.withdrawn.insert(key);
            }
            _ => {}
        }
    }

    fn session(&mut self, before: Option<&SessionInfo>, after: Option<&SessionInfo>) {
        let meta = |info: Option<&SessionInfo>| info.and_then(|i| i.meta.clone());
        let life = |info: Option<&SessionInfo>| info.map(|i| (i.closed, i.retired));
        self.description |= meta(before) != meta(after);
        self.life |= life(before) != life(after);
    }
}

impl SessionView {
    /// Take in what a processor committed; steps come in the order in which they were committed.
    ///
    /// Steps that a store had when it was read for [`SessionView::replace`] may come again, as long as all that follow them come
    /// too: each row that they take back to an older state is told again by a later one of them.
    pub fn apply(&mut self, step: &Step) -> Changes {
        let (id, mut changes) = (self.session, Changes::default());
        if let Some(info) = step.sessions.iter().rfind(|s| s.id == id) {
            changes.session(self.info.as_ref(), Some(info));
            self.info = Some(info.clone());
        }
        // Withdrawals come before the laps of their step.
        for (_, entry, number) in step.withdrawn.iter().filter(|(session, ..)| *session == id) {
            changes.lap((*entry, *number), self.laps.remove((*entry, *number)));
        }
        for lap in step.laps.iter().filter(|l| l.session == id) {
            changes.lap(lap.key(), self.laps.put(lap));
        }
        for row in step.rows.iter().filter(|row| row.head.session == id) {
            // A row of another kind is a newer version's, which this view does not show.
            if row.kind == FlagChange::KIND {
                changes.flags |= put(&mut self.flags, row);
            } else if row.kind == PitVisit::KIND {
                changes.pit_visits |= put(&mut self.pit_visits, row);
            } else if row.kind == IncidentStep::KIND {
                changes.incidents |= put(&mut self.incidents, row);
            }
        }
        for stream in step.streams.iter().filter(|s| s.ledger.stream.session == id) {
            let key = stream.ledger.stream;
            let own = std::iter::once((None, stream.now.as_ref()));
            // Of the cars that it sees, those that are not named stay as they are.
            let seen = stream.field.iter().map(|f| (Some(f.slot), f.now.as_ref()));
            for (slot, now) in own.chain(seen) {
                let fate = match now {
                    Some(now) => self.cars.put(now),
                    None => self.cars.remove((key.driver, key.run, slot)),
                };
                changes.cars |= fate.is_some();
            }
        }
        if step.retired.contains(&id) {
            // A store keeps of a retired session where each stream's own car is, and not what it saw of others.
            changes.cars |= self.cars.retain(|c| !c.field);
        }
        changes
    }

    /// Everything was read anew: what is not among `rows` is gone.
    pub fn replace(&mut self, info: Option<SessionInfo>, rows: Rows) -> Changes {
        let next = Self { session: self.session, info, ..tables(rows) };
        let mut changes = Changes {
            flags: differ(&self.flags, &next.flags),
            pit_visits: differ(&self.pit_visits, &next.pit_visits),
            incidents: differ(&self.incidents, &next.incidents),
            cars: differ(&self.cars, &next.cars),
            ..Changes::default()
        };
        changes.session(self.info.as_ref(), next.info.as_ref());
        for (key, fate) in self.laps.fates(&next.laps) {
            changes.lap(key, Some(fate));
        }
        *self = next;
        changes
    }
}

/// Take in a row; whether it changed anything. What cannot be read is a newer version's, and shows nothing.
fn put<R: Row + Keyed>(table: &mut Table<R>, row: &AnyRow) -> bool {
    row.read::<R>().is_ok_and(|row| table.put(&row).is_some())
}

fn differ<R: Keyed>(before: &Table<R>, after: &Table<R>) -> bool {
    before.all() != after.all()
}
