//! Flags over time: the changes that many clients show, folded into spans.

use serde::{Deserialize, Serialize};

use std::collections::BTreeMap;

use boxbox_schemas::frame::Flags;
use boxbox_schemas::ids::{DriverId, EntryId, RunId};
use boxbox_schemas::results::{CarNow, FlagChange, SessionStateChange};

use super::majority::flag_held;

/// One flag, from when to when.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlagSpan {
    /// One bit.
    pub flag: Flags,
    /// The entry that it was shown to; `None`: all ([`FlagChange::COURSE`]).
    pub entry: Option<EntryId>,
    /// First shown, session time, µs.
    pub from_us: i64,
    /// Last shown, µs; `None` while it is out.
    pub until_us: Option<i64>,
}

/// From when to when one stream saw a flag, µs.
type Seen = (i64, Option<i64>);

/// A client whose newest frame is at most this much older than the newest of all is only late, µs: a flag that it showed is still out.
const LATE_US: i64 = 5_000_000;

/// Folds the changes of all clients, in any order, into spans, sorted by (from, flag, entry).
///
/// A flag of the course is out while more than half of the clients that stream then are shown it (`flag.course`); `states` and `cars`
/// tell from when to when they stream. A car's own flags come from its own clients only.
pub fn flag_spans(changes: &[FlagChange], states: &[SessionStateChange], cars: &[CarNow]) -> Vec<FlagSpan> {
    let newest_us = changes.iter().map(|c| c.sim_time_us).chain(cars.iter().filter(|c| !c.field).map(|c| c.sim_time_us)).max().unwrap_or(0);
    let mut spans: Vec<FlagSpan> = vec![];
    for (flag, _) in Flags::NAMES.iter().filter(|(flag, _)| FlagChange::COURSE.has(*flag)) {
        for held in flag_held(changes, states, cars, *flag) {
            let until_us = (!held.unseen_end || held.until_us < newest_us - LATE_US).then_some(held.until_us);
            spans.push(FlagSpan { flag: *flag, entry: None, from_us: held.from_us, until_us });
            if until_us.is_none() {
                break;
            }
        }
    }
    spans.extend(own_spans(changes));
    spans.sort_by_key(|s| (s.from_us, s.flag.0, s.entry));
    spans
}

/// The spans of flags that are each car's own.
fn own_spans(changes: &[FlagChange]) -> Vec<FlagSpan> {
    let mut streams: BTreeMap<(EntryId, DriverId, RunId), Vec<&FlagChange>> = BTreeMap::new();
    for change in changes.iter().filter(|c| !c.superseded) {
        streams.entry((change.entry, change.driver, change.run)).or_default().push(change);
    }
    // What each stream saw of each flag: from when to when.
    let mut seen: BTreeMap<(u32, EntryId), Vec<Seen>> = BTreeMap::new();
    for ((entry, ..), mut of) in streams {
        of.sort_by_key(|c| (c.sim_time_us, c.timeline, c.tick));
        for (flag, _) in Flags::NAMES.iter().filter(|(flag, _)| !FlagChange::COURSE.has(*flag)) {
            let mut since = None;
            for change in &of {
                match (since, change.to.has(*flag)) {
                    (None, true) => since = Some(change.sim_time_us),
                    (Some(from), false) => {
                        seen.entry((flag.0, entry)).or_default().push((from, Some(change.sim_time_us)));
                        since = None;
                    }
                    _ => {}
                }
            }
            if let Some(from) = since {
                seen.entry((flag.0, entry)).or_default().push((from, None));
            }
        }
    }
    let spans = |(flag, entry), of| joined(of).map(move |(from_us, until_us)| FlagSpan { flag: Flags(flag), entry: Some(entry), from_us, until_us });
    seen.into_iter().flat_map(|(key, of)| spans(key, of)).collect()
}

/// Joins intervals that overlap. If a client did not see the end of a flag, its interval ends with the intervals that it overlaps. If
/// other clients saw the flag end later, the interval has no length: a client that disconnects must not keep a flag out (`flag.open`).
fn joined(seen: Vec<Seen>) -> impl Iterator<Item = Seen> {
    let (open, mut closed): (Vec<Seen>, Vec<Seen>) = seen.into_iter().partition(|(_, until)| until.is_none());
    let last_us = closed.iter().filter_map(|(_, until)| *until).max();
    let still_out = open.iter().map(|(from, _)| *from).filter(|from| last_us.is_none_or(|last| *from > last)).min();
    closed.extend(open.iter().map(|(from, _)| (*from, Some(*from))).filter(|(from, _)| last_us.is_some_and(|last| *from <= last)));
    closed.sort_unstable();
    let mut out: Vec<Seen> = vec![];
    for (from, until) in closed {
        match out.last_mut() {
            Some((_, last)) if Some(from) <= *last => *last = until.max(*last),
            _ => out.push((from, until)),
        }
    }
    out.into_iter().chain(still_out.map(|from| (from, None)))
}
