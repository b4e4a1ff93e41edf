//! Which laps count, and which of them can be a best lap (rules `race.counts`, `best.lap`, `best.end`).

use super::{Facts, Finish, Ranking};
use boxbox_schemas::results::{Lap, Tags};

/// Which laps of a session count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Counting {
    /// Laps that begin then or later do not count, µs.
    pub begun_before_us: i64,
    /// Laps that end later do not count, µs: the race was stopped then.
    pub ended_by_us: i64,
    /// Laps of a higher number do not count: the winner of a race has completed so many. Else `None`.
    pub at_most: Option<u32>,
    /// The lowest number that a best lap has: 2 in a race of several laps.
    pub best_from_number: u32,
    /// In sessions that are no races, the number of laps that count, out laps not among them; 0: any number.
    pub laps_counted: u32,
}

impl Counting {
    /// Of a session that ended so. `facts` needs no more laps than the finish does, and the last lap of each entry.
    pub fn of(facts: &Facts<'_>, finish: Option<&Finish>) -> Self {
        let limit = facts.session.meta.as_ref().map_or(0, |m| m.laps_limit);
        let begun_before_us = finish.map_or(i64::MAX, |f| f.end_us);
        let ended_by_us = finish.filter(|f| f.ended_without_a_crossing).map_or(i64::MAX, |f| f.end_us);
        let several = || facts.laps.iter().any(|l| !l.superseded && l.number > 1 && l.start_us < begun_before_us);
        let one_lap = limit == 1 || finish.is_some() && !several();
        let won = |l: &&Lap| !l.superseded && finish.is_some_and(|f| f.winner == Some(l.entry) && f.end_us == l.end_us);
        let at_most = facts.laps.iter().filter(won).map(|l| l.number).max();
        match facts.ranking() {
            Ranking::BestLap => Self { begun_before_us, ended_by_us, at_most: None, best_from_number: 1, laps_counted: limit },
            Ranking::Distance => Self { begun_before_us, ended_by_us, at_most, best_from_number: if one_lap { 1 } else { 2 }, laps_counted: 0 },
        }
    }

    /// Those of an entry's laps that count, in order of numbers.
    pub fn counting<'a>(&self, laps: impl IntoIterator<Item = &'a Lap>) -> Vec<&'a Lap> {
        let mut laps: Vec<&Lap> = laps.into_iter().filter(|l| !l.superseded && self.is_within(l)).collect();
        laps.sort_by_key(|l| l.number);
        if self.laps_counted > 0 {
            let mut left = self.laps_counted;
            laps.retain(|l| {
                // Behind the last of them nothing counts, an out lap neither.
                let counts = left > 0;
                left = left.saturating_sub(u32::from(!l.tags.has(Tags::OUT_LAP)));
                counts
            });
        }
        laps
    }

    /// Which laps can be a best lap: their numbers have no upper bound.
    pub fn timed(&self) -> Self {
        Self { at_most: None, ..*self }
    }

    /// Whether a lap lies within the session: it began before the end, and its number is not above the winner's (`race.counts`).
    pub fn is_within(&self, lap: &Lap) -> bool {
        lap.start_us < self.begun_before_us && lap.end_us <= self.ended_by_us && self.at_most.is_none_or(|most| lap.number <= most)
    }

    /// The best of an entry's laps: the fastest valid one that counts; of equal ones the first.
    pub fn best<'a>(&self, laps: impl IntoIterator<Item = &'a Lap>) -> Option<&'a Lap> {
        best_lap(self.timed().counting(laps).into_iter().filter(|l| l.number >= self.best_from_number))
    }
}

/// The fastest lap of those that count for best; of equal laps the earlier one. The simulator's own time decides where it reported one.
pub fn best_lap<'a>(laps: impl IntoIterator<Item = &'a Lap>) -> Option<&'a Lap> {
    laps.into_iter().filter(|l| !l.superseded && l.valid()).min_by_key(|l| (l.deciding_us(), l.end_us))
}
