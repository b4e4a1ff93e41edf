//! The session state shown to the client: each change is a fact (`state.change`).

use boxbox_schemas::frame::SessionState;
use boxbox_schemas::results::SessionStateChange;
use serde::{Deserialize, Serialize};

use super::frame_context::FrameContext;
use super::part::Part;
use crate::stream::fact::{Fact, Output};
use crate::stream::identity::Origin;
use crate::stream::sparse::is_default;

/// Number of changes kept, for a rewind.
const STATES_MAX: usize = 3;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct StatesShown {
    /// The last changes, oldest first: time in µs, and the state after. The stored name is short, because a car's state has a bound.
    #[serde(rename = "c", skip_serializing_if = "is_default")]
    changes: Vec<(i64, SessionState)>,
}

impl StatesShown {
    /// The frame at `us` shows `state`. Returns the state before if it changed. A frame that shows no state says nothing.
    #[inline]
    fn read(&mut self, us: i64, state: SessionState) -> Option<SessionState> {
        let last = self.changes.last().map_or(SessionState::INVALID, |(_, state)| *state);
        if state == last || state == SessionState::INVALID {
            return None;
        }
        if self.changes.len() == STATES_MAX {
            self.changes.remove(0);
        }
        self.changes.push((us, state));
        Some(last)
    }

    /// Go back to the state at `to_us`; where that is forgotten, the next frame tells it.
    fn go_back(&mut self, to_us: i64) {
        self.changes.truncate(self.changes.partition_point(|(us, _)| *us <= to_us));
    }
}

impl Part for StatesShown {
    const MAX_BYTES: usize = 40;

    #[inline]
    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
        let frame = at.frame;
        let Some(from) = self.read(frame.us, frame.state) else { return };
        let ctx = at.origin.ctx;
        out.facts.push(Fact::row(&SessionStateChange {
            session: ctx.session,
            entry: at.origin.entry(),
            driver: ctx.driver,
            run: ctx.run,
            timeline: at.origin.timeline(),
            tick: frame.tick,
            sim_time_us: frame.us,
            from,
            to: frame.state,
            superseded: false,
            late: false,
        }));
    }

    fn rewind(&mut self, _by: &Origin<'_>, to_us: i64, _out: &mut Output) {
        self.go_back(to_us);
    }

    /// Changes of the state are facts of one run, so a new run begins with the state of its first frame.
    fn hand_over(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RACING: SessionState = SessionState::RACING;
    const CHECKERED: SessionState = SessionState::CHECKERED;

    #[test]
    fn the_longest_state_fits() {
        let any = SessionState(u8::MAX);
        let bytes = rmp_serde::to_vec_named(&StatesShown { changes: vec![(i64::MAX, any); STATES_MAX] }).unwrap().len();
        assert!((StatesShown::MAX_BYTES - 16..=StatesShown::MAX_BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn each_change_once_and_a_frame_without_a_state_is_none() {
        let mut shown = StatesShown::default();
        let readings = [SessionState::INVALID, RACING, RACING, SessionState::INVALID, RACING, CHECKERED];
        let changes: Vec<_> = readings.iter().zip(0..).filter_map(|(state, us)| Some((us, shown.read(us, *state)?))).collect();
        assert_eq!(changes, [(1, SessionState::INVALID), (5, RACING)]);
    }

    #[test]
    fn a_rewind_goes_back_to_the_state_of_then() {
        let mut shown = StatesShown::default();
        shown.read(10, RACING);
        shown.read(20, CHECKERED);
        shown.go_back(15);
        assert_eq!(shown.read(16, RACING), None);
        assert_eq!(shown.read(21, CHECKERED), Some(RACING));
        shown.go_back(5);
        assert_eq!(shown.read(6, RACING), Some(SessionState::INVALID));
        // Farther back than the changes that are kept.
        (0..10).for_each(|n| _ = shown.read(30 + n, if n % 2 == 0 { CHECKERED } else { RACING }));
        shown.go_back(31);
        assert_eq!(shown.read(32, RACING), Some(SessionState::INVALID));
    }
}
