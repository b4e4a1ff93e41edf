//! Laps when the simulator goes back (E2, E4, F4), and when a client's new run takes over an old one's state.

use super::lap::PastLap;
use super::{Before, Laps};
use crate::stream::fact::Fact;
use crate::stream::frame::missing;
use crate::stream::identity::Reporter;
use crate::stream::mark::Mark;
use crate::stream::step::Sample;

/// What laps need to know of a rewind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Back {
    /// Session time returned to, µs.
    pub(crate) to_us: i64,
    /// Sequence number of the event that says so.
    pub(crate) seq: u64,
    /// Session time of the last frame before it, µs.
    pub(crate) last_us: i64,
    /// Where the car was in it.
    pub(crate) at: Option<Sample>,
}

impl Laps {
    /// A client's new run goes on with these laps: those that wait, and the one that is open, hold the frames of `old_run` below
    /// `next_seq` (`resume.inherit`).
    pub(crate) fn go_on(&mut self, old_run: u8, next_seq: u64) {
        for past in &mut self.past {
            past.lap.seal(old_run, past.until_seq + 1);
        }
        if let Some(lap) = &mut self.open {
            lap.seal(old_run, next_seq);
            lap.mark(Mark::Resumed, lap.start_us);
        }
    }

    /// The oldest run of the state is no more.
    pub(crate) fn forget_oldest_run(&mut self) {
        self.past.iter_mut().map(|p| &mut p.lap).chain(&mut self.open).for_each(|lap| lap.forget_oldest_run());
    }

    /// The simulator went back (`rewind.undo`).
    pub(crate) fn rewind(&mut self, by: &Reporter<'_>, back: &Back, out: &mut Vec<Fact>) {
        if self.pending.is_some_and(|p| p.end_us > back.to_us) {
            self.pending = None;
        }
        if back.to_us > back.last_us && missing(back.last_us, back.to_us) {
            // Not back but ahead: what lies between was not driven (`rewind.ahead`).
            self.break_off(by, back.at, out);
        } else {
            self.reopen(by, back);
        }
        self.before = Before::default();
    }

    /// Make the lap that was open at the moment returned to the open one again.
    fn reopen(&mut self, by: &Reporter<'_>, &Back { to_us, seq, last_us, at }: &Back) {
        if let Some(lap) = self.open.take() {
            let (until_tick, until_seq) = at.map_or((0, 0), |at| (at.tick, at.seq));
            self.past.push(PastLap { lap, told: false, until_us: last_us.max(to_us).saturating_add(1), until_tick, until_seq, fuel_l: None });
        }
        let begun = self.past.partition_point(|p| p.lap.start_us <= to_us);
        self.past.truncate(begun);
        let open = self.past.pop_if(|p| p.until_us > to_us);
        self.last_number = match (&open, self.past.iter().rev().find_map(|p| p.lap.number.filter(|_| p.told))) {
            (_, Some(number)) => number,
            (Some(PastLap { lap, .. }), None) => lap.number.map_or(0, |n| n.saturating_sub(1)),
            (None, None) => 0,
        };
        self.open = open.map(|PastLap { mut lap, until_us, until_seq, .. }| {
            let run = by.identity.present_run();
            lap.seal(run, seq.min(until_seq + 1));
            lap.rewind(to_us, until_us);
            if lap.spans.iter().any(|s| s.0 != run) {
                lap.mark(Mark::Resumed, lap.start_us);
            }
            lap
        });
    }
}
