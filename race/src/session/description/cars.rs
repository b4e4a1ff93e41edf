//! The cars of the merged description (`session.description`, `description.claim`).

use std::cmp::Reverse;
use std::collections::BTreeMap;

use boxbox_schemas::meta::MetaEntry;
use boxbox_schemas::results::{About, Conflict};

use super::voice::{Voice, most};

/// Most cars of a merged description: each simulator's grid has fewer, over all who come and go.
const CARS_MAX: usize = 256;
/// A client that has streamed this long after another told of a slot, and still tells otherwise, tells against it, µs. Simulators tell their
/// clients of a change within a few seconds.
const STANDS_US: i64 = 10_000_000;

/// One client's word of one slot.
type Word<'a> = (&'a Voice<'a>, &'a MetaEntry);

/// The cars: for each slot the value that the car's client reports, else that of most clients; and whether any is claimed by a client with
/// whom not all agree. `voices`: newest first.
pub(super) fn merged(voices: &[Voice<'_>], conflicts: &mut Vec<Conflict>) -> (Vec<MetaEntry>, bool) {
    let mut slots: BTreeMap<u16, Vec<Word<'_>>> = BTreeMap::new();
    for voice in voices {
        for entry in &voice.meta.entries {
            let words = slots.entry(entry.slot).or_default();
            // Of a slot that a client names twice, the first.
            if words.last().is_none_or(|(last, _)| last.driver != voice.driver) {
                words.push((voice, entry));
            }
        }
    }
    let claimed = |(slot, words): (&u16, &Vec<Word<'_>>)| {
        let first = words.iter().find(|(voice, _)| voice.meta.own_slot == *slot);
        first.is_some_and(|(_, claim)| words.iter().any(|(voice, e)| e != claim && (voice.meta.own_slot == *slot || !same_car(e, claim))))
    };
    let open = slots.iter().any(claimed);
    let mut cars: Vec<(bool, usize, MetaEntry)> = slots.into_iter().map(|(slot, words)| car(&words, slot, conflicts)).collect();
    if cars.len() > CARS_MAX {
        cars.sort_by_key(|(own, told, car)| (Reverse(*own), Reverse(*told), car.slot));
        cars.truncate(CARS_MAX);
        cars.sort_by_key(|(.., car)| car.slot);
    }
    (cars.into_iter().map(|(.., car)| car).collect(), open)
}

/// One car: whether its own client tells of it, how many do, and what it is.
fn car(words: &[Word<'_>], slot: u16, conflicts: &mut Vec<Conflict>) -> (bool, usize, MetaEntry) {
    // Where a client does not know its slot it says 0, which may be the pace car's.
    let claims: Vec<Word<'_>> = words.iter().copied().filter(|(voice, e)| voice.meta.own_slot == slot && !matches!(e.special, 1 | 2)).collect();
    let (refused, stands): (Vec<Word<'_>>, Vec<Word<'_>>) = claims.into_iter().partition(|claim| refuted(*claim, words));
    // Of several the one whom most others agree with; `words` are newest first, and `min_by_key` takes the first of equal ones.
    let own = stands.iter().copied().min_by_key(|claim| Reverse(agreeing(*claim, words)));
    let (is_own, mut car) = match own {
        Some((_, entry)) => (true, entry.clone()),
        None => {
            let others = words.iter().filter(|(voice, _)| refused.iter().all(|(refused, _)| refused.driver != voice.driver));
            (false, most(others.map(|(_, entry)| *entry)))
        }
    };
    // What its teller leaves empty (a line of its text was damaged) is what most others tell of the same car.
    let others: Vec<&MetaEntry> = words.iter().map(|(_, e)| *e).filter(|e| same_car(e, &car)).collect();
    macro_rules! fill {
        ($($field:ident),*) => { $(fill_in(&mut car.$field, others.iter().map(|e| &e.$field));)* };
    }
    fill!(user_id, team_id, driver_name, team_name, number, class_id, class_name, car_name);
    let (with, against): (Vec<Word<'_>>, Vec<Word<'_>>) = words.iter().copied().partition(|(_, e)| same_car(e, &car));
    // Who has left may tell of a car that was in the slot before: no conflict. Who claims the slot means it.
    let claimed = against.iter().filter(|(voice, _)| voice.meta.own_slot == slot);
    conflicts.extend(Conflict::of(About::Slot, "user", Some(slot), claimed.map(|(v, _)| v.driver), with.iter().map(|(v, _)| v.driver)));
    (is_own, words.len(), MetaEntry { slot, ..car })
}

/// Whether both may be the same car: their ids are equal, where both have one.
pub(super) fn same_car(a: &MetaEntry, b: &MetaEntry) -> bool {
    let same = |a: u64, b: u64| a == b || a == 0 || b == 0;
    same(a.user_id, b.user_id) && same(a.team_id, b.team_id)
}

/// `description.claim`: two others at least, and more than agree, still say another car is in this slot.
fn refuted(claim: Word<'_>, words: &[Word<'_>]) -> bool {
    let later = claim.0.at_us.saturating_add(STANDS_US);
    let asked = words.iter().copied().filter(|(voice, _)| voice.driver != claim.0.driver && voice.until_us >= later);
    let (with, against): (Vec<Word<'_>>, Vec<Word<'_>>) = asked.partition(|(_, e)| same_car(e, claim.1));
    against.len() >= 2 && against.len() > with.len() + 1
}

/// How many others say the same car is in this slot, and how many say the same of it.
fn agreeing(claim: Word<'_>, words: &[Word<'_>]) -> (usize, usize) {
    let later = claim.0.at_us.saturating_add(STANDS_US);
    let others = || words.iter().filter(|(voice, _)| voice.driver != claim.0.driver && voice.until_us >= later);
    (others().filter(|(_, e)| same_car(e, claim.1)).count(), others().filter(|(_, e)| *e == claim.1).count())
}

/// Give `field`, where it is empty, what most tell.
fn fill_in<'a, T: PartialEq + Default + Clone + 'a>(field: &mut T, told: impl Iterator<Item = &'a T>) {
    if *field == T::default() {
        *field = most(told);
    }
}
