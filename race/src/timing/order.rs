//! The order of a session at a moment, with gaps (docs/RULES.md: `order.race`, `gap.leader`).

use std::collections::BTreeMap;

use super::gaps::{Behind, Racer, behind};
use super::runner::Runner;
use super::{Moment, Ranking, Standing, by_entry, class_positions};
use boxbox_schemas::ids::EntryId;
use boxbox_schemas::results::{CarNow, PitVisit};

/// Laps of an entry that its place and its gaps are made of, beside the open one.
const RECENT: usize = 2;

/// The order at a moment.
///
/// In a race the car that passed the same mini-loop of the same lap first is ahead. This depends on crossing times only, not on
/// which client sent last. On the grid, and if nothing else decides, the fraction of the lap decides.
pub fn order(moment: &Moment<'_>) -> Vec<Standing> {
    let at_us = moment.at_us.unwrap_or(i64::MAX);
    let newest = newest_cars(moment.cars);
    let mut recent = by_entry(moment.recent.iter().filter(|l| l.start_us <= at_us), |l| l.entry);
    for laps in recent.values_mut() {
        laps.sort_by_key(|l| (l.start_us, l.number));
        laps.drain(..laps.len().saturating_sub(RECENT));
    }
    let visits = by_entry(moment.pit_visits.iter(), |v| v.entry);
    let mut entries: Vec<EntryId> = recent.keys().copied().chain(newest.iter().map(|c| c.entry)).collect();
    entries.sort_unstable();
    entries.dedup();
    let ranking = Ranking::of(moment.session);
    let mut runners: Vec<Runner> = entries
        .into_iter()
        .filter_map(|entry| {
            let visits: Vec<PitVisit> = visits.get(&entry).into_iter().flatten().map(|v| (*v).clone()).collect();
            let laps = recent.get(&entry).map_or(&[][..], Vec::as_slice);
            Runner::of(moment, ranking, laps, newest.iter().copied().find(|c| c.entry == entry), &visits)
        })
        .collect();
    match ranking {
        Ranking::Distance => runners.sort_by(|a, b| a.compare(b)),
        // The best valid lap decides (`order.best-lap`).
        Ranking::BestLap => runners.sort_by_key(|r| (r.best.is_none(), r.best, std::cmp::Reverse(r.standing.laps), r.standing.entry)),
    }
    let now_us = moment.at_us.unwrap_or_else(|| newest.iter().map(|c| c.sim_time_us).chain([moment.session.sim_time_us]).max().unwrap_or(0));
    let mut out: Vec<Standing> = runners.iter().map(|r| r.standing.clone()).collect();
    for (place, standing) in out.iter_mut().enumerate() {
        standing.position = place as u32 + 1;
    }
    class_positions(&mut out, |s| s.class_id, |s, place| s.class_position = place);
    measure(&runners, &mut out, ranking, now_us);
    out
}

/// Gaps and intervals of all cars, overall and in class. `out` is in order of places, as `runners` is.
fn measure(runners: &[Runner], out: &mut [Standing], ranking: Ranking, now_us: i64) {
    let racers: Vec<Racer<'_>> = runners.iter().map(Runner::racer).collect();
    // The first and the last car so far of each class, and the largest gap so far, overall and in class.
    let mut classes: BTreeMap<u32, (usize, usize, i64)> = BTreeMap::new();
    let mut most_us = 0;
    for (place, standing) in out.iter_mut().enumerate() {
        let (first, last, most_in_class_us) = classes.entry(standing.class_id).or_insert((place, place, 0));
        let ahead = place.saturating_sub(1);
        let [gap, class_gap, class_interval, interval] = if place == 0 {
            [Behind::LEADS; 4]
        } else if *first == place {
            let [gap, interval] = behind(&racers[place], [&racers[0], &racers[ahead]], ranking, now_us);
            [gap, Behind::LEADS, Behind::LEADS, interval]
        } else {
            behind(&racers[place], [&racers[0], &racers[*first], &racers[*last], &racers[ahead]], ranking, now_us)
        };
        *last = place;
        (standing.laps_down, standing.gap_us) = (gap.laps, rising(gap.us, &mut most_us));
        (standing.class_laps_down, standing.class_gap_us) = (class_gap.laps, rising(class_gap.us, most_in_class_us));
        (standing.interval_laps, standing.interval_us) = (interval.laps, interval.us);
        (standing.class_interval_laps, standing.class_interval_us) = (class_interval.laps, class_interval.us);
    }
}

/// A gap below that of a car ahead was measured at a mark that does not go with the order, so it is not told (`gap.consistent`).
fn rising(gap_us: Option<i64>, most_us: &mut i64) -> Option<i64> {
    let gap_us = gap_us.filter(|us| us >= most_us)?;
    *most_us = gap_us;
    Some(gap_us)
}

/// The row that counts among those of one entry's car (`order.driver`): of each driver's own clients the newest; of these, and of what
/// other clients see, that of a driver who is in the car before those who watch, own before others', then the newest, then the lowest key.
pub fn newest_car<'a>(cars: impl IntoIterator<Item = &'a CarNow>) -> Option<&'a CarNow> {
    let newest = |c: &CarNow| (std::cmp::Reverse(c.sim_time_us), c.driver, c.run, c.slot);
    let cars: Vec<&CarNow> = cars.into_iter().collect();
    // A driver who drove in one run and watches in the next one is not in the car.
    let counts = |c: &CarNow| c.field || !cars.iter().any(|other| !other.field && other.driver == c.driver && newest(other) < newest(c));
    cars.iter().copied().filter(|c| counts(c)).min_by_key(|c| (c.watching, c.field, newest(c)))
}

/// Cars whose driver took them over in mid-lap, with the beginning of the lap as the driver before tells it (`order.driver`).
pub fn with_laps_begun_by_others(cars: &[CarNow]) -> std::borrow::Cow<'_, [CarNow]> {
    let whole = |car: &CarNow| {
        let taken_us = car.taken_over_us.filter(|_| car.lap > 0)?;
        let same = |c: &&CarNow| !c.field && c.entry == car.entry && c.lap == car.lap && c.lap_start_us.is_some_and(|us| us < taken_us);
        let begun = cars.iter().filter(same).max_by_key(|c| (c.sim_time_us, c.driver, c.run))?;
        let later_us = taken_us - begun.lap_start_us?;
        let loops_us = car.loops_us.iter().enumerate().map(|(k, us)| match begun.loops_us.get(k) {
            Some(before) if *before >= 0 => *before,
            _ if *us >= 0 => later_us + us,
            _ => -1,
        });
        Some(CarNow { lap_start_us: begun.lap_start_us, loops_us: loops_us.collect(), taken_over_us: None, ..car.clone() })
    };
    if cars.iter().all(|car| car.taken_over_us.is_none()) {
        return cars.into();
    }
    // Of a lap whose beginning is not known, its place in it is known all the same.
    let part = |car: &CarNow| CarNow { lap: if car.taken_over_us.is_some() { 0 } else { car.lap }, ..car.clone() };
    cars.iter().map(|car| whole(car).unwrap_or_else(|| part(car))).collect()
}

fn newest_cars(cars: &[CarNow]) -> Vec<&CarNow> {
    by_entry(cars.iter(), |c| c.entry).into_values().filter_map(newest_car).collect()
}
