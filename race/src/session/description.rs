//! The description of a session, merged from what its clients tell (`session.description`): equal for every order of arrival.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::{DriverId, RunId};

use super::described::Described;

/// Most cars of a merged description: each simulator's grid has fewer, over all who come and go.
const CARS_MAX: usize = 256;

/// The description that `streams` make together: of each driver the newest counts. `None` if there is none.
pub fn merged<'a>(streams: impl Iterator<Item = (DriverId, RunId, &'a Described)>) -> Option<SessionMeta> {
    let mut clients: BTreeMap<DriverId, ((i64, RunId), &SessionMeta)> = BTreeMap::new();
    for (driver, run, described) in streams {
        let told = ((described.at_us.unwrap_or(i64::MIN), run), &*described.meta);
        let newest = clients.entry(driver).or_insert(told);
        if told.0 > newest.0 {
            *newest = told;
        }
    }
    // The lowest driver's own slot is as good as any.
    let own_slot = clients.values().next()?.1.own_slot;
    let mut newest_first: Vec<(Reverse<i64>, DriverId, &SessionMeta)> =
        clients.iter().map(|(driver, ((at_us, _), meta))| (Reverse(*at_us), *driver, *meta)).collect();
    newest_first.sort_by_key(|(at_us, driver, _)| (*at_us, *driver));
    let metas: Vec<&SessionMeta> = newest_first.into_iter().map(|(.., meta)| meta).collect();
    Some(SessionMeta { own_slot, entries: entries(&metas), ..of_session(&metas) })
}

/// The part that all cars share, field by field.
fn of_session(metas: &[&SessionMeta]) -> SessionMeta {
    macro_rules! most_told {
        ($($field:ident),*) => { SessionMeta { $($field: most(metas.iter().map(|meta| &meta.$field)),)* own_slot: 0, entries: vec![] } };
    }
    most_told!(
        track_id,
        track_name,
        track_config,
        track_length_m,
        sector_starts,
        pit_limit_mps,
        session_type,
        laps_limit,
        time_limit_us,
        category,
        start_kind,
        team_racing,
        fuel_kg_per_l,
        fuel_max_l,
        incident_limit
    )
}

/// What most tell, of equally many the first; who leaves it empty does not count.
fn most<'a, T: PartialEq + Default + Clone + 'a>(told: impl Iterator<Item = &'a T>) -> T {
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

/// The cars: for each slot the value that the car's client reports, else that of most clients.
fn entries(metas: &[&SessionMeta]) -> Vec<MetaEntry> {
    let slots: BTreeSet<u16> = metas.iter().flat_map(|meta| meta.entries.iter().map(|e| e.slot)).collect();
    let mut cars: Vec<(bool, usize, MetaEntry)> = slots.into_iter().map(|slot| car(metas, slot)).collect();
    if cars.len() > CARS_MAX {
        cars.sort_by_key(|(own, told, car)| (Reverse(*own), Reverse(*told), car.slot));
        cars.truncate(CARS_MAX);
        cars.sort_by_key(|(.., car)| car.slot);
    }
    cars.into_iter().map(|(.., car)| car).collect()
}

/// One car: whether its own client tells of it, how many do, and what it is.
fn car<'a>(metas: &[&'a SessionMeta], slot: u16) -> (bool, usize, MetaEntry) {
    let of = |meta: &&'a SessionMeta| Some((meta.own_slot == slot, meta.entries.iter().find(|e| e.slot == slot)?));
    let told: Vec<(bool, &MetaEntry)> = metas.iter().filter_map(of).collect();
    // Where a client does not know its slot it says 0, which may be the pace car's.
    let own = told.iter().find(|(own, entry)| *own && !matches!(entry.special, 1 | 2)).map(|(_, entry)| (*entry).clone());
    let (is_own, mut car) = (own.is_some(), own.unwrap_or_else(|| most(told.iter().map(|(_, entry)| *entry))));
    // What its teller leaves empty (a line of its text was damaged) is what most others tell of the same car.
    let same = |a: u64, b: u64| a == b || a == 0 || b == 0;
    let others: Vec<&MetaEntry> = told.iter().map(|(_, e)| *e).filter(|e| same(e.user_id, car.user_id) && same(e.team_id, car.team_id)).collect();
    macro_rules! fill {
        ($($field:ident),*) => { $(fill_in(&mut car.$field, others.iter().map(|e| &e.$field));)* };
    }
    fill!(user_id, team_id, driver_name, team_name, number, class_id, class_name, car_name);
    (is_own, told.len(), MetaEntry { slot, ..car })
}

/// Give `field`, where it is empty, what most tell.
fn fill_in<'a, T: PartialEq + Default + Clone + 'a>(field: &mut T, told: impl Iterator<Item = &'a T>) {
    if *field == T::default() {
        *field = most(told);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use super::*;

    fn driver(n: usize) -> DriverId {
        DriverId::new(&format!("driver-{n}")).unwrap()
    }

    fn entry(slot: u16, user_id: u64, name: &str) -> MetaEntry {
        MetaEntry { slot, user_id, driver_name: name.into(), number: format!("#{slot}"), class_id: 1, ..MetaEntry::default() }
    }

    fn described(own_slot: u16, at_us: i64, entries: Vec<MetaEntry>) -> Described {
        let meta = SessionMeta { own_slot, track_name: "Ring".into(), session_type: "race".into(), entries, ..SessionMeta::default() };
        Described { rev: 1, at_us: Some(at_us), meta: Arc::new(meta) }
    }

    fn merge(clients: &[Described]) -> SessionMeta {
        merged(clients.iter().enumerate().map(|(n, d)| (driver(n), RunId([1; 16]), d))).unwrap()
    }

    fn names(meta: &SessionMeta) -> Vec<(u16, &str)> {
        meta.entries.iter().map(|e| (e.slot, &*e.driver_name)).collect()
    }

    #[test]
    fn own_before_most_before_newest() {
        let own = described(1, 0, vec![entry(1, 11, "Own"), entry(2, 12, "Two")]);
        let other = |at_us, one: &str, two: &str, three: &str| described(9, at_us, vec![entry(1, 11, one), entry(2, 12, two), entry(3, 13, three)]);
        let clients = [own, other(5, "X", "Two", "A"), other(6, "X", "Zwei", "B"), other(7, "X", "Zwei", "C"), other(4, "X", "Zwei", "D")];
        assert_eq!(names(&merge(&clients)), [(1, "Own"), (2, "Zwei"), (3, "C")]);
        // Two clients of one car: the newer.
        let (first, second) = (described(1, 10, vec![entry(1, 11, "First")]), described(1, 20, vec![entry(1, 12, "Second")]));
        assert_eq!(names(&merge(&[second, first])), [(1, "Second")]);
    }

    #[test]
    fn a_client_that_does_not_know_its_slot_owns_no_pace_car() {
        let pace = |name: &str| MetaEntry { special: 1, ..entry(0, 1, name) };
        let clients =
            [described(0, 9, vec![pace("old")]), described(1, 1, vec![pace("Pace"), entry(1, 11, "A")]), described(2, 1, vec![pace("Pace")])];
        assert_eq!(names(&merge(&clients)), [(0, "Pace"), (1, "A")]);
    }

    #[test]
    fn of_one_driver_the_newest_run_counts() {
        let (old, new) = (described(9, 1, vec![entry(3, 13, "Old")]), described(9, 2, vec![entry(3, 13, "New")]));
        let other = described(8, 0, vec![entry(3, 13, "Other")]);
        let streams = [(driver(0), RunId([9; 16]), &old), (driver(0), RunId([1; 16]), &new), (driver(1), RunId([1; 16]), &other)];
        assert_eq!(names(&merged(streams.into_iter()).unwrap()), [(3, "New")]);
    }

    #[test]
    fn an_empty_field_of_the_own_client_is_filled_from_others_of_the_same_car() {
        let mut own = entry(1, 11, "");
        own.number = String::new();
        let clients =
            [described(1, 9, vec![own]), described(2, 1, vec![entry(1, 11, "Anna")]), described(3, 5, vec![entry(1, 99, "Another in the slot")])];
        let meta = merge(&clients);
        assert_eq!((names(&meta), &*meta.entries[0].number), (vec![(1, "Anna")], "#1"));
    }

    #[test]
    fn the_shared_part_is_what_most_tell_and_an_empty_one_does_not_count() {
        let with = |at_us, laps_limit, kind: &str| {
            let mut d = described(1, at_us, vec![]);
            d.meta = Arc::new(SessionMeta { laps_limit, session_type: kind.into(), ..(*d.meta).clone() });
            d
        };
        let meta = merge(&[with(9, 0, ""), with(8, 0, ""), with(1, 20, "race"), with(2, 20, "race"), with(3, 30, "Race")]);
        assert_eq!((meta.laps_limit, &*meta.session_type, &*meta.track_name), (20, "race", "Ring"));
    }

    proptest! {
        /// A late joiner, a client whose text is damaged, one that has left: a car that any client names is in the result, once; and
        /// the order in which they come does not matter.
        #[test]
        fn who_is_named_is_there_in_any_order(
            clients in prop::collection::vec((0u16..6, 0i64..4, prop::collection::btree_map(0u16..6, (0u64..3, "[a-c]?"), 0..6)), 1..7),
            seed: u64,
        ) {
            let clients: Vec<Described> =
                clients.into_iter().map(|(own, at, cars)| described(own, at, cars.into_iter().map(|(s, (u, n))| entry(s, u, &n)).collect())).collect();
            let mut streams: Vec<_> = clients.iter().enumerate().map(|(n, d)| (driver(n / 2), RunId([n as u8; 16]), d)).collect();
            let straight = merged(streams.iter().copied());
            fastrand::Rng::with_seed(seed).shuffle(&mut streams);
            prop_assert_eq!(&straight, &merged(streams.into_iter()));
            let straight = straight.unwrap();
            prop_assert!(straight.entries.windows(2).all(|w| w[0].slot < w[1].slot));
            // Alone, each driver's newest says nothing that is not there.
            for n in 0..clients.len().div_ceil(2) {
                let alone = merged(clients.iter().enumerate().filter(|(i, _)| i / 2 == n).map(|(i, d)| (driver(0), RunId([i as u8; 16]), d))).unwrap();
                prop_assert!(alone.entries.iter().all(|e| straight.entries.iter().any(|other| other.slot == e.slot)));
            }
        }
    }
}
