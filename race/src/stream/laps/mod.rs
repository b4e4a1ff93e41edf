//! The laps of a car: the open lap, the past laps that a rewind can reopen, and what makes a lap valid.

mod grid;
mod jump;
mod lap;
mod lines;
mod rewind;
mod settle;
mod shared;
mod validity;

use serde::{Deserialize, Serialize};

use self::lap::{Awaited, OpenLap, PastLap};
use super::fact::Fact;
use super::identity::Origin;
use super::mark::Mark;
use super::sparse::is_default;
use super::step::{Sample, Section};
use super::track::Track;

pub(crate) use self::rewind::Rewind;
/// The stored types, for the reader of the previous version.
pub(crate) mod stored {
    pub(crate) use super::lap::{OpenLap, PastLap};
    pub(crate) use super::{Before, Pending};
}

/// The simulator's own lap time comes up to 2.2 s after the crossing. A lap waits for it this long, µs.
const SETTLE_US: i64 = 5_000_000;
/// Number of past laps kept for a rewind. Flashbacks reach back tens of seconds (`rewind.depth`).
const PAST_LAPS: usize = 3;
/// The same for an observed car. It is lower because there is a state for each car of each observer.
const PAST_LAPS_FIELD: usize = 1;

/// After a rewind to the grid a car may stand this part of a lap behind its place.
const GRID_MARGIN: f64 = 0.01;

/// The laps of one car. See the [module](self).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Laps {
    #[serde(skip_serializing_if = "is_default")]
    pub(super) open: Option<OpenLap>,
    /// Past laps, oldest first.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) past: Vec<PastLap>,
    /// The newest emitted lap of `past` waits for the simulator's own time.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) pending: Option<Pending>,
    /// The newest lap of `past` that was not emitted waits for the simulator's counter.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) awaited: Option<Awaited>,
    /// The simulator counted the open lap in a blank sample at this time, µs.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) unseen_us: Option<i64>,
    /// Number of the last emitted lap.
    pub(super) last_number: u32,
    /// Number of the lap whose tail was emitted.
    #[serde(skip_serializing_if = "is_default")]
    pub(super) tail: Option<u32>,
    /// A lap was opened since the last call of [`Laps::take_began`].
    #[serde(skip_serializing_if = "is_default")]
    pub(super) began: bool,
    /// What the previous frame showed; a rewind resets it.
    pub(super) before: Before,
}

/// A lap that was emitted at its crossing and is not yet settled (`simtime.settled`).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Pending {
    /// When it ended, µs; this identifies it among the past laps.
    pub(super) end_us: i64,
    pub(super) revision: u32,
    /// The simulator's "last lap" before the crossing, µs.
    pub(super) before_us: Option<i64>,
    /// It is not emitted before the counters have said that it is a lap (`start.asked`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) held: bool,
    /// Frames are missing over its crossing, and the counter has not moved: when the car was seen again, µs (`lap.asked`).
    #[serde(default, skip_serializing_if = "is_default")]
    pub(super) asked_us: Option<i64>,
}

/// Values of the previous frame whose change matters.
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
    /// Number of the open lap; 0 if no lap is open, or if its number is not known yet. `at` is where the car is.
    #[inline]
    pub(crate) fn open_number(&self, track: &Track, at: Option<&Sample>) -> u32 {
        let Some(lap) = &self.open else { return 0 };
        let counted = at.and_then(|at| at.counted(track));
        if lap.taken_over.is_some() {
            // The stream's own laps do not say which lap another driver began; a counter that has not moved for so long does.
            let settled = at.filter(|at| at.us - lap.start_us >= SETTLE_US).and_then(|at| at.lap).and_then(|n| u32::try_from(n).ok());
            return lap.number.or(counted).or(settled).unwrap_or(0);
        }
        let before = self.awaited.map_or(self.last_number, |lap| lap.number);
        lap.number.or(counted).or_else(|| (before > 0).then_some(before + 1)).unwrap_or(0)
    }

    /// When the open lap began, µs.
    #[inline]
    pub(crate) fn open_since_us(&self) -> Option<i64> {
        self.open.as_ref().map(|lap| lap.start_us)
    }

    /// Start and mini-loops of the open lap, µs; true if another driver began it, and this is the part since then.
    pub(crate) fn open_lap_times(&self) -> Option<(i64, &[i64], bool)> {
        self.open.as_ref().map(|lap| (lap.start_us, lap.loops_us.as_slice(), lap.taken_over.is_some()))
    }

    /// Whether a lap was opened since the last call.
    #[inline]
    pub(crate) fn take_began(&mut self) -> bool {
        std::mem::take(&mut self.began)
    }

    fn begin(&mut self, lap: OpenLap) {
        self.open = Some(lap);
        self.began = true;
    }

    /// Mark the open lap from `us` on.
    pub(crate) fn mark(&mut self, mark: Mark, us: i64) {
        if let Some(lap) = &mut self.open {
            lap.mark(mark, us);
        }
    }

    /// The sector lines moved during a lap: which of the new lines the car has crossed is unknown (`sector.moved`).
    pub(crate) fn lines_moved(&mut self) {
        for lap in self.past.iter_mut().map(|p| &mut p.lap).filter(|l| !l.splits_us.is_empty()).chain(&mut self.open) {
            lap.no_sectors = true;
        }
    }

    /// The lines between which the car must be after a rewind into the open lap.
    pub(crate) fn section(&self, track: &Track) -> Option<Section> {
        // After a jump the car can be anywhere.
        let lap = self.open.as_ref().filter(|lap| !lap.has(Mark::Jumped))?;
        let passed = lap.splits_us.len();
        let line = |n: usize| if lap.no_sectors { None } else { track.line(n) };
        // On the grid a car stands behind the line from which its lap counts.
        let start = if lap.from_green || lap.no_sectors { -0.5 } else { 0.0 };
        let ahead = line(passed).unwrap_or(1.0);
        if let Some(grid) = lap.grid.filter(|grid| grid.left_us.is_none()) {
            // Within a lap of its place on the grid, however far behind the line that is.
            return Some(Section { near: grid.x + 0.5 - GRID_MARGIN, behind: grid.x, ahead });
        }
        Some(Section { near: if lap.half_us.is_some() { 0.75 } else { 0.25 }, behind: passed.checked_sub(1).and_then(line).unwrap_or(start), ahead })
    }

    /// The open lap will not be finished, and the simulator does not count it.
    pub(crate) fn abandon_open_lap(&mut self, origin: &Origin<'_>, at: Option<Sample>, out: &mut Vec<Fact>) {
        let (Some(lap), Some(at)) = (self.open.take(), at) else { return };
        if self.past.len() >= past_max(origin) && self.pending.is_some_and(|p| self.past[0].until_us == p.end_us) {
            self.settle_now(origin, out);
        }
        self.last_number = self.last_number.max(lap.number.map_or(0, |n| n.saturating_sub(1)));
        self.keep_past_lap(origin, PastLap { lap, emitted: false, until_us: at.us, until_tick: at.tick, until_seq: at.seq, fuel_l: None });
    }

    /// Another driver may have driven the car since `at`: the open lap is not this driver's to finish.
    pub(crate) fn hand_over_car(&mut self, origin: &Origin<'_>, at: Option<Sample>, out: &mut Vec<Fact>) {
        self.abandon_open_lap(origin, at, out);
        self.open = None;
        self.before = Before::default();
    }

    fn keep_past_lap(&mut self, origin: &Origin<'_>, past: PastLap) {
        while self.past.len() >= past_max(origin) {
            self.past.remove(0);
        }
        self.past.push(past);
    }
}

fn past_max(origin: &Origin<'_>) -> usize {
    if origin.own() { PAST_LAPS } else { PAST_LAPS_FIELD }
}
