//! Which stream's fact becomes the result (E3a, rule `choice.lap`). A pure function: the same facts give the same choice in any order.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::results::{LOOPS, Lap, Reasons, Tags};

use crate::stream::missing;

/// Of the partial laps of one lap, so many are joined: those that began first. Drivers who share a car change several times in a lap at
/// most, and each part is compared with each.
const PARTS_MAX: usize = 32;

/// The best fact about one lap of one entry; `facts` are the facts of all streams about that (entry, number).
///
/// Superseded facts do not count. Of each stream, only the fact of its newest timeline and revision counts. Partial laps of two
/// drivers who share a car are joined; the end of a lap of which no client tells the beginning is a lap without a time (`lap.join`).
///
/// Then, in this order, the choice prefers: a time to none, the car's own client to other clients, a beginning that was seen to none, of laps
/// without a time the earliest, measured to `timing_estimated`, complete to interrupted, a lap of one run to a resumed one (whether a run
/// inherits from another depends on arrival, if both drove at once), most frames, with the simulator's own lap time, settled, the lowest
/// driver, the lowest run.
pub fn choose<'a>(facts: impl Iterator<Item = &'a Lap>) -> Option<Lap> {
    let (mut newest, mut places): (Vec<&Lap>, BTreeMap<_, usize>) = Default::default();
    for fact in facts.filter(|f| !f.superseded) {
        // A driver may drive several parts of a lap, each in another timeline.
        let place = *places.entry((fact.driver, fact.run, part_of(fact))).or_insert(newest.len());
        match newest.get_mut(place) {
            Some(known) if (known.timeline, known.revision) < (fact.timeline, fact.revision) => *known = fact,
            Some(_) => {}
            None => newest.push(fact),
        }
    }
    let joined = joined(&newest);
    let ends: Vec<Lap> = newest.iter().filter(|f| f.tags.has(Tags::JOINED) && !f.tags.has(Tags::HEAD)).map(|f| without_beginning(f)).collect();
    newest.iter().copied().filter(|f| f.whole()).chain(&joined).chain(&ends).min_by_key(|f| rank(f)).cloned()
}

/// Units of work to choose among `facts`: one for each, and one for each pair of partial laps.
pub(super) fn cost(facts: &[&Lap]) -> u64 {
    let parts = facts.iter().filter(|f| !f.whole()).count().min(PARTS_MAX) as u64;
    facts.len() as u64 + parts * parts
}

/// The lap of which `end` is all that is known. It began where the car would have been on the line at the pace of its end.
fn without_beginning(end: &Lap) -> Lap {
    let passed = end.loops_us.iter().take_while(|us| **us < 0).count().min(LOOPS - 1);
    // From its first mini-loop that was seen, else from the join, which was between two mini-loops.
    let (from, from_us) = end.loops_us.get(passed).map_or((passed, 0), |us| (passed + 1, *us));
    let pace_us = (end.time_us - from_us) / (LOOPS - from.min(LOOPS - 1)) as i64;
    let earlier_us = (pace_us * from as i64 - from_us).max(0);
    Lap {
        sectors_us: vec![],
        reasons: end.reasons.with(Reasons::DISCONTINUITY),
        tags: end.tags.without(Tags::TAIL).with(Tags::UNTIMED).with(Tags::NO_SECTORS),
        ..end.clone().starting_at(end.start_us - earlier_us)
    }
}

/// The laps that partial laps make: a beginning, any middles, an end.
///
/// A run that inherits a state which was not complete yet tells parts that are too short. So a middle goes on from the part that reaches
/// farthest, an end from each, and the rank of the laps decides.
fn joined(facts: &[&Lap]) -> Vec<Lap> {
    let mut parts: Vec<&Lap> = facts.iter().copied().filter(|f| !f.whole() && !f.tags.has(Tags::FIELD)).collect();
    parts.sort_by_key(|f| (f.start_us, f.end_us, f.driver, f.run, f.timeline));
    parts.truncate(PARTS_MAX);
    let (mut begun, mut whole): (Vec<Lap>, Vec<Lap>) = (vec![], vec![]);
    for part in parts {
        if !part.tags.has(Tags::TAIL) {
            begun.push(part.clone());
            continue;
        }
        let longer = begun.iter().filter_map(|before| Some((before.end_us, join(before, part)?)));
        if part.tags.has(Tags::HEAD) {
            let farthest = longer.min_by_key(|(end_us, lap)| (Reverse(*end_us), rank(lap)));
            begun.extend(farthest.map(|(_, lap)| lap));
        } else {
            whole.extend(longer.map(|(_, lap)| lap));
        }
    }
    whole
}

type Rank = (bool, bool, bool, i64, bool, bool, bool, Reverse<u32>, bool, bool, DriverId, RunId);

fn rank(f: &Lap) -> Rank {
    let field = f.tags.has(Tags::FIELD);
    let estimated = f.tags.has(Tags::TIMING_ESTIMATED);
    let interrupted = f.reasons.has(Reasons::DISCONTINUITY);
    let resumed = f.tags.has(Tags::RESUMED);
    // A lap that one client saw whole comes before the same lap without a time, and of two of those the one whose beginning was seen.
    let (untimed, joined) = (f.tags.has(Tags::UNTIMED), f.tags.has(Tags::JOINED));
    let begun_us = if untimed { f.start_us } else { 0 };
    let no_sim_time = f.sim_time_us.is_none();
    (untimed, field, joined, begun_us, estimated, interrupted, resumed, Reverse(f.frames), no_sim_time, !f.settled, f.driver, f.run)
}

/// Which part of a lap a fact is, and of several parts of one driver, which of them.
fn part_of(f: &Lap) -> (u32, u32) {
    let part = f.tags.0 & Tags::HEAD.with(Tags::TAIL).0;
    (part, if part == 0 { 0 } else { f.timeline })
}

/// A driver swap makes one lap, which counts for the driver who crosses the line (E2): the lap that begins with `head` and goes on with
/// `tail`, which is its end or a middle. The simulator's counter gave both the same number, so that the car was not driven over the line
/// in between, however long that was.
///
/// `None` if the two do not belong together: they overlap in time, or the car is not where the first driver left it, for example after a
/// tow.
fn join(head: &Lap, tail: &Lap) -> Option<Lap> {
    let in_turn = head.end_tick < tail.start_tick && head.end_us < tail.start_us;
    if !in_turn || !continues(head, tail) {
        return None;
    }
    let later_us = tail.start_us - head.start_us;
    let sectors_us = sectors(head, tail, later_us);
    let passed = tail.loops_us.len().min(LOOPS - 1);
    let loops_us = (0..passed).map(|k| match (head.loops_us.get(k), tail.loops_us.get(k)) {
        (Some(us), _) if *us >= 0 => *us,
        (_, Some(us)) if *us >= 0 => later_us + us,
        _ => -1,
    });
    let mut reasons = head.reasons.with(tail.reasons);
    let mut tags = head.tags.with(tail.tags).without(Tags::TAIL).without(Tags::JOINED);
    // A middle leaves the lap open; at the end it is whole.
    tags.set(Tags::HEAD, tail.tags.has(Tags::HEAD));
    tags = tags.with(if head.driver == tail.driver { Tags::RESUMED } else { Tags::DRIVER_SWAP });
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

/// Sector times of the joined lap, -1 for those that are not over; empty if a sector line was crossed between the two partial laps.
fn sectors(head: &Lap, tail: &Lap, later_us: i64) -> Vec<i64> {
    if tail.tags.has(Tags::HEAD) && tail.sectors_us.len() == head.sectors_us.len() && tail.sectors_us.iter().all(|us| *us < 0) {
        return head.sectors_us.clone();
    }
    let (known, open) = (head.sectors_us.iter().take_while(|us| **us >= 0).count(), tail.sectors_us.iter().take_while(|us| **us < 0).count());
    if head.sectors_us.len() != tail.sectors_us.len() || known != open || open == tail.sectors_us.len() {
        return vec![];
    }
    let mut sectors: Vec<i64> = head.sectors_us[..known].to_vec();
    // The sector of the takeover began in the first partial lap.
    let until_us = Some(tail.sectors_us[open]).filter(|us| *us >= 0);
    sectors.push(until_us.map_or(-1, |us| us + later_us - sectors.iter().sum::<i64>()));
    sectors.extend_from_slice(&tail.sectors_us[open + 1..]);
    sectors
}
