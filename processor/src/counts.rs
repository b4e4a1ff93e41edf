//! The counts of the pure part of the processor. The results pump adds them to the metrics.

use boxbox_race::session::Applied;
use boxbox_schemas::event::{Closing, Judging};

use crate::admit::{Arrival, Meaning, Verdict};

/// Counts since they were last taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Log records processed.
    pub records: u64,
    /// Frames of clients' own cars admitted.
    pub car_frames: u64,
    /// Sequence numbers that had come before.
    pub duplicates: u64,
    /// Sequence numbers dropped because earlier ones had not come yet.
    pub early: u64,
    /// Sequence numbers acked and never seen.
    pub holes: u64,
    /// Sequence numbers refused by edges, by reason.
    pub voids: Vec<(&'static str, u64)>,
    /// Sequence numbers dropped by clients.
    pub gaps: u64,
    /// Sequence numbers admitted after their session was closed, or dropped because it was retired.
    pub late: u64,
    /// Sequence numbers of parked sessions, which were skipped.
    pub parked: u64,
    /// Claims to a car that another driver's stream claims too.
    pub disputed: u64,
    /// Sessions closed, opened again or retired, by how.
    pub closings: Vec<(&'static str, u64)>,
    /// Drivers or runs excluded from sessions or reinstated, by which.
    pub judged: Vec<(&'static str, u64)>,
    /// Sequence numbers admitted of streams whose race logic has panicked.
    pub halted: u64,
    /// Parts of the race logic switched off until the next lap, by part.
    pub parts: Vec<(&'static str, u64)>,
    /// Records quarantined, by reason.
    pub quarantined: Vec<(&'static str, u64)>,
    /// What drivers' bounds refused, by bound.
    pub refused: Vec<(&'static str, u64)>,
    /// Work beyond that of the frames, units.
    pub work: u64,
    /// Laps chosen, including revised ones.
    pub laps: u64,
    /// Laps withdrawn.
    pub withdrawn: u64,
    /// Rows of other kinds added, changed or superseded.
    pub rows: u64,
}

impl Counts {
    /// Return the counts and reset them.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    pub(crate) fn admission(&mut self, arrival: &Arrival, verdict: &Verdict) {
        let new = verdict.new.end - verdict.new.start;
        self.duplicates = self.duplicates.saturating_add(verdict.duplicates);
        self.early = self.early.saturating_add(verdict.early);
        self.holes = self.holes.saturating_add(verdict.hole.as_ref().map_or(0, |h| h.end - h.start));
        match arrival.meaning {
            Meaning::Car => self.car_frames += new,
            Meaning::Gap => self.gaps = self.gaps.saturating_add(new),
            Meaning::Void(reason) if new > 0 => add(&mut self.voids, reason.name(), new),
            _ => {}
        }
    }

    pub(crate) fn applied(&mut self, applied: Applied) {
        self.laps += applied.laps;
        self.withdrawn += applied.withdrawn;
        self.rows += applied.rows;
    }

    /// Parts of a race state that panicked or exceeded their bound.
    pub(crate) fn parts(&mut self, failed: &[&'static str]) {
        failed.iter().for_each(|part| add(&mut self.parts, part, 1));
    }

    pub(crate) fn closing(&mut self, closing: Closing) {
        add(&mut self.closings, closing.name(), 1);
    }

    pub(crate) fn refused(&mut self, bound: &'static str, n: u64) {
        add(&mut self.refused, bound, n);
    }

    /// Somebody was excluded from a session, or reinstated.
    pub(crate) fn judging(&mut self, code: Judging) {
        add(&mut self.judged, code.name(), 1);
    }

    pub(crate) fn quarantine(&mut self, reason: &'static str) {
        add(&mut self.quarantined, reason, 1);
    }
}

fn add(counts: &mut Vec<(&'static str, u64)>, name: &'static str, n: u64) {
    match counts.iter_mut().find(|(other, _)| *other == name) {
        Some((_, count)) => *count = count.saturating_add(n),
        None => counts.push((name, n)),
    }
}
