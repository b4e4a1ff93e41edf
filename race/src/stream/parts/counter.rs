//! The driver's incident counter: each rise is a fact (`incident.step`); blank readings, resets and rewinds are not.

use boxbox_schemas::results::IncidentStep;
use serde::{Deserialize, Serialize};

use super::frame_context::FrameContext;
use super::part::Part;
use crate::stream::fact::{Fact, Output};
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;

/// A lower reading for less than this time is blank, not a reset of the counter, µs (`incident.dip`).
const COUNTER_DIP_US: i64 = 1_000_000;
/// Number of incident steps kept for a rewind.
const STEPS_MAX: usize = 4;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct IncidentCounter {
    /// The count so far.
    count: Option<u16>,
    /// Since when readings are lower, µs.
    below_since_us: Option<i64>,
    /// The last steps, oldest first: time in µs, and the count before.
    steps: Vec<(i64, u16)>,
}

impl IncidentCounter {
    /// A reading at `us`; returns the step (from, to) if the counter rose.
    #[inline]
    fn read(&mut self, us: i64, reading: u16) -> Option<(u16, u16)> {
        match self.count {
            Some(count) if reading == count => {
                self.below_since_us = None;
                None
            }
            Some(count) if reading > count => {
                self.below_since_us = None;
                self.count = Some(reading);
                if self.steps.len() == STEPS_MAX {
                    self.steps.remove(0);
                }
                self.steps.push((us, count));
                Some((count, reading))
            }
            Some(_) => {
                let since = *self.below_since_us.get_or_insert(us);
                if us - since >= COUNTER_DIP_US {
                    self.count = Some(reading);
                    self.below_since_us = None;
                }
                None
            }
            None => {
                self.count = Some(reading);
                None
            }
        }
    }

    /// Go back to the count at `to_us`. If the simulator keeps the points, they become a step again (`incident.rewind`).
    fn go_back(&mut self, to_us: i64) {
        self.below_since_us = None;
        let kept = self.steps.partition_point(|(us, _)| *us <= to_us);
        if let Some((_, from)) = self.steps.get(kept) {
            self.count = Some(*from);
        }
        self.steps.truncate(kept);
    }
}

impl Part for IncidentCounter {
    const MAX_BYTES: usize = 100;

    #[inline]
    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
        let (Some(_), Some(reading)) = (at.frame.pct, at.frame.incidents) else { return };
        let Some((from, to)) = self.read(at.frame.us, reading) else { return };
        // The lap does not count for best (`validity.incident`).
        out.mark(Mark::Incident, at.frame.us);
        let ctx = at.origin.ctx;
        out.facts.push(Fact::row(&IncidentStep {
            session: ctx.session,
            entry: at.origin.entry(),
            driver: ctx.driver,
            run: ctx.run,
            timeline: at.origin.timeline(),
            tick: at.frame.tick,
            sim_time_us: at.frame.us,
            from,
            to,
            superseded: false,
            late: false,
        }));
    }

    fn rewind(&mut self, _by: &Origin<'_>, to_us: i64, _out: &mut Output) {
        self.go_back(to_us);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn steps(readings: &[(i64, u16)]) -> Vec<(u16, u16)> {
        let mut counter = IncidentCounter::default();
        readings.iter().filter_map(|(ms, n)| counter.read(ms * 1_000, *n)).collect()
    }

    #[test]
    fn the_longest_state_fits() {
        let counter = IncidentCounter { count: Some(u16::MAX), below_since_us: Some(i64::MAX), steps: vec![(i64::MAX, u16::MAX); STEPS_MAX] };
        let bytes = rmp_serde::to_vec_named(&counter).unwrap().len();
        assert!((IncidentCounter::MAX_BYTES - 16..=IncidentCounter::MAX_BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn the_first_reading_is_no_step() {
        assert_eq!(steps(&[(0, 7), (16, 7), (32, 9)]), [(7, 9)]);
    }

    #[test]
    fn a_blank_reading_is_no_step() {
        assert_eq!(steps(&[(0, 5), (16, 0), (32, 0), (48, 5), (64, 5)]), []);
        assert_eq!(steps(&[(0, 5), (16, 0), (32, 7)]), [(5, 7)]);
    }

    #[test]
    fn a_new_count_is_taken_over_silently() {
        assert_eq!(steps(&[(0, 5), (16, 0), (900, 0), (1_100, 0), (1_200, 1)]), [(0, 1)]);
    }

    #[test]
    fn steps_undone_are_forgotten() {
        let mut counter = IncidentCounter::default();
        for (us, n) in [(0, 0), (10, 1), (20, 3)] {
            counter.read(us, n);
        }
        counter.go_back(15);
        assert_eq!(counter.read(16, 2), Some((1, 2)));
        assert_eq!(counter.read(30, 5), Some((2, 5)));
        counter.go_back(18);
        assert_eq!(counter.read(19, 5), Some((2, 5)));
    }

    #[test]
    fn a_rewind_goes_back_to_the_count_of_then() {
        let mut counter = IncidentCounter::default();
        for (us, n) in [(0, 0), (10, 1), (20, 3)] {
            counter.read(us, n);
        }
        counter.go_back(15);
        assert_eq!(counter.read(16, 1), None);
        assert_eq!(counter.read(17, 3), Some((1, 3)));
        counter.go_back(0);
        assert_eq!(counter.read(30, 3), Some((0, 3)));
    }
}
