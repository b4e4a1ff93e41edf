//! The book of a session: the facts of all its streams, and for each lap the fact that was chosen (E3a, E4).
//!
//! A fact is kept under the entry that its stream knows. Other clients know a car by the simulator's ids only. Once a driver's
//! own stream claims the car, the session passes that on ([`Owners`]), and the facts about the car count for that driver's
//! entry (E3b).
//!
//! While the session is closed (E9b), facts are kept, laps with [`Tags::LATE`], and none is chosen.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::limits::{CAR_LAPS_PER_MINUTE, LAP_BYTES, ROW_BYTES};
use boxbox_schemas::results::{AnyRow, Conflict, Lap, Silenced, Step, Tags};
use boxbox_schemas::{EntryId, SessionId};

use super::choice::{choose, cost};
use super::chosen::{Chosen, revised};
use super::coverage::Coverage;
use super::credible::{Covers, Credible, StreamId};
use super::description::{Lengths, Named};
use super::facts::{FactChanges, FactId, Facts, LapId, StreamTimeline, fact_id};
use super::owners::{Owner, Owners, Ownership};
use super::rows::{Rows, with_owner};
use super::staged::Staged;
use crate::stream::Fact;

/// What a stored session knows beside facts and laps, by which its laps were chosen.
#[derive(Default)]
pub struct Known<'a> {
    /// Of each stream, whose car its own car is, and what it showed.
    pub streams: Vec<(StreamId, EntryId, Coverage)>,
    /// Whose reports do not count.
    pub silenced: Silenced<'a>,
    /// Length of the lap.
    pub lengths: Lengths,
    /// In which slots clients say that there are cars.
    pub named: Named,
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
    /// Units of work that were not in [`Staged::work`]: laps that were chosen again.
    pub work: u64,
}

/// What a change of owners did.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// The entries under which other clients see the cars whose owner changed.
    pub entries: BTreeSet<EntryId>,
    /// What changed.
    pub applied: Applied,
}

/// What is told of a lap.
struct AboutLap<'a> {
    /// The facts that count, of all streams.
    facts: Vec<&'a Lap>,
    /// The highest revision of those that were undone.
    reached: u32,
    /// Under so many entries.
    looked_at: u64,
}

/// Facts, chosen laps and rows of one session.
#[derive(Default)]
pub struct Book {
    facts: Facts,
    chosen: Chosen,
    rows: Rows,
    owners: Ownership,
    closed: bool,
    credible: Credible,
    changed_facts: BTreeSet<FactId>,
}

impl Book {
    /// Restore a stream's fact about a lap from a store.
    pub fn restore_fact(&mut self, fact: Lap) {
        self.credible.tells(&fact);
        self.facts.put(fact);
    }

    /// Restore a chosen lap from a store.
    pub fn restore_lap(&mut self, lap: Lap) {
        self.chosen.restore(lap);
    }

    /// Restore a row of any kind from a store.
    pub fn restore_row(&mut self, row: AnyRow) {
        self.rows.restore(row);
    }

    /// End the restoring: the restored laps were chosen with these owners and with this knowledge, and the session is `closed` or not.
    pub fn finish_restore(&mut self, owners: Owners, known: &Known<'_>, closed: bool) {
        for (id, entry, coverage) in &known.streams {
            self.credible.cover(*id, *entry, coverage);
        }
        self.credible.silence(known.silenced);
        self.credible.set_lengths(known.lengths.clone());
        self.credible.set_named(known.named.clone());
        self.owners = Ownership::new(owners);
        self.closed = closed;
        let nothing = FactChanges::new();
        for id in self.all_laps() {
            let against = self.credible.against(&self.about(&nothing, id).facts, self.chosen.get(id));
            self.chosen.set_against(id, against);
        }
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
        let before = before.map(|before| (self.owners.of(before).entry, before.superseded.then_some(before.revision), *before == lap));
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
        staged.to_choose.insert((self.owners.of(&lap).entry, id.1));
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
            let chosen = (self.owners.of(&fact).entry, id.1);
            fact.superseded = true;
            // Keeps the revision that the lap has reached: if the lap is withdrawn now and chosen again later, its revision must rise.
            fact.revision = self.chosen.get(chosen).map_or(fact.revision, |l| l.revision);
            staged.to_choose.insert(chosen);
            staged.put(id, who, fact);
        }
        staged.work += self.rows.rewind(&mut staged.rows, back, to_us, self.closed);
    }

    /// Choose again for each of `laps`, which are given by their owner's entry.
    fn stage_choice(&self, staged: &mut Staged, mut laps: BTreeSet<LapId>) {
        let joined = |id: &LapId| self.chosen.get(*id).is_some_and(|l| l.tags.has(Tags::JOINED));
        let behind: Vec<LapId> = laps.iter().map(|id| (id.0, id.1.saturating_add(1))).filter(joined).collect();
        laps.extend(behind);
        for id in laps {
            let AboutLap { facts, reached, looked_at } = self.about(&staged.facts, id);
            staged.work += looked_at + cost(&facts);
            let before = self.chosen.get(id);
            let chosen = choose(self.credible.counting(&facts, id.0).into_iter());
            let after = chosen.map(|lap| revised(self.begun(&staged.chosen, self.owners.owned(&lap)), before, reached));
            let against = self.credible.against(&facts, after.as_ref());
            if against != self.chosen.against(id).cloned().unwrap_or_default() {
                staged.against.push((id, against));
            }
            if after.as_ref() != before {
                staged.chosen.push((id, after));
            }
        }
    }

    /// What is told of a lap, which is given by its owner's entry, as `changes` leave it.
    fn about<'a>(&'a self, changes: &'a FactChanges, id: LapId) -> AboutLap<'a> {
        let mut about = AboutLap { facts: vec![], reached: 0, looked_at: 0 };
        for entry in self.owners.kept_under(id.0) {
            let of_entry = self.facts.about(changes, (entry, id.1));
            about.facts.extend(of_entry.filter(|f| self.owners.of(f).entry == id.0));
            let (own, field) = (entry == id.0, self.entry(entry) == id.0);
            about.reached = about.reached.max(self.facts.reached(changes, (entry, id.1), own, field));
            about.looked_at += 1;
        }
        about
    }

    /// A stream has shown its own car, `entry`'s, and other cars as `coverage` says: laps that this contradicts are chosen again.
    pub fn cover(&mut self, id: StreamId, entry: EntryId, coverage: &Coverage) -> Applied {
        let laps: BTreeSet<LapId> = match self.credible.cover(id, entry, coverage) {
            _ if self.closed => return Applied::default(),
            Covers::Nothing => return Applied::default(),
            Covers::More(from_us, until_us) => self.chosen.questioned(from_us, until_us).collect(),
            Covers::Anew(entries) => self.laps_of(entries),
        };
        self.choose_again(laps)
    }

    /// Set whose reports do not count. The laps of which they tell are chosen again: of `entries`, or all.
    pub fn silence(&mut self, silenced: Silenced<'_>, entries: Option<BTreeSet<EntryId>>) -> Applied {
        if !self.credible.silence(silenced) || self.closed {
            return Applied::default();
        }
        let laps = entries.map_or_else(|| self.all_laps(), |entries| self.laps_of(entries));
        self.choose_again(laps)
    }

    /// Set the length of the lap: what is too fast by it does not count (`lap.impossible`).
    pub fn set_lengths(&mut self, lengths: Lengths) -> Applied {
        let changed = self.credible.set_lengths(lengths);
        if self.closed {
            return Applied::default();
        }
        let laps = match changed {
            None => self.all_laps(),
            Some(drivers) => {
                let told = drivers.into_iter().flat_map(|driver| self.facts.told_by(driver));
                told.flat_map(|id| [id, (self.entry(id.0), id.1)]).collect()
            }
        };
        self.choose_again(laps)
    }

    /// Set in which slots clients say that there are cars: what few see of a car that others do not list does not count (`seen.majority`).
    pub fn set_named(&mut self, named: Named) -> Applied {
        let slots = self.credible.set_named(named);
        if self.closed {
            return Applied::default();
        }
        self.choose_again(self.laps_of(self.told_in(slots)))
    }

    /// Whose cars were told of in these slots.
    fn told_in(&self, slots: BTreeSet<u16>) -> BTreeSet<EntryId> {
        slots.into_iter().flat_map(|slot| self.credible.entries_in(slot)).map(|seen_as| self.entry(seen_as)).collect()
    }

    fn choose_again(&mut self, laps: BTreeSet<LapId>) -> Applied {
        if laps.is_empty() {
            return Applied::default();
        }
        let mut staged = Staged::default();
        self.stage_choice(&mut staged, laps);
        let work = staged.work();
        let applied = self.apply(staged);
        Applied { work: work + applied.work, ..applied }
    }

    /// The laps of these entries, as others see their cars too.
    fn laps_of(&self, entries: BTreeSet<EntryId>) -> BTreeSet<LapId> {
        let mut laps = BTreeSet::new();
        for entry in entries {
            for seen_as in self.owners.kept_under(entry) {
                laps.extend(self.facts.numbers(seen_as).flat_map(|number| [(seen_as, number), (self.entry(seen_as), number)]));
            }
        }
        laps
    }

    /// All laps, by the entries under which facts about them are kept and by their owners' entries.
    fn all_laps(&self) -> BTreeSet<LapId> {
        let known = self.facts.laps().flat_map(|id| [id, (self.entry(id.0), id.1)]);
        known.chain(self.chosen.ids()).collect()
    }

    /// Which drivers tell laps of which entries otherwise than they count.
    pub fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.chosen.conflicts()
    }

    /// A lap whose beginning no client saw began where the entry's lap before ended, if that is known (`lap.join`).
    fn begun(&self, chosen: &[(LapId, Option<Lap>)], lap: Lap) -> Lap {
        if !lap.tags.has(Tags::JOINED) {
            return lap;
        }
        let before = (lap.entry, lap.number.saturating_sub(1));
        // Laps are chosen in the order of their keys.
        let staged = chosen.binary_search_by_key(&before, |(id, _)| *id).ok().map(|place| chosen[place].1.as_ref());
        match staged.unwrap_or_else(|| self.chosen.get(before)) {
            Some(before) if before.end_us < lap.end_us => lap.starting_at(before.end_us),
            _ => lap,
        }
    }

    /// Cars that other clients see have other owners, or none, from now on: their laps are chosen again.
    pub fn set_owners(&mut self, changed: impl IntoIterator<Item = (EntryId, Option<Owner>)>) -> Moved {
        let changed = changed.into_iter().filter(|(seen_as, owner)| self.owners.get(*seen_as) != *owner);
        let changed: BTreeMap<EntryId, Option<Owner>> = changed.collect();
        let moved: BTreeSet<EntryId> = changed.keys().copied().collect();
        let mut laps = self.owned_laps(&moved);
        for (seen_as, owner) in changed {
            self.owners.set(seen_as, owner);
        }
        if self.closed || moved.is_empty() {
            return Moved { entries: moved, ..Moved::default() };
        }
        laps.extend(self.owned_laps(&moved));
        let mut staged = Staged::default();
        self.stage_choice(&mut staged, laps);
        staged.work += self.rows.assign_owners(&mut staged.rows, |seen_as| self.entry(seen_as), Some(&moved));
        let work = staged.work();
        let applied = self.apply(staged);
        Moved { entries: moved, applied: Applied { work: work + applied.work, ..applied } }
    }

    /// The entry of the car that other clients see as `seen_as`.
    pub fn entry(&self, seen_as: EntryId) -> EntryId {
        self.owners.entry(seen_as)
    }

    /// The laps whose facts are kept under one of `entries`, by their owner's entry.
    fn owned_laps(&self, entries: &BTreeSet<EntryId>) -> BTreeSet<LapId> {
        let of_entry = |entry: &EntryId| {
            let owner = self.entry(*entry);
            self.facts.numbers(*entry).map(move |number| (owner, number))
        };
        entries.iter().flat_map(of_entry).collect()
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
        self.stage_choice(&mut staged, self.all_laps());
        self.apply(staged)
    }

    /// Apply staged changes.
    pub fn apply(&mut self, staged: Staged) -> Applied {
        let mut applied = Applied { rows: staged.rows.len() as u64, ..Applied::default() };
        let told = staged.facts.values().flat_map(BTreeMap::values);
        let told: BTreeSet<u16> = told.filter(|f| self.credible.tells(f)).map(|f| f.slot).collect();
        for (id, facts) in staged.facts {
            self.changed_facts.extend(facts.keys().map(|who| (id, *who)));
            facts.into_values().for_each(|fact| self.facts.put(fact));
        }
        for (id, against) in staged.against {
            self.chosen.set_against(id, against);
        }
        for (id, chosen) in staged.chosen {
            match &chosen {
                Some(_) => applied.laps += 1,
                None => applied.withdrawn += 1,
            }
            self.chosen.set(id, chosen);
        }
        self.rows.apply(staged.rows);
        if !self.closed && !told.is_empty() {
            // A client that tells of a car for the first time may contradict others about its laps before.
            let again = self.choose_again(self.laps_of(self.told_in(told)));
            (applied.laps, applied.withdrawn) = (applied.laps + again.laps, applied.withdrawn + again.withdrawn);
            applied.work += again.work;
        }
        applied
    }

    /// Whether a lap or a row has changed since the last step.
    pub fn has_news(&self) -> bool {
        self.chosen.has_changed() || self.rows.has_changed()
    }

    /// Put everything that has changed since the last step into `step`.
    pub fn drain(&mut self, session: SessionId, step: &mut Step) {
        let facts = std::mem::take(&mut self.changed_facts);
        step.facts.extend(facts.iter().filter_map(|(id, who)| self.facts.stored(id, who)).cloned());
        for id in self.chosen.take_changed() {
            match self.chosen.get(id) {
                Some(lap) => step.laps.push(lap.clone()),
                None => step.withdrawn.push((session, id.0, id.1)),
            }
        }
        step.rows.extend(self.rows.drain());
    }
}
