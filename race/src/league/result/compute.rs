//! Steps 0 to 8 of `score.order`, one after the other.

use std::collections::BTreeMap;

use super::decided::Decided;
use super::words::seconds;
use super::{Row, RowDriver, SessionResult, Why, order, score};
use crate::league::act::{EntryStatus, Role, RulesetRef, Unclaimed};
use crate::league::binding::{self, BoundCar};
use crate::league::ids::{Digest, EntrySlug, EventSlug, SeasonSlug, SessionSlug};
use crate::league::{Facts, League};
use crate::scoring::{ClassifiedCar, DrivenCar, Points, Ruleset, Standing};

/// The place on the grid of each entry, from qualifying.
type Grid = BTreeMap<EntrySlug, u32>;

/// The result of a session. `None` if the league has no such session, or rules that this program cannot read.
pub fn result(league: &League, session: SessionSlug, facts: &Facts) -> Option<SessionResult> {
    with_grid(league, session, facts, &Grid::new())
}

/// The results of all sessions of a season that have facts. Where the facts of a race tell no grid, it is the order of the qualifying session
/// of its event (`result.grid`).
pub fn results(league: &League, season: SeasonSlug, facts: &BTreeMap<SessionSlug, Facts>) -> BTreeMap<SessionSlug, SessionResult> {
    let mut sessions: Vec<(EventSlug, Role, SessionSlug)> = league.sessions_of(season).into_iter().filter_map(|id| of(league, id)).collect();
    sessions.sort_by_key(|(event, role, id)| (*event, *role != Role::Qualifying, *id));
    let mut out = BTreeMap::new();
    let mut grids: BTreeMap<EventSlug, Option<Grid>> = BTreeMap::new();
    let none = Grid::new();
    for (event, role, id) in sessions {
        let Some(of) = facts.get(&id) else { continue };
        let grid = if is_race(role) { grids.get(&event).and_then(Option::as_ref).unwrap_or(&none) } else { &none };
        let Some(result) = with_grid(league, id, of, grid) else { continue };
        if role == Role::Qualifying {
            // Of several qualifying sessions nobody knows which of them made the grid.
            let grid = result.rows.iter().filter_map(|row| Some((row.entry, row.place?))).collect();
            grids.entry(event).and_modify(|several| *several = None).or_insert(Some(grid));
        }
        out.insert(id, result);
    }
    out
}

fn of(league: &League, session: SessionSlug) -> Option<(EventSlug, Role, SessionSlug)> {
    let set = &league.sessions.get(&session)?.it.set;
    Some((set.event, set.role, session))
}

fn is_race(role: Role) -> bool {
    !matches!(role, Role::Practice | Role::Qualifying)
}

fn with_grid(league: &League, session: SessionSlug, facts: &Facts, grid: &Grid) -> Option<SessionResult> {
    let (event, role, _) = of(league, session)?;
    let season = league.events.get(&event)?.it.season;
    let (ruleset, rules, hash) = rules(league, season, event)?;
    let bound = binding::cars(league, session, facts);
    let mut decided = Decided::of(league, (session, event), &bound);
    let cars = driven(league, season, &bound, facts, grid);
    let cars: Vec<DrivenCar> = cars.into_iter().zip(&bound).map(|(car, of)| decided.correct(car, of.car)).collect();
    let mut classified = match is_race(role) {
        true => order::race(&cars, &decided, &rules.classification),
        false => order::best_laps(&cars, &decided, &rules.classification),
    };
    decided.move_places(&mut classified);
    let distance = distance(league, session, facts, &classified);
    let rows = rows(league, event, &bound, &classified, &decided, is_race(role));
    // From here on nobody looks at crossings, and every championship has its own copy of the cars.
    classified.iter_mut().for_each(|car| (car.car.crossings_us, car.why) = (vec![], vec![]));
    let scores = score::scores(league, (session, event, role), &classified, &rows, &decided, &distance);
    Some(SessionResult {
        session,
        event,
        season,
        role,
        facts: facts.digest(),
        ruleset,
        rules: hash,
        distance,
        complete: facts.complete(),
        rows,
        scores,
        without_car: decided.without_car(),
    })
}

fn rules(league: &League, season: SeasonSlug, event: EventSlug) -> Option<(RulesetRef, &Ruleset, Digest)> {
    let id = league.rules_at(season, None, Some(event))?;
    let rules = &league.rulesets.get(&id)?.it;
    Some((id, rules.rules.as_ref()?, rules.added.hash))
}

/// Step 0: the cars with their entries.
fn driven(league: &League, season: SeasonSlug, bound: &[BoundCar<'_>], facts: &Facts, grid: &Grid) -> Vec<DrivenCar> {
    let unclaimed = league.seasons.get(&season).map(|at| at.it.set.unclaimed).unwrap_or_default();
    let told = facts.cars().iter().any(|car| car.grid.is_some());
    let one = |of: &BoundCar<'_>| {
        let (car, entry) = (of.car, of.entry());
        let guest = match of.details() {
            Some(details) => matches!(details.status, EntryStatus::Guest | EntryStatus::Withdrawn),
            None => unclaimed == Unclaimed::Guests,
        };
        let class = of.class();
        DrivenCar {
            entry: entry.to_string(),
            class: class.map(|class| class.to_string()).unwrap_or_default(),
            team: String::new(),
            ended: car.ended,
            laps: car.laps,
            line_us: car.line_us,
            listed: car.listed,
            crossings_us: car.crossings_us.clone(),
            best_lap_us: car.best_lap_us,
            best_lap_at_us: car.best_lap_at_us,
            laps_led: car.laps_led,
            grid: if told { car.grid } else { grid.get(&entry).copied() },
            incidents: car.incidents,
            stages: car.stages.clone(),
            guest,
        }
    };
    bound.iter().map(one).collect()
}

/// The part of the distance that the leader completed (`points.distance`).
fn distance(league: &League, session: SessionSlug, facts: &Facts, cars: &[ClassifiedCar]) -> Points {
    let planned = league.sessions.get(&session).and_then(|at| at.it.set.planned_laps).or(facts.planned_laps());
    let most = cars.iter().filter(|car| car.status != Standing::Disqualified).map(|car| car.car.laps).max().unwrap_or(0);
    let whole = Points::from(1);
    match planned {
        Some(planned) if planned > 0 && facts.complete() => whole.min(Points::new(most.into(), planned.into())),
        _ => whole,
    }
}

fn rows(league: &League, event: EventSlug, bound: &[BoundCar<'_>], classified: &[ClassifiedCar], decided: &Decided<'_>, race: bool) -> Vec<Row> {
    let by_entry: BTreeMap<EntrySlug, &BoundCar<'_>> = bound.iter().map(|of| (of.entry(), of)).collect();
    let first = classified.first().filter(|car| car.place.is_some());
    let row = |car: &ClassifiedCar| {
        let entry = EntrySlug::new(&car.car.entry).ok()?;
        let of = by_entry.get(&entry)?;
        let details = of.details();
        let drivers = row_drivers(league, event, of);
        let time_us = if race { car.time_us } else { car.car.best_lap_us };
        let level = first.filter(|first| !race || first.car.laps == car.car.laps);
        let first_us = level.and_then(|first| if race { first.time_us } else { first.car.best_lap_us });
        Some(Row {
            place: car.place,
            class_place: car.class_place,
            status: car.status,
            entry,
            unclaimed: details.is_none(),
            guest: car.car.guest,
            car: of.car.key,
            number: details.and_then(|details| details.number.clone()).or_else(|| of.car.number.clone()),
            class: of.class(),
            team: details.and_then(|details| details.team).or_else(|| league.team_at(drivers.first()?.person?, event)),
            manufacturer: details.and_then(|details| details.manufacturer),
            drivers,
            ended: car.car.ended,
            laps: car.car.laps,
            laps_down: first.filter(|_| race).map_or(0, |first| first.car.laps.saturating_sub(car.car.laps)),
            time_us,
            gap_us: time_us.zip(first_us).filter(|_| car.place.is_some()).map(|(us, first)| us - first),
            added_us: car.added_us,
            best_lap_us: car.car.best_lap_us,
            laps_led: car.car.laps_led,
            grid: car.car.grid,
            incidents: car.car.incidents,
            penalties: decided.penalties_of(entry),
            overrides: decided.overrides_of(entry),
            why: place_why(car, race).into_iter().chain(decided.why(entry)).collect(),
        })
    };
    classified.iter().filter_map(row).collect()
}

/// Who drove: by accounts; where none is linked and the entry has one person, that person; where the source tells no drivers, all persons of
/// the entry.
fn row_drivers(league: &League, event: EventSlug, of: &BoundCar<'_>) -> Vec<RowDriver> {
    let persons: Vec<_> = of.details().map_or(vec![], |details| details.persons.iter().map(|id| league.person(*id)).collect());
    if of.car.drivers.is_empty() {
        return persons.into_iter().map(|person| RowDriver { person: Some(person), account: None, laps: None }).collect();
    }
    let only = if let [only] = persons[..] { Some(only) } else { None };
    let linked = binding::drivers(league, event, of.car);
    let drove = of.car.drivers.iter().zip(linked);
    drove.map(|(drove, person)| RowDriver { person: person.or(only), account: drove.accounts.first().copied(), laps: Some(drove.laps) }).collect()
}

/// Why a car has its place, before decisions.
fn place_why(car: &ClassifiedCar, race: bool) -> Vec<Why> {
    let place = match car.status {
        Standing::Classified => car.place.map_or("classified".to_owned(), |place| format!("place {place}")),
        Standing::NotClassified => "not classified".into(),
        Standing::NotStarted => "did not start".into(),
        Standing::Disqualified => "disqualified".into(),
    };
    let by = match (race, car.time_us, car.car.best_lap_us) {
        (true, Some(us), _) => format!("{} laps, {}", car.car.laps, seconds(us)),
        (true, None, _) => format!("{} laps", car.car.laps),
        (false, _, Some(us)) => format!("best lap {}", seconds(us)),
        (false, _, None) => "no valid lap".into(),
    };
    let rule = if race { "score.order" } else { "score.qualifying" };
    let mut why = vec![Why { rule: rule.into(), text: format!("{place}: {by}"), ..Why::default() }];
    let said = |text: &&String| text.starts_with("not classified") || text.starts_with("time penalty without");
    why.extend(car.why.iter().filter(said).map(|text| {
        let rule = if text.starts_with("not") { "score.classified" } else { "penalty.time" };
        Why { rule: rule.into(), text: text.clone(), ..Why::default() }
    }));
    why
}
