//! Who is in the result, with which status; which times decide.

use boxbox_race::timing::{Facts, Status, Why, classification};
use boxbox_schemas::DriverId;
use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{CarNow, Lap, PitKind, PitVisit, Tags};
use boxbox_testkit::rows;

use crate::driven::Told;
use crate::rows::{LIGHT_US, S, car, flag, id, lap, seen, session, state};

/// A race of three laps that car 0 wins at 200 s.
fn race() -> Told {
    let laps = (1..=3).map(|n| lap(0, n, LIGHT_US + i64::from(n - 1) * 60 * S, LIGHT_US + i64::from(n) * 60 * S)).collect();
    let states = vec![state(0, LIGHT_US, SessionState::RACING), state(0, 200 * S, SessionState::CHECKERED)];
    Told { laps, states, cars: vec![car(0, 4, 230 * S)], ..Told::default() }
}

/// The status of car 1, of which this is known.
fn status(cars: Vec<CarNow>, laps: Vec<Lap>, closed: bool) -> (Status, Option<Why>) {
    let mut told = race();
    told.cars.extend(cars);
    told.laps.extend(laps);
    let info = boxbox_schemas::results::SessionInfo { closed, ..session("Race", 2, 3, 0) };
    let rows = classification(&told.facts(&info));
    assert_eq!(rows.len(), 2);
    let row = rows.iter().find(|r| r.slot == 1).unwrap();
    (row.status, row.why)
}

#[test]
fn everyone_who_was_there_has_a_status() {
    let one = || vec![lap(1, 1, LIGHT_US, 85 * S)];
    let standing = |c: CarNow| CarNow { speed_mps: Some(0.0), ..c };
    let in_pits = |c: CarNow| CarNow { in_pits: Some(true), ..standing(c) };
    let gone = |c: CarNow| CarNow { lap_pct: None, speed_mps: None, ..c };
    let (retired, unknown) = (Status::Retired, Status::NotClassified);
    for (cars, closed, expected) in [
        // It drives on to its last line, and then it is too late.
        (vec![car(1, 2, 230 * S)], false, (Status::Running, None)),
        (vec![car(1, 2, 230 * S)], true, (unknown, Some(Why::DidNotTakeTheFlag))),
        // A lost client is no retirement; in the pits before the end it may have been serviced.
        (vec![car(1, 2, 100 * S)], true, (unknown, Some(Why::NotSeen))),
        (vec![in_pits(car(1, 2, 100 * S))], true, (unknown, Some(Why::NotSeen))),
        (vec![standing(car(1, 2, 100 * S))], true, (retired, Some(Why::Stopped))),
        (vec![gone(car(1, 2, 100 * S))], true, (retired, Some(Why::LeftTheCar))),
        (vec![in_pits(car(1, 2, 230 * S))], false, (retired, Some(Why::InThePits))),
        // The newest row decides, of any client.
        (vec![car(1, 2, 100 * S), seen(gone(car(1, 2, 150 * S)))], true, (retired, Some(Why::LeftTheCar))),
        (vec![gone(car(1, 2, 100 * S)), seen(car(1, 2, 230 * S))], false, (Status::Running, None)),
        (vec![], true, (unknown, Some(Why::NotSeen))),
    ] {
        assert_eq!(status(cars.clone(), one(), closed), expected, "{cars:?} {closed}");
    }
    // Without a lap.
    assert_eq!(status(vec![standing(car(1, 1, 100 * S))], vec![], true), (retired, Some(Why::Stopped)));
    assert_eq!(status(vec![standing(car(1, 0, 100 * S))], vec![], true), (Status::NotStarted, Some(Why::NoLapBegun)));
    // No client saw it, and the description has it: whether it started is not known.
    assert_eq!(status(vec![], vec![], true), (unknown, Some(Why::NotSeen)));
}

/// The way to the first line is no lap, so that a car without one may have driven.
#[test]
fn who_drove_out_of_the_pits_has_started_a_qualifying() {
    let end_us = 300 * S;
    let at = |in_pits, us| CarNow { in_pits: Some(in_pits), ..car(1, 0, us) };
    let visit = |kind, exit_us| PitVisit { exit_us, ..rows::visit(DriverId(id(1)), 1, kind, 10 * S) };
    let (no_time, not_seen) = ((Status::NotClassified, Some(Why::NoTime)), (Status::NotClassified, Some(Why::NotSeen)));
    let (running, not_started) = ((Status::Running, None), (Status::NotStarted, Some(Why::NoLapBegun)));
    for (cars, visits, over, expected) in [
        // Outside.
        (vec![at(false, 320 * S)], vec![], true, no_time),
        (vec![at(false, 100 * S)], vec![], true, no_time),
        (vec![at(false, 100 * S)], vec![], false, running),
        // In its stall, from the beginning.
        (vec![at(true, 320 * S)], vec![visit(PitKind::START, None)], true, not_started),
        (vec![at(true, 100 * S)], vec![visit(PitKind::START, None)], false, not_started),
        (vec![seen(at(true, end_us))], vec![visit(PitKind::START, None)], true, not_started),
        // It was seen there, and nobody saw what it did then.
        (vec![at(true, 100 * S)], vec![visit(PitKind::START, None)], true, not_seen),
        // Back in its stall.
        (vec![at(true, 320 * S)], vec![visit(PitKind::START, Some(30 * S))], true, no_time),
        (vec![at(true, 320 * S)], vec![visit(PitKind::TOW, None)], true, no_time),
        (vec![at(true, 320 * S)], vec![PitVisit { superseded: true, ..visit(PitKind::START, Some(30 * S)) }], true, not_started),
    ] {
        let mut states = vec![state(0, 5 * S, SessionState::RACING)];
        states.extend(over.then(|| state(0, end_us, SessionState::CHECKERED)));
        let told = Told { states, cars: [vec![car(0, 0, 320 * S)], cars].concat(), pit_visits: visits, ..Told::default() };
        let classified = classification(&told.facts(&session("Open Qualify", 2, 0, end_us)));
        let row = classified.iter().find(|r| r.slot == 1).unwrap();
        assert_eq!((row.status, row.why), expected, "{told:?}");
    }
}

#[test]
fn pace_cars_and_spectators_are_not_in_the_result() {
    let mut info = session("Race", 4, 3, 0);
    let entries = &mut info.meta.as_mut().unwrap().entries;
    (entries[1].special, entries[2].special) = (1, 2);
    let mut told = race();
    told.cars.push(seen(car(2, 0, 100 * S)));
    let rows = classification(&told.facts(&info));
    assert_eq!(rows.iter().map(|r| (r.slot, r.laps, r.position)).collect::<Vec<_>>(), [(0, 3, 1), (3, 0, 2)]);
}

#[test]
fn only_the_disqualify_flag_disqualifies() {
    let two = |told: &mut Told| told.laps.extend((1..=3).map(|n| lap(1, n, LIGHT_US + i64::from(n - 1) * 61 * S, LIGHT_US + i64::from(n) * 61 * S)));
    let info = session("Race", 2, 3, 0);
    for (of_car, flags, out) in [
        (1, vec![(100, Flags::BLACK)], false),
        (1, vec![(100, Flags::DISQUALIFIED.with(Flags::BLACK))], true),
        // Taken back.
        (1, vec![(100, Flags::DISQUALIFIED), (150, Flags(0))], false),
        // The winner: the other one has won.
        (0, vec![(205, Flags::DISQUALIFIED)], true),
    ] {
        let mut told = race();
        two(&mut told);
        told.cars.push(car(1, 4, 230 * S));
        told.flags = flags.iter().map(|(at, to)| flag(of_car, at * S, *to)).collect();
        let rows = classification(&told.facts(&info));
        let row = rows.iter().find(|r| usize::from(r.slot) == of_car).unwrap();
        assert_eq!((row.status == Status::Disqualified, row.finished), (out, !out), "{flags:?}");
        assert_eq!(row.position, if out || of_car == 1 { 2 } else { 1 });
        assert_eq!((rows[0].laps_down, rows[0].gap_us), (0, Some(0)));
    }
    // Other clients report the flag of a car without a client.
    let mut told = race();
    told.cars.push(seen(CarNow { flags: Flags::DISQUALIFIED, ..car(1, 4, 230 * S) }));
    let rows = classification(&told.facts(&info));
    assert_eq!(rows[1].status, Status::Disqualified);
}

/// Ours rank 90.0004 behind 90.0003, the simulator the other way round; equal times say so.
#[test]
fn the_simulators_own_times_decide() {
    let info = session("Practice", 3, 0, 0);
    let timed = |n: usize, ours: i64, sim: Option<i64>| Lap { sim_time_us: sim, ..lap(n, 2, 100 * S + n as i64 * S, 100 * S + n as i64 * S + ours) };
    let laps = vec![timed(0, 90_000_300, Some(90_000_800)), timed(1, 90_000_900, Some(90_000_400)), timed(2, 90_000_800, None)];
    let rows = classification(&Facts::of(&info, &laps));
    let table: Vec<_> = rows.iter().map(|r| (r.slot, r.best_lap_us, r.tied)).collect();
    assert_eq!(table, [(1, Some(90_000_400), false), (0, Some(90_000_800), true), (2, Some(90_000_800), true)]);
    // The simulator's light is 10 ms before the first frame that shows it.
    let race = session("Race", 1, 1, 0);
    let first = Lap { sim_time_us: Some(60 * S + 10_000), ..lap(0, 1, LIGHT_US, LIGHT_US + 60 * S) };
    assert_eq!(classification(&Facts::of(&race, std::slice::from_ref(&first)))[0].total_us, Some(60 * S + 10_000));
    let odd = Lap { tags: first.tags.with(Tags::SIM_TIME_DIFFERS), ..first };
    assert_eq!(classification(&Facts::of(&race, &[odd]))[0].total_us, Some(60 * S));
}

#[test]
fn lap_1_of_a_race_is_no_fastest_lap() {
    let mut told = race();
    told.laps[0].time_us = 50 * S;
    let best = |told: &Told, limit: u32| classification(&told.facts(&session("Race", 1, limit, 0)))[0].best_lap;
    assert_eq!(best(&told, 3), Some(2));
    // A race of one lap has no other; nor has one that ended after one.
    told.laps.truncate(1);
    told.states[1].sim_time_us = 80 * S;
    assert_eq!(best(&told, 3), Some(1));
    told.states.truncate(1);
    assert_eq!(best(&told, 3), None, "it goes on");
    assert_eq!(best(&told, 1), Some(1));
    assert_eq!(told.laps[0].entry.as_str(), id(0).as_str());
}

/// Equal moments at the line are told.
#[test]
fn a_dead_heat_is_told() {
    let mut told = race();
    told.laps.extend(race().laps.into_iter().map(|l| Lap { entry: boxbox_schemas::EntryId(id(1)), slot: 1, ..l }));
    let rows = classification(&told.facts(&session("Race", 2, 3, 0)));
    assert_eq!(rows.iter().map(|r| (r.slot, r.position, r.tied)).collect::<Vec<_>>(), [(0, 1, true), (1, 2, true)]);
}
