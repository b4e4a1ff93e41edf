//! A fingerprint of a session's final results, which shows whether two runs of the processing gave the same.

use sha2::{Digest, Sha256};

use super::Classified;
use boxbox_schemas::results::{IncidentStep, Lap, PitVisit, Tags};

/// Tags that depend on how the facts arrived, not on what was driven.
const OF_ARRIVAL: Tags = Tags(Tags::RESUMED.0 | Tags::LATE.0);

/// SHA-256, as 64 hexadecimal digits, of all results: classification, laps, pit visits and incident steps after
/// folding, in canonical order. Values that depend on the stream or on arrival are left out: runs, spans, frame counts, slots,
/// ticks, revisions, and the tags `resumed` and `late` (`result.digest`).
pub fn digest(classified: &[Classified], laps: &[Lap], visits: &[PitVisit], incidents: &[IncidentStep]) -> String {
    let mut lines: Vec<String> = vec![];
    for c in classified {
        lines.push(format!(
            "classified {} {} {} {} {} {:?} {:?} {} {:?} {:?} {}",
            c.position,
            c.class_position,
            c.entry,
            c.laps,
            c.status.name(),
            c.finish_us,
            c.total_us,
            c.laps_down,
            c.gap_us,
            c.best_lap_us,
            c.tied
        ));
    }
    for l in laps {
        let fuel = [l.fuel_l, l.fuel_used_l].map(|f| f.map(f32::to_bits));
        lines.push(format!(
            "lap {} {:>9} {} {} {} {:?} {:?} {:?} {fuel:?} {:#x} {:#x}",
            l.entry,
            l.number,
            l.driver,
            l.start_us,
            l.end_us,
            l.sim_time_us,
            l.sectors_us,
            l.loops_us,
            l.reasons.0,
            l.tags.without(OF_ARRIVAL).0
        ));
    }
    for v in visits {
        let bits = v.fuel_added_l.map(f32::to_bits);
        lines.push(format!(
            "pit {} {:>15} {:?} {} {} {} {:?} {bits:?} {:?} {} {}",
            v.entry,
            v.enter_us,
            v.exit_us,
            v.kind.0,
            v.lap,
            v.stationary_us,
            v.service_us,
            v.tyres_changed,
            v.speed_max_mps.to_bits(),
            v.speeding
        ));
    }
    for i in incidents {
        lines.push(format!("incident {} {} {:>15} {} {}", i.entry, i.driver, i.sim_time_us, i.from, i.to));
    }
    // Sorted by text, so the same rows in any order give the same digest.
    lines.sort_unstable();
    let mut hash = Sha256::new();
    for line in lines {
        hash.update(line.as_bytes());
        hash.update(b"\n");
    }
    hash.finalize().iter().map(|b| format!("{b:02x}")).collect()
}
