//! Who reports a state or a flag of the course that no majority reports at about that time (`session.majority`), for people to see.

use std::collections::BTreeSet;

use boxbox_schemas::DriverId;
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{About, CONFLICTS_MAX, CarNow, Conflict, FlagChange, SessionStateChange};

use super::majority::{Held, flag_held, state_held};

/// Clients that report the same thing this near to each other only differ in how fast they are told, µs.
const NEAR_US: i64 = 30_000_000;
/// Flags of the course by which results change.
const FLAGS: [(Flags, &str); 3] = [(Flags::CHECKERED, "checkered"), (Flags::RED, "red"), (Flags::CAUTION, "caution")];

/// What single clients report of the course against all others, in order.
pub fn unheard(flags: &[FlagChange], states: &[SessionStateChange], cars: &[CarNow]) -> Vec<Conflict> {
    let over = |state: SessionState| state >= SessionState::CHECKERED;
    let told = states.iter().filter(|s| !s.superseded && over(s.to)).map(|s| (s.driver, s.sim_time_us));
    let reporters = || states.iter().map(|s| s.driver).chain(cars.iter().filter(|c| !c.field).map(|c| c.driver)).collect();
    let mut conflicts: Vec<Conflict> = against(About::State, "checkered", told, &state_held(states, cars, over), reporters()).into_iter().collect();
    for (flag, name) in FLAGS {
        let told = flags.iter().filter(|f| !f.superseded && f.to.has(flag) && !f.from.has(flag)).map(|f| (f.driver, f.sim_time_us));
        conflicts.extend(against(About::Flag, name, told, &flag_held(flags, states, cars, flag), reporters()));
    }
    conflicts.sort_unstable();
    conflicts.truncate(CONFLICTS_MAX);
    conflicts
}

fn against(about: About, what: &str, told: impl Iterator<Item = (DriverId, i64)>, held: &[Held], reporters: BTreeSet<DriverId>) -> Option<Conflict> {
    let heard = |us: i64| held.iter().any(|h| h.from_us <= us.saturating_add(NEAR_US) && us <= h.until_us.saturating_add(NEAR_US));
    let by: BTreeSet<DriverId> = told.filter(|(_, us)| !heard(*us)).map(|(driver, _)| driver).collect();
    let others = reporters.difference(&by).copied().collect::<Vec<_>>();
    // If all reporters tell it, no other client contradicts them.
    if others.is_empty() { None } else { Conflict::of(about, what, None, by.iter().copied(), others.into_iter()) }
}
