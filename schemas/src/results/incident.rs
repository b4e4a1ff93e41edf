//! Steps of drivers' incident counters.

use serde::{Deserialize, Serialize};

use super::row::row_of_a_moment;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// A change of a driver's own incident counter.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IncidentStep {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// Whose counter.
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
    /// E4: a rewind went back to before it. Kept for the record, not shown.
    pub superseded: bool,
    /// E9: a record behind the session's close turned `superseded` over; that takes effect when the session is opened again.
    /// What was told late is superseded until then, what was taken back late is not yet.
    #[serde(default)]
    pub late: bool,
}

row_of_a_moment!(IncidentStep, "incident");

impl IncidentStep {
    /// E3 for incidents: several runs of a driver tell of one counter, so a count that one has told is not told again.
    ///
    /// Takes the steps of one session in any order, gives them by (entry, driver, time), each rise of each counter once:
    /// what lies above the highest count so far. A counter that the simulator sets back within a session is not followed.
    pub fn fold(mut steps: Vec<IncidentStep>) -> Vec<IncidentStep> {
        steps.retain(|s| !s.superseded);
        steps.sort_by_key(|s| (s.entry, s.driver, s.sim_time_us, s.to, s.run));
        let mut told: Option<(EntryId, DriverId, u16)> = None;
        steps.retain_mut(|step| {
            let highest = match told {
                Some((entry, driver, highest)) if (entry, driver) == (step.entry, step.driver) => highest,
                // The first run may have begun in mid-session, with a count already.
                _ => step.from,
            };
            let news = step.to > highest;
            step.from = step.from.max(highest);
            told = Some((step.entry, step.driver, highest.max(step.to)));
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
        let told: Vec<_> = IncidentStep::fold(steps).iter().map(|s| (s.sim_time_us, s.from, s.to)).collect();
        assert_eq!(told, [(10, 0, 1), (20, 1, 2), (30, 2, 4)]);
    }

    proptest! {
        #[test]
        fn however_often_and_in_whatever_order_a_counter_is_told_it_is_one_counter(
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
            let told: Vec<_> = IncidentStep::fold(steps).iter().map(|s| (s.sim_time_us, s.from, s.to)).collect();
            prop_assert_eq!(told, truth);
        }
    }
}
