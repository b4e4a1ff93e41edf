//! Steps of drivers' incident counters.

use serde::{Deserialize, Serialize};

use super::row::row_of_a_moment;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// A change of a driver's own incident counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncidentStep {
    /// The session.
    pub session: SessionId,
    /// The entry.
    pub entry: EntryId,
    /// The driver whose counter it is.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The stream's timeline.
    pub timeline: u32,
    /// Tick of the first frame with the new count.
    pub tick: u32,
    /// Its session time, µs.
    pub sim_time_us: i64,
    /// Count before.
    pub from: u16,
    /// Count after.
    pub to: u16,
    /// A rewind went back to before it (E4). The row is kept but does not count.
    pub superseded: bool,
    /// A record after the session's close changes `superseded`, but only when the session is opened again (E9b): until then a row that
    /// came late is superseded, and a row that was superseded late is not.
    #[serde(default)]
    pub late: bool,
}

row_of_a_moment!(IncidentStep, "incident");

impl IncidentStep {
    /// Folds the steps of one session, in any order, so that each rise of each counter is there once, sorted by (entry, driver, time).
    ///
    /// Several runs of a driver report the same counter, so a step counts only as far as it is above the highest count so far (E3c). If
    /// the simulator resets a counter within a session, steps below that count are lost (`incident.fold`).
    pub fn fold(mut steps: Vec<IncidentStep>) -> Vec<IncidentStep> {
        steps.retain(|s| !s.superseded);
        steps.sort_by_key(|s| (s.entry, s.driver, s.sim_time_us, s.to, s.run));
        let mut so_far: Option<(EntryId, DriverId, u16)> = None;
        steps.retain_mut(|step| {
            let highest = match so_far {
                Some((entry, driver, highest)) if (entry, driver) == (step.entry, step.driver) => highest,
                // The first run may have begun in mid-session, with a count above 0.
                _ => step.from,
            };
            let news = step.to > highest;
            step.from = step.from.max(highest);
            so_far = Some((step.entry, step.driver, highest.max(step.to)));
            news
        });
        steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn step(run: u8, at: i64, from: u16, to: u16) -> IncidentStep {
        let id = |t: &str| crate::ShortId::new(t).unwrap();
        IncidentStep {
            session: SessionId::default(),
            entry: EntryId(id("e")),
            driver: DriverId(id("d")),
            run: RunId([run; 16]),
            timeline: 0,
            tick: at as u32,
            sim_time_us: at,
            from,
            to,
            superseded: false,
            late: false,
        }
    }

    #[test]
    fn a_run_that_saw_less_adds_only_what_is_new() {
        // One run at full rate, one at a low rate that saw two rises as one, one that joined late.
        let steps = vec![step(1, 10, 0, 1), step(1, 20, 1, 2), step(2, 21, 0, 2), step(3, 30, 2, 4), step(1, 30, 2, 4)];
        let folded: Vec<_> = IncidentStep::fold(steps).iter().map(|s| (s.sim_time_us, s.from, s.to)).collect();
        assert_eq!(folded, [(10, 0, 1), (20, 1, 2), (30, 2, 4)]);
    }

    proptest! {
        #[test]
        fn steps_of_many_runs_in_any_order_are_those_of_one_counter(
            rises in proptest::collection::vec((1i64..1_000, 1u16..5), 1..20), runs in 1u8..5, seed: u64,
        ) {
            let (mut at, mut count, mut truth) = (0, 0, vec![]);
            for (later, more) in rises {
                at += later;
                truth.push((at, count, count + more));
                count += more;
            }
            let mut steps: Vec<_> = (0..runs).flat_map(|run| truth.iter().map(move |(at, from, to)| step(run, *at, *from, *to))).collect();
            // Any order: rotate and reverse by the seed.
            let turn = (seed as usize) % steps.len();
            steps.rotate_left(turn);
            if seed % 2 == 0 { steps.reverse(); }
            let folded: Vec<_> = IncidentStep::fold(steps).iter().map(|s| (s.sim_time_us, s.from, s.to)).collect();
            prop_assert_eq!(folded, truth);
        }
    }
}
