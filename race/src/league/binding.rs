//! Which entry each car of a session is (`league.binding`, `league.unclaimed`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::act::{Bound, BoundTo, EntryDetails, EntryStatus, Unclaimed};
use super::facts::Car;
use super::ids::{CarKey, ClassSlug, EntrySlug, EventSlug, PersonId, SeasonSlug, SessionSlug};
use super::{Facts, League};

/// Cars of a session and their entries.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Bindings {
    /// Acts that bind the cars which are not bound yet and for which exactly one entry was found.
    pub to_bind: Vec<Bound>,
    /// Cars for which no entry was found, or several.
    pub unclaimed: Vec<CarKey>,
}

/// The bindings that the league does not have yet. Publishing a session writes them.
pub fn bindings(league: &League, session: SessionSlug, facts: &Facts) -> Bindings {
    let mut out = Bindings::default();
    for of in cars(league, session, facts) {
        match of.to {
            To::Entry { entry, details, bound: false } => out.to_bind.push(Bound { session, car: of.car.key, entry, details: details.clone() }),
            To::Entry { .. } => {}
            To::Unclaimed { .. } => out.unclaimed.push(of.car.key),
        }
    }
    out
}

/// The cars for which no entry was found and no decision made, if such cars score nothing in this season (`league.unclaimed`).
pub fn unclaimed<'a>(league: &'a League, session: SessionSlug, facts: &'a Facts) -> Vec<&'a Car> {
    let season = league.season_of(session).and_then(|season| league.seasons.get(&season));
    if season.is_none_or(|season| season.it.set.unclaimed == Unclaimed::Score) {
        return vec![];
    }
    let decided = |car: &Car| league.bindings.contains_key(&(session, car.key));
    let open = cars(league, session, facts).into_iter().filter(|of| matches!(of.to, To::Unclaimed { .. }));
    open.map(|of| of.car).filter(|car| !decided(car)).collect()
}

/// A car that takes part, and which entry it is.
pub(super) struct BoundCar<'a> {
    pub(super) car: &'a Car,
    pub(super) to: To<'a>,
}

/// Which entry a car is.
pub(super) enum To<'a> {
    /// This one; `bound` by an act, else as the entry list says.
    Entry { entry: EntrySlug, details: &'a EntryDetails, bound: bool },
    /// None; its class if the simulator's own can be found.
    Unclaimed { class: Option<ClassSlug> },
}

impl BoundCar<'_> {
    /// The entry, or the one that stands for a car without an entry.
    pub(super) fn entry(&self) -> EntrySlug {
        match &self.to {
            To::Entry { entry, .. } => *entry,
            To::Unclaimed { .. } => EntrySlug::unclaimed(&self.car.key),
        }
    }

    /// Its class of the day.
    pub(super) fn class(&self) -> Option<ClassSlug> {
        match &self.to {
            To::Entry { details, .. } => Some(details.class),
            To::Unclaimed { class } => *class,
        }
    }

    pub(super) fn details(&self) -> Option<&EntryDetails> {
        if let To::Entry { details, .. } = &self.to { Some(details) } else { None }
    }
}

/// The cars that take part, in order of keys. What acts bind is bound; the others are found by the accounts of their drivers, never by a name
/// or a number alone.
pub(super) fn cars<'a>(league: &'a League, session: SessionSlug, facts: &'a Facts) -> Vec<BoundCar<'a>> {
    let Some((season, event)) = league.season_of(session).zip(league.sessions.get(&session).map(|at| at.it.set.event)) else { return vec![] };
    let (mut out, mut open, mut taken) = (vec![], vec![], vec![]);
    for car in facts.cars() {
        match league.bindings.get(&(session, car.key)).map(|at| &at.it.to) {
            Some(BoundTo::LeftOut {}) => {}
            Some(BoundTo::Entry { entry, details }) => {
                taken.push(*entry);
                out.push(BoundCar { car, to: To::Entry { entry: *entry, details, bound: true } });
            }
            Some(BoundTo::Unclaimed {}) => out.push(BoundCar { car, to: To::Unclaimed { class: class_told(league, season, car) } }),
            None => open.push(car),
        }
    }
    // Most sessions are bound: the entry list is looked through only for cars that are not.
    let entered = if open.is_empty() { BTreeMap::new() } else { entered(league, season, event) };
    let mut found: Vec<(&Car, Option<Found>)> = open.into_iter().map(|car| (car, find(league, (season, event), car, &entered, &taken))).collect();
    // Of several cars that seem to be one entry, the one that was driven most is it.
    found.sort_by_key(|(car, _)| (Reverse(car.laps), car.line_us.unwrap_or(i64::MAX), car.listed, car.key));
    for (car, found) in found {
        let to = match found.filter(|(entry, _)| !taken.contains(entry)) {
            Some((entry, details)) => {
                taken.push(entry);
                To::Entry { entry, details, bound: false }
            }
            None => To::Unclaimed { class: class_told(league, season, car) },
        };
        out.push(BoundCar { car, to });
    }
    out.sort_by_key(|of| of.car.key);
    out
}

type Found<'a> = (EntrySlug, &'a EntryDetails);

/// The entries of each person at an event.
fn entered(league: &League, season: SeasonSlug, event: EventSlug) -> BTreeMap<PersonId, Vec<Found<'_>>> {
    let mut of_person: BTreeMap<PersonId, Vec<Found<'_>>> = BTreeMap::new();
    for (_, entry) in league.entries.keys().filter(|(of, _)| *of == season) {
        let Some(details) = league.entry_at(season, *entry, event).filter(|details| details.status != EntryStatus::Withdrawn) else { continue };
        for person in &details.persons {
            let of = of_person.entry(league.person(*person)).or_default();
            if of.iter().all(|(other, _)| other != entry) {
                of.push((*entry, details));
            }
        }
    }
    of_person
}

/// The entry of a car: of the entries of its drivers the one that suits best; none if several suit equally.
fn find<'a>(
    league: &League,
    (season, event): (SeasonSlug, EventSlug),
    car: &Car,
    entered: &BTreeMap<PersonId, Vec<Found<'a>>>,
    taken: &[EntrySlug],
) -> Option<Found<'a>> {
    let persons: Vec<PersonId> = drivers(league, event, car).into_iter().flatten().collect();
    let class = class_told(league, season, car);
    let mut suits: BTreeMap<EntrySlug, (usize, bool, bool, &EntryDetails)> = BTreeMap::new();
    for (entry, details) in persons.iter().filter_map(|person| entered.get(person)).flatten().filter(|(entry, _)| !taken.contains(entry)) {
        let same_class = class == Some(details.class);
        let same_number = car.number.is_some() && car.number == details.number;
        suits.entry(*entry).or_insert((0, same_class, same_number, details)).0 += 1;
    }
    let best = suits.values().map(|(drivers, class, number, _)| (*drivers, *class, *number)).max()?;
    let mut of = suits.into_iter().filter(|(_, (drivers, class, number, _))| (*drivers, *class, *number) == best);
    let (entry, (_, _, _, details)) = of.next()?;
    of.next().is_none().then_some((entry, details))
}

/// Who each driver of a car is; none where no account is linked.
pub(super) fn drivers(league: &League, event: EventSlug, car: &Car) -> Vec<Option<PersonId>> {
    car.drivers.iter().map(|drove| drove.accounts.iter().find_map(|account| league.owner(account, event))).collect()
}

/// The class of a car by what the simulator calls it or its class; where a season has only one class, that one.
fn class_told(league: &League, season: SeasonSlug, car: &Car) -> Option<ClassSlug> {
    let mut of = league.classes.values().map(|at| &at.it).filter(|class| class.season == season);
    let told = of.clone().find(|class| class.cars.iter().any(|told| told.as_str() == car.car || told.as_str() == car.class));
    told.map(|class| class.class).or_else(|| match (of.next(), of.next()) {
        (Some(only), None) => Some(only.class),
        _ => None,
    })
}
