//! [`Chosen`]: the lap that was chosen for each number of each entry, and who tells it otherwise.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{About, Conflict, Lap, Tags};
use boxbox_schemas::{DriverId, EntryId};

use super::credible::half_us;
use super::facts::LapId;

/// New coverage may contradict laps that ended this long before it, µs: a client tells a lap a moment after its end.
const LOOK_BACK_US: i64 = 2_000_000;

/// Chosen laps. See the [module](self).
#[derive(Default)]
pub(super) struct Chosen {
    laps: BTreeMap<LapId, Lap>,
    /// Laps that others may contradict, those that others saw and those of teams: by when they ended, and by the middle of each, where who
    /// lists no such car has seen enough.
    questioned: BTreeMap<i64, BTreeSet<LapId>>,
    /// Laps that some clients tell otherwise than they were chosen, and whose clients.
    against: BTreeMap<LapId, BTreeSet<DriverId>>,
    /// How many laps of an entry each driver tells otherwise.
    against_count: BTreeMap<(EntryId, DriverId), u32>,
    /// What has changed since it was last taken.
    changed: BTreeSet<LapId>,
}

impl Chosen {
    pub(super) fn get(&self, id: LapId) -> Option<&Lap> {
        self.laps.get(&id)
    }

    /// The laps that there are.
    pub(super) fn ids(&self) -> impl Iterator<Item = LapId> {
        self.laps.keys().copied()
    }

    /// A lap as a store has it.
    pub(super) fn restore(&mut self, lap: Lap) {
        let id = (lap.entry, lap.number);
        self.put(id, Some(lap));
    }

    /// A lap was chosen, or, with `None`, withdrawn.
    pub(super) fn set(&mut self, id: LapId, lap: Option<Lap>) {
        self.changed.insert(id);
        self.put(id, lap);
    }

    fn put(&mut self, id: LapId, lap: Option<Lap>) {
        if let Some(lap) = lap.as_ref().filter(|lap| questionable(lap)) {
            self.unquestion(id);
            for at_us in [half_us(lap), lap.end_us] {
                self.questioned.entry(at_us).or_default().insert(id);
            }
        } else {
            self.unquestion(id);
        }
        match lap {
            Some(lap) => self.laps.insert(id, lap),
            None => self.laps.remove(&id),
        };
    }

    fn unquestion(&mut self, id: LapId) {
        let Some(moments) = self.laps.get(&id).map(|before| [half_us(before), before.end_us]) else { return };
        for at_us in moments {
            if let Some(of_time) = self.questioned.get_mut(&at_us) {
                of_time.remove(&id);
                if of_time.is_empty() {
                    self.questioned.remove(&at_us);
                }
            }
        }
    }

    /// The laps that a client which showed cars between these times, µs, may contradict: a lap is contradicted a moment after its end only.
    pub(super) fn questioned(&self, from_us: i64, until_us: i64) -> impl Iterator<Item = LapId> {
        let ended = self.questioned.range(from_us.saturating_sub(LOOK_BACK_US)..=until_us);
        ended.flat_map(|(_, laps)| laps).copied()
    }

    /// Whose clients tell a lap otherwise.
    pub(super) fn against(&self, id: LapId) -> Option<&BTreeSet<DriverId>> {
        self.against.get(&id)
    }

    /// Set whose clients tell a lap otherwise.
    pub(super) fn set_against(&mut self, id: LapId, against: BTreeSet<DriverId>) {
        let before = if against.is_empty() { self.against.remove(&id) } else { self.against.insert(id, against.clone()) };
        for driver in against {
            *self.against_count.entry((id.0, driver)).or_default() += 1;
        }
        for driver in before.into_iter().flatten() {
            let Some(count) = self.against_count.get_mut(&(id.0, driver)) else { continue };
            *count -= 1;
            if *count == 0 {
                self.against_count.remove(&(id.0, driver));
            }
        }
    }

    /// Which drivers tell laps of which entries otherwise than they count.
    pub(super) fn conflicts(&self) -> impl Iterator<Item = Conflict> {
        self.against_count.iter().filter_map(|((entry, driver), count)| {
            let conflict = Conflict::of(About::Lap, entry.as_str(), None, std::iter::once(*driver), std::iter::empty())?;
            Some(Conflict { entry: Some(*entry), count: *count, ..conflict })
        })
    }

    /// Whether a lap has changed since [`Self::take_changed`].
    pub(super) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// The laps that have changed since this was asked last.
    pub(super) fn take_changed(&mut self) -> BTreeSet<LapId> {
        std::mem::take(&mut self.changed)
    }
}

/// `lap` with its revision: that of `before` if nothing else has changed, else one more than the highest so far (`choice.revision`), which
/// is that of `before`, or `reached` by facts that were undone.
pub(super) fn revised(lap: Lap, before: Option<&Lap>, reached: u32) -> Lap {
    let same = before.filter(|b| Lap { revision: b.revision, ..lap.clone() } == **b);
    let revision = same.map_or(before.map_or(reached, |b| b.revision) + 1, |b| b.revision);
    Lap { revision, ..lap }
}

/// Whether others may contradict a lap: its own client, if they told it; those of the same team.
fn questionable(lap: &Lap) -> bool {
    lap.tags.has(Tags::FIELD) || lap.entry.0 != lap.driver.0
}
