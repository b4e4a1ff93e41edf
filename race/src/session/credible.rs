//! Which facts about a lap count at all (`lap.impossible`, `seen.covered`, `seen.majority`, `entry.rival`, `session.exclude`). Of those that
//! do, [`choose`](super::choose) takes one.
//!
//! Pure, and the same for every order of arrival: it depends on all facts about the lap, on when each client showed what, and on whom a
//! person has excluded.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::event::Exclusion;
use boxbox_schemas::limits::SPEED_MAX_MPS;
use boxbox_schemas::results::{Lap, Reasons, RefusedClaim, Silenced, Tags};
use boxbox_schemas::{DriverId, EntryId, RunId};

use super::coverage::Coverage;
use super::description::{Lengths, Named};

/// Two clients that tell the same lap put its end this near to each other, µs: frames of other cars come about four times a second.
const SAME_END_US: i64 = 1_500_000;
/// A client that showed a car for this long beyond the end of a lap would have told the lap, µs.
const TOLD_LAG_US: i64 = 1_000_000;

/// A stream within its session: driver and run.
pub type StreamId = (DriverId, RunId);

/// What decides which facts count.
#[derive(Default)]
pub(super) struct Credible {
    streams: BTreeMap<StreamId, (EntryId, Coverage)>,
    /// The streams whose own car is an entry's.
    of_entry: BTreeMap<EntryId, BTreeSet<StreamId>>,
    /// For each slot, whose clients have told a lap of the car in it, and under which entries.
    tellers: BTreeMap<u16, Tellers>,
    excluded: Vec<Exclusion>,
    refused: Vec<RefusedClaim>,
    lengths: Lengths,
    named: Named,
}

/// Who has told of the cars in a slot.
#[derive(Default)]
struct Tellers {
    drivers: BTreeSet<DriverId>,
    entries: BTreeSet<EntryId>,
}

/// What new coverage of a stream means for laps.
pub(super) enum Covers {
    /// Nothing.
    Nothing,
    /// More: laps that end between these times, µs, may be contradicted.
    More(i64, i64),
    /// Another entry, or less: laps of these entries.
    Anew(BTreeSet<EntryId>),
}

impl Credible {
    /// Keep when a stream showed what; its own car is that of `entry`.
    pub(super) fn cover(&mut self, id: StreamId, entry: EntryId, coverage: &Coverage) -> Covers {
        let (known, before) = self.streams.entry(id).or_insert_with(|| {
            self.of_entry.entry(entry).or_default().insert(id);
            (entry, Coverage::default())
        });
        let covers = if *known != entry {
            if let Some(of) = self.of_entry.get_mut(known) {
                of.remove(&id);
            }
            self.of_entry.entry(entry).or_default().insert(id);
            Covers::Anew([*known, entry].into())
        } else if coverage.shrunk(before) {
            Covers::Anew([entry].into())
        } else {
            coverage.grown(before).map_or(Covers::Nothing, |(from_us, until_us)| Covers::More(from_us, until_us))
        };
        if !matches!(covers, Covers::Nothing) {
            *known = entry;
            before.clone_from(coverage);
        }
        covers
    }

    /// A client has told a lap; true if it is the first one of the car in this slot that it sees, or of a car in it under this entry.
    pub(super) fn tells(&mut self, fact: &Lap) -> bool {
        if !fact.tags.has(Tags::FIELD) {
            return false;
        }
        let tellers = self.tellers.entry(fact.slot).or_default();
        tellers.drivers.insert(fact.driver) | tellers.entries.insert(fact.entry)
    }

    /// Under which entries the cars in a slot were told of.
    pub(super) fn entries_in(&self, slot: u16) -> impl Iterator<Item = EntryId> + '_ {
        self.tellers.get(&slot).into_iter().flat_map(|tellers| &tellers.entries).copied()
    }

    /// Set whose reports do not count; true if that changes anything.
    pub(super) fn silence(&mut self, silenced: Silenced<'_>) -> bool {
        let changes = self.excluded != silenced.excluded || self.refused != silenced.refused;
        (self.excluded, self.refused) = (silenced.excluded.to_vec(), silenced.refused.to_vec());
        changes
    }

    /// Set the lengths of the lap. Returns for whose reports that changes anything; `None`: for everybody's.
    pub(super) fn set_lengths(&mut self, lengths: Lengths) -> Option<BTreeSet<DriverId>> {
        let changed = self.lengths.changed(&lengths);
        self.lengths = lengths;
        changed
    }

    /// Set in which slots clients say that there are cars. Returns the slots of told cars for which that changes anything.
    pub(super) fn set_named(&mut self, named: Named) -> BTreeSet<u16> {
        let slots = self.named.changed(&named, self.tellers.keys().copied());
        self.named = named;
        slots
    }

    fn silences(&self, driver: DriverId, run: RunId, entry: EntryId, field: bool) -> bool {
        let silenced = Silenced { excluded: &self.excluded, refused: &self.refused };
        silenced.any() && silenced.covers(driver, run, entry, field)
    }

    /// Whether the fact was told by a client whose reports count.
    pub(super) fn heard(&self, fact: &Lap) -> bool {
        !self.silences(fact.driver, fact.run, fact.entry, fact.tags.has(Tags::FIELD))
    }

    /// `lap.impossible`: whether a car can have driven it.
    fn possible(&self, fact: &Lap) -> bool {
        // Where it began or ended is not known, so that its time says nothing. A part of a lap is shorter.
        if fact.tags.has(Tags::UNTIMED) || !fact.whole() {
            return true;
        }
        // From the grid, which may stand beyond the line, and over a cut, the way is shorter.
        let part = match fact.tags.has(Tags::FIRST_LAP) {
            true => 0.5,
            false if fact.reasons.has(Reasons::CUT) => 0.75,
            false => 1.0,
        };
        fact.time_us as f64 >= self.lengths.of(fact.driver) * part / f64::from(SPEED_MAX_MPS) * 1e6
    }

    /// Of the facts about one lap, those that count. `entry`: whose lap.
    pub(super) fn counting<'a>(&self, facts: &[&'a Lap], entry: EntryId) -> Vec<&'a Lap> {
        let possible: Vec<&Lap> = facts.iter().copied().filter(|f| !f.superseded && self.heard(f) && self.possible(f)).collect();
        possible.iter().copied().filter(|f| self.stands(f, &possible, entry)).collect()
    }

    /// Whether the fact is not contradicted by clients that showed the car all the time.
    fn stands(&self, fact: &Lap, facts: &[&Lap], entry: EntryId) -> bool {
        if !fact.whole() {
            return true;
        }
        let field = fact.tags.has(Tags::FIELD);
        // A driver who competes alone is not asked whether the car is his.
        if !field && fact.entry.0 == fact.driver.0 {
            return true;
        }
        let (from_us, until_us) = (fact.start_us, fact.end_us.saturating_add(TOLD_LAG_US));
        let in_the_car = |driver: &DriverId| *driver != fact.driver || field;
        let own =
            self.of_entry.get(&entry).into_iter().flatten().filter(|(driver, run)| in_the_car(driver) && !self.silences(*driver, *run, entry, false));
        let drove = |id: &&StreamId| self.streams.get(id).is_some_and(|(_, coverage)| coverage.drove(from_us, until_us));
        let own: BTreeSet<DriverId> = own.filter(drove).map(|(driver, _)| *driver).collect();
        // `seen.covered`: what its own client showed all the time, is what it says.
        if field {
            if !own.is_empty() {
                return false;
            }
        } else if own.is_empty() {
            return true;
        }
        // `seen.majority`, `entry.rival`: those who tell the same lap against those who showed the car and do not.
        let with: BTreeSet<DriverId> = facts.iter().filter(|f| f.whole() && near(f, fact)).map(|f| f.driver).collect();
        let mut against: BTreeSet<DriverId> = own;
        // By slot, because a client may name the car in it as it likes.
        let tellers = self.tellers.get(&fact.slot).into_iter().flat_map(|tellers| tellers.drivers.iter().copied());
        // Whose simulator shows fewer cars than there are still lists them all.
        let strangers = self.named.without(fact.slot).filter(|_| field);
        against.extend(tellers.filter(|driver| self.saw(*driver, from_us, until_us)));
        // A simulator lists a car within seconds, so half a lap tells as much as a whole one, and who leaves at the finish still counts.
        against.extend(strangers.filter(|driver| self.saw(*driver, from_us, half_us(fact))));
        against.difference(&with).count() <= with.len()
    }

    /// Whether the driver's clients, if their reports count, showed other cars all the time.
    fn saw(&self, driver: DriverId, from_us: i64, until_us: i64) -> bool {
        let mut runs = self.streams.range((driver, RunId([0; 16]))..=(driver, RunId([0xff; 16])));
        runs.any(|((driver, run), (own, coverage))| coverage.saw(from_us, until_us) && !self.silences(*driver, *run, *own, true))
    }

    /// Whose clients tell the lap otherwise than `chosen` does.
    pub(super) fn against(&self, facts: &[&Lap], chosen: Option<&Lap>) -> BTreeSet<DriverId> {
        let timed = |f: &Lap| f.whole() && !f.superseded && !f.tags.has(Tags::UNTIMED);
        if chosen.is_some_and(|lap| lap.tags.has(Tags::UNTIMED)) {
            return BTreeSet::new();
        }
        facts.iter().filter(|f| timed(f) && self.heard(f) && chosen.is_none_or(|lap| !near(lap, f))).map(|f| f.driver).collect()
    }
}

/// The middle of a lap, µs.
pub(super) fn half_us(lap: &Lap) -> i64 {
    lap.start_us.midpoint(lap.end_us)
}

/// Whether two facts tell of the same crossing.
fn near(a: &Lap, b: &Lap) -> bool {
    a.end_us.abs_diff(b.end_us) <= SAME_END_US.unsigned_abs()
}
