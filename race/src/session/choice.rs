//! Which stream's fact becomes the result (E3a, rule `choice.lap`). A pure function: the same facts give the same choice in any order.

use std::cmp::Reverse;

use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::results::{LOOPS, Lap, Reasons, Tags};

use crate::stream::missing;

/// The next driver takes over within this time, µs. After a longer time it is not known what the car did in between.
const SWAP_MAX_US: i64 = 300_000_000;

/// The best fact about one lap of one entry; `facts` are the facts of all streams about that (entry, number).
///
/// Superseded facts do not count. Of each stream, only the fact of its newest timeline and revision counts. Partial laps of two
/// drivers who share a car are joined. Then, in this order, the choice prefers: the car's own client to other clients, measured
/// to `timing_estimated`, complete to interrupted, a lap of one run to a resumed one (whether a run inherits from another depends
/// on arrival, if both drove at once), most frames, with the simulator's own lap time, settled, the lowest driver, the lowest run.
pub fn choose<'a>(facts: impl Iterator<Item = &'a Lap>) -> Option<Lap> {
    let mut newest: Vec<&Lap> = Vec::new();
    for fact in facts.filter(|f| !f.superseded) {
        let of_same = |f: &&mut &Lap| (f.driver, f.run, partial(f)) == (fact.driver, fact.run, partial(fact));
        match newest.iter_mut().find(of_same) {
            Some(known) if (known.timeline, known.revision) < (fact.timeline, fact.revision) => *known = fact,
            Some(_) => {}
            None => newest.push(fact),
        }
    }
    let heads = || newest.iter().filter(|f| f.tags.has(Tags::HEAD));
    let tails = newest.iter().filter(|f| f.tags.has(Tags::TAIL));
    let joined: Vec<Lap> = tails.flat_map(|tail| heads().filter_map(|head| join(head, tail))).collect();
    newest.iter().copied().filter(|f| f.whole()).chain(&joined).min_by_key(|f| rank(f)).cloned()
}

type Rank = (bool, bool, bool, bool, Reverse<u32>, bool, bool, DriverId, RunId);

fn rank(f: &Lap) -> Rank {
    let field = f.tags.has(Tags::FIELD);
    let estimated = f.tags.has(Tags::TIMING_ESTIMATED);
    let interrupted = f.reasons.has(Reasons::DISCONTINUITY);
    let resumed = f.tags.has(Tags::RESUMED);
    (field, estimated, interrupted, resumed, Reverse(f.frames), f.sim_time_us.is_none(), !f.settled, f.driver, f.run)
}

fn partial(f: &Lap) -> u32 {
    f.tags.0 & Tags::HEAD.with(Tags::TAIL).0
}

/// A driver swap makes one lap, which counts for the driver who crosses the line (E2): the lap that begins with `head` and ends with
/// `tail`.
///
/// `None` if the two do not belong together: they have the same driver (a restarted client inherits instead), they overlap in time,
/// or the car is not where the first driver left it, for example after a tow.
fn join(head: &Lap, tail: &Lap) -> Option<Lap> {
    let apart_us = tail.start_us - head.end_us;
    let in_turn = head.driver != tail.driver && head.end_tick < tail.start_tick && apart_us <= SWAP_MAX_US;
    if !in_turn || !continues(head, tail) {
        return None;
    }
    let later_us = tail.start_us - head.start_us;
    let sectors_us = sectors(head, tail, later_us);
    let loops_us = (0..LOOPS - 1).map(|k| match (head.loops_us.get(k), tail.loops_us.get(k)) {
        (Some(us), _) if *us >= 0 => *us,
        (_, Some(us)) if *us >= 0 => later_us + us,
        _ => -1,
    });
    let mut reasons = head.reasons.with(tail.reasons);
    let mut tags = head.tags.with(tail.tags).without(Tags::HEAD.with(Tags::TAIL)).with(Tags::DRIVER_SWAP);
    if head.reasons.has(Reasons::IN_LAP) && !head.reasons.has(Reasons::OUT_LAP) {
        // The car came in during this same lap, so leaving the pits does not make it an out lap (`validity.out-lap`).
        (reasons, tags) = (reasons.without(Reasons::OUT_LAP), tags.without(Tags::OUT_LAP));
    }
    reasons.set(Reasons::DISCONTINUITY, reasons.has(Reasons::DISCONTINUITY) || missing(head.end_us, tail.start_us));
    tags.set(Tags::NO_SECTORS, sectors_us.is_empty());
    Some(Lap {
        start_us: head.start_us,
        start_tick: head.start_tick,
        time_us: tail.end_us - head.start_us,
        sectors_us,
        loops_us: loops_us.collect(),
        fuel_used_l: None,
        reasons,
        tags,
        frames: head.frames.saturating_add(tail.frames),
        spans: head.spans.iter().chain(&tail.spans).copied().collect(),
        ..tail.clone()
    })
}

/// Whether the second driver continues where the first one left the car: between the same two mini-loops.
fn continues(head: &Lap, tail: &Lap) -> bool {
    let left = head.loops_us.len();
    let taken_over = tail.loops_us.iter().take_while(|us| **us < 0).count();
    left == taken_over
}

/// Sector times of the joined lap; empty if a sector line was crossed between the two partial laps.
fn sectors(head: &Lap, tail: &Lap, later_us: i64) -> Vec<i64> {
    let (known, open) = (head.sectors_us.iter().take_while(|us| **us >= 0).count(), tail.sectors_us.iter().take_while(|us| **us < 0).count());
    if head.sectors_us.len() != tail.sectors_us.len() || known != open || open == tail.sectors_us.len() {
        return vec![];
    }
    let mut sectors: Vec<i64> = head.sectors_us[..known].to_vec();
    // The sector of the takeover began in the first partial lap.
    sectors.push(tail.sectors_us[open] + later_us - sectors.iter().sum::<i64>());
    sectors.extend_from_slice(&tail.sectors_us[open + 1..]);
    sectors
}
