//! The order of a session at a moment, with gaps (docs/RULES.md: `order.race`, `gap.leader`).

use serde::{Deserialize, Serialize};

use super::{Ranking, by_entry, class_of, class_positions};
use boxbox_schemas::ids::{DriverId, EntryId};
use boxbox_schemas::results::{CarNow, LOOPS, Lap, SessionInfo};

/// One entry in the order of a session at a moment.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Standing {
    /// Place overall, 1-based.
    pub position: u32,
    /// Place in its class, 1-based.
    pub class_position: u32,
    /// Who competes.
    pub entry: EntryId,
    /// Who drives, or drove last.
    pub driver: DriverId,
    /// The car's slot.
    pub slot: u16,
    /// The simulator's id of its class; 0 if the description does not say.
    pub class_id: u32,
    /// Laps completed.
    pub laps: u32,
    /// Fraction of the open lap, or that of the last mini-loop if nothing finer is known; `None` if no lap is open.
    pub lap_pct: Option<f64>,
    /// Whole laps behind the leader; the gap in time is then `None`.
    pub laps_down: u32,
    /// Gap to the leader at the last mini-loop that this car passed, and at least the time since the leader passed the next one, µs. In
    /// practice and qualifying: the difference of best laps.
    pub gap_us: Option<i64>,
    /// Whole laps behind the car ahead.
    pub interval_laps: u32,
    /// Interval to the car ahead at the last mini-loop that this car passed, µs. In practice and qualifying: the difference of best laps.
    pub interval_us: Option<i64>,
    /// Time of its last lap, µs.
    pub last_lap_us: Option<i64>,
    /// Time of its best valid lap, µs.
    pub best_lap_us: Option<i64>,
    /// In the pits; `None` if the simulator does not say, or for a moment in the past.
    pub in_pits: Option<bool>,
    /// It has taken the chequered flag; later laps do not count.
    pub finished: bool,
    /// Only other clients see it.
    pub field: bool,
    /// Session time of the newest data about it, not after the moment asked for, µs.
    pub at_us: i64,
}

/// A moment in a session, and the rows that decide the order at it.
#[derive(Clone, Copy, Debug)]
pub struct Moment<'a> {
    /// The session.
    pub session: &'a SessionInfo,
    /// The moment, session time, µs; `None`: now.
    pub at_us: Option<i64>,
    /// When the winner crossed the line ([`chequered_us`](super::chequered_us)), if it has.
    pub chequered_us: Option<i64>,
    /// For each entry the last two laps that began at or before the moment and before the chequered flag. More laps change nothing.
    pub recent: &'a [Lap],
    /// The best valid lap of each entry that ended by the moment. More laps change nothing.
    pub bests: &'a [Lap],
    /// Where cars are, from any number of streams.
    pub cars: &'a [CarNow],
}

/// The order at a moment.
///
/// In a race the car that passed the same mini-loop of the same lap first is ahead. This depends on crossing times only, not on
/// which client sent last. On the grid, and if nothing else decides, the fraction of the lap decides.
pub fn order(moment: &Moment<'_>) -> Vec<Standing> {
    let at_us = moment.at_us.unwrap_or(i64::MAX);
    let newest = newest_cars(moment.cars);
    let mut recent = by_entry(moment.recent.iter().filter(|l| l.start_us <= at_us), |l| l.entry);
    recent.values_mut().for_each(|laps| laps.sort_by_key(|l| l.number));
    let mut entries: Vec<EntryId> = recent.keys().copied().chain(newest.iter().map(|c| c.entry)).collect();
    entries.sort_unstable();
    entries.dedup();
    let mut runners: Vec<Runner<'_>> = entries
        .into_iter()
        .filter_map(|entry| {
            Runner::of(moment, at_us, recent.get(&entry).map_or(&[], Vec::as_slice), newest.iter().copied().find(|c| c.entry == entry))
        })
        .collect();
    match Ranking::of(moment.session) {
        Ranking::Distance => runners.sort_by(|a, b| a.compare(b)),
        Ranking::BestLap => runners.sort_by_key(|r| (r.best.is_none(), r.best, std::cmp::Reverse(r.standing.laps), r.standing.entry)),
    }
    let ranking = Ranking::of(moment.session);
    let now_us = moment.at_us.unwrap_or_else(|| newest.iter().map(|c| c.sim_time_us).chain([moment.session.sim_time_us]).max().unwrap_or(0));
    let mut out: Vec<Standing> = Vec::with_capacity(runners.len());
    for (place, runner) in runners.iter().enumerate() {
        let mut standing = runner.standing.clone();
        standing.position = place as u32 + 1;
        if let Some(ahead) = place.checked_sub(1).and_then(|p| runners.get(p)) {
            (standing.laps_down, standing.gap_us) = runner.behind(&runners[0], ranking, now_us);
            (standing.interval_laps, standing.interval_us) = runner.behind(ahead, ranking, now_us);
            // Each car's gap is measured at its own last point. A car must not show a smaller gap than the car ahead of it.
            standing.gap_us = standing.gap_us.map(|us| us.max(out.last().and_then(|s| s.gap_us).unwrap_or(us)));
        } else {
            standing.gap_us = Some(0);
            standing.interval_us = Some(0);
        }
        out.push(standing);
    }
    class_positions(&mut out, |s| s.class_id, |s, place| s.class_position = place);
    out
}

/// The row that counts among those of one entry's car: its own client's before others', then the newest, then the lowest key.
pub fn newest_car<'a>(cars: impl IntoIterator<Item = &'a CarNow>) -> Option<&'a CarNow> {
    cars.into_iter().min_by_key(|c| (c.field, std::cmp::Reverse(c.sim_time_us), c.driver, c.run, c.slot))
}

fn newest_cars(cars: &[CarNow]) -> Vec<&CarNow> {
    by_entry(cars.iter(), |c| c.entry).into_values().filter_map(newest_car).collect()
}

/// A point of the race: lap and mini-loop; mini-loop 0 is the line.
type Point = (u32, usize);

/// One entry at the moment.
struct Runner<'a> {
    standing: Standing,
    /// Its laps, the open one last.
    laps: Vec<DrivenLap<'a>>,
    /// The last point that it passed, and when.
    last: Option<(Point, i64)>,
    /// When it passes the next known point; only for a moment in the past.
    next_us: Option<i64>,
    /// Time of the best lap, and when it was set.
    best: Option<(i64, i64)>,
}

/// A lap, up to the moment.
struct DrivenLap<'a> {
    number: u32,
    start_us: i64,
    end_us: Option<i64>,
    loops_us: &'a [i64],
}

impl<'a> DrivenLap<'a> {
    /// When mini-loop `k` was passed, if known; 0 is the line.
    fn passed_us(&self, k: usize) -> Option<i64> {
        match k.checked_sub(1) {
            None => Some(self.start_us),
            Some(i) => self.loops_us.get(i).filter(|us| **us >= 0).map(|us| self.start_us + us),
        }
    }
}

impl<'a> Runner<'a> {
    fn of(moment: &Moment<'a>, at_us: i64, recent: &[&'a Lap], car: Option<&'a CarNow>) -> Option<Self> {
        let counts = |start_us: i64| start_us <= at_us && moment.chequered_us.is_none_or(|flag| start_us < flag);
        let mut laps: Vec<DrivenLap<'a>> = recent
            .iter()
            .filter(|l| counts(l.start_us))
            .map(|l| DrivenLap { number: l.number, start_us: l.start_us, end_us: Some(l.end_us).filter(|us| *us <= at_us), loops_us: &l.loops_us })
            .collect();
        // The lap that the car is in, unless it is among the finished laps by now.
        let open = car.filter(|c| c.lap > laps.last().map_or(0, |l| l.number));
        if let Some((car, start_us)) = open.and_then(|c| Some((c, c.lap_start_us?))).filter(|(_, us)| counts(*us)) {
            laps.push(DrivenLap { number: car.lap, start_us, end_us: None, loops_us: &car.loops_us });
        }
        let known = moment.at_us.is_none() || car.is_some_and(|c| c.sim_time_us <= at_us);
        let (Some(driver), Some(slot)) =
            (recent.last().map(|l| l.driver).or(car.map(|c| c.driver)), recent.last().map(|l| l.slot).or(car.map(|c| c.slot)))
        else {
            return None;
        };
        let entry = recent.last().map(|l| l.entry).or(car.map(|c| c.entry))?;
        let last_lap = recent.iter().rfind(|l| l.end_us <= at_us && counts(l.start_us));
        let best = moment.bests.iter().filter(|l| l.entry == entry && l.valid() && l.end_us <= at_us).map(|l| (l.time_us, l.end_us)).min();
        let laps_done = laps.last().map_or(0, |l| if l.end_us.is_some() { l.number } else { l.number.saturating_sub(1) });
        let finished = moment.chequered_us.is_some_and(|flag| laps.iter().any(|l| l.end_us.is_some_and(|us| us >= flag)));
        let last = laps.iter().rev().find_map(|lap| lap_last_point(lap, at_us));
        if last.is_none() && !known {
            // Nothing is known about the car at that moment.
            return None;
        }
        let next_us = last.and_then(|((n, k), _)| laps.iter().find(|l| l.number == n).and_then(|l| (k + 1..LOOPS).find_map(|k| l.passed_us(k))));
        let now = car.filter(|c| known && !finished && (c.lap == 0 || laps.last().is_some_and(|l| l.number == c.lap)));
        let loop_pct = last.filter(|_| !finished).map(|((_, k), _)| k as f64 / LOOPS as f64);
        let standing = Standing {
            position: 0,
            class_position: 0,
            entry,
            // The present driver, if known.
            driver: car.filter(|c| known && !c.field).map_or(driver, |c| c.driver),
            slot,
            class_id: class_of(moment.session, slot),
            laps: laps_done,
            lap_pct: now.and_then(|c| c.lap_pct).or(loop_pct),
            laps_down: 0,
            gap_us: None,
            interval_laps: 0,
            interval_us: None,
            last_lap_us: last_lap.map(|l| l.time_us),
            best_lap_us: best.map(|(us, _)| us),
            in_pits: car.filter(|_| known).and_then(|c| c.in_pits),
            finished,
            field: car.filter(|_| known).is_some_and(|c| c.field),
            at_us: last.map(|(_, us)| us).into_iter().chain(car.filter(|_| known).map(|c| c.sim_time_us)).max().unwrap_or(0),
        };
        Some(Runner { standing, laps, last, next_us, best })
    }

    /// Which of two cars is ahead in a race.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let place = |r: &Self| r.last.map(|(point, us)| (std::cmp::Reverse(point), us));
        let behind_the_line =
            |r: &Self| r.standing.lap_pct.map(|pct| if r.last.is_none_or(|(point, _)| point == (1, 0)) && pct > 0.5 { pct - 1.0 } else { pct });
        let pct = |r: &Self| behind_the_line(r).unwrap_or(f64::NEG_INFINITY);
        (self.last.is_none(), place(self))
            .cmp(&(other.last.is_none(), place(other)))
            .then_with(|| (self.next_us.is_none(), self.next_us).cmp(&(other.next_us.is_none(), other.next_us)))
            .then_with(|| pct(other).total_cmp(&pct(self)))
            .then_with(|| self.standing.entry.cmp(&other.standing.entry))
    }

    /// How far this car is behind `ahead` at `now_us`: whole laps, else the difference at the last point that both have passed. The
    /// difference is at least the time since the other car passed the next point: the gap of a car that stands must grow.
    fn behind(&self, ahead: &Self, ranking: Ranking, now_us: i64) -> (u32, Option<i64>) {
        if ranking == Ranking::BestLap {
            return (0, self.best.zip(ahead.best).map(|((mine, _), (theirs, _))| mine - theirs));
        }
        let (Some(((number, _), _)), Some(((theirs, _), _))) = (self.last, ahead.last) else { return (0, None) };
        // The last point of this car at which the other car's time is known, in the same lap or whole laps later.
        let points = self.laps.iter().rev().flat_map(|lap| (0..LOOPS).rev().filter_map(move |k| Some((lap.number, k, lap.passed_us(k)?))));
        let mine = self.last.map(|((n, k), us)| (n, k, us)).into_iter().chain(points);
        for (n, k, us) in mine.filter(|(_, _, us)| self.last.is_some_and(|(_, last)| *us <= last)) {
            let later = |m: &u32| ahead.passed_us((n + m, k)).is_some_and(|theirs| theirs <= us);
            if let Some(laps) = (1..=theirs.saturating_sub(n)).rev().find(later) {
                return (laps, None);
            }
            if let Some(theirs) = ahead.passed_us((n, k)) {
                let next = self.last.map(|((n, k), _)| if k + 1 < LOOPS { (n, k + 1) } else { (n + 1, 0) });
                let waited = next.filter(|_| !self.standing.finished).and_then(|point| ahead.passed_us(point)).map_or(0, |us| now_us - us);
                return (0, Some((us - theirs).max(waited).max(0)));
            }
        }
        // No common point: the cars are farther apart than the two laps that are known.
        (theirs.saturating_sub(number), None)
    }

    fn passed_us(&self, (number, k): Point) -> Option<i64> {
        let (last_point, _) = self.last?;
        if (number, k) > last_point {
            return None;
        }
        let lap = self.laps.iter().find(|l| l.number == number);
        match lap {
            Some(lap) => lap.passed_us(k),
            // The line after the last lap is the end of that lap.
            None => self.laps.iter().find(|l| k == 0 && l.number + 1 == number).and_then(|l| l.end_us),
        }
    }
}

/// The last point of this lap that was passed by `at_us`; the end of the lap is point 0 of the next lap.
fn lap_last_point(lap: &DrivenLap<'_>, at_us: i64) -> Option<(Point, i64)> {
    if let Some(end_us) = lap.end_us {
        return Some(((lap.number + 1, 0), end_us));
    }
    (0..LOOPS).rev().find_map(|k| lap.passed_us(k).filter(|us| *us <= at_us).map(|us| ((lap.number, k), us)))
}
