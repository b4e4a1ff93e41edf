//! The counts of the pure part of the processor. The results pump adds them to the metrics.

use boxbox_race::session::Applied;
use boxbox_schemas::StreamKey;
use boxbox_schemas::event::{Closing, Judging};
use boxbox_schemas::record::Kind;

use crate::admit::{Arrival, Meaning, Verdict};

/// Whose frames: of the client's own car, slow data of that car, of cars that the client sees.
pub(crate) const OF: [&str; 3] = ["own", "slow", "others"];

/// Counts since they were last taken.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counts {
    /// Log records processed.
    pub records: u64,
    /// Sequence numbers of the records.
    pub numbers: u64,
    /// Frames of clients' own cars admitted.
    pub car_frames: u64,
    /// Slow frames of these cars admitted.
    pub slow_frames: u64,
    /// Frames of cars that clients see admitted.
    pub other_frames: u64,
    /// Descriptions, events and ends admitted.
    pub descriptions: u64,
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
    /// Sequence numbers admitted after their session was closed.
    pub late: u64,
    /// Sequence numbers dropped because their session was retired.
    pub retired: u64,
    /// Sequence numbers dropped because their driver may begin no more sessions or runs.
    pub unopened: u64,
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
    /// When the records that completed or changed laps were received, Unix µs, and how many laps each.
    pub crossings: Vec<(i64, u64)>,
    /// Records with new frames of streams that are followed; empty unless something follows them.
    pub traced: Vec<Traced>,
    /// Laps withdrawn.
    pub withdrawn: u64,
    /// Rows of other kinds added, changed or superseded.
    pub rows: u64,
}

/// A record of a stream that is followed: see [`boxbox_schemas::trace`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Traced {
    /// The stream.
    pub stream: StreamKey,
    /// The record's first sequence number.
    pub first: u64,
    /// The first sequence number after it.
    pub next: u64,
}

/// Records that are followed in one step at most.
const TRACED_MAX: usize = 1_024;

impl Counts {
    /// Return the counts and reset them.
    pub fn take(&mut self) -> Self {
        std::mem::take(self)
    }

    /// A record of a stream whose numbers are counted somewhere.
    pub(crate) fn arrived(&mut self, arrival: &Arrival) -> u64 {
        let numbers = arrival.next - arrival.first;
        self.numbers = self.numbers.saturating_add(numbers);
        numbers
    }

    /// `followed`: the stream, if it is followed.
    pub(crate) fn admission(&mut self, kind: Kind, arrival: &Arrival, verdict: &Verdict, followed: Option<StreamKey>) {
        let new = verdict.new.end - verdict.new.start;
        self.duplicates = self.duplicates.saturating_add(verdict.duplicates);
        self.early = self.early.saturating_add(verdict.early);
        self.holes = self.holes.saturating_add(verdict.hole.as_ref().map_or(0, |h| h.end - h.start));
        if new > 0
            && arrival.meaning == Meaning::Car
            && self.traced.len() < TRACED_MAX
            && let Some(stream) = followed
        {
            self.traced.push(Traced { stream, first: arrival.first, next: arrival.next });
        }
        match arrival.meaning {
            Meaning::Car => self.car_frames += new,
            Meaning::Gap => self.gaps = self.gaps.saturating_add(new),
            Meaning::Void(reason) if new > 0 => add(&mut self.voids, reason.name(), new),
            Meaning::Void(_) => {}
            Meaning::Other if kind == Kind::SLOW => self.slow_frames += new,
            Meaning::Other if kind == Kind::FIELD => self.other_frames += new,
            // What is unreadable has the numbers that its prelude says.
            Meaning::Other | Meaning::End | Meaning::Unreadable => self.descriptions += new,
        }
    }

    /// The record that was received at `received_at_us` completed or changed so many laps.
    pub(crate) fn crossed(&mut self, laps: u64, received_at_us: i64) {
        if laps > 0 {
            self.crossings.push((received_at_us, laps));
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
