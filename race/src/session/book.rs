//! The book of a session: the facts of all its streams, and for each lap the fact that was chosen (E3a, E4).
//!
//! A fact is kept under the entry that its stream knows. Other clients know a car by the simulator's ids only. Once a driver's
//! own stream claims the car, the session passes that on ([`Owners`]), and the facts about the car count for that driver's
//! entry (E3b).
//!
//! While the session is closed (E9b), facts are kept, laps with [`Tags::LATE`], and none is chosen.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{AnyRow, Lap, Step, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId};

use super::choice::choose;
use super::rows::{Changes, Rows, with_owner};
use crate::stream::Fact;

/// A lap of a session: entry and number.
type LapId = (EntryId, u32);
/// Which timeline of which stream a fact comes from: driver, run, timeline.
type StreamTimeline = (DriverId, RunId, u32);
/// All facts about one lap.
type LapFacts = BTreeMap<StreamTimeline, Lap>;
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

/// Facts, chosen laps and rows of one session.
#[derive(Default)]
pub struct Book {
    facts: BTreeMap<LapId, LapFacts>,
    laps: BTreeMap<LapId, Lap>,
    rows: Rows,
    owners: Owners,
    /// For each owner's entry, the entries under which other clients see its car.
    seen: BTreeMap<EntryId, BTreeSet<EntryId>>,
    closed: bool,
    changed_facts: BTreeSet<(LapId, StreamTimeline)>,
    changed_laps: BTreeSet<LapId>,
}

/// Changes that are computed and not yet applied.
#[derive(Default)]
pub struct Staged {
    /// All facts about each lap that one of the new facts is about.
    facts: BTreeMap<LapId, LapFacts>,
    touched: Vec<(LapId, StreamTimeline)>,
    rows: Changes,
    chosen: Vec<(LapId, Option<Lap>)>,
}

impl Book {
    /// Restore a stream's fact about a lap from a store.
    pub fn restore_fact(&mut self, fact: Lap) {
        self.facts.entry(lap_id(&fact)).or_default().insert(stream_timeline(&fact), fact);
    }

    /// Restore a chosen lap from a store.
    pub fn restore_lap(&mut self, lap: Lap) {
        self.laps.insert(lap_id(&lap), lap);
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

    /// Compute what the facts of one stream change.
    pub fn stage(&self, facts: Vec<Fact>) -> Staged {
        let mut staged = Staged::default();
        for fact in facts {
            match fact {
                Fact::Lap(lap) => self.stage_lap(&mut staged, lap),
                Fact::Row(mut row) => {
                    row.head = with_owner(row.head, |seen_as| self.entry(seen_as));
                    self.rows.put(&mut staged.rows, row, self.closed);
                }
                Fact::Rewind { driver, run, timeline, to_us, .. } => self.stage_rewind(&mut staged, (driver, run, timeline), to_us),
            }
        }
        if !self.closed {
            let touched = staged.facts.iter().flat_map(|(id, facts)| facts.values().map(|f| (self.owner_of(f).entry, id.1))).collect();
            self.stage_choice(&mut staged, touched);
        }
        staged
    }

    fn stage_lap(&self, staged: &mut Staged, mut lap: Lap) {
        let (id, who) = (lap_id(&lap), stream_timeline(&lap));
        let facts = staged.facts.entry(id).or_insert_with(|| self.facts.get(&id).cloned().unwrap_or_default());
        if self.closed {
            if facts.get(&who) == Some(&lap) {
                // The lap settles with the same content that it had at the close, so nothing came late.
                return;
            }
            // It came after the close (`tag.late`).
            lap.tags = lap.tags.with(Tags::LATE);
        }
        if let Some(before) = facts.get(&who).filter(|f| f.superseded) {
            (lap.superseded, lap.revision) = (true, before.revision);
        }
        facts.insert(who, lap);
        staged.touched.push((id, who));
    }

    fn stage_rewind(&self, staged: &mut Staged, back: StreamTimeline, to_us: i64) {
        let undone = |who: &StreamTimeline, f: &Lap| !f.superseded && f.end_us > to_us && (who.0, who.1) == (back.0, back.1) && who.2 < back.2;
        let known = self.facts.iter().filter(|(_, facts)| facts.iter().any(|(who, f)| undone(who, f))).map(|(id, _)| *id);
        let laps: BTreeSet<LapId> = known.chain(staged.facts.keys().copied()).collect();
        for id in laps {
            let facts = staged.facts.entry(id).or_insert_with(|| self.facts.get(&id).cloned().unwrap_or_default());
            for (who, fact) in facts.iter_mut().filter(|(who, f)| undone(who, f)) {
                fact.superseded = true;
                // Keeps the revision that the lap has reached: if the lap is withdrawn now and chosen again later, its revision must rise.
                fact.revision = self.laps.get(&(self.owner_of(fact).entry, id.1)).map_or(fact.revision, |l| l.revision);
                staged.touched.push((id, *who));
            }
        }
        self.rows.rewind(&mut staged.rows, back, to_us, self.closed);
    }

    /// Choose again for each of `laps`, which are given by their owner's entry.
    fn stage_choice(&self, staged: &mut Staged, mut laps: BTreeSet<LapId>) {
        let joined = |id: &LapId| self.laps.get(id).is_some_and(|l| l.tags.has(Tags::JOINED));
        let behind: Vec<LapId> = laps.iter().map(|id| (id.0, id.1.saturating_add(1))).filter(joined).collect();
        laps.extend(behind);
        for id in laps {
            let seen_as = std::iter::once(id.0).chain(self.seen.get(&id.0).into_iter().flatten().copied());
            let of_entry = |entry| staged.facts.get(&(entry, id.1)).or_else(|| self.facts.get(&(entry, id.1)));
            let facts: Vec<&Lap> = seen_as.filter_map(of_entry).flat_map(BTreeMap::values).filter(|f| self.owner_of(f).entry == id.0).collect();
            let before = self.laps.get(&id);
            let chosen = choose(facts.iter().copied().filter(|f| !f.superseded));
            let after = chosen.map(|lap| revised(self.begun(staged, self.as_owners(&lap)), before, &facts));
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
        let staged = staged.chosen.iter().rfind(|(id, _)| *id == before).map(|(_, lap)| lap.as_ref());
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

    /// The owners have changed: the laps of the cars concerned are chosen again. Returns the entries under which other clients see
    /// those cars.
    pub fn set_owners(&mut self, owners: Owners) -> (BTreeSet<EntryId>, Applied) {
        let differs = |seen_as: &EntryId| self.owners.get(seen_as) != owners.get(seen_as);
        let moved: BTreeSet<EntryId> = self.owners.keys().chain(owners.keys()).copied().filter(differs).collect();
        let before = self.owned_laps(|entry| moved.contains(&entry));
        self.index_owners(owners);
        if self.closed || moved.is_empty() {
            return (moved, Applied::default());
        }
        let after = self.owned_laps(|entry| moved.contains(&entry));
        let mut staged = Staged::default();
        self.stage_choice(&mut staged, before.into_iter().chain(after).collect());
        self.rows.assign_owners(&mut staged.rows, |seen_as| self.entry(seen_as));
        let applied = self.apply(staged);
        (moved, applied)
    }

    /// The entry of the car that other clients see as `seen_as`.
    pub fn entry(&self, seen_as: EntryId) -> EntryId {
        self.owners.get(&seen_as).map_or(seen_as, |owner| owner.entry)
    }

    /// The laps whose facts are kept under an entry that passes `of`, by their owner's entry.
    fn owned_laps(&self, of: impl Fn(EntryId) -> bool) -> BTreeSet<LapId> {
        let laps = self.facts.iter().filter(|(id, _)| of(id.0));
        laps.flat_map(|(id, facts)| facts.values().map(|f| (self.owner_of(f).entry, id.1))).collect()
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
        self.rows.assign_owners(&mut staged.rows, |seen_as| self.entry(seen_as));
        let known = self.owned_laps(|_| true);
        self.stage_choice(&mut staged, known.into_iter().chain(self.laps.keys().copied()).collect());
        self.apply(staged)
    }

    /// Apply staged changes.
    pub fn apply(&mut self, staged: Staged) -> Applied {
        let mut applied = Applied { rows: staged.rows.len() as u64, ..Applied::default() };
        self.changed_facts.extend(staged.touched);
        self.facts.extend(staged.facts);
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
        step.facts.extend(facts.iter().filter_map(|(id, who)| self.facts.get(id)?.get(who)).cloned());
        for id in std::mem::take(&mut self.changed_laps) {
            match self.laps.get(&id) {
                Some(lap) => step.laps.push(lap.clone()),
                None => step.withdrawn.push((session, id.0, id.1)),
            }
        }
        step.rows.extend(self.rows.drain());
    }
}

/// `lap` with its revision: that of `before` if nothing else has changed, else one more than the highest so far (`choice.revision`).
fn revised(lap: Lap, before: Option<&Lap>, facts: &[&Lap]) -> Lap {
    let reached = before.map_or_else(|| facts.iter().filter(|f| f.superseded).map(|f| f.revision).max(), |b| Some(b.revision));
    let same = before.filter(|b| Lap { revision: b.revision, ..lap.clone() } == **b);
    let revision = same.map_or(reached.unwrap_or(0) + 1, |b| b.revision);
    Lap { revision, ..lap }
}

fn lap_id(lap: &Lap) -> LapId {
    (lap.entry, lap.number)
}

fn stream_timeline(lap: &Lap) -> StreamTimeline {
    (lap.driver, lap.run, lap.timeline)
}
