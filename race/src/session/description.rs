//! The description of a session, merged from what its clients tell (`session.description`): equal for every order of arrival.
//!
//! Drivers are counted, not clients: who runs many clients has one voice. What is told against what counts is a [`Conflict`].

mod cars;
mod lengths;
mod named;
mod voice;

use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{About, Conflict};

pub use self::lengths::Lengths;
pub use self::named::Named;
pub use self::voice::{Told, newest};
use self::voice::{Voice, most, voices};

/// A session as its clients describe it together.
#[derive(Clone, PartialEq, Debug)]
pub struct Merged {
    /// The description.
    pub meta: SessionMeta,
    /// What was told against it, by what it is about.
    pub conflicts: Vec<Conflict>,
    /// The time that goes by may decide something: clients still tell of a slot otherwise than who claims it, or of a team.
    pub open: bool,
}

/// The description that `clients` make together: of each driver the newest counts. `None` if there is none.
pub fn merged<'a>(clients: impl Iterator<Item = Told<'a>>) -> Option<Merged> {
    let mut voices = voices(clients);
    // The lowest driver's own slot is as good as any.
    let own_slot = voices.first()?.meta.own_slot;
    // Newest first.
    voices.sort_by_key(|voice| (std::cmp::Reverse(voice.at_us), voice.driver));
    let mut conflicts = vec![];
    let meta = of_session(&voices, &mut conflicts);
    let (entries, open) = cars::merged(&voices, &mut conflicts);
    Some(Merged { meta: SessionMeta { own_slot, entries, ..meta }, conflicts, open })
}

/// The part that all cars share, field by field.
fn of_session(voices: &[Voice<'_>], conflicts: &mut Vec<Conflict>) -> SessionMeta {
    let mut merged = SessionMeta::default();
    // What is empty by a damaged text: who leaves it empty does not count.
    macro_rules! most_told {
        ($($field:ident),*) => { $(merged.$field = most(voices.iter().map(|voice| &voice.meta.$field));)* };
    }
    // What most simulators' sessions leave empty, and mean it: a limit of which one client alone knows is none.
    macro_rules! most_told_or_none {
        ($($field:ident),*) => { $(
            let empty = voices.iter().filter(|voice| is_empty(&voice.meta.$field)).count();
            let none = voices.len() > 2 && 2 * empty > voices.len();
            merged.$field = if none { Default::default() } else { most(voices.iter().map(|voice| &voice.meta.$field)) };
        )* };
    }
    most_told!(track_id, track_name, track_config, track_length_m, sector_starts, pit_limit_mps, session_type, category, start_kind);
    most_told!(fuel_kg_per_l, fuel_max_l);
    most_told_or_none!(laps_limit, time_limit_us, team_racing, incident_limit);
    macro_rules! told_otherwise {
        ($($field:ident),*) => { $(
            let (for_it, against): (Vec<&Voice<'_>>, Vec<&Voice<'_>>) =
                voices.iter().filter(|v| !is_empty(&v.meta.$field)).partition(|v| v.meta.$field == merged.$field);
            conflicts.extend(Conflict::of(About::Description, stringify!($field), None, against.iter().map(|v| v.driver), for_it.iter().map(|v| v.driver)));
        )* };
    }
    // Values by which results change. Others differ between honest clients too (fuel of cars of several classes).
    told_otherwise!(track_id, track_length_m, session_type, laps_limit, time_limit_us, team_racing);
    merged
}

fn is_empty<T: PartialEq + Default>(value: &T) -> bool {
    *value == T::default()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use proptest::prelude::*;

    use boxbox_schemas::meta::MetaEntry;
    use boxbox_schemas::{DriverId, RunId};

    use super::*;
    use crate::session::described::Described;

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

    fn told(n: usize, run: u8, described: &Described) -> Told<'_> {
        Told { driver: driver(n), run: RunId([run; 16]), described, until_us: i64::MAX }
    }

    fn merge(clients: &[Described]) -> SessionMeta {
        merged(clients.iter().enumerate().map(|(n, d)| told(n, 1, d))).unwrap().meta
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
        let streams = [told(0, 9, &old), told(0, 1, &new), told(1, 1, &other)];
        assert_eq!(names(&merged(streams.into_iter()).unwrap().meta), [(3, "New")]);
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

    /// A client says of a slot that it is its own: who is in it, is what most others tell.
    #[test]
    fn a_slot_that_is_claimed_is_who_most_say_it_is() {
        let cars = || vec![entry(1, 11, "Anna"), entry(2, 12, "Bert")];
        let liar = described(2, 90, vec![entry(1, 11, "Anna"), entry(2, 99, "Liar")]);
        let honest = [described(1, 1, cars()), described(7, 1, cars()), described(8, 1, cars())];
        let all = [vec![liar.clone()], honest.to_vec()].concat();
        let result = merged(all.iter().enumerate().map(|(n, d)| told(n, 1, d))).unwrap();
        assert_eq!(names(&result.meta), [(1, "Anna"), (2, "Bert")]);
        let conflict = &result.conflicts[0];
        assert_eq!((conflict.about, conflict.slot, &conflict.by[..]), (About::Slot, Some(2), &[driver(0)][..]));
        // With the car's own client there, and the same ids: the name that most tell.
        let liar = described(1, 90, vec![entry(1, 11, "Liar")]);
        assert_eq!(names(&merge(&[vec![liar], honest.to_vec()].concat()))[0], (1, "Anna"));
        // Who left before the slot was given to another says nothing against it.
        let streams = all.iter().enumerate().map(|(n, d)| Told { until_us: if n == 0 { 500 } else { 80 }, ..told(n, 1, d) });
        assert_eq!(names(&merged(streams).unwrap().meta), [(1, "Anna"), (2, "Liar")]);
    }

    /// A limit that one client alone tells, while most tell none, is none.
    #[test]
    fn a_limit_of_which_one_alone_knows_is_none() {
        let with = |time_limit_us, laps_limit| {
            let mut d = described(1, 1, vec![]);
            d.meta = Arc::new(SessionMeta { time_limit_us, laps_limit, ..(*d.meta).clone() });
            d
        };
        let meta = merge(&[with(5, 0), with(0, 20), with(0, 20)]);
        assert_eq!((meta.time_limit_us, meta.laps_limit), (0, 20));
        assert_eq!(merge(&[with(5, 0), with(0, 20)]).time_limit_us, 5, "of two the one that tells any");
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
            let mut streams: Vec<_> = clients.iter().enumerate().map(|(n, d)| told(n / 2, n as u8, d)).collect();
            let straight = merged(streams.iter().copied());
            fastrand::Rng::with_seed(seed).shuffle(&mut streams);
            prop_assert_eq!(&straight, &merged(streams.into_iter()));
            let straight = straight.unwrap().meta;
            prop_assert!(straight.entries.windows(2).all(|w| w[0].slot < w[1].slot));
            // Alone, each driver's newest says nothing that is not there.
            for n in 0..clients.len().div_ceil(2) {
                let alone = merged(clients.iter().enumerate().filter(|(i, _)| i / 2 == n).map(|(i, d)| told(0, i as u8, d))).unwrap().meta;
                prop_assert!(alone.entries.iter().all(|e| straight.entries.iter().any(|other| other.slot == e.slot)));
            }
        }
    }
}
