//! E3: which stream's fact becomes the result. A pure fold: the same facts give the same choice in any order.

use std::cmp::Reverse;

use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::results::{LOOPS, Lap, Reasons, Tags};

use crate::stream::missing;

/// Two drivers of a car follow each other within this time, µs; after more, nobody knows what it did in between.
const SWAP_MAX_US: i64 = 300_000_000;

/// What tells one lap of one entry best; `facts` are all that streams tell of that (entry, number).
///
/// Superseded facts are out; of one stream only its newest timeline and revision speaks. Parts of a lap that two drivers of
/// a car drove are put together. Then: told by the car's own client before seen by another, measured before
/// `timing_estimated`, complete before interrupted, driven whole before resumed (whether a run went on from another depends
/// on arrival, where both drove at once), most frames, with the simulator's own time, settled, and at last the lowest driver
/// and run.
pub fn choose<'a>(facts: impl Iterator<Item = &'a Lap>) -> Option<Lap> {
    let mut newest: Vec<&Lap> = Vec::new();
    for fact in facts.filter(|f| !f.superseded) {
        let of_same = |f: &&mut &Lap| (f.driver, f.run, part(f)) == (fact.driver, fact.run, part(fact));
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

fn part(f: &Lap) -> u32 {
    f.tags.0 & Tags::HEAD.with(Tags::TAIL).0
}

/// A driver swap makes one lap, credited to whoever crosses the line (E2): the lap that begins as `head` and ends as `tail`.
///
/// `None` if they are not of one drive: the same driver (a client that was restarted inherits), not one after the other, or
/// the car elsewhere than where it was left, as after a tow.
fn join(head: &Lap, tail: &Lap) -> Option<Lap> {
    let apart_us = tail.start_us - head.end_us;
    let in_turn = head.driver != tail.driver && head.end_tick < tail.start_tick && apart_us <= SWAP_MAX_US;
    if !in_turn || !goes_on(head, tail) {
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
        // It came in in this very lap, so that leaving the pits makes no out lap (`validity.out-lap`).
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

/// Whether the car is taken over where it was left: between the same two mini-loops.
fn goes_on(head: &Lap, tail: &Lap) -> bool {
    let left = head.loops_us.len();
    let taken_over = tail.loops_us.iter().take_while(|us| **us < 0).count();
    left == taken_over
}

/// Sector times of the whole, or none if a line was crossed in between.
fn sectors(head: &Lap, tail: &Lap, later_us: i64) -> Vec<i64> {
    let (known, open) = (head.sectors_us.iter().take_while(|us| **us >= 0).count(), tail.sectors_us.iter().take_while(|us| **us < 0).count());
    if head.sectors_us.len() != tail.sectors_us.len() || known != open || open == tail.sectors_us.len() {
        return vec![];
    }
    let mut sectors: Vec<i64> = head.sectors_us[..known].to_vec();
    // The sector in which the car was taken over began in the first part.
    sectors.push(tail.sectors_us[open] + later_us - sectors.iter().sum::<i64>());
    sectors.extend_from_slice(&tail.sectors_us[open + 1..]);
    sectors
}
