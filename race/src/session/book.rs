//! The book of a session: the facts of all its streams, and for each lap the fact that was chosen (E3a, E4).
//!
//! A fact is kept under the entry that its stream knows. Other clients know a car by the simulator's ids only. Once a driver's
//! own stream claims the car, the session passes that on ([`Owners`]), and the facts about the car count for that driver's
//! entry (E3b).
//!
//! While the session is closed (E9b), facts are kept, laps with [`Tags::LATE`], and none is chosen.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::limits::{CAR_LAPS_PER_MINUTE, LAP_BYTES, ROW_BYTES};
use boxbox_schemas::results::{AnyRow, Lap, Step, Tags};
use boxbox_schemas::{DriverId, EntryId, SessionId};

use super::choice::{choose, cost};
use super::facts::{FactId, Facts, LapId, StreamTimeline, fact_id};
use super::rows::{Rows, with_owner};
use super::staged::Staged;
use crate::stream::Fact;

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

/// Counts of what a set of changes did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Laps chosen, including revised ones.
    pub laps: u64,
    /// Laps withdrawn.
    pub withdrawn: u64,
    /// Rows added, changed or superseded.
    pub rows: u64,
}

/// What a change of owners did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// The entries under which other clients see the cars whose owner changed.
    pub entries: BTreeSet<EntryId>,
    /// What changed.
    pub applied: Applied,
    /// Units of work, see [`Staged::work`].
    pub work: u64,
}

/// Facts, chosen laps and rows of one session.
#[derive(Default)]
pub struct Book {
    facts: Facts,
    laps: BTreeMap<LapId, Lap>,
    rows: Rows,
    owners: Owners,
    /// For each owner's entry, the entries under which other clients see its car.
    seen: BTreeMap<EntryId, BTreeSet<EntryId>>,
    closed: bool,
    changed_facts: BTreeSet<FactId>,
    changed_laps: BTreeSet<LapId>,
}

impl Book {
    /// Restore a stream's fact about a lap from a store.
    pub fn restore_fact(&mut self, fact: Lap) {
        self.facts.put(fact);
    }

    /// Restore a chosen lap from a store.
    pub fn restore_lap(&mut self, lap: Lap) {
        self.laps.insert((lap.entry, lap.number), lap);
    }

    /// Restore a row of any kind from a store.
    pub fn restore_row(&mut self, row: AnyRow) {
        self.rows.restore(row);
    }

    /// End the restoring: the restored laps were chosen with these owners, and the session is `closed` or not.
    pub fn finish_restore(&mut self, owners: Owners, closed: bool) {
        self.index_owners(owners);
        self.closed = closed;
    }

    /// Compute what facts change. `room`: they are of one stream, whose driver may add so many bytes to what is kept, and bounds of laps
    /// and rows hold (`limit.laps`, `limit.rows`, `limit.kept`).
    pub fn stage(&self, facts: Vec<Fact>, room: Option<u64>) -> Staged {
        let mut staged = Staged::within(room);
        for fact in facts {
            match fact {
                Fact::Lap(lap) => self.stage_lap(&mut staged, lap),
                Fact::Row(row) => self.stage_row(&mut staged, row),
                Fact::Rewind { driver, run, timeline, to_us, .. } => self.stage_rewind(&mut staged, (driver, run, timeline), to_us),
            }
        }
        if !self.closed {
            let laps = std::mem::take(&mut staged.to_choose);
            self.stage_choice(&mut staged, laps);
        }
        staged
    }

    fn stage_lap(&self, staged: &mut Staged, mut lap: Lap) {
        let key @ (id, who) = fact_id(&lap);
        let before = self.facts.get(&staged.facts, &key);
        let before = before.map(|before| (self.owner_of(before).entry, before.superseded.then_some(before.revision), *before == lap));
        staged.work += 1;
        if before.is_none() && staged.room.is_some() {
            if self.facts.in_the_minute_of(&staged.facts, &lap) >= CAR_LAPS_PER_MINUTE {
                return staged.refuse("laps");
            }
            if !staged.keep(LAP_BYTES) {
                return;
            }
        }
        if self.closed {
            if before.is_some_and(|(.., same)| same) {
                // The lap settles with the same content that it had at the close, so nothing came late.
                return;
            }
            // It came after the close (`tag.late`).
            lap.tags = lap.tags.with(Tags::LATE);
        }
        if let Some((owner, undone, _)) = before {
            staged.to_choose.insert((owner, id.1));
            if let Some(revision) = undone {
                (lap.superseded, lap.revision) = (true, revision);
            }
        }
        staged.to_choose.insert((self.owner_of(&lap).entry, id.1));
        staged.put(id, who, lap);
    }

    fn stage_row(&self, staged: &mut Staged, mut row: AnyRow) {
        row.head = with_owner(row.head, |seen_as| self.entry(seen_as));
        staged.work += 1;
        if staged.room.is_some() && self.rows.is_new(&staged.rows, &row) {
            if self.rows.is_full(&staged.rows, &row) {
                return staged.refuse("rows");
            }
            if !staged.keep(ROW_BYTES) {
                return;
            }
        }
        self.rows.put(&mut staged.rows, row, self.closed);
    }

    fn stage_rewind(&self, staged: &mut Staged, back: StreamTimeline, to_us: i64) {
        let (undone, work) = self.facts.undone_by(&staged.facts, back, to_us);
        staged.work += work;
        for (id, who) in undone {
            let Some(mut fact) = self.facts.get(&staged.facts, &(id, who)).cloned() else { continue };
            let chosen = (self.owner_of(&fact).entry, id.1);
            fact.superseded = true;
            // Keeps the revision that the lap has reached: if the lap is withdrawn now and chosen again later, its revision must rise.
            fact.revision = self.laps.get(&chosen).map_or(fact.revision, |l| l.revision);
            staged.to_choose.insert(chosen);
            staged.put(id, who, fact);
        }
        staged.work += self.rows.rewind(&mut staged.rows, back, to_us, self.closed);
    }

    /// Choose again for each of `laps`, which are given by their owner's entry.
    fn stage_choice(&self, staged: &mut Staged, mut laps: BTreeSet<LapId>) {
        let joined = |id: &LapId| self.laps.get(id).is_some_and(|l| l.tags.has(Tags::JOINED));
        let behind: Vec<LapId> = laps.iter().map(|id| (id.0, id.1.saturating_add(1))).filter(joined).collect();
        laps.extend(behind);
        for id in laps {
            let others = self.seen.get(&id.0).into_iter().flatten().copied().filter(|seen_as| *seen_as != id.0);
            let (mut facts, mut reached): (Vec<&Lap>, u32) = (vec![], 0);
            for entry in std::iter::once(id.0).chain(others) {
                let of_entry = self.facts.about(&staged.facts, (entry, id.1));
                facts.extend(of_entry.filter(|f| self.owner_of(f).entry == id.0));
                let (own, field) = (entry == id.0, self.entry(entry) == id.0);
                reached = reached.max(self.facts.reached(&staged.facts, (entry, id.1), own, field));
                staged.work += 1;
            }
            staged.work += cost(&facts);
            let before = self.laps.get(&id);
            let chosen = choose(facts.into_iter());
            let after = chosen.map(|lap| revised(self.begun(staged, self.as_owners(&lap)), before, reached));
            if after.as_ref() != before {
                staged.chosen.push((id, after));
            }
        }
    }

    /// A lap whose beginning no client saw began where the entry's lap before ended, if that is known (`lap.join`).
    fn begun(&self, staged: &Staged, lap: Lap) -> Lap {
        if !lap.tags.has(Tags::JOINED) {
            return lap;
        }
        let before = (lap.entry, lap.number.saturating_sub(1));
        // Laps are chosen in the order of their keys.
        let staged = staged.chosen.binary_search_by_key(&before, |(id, _)| *id).ok().map(|place| staged.chosen[place].1.as_ref());
        match staged.unwrap_or_else(|| self.laps.get(&before)) {
            Some(before) if before.end_us < lap.end_us => lap.starting_at(before.end_us),
            _ => lap,
        }
    }

    /// Who the fact's car belongs to. A car that no stream claims gets the entry as its driver, not the driver of the client that saw
    /// it (`seen.owner`).
    fn owner_of(&self, fact: &Lap) -> Owner {
        let Lap { entry, driver, .. } = *fact;
        if !fact.tags.has(Tags::FIELD) {
            return Owner { driver, entry };
        }
        self.owners.get(&entry).copied().unwrap_or(Owner { driver: DriverId(entry.0), entry })
    }

    /// The fact with its owner as driver and entry.
    fn as_owners(&self, fact: &Lap) -> Lap {
        let Owner { driver, entry } = self.owner_of(fact);
        Lap { driver, entry, ..fact.clone() }
    }

    /// Cars that other clients see have other owners, or none, from now on: their laps are chosen again.
    pub fn set_owners(&mut self, changed: impl IntoIterator<Item = (EntryId, Option<Owner>)>) -> Moved {
        let changed = changed.into_iter().filter(|(seen_as, owner)| self.owners.get(seen_as) != owner.as_ref());
        let changed: BTreeMap<EntryId, Option<Owner>> = changed.collect();
        let moved: BTreeSet<EntryId> = changed.keys().copied().collect();
        let mut laps = self.owned_laps(&moved);
        for (seen_as, owner) in changed {
            self.set_owner(seen_as, owner);
        }
        if self.closed || moved.is_empty() {
            return Moved { entries: moved, ..Moved::default() };
        }
        laps.extend(self.owned_laps(&moved));
        let mut staged = Staged::default();
        self.stage_choice(&mut staged, laps);
        staged.work += self.rows.assign_owners(&mut staged.rows, |seen_as| self.entry(seen_as), Some(&moved));
        Moved { entries: moved, work: staged.work(), applied: self.apply(staged) }
    }

    fn set_owner(&mut self, seen_as: EntryId, owner: Option<Owner>) {
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
    pub fn entry(&self, seen_as: EntryId) -> EntryId {
        self.owners.get(&seen_as).map_or(seen_as, |owner| owner.entry)
    }

    /// The laps whose facts are kept under one of `entries`, by their owner's entry.
    fn owned_laps(&self, entries: &BTreeSet<EntryId>) -> BTreeSet<LapId> {
        let of_entry = |entry: &EntryId| {
            let owner = self.entry(*entry);
            self.facts.numbers(*entry).map(move |number| (owner, number))
        };
        entries.iter().flat_map(of_entry).collect()
    }

    fn index_owners(&mut self, owners: Owners) {
        self.seen.clear();
        for (seen_as, owner) in &owners {
            self.seen.entry(owner.entry).or_default().insert(*seen_as);
        }
        self.owners = owners;
    }

    /// The session is closed: facts that come from now on are late (`session.late`).
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The session is opened again: late facts count, and every lap is chosen again.
    pub fn reopen(&mut self) -> Applied {
        self.closed = false;
        let mut staged = Staged::default();
        self.rows.reopen(&mut staged.rows);
        self.rows.assign_owners(&mut staged.rows, |seen_as| self.entry(seen_as), None);
        let known = self.facts.laps().flat_map(|id| [id, (self.entry(id.0), id.1)]);
        self.stage_choice(&mut staged, known.chain(self.laps.keys().copied()).collect());
        self.apply(staged)
    }

    /// Apply staged changes.
    pub fn apply(&mut self, staged: Staged) -> Applied {
        let mut applied = Applied { rows: staged.rows.len() as u64, ..Applied::default() };
        for (id, facts) in staged.facts {
            self.changed_facts.extend(facts.keys().map(|who| (id, *who)));
            facts.into_values().for_each(|fact| self.facts.put(fact));
        }
        for (id, chosen) in staged.chosen {
            self.changed_laps.insert(id);
            match chosen {
                Some(lap) => {
                    applied.laps += 1;
                    self.laps.insert(id, lap);
                }
                None => {
                    applied.withdrawn += 1;
                    self.laps.remove(&id);
                }
            }
        }
        self.rows.apply(staged.rows);
        applied
    }

    /// Whether a lap or a row has changed since the last step.
    pub fn has_news(&self) -> bool {
        !self.changed_laps.is_empty() || self.rows.has_changed()
    }

    /// Put everything that has changed since the last step into `step`.
    pub fn drain(&mut self, session: SessionId, step: &mut Step) {
        let facts = std::mem::take(&mut self.changed_facts);
        step.facts.extend(facts.iter().filter_map(|(id, who)| self.facts.stored(id, who)).cloned());
        for id in std::mem::take(&mut self.changed_laps) {
            match self.laps.get(&id) {
                Some(lap) => step.laps.push(lap.clone()),
                None => step.withdrawn.push((session, id.0, id.1)),
            }
        }
        step.rows.extend(self.rows.drain());
    }
}

/// `lap` with its revision: that of `before` if nothing else has changed, else one more than the highest so far (`choice.revision`), which
/// is that of `before`, or `reached` by facts that were undone.
fn revised(lap: Lap, before: Option<&Lap>, reached: u32) -> Lap {
    let same = before.filter(|b| Lap { revision: b.revision, ..lap.clone() } == **b);
    let revision = same.map_or(before.map_or(reached, |b| b.revision) + 1, |b| b.revision);
    Lap { revision, ..lap }
}
