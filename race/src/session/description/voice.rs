//! Who tells what of a session: of each driver the newest description, and what most of them tell.

use std::collections::BTreeMap;

use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::{DriverId, RunId};

use crate::session::described::Described;

/// What one client tells of the session.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Whose client.
    pub driver: DriverId,
    /// Its run.
    pub run: RunId,
    /// What it told last.
    pub described: &'a Described,
    /// Session time of its newest frame, µs: until then it would have told if anything had changed.
    pub until_us: i64,
}

/// The newest description of a driver.
pub(super) struct Voice<'a> {
    pub(super) driver: DriverId,
    pub(super) at_us: i64,
    pub(super) until_us: i64,
    pub(super) meta: &'a SessionMeta,
}

/// Of each driver the newest description, in order of drivers.
pub(super) fn voices<'a>(clients: impl Iterator<Item = Told<'a>>) -> Vec<Voice<'a>> {
    let mut newest: BTreeMap<DriverId, (RunId, Voice<'a>)> = BTreeMap::new();
    for Told { driver, run, described, until_us } in clients {
        let voice = Voice { driver, at_us: described.at_us.unwrap_or(i64::MIN), until_us, meta: &described.meta };
        match newest.get_mut(&driver) {
            Some((known, before)) if (voice.at_us, run) > (before.at_us, *known) => (*known, *before) = (run, voice),
            Some(_) => {}
            None => _ = newest.insert(driver, (run, voice)),
        }
    }
    newest.into_values().map(|(_, voice)| voice).collect()
}

/// What most tell, of equally many the first; who leaves it empty does not count.
pub(super) fn most<'a, T: PartialEq + Default + Clone + 'a>(told: impl Iterator<Item = &'a T>) -> T {
    let mut counts: Vec<(&T, usize)> = vec![];
    for value in told.filter(|value| **value != T::default()) {
        match counts.iter_mut().find(|(known, _)| *known == value) {
            Some((_, count)) => *count += 1,
            None => counts.push((value, 1)),
        }
    }
    // Of equal ones `max_by_key` would take the last.
    counts.into_iter().rev().max_by_key(|(_, count)| *count).map(|(value, _)| value.clone()).unwrap_or_default()
}
