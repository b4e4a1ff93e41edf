//! Flags shown to the car: each change is a fact, pulses included (`flag.change`, `flag.pulse`).
//!
//! A flag that was out only between two frames (`flags_seen`) counts as out from the second frame to the one after it. So each
//! frame makes at most one change, and its tick is the key of the change.

use boxbox_schemas::frame::Flags;
use boxbox_schemas::results::FlagChange;
use serde::{Deserialize, Serialize};

use super::frame_context::FrameContext;
use super::part::Part;
use crate::stream::fact::{Fact, Output};
use crate::stream::identity::Origin;
use crate::stream::sparse::is_default;

/// Number of changes kept for a rewind.
const CHANGES_MAX: usize = 4;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FlagsShown {
    /// The flags of the last change.
    #[serde(rename = "told", skip_serializing_if = "is_default")]
    last: Flags,
    /// The last changes, oldest first: time in µs, and the flags before.
    #[serde(skip_serializing_if = "is_default")]
    changes: Vec<(i64, Flags)>,
    /// The last flags of the run before, and since when (tick, µs).
    #[serde(skip_serializing_if = "is_default")]
    inherited: Option<(Flags, u32, i64)>,
    /// Tick of the last change.
    #[serde(skip_serializing_if = "is_default")]
    tick: u32,
}

impl FlagsShown {
    /// The frame shows `flags`, and `seen` were out since the frame before. Returns the change: tick, time, flags before, flags after.
    #[inline]
    fn read(&mut self, (mut tick, mut us): (u32, i64), flags: Flags, seen: Flags) -> Option<(u32, i64, Flags, Flags)> {
        let from = self.last;
        let to = flags.with(seen.without(from));
        if to == from && self.inherited.is_none() {
            return None;
        }
        if let Some((_, at_tick, at_us)) = self.inherited.take().filter(|(same, ..)| *same == to) {
            (tick, us) = (at_tick, at_us);
        }
        if to == from {
            return None;
        }
        self.last = to;
        self.tick = tick;
        if self.changes.len() == CHANGES_MAX {
            self.changes.remove(0);
        }
        self.changes.push((us, from));
        Some((tick, us, from, to))
    }

    /// Go back to the flags at `to_us` (`flag.rewind`).
    fn go_back(&mut self, to_us: i64) {
        let kept = self.changes.partition_point(|(us, _)| *us <= to_us);
        if let Some((_, from)) = self.changes.get(kept) {
            self.last = *from;
        }
        self.changes.truncate(kept);
    }
}

impl Part for FlagsShown {
    const MAX_BYTES: usize = 124;

    #[inline]
    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
        let frame = at.frame;
        if !frame.knows_flags {
            return;
        }
        let Some((tick, sim_time_us, from, to)) = self.read((frame.tick, frame.us), frame.flags, frame.flags_seen) else { return };
        let ctx = at.origin.ctx;
        out.facts.push(Fact::row(&FlagChange {
            session: ctx.session,
            entry: at.origin.entry(),
            driver: ctx.driver,
            run: ctx.run,
            timeline: at.origin.timeline(),
            tick,
            sim_time_us,
            from,
            to,
            superseded: false,
            late: false,
        }));
    }

    fn rewind(&mut self, _by: &Origin<'_>, to_us: i64, _out: &mut Output) {
        self.go_back(to_us);
    }

    /// Changes of flags are facts of one run, so a new run begins with a change to all flags that are out. If the flags are the same as at the
    /// end of the run before, that change has the time of the last change there.
    fn hand_over(&mut self) {
        let since_us = self.changes.last().map(|(us, _)| *us);
        *self = Self { inherited: since_us.filter(|_| !self.last.is_empty()).map(|us| (self.last, self.tick, us)), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Y: Flags = Flags::YELLOW;
    const B: Flags = Flags::BLUE;
    const NONE: Flags = Flags(0);

    fn changes(readings: &[(Flags, Flags)]) -> Vec<(i64, Flags, Flags)> {
        let mut shown = FlagsShown::default();
        readings.iter().zip(0..).filter_map(|((f, s), us)| shown.read((0, us), *f, f.with(*s))).map(|(_, us, from, to)| (us, from, to)).collect()
    }

    #[test]
    fn the_longest_state_fits() {
        let all = Flags(u32::MAX);
        let inherited = Some((all, u32::MAX, i64::MAX));
        let shown = FlagsShown { last: all, changes: vec![(i64::MAX, all); CHANGES_MAX], inherited, tick: u32::MAX };
        let bytes = rmp_serde::to_vec_named(&shown).unwrap().len();
        assert!((FlagsShown::MAX_BYTES - 16..=FlagsShown::MAX_BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn each_change_once() {
        assert_eq!(changes(&[(NONE, NONE), (Y, NONE), (Y, NONE), (B, NONE), (NONE, NONE)]), [(1, NONE, Y), (3, Y, B), (4, B, NONE)]);
    }

    #[test]
    fn a_pulse_is_on_and_off() {
        assert_eq!(changes(&[(NONE, NONE), (NONE, Y), (NONE, NONE)]), [(1, NONE, Y), (2, Y, NONE)]);
        // Seen since the frame before, in which it was out: it went away.
        assert_eq!(changes(&[(Y, NONE), (NONE, Y), (NONE, NONE)]), [(0, NONE, Y), (1, Y, NONE)]);
        assert_eq!(changes(&[(B, NONE), (B, Y), (B, NONE)]), [(0, NONE, B), (1, B, B.with(Y)), (2, B.with(Y), B)]);
    }

    #[test]
    fn a_rewind_goes_back_to_the_flags_of_then() {
        let mut shown = FlagsShown::default();
        for (us, flags) in [(0, NONE), (10, Y), (20, B), (30, NONE)] {
            shown.read((0, us), flags, flags);
        }
        shown.go_back(20);
        assert_eq!(shown.read((0, 21), B, B), None);
        shown.go_back(15);
        assert_eq!(shown.read((0, 16), NONE, NONE), Some((0, 16, Y, NONE)));
        shown.go_back(-1);
        assert_eq!(shown.read((0, 0), B, B), Some((0, 0, NONE, B)));
    }
}
