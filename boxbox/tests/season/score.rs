//! What a season is worth, by a score that has nothing in common with the one under test: plain integers, one event after the other.

use std::collections::BTreeMap;

/// Points of a race.
pub(crate) const TABLE: [i64; 10] = [25, 18, 15, 12, 10, 8, 6, 4, 2, 1];
/// Events that are dropped.
pub(crate) const DROPS: usize = 2;
pub(crate) const CARS: usize = 30;
pub(crate) const EVENTS: usize = 12;

/// What one car did in one event.
#[derive(Clone, Copy)]
pub(crate) struct Did {
    pub(crate) laps: u32,
    /// ms; 0 where it completed no lap.
    pub(crate) ms: i64,
}

/// What was decided in one event.
#[derive(Clone, Default)]
pub(crate) struct Decided {
    pub(crate) seconds: BTreeMap<usize, i64>,
    pub(crate) disqualified: Vec<usize>,
    pub(crate) positions: BTreeMap<usize, usize>,
}

/// The season.
pub(crate) struct Season {
    pub(crate) driven: Vec<Vec<Did>>,
    pub(crate) decided: Vec<Decided>,
    pub(crate) guest: usize,
    /// Changes to class `a` with event `changes_at`.
    pub(crate) changes: usize,
    pub(crate) changes_at: usize,
    /// Factor of the last event.
    pub(crate) finale: i64,
}

impl Season {
    /// `a` or `b`: odd cars are of `b`.
    pub(crate) fn class(&self, car: usize, event: usize) -> char {
        if car.is_multiple_of(2) || (car == self.changes && event >= self.changes_at) { 'a' } else { 'b' }
    }

    /// The classified cars of an event, in order.
    fn order(&self, event: usize) -> Vec<usize> {
        let (driven, decided) = (&self.driven[event], &self.decided[event]);
        let ms = |car: usize| driven[car].ms + 1_000 * decided.seconds.get(&car).copied().unwrap_or(0);
        let mut cars: Vec<usize> = (0..CARS).filter(|car| !decided.disqualified.contains(car)).collect();
        let most = cars.iter().map(|car| driven[*car].laps).max().unwrap();
        cars.retain(|car| driven[*car].laps >= most * 9 / 10 && driven[*car].laps > 0);
        cars.sort_by_key(|car| (std::cmp::Reverse(driven[*car].laps), ms(*car)));
        for (car, places) in &decided.positions {
            let at = cars.iter().position(|other| other == car).unwrap();
            cars.remove(at);
            // Behind so many cars of its class.
            let class = self.class(*car, event);
            let behind = (at..cars.len()).filter(|at| self.class(cars[*at], event) == class).nth(places - 1).unwrap();
            cars.insert(behind + 1, *car);
        }
        cars
    }

    /// Points of each car in an event; `class`: as if only that class had been there.
    fn points(&self, event: usize, class: Option<char>) -> BTreeMap<usize, i64> {
        let scores = |car: &usize| *car != self.guest && class.is_none_or(|class| self.class(*car, event) == class);
        let scoring = self.order(event).into_iter().filter(scores);
        let factor = if event + 1 == EVENTS { self.finale } else { 1 };
        scoring.zip(TABLE).map(|(car, points)| (car, points * factor)).collect()
    }

    /// Net points of each car that is in the table of a class, or of all.
    pub(crate) fn net(&self, class: Option<char>) -> BTreeMap<usize, i64> {
        let events: Vec<_> = (0..EVENTS).map(|event| self.points(event, class)).collect();
        let in_it = |car: &usize| *car != self.guest && (0..EVENTS).any(|event| class.is_none_or(|class| self.class(*car, event) == class));
        let net = |car: usize| {
            let of = |event: usize| events[event].get(&car).copied().unwrap_or(0);
            // The finale and an event with a disqualification stay.
            let stays = |event: usize| {
                let here = class.is_none_or(|class| self.class(car, event) == class);
                event + 1 == EVENTS || (here && self.decided[event].disqualified.contains(&car))
            };
            let mut free: Vec<i64> = (0..EVENTS).filter(|event| !stays(*event)).map(of).collect();
            free.sort_unstable();
            let dropped: i64 = free.iter().take(DROPS).sum();
            (0..EVENTS).map(of).sum::<i64>() - dropped
        };
        (0..CARS).filter(in_it).map(|car| (car, net(car))).collect()
    }
}
