//! Pit visits: several streams may see the same visit, and each visit counts once (E3c).

use std::cmp::Reverse;

use super::by_entry;
use boxbox_schemas::results::{PitKind, PitVisit};

/// Two streams see the entry of one visit at most this far apart, µs: one frame at 1 Hz.
const SAME_ENTRY_US: i64 = 1_000_000;

/// The next driver takes over within this time, µs.
const SWAP_MAX_US: i64 = 300_000_000;

/// Folds the visits that all streams have seen, in any order, so that each visit of an entry is there once, sorted by (entry, enter).
///
/// At a driver swap the first driver's stream does not see the car leave, and the second driver's stream begins in the stall. The two
/// rows become one visit.
pub fn pit_visits(seen: &[PitVisit]) -> Vec<PitVisit> {
    let mut visits: Vec<PitVisit> = vec![];
    for mut of in by_entry(seen.iter().filter(|v| !v.superseded), |v| v.entry).into_values() {
        of.sort_by_key(|v| (v.enter_us, v.exit_us, v.driver, v.run, v.slot, v.timeline));
        let mut from = 0;
        while from < of.len() {
            let mut until = 0;
            let same = of[from..].iter().take_while(|v| {
                let overlaps = until == 0 || v.enter_us <= until;
                if overlaps {
                    until = until.max(v.exit_us.unwrap_or(v.enter_us)).max(v.enter_us + SAME_ENTRY_US);
                }
                overlaps
            });
            let count = same.count();
            visits.extend(
                of[from..from + count]
                    .iter()
                    .min_by_key(|v| (v.field, v.exit_us.is_none(), Reverse(v.timeline), v.driver, v.run))
                    .map(|v| (*v).clone()),
            );
            from += count;
        }
    }
    visits.into_iter().fold(vec![], |mut done: Vec<PitVisit>, visit| {
        match done.last_mut().filter(|before| swapped(before, &visit)) {
            Some(before) => *before = joined(before, &visit),
            None => done.push(visit),
        }
        done
    })
}

fn swapped(before: &PitVisit, after: &PitVisit) -> bool {
    let one_after_the_other = before.exit_us.is_none() && after.kind == PitKind::START && after.enter_us - before.enter_us <= SWAP_MAX_US;
    before.entry == after.entry && before.driver != after.driver && one_after_the_other && !before.field && !after.field
}

fn joined(before: &PitVisit, after: &PitVisit) -> PitVisit {
    let sum = |a: Option<f32>, b: Option<f32>| a.map_or(b, |a| Some(a + b.unwrap_or(0.0)));
    let stationary_us = before.stationary_us + after.stationary_us;
    PitVisit {
        // Each of the two streams may have seen too little standing for a stop.
        kind: if before.kind == PitKind::DRIVE_THROUGH && stationary_us >= PitVisit::STOP_US { PitKind::STOP } else { before.kind },
        exit_us: after.exit_us,
        stationary_us,
        service_us: before.service_us.map_or(after.service_us, |us| Some(us + after.service_us.unwrap_or(0))),
        fuel_added_l: sum(before.fuel_added_l, after.fuel_added_l),
        tyres_changed: before.tyres_changed.map_or(after.tyres_changed, |yes| Some(yes || after.tyres_changed == Some(true))),
        speed_max_mps: before.speed_max_mps.max(after.speed_max_mps),
        speeding: before.speeding || after.speeding,
        ..before.clone()
    }
}
