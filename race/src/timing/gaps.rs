//! Gaps and intervals (`gap.leader`, `gap.interval`, `gap.consistent`): how far a car is behind each of some cars ahead of it.

use super::Ranking;
use super::passings::{MARKS, Mark, Passings};

/// A car that has passed no mark for this long stands still, µs. At 20 marks a lap a car at pit speed needs less on any circuit but the
/// Nordschleife (`gap.stands`).
const STANDS_US: i64 = 60_000_000;
/// A car of which nothing was heard for this long is nowhere, µs: a client that comes back after a lost connection needs a few
/// seconds (`gap.silent`).
const SILENT_US: i64 = 10_000_000;

/// What decides the gaps of one car.
pub(super) struct Racer<'a> {
    /// The marks that it passed.
    pub(super) passings: &'a Passings,
    /// It has taken the chequered flag: it passes no further mark.
    pub(super) finished: bool,
    /// Session time of the newest data about it, µs.
    pub(super) heard_us: i64,
    /// Its best lap, µs.
    pub(super) best_us: Option<i64>,
}

/// How far a car is behind another.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Behind {
    /// Whole laps; the time is then `None`.
    pub(super) laps: u32,
    /// µs; `None` if it is not known.
    pub(super) us: Option<i64>,
}

impl Behind {
    /// No car is ahead.
    pub(super) const LEADS: Self = Self { laps: 0, us: Some(0) };
}

/// How far `car` is behind each of `ahead`, which are in order of places, the first place first. All times are measured at one mark,
/// and they rise with the places: a time that contradicts those of the cars nearer to `car` is `None` (`gap.consistent`).
pub(super) fn behind<const N: usize>(car: &Racer<'_>, ahead: [&Racer<'_>; N], ranking: Ranking, now_us: i64) -> [Behind; N] {
    let mut found = [Behind::default(); N];
    if ranking == Ranking::BestLap {
        // The difference of best laps (`gap.best-lap`).
        for (behind, ahead) in found.iter_mut().zip(ahead) {
            behind.us = car.best_us.zip(ahead.best_us).map(|(own, theirs)| own.saturating_sub(theirs));
        }
        return found;
    }
    let Some(own) = car.passings.last() else { return found };
    for (behind, ahead) in found.iter_mut().zip(ahead) {
        behind.laps = ahead.passings.last().map_or(0, |theirs| whole_laps(own, theirs));
    }
    let heard = car.finished || car.heard_us >= now_us.saturating_sub(SILENT_US);
    let Some((mark, own_us)) = measured_at(car, ahead, &found).filter(|_| heard) else { return found };
    let mut least = 0;
    for (behind, ahead) in found.iter_mut().zip(ahead).rev().filter(|(behind, _)| behind.laps == 0) {
        let us = ahead.passings.at(mark).map(|us| own_us.saturating_sub(us).max(waited(car, own.0, ahead, now_us)));
        behind.us = us.filter(|us| *us >= least && !(stands(car, now_us) && stands(ahead, now_us)));
        least = behind.us.unwrap_or(least);
    }
    found
}

/// Whole laps between the last marks of two cars. At the same mark of different laps, who passed it first is ahead by one more.
fn whole_laps((own, own_us): (Mark, i64), (theirs, theirs_us): (Mark, i64)) -> u32 {
    let marks = theirs.saturating_sub(own);
    let laps = marks / MARKS;
    let not_yet = laps > 0 && marks.is_multiple_of(MARKS) && theirs_us > own_us;
    u32::try_from(laps - Mark::from(not_yet)).unwrap_or(u32::MAX)
}

/// The last mark of `car` at which the times of most of those cars ahead are known that are not laps ahead.
fn measured_at<const N: usize>(car: &Racer<'_>, ahead: [&Racer<'_>; N], found: &[Behind; N]) -> Option<(Mark, i64)> {
    let on_the_lap = || ahead.iter().zip(found).filter(|(_, behind)| behind.laps == 0).map(|(ahead, _)| ahead);
    let all = on_the_lap().count();
    let mut best = (0, None);
    for (mark, us) in car.passings.newest_first() {
        let known = on_the_lap().filter(|ahead| ahead.passings.at(mark).is_some()).count();
        if known > best.0 {
            best = (known, Some((mark, us)));
        }
        if known == all {
            break;
        }
    }
    best.1
}

/// How long `ahead` has been beyond the first mark that `car` has yet to reach (`gap.standing`): the gap there is at least this, µs.
fn waited(car: &Racer<'_>, own: Mark, ahead: &Racer<'_>, now_us: i64) -> i64 {
    ahead.passings.beyond(own).filter(|_| !car.finished).map_or(0, |us| now_us.saturating_sub(us))
}

/// Whether the car has passed no mark for long, although it has not finished.
fn stands(car: &Racer<'_>, now_us: i64) -> bool {
    !car.finished && car.passings.last().is_some_and(|(_, us)| now_us.saturating_sub(us) > STANDS_US)
}
