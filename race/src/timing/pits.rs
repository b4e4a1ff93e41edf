//! Pit visits: several streams may see the same visit, and each visit counts once (E3c).

use std::cmp::Reverse;

use super::by_entry;
use boxbox_schemas::ids::DriverId;
use boxbox_schemas::results::{Handover, PitEnds, PitKind, PitMoment, PitVisit};

/// Two streams see the entry of one visit at most this far apart, µs: one frame at 1 Hz.
const SAME_ENTRY_US: i64 = 1_000_000;

/// Where the simulator does not count laps, the next driver takes over within this time, µs.
const SWAP_MAX_US: i64 = 300_000_000;

/// Less fuel than this is slosh, l (`pit.fuel`).
const FUEL_NOISE_L: f32 = crate::stream::FUEL_NOISE_L;

/// Folds the visits that all streams have seen, in any order, so that each visit of an entry is there once, sorted by (entry, enter).
///
/// Each driver's own visits come first (`pit.once`), then those of drivers who took the car over in the pits are joined (`pit.swap`), then
/// what other clients saw fills in what no driver of the car saw.
pub fn pit_visits(seen: &[PitVisit]) -> Vec<PitVisit> {
    let mut visits = vec![];
    for of in by_entry(seen.iter().filter(|v| !v.superseded), |v| v.entry).into_values() {
        let (field, own): (Vec<&PitVisit>, Vec<&PitVisit>) = of.into_iter().partition(|v| v.field);
        let mut own = driven(own);
        let field = each_once(field);
        for visit in &mut own {
            if let Some(seen) = field.iter().find(|seen| overlap(visit, seen)) {
                complete(visit, seen);
            }
        }
        let mut all = own.clone();
        all.extend(field.into_iter().filter(|seen| !own.iter().any(|visit| overlap(visit, seen))));
        all.sort_by_key(|v| (v.enter_us, v.driver, v.run));
        visits.extend(all.into_iter().map(without_guesses));
    }
    visits
}

/// The visits of an entry as its own drivers saw them.
fn driven(rows: Vec<&PitVisit>) -> Vec<PitVisit> {
    let mut of_driver: std::collections::BTreeMap<DriverId, Vec<&PitVisit>> = Default::default();
    rows.into_iter().for_each(|row| of_driver.entry(row.driver).or_default().push(row));
    let mut parts: Vec<PitVisit> = of_driver.into_values().flat_map(each_once).collect();
    parts.sort_by_key(|v| (v.enter_us, v.exit_us, v.driver, v.run));
    let mut done: Vec<PitVisit> = vec![];
    for part in parts {
        match done.last_mut() {
            Some(before) if swapped(before, &part) => *before = joined(before, &part),
            // Two drivers cannot both drive the car in.
            Some(before) if overlap(before, &part) => {
                if rank(&part) < rank(before) {
                    *before = part;
                }
            }
            _ => done.push(part),
        }
    }
    done
}

/// One row of each group of rows that overlap, by time.
fn each_once(mut rows: Vec<&PitVisit>) -> Vec<PitVisit> {
    rows.sort_by_key(|v| (v.enter_us, v.exit_us, v.driver, v.run, v.slot, v.timeline));
    let mut done: Vec<(PitVisit, i64)> = vec![];
    for row in rows {
        match done.last_mut().filter(|(_, until_us)| row.enter_us <= *until_us) {
            Some((kept, until)) => {
                *until = (*until).max(until_us(row));
                if rank(row) < rank(kept) {
                    *kept = row.clone();
                }
            }
            None => done.push((row.clone(), until_us(row))),
        }
    }
    done.into_iter().map(|(visit, _)| visit).collect()
}

/// Which of two rows of one visit counts: the lower.
fn rank(v: &PitVisit) -> impl Ord + use<> {
    let last_us = v.ends.last.map(|last| last.us);
    (v.field, v.exit_us.is_none(), Reverse(last_us), Reverse(v.timeline), v.driver, v.run)
}

/// Until when the visit is known to have lasted, µs, and at least as long as two clients' views of its beginning can be apart.
fn until_us(v: &PitVisit) -> i64 {
    v.exit_us.or(v.ends.last.map(|last| last.us)).unwrap_or(v.enter_us).max(v.enter_us + SAME_ENTRY_US)
}

fn overlap(a: &PitVisit, b: &PitVisit) -> bool {
    a.enter_us <= until_us(b) && b.enter_us <= until_us(a)
}

/// Whether `after` goes on where a driver left the car in `before`.
fn swapped(before: &PitVisit, after: &PitVisit) -> bool {
    let within = |from_us: i64| (0..=SWAP_MAX_US).contains(&(after.enter_us - from_us));
    if before.exit_us.is_some() || before.ends.gone {
        return false;
    }
    match (before.ends.last, after.ends.first) {
        (Some(left), Some(taken)) if left.us <= taken.us => match (counted(&left), counted(&taken)) {
            // The car was not driven over the line in between, however long that was.
            (Some(then), Some(now)) => then == now,
            _ => within(left.us),
        },
        (None, None) if before.ends.are_unknown() && after.ends.are_unknown() => {
            // Rows of a version before these ends were told.
            after.kind == PitKind::START && before.driver != after.driver && within(before.enter_us)
        }
        _ => false,
    }
}

fn counted(at: &PitMoment) -> Option<i16> {
    at.lap.filter(|lap| *lap > 0)
}

fn joined(before: &PitVisit, after: &PitVisit) -> PitVisit {
    let ends = before.ends.last.zip(after.ends.first);
    // Between the two drivers no client saw the car. It stood if it stands where it stood.
    let between = |of: fn(&PitMoment) -> bool| ends.filter(|(left, taken)| of(left) && of(taken)).map_or(0, |(left, taken)| taken.us - left.us);
    let stationary_us = before.stationary_us + after.stationary_us + between(|at| at.standing);
    let in_service = between(|at| at.in_service && at.standing);
    let mut handovers = before.ends.handovers.clone();
    if before.driver_out() != after.driver {
        handovers.push(Handover { us: after.enter_us, driver: after.driver });
    }
    let fuel_l = before.ends.fuel_l.zip(after.ends.fuel_l).map(|((a_low, a_high), (b_low, b_high))| (a_low.min(b_low), a_high.max(b_high)));
    PitVisit {
        // Each of the drivers may have seen too little standing for a stop.
        kind: if before.kind == PitKind::DRIVE_THROUGH && stationary_us >= PitVisit::STOP_US { PitKind::STOP } else { before.kind },
        exit_us: after.exit_us,
        stationary_us,
        service_us: before.service_us.map_or(after.service_us, |us| Some(us + after.service_us.unwrap_or(0) + in_service)),
        fuel_added_l: fuel_added_l(before, after),
        tyres_changed: tyres_changed(before, after),
        speed_max_mps: before.speed_max_mps.max(after.speed_max_mps),
        speeding: before.speeding || after.speeding,
        ends: PitEnds { first: before.ends.first, last: after.ends.last, gone: after.ends.gone, fuel_l, handovers },
        ..before.clone()
    }
}

/// The largest rise of the level, also between the two drivers; `None` if no client knows.
fn fuel_added_l(before: &PitVisit, after: &PitVisit) -> Option<f32> {
    let (added, more) = (before.fuel_added_l?, after.fuel_added_l?);
    match (before.ends.fuel_l, after.ends.fuel_l) {
        (Some((low, _)), Some((_, high))) => Some(Some(high - low).filter(|rise| *rise > FUEL_NOISE_L).unwrap_or(0.0).max(added).max(more)),
        _ => Some(added + more).filter(|sum| *sum > 0.0),
    }
}

fn tyres_changed(before: &PitVisit, after: &PitVisit) -> Option<bool> {
    let sets = before.ends.last.and_then(|left| left.tyre_sets).zip(after.ends.first.and_then(|taken| taken.tyre_sets));
    let seen = [before.tyres_changed, after.tyres_changed].contains(&Some(true));
    match sets {
        _ if seen => Some(true),
        Some((then, now)) => Some(now > then),
        None => None,
    }
}

/// What other clients saw of a visit whose beginning or end no driver of the car saw.
fn complete(visit: &mut PitVisit, seen: &PitVisit) {
    let (begun, ended) = (visit.ends.first.is_some() && seen.ends.first.is_none() && seen.enter_us < visit.enter_us, visit.exit_us.is_none());
    if begun {
        (visit.enter_us, visit.lap, visit.kind) = (seen.enter_us, seen.lap, seen.kind);
        visit.ends.first = None;
        visit.fuel_added_l = None;
    }
    if ended {
        visit.exit_us = seen.exit_us;
        visit.ends.gone |= seen.exit_us.is_some();
        visit.fuel_added_l = visit.fuel_added_l.filter(|_| seen.exit_us.is_none());
    }
    if begun || (ended && seen.exit_us.is_some()) {
        visit.stationary_us = visit.stationary_us.max(seen.stationary_us);
        if visit.kind == PitKind::DRIVE_THROUGH && visit.stationary_us >= PitVisit::STOP_US {
            visit.kind = PitKind::STOP;
        }
    }
}

/// No fuel was added only if a client saw the car from its entry to its exit.
fn without_guesses(mut visit: PitVisit) -> PitVisit {
    let whole = visit.exit_us.is_some() && visit.ends.first.is_none();
    visit.fuel_added_l = visit.fuel_added_l.filter(|litres| whole || *litres > 0.0);
    visit
}
