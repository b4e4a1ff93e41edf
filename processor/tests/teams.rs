//! Who drives for a team: a claim that most others contradict does not count (`entry.claim`), and of two who drive one car at the same time the
//! one counts whom others see (`entry.rival`).

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::record::{Kind, archive};
use boxbox_schemas::results::{About, SessionInfo};
use bytes::Bytes;
use support::*;

/// What everybody's metadata says: slot, user, team.
const CARS: [(u16, u64, u64); 4] = [(4, 14, 9), (5, 15, 10), (6, 16, 11), (7, 17, 12)];

fn describe(client: &mut Client, own_slot: u16, change: impl Fn(&mut MetaEntry)) {
    let entry = |&(slot, user_id, team_id): &(u16, u64, u64)| MetaEntry { slot, user_id, team_id, ..MetaEntry::default() };
    let mut entries: Vec<MetaEntry> = CARS.iter().map(entry).collect();
    entries.iter_mut().for_each(change);
    let meta = SessionMeta { track_length_m: 1_000.0, session_type: "practice".into(), own_slot, team_racing: 1, entries, ..SessionMeta::default() };
    client.in_slot(own_slot);
    client.put(Kind::META, 1, 1, &archive(&meta));
}

/// A client in `slot` that drives and shows the other cars.
fn honest(name: &str, slot: u16, sees: bool) -> Vec<Bytes> {
    let mut client = Client::new(1, name, 1);
    client.shift = i64::from(slot) * 60;
    describe(&mut client, slot, |_| {});
    drive(&mut client, slot, sees);
    client.records
}

fn drive(client: &mut Client, slot: u16, sees: bool) {
    let seen: Vec<(u16, i64)> = CARS.iter().filter(|c| c.0 != slot).map(|c| (c.0, i64::from(c.0) * 60)).collect();
    for tick in (0..6_000).step_by(60) {
        client.drive(tick, tick + 60);
        if sees {
            client.see(tick, tick + 60, &seen);
        }
    }
    client.end();
}

/// A client of another car that says its own car is team 9's, ahead of it by a third of a lap, with more frames.
fn liar(slot: u16) -> Vec<Bytes> {
    let mut client = Client::new(1, "aaron", 1);
    client.shift = 400;
    describe(&mut client, slot, |e| {
        if e.slot == slot {
            e.team_id = 9
        }
    });
    let step = 2;
    for tick in (0..6_000).step_by(60) {
        client.drive_every(tick, tick + 60, step);
    }
    client.end();
    client.records
}

fn told(records: &[Vec<Bytes>]) -> (Vec<(u32, i64, String)>, SessionInfo) {
    let mut bench = Bench::new();
    // One after the other, and each step behind a few records.
    for records in records.concat().chunks(50) {
        bench.feed(records).commit();
    }
    let laps = bench.kept.laps.values().filter(|l| l.entry.as_str() == "t:9");
    let laps = laps.map(|l| (l.number, l.time_us, l.driver.to_string())).collect();
    (laps, bench.kept.steps.iter().flat_map(|s| &s.sessions).next_back().unwrap().clone())
}

#[test]
fn a_team_that_most_say_is_not_theirs_keeps_its_laps() {
    let team = || vec![honest("bea", 4, false), honest("carl", 5, false), honest("dora", 6, false)];
    let (expected, _) = told(&team());
    assert!(expected.len() >= 3 && expected.iter().all(|(.., driver)| driver == "bea"), "{expected:?}");
    for order in 0..4 {
        let mut all = team();
        all.insert(order, liar(7));
        let (laps, info) = told(&all);
        assert_eq!(laps, expected, "{order}");
        let named = info.conflicts.iter().any(|c| c.about == About::Team && c.by == [driver("aaron")]);
        assert!(named, "{:?}", info.conflicts);
    }
}

/// The liar says to be in the team's own slot, as a second driver of the car would be.
#[test]
fn of_two_who_drive_one_car_at_once_others_see_one() {
    let team = || vec![honest("bea", 4, false), honest("carl", 5, true), honest("dora", 6, true)];
    let (expected, _) = told(&team());
    for order in 0..4 {
        let mut all = team();
        all.insert(order, liar(4));
        let (laps, info) = told(&all);
        assert_eq!(laps, expected, "{order}");
        assert!(info.conflicts.iter().any(|c| c.about == About::Lap && c.by == [driver("aaron")]), "{:?}", info.conflicts);
    }
}
