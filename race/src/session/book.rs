//! The book of a session: facts as each stream tells them, and of each lap the one chosen (E3, E4).
//!
//! Facts are kept under the entry that their teller knows. A car seen by others is known to them by the simulator's ids;
//! once a driver's own stream of the session claims it, the session says so ([`Owners`]) and what was told of the car
//! counts for that driver's entry.
//!
//! While the session is closed (E9) facts are taken in, laps with [`Tags::LATE`], and nothing is chosen.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{AnyRow, Lap, Step, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId};

use super::choice::choose;
use super::rows::{Changes, Rows, owned};
use crate::stream::Fact;

/// A lap of a session: entry and number.
type LapId = (EntryId, u32);
/// Who tells a fact: driver, run, timeline.
type Teller = (DriverId, RunId, u32);
/// What is told of one lap.
type Facts = BTreeMap<Teller, Lap>;
/// Cars seen by others that are the car of a driver with a stream of their own: as whom they are seen, whose they are.
pub type Owners = BTreeMap<EntryId, Owner>;

/// Whose car it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Owner {
    /// Who drives it.
    pub driver: DriverId,
    /// Who competes in it.
    pub entry: EntryId,
}

/// What changes did when they were made.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Applied {
    /// Laps chosen, revised ones included.
    pub laps: u64,
    /// Laps withdrawn.
    pub withdrawn: u64,
    /// Rows told, changed or taken back.
    pub rows: u64,
}

/// Facts, chosen laps and rows of one session.
#[derive(Default)]
pub struct Book {
    facts: BTreeMap<LapId, Facts>,
    laps: BTreeMap<LapId, Lap>,
    rows: Rows,
    owners: Owners,
    /// For each owner's entry, as whom its car is seen.
    seen: BTreeMap<EntryId, BTreeSet<EntryId>>,
    closed: bool,
    changed_facts: BTreeSet<(LapId, Teller)>,
    changed_laps: BTreeSet<LapId>,
}

/// Changes worked out and not yet made.
#[derive(Default)]
pub struct Staged {
    /// Everything told of each lap that a fact has touched.
    facts: BTreeMap<LapId, Facts>,
    touched: Vec<(LapId, Teller)>,
    rows: Changes,
    chosen: Vec<(LapId, Option<Lap>)>,
}

impl Book {
    /// A lap as a stream told it, as a store kept it.
    pub fn restore_fact(&mut self, fact: Lap) {
        self.facts.entry(lap_id(&fact)).or_default().insert(teller(&fact), fact);
    }

    /// A chosen lap, as a store kept it.
    pub fn restore_lap(&mut self, lap: Lap) {
        self.laps.insert(lap_id(&lap), lap);
    }

    /// A row of any kind, as a store kept it.
    pub fn restore_row(&mut self, row: AnyRow) {
        self.rows.restore(row);
    }

    /// What was restored was chosen under these owners, in a session that is closed or not.
    pub fn restored(&mut self, owners: Owners, closed: bool) {
        self.know(owners);
        self.closed = closed;
    }

    /// Work out what the facts of one stream change.
    pub fn stage(&self, told: Vec<Fact>) -> Staged {
        let mut staged = Staged::default();
        for fact in told {
            match fact {
                Fact::Lap(lap) => self.stage_lap(&mut staged, lap),
                Fact::Row(mut row) => {
                    row.head = owned(row.head, |told_as| self.entry(told_as));
                    self.rows.told(&mut staged.rows, row, self.closed);
                }
                Fact::Rewind { driver, run, timeline, to_us, .. } => self.stage_rewind(&mut staged, (driver, run, timeline), to_us),
            }
        }
        if !self.closed {
            let touched = staged.facts.iter().flat_map(|(id, facts)| facts.values().map(|f| (self.owner(f).entry, id.1))).collect();
            self.stage_choice(&mut staged, touched);
        }
        staged
    }

    fn stage_lap(&self, staged: &mut Staged, mut lap: Lap) {
        let (id, who) = (lap_id(&lap), teller(&lap));
        let facts = staged.facts.entry(id).or_insert_with(|| self.facts.get(&id).cloned().unwrap_or_default());
        if self.closed {
            if facts.get(&who) == Some(&lap) {
                // It settles as the close has settled it: nothing that came late.
                return;
            }
            lap.tags = lap.tags.with(Tags::LATE);
        }
        if let Some(before) = facts.get(&who).filter(|f| f.superseded) {
            (lap.superseded, lap.revision) = (true, before.revision);
        }
        facts.insert(who, lap);
        staged.touched.push((id, who));
    }

    fn stage_rewind(&self, staged: &mut Staged, back: Teller, to_us: i64) {
        let undone = |who: &Teller, f: &Lap| !f.superseded && f.end_us > to_us && (who.0, who.1) == (back.0, back.1) && who.2 < back.2;
        let known = self.facts.iter().filter(|(_, facts)| facts.iter().any(|(who, f)| undone(who, f))).map(|(id, _)| *id);
        let laps: BTreeSet<LapId> = known.chain(staged.facts.keys().copied()).collect();
        for id in laps {
            let facts = staged.facts.entry(id).or_insert_with(|| self.facts.get(&id).cloned().unwrap_or_default());
            for (who, fact) in facts.iter_mut().filter(|(who, f)| undone(who, f)) {
                fact.superseded = true;
                // Remembers which revision the lap had reached, should it be withdrawn now and told anew later.
                fact.revision = self.laps.get(&(self.owner(fact).entry, id.1)).map_or(fact.revision, |l| l.revision);
                staged.touched.push((id, *who));
            }
        }
        self.rows.rewind(&mut staged.rows, back, to_us, self.closed);
    }

    /// Choose anew for each of `laps`, which are named by whose they are.
    fn stage_choice(&self, staged: &mut Staged, laps: BTreeSet<LapId>) {
        for id in laps {
            let told_as = std::iter::once(id.0).chain(self.seen.get(&id.0).into_iter().flatten().copied());
            let told = |entry| staged.facts.get(&(entry, id.1)).or_else(|| self.facts.get(&(entry, id.1)));
            let facts: Vec<&Lap> = told_as.filter_map(told).flat_map(BTreeMap::values).filter(|f| self.owner(f).entry == id.0).collect();
            let before = self.laps.get(&id);
            let after = choose(facts.iter().copied().filter(|f| !f.superseded)).map(|lap| revised(self.owned(&lap), before, &facts));
            if after.as_ref() != before {
                staged.chosen.push((id, after));
            }
        }
    }

    /// Whose car the fact is of. Who drives a car that nobody claims is known as the car is, not as who saw it.
    fn owner(&self, fact: &Lap) -> Owner {
        let Lap { entry, driver, .. } = *fact;
        if !fact.tags.has(Tags::FIELD) {
            return Owner { driver, entry };
        }
        self.owners.get(&entry).copied().unwrap_or(Owner { driver: DriverId(entry.0), entry })
    }

    /// The fact as its owner's lap.
    fn owned(&self, fact: &Lap) -> Lap {
        let Owner { driver, entry } = self.owner(fact);
        Lap { driver, entry, ..fact.clone() }
    }

    /// Whose cars are whose has changed: what was told of them is chosen anew.
    /// Gives as whom they are seen.
    pub fn own(&mut self, owners: Owners) -> (BTreeSet<EntryId>, Applied) {
        let differs = |told_as: &EntryId| self.owners.get(told_as) != owners.get(told_as);
        let moved: BTreeSet<EntryId> = self.owners.keys().chain(owners.keys()).copied().filter(differs).collect();
        let before = self.named(|entry| moved.contains(&entry));
        self.know(owners);
        if self.closed || moved.is_empty() {
            return (moved, Applied::default());
        }
        let after = self.named(|entry| moved.contains(&entry));
        let mut staged = Staged::default();
        self.stage_choice(&mut staged, before.into_iter().chain(after).collect());
        self.rows.own(&mut staged.rows, |told_as| self.entry(told_as));
        let applied = self.apply(staged);
        (moved, applied)
    }

    /// Who competes in the car that is seen as `seen_as`.
    pub fn entry(&self, seen_as: EntryId) -> EntryId {
        self.owners.get(&seen_as).map_or(seen_as, |owner| owner.entry)
    }

    /// The laps that are told under entries that `of` takes, by whose they are.
    fn named(&self, of: impl Fn(EntryId) -> bool) -> BTreeSet<LapId> {
        let told = self.facts.iter().filter(|(id, _)| of(id.0));
        told.flat_map(|(id, facts)| facts.values().map(|f| (self.owner(f).entry, id.1))).collect()
    }

    fn know(&mut self, owners: Owners) {
        self.seen.clear();
        for (told_as, owner) in &owners {
            self.seen.entry(owner.entry).or_default().insert(*told_as);
        }
        self.owners = owners;
    }

    /// The session is closed: from here on what is told is late.
    pub fn close(&mut self) {
        self.closed = true;
    }

    /// The session is opened again: what came late counts, and everything is chosen anew.
    pub fn reopen(&mut self) -> Applied {
        self.closed = false;
        let mut staged = Staged::default();
        self.rows.reopen(&mut staged.rows);
        self.rows.own(&mut staged.rows, |told_as| self.entry(told_as));
        let told = self.named(|_| true);
        self.stage_choice(&mut staged, told.into_iter().chain(self.laps.keys().copied()).collect());
        self.apply(staged)
    }

    /// Make staged changes.
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

/// `lap` as the newest revision of its lap: as `before` if nothing else has changed, else one more than was ever reached.
fn revised(lap: Lap, before: Option<&Lap>, facts: &[&Lap]) -> Lap {
    let reached = before.map_or_else(|| facts.iter().filter(|f| f.superseded).map(|f| f.revision).max(), |b| Some(b.revision));
    let same = before.filter(|b| Lap { revision: b.revision, ..lap.clone() } == **b);
    let revision = same.map_or(reached.unwrap_or(0) + 1, |b| b.revision);
    Lap { revision, ..lap }
}

fn lap_id(lap: &Lap) -> LapId {
    (lap.entry, lap.number)
}

fn teller(lap: &Lap) -> Teller {
    (lap.driver, lap.run, lap.timeline)
}
