//! What happened to the records of a recording on their way to frames.

use std::collections::BTreeMap;

use super::error::Warning;

/// How often a value was left out of a frame though its variable exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AbsentCount {
    /// NaN or infinite.
    pub not_finite: u64,
    /// Outside what is possible.
    pub out_of_range: u64,
}

/// Counts of one replay. `records` = `frames` + `decimated` + all that is dropped.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ReadStats {
    /// Whole records in the file.
    pub records: u64,
    /// Car frames given out.
    pub frames: u64,
    /// Slow frames given out.
    pub slow_frames: u64,
    /// Records passed over by [`super::ReplayOptions::every`]; their pulses are in the next frame.
    pub decimated: u64,
    /// Dropped: the tick of the record before once more.
    pub duplicates: u64,
    /// Dropped: no possible time, tick or session number.
    pub bad_clock: u64,
    /// Dropped: does not fit between its neighbours, which fit each other.
    pub out_of_line: u64,
    /// Dropped: zero throughout, as a crash leaves it.
    pub zeroed: u64,
    /// Ticks missing between records of a session.
    pub missing_ticks: u64,
    /// Rewinds given out.
    pub rewinds: u64,
    /// Sessions given out.
    pub sessions: u64,
    /// Values left out, by variable.
    pub absent: BTreeMap<&'static str, AbsentCount>,
    /// What is wrong with the records; complete when the replay is.
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
