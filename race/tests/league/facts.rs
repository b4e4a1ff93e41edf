//! Facts from the rows of a session, and sessions in parts.

use boxbox_race::league::{Car, CarKey, Facts};
use boxbox_race::scoring::Ended;
use boxbox_race::view::{Rows, SessionView};
use boxbox_schemas::ids::{DriverId, RunId, ShortId, TenantId};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{Lap, Reasons, SessionInfo, Tags};
use boxbox_testkit::{frames, laps};

use crate::world::car;

const SALT: &[u8] = b"salt";
const S: i64 = 1_000_000;

fn info(session_type: &str) -> SessionInfo {
    let tenant = TenantId(ShortId::new("league").unwrap());
    let entry = |slot: u16, number: &str| MetaEntry {
        slot,
        user_id: 100 + u64::from(slot),
        number: number.into(),
        class_name: "GT3".into(),
        car_name: "Porsche".into(),
        ..MetaEntry::default()
    };
    let meta = SessionMeta { session_type: session_type.into(), laps_limit: 3, entries: vec![entry(1, "7"), entry(2, "08")], ..Default::default() };
    SessionInfo { meta: Some(meta), closed: true, ..SessionInfo::opened(tenant, frames::source(1), 0) }
}

/// Three laps of two cars; the second one leads the first lap and has a lap that does not count for best.
fn view(session_type: &str) -> SessionView {
    let info = info(session_type);
    let lap = |name: &str, slot: u16, number: u32, start: i64, end: i64| {
        let driver = DriverId(ShortId::new(name).unwrap());
        let tags = if number == 1 { Tags::FIRST_LAP } else { Tags(0) };
        let reasons = if (slot, number) == (2, 3) { Reasons::OFF_TRACK } else { Reasons(0) };
        Lap { slot, tags, reasons, ..laps::lap(info.id, driver, RunId([slot as u8; 16]), number, start * S, end * S) }
    };
    let laps = vec![
        lap("nadja", 1, 1, 10, 111),
        lap("nadja", 1, 2, 111, 205),
        lap("nadja", 1, 3, 205, 301),
        lap("oskar", 2, 1, 10, 110),
        lap("oskar", 2, 2, 110, 206),
        lap("oskar", 2, 3, 206, 300 + 2),
    ];
    SessionView::of(info).with(Rows { laps, ..Rows::default() })
}

#[test]
fn a_race_becomes_facts() {
    let facts = Facts::from_view(&view("Race"), SALT).unwrap();
    assert_eq!((facts.cars().len(), facts.planned_laps(), facts.complete()), (2, Some(3), true));
    let of = |name: &str| facts.cars().iter().find(|car| car.key == CarKey::of(SALT, name)).unwrap();
    let (ann, bob) = (of("u:101"), of("u:102"));
    assert_eq!((ann.laps, ann.line_us, &ann.crossings_us[..]), (3, Some(291 * S), &[101 * S, 195 * S, 291 * S][..]));
    assert_eq!((ann.laps_led, bob.laps_led), (2, 1));
    assert_eq!((ann.number.clone(), bob.class.as_str(), bob.car.as_str()), (Some("7".parse().unwrap()), "GT3", "Porsche"));
    assert_eq!((bob.best_lap_us, bob.best_lap_at_us), (Some(96 * S), Some(196 * S)), "lap 3 was off track, lap 1 of a race never counts");
    // The driver of the grant, and the simulator's user: either account says who it is.
    let accounts = &ann.drivers[0].accounts;
    assert!(accounts.contains(&boxbox_race::league::AccountHash::of(SALT, "grant", "nadja")));
    assert_eq!((accounts.len(), ann.drivers[0].laps), (2, 3));
    // No name of anybody is in them.
    let json = boxbox_race::league::canonical(&facts);
    assert!(!json.contains("nadja") && !json.contains("oskar"), "{json}");
}

#[test]
fn facts_do_not_depend_on_the_order_of_rows() {
    let mut rows: Vec<Lap> = view("Race").laps().to_vec();
    rows.reverse();
    let reversed = SessionView::of(info("Race")).with(Rows { laps: rows, ..Rows::default() });
    assert_eq!(Facts::from_view(&reversed, SALT).unwrap().digest(), Facts::from_view(&view("Race"), SALT).unwrap().digest());
    assert_ne!(Facts::from_view(&reversed, b"other").unwrap().digest(), Facts::from_view(&view("Race"), SALT).unwrap().digest());
}

#[test]
fn qualifying_has_best_laps_and_no_line() {
    let facts = Facts::from_view(&view("Qualify"), SALT).unwrap();
    assert!(facts.cars().iter().all(|car| car.line_us.is_none() && car.crossings_us.is_empty() && car.best_lap_us.is_some()));
    assert_eq!(facts.planned_laps(), None);
}

#[test]
fn a_race_in_two_parts_adds_laps_and_keeps_the_order_of_the_last() {
    let part = |order: &[(&str, u32, i64)]| Facts::of(order.iter().map(|(name, laps, s)| car(name, *laps, *s)).collect(), Some(20), true);
    let first = part(&[("a", 5, 500), ("b", 5, 501), ("c", 5, 502), ("d", 3, 300)]);
    let second = part(&[("c", 10, 900), ("b", 10, 901), ("a", 9, 905)]);
    let joined = Facts::joined(vec![first, second]);
    let mut cars: Vec<&Car> = joined.cars().iter().collect();
    cars.sort_by_key(|car| (std::cmp::Reverse(car.laps), car.line_us));
    let laps: Vec<_> = cars.iter().map(|car| (car.laps, car.line_us.unwrap() / S)).collect();
    assert_eq!(laps, [(15, 1402), (15, 1403), (14, 1407), (3, 300)]);
    assert_eq!(cars[0].key, CarKey::of(SALT, "c"));
    let none = Facts::of(vec![Car { ended: Ended::NotStarted, ..car("c", 0, 0) }], None, true);
    let stayed = Facts::joined(vec![joined.clone(), none]);
    assert!(stayed.cars().iter().any(|car| car.laps == 15 && car.ended == Ended::Retired));
}
