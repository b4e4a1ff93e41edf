//! What happens to laps when the simulator goes back (E4, F4), and when a client's new run inherits the state of an old one (E2).

use super::lap::PastLap;
use super::{Before, Laps};
use crate::stream::fact::Fact;
use crate::stream::frame::missing;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::step::Sample;

/// A rewind, as laps need it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rewind {
    /// Session time returned to, µs.
    pub(crate) to_us: i64,
    /// Sequence number of the rewind event.
    pub(crate) seq: u64,
    /// Session time of the last frame before it, µs.
    pub(crate) last_us: i64,
    /// Where the car was in that frame.
    pub(crate) at: Option<Sample>,
}

impl Laps {
    /// A client's new run continues these laps: past laps and the open lap contain the frames of `old_run` below `next_seq`
    /// (`resume.inherit`).
    pub(crate) fn continue_in_run(&mut self, old_run: u8, next_seq: u64) {
        for past in &mut self.past {
            past.lap.seal(old_run, past.until_seq + 1);
        }
        if let Some(lap) = &mut self.open {
            lap.seal(old_run, next_seq);
            lap.mark(Mark::Resumed, lap.start_us);
        }
    }

    /// The oldest run was removed.
    pub(crate) fn forget_oldest_run(&mut self) {
        self.past.iter_mut().map(|p| &mut p.lap).chain(&mut self.open).for_each(|lap| lap.forget_oldest_run());
    }

    /// The simulator went back (`rewind.undo`).
    pub(crate) fn rewind(&mut self, origin: &Origin<'_>, rewind: &Rewind, out: &mut Vec<Fact>) {
        if self.pending.is_some_and(|p| p.end_us > rewind.to_us) {
            self.pending = None;
        }
        self.awaited = self.awaited.filter(|lap| lap.end_us <= rewind.to_us);
        self.unseen_us = None;
        if rewind.to_us > rewind.last_us && missing(rewind.last_us, rewind.to_us) {
            // The simulator went ahead instead of back: the car did not drive what lies between (`rewind.ahead`).
            self.abandon_open_lap(origin, rewind.at, out);
        } else {
            self.reopen(origin, rewind);
        }
        self.before = Before::default();
    }

    /// Reopen the lap that was open at the moment returned to.
    fn reopen(&mut self, origin: &Origin<'_>, &Rewind { to_us, seq, last_us, at }: &Rewind) {
        if let Some(lap) = self.open.take() {
            let (until_tick, until_seq) = at.map_or((0, 0), |at| (at.tick, at.seq));
            self.past.push(PastLap { lap, emitted: false, until_us: last_us.max(to_us).saturating_add(1), until_tick, until_seq, fuel_l: None });
        }
        let begun = self.past.partition_point(|p| p.lap.start_us <= to_us);
        self.past.truncate(begun);
        let open = self.past.pop_if(|p| p.until_us > to_us);
        self.last_number = match (&open, self.past.iter().rev().find_map(|p| p.lap.number.filter(|_| p.emitted))) {
            (_, Some(number)) => number,
            (Some(PastLap { lap, .. }), None) => lap.number.map_or(0, |n| n.saturating_sub(1)),
            (None, None) => 0,
        };
        self.open = open.map(|PastLap { mut lap, until_us, until_seq, .. }| {
            let run = origin.identity.present_run();
            lap.seal(run, seq.min(until_seq + 1));
            lap.rewind(to_us, until_us);
            if lap.spans.iter().any(|s| s.0 != run) {
                lap.mark(Mark::Resumed, lap.start_us);
            }
            lap
        });
    }
}
