//! Visits to the pit lane: of what several streams tell, each visit once (E3).

use std::cmp::Reverse;

use super::by_entry;
use crate::results::PitVisit;

/// Two streams that tell of one visit see its entry by so much apart at most, µs: a frame at 1 Hz.
const SAME_ENTRY_US: i64 = 1_000_000;

/// Of visits as streams tell them, in any order, each visit of each entry once, by (entry, enter).
pub fn pit_visits(told: &[PitVisit]) -> Vec<PitVisit> {
    let mut visits: Vec<PitVisit> = vec![];
    for mut of in by_entry(told.iter().filter(|v| !v.superseded), |v| v.entry).into_values() {
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
    visits
}
