//! The laps: the one that is open, those before it that a rewind can go back to, and what makes a lap valid.

mod lap;
mod lines;
mod rewind;
mod settle;
mod shared;
mod validity;

use serde::{Deserialize, Serialize};

use self::lap::{OpenLap, PastLap};
use super::fact::Fact;
use super::identity::Reporter;
use super::mark::Mark;
use super::sparse::is_default;
use super::step::{Sample, Section};
use super::track::Track;

pub(crate) use self::rewind::Back;
/// What laps are stored as, for a reader of the version before.
pub(crate) mod stored {
    pub(crate) use super::lap::{OpenLap, PastLap};
    pub(crate) use super::{Before, Pending};
}

/// Laps kept for a rewind to go back to. Flashbacks reach tens of seconds.
const PAST_LAPS: usize = 3;
/// … of an observed car: there is a state for each car of each observer.
const PAST_LAPS_FIELD: usize = 1;

/// The laps of one car. See the [module](self).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Laps {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) open: Option<OpenLap>,
    /// Laps before it, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) past: Vec<PastLap>,
    /// The newest reported lap of `past` waits for the simulator's own time.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pending: Option<Pending>,
    /// Number of the last lap reported.
    pub(super) last_number: u32,
    /// A lap was opened since [`Laps::began`] was asked last.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) began: bool,
    /// What the frame before showed; a rewind forgets it.
    pub(super) before: Before,
}

/// A lap reported at its crossing, not yet settled (`simtime.settled`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// When it ended: its key among the past laps, µs.
    pub(super) end_us: i64,
    pub(super) revision: u32,
    /// The simulator's "last lap" before the crossing, µs.
    pub(super) before_us: Option<i64>,
}

/// What the frame before showed, where a change matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Before {
    /// Off track since, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) off_since_us: Option<i64>,
    /// The simulator's "lap invalid".
    #[serde(skip_serializing_if = "is_default")]
    pub(super) sim_invalid: bool,
    /// The simulator's "last lap", µs.
    pub(super) sim_last_us: Option<i64>,
}

impl Laps {
    /// Number of the lap that is open; 0 if none is, or its number is not known yet. `at` is where the car is.
    #[inline]
    pub(crate) fn open_number(&self, at: Option<&Sample>) -> u32 {
        let Some(lap) = &self.open else { return 0 };
        let counted = at.and_then(Sample::counted);
        lap.number.or(counted).or_else(|| (self.last_number > 0).then_some(self.last_number + 1)).unwrap_or(0)
    }

    /// When the open lap began, µs.
    #[inline]
    pub(crate) fn open_since_us(&self) -> Option<i64> {
        self.open.as_ref().map(|lap| lap.start_us)
    }

    /// The open lap, unless somebody else began it: when it began, and its mini-loops, µs.
    pub(crate) fn begun_here(&self) -> Option<(i64, &[i64])> {
        self.open.as_ref().filter(|lap| lap.taken_over.is_none()).map(|lap| (lap.start_us, lap.loops_us.as_slice()))
    }

    /// Whether a lap was opened since this was asked last.
    #[inline]
    pub(crate) fn began(&mut self) -> bool {
        std::mem::take(&mut self.began)
    }

    fn begin(&mut self, lap: OpenLap) {
        self.open = Some(lap);
        self.began = true;
    }

    /// The open lap is marked from `us` on.
    pub(crate) fn mark(&mut self, mark: Mark, us: i64) {
        if let Some(lap) = &mut self.open {
            lap.mark(mark, us);
        }
    }

    /// Lines moved under a lap: what was crossed so far cannot be told apart from what was not (`sector.moved`).
    pub(crate) fn lines_moved(&mut self) {
        for lap in self.past.iter_mut().map(|p| &mut p.lap).filter(|l| !l.splits_us.is_empty()).chain(&mut self.open) {
            lap.no_sectors = true;
        }
    }

    /// Between which lines a car is that comes back from a rewind into the open lap.
    pub(crate) fn section(&self, track: &Track) -> Option<Section> {
        let lap = self.open.as_ref()?;
        let passed = lap.splits_us.len();
        let line = |n: usize| if lap.no_sectors { None } else { track.line(n) };
        // On the grid a car stands behind the line that its lap will be counted from.
        let start = if lap.from_green || lap.no_sectors { -0.5 } else { 0.0 };
        Some(Section {
            near: if lap.half_us.is_some() { 0.75 } else { 0.25 },
            behind: passed.checked_sub(1).and_then(line).unwrap_or(start),
            ahead: line(passed).unwrap_or(1.0),
        })
    }

    /// The open lap will not be finished: the car jumped, or was reset (`lap.jump`, `lap.reset`).
    pub(crate) fn break_off(&mut self, by: &Reporter<'_>, at: Option<Sample>, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (self.open.take(), at) else { return };
        if self.past.len() >= past_max(by) && self.pending.is_some_and(|p| self.past[0].until_us == p.end_us) {
            self.settle_now(by, out);
        }
        self.last_number = self.last_number.max(lap.number.map_or(0, |n| n.saturating_sub(1)));
        self.remember(by, PastLap { lap, told: false, until_us: at.us, until_tick: at.tick, until_seq: at.seq, fuel_l: None });
    }

    fn remember(&mut self, by: &Reporter<'_>, past: PastLap) {
        while self.past.len() >= past_max(by) {
            self.past.remove(0);
        }
        self.past.push(past);
    }
}

fn past_max(by: &Reporter<'_>) -> usize {
    if by.own() { PAST_LAPS } else { PAST_LAPS_FIELD }
}
