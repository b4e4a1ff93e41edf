//! What was decided about the cars of a session: penalties in force, and overrides (`result.override`).

use std::collections::{BTreeMap, BTreeSet};

use super::words::seconds;
use super::{Overridden, Why};
use crate::league::League;
use crate::league::act::{Against, Change, Override, PenaltyAt, Sanction};
use crate::league::binding::{self, BoundCar};
use crate::league::facts::Car;
use crate::league::fold::{At, Given};
use crate::league::ids::{ChampionshipSlug, EntrySlug, EventSlug, PenaltySlug, SessionSlug};
use crate::scoring::{ClassifiedCar, DrivenCar, Penalty, PenaltyKind, Points, Standing};

/// What was decided about the cars of a session.
pub(super) struct Decided<'a> {
    /// Penalties in force, each with an entry that it acts on.
    penalties: Vec<(EntrySlug, &'a At<Given>)>,
    overrides: Vec<(EntrySlug, &'a At<Override>, bool)>,
    /// What the simulator decided itself, after overrides.
    disqualified: BTreeSet<EntrySlug>,
    without_car: Vec<String>,
}

impl<'a> Decided<'a> {
    pub(super) fn of(league: &'a League, (session, event): (SessionSlug, EventSlug), cars: &[BoundCar<'_>]) -> Self {
        let mut out = Decided { penalties: vec![], overrides: vec![], disqualified: BTreeSet::new(), without_car: vec![] };
        let here = |at: PenaltyAt| at == PenaltyAt::Session(session) || at == PenaltyAt::Event(event);
        let acts = |sanction: &Sanction| sanction.in_session().is_some() || matches!(sanction, Sanction::LapTimeDeleted { .. });
        for at in league.penalties.values().filter(|at| here(at.it.given.at) && at.it.in_force()) {
            let hit: Vec<EntrySlug> = cars.iter().filter(|car| is_against(league, event, &at.it.given.against, car)).map(BoundCar::entry).collect();
            if hit.is_empty() && acts(&at.it.given.sanction) {
                out.without_car.push(at.it.given.penalty.to_string());
            }
            out.penalties.extend(hit.into_iter().map(|entry| (entry, at)));
        }
        let entries: BTreeSet<EntrySlug> = cars.iter().map(BoundCar::entry).collect();
        for ((_, entry, field), at) in league.overrides.iter().filter(|((of, _, _), _)| *of == session) {
            match entries.contains(entry) {
                true => out.overrides.push((*entry, at, false)),
                false => out.without_car.push(format!("{entry}/{field}")),
            }
        }
        out
    }

    /// Penalties in force and overrides for which there is no car.
    pub(super) fn without_car(&self) -> Vec<String> {
        self.without_car.clone()
    }

    /// Step 1: the facts of a car as overrides and deleted laps make them (`penalty.laps`).
    pub(super) fn correct(&mut self, mut car: DrivenCar, facts: &Car) -> DrivenCar {
        let Ok(entry) = EntrySlug::new(&car.entry) else { return car };
        let mut disqualified = facts.disqualified;
        for (_, at, outdated) in self.overrides.iter_mut().filter(|(of, _, _)| *of == entry) {
            *outdated = match &at.it.change {
                Change::Laps { old, new } => {
                    // A car that has completed more or fewer laps crossed the line for the last time at another moment, if that is known.
                    if let Some(us) = (*new as usize).checked_sub(1).and_then(|last| car.crossings_us.get(last)) {
                        car.line_us = Some(*us);
                    }
                    std::mem::replace(&mut car.laps, *new) != *old
                }
                Change::LineUs { old, new } => {
                    // The crossings of a car whose last one is corrected are not known.
                    car.crossings_us.clear();
                    car.line_us = *new;
                    facts.line_us != *old
                }
                Change::BestLapUs { old, new } => {
                    car.best_lap_at_us = None;
                    std::mem::replace(&mut car.best_lap_us, *new) != *old
                }
                Change::Grid { old, new } => std::mem::replace(&mut car.grid, *new) != *old,
                Change::LapsLed { old, new } => std::mem::replace(&mut car.laps_led, *new) != *old,
                Change::Incidents { old, new } => std::mem::replace(&mut car.incidents, *new) != *old,
                Change::Ended { old, new } => std::mem::replace(&mut car.ended, *new) != *old,
                Change::Disqualified { old, new } => std::mem::replace(&mut disqualified, *new) != *old,
                Change::Place { .. } | Change::Points { .. } => false,
            };
        }
        if disqualified {
            self.disqualified.insert(entry);
        }
        let deleted: BTreeSet<u32> =
            self.sanctions(entry).filter_map(|of| if let Sanction::LapTimeDeleted { lap } = of { Some(*lap) } else { None }).collect();
        let best_is_of_facts = car.best_lap_us == facts.best_lap_us;
        if best_is_of_facts && facts.valid_laps.iter().any(|lap| deleted.contains(&lap.lap)) {
            let best = facts.valid_laps.iter().filter(|lap| !deleted.contains(&lap.lap)).min_by_key(|lap| (lap.us, lap.lap));
            (car.best_lap_us, car.best_lap_at_us) = (best.map(|lap| lap.us), best.and_then(|lap| lap.at_us));
        }
        car
    }

    fn sanctions(&self, entry: EntrySlug) -> impl Iterator<Item = &Sanction> {
        self.penalties.iter().filter(move |(of, _)| *of == entry).map(|(_, at)| &at.it.given.sanction)
    }

    /// The penalties of steps 1 to 8.
    pub(super) fn scoring(&self) -> Vec<Penalty> {
        let given = self.penalties.iter().filter_map(|(entry, at)| Some((*entry, at.it.given.sanction.in_session()?)));
        let told = self.disqualified.iter().map(|entry| (*entry, PenaltyKind::Disqualified));
        given.chain(told).map(|(entry, kind)| Penalty { entry: entry.to_string(), kind }).collect()
    }

    /// After step 6: places that were decided by hand. The others close up around them.
    pub(super) fn move_places(&self, cars: &mut Vec<ClassifiedCar>) {
        let mut moves: Vec<(u32, EntrySlug)> = self
            .overrides
            .iter()
            .filter_map(|(entry, at, _)| if let Change::Place { new, .. } = at.it.change { Some((new, *entry)) } else { None })
            .collect();
        if moves.is_empty() {
            return;
        }
        moves.sort();
        let (mut moved, mut rest): (Vec<ClassifiedCar>, Vec<ClassifiedCar>) =
            cars.drain(..).partition(|car| moves.iter().any(|(_, entry)| entry.as_str() == car.car.entry));
        for (place, entry) in moves {
            let Some(at) = moved.iter().position(|car| car.car.entry == entry.as_str()) else { continue };
            let mut car = moved.remove(at);
            // A place is what makes a car classified.
            (car.status, car.place) = (Standing::Classified, None);
            let classified = rest.iter().take_while(|car| car.status == Standing::Classified).count();
            rest.insert((place as usize - 1).min(classified), car);
        }
        renumber(&mut rest);
        *cars = rest;
    }

    /// What the points of an entry in a championship were set to by hand.
    pub(super) fn points_of(&self, entry: EntrySlug, championship: ChampionshipSlug) -> Option<(&Points, &Points, u64)> {
        self.overrides.iter().find_map(|(of, at, _)| match &at.it.change {
            Change::Points { championship: id, old, new } if *of == entry && *id == championship => Some((old, new, at.seq)),
            _ => None,
        })
    }

    pub(super) fn penalties_of(&self, entry: EntrySlug) -> Vec<PenaltySlug> {
        self.penalties.iter().filter(|(of, _)| *of == entry).map(|(_, at)| at.it.given.penalty).collect()
    }

    pub(super) fn overrides_of(&self, entry: EntrySlug) -> Vec<Overridden> {
        let of = self.overrides.iter().filter(|(of, _, _)| *of == entry);
        of.map(|(_, at, outdated)| Overridden { change: at.it.change.clone(), outdated: *outdated }).collect()
    }

    /// What decisions did to the place of an entry.
    pub(super) fn why(&self, entry: EntrySlug) -> Vec<Why> {
        let penalties = self.penalties.iter().filter(|(of, _)| *of == entry).filter_map(|(_, at)| {
            let (rule, text) = in_words(&at.it.given.sanction)?;
            Some(Why { rule: rule.into(), text, act: Some(at.seq), penalty: Some(at.it.given.penalty), points: None })
        });
        let told = self.disqualified.iter().filter(|of| **of == entry).map(|_| Why {
            rule: "penalty.disqualified".into(),
            text: "the simulator disqualified it".into(),
            ..Why::default()
        });
        let overrides = self.overrides.iter().filter(|(of, _, _)| *of == entry).map(|(_, at, outdated)| {
            let since = if *outdated { "; the facts have changed since" } else { "" };
            Why {
                rule: "result.override".into(),
                text: format!("{} was set by hand{since}", at.it.change.field()),
                act: Some(at.seq),
                ..Why::default()
            }
        });
        penalties.chain(told).chain(overrides).collect()
    }

    /// Points of the session that decisions took off an entry.
    pub(super) fn points_off(&self, entry: EntrySlug) -> Vec<Why> {
        let of = self.penalties.iter().filter(|(of, _)| *of == entry);
        of.filter_map(|(_, at)| match &at.it.given.sanction {
            Sanction::Points { points } => Some(Why {
                rule: "penalty.points".into(),
                text: "points taken off".into(),
                points: Some(-points.clone()),
                act: Some(at.seq),
                penalty: Some(at.it.given.penalty),
            }),
            _ => None,
        })
        .collect()
    }
}

/// Places anew for cars that are in order; cars without a place stay without.
fn renumber(cars: &mut [ClassifiedCar]) {
    let mut in_class: BTreeMap<String, u32> = BTreeMap::new();
    let mut before: Option<(Option<u32>, u32, BTreeMap<String, u32>)> = None;
    for (at, car) in cars.iter_mut().enumerate().filter(|(_, car)| car.status == Standing::Classified) {
        let seen = in_class.entry(car.car.class.clone()).or_default();
        *seen += 1;
        let old = car.place;
        // Who shared a place with the car before still does.
        let same = before.as_ref().filter(|(place, _, _)| old.is_some() && *place == old);
        let place = same.map_or(at as u32 + 1, |(_, new, _)| *new);
        let class_place = same.and_then(|(_, _, classes)| classes.get(&car.car.class).copied()).unwrap_or(*seen);
        (car.place, car.class_place) = (Some(place), Some(class_place));
        let mut classes = before.take().filter(|(place, _, _)| old.is_some() && *place == old).map(|(_, _, classes)| classes).unwrap_or_default();
        classes.insert(car.car.class.clone(), class_place);
        before = Some((old, place, classes));
    }
}

/// Whether a penalty acts on this car: the entry's, one that the person drove, one of the team (`penalty.against`).
fn is_against(league: &League, event: EventSlug, against: &Against, car: &BoundCar<'_>) -> bool {
    match against {
        Against::Entry(entry) => car.entry() == *entry,
        Against::Person(person) => {
            let person = Some(league.person(*person));
            let linked = binding::drivers(league, event, car.car);
            let entered = car.details().map_or(&[][..], |details| &details.persons[..]);
            let unknown = linked.iter().all(Option::is_none) && entered.len() == 1;
            linked.contains(&person) || (unknown || car.car.drivers.is_empty()) && entered.iter().any(|id| Some(league.person(*id)) == person)
        }
        Against::Team(team) => car.details().and_then(|details| details.team) == Some(*team),
        Against::Manufacturer(_) => false,
    }
}

/// The rule of a sanction, and what it did, in words. `None` for what changes no place.
fn in_words(sanction: &Sanction) -> Option<(&'static str, String)> {
    Some(match sanction {
        Sanction::Laps { laps } => ("penalty.laps", format!("{laps:+} laps")),
        Sanction::LapTimeDeleted { lap } => ("penalty.lap-time", format!("the time of lap {lap} is deleted")),
        Sanction::BestLapDeleted { .. } => ("penalty.lap-time", "the best lap is deleted".into()),
        Sanction::Disqualified {} => ("penalty.disqualified", "disqualified".into()),
        Sanction::Time { us } => ("penalty.time", format!("{} added", seconds(*us))),
        Sanction::DriveThrough {} => ("penalty.conversion", "a drive-through that was not served".into()),
        Sanction::StopAndGo { seconds } => ("penalty.conversion", format!("a stop-and-go of {seconds} s that was not served")),
        Sanction::Positions { places } => ("penalty.positions", format!("{places} places back")),
        _ => return None,
    })
}
