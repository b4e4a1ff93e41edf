//! Counts of the records of a recording that became frames or were dropped.

use std::collections::BTreeMap;

use super::error::Warning;

/// How often a value was left out of a frame although its variable exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AbsentCount {
    /// NaN or infinite.
    pub not_finite: u64,
    /// Outside the possible range.
    pub out_of_range: u64,
}

/// Counts of one replay. `records` = `frames` + `decimated` + all that is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadStats {
    /// Whole records in the file.
    pub records: u64,
    /// Car frames returned.
    pub frames: u64,
    /// Slow frames returned.
    pub slow_frames: u64,
    /// Records skipped by [`super::ReplayOptions::every`]; their pulses are in the next frame.
    pub decimated: u64,
    /// Dropped: the same tick as the record before.
    pub duplicates: u64,
    /// Dropped: no possible time, tick or session number.
    pub bad_clock: u64,
    /// Dropped: does not fit between its neighbours, which fit each other.
    pub out_of_line: u64,
    /// Dropped: zero throughout, as a crash leaves it.
    pub zeroed: u64,
    /// Ticks missing between records of a session.
    pub missing_ticks: u64,
    /// Rewinds returned.
    pub rewinds: u64,
    /// Sessions returned.
    pub sessions: u64,
    /// Values left out, by variable.
    pub absent: BTreeMap<&'static str, AbsentCount>,
    /// Faults of the records; complete at the end of the replay.
    pub warnings: Vec<Warning>,
}

impl ReadStats {
    pub(super) fn not_finite(&mut self, variable: &'static str) {
        self.absent.entry(variable).or_default().not_finite += 1;
    }

    pub(super) fn out_of_range(&mut self, variable: &'static str) {
        self.absent.entry(variable).or_default().out_of_range += 1;
    }
}
