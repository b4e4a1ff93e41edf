//! [`Driven`]: a race as it was driven, decided without the code under test: by each car's crossings alone.

use boxbox_race::timing::{Classified, Facts, Status, classification};
use boxbox_schemas::EntryId;
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{CarNow, FlagChange, Lap, PitVisit, SessionInfo, SessionStateChange};
use fastrand::Rng;

use crate::rows::{LIGHT_US, S, car, flag, id, lap, seen, session, state};

/// How a race is limited.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Limit {
    Laps,
    Time,
    Both,
}

/// A race whose cars have crossed the line at these moments.
#[derive(Clone, Debug)]
pub(crate) struct Driven {
    pub(crate) info: SessionInfo,
    /// When each car ended its laps, µs, those after the end included.
    pub(crate) crossings: Vec<Vec<i64>>,
    /// When each car stopped for good, if it did, µs.
    pub(crate) retired: Vec<Option<i64>>,
    /// Which cars have a client of their own.
    pub(crate) own: Vec<bool>,
    /// When the winner crossed the line, µs.
    pub(crate) end_us: i64,
    /// Who.
    pub(crate) winner: usize,
    /// The shortest lap, µs.
    pub(crate) shortest_us: i64,
}

/// All rows of a race.
#[derive(Clone, Debug, Default)]
pub(crate) struct Told {
    pub(crate) laps: Vec<Lap>,
    pub(crate) flags: Vec<FlagChange>,
    pub(crate) states: Vec<SessionStateChange>,
    pub(crate) cars: Vec<CarNow>,
    pub(crate) pit_visits: Vec<PitVisit>,
}

impl Told {
    pub(crate) fn facts<'a>(&'a self, session: &'a SessionInfo) -> Facts<'a> {
        Facts { session, laps: &self.laps, flags: &self.flags, states: &self.states, cars: &self.cars, pit_visits: &self.pit_visits }
    }
}

/// What must come out of one car: laps, when it crossed last, whether it finished.
type Place = (EntryId, u32, Option<i64>, bool);

impl Driven {
    /// A race of `seed`. Its end is that of its limits, or `extra` laps later.
    pub(crate) fn of(rng: &mut Rng, limit: Limit, extra: u32) -> Self {
        let count = rng.usize(3..14);
        let base = rng.i64(40 * S..110 * S);
        let paces: Vec<i64> = (0..count).map(|_| base + (base as f64 * rng.f64() * 0.45) as i64).collect();
        let laps_limit = rng.u32(4..8);
        let time_us = (base as f64 * (3.0 + 4.0 * rng.f64())) as i64;
        let (laps, time) = match limit {
            Limit::Laps => (laps_limit, 0),
            Limit::Time => (0, time_us),
            Limit::Both => (laps_limit, time_us),
        };
        let crossings = |rng: &mut Rng, pace: i64| -> Vec<i64> {
            let mut at = LIGHT_US + rng.i64(0..8 * S);
            let next = |rng: &mut Rng| pace + (pace as f64 * (rng.f64() - 0.5) * 0.03) as i64;
            (0..14 + extra)
                .map(|_| {
                    at += next(rng);
                    at
                })
                .collect()
        };
        let mut crossings: Vec<Vec<i64>> = paces.iter().map(|pace| crossings(rng, *pace)).collect();
        let retired: Vec<Option<i64>> = (0..count).map(|_| (rng.u8(0..4) == 0).then(|| LIGHT_US + rng.i64(0..laps_limit as i64 * base))).collect();
        for (of, stop) in crossings.iter_mut().zip(&retired) {
            of.retain(|at| stop.is_none_or(|stop| *at < stop));
        }
        let first = |number: usize| crossings.iter().enumerate().filter_map(|(n, of)| Some((*of.get(number - 1)?, n))).min();
        let by_laps = (laps > 0).then(|| first((laps + extra) as usize)).flatten();
        let due = LIGHT_US + time;
        // Who has most laps when it crosses first behind the moment; of these the earliest.
        let next = |of: &Vec<i64>| of.iter().position(|at| *at >= due);
        let by_time =
            (time > 0).then(|| crossings.iter().enumerate().filter_map(|(n, of)| Some((-(next(of)? as i64), of[next(of)?], n))).min()).flatten();
        let by_time = by_time.map(|(_, at, n)| (at, n)).filter(|_| extra == 0);
        let end = by_laps.into_iter().chain(by_time).min();
        // A car that led and stopped may have more laps than all others: who won such a race is not known.
        let won = end.filter(|(at, n)| {
            let laps = |of: &Vec<i64>| of.iter().filter(|t| *t <= at).count();
            crossings.iter().all(|of| laps(of) <= laps(&crossings[*n]))
        });
        let Some((end_us, winner)) = won else { return Self::of(rng, limit, extra) };
        // No car stops after the end: a car that would have stopped drives on.
        let retired: Vec<Option<i64>> = retired.iter().zip(&crossings).map(|(stop, of)| stop.filter(|_| of.iter().all(|at| *at < end_us))).collect();
        for (of, stop) in crossings.iter_mut().zip(&retired) {
            let after = of.iter().filter(|at| **at < end_us).count();
            // Up to two laps to cool down.
            of.truncate(if stop.is_some() { after } else { after + 1 + rng.usize(0..3) });
        }
        let own = (0..count).map(|n| n == 0 || rng.u8(0..3) > 0).collect();
        let shortest_us = paces.iter().min().unwrap() * 97 / 100;
        Self { info: session("Race", count, laps, time), crossings, retired, own, end_us, winner, shortest_us }
    }

    pub(crate) fn cars(&self) -> usize {
        self.crossings.len()
    }

    /// Whose clients stream to beyond the end.
    pub(crate) fn clients(&self) -> Vec<usize> {
        (0..self.cars()).filter(|n| self.own[*n] && self.retired[*n].is_none()).collect()
    }

    /// Laps, and where cars are when all is over; nothing reports the end.
    pub(crate) fn told(&self) -> Told {
        let over_us = self.crossings.iter().flatten().max().unwrap() + 5 * S;
        let mut told = Told::default();
        for (n, of) in self.crossings.iter().enumerate() {
            let starts = std::iter::once(&LIGHT_US).chain(of);
            told.laps.extend(starts.zip(of).zip(1..).map(|((start, end), number)| lap(n, number, *start, *end)));
            let now = CarNow { speed_mps: Some(if self.retired[n].is_some() { 0.0 } else { 30.0 }), ..car(n, of.len() as u32 + 1, over_us) };
            match (self.own[n], self.retired[n]) {
                // The client of a car that has stopped is closed.
                (true, Some(stop)) => told.cars.push(CarNow { sim_time_us: stop + S, ..now }),
                (true, None) => told.cars.push(now),
                (false, _) => told.cars.push(seen(now)),
            }
        }
        told
    }

    /// The session state of each client: racing from the light, and over from its own moment, if at all.
    pub(crate) fn with_states(&self, told: &mut Told, over_us: impl Fn(usize) -> Option<i64>) {
        for n in (0..self.cars()).filter(|n| self.own[*n]) {
            told.states.push(state(n, LIGHT_US, SessionState::RACING));
            let over = over_us(n).filter(|_| self.retired[n].is_none());
            told.states.extend(over.map(|us| state(n, us, SessionState::CHECKERED)));
        }
    }

    /// The flags of each client: green from the light, chequered from its own moment, if at all.
    pub(crate) fn with_flags(&self, told: &mut Told, over_us: impl Fn(usize) -> Option<i64>) {
        for n in (0..self.cars()).filter(|n| self.own[*n]) {
            told.flags.push(flag(n, LIGHT_US, Flags::GREEN));
            let over = over_us(n).filter(|_| self.retired[n].is_none());
            told.flags.extend(over.map(|us| flag(n, us, Flags::CHECKERED)));
        }
    }

    /// What must come out: each car ends with its first crossing at or after the winner's.
    pub(crate) fn places(&self) -> Vec<Place> {
        let mut places: Vec<Place> = self
            .crossings
            .iter()
            .enumerate()
            .map(|(n, of)| {
                let counted = of.iter().position(|at| *at >= self.end_us).map_or(of.len(), |k| k + 1);
                (EntryId(id(n)), counted as u32, counted.checked_sub(1).map(|k| of[k]), counted > 0 && of[counted - 1] >= self.end_us)
            })
            .collect();
        places.sort_by_key(|(entry, laps, at, _)| (std::cmp::Reverse(*laps), *at, *entry));
        places
    }

    /// Compares the classification with what was driven.
    pub(crate) fn check(&self, told: &Told) -> Result<(), String> {
        let rows = classification(&told.facts(&self.info));
        let places: Vec<Place> = rows.iter().map(|r| (r.entry, r.laps, r.finish_us, r.finished)).collect();
        if places != self.places() {
            return Err(format!("places are\n{places:?}, not\n{:?}\nend {} {:?}", self.places(), self.end_us, self.info.meta));
        }
        let status = |r: &Classified| match (r.finished, r.laps) {
            (true, _) => r.status == Status::Finished,
            _ => r.status == Status::Retired,
        };
        if !rows.iter().all(status) {
            return Err(format!("statuses: {rows:?}"));
        }
        let mut classes = [0; 3];
        for row in &rows {
            classes[row.class_id as usize] += 1;
            if row.class_position != classes[row.class_id as usize] || row.laps_down != rows[0].laps - row.laps {
                return Err(format!("class places or laps down: {rows:?}"));
            }
        }
        Ok(())
    }
}
