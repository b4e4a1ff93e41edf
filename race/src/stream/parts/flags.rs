//! Flags shown to the car: each change is a fact, pulses included (`flag.change`, `flag.pulse`).
//!
//! A flag that was out between two frames only (`flags_seen`) is out from the second of them to the one after it, so that
//! each frame reports one change at most and its tick is the change's key.

use boxbox_schemas::frame::Flags;
use boxbox_schemas::results::FlagChange;
use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::part::Part;
use crate::stream::fact::{Fact, Reports};
use crate::stream::identity::Reporter;
use crate::stream::sparse::is_default;

/// Changes remembered for a rewind.
const CHANGES_MAX: usize = 4;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct FlagsShown {
    /// What was reported last.
    #[serde(skip_serializing_if = "is_default")]
    told: Flags,
    /// The last changes, oldest first: when, and from which flags.
    #[serde(skip_serializing_if = "is_default")]
    changes: Vec<(i64, Flags)>,
    /// What the run before showed last, and the moment (tick, µs) since which it did.
    #[serde(skip_serializing_if = "is_default")]
    inherited: Option<(Flags, u32, i64)>,
    /// Tick of the last change.
    #[serde(skip_serializing_if = "is_default")]
    tick: u32,
}

impl FlagsShown {
    /// The change to `flags`, with `seen` since the frame before: its tick and time, from which flags to which.
    #[inline]
    fn read(&mut self, (mut tick, mut us): (u32, i64), flags: Flags, seen: Flags) -> Option<(u32, i64, Flags, Flags)> {
        let from = self.told;
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
        self.told = to;
        self.tick = tick;
        if self.changes.len() == CHANGES_MAX {
            self.changes.remove(0);
        }
        self.changes.push((us, from));
        Some((tick, us, from, to))
    }

    /// Back to the flags of `to_us` (`flag.rewind`).
    fn go_back(&mut self, to_us: i64) {
        let kept = self.changes.partition_point(|(us, _)| *us <= to_us);
        if let Some((_, from)) = self.changes.get(kept) {
            self.told = *from;
        }
        self.changes.truncate(kept);
    }
}

impl Part for FlagsShown {
    const MAX_BYTES: usize = 124;

    #[inline]
    fn take(&mut self, at: &Moment<'_>, out: &mut Reports) {
        let frame = at.frame;
        if !frame.knows_flags {
            return;
        }
        let Some((tick, sim_time_us, from, to)) = self.read((frame.tick, frame.us), frame.flags, frame.flags_seen) else { return };
        let ctx = at.by.ctx;
        out.facts.push(Fact::row(&FlagChange {
            session: ctx.session,
            entry: at.by.entry(),
            driver: ctx.driver,
            run: ctx.run,
            timeline: at.by.timeline(),
            tick,
            sim_time_us,
            from,
            to,
            superseded: false,
            late: false,
        }));
    }

    fn rewind(&mut self, _by: &Reporter<'_>, to_us: i64, _out: &mut Reports) {
        self.go_back(to_us);
    }

    /// Flags are reported run by run, so a new run begins with all that are out. Those that were out when the run before ended
    /// have been since then.
    fn hand_over(&mut self) {
        let since_us = self.changes.last().map(|(us, _)| *us);
        *self = Self { inherited: since_us.filter(|_| !self.told.is_empty()).map(|us| (self.told, self.tick, us)), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const Y: Flags = Flags::YELLOW;
    const B: Flags = Flags::BLUE;
    const NONE: Flags = Flags(0);

    fn told(readings: &[(Flags, Flags)]) -> Vec<(i64, Flags, Flags)> {
        let mut shown = FlagsShown::default();
        readings.iter().zip(0..).filter_map(|((f, s), us)| shown.read((0, us), *f, f.with(*s))).map(|(_, us, from, to)| (us, from, to)).collect()
    }

    #[test]
    fn the_longest_state_fits() {
        let all = Flags(u32::MAX);
        let inherited = Some((all, u32::MAX, i64::MAX));
        let shown = FlagsShown { told: all, changes: vec![(i64::MAX, all); CHANGES_MAX], inherited, tick: u32::MAX };
        let bytes = rmp_serde::to_vec_named(&shown).unwrap().len();
        assert!((FlagsShown::MAX_BYTES - 16..=FlagsShown::MAX_BYTES).contains(&bytes), "{bytes}");
    }

    #[test]
    fn each_change_once() {
        assert_eq!(told(&[(NONE, NONE), (Y, NONE), (Y, NONE), (B, NONE), (NONE, NONE)]), [(1, NONE, Y), (3, Y, B), (4, B, NONE)]);
    }

    #[test]
    fn a_pulse_is_on_and_off() {
        assert_eq!(told(&[(NONE, NONE), (NONE, Y), (NONE, NONE)]), [(1, NONE, Y), (2, Y, NONE)]);
        // Seen since the frame before, in which it was out: it went away.
        assert_eq!(told(&[(Y, NONE), (NONE, Y), (NONE, NONE)]), [(0, NONE, Y), (1, Y, NONE)]);
        assert_eq!(told(&[(B, NONE), (B, Y), (B, NONE)]), [(0, NONE, B), (1, B, B.with(Y)), (2, B.with(Y), B)]);
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
