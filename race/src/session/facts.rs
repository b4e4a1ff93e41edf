//! [`Facts`]: what all streams say about laps, with an index by the time at which laps end, so that a lap and a rewind cost what they
//! change and not what a session has.
//!
//! Facts that a rewind undid are kept, because their laps must not come back with a lower revision, but they cost no other fact anything: of
//! them only the highest revision is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use boxbox_schemas::results::{Lap, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId};

/// A lap of a session: entry and number.
pub(super) type LapId = (EntryId, u32);
/// Which timeline of which stream a fact comes from: driver, run, timeline.
pub(super) type StreamTimeline = (DriverId, RunId, u32);
/// The key of a fact.
pub(super) type FactId = (LapId, StreamTimeline);
/// Facts with their new content, not yet applied.
pub(super) type FactChanges = BTreeMap<LapId, BTreeMap<StreamTimeline, Lap>>;

/// A minute of session time, µs.
const MINUTE_US: i64 = 60_000_000;

/// Facts by when the lap ends, µs, with its timeline and its number.
type Ends = BTreeSet<(i64, u32, u32)>;

/// All facts of a session. See the [module](self).
#[derive(Default)]
pub(super) struct Facts {
    laps: BTreeMap<LapId, OfLap>,
    /// For each stream and entry, the facts that count.
    by_end: BTreeMap<(DriverId, RunId), BTreeMap<EntryId, Ends>>,
}

/// All facts about one lap.
#[derive(Default)]
struct OfLap {
    live: BTreeMap<StreamTimeline, Lap>,
    undone: BTreeMap<StreamTimeline, Lap>,
    reached: Reached,
}

/// The highest revision that undone facts about a lap have reached.
#[derive(Clone, Copy, Default)]
struct Reached {
    /// Those of the car's own client.
    own: u32,
    /// Those of other clients.
    field: u32,
}

impl Facts {
    /// Add or replace a fact.
    pub(super) fn put(&mut self, fact: Lap) {
        let (id, who) = fact_id(&fact);
        let of_lap = self.laps.entry(id).or_default();
        let of_stream = self.by_end.entry((who.0, who.1)).or_default();
        let ends = of_stream.entry(id.0).or_default();
        if let Some(before) = of_lap.live.remove(&who) {
            ends.remove(&(before.end_us, who.2, id.1));
        }
        if fact.superseded {
            of_lap.reached.count(&fact);
            of_lap.undone.insert(who, fact);
        } else {
            ends.insert((fact.end_us, who.2, id.1));
            of_lap.live.insert(who, fact);
        }
        if ends.is_empty() {
            of_stream.remove(&id.0);
        }
    }

    /// A fact as `changes` leave it.
    pub(super) fn get<'a>(&'a self, changes: &'a FactChanges, (id, who): &FactId) -> Option<&'a Lap> {
        changes.get(id).and_then(|of_lap| of_lap.get(who)).or_else(|| self.stored(id, who))
    }

    /// A fact as it was put.
    pub(super) fn stored(&self, id: &LapId, who: &StreamTimeline) -> Option<&Lap> {
        let of_lap = self.laps.get(id)?;
        of_lap.live.get(who).or_else(|| of_lap.undone.get(who))
    }

    /// The facts about a lap that count, as `changes` leave them, in order of their keys.
    pub(super) fn about<'a>(&'a self, changes: &'a FactChanges, id: LapId) -> impl Iterator<Item = &'a Lap> {
        let changed = changes.get(&id);
        let stored = self.laps.get(&id).into_iter().flat_map(|of_lap| &of_lap.live);
        let stored = stored.filter(move |(who, _)| changed.is_none_or(|changed| !changed.contains_key(*who)));
        let mut facts: Vec<(&StreamTimeline, &Lap)> = stored.chain(changed.into_iter().flatten().filter(|(_, fact)| !fact.superseded)).collect();
        facts.sort_by_key(|(who, _)| **who);
        facts.into_iter().map(|(_, fact)| fact)
    }

    /// The highest revision of undone facts about a lap: those of the own client if `own`, those of other clients if `field`.
    pub(super) fn reached(&self, changes: &FactChanges, id: LapId, own: bool, field: bool) -> u32 {
        let mut reached = self.laps.get(&id).map_or_else(Reached::default, |of_lap| of_lap.reached);
        let changed = changes.get(&id).into_iter().flat_map(BTreeMap::values);
        changed.filter(|fact| fact.superseded).for_each(|fact| reached.count(fact));
        (if own { reached.own } else { 0 }).max(if field { reached.field } else { 0 })
    }

    /// The facts that a rewind of `back` to `to_us` undoes, and how many were looked at.
    pub(super) fn undone_by(&self, changes: &FactChanges, back: StreamTimeline, to_us: i64) -> (BTreeSet<FactId>, u64) {
        let undoes = |who: &StreamTimeline, f: &Lap| !f.superseded && f.end_us > to_us && (who.0, who.1) == (back.0, back.1) && who.2 < back.2;
        let (mut undone, mut work) = (BTreeSet::new(), 1);
        for (id, of_lap) in changes {
            work += of_lap.len() as u64;
            undone.extend(of_lap.iter().filter(|(who, f)| undoes(who, f)).map(|(who, _)| (*id, *who)));
        }
        for (entry, ends) in self.by_end.get(&(back.0, back.1)).into_iter().flatten() {
            work += 1;
            for &(_, timeline, number) in ends.range((Bound::Excluded((to_us, u32::MAX, u32::MAX)), Bound::Unbounded)) {
                work += 1;
                let id = ((*entry, number), (back.0, back.1, timeline));
                if self.get(changes, &id).is_some_and(|fact| undoes(&id.1, fact)) {
                    undone.insert(id);
                }
            }
        }
        (undone, work)
    }

    /// How many laps of the fact's stream about its car end in the minute before it ends.
    pub(super) fn in_the_minute_of(&self, changes: &FactChanges, fact: &Lap) -> usize {
        let since_us = fact.end_us.saturating_sub(MINUTE_US);
        let ends = self.by_end.get(&(fact.driver, fact.run)).and_then(|of_stream| of_stream.get(&fact.entry));
        let stored = ends.map_or(0, |ends| ends.range((since_us, 0, 0)..=(fact.end_us, u32::MAX, u32::MAX)).count());
        let of_entry =
            changes.range((fact.entry, 0)..=(fact.entry, u32::MAX)).flat_map(|(id, of_lap)| of_lap.iter().map(move |(who, f)| (id, who, f)));
        let new = of_entry.filter(|(id, who, f)| (since_us..=fact.end_us).contains(&f.end_us) && self.stored(id, who).is_none());
        stored + new.filter(|(_, who, _)| (who.0, who.1) == (fact.driver, fact.run)).count()
    }

    /// Of an entry, the numbers of the laps about which there are facts.
    pub(super) fn numbers(&self, entry: EntryId) -> impl Iterator<Item = u32> {
        self.laps.range((entry, 0)..=(entry, u32::MAX)).map(|(id, _)| id.1)
    }

    /// The laps about which a driver's clients tell facts that count.
    pub(super) fn told_by(&self, driver: DriverId) -> impl Iterator<Item = LapId> {
        let streams = self.by_end.range((driver, RunId([0; 16]))..=(driver, RunId([0xff; 16])));
        let of_entries = streams.flat_map(|(_, of_stream)| of_stream);
        of_entries.flat_map(|(entry, ends)| ends.iter().map(|(.., number)| (*entry, *number)))
    }

    /// All laps about which there are facts.
    pub(super) fn laps(&self) -> impl Iterator<Item = LapId> {
        self.laps.keys().copied()
    }
}

impl Reached {
    fn count(&mut self, fact: &Lap) {
        let of = if fact.tags.has(Tags::FIELD) { &mut self.field } else { &mut self.own };
        *of = (*of).max(fact.revision);
    }
}

/// The key of a fact.
pub(super) fn fact_id(lap: &Lap) -> FactId {
    ((lap.entry, lap.number), (lap.driver, lap.run, lap.timeline))
}
