//! The book of a session: facts as each stream tells them, and of each lap the one chosen (E3, E4).

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::results::{IncidentStep, Lap};
use boxbox_schemas::{DriverId, EntryId, RunId, SessionId};
use boxbox_store::Step;

use crate::counts::Counts;
use crate::race::{Fact, choose};

/// A lap of a session: entry and number.
type LapId = (EntryId, u32);
/// Who tells a fact: driver, run, timeline.
type Teller = (DriverId, RunId, u32);
/// What is told of one lap.
type Facts = BTreeMap<Teller, Lap>;
/// An incident step of a session: driver, run, timeline, tick.
type IncidentId = (DriverId, RunId, u32, u32);

/// Facts, chosen laps and incident steps of one session.
#[derive(Default)]
pub(crate) struct Book {
    facts: BTreeMap<LapId, Facts>,
    laps: BTreeMap<LapId, Lap>,
    incidents: BTreeMap<IncidentId, IncidentStep>,
    changed_facts: BTreeSet<(LapId, Teller)>,
    changed_laps: BTreeSet<LapId>,
    changed_incidents: BTreeSet<IncidentId>,
}

/// Changes worked out and not yet made.
#[derive(Default)]
pub(crate) struct Staged {
    /// Everything told of each lap that a fact has touched.
    facts: BTreeMap<LapId, Facts>,
    touched: Vec<(LapId, Teller)>,
    incidents: BTreeMap<IncidentId, IncidentStep>,
    chosen: Vec<(LapId, Option<Lap>)>,
}

impl Book {
    pub(crate) fn restore_fact(&mut self, fact: Lap) {
        self.facts.entry(lap_id(&fact)).or_default().insert(teller(&fact), fact);
    }

    pub(crate) fn restore_lap(&mut self, lap: Lap) {
        self.laps.insert(lap_id(&lap), lap);
    }

    pub(crate) fn restore_incident(&mut self, step: IncidentStep) {
        self.incidents.insert(incident_id(&step), step);
    }

    /// Work out what the facts of one stream change.
    pub(crate) fn stage(&self, told: Vec<Fact>) -> Staged {
        let mut staged = Staged::default();
        for fact in told {
            match fact {
                Fact::Lap(lap) => self.stage_lap(&mut staged, lap),
                Fact::Incident(step) => {
                    staged.incidents.insert(incident_id(&step), step);
                }
                // Not kept yet.
                Fact::Pit(_) | Fact::Flags(_) => {}
                Fact::Rewind { driver, run, timeline, to_us, .. } => {
                    self.stage_rewind(&mut staged, to_us, |who| (who.0, who.1) == (driver, run) && who.2 < timeline)
                }
            }
        }
        for (id, facts) in &staged.facts {
            let before = self.laps.get(id);
            let after = choose(facts.values().filter(|f| !f.superseded)).map(|lap| revised(lap, before, facts));
            if after.as_ref() != before {
                staged.chosen.push((*id, after));
            }
        }
        staged
    }

    fn stage_lap(&self, staged: &mut Staged, mut lap: Lap) {
        let (id, who) = (lap_id(&lap), teller(&lap));
        let facts = staged.facts.entry(id).or_insert_with(|| self.facts.get(&id).cloned().unwrap_or_default());
        if let Some(before) = facts.get(&who).filter(|f| f.superseded) {
            (lap.superseded, lap.revision) = (true, before.revision);
        }
        facts.insert(who, lap);
        staged.touched.push((id, who));
    }

    fn stage_rewind(&self, staged: &mut Staged, to_us: i64, back: impl Fn(&Teller) -> bool) {
        let undone = |facts: &Facts| facts.iter().any(|(who, f)| !f.superseded && f.end_us > to_us && back(who));
        let laps: BTreeSet<LapId> = self.facts.iter().filter(|(_, f)| undone(f)).map(|(id, _)| *id).chain(staged.facts.keys().copied()).collect();
        for id in laps {
            let facts = staged.facts.entry(id).or_insert_with(|| self.facts.get(&id).cloned().unwrap_or_default());
            for (who, fact) in facts.iter_mut().filter(|(who, f)| !f.superseded && f.end_us > to_us && back(who)) {
                fact.superseded = true;
                // Remembers which revision the lap had reached, should it be withdrawn now and told anew later.
                fact.revision = self.laps.get(&id).map_or(fact.revision, |l| l.revision);
                staged.touched.push((id, *who));
            }
        }
        let known = self.incidents.iter().filter(|(id, _)| !staged.incidents.contains_key(*id)).map(|(id, s)| (*id, s.clone()));
        let all: Vec<_> = known.chain(staged.incidents.clone()).collect();
        for (id, mut step) in all.into_iter().filter(|(id, s)| !s.superseded && s.sim_time_us > to_us && back(&(id.0, id.1, id.2))) {
            step.superseded = true;
            staged.incidents.insert(id, step);
        }
    }

    /// Make staged changes.
    pub(crate) fn apply(&mut self, staged: Staged, counts: &mut Counts) {
        self.changed_facts.extend(staged.touched);
        self.facts.extend(staged.facts);
        for (id, chosen) in staged.chosen {
            self.changed_laps.insert(id);
            match chosen {
                Some(lap) => {
                    counts.laps += 1;
                    self.laps.insert(id, lap);
                }
                None => {
                    counts.withdrawn += 1;
                    self.laps.remove(&id);
                }
            }
        }
        counts.incidents += staged.incidents.len() as u64;
        self.changed_incidents.extend(staged.incidents.keys().copied());
        self.incidents.extend(staged.incidents);
    }

    pub(crate) fn has_news(&self) -> bool {
        !self.changed_laps.is_empty() || !self.changed_incidents.is_empty()
    }

    /// Put everything that has changed since the last step into `step`.
    pub(crate) fn drain(&mut self, session: SessionId, step: &mut Step) {
        let facts = std::mem::take(&mut self.changed_facts);
        step.facts.extend(facts.iter().filter_map(|(id, who)| self.facts.get(id)?.get(who)).cloned());
        for id in std::mem::take(&mut self.changed_laps) {
            match self.laps.get(&id) {
                Some(lap) => step.laps.push(lap.clone()),
                None => step.withdrawn.push((session, id.0, id.1)),
            }
        }
        let incidents = std::mem::take(&mut self.changed_incidents);
        step.incidents.extend(incidents.iter().filter_map(|id| self.incidents.get(id)).cloned());
    }
}

/// `lap` as the newest revision of its lap: as `before` if nothing else has changed, else one more than was ever reached.
fn revised(lap: &Lap, before: Option<&Lap>, facts: &Facts) -> Lap {
    let reached = before.map_or_else(|| facts.values().filter(|f| f.superseded).map(|f| f.revision).max(), |b| Some(b.revision));
    let same = before.filter(|b| Lap { revision: b.revision, ..lap.clone() } == **b);
    Lap { revision: same.map_or(reached.unwrap_or(0) + 1, |b| b.revision), ..lap.clone() }
}

fn lap_id(lap: &Lap) -> LapId {
    (lap.entry, lap.number)
}

fn teller(lap: &Lap) -> Teller {
    (lap.driver, lap.run, lap.timeline)
}

fn incident_id(step: &IncidentStep) -> IncidentId {
    (step.driver, step.run, step.timeline, step.tick)
}
