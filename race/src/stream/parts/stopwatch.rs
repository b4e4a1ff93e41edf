//! [`Stopwatch`]: the total of any number of intervals, with rewind.

use serde::{Deserialize, Serialize};

use crate::stream::sparse::is_default;

/// Number of intervals kept for a rewind; older ones are kept as a sum.
const INTERVALS_MAX: usize = 3;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Stopwatch {
    /// Start of the running interval, µs.
    #[serde(skip_serializing_if = "is_default")]
    since_us: Option<i64>,
    /// Start and end of past intervals, oldest first, µs.
    #[serde(skip_serializing_if = "is_default")]
    done_us: Vec<(i64, i64)>,
    /// Sum of older intervals, µs.
    #[serde(skip_serializing_if = "is_default")]
    older_us: i64,
}

impl Stopwatch {
    pub(super) fn running(&self) -> bool {
        self.since_us.is_some()
    }

    /// Start at `us`, unless it runs already.
    pub(super) fn start(&mut self, us: i64) {
        self.since_us.get_or_insert(us);
    }

    /// Stop at `us`, if it runs.
    pub(super) fn stop(&mut self, us: i64) {
        let Some(since) = self.since_us.take() else { return };
        if self.done_us.len() >= INTERVALS_MAX {
            let (from, to) = self.done_us.remove(0);
            self.older_us += to - from;
        }
        self.done_us.push((since, us.max(since)));
    }

    /// Total up to `us`, µs.
    pub(super) fn total_us(&self, us: i64) -> i64 {
        let done: i64 = self.done_us.iter().map(|(from, to)| to - from).sum();
        self.older_us + done + self.since_us.map_or(0, |since| (us - since).max(0))
    }

    /// Go back to the state at `to_us`.
    pub(super) fn rewind(&mut self, to_us: i64) {
        self.since_us = self.since_us.filter(|since| *since <= to_us);
        self.done_us.retain(|(from, _)| *from <= to_us);
        // The last interval was running at that time.
        if let Some((from, _)) = self.done_us.pop_if(|(_, to)| *to > to_us) {
            self.since_us = Some(from);
        }
    }
}

#[cfg(test)]
impl Stopwatch {
    /// A stopped one with the longest encoding.
    pub(super) fn longest() -> Self {
        Self { since_us: None, done_us: vec![(i64::MAX, i64::MAX); INTERVALS_MAX], older_us: i64::MAX }
    }

    /// The same, running since `us`.
    pub(super) fn running_on(&self, us: i64) -> Self {
        Self { since_us: Some(us), ..self.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(intervals: &[(i64, i64)]) -> Stopwatch {
        let mut clock = Stopwatch::default();
        for (from, to) in intervals {
            clock.start(*from);
            clock.start(*from + 1);
            clock.stop(*to);
            clock.stop(*to + 1);
        }
        clock
    }

    #[test]
    fn intervals_add_up_however_many() {
        let all: Vec<_> = (0..10).map(|n| (n * 100, n * 100 + n)).collect();
        assert_eq!(of(&all).total_us(5_000), 45);
        let mut running = of(&all[..2]);
        running.start(500);
        assert_eq!((running.total_us(520), running.running()), (21, true));
    }

    #[test]
    fn a_rewind_goes_back_to_the_sum_of_then() {
        let mut clock = of(&[(100, 200), (300, 400), (500, 600)]);
        clock.rewind(350);
        assert_eq!((clock.total_us(350), clock.running()), (150, true));
        clock.stop(360);
        assert_eq!(clock.total_us(999), 160);
        clock.rewind(250);
        assert_eq!((clock.total_us(999), clock.running()), (100, false));
        clock.rewind(50);
        assert_eq!(clock, Stopwatch::default());
    }
}
