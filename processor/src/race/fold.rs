//! E3: which stream's fact becomes the result. A pure fold: the same facts give the same choice in any order.

use std::cmp::Reverse;

use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::results::{Lap, Reasons, Tags};

/// The fact that tells one lap of one entry best; `facts` are all that streams tell of that (entry, number).
///
/// Superseded facts are out; of one stream only its newest timeline and revision speaks. Between streams: told by the car's
/// own before seen by another, measured before `timing_estimated`, complete before interrupted, driven whole before resumed (whether a run went on from another depends on arrival, where both drove at once), most frames, with the
/// simulator's own time, settled, and at last the lowest driver and run.
pub fn choose<'a>(facts: impl Iterator<Item = &'a Lap>) -> Option<&'a Lap> {
    let mut newest: Vec<&Lap> = Vec::new();
    for fact in facts.filter(|f| !f.superseded) {
        match newest.iter_mut().find(|f| (f.driver, f.run) == (fact.driver, fact.run)) {
            Some(known) if (known.timeline, known.revision) < (fact.timeline, fact.revision) => *known = fact,
            Some(_) => {}
            None => newest.push(fact),
        }
    }
    newest.into_iter().min_by_key(|f| rank(f))
}

type Rank = (bool, bool, bool, bool, Reverse<u32>, bool, bool, DriverId, RunId);

fn rank(f: &Lap) -> Rank {
    let field = f.tags.has(Tags::FIELD);
    let estimated = f.tags.has(Tags::TIMING_ESTIMATED);
    let interrupted = f.reasons.has(Reasons::DISCONTINUITY);
    let resumed = f.tags.has(Tags::RESUMED);
    (field, estimated, interrupted, resumed, Reverse(f.frames), f.sim_time_us.is_none(), !f.settled, f.driver, f.run)
}
