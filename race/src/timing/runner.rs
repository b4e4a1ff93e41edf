//! One entry at a moment: what its laps and its car say of it ([`Runner`]).

use super::gaps::Racer;
use super::passings::{DrivenLap, Passings, mark};
use super::{Moment, Ranking, Standing, class_of, past};
use boxbox_schemas::results::{CarNow, LOOPS, Lap, PitVisit};

/// One entry at the moment.
pub(super) struct Runner {
    pub(super) standing: Standing,
    /// Time of the best lap, and when it was set, µs.
    pub(super) best: Option<(i64, i64)>,
    passings: Passings,
    /// Session time of the newest data about it, µs; the moment itself if there is later data.
    heard_us: i64,
}

impl Runner {
    /// `recent`: its last laps that began by the moment, in order of time; `car`: where it is; `visits`: as each stream reports them.
    /// `None`: nothing is known about it at the moment.
    pub(super) fn of(moment: &Moment<'_>, ranking: Ranking, recent: &[&Lap], car: Option<&CarNow>, visits: &[PitVisit]) -> Option<Self> {
        let at_us = moment.at_us.unwrap_or(i64::MAX);
        // Of laps after the flag nothing counts (`order.finished`).
        let counts = |start_us: i64| start_us <= at_us && moment.chequered_us.is_none_or(|flag| start_us < flag);
        let mut laps: Vec<DrivenLap<'_>> = recent.iter().filter(|l| counts(l.start_us)).map(|l| DrivenLap::finished(l)).collect();
        laps.sort_by_key(|l| l.number);
        // The lap that the car is in, unless it is among the finished laps by now.
        let open = car.filter(|c| c.lap > laps.last().map_or(0, |l| l.number)).and_then(DrivenLap::open).filter(|l| counts(l.start_us));
        laps.extend(open);
        let passings = Passings::of(&laps, at_us);
        let known = moment.at_us.is_none() || car.is_some_and(|c| c.sim_time_us <= at_us);
        let last = passings.last();
        if last.is_none() && !known {
            return None;
        }
        let entry = recent.last().map(|l| l.entry).or(car.map(|c| c.entry))?;
        let slot = recent.last().map(|l| l.slot).or(car.map(|c| c.slot))?;
        let present = car.filter(|c| known && !c.field && !c.watching).map(|c| c.driver);
        let open_lap = car.filter(|c| !c.field).and_then(|c| Some((c.driver, c.lap_start_us?)));
        let then = moment.at_us.filter(|_| present.is_none()).and_then(|us| past::driver(visits, recent, open_lap, us));
        let driver = present.or(then).or(recent.last().map(|l| l.driver)).or(car.map(|c| c.driver))?;
        let ended = |lap: &DrivenLap<'_>| lap.end_us.is_some_and(|us| us <= at_us);
        let finished = moment.chequered_us.is_some_and(|flag| laps.iter().any(|l| ended(l) && l.end_us.is_some_and(|us| us >= flag)));
        let laps_done = match ranking {
            Ranking::Distance => laps.last().map_or(0, |l| if ended(l) { l.number } else { l.number.saturating_sub(1) }),
            // As in the results: a lap that was begun and left has no number (`order.laps`).
            Ranking::BestLap => laps.iter().filter(|l| ended(l)).map(|l| l.number).max().unwrap_or(0),
        };
        let last_lap = recent.iter().rfind(|l| l.end_us <= at_us && counts(l.start_us));
        let best = moment.bests.iter().filter(|l| l.entry == entry && l.valid() && l.end_us <= at_us).map(|l| (l.deciding_us(), l.end_us)).min();
        let now = car.filter(|c| known && !finished && (c.lap == 0 || laps.last().is_some_and(|l| l.number == c.lap)));
        let loop_pct = last.filter(|_| !finished).map(|(mark, _)| (mark % LOOPS as u64) as f64 / LOOPS as f64);
        let heard_us = last.map(|(_, us)| us).into_iter().chain(car.filter(|_| known).map(|c| c.sim_time_us)).max().unwrap_or(0);
        let goes_on = passings.next_us.is_some() || car.is_some_and(|c| c.sim_time_us > at_us) || recent.iter().any(|l| l.end_us > at_us);
        let standing = Standing {
            entry,
            driver,
            slot,
            class_id: class_of(moment.session, slot),
            laps: laps_done,
            lap_pct: now.and_then(|c| c.lap_pct).or(loop_pct),
            last_lap_us: last_lap.and_then(|l| l.timed_us()),
            best_lap_us: best.map(|(us, _)| us),
            in_pits: match moment.at_us.filter(|_| !known) {
                Some(us) => past::in_pits(visits, recent, car, us),
                None => car.and_then(|c| c.in_pits),
            },
            finished,
            field: car.filter(|_| known).is_some_and(|c| c.field),
            at_us: heard_us,
            ..Standing::unplaced(entry, driver)
        };
        Some(Runner { standing, best, passings, heard_us: if goes_on { at_us } else { heard_us } })
    }

    /// What decides its gaps.
    pub(super) fn racer(&self) -> Racer<'_> {
        let Self { standing, best, passings, heard_us } = self;
        Racer { passings, finished: standing.finished, heard_us: *heard_us, best_us: best.map(|(us, _)| us) }
    }

    /// Which of two cars is ahead in a race.
    pub(super) fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let place = |r: &Self| r.passings.last().map(|(mark, us)| (std::cmp::Reverse(mark), us));
        let on_the_grid = |r: &Self| r.passings.last().is_none_or(|(last, _)| last == mark(1, 0));
        // Before the first mark the fraction of the lap decides (`order.grid`).
        let behind_the_line = |r: &Self| r.standing.lap_pct.map(|pct| if on_the_grid(r) && pct > 0.5 { pct - 1.0 } else { pct });
        let pct = |r: &Self| behind_the_line(r).unwrap_or(f64::NEG_INFINITY);
        let next = |r: &Self| (r.passings.next_us.is_none(), r.passings.next_us);
        (place(self).is_none(), place(self))
            .cmp(&(place(other).is_none(), place(other)))
            .then_with(|| next(self).cmp(&next(other)))
            .then_with(|| pct(other).total_cmp(&pct(self)))
            .then_with(|| self.standing.entry.cmp(&other.standing.entry))
    }
}
