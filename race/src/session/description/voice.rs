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

/// Of each driver the newest of what its clients tell, in order of drivers.
pub fn newest<'a>(clients: impl Iterator<Item = Told<'a>>) -> Vec<Told<'a>> {
    let mut told: Vec<Told<'_>> = clients.collect();
    if !told.is_sorted_by_key(|told| told.driver) {
        told.sort_by_key(|told| told.driver);
    }
    told.dedup_by(|next, kept| {
        let same = next.driver == kept.driver;
        if same && (next.described.at_us, next.run) > (kept.described.at_us, kept.run) {
            *kept = *next;
        }
        same
    });
    told
}

/// The newest descriptions, in order of drivers.
pub(super) fn voices<'a>(clients: impl Iterator<Item = Told<'a>>) -> Vec<Voice<'a>> {
    let voice = |told: Told<'a>| Voice {
        driver: told.driver,
        at_us: told.described.at_us.unwrap_or(i64::MIN),
        until_us: told.until_us,
        meta: &told.described.meta,
    };
    newest(clients).into_iter().map(voice).collect()
}

/// The keys whose values differ between two maps, or that one of them has.
pub(super) fn differing<'a, K: Ord, V: PartialEq>(one: &'a BTreeMap<K, V>, other: &'a BTreeMap<K, V>) -> Vec<&'a K> {
    let (mut one, mut other, mut keys) = (one.iter().peekable(), other.iter().peekable(), vec![]);
    loop {
        match (one.peek(), other.peek()) {
            (None, None) => return keys,
            (Some((key, value)), Some((beside, same))) if key == beside => {
                if value != same {
                    keys.push(*key);
                }
                one.next();
                other.next();
            }
            (Some((key, _)), beside) if beside.is_none_or(|(beside, _)| key < beside) => {
                keys.push(*key);
                one.next();
            }
            (_, _) => keys.extend(other.next().map(|(key, _)| key)),
        }
    }
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
