//! [`Probe`]: a part for tests, which panics on request.

use std::cell::{Cell, RefCell};

use serde::{Deserialize, Serialize};

use super::frame_context::FrameContext;
use super::part::{Part, Slow};
use crate::stream::fact::Output;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Probe {
    /// Frames since it began.
    pub(crate) frames: u64,
    /// Makes the state long.
    pub(crate) ballast: Vec<u64>,
}

/// When the probe panics.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Plan {
    /// At every n-th frame since it began.
    Frame(u64),
    Slow,
    Rewind,
    HandOver,
    End,
    /// Never, but its state grows with each frame.
    Grow,
}

thread_local! {
    /// What the probes of this thread do; nothing by default.
    pub(crate) static PLAN: Cell<Option<Plan>> = const { Cell::new(None) };
    /// How often they panicked, and the times of the frames with which they began, µs.
    pub(crate) static PANICS: Cell<u64> = const { Cell::new(0) };
    pub(crate) static BEGINNINGS: RefCell<Vec<i64>> = const { RefCell::new(Vec::new()) };
}

fn panic_if(due: bool, out: &mut Output) {
    if due {
        // Output of a call that panics must be dropped.
        let reported = out.facts.last().cloned();
        out.facts.extend(reported);
        out.mark(Mark::Incident, i64::MIN);
        PANICS.set(PANICS.get() + 1);
        panic!("asked to");
    }
}

impl Part for Probe {
    const MAX_BYTES: usize = 64;

    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
        let Some(plan) = PLAN.get() else { return };
        if self.frames == 0 {
            BEGINNINGS.with_borrow_mut(|all| all.push(at.frame.us));
        }
        self.frames += 1;
        if plan == Plan::Grow {
            self.ballast.push(self.frames << 32);
        }
        panic_if(matches!(plan, Plan::Frame(n) if self.frames.is_multiple_of(n)), out);
    }

    fn slow(&mut self, _at: &Slow<'_>, out: &mut Output) {
        panic_if(PLAN.get() == Some(Plan::Slow), out);
    }

    fn rewind(&mut self, _by: &Origin<'_>, _to_us: i64, out: &mut Output) {
        panic_if(PLAN.get() == Some(Plan::Rewind), out);
    }

    fn hand_over(&mut self) {
        panic_if(PLAN.get() == Some(Plan::HandOver), &mut Output::default());
    }

    fn end(&mut self, _by: &Origin<'_>, _us: i64, out: &mut Output) {
        panic_if(PLAN.get() == Some(Plan::End), out);
    }
}
