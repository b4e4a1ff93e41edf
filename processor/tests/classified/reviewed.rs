//! Races in which cars are put elsewhere, and live orders of them; limits that change; starts from behind long formations.

use boxbox_race::timing::Standing;
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{Flags, Presence, SessionState};
use boxbox_sources::synth::{Action, Distance, Ending, Race, Spec, Start, Told, What};
use bytes::Bytes;

use crate::clients::LOST;
use crate::records::by_time;
use crate::shapes::{Shape, calm, driven, on_frames, rows};

/// The order that a reader is shown when the records up to `us` have come.
fn live(streams: &[Vec<(i64, Bytes)>], us: i64) -> Vec<Standing> {
    let until: Vec<Vec<(i64, Bytes)>> = streams.iter().map(|of| of.iter().filter(|(at, _)| *at <= us).cloned().collect()).collect();
    crate::viewed(&by_time(&until)).order(None)
}

/// A towed car, and a reset one, keeps its place until it is passed: also if it is put over the line.
#[test]
fn a_car_that_is_put_elsewhere_keeps_its_place_until_it_is_passed() {
    let mut problems = vec![];
    for what in [What::Tow, What::Reset, What::ActiveReset { back_m: 300.0 }] {
        for (car, at) in [(0, 0.3), (0, 0.7), (3, 0.3), (3, 0.6), (4, 0.5), (5, 0.8), (5, 0.2)] {
            for alone in [false, true] {
                let spec = calm(6, 5).with(car, 3, at, what);
                let shape = Shape { alone: if alone { vec![car] } else { vec![] }, observers: vec![(car + 1) % 6], ..Shape::of(spec) };
                let race = Race::new(&shape.spec);
                let truth = race.truth();
                let jump_us = truth.cars[car].jumps_us[0];
                let streams = shape.streams(&race, &|_, _| {});
                let length = shape.spec.circuit.length_m;
                let before = race.cars()[car].progress_m(jump_us - 20_000) / length;
                let jumped = race.cars()[car].progress_m(jump_us + 20_000) / length;
                for step in 1..14 {
                    let us = jump_us + step * 1_000_000;
                    // Until it has driven off from where it was put.
                    if (race.cars()[car].progress_m(us) / length - jumped).abs() > 1e-4 {
                        break;
                    }
                    let order = live(&streams, us);
                    let past = crate::viewed(&by_time(&streams)).order(Some(us));
                    for (name, order) in [("live", &order), ("past", &past)] {
                        let place = |slot: usize| order.iter().position(|s| usize::from(s.slot) == slot).unwrap();
                        for other in (0..6).filter(|o| *o != car) {
                            let theirs = race.cars()[other].progress_m(us) / length;
                            if (theirs - before).abs() < 0.12 {
                                continue;
                            }
                            if (place(other) < place(car)) != (theirs > before) {
                                problems.push(format!("{what:?} car {car} at {at} alone {alone} +{step} s {name}: car {other} at {theirs:.2}, it was at {before:.2} and is at {jumped:.2}"));
                            }
                        }
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}\n{}", problems.len(), problems[..problems.len().min(30)].join("\n"));
}

/// A car that is put over the line in the last lap, before the winner crosses it, has not won, and is behind all who drove over it.
#[test]
fn who_is_put_over_the_last_line_has_not_won() {
    let (mut tried, mut problems) = (0, vec![]);
    for what in [What::Tow, What::Reset] {
        for (car, at) in [(3, 0.3), (3, 0.5), (4, 0.2), (4, 0.6), (5, 0.4), (5, 0.7)] {
            for (told, cool) in [
                (Told::default(), 1.2),
                (Told::default(), 0.0),
                (Told { state_lag_us: None, flag_lag_us: Some(0) }, 1.2),
                (Told { state_lag_us: None, flag_lag_us: None }, 1.2),
            ] {
                for alone in [false, true] {
                    let ending = Ending { cool_down_laps: cool, ..Ending::default() };
                    let spec = Spec { ending, told: vec![told; 6], ..calm(6, 4) }.with(car, 4, at, what);
                    let shape = Shape { alone: if alone { vec![car] } else { vec![] }, observers: vec![0], ..Shape::of(spec) };
                    let race = Race::new(&shape.spec);
                    let truth = race.truth();
                    let winner = truth.cars.iter().filter_map(|c| c.passed.get(4).filter(|p| p.driven).map(|p| (p.at_us, c.slot))).min().unwrap();
                    if truth.cars[car].jumps_us[0] > winner.0 - 500_000 {
                        continue;
                    }
                    tried += 1;
                    let (told, _) = shape.told(|_, _| {});
                    let mut expected: Vec<(bool, i64, u16)> = truth.cars.iter().map(|c| (!c.passed[4].driven, c.passed[4].at_us, c.slot)).collect();
                    expected.sort();
                    let expected: Vec<(u16, u32)> = expected.iter().map(|(.., slot)| (*slot, 4)).collect();
                    let got: Vec<(u16, u32)> = told.iter().map(|c| (c.slot, c.laps)).collect();
                    if got != expected || told.iter().any(|c| c.gap_us.is_some_and(|us| us < 0)) {
                        problems.push(format!(
                            "{what:?} car {car} at {at} {:?} {cool} alone {alone}: {:?} expected {expected:?}; truth end {:?}",
                            shape.spec.told[0],
                            rows(&told),
                            truth.chequered_us
                        ));
                    }
                }
            }
        }
    }
    assert!(tried > 10, "{tried}");
    assert!(problems.is_empty(), "{} of {tried}\n{}", problems.len(), problems.join("\n"));
}

/// The clients are told other limits in mid-race.
#[test]
fn limits_that_change_in_mid_race() {
    let mut problems = vec![];
    let minute = 60_000_000;
    for (before, after) in
        [((8, 0), (4, 0)), ((3, 0), (5, 0)), ((0, 15 * minute), (4, 0)), ((9, 15 * minute), (4, 15 * minute)), ((2, 15 * minute), (4, 15 * minute))]
    {
        for told in [Told { state_lag_us: None, flag_lag_us: None }, Told { state_lag_us: None, flag_lag_us: Some(500_000) }, Told::default()] {
            // Some clients have left before, others come later.
            for lost in [vec![], vec![1, 2]] {
                let ending = Ending { cool_down_laps: 1.2, ..Ending::default() };
                let laps = if after.0 > 0 { after.0 } else { 4 };
                let spec = Spec { ending, told: vec![told; 7], distance: Distance::Laps(laps), ..calm(7, laps) };
                let spec = lost.iter().fold(spec, |spec, car| spec.with(*car, 1, 0.4, What::ClientLost));
                let shape = Shape { observers: vec![0, 5], ..Shape::of(spec) };
                let race = Race::new(&shape.spec);
                let mut streams = shape.streams(&race, &|_, action| {
                    if let Action::Meta(meta) = action {
                        (meta.laps_limit, meta.time_limit_us) = before;
                    }
                });
                // Every client that is there sends the new description in the second lap.
                let change_us = race.truth().cars[0].passed[1].at_us;
                for (n, of) in streams.iter_mut().enumerate() {
                    if lost.contains(&n) {
                        continue;
                    }
                    *of = shape.changed(&race, n, change_us, before, after);
                }
                let mut records = by_time(&streams);
                records.push(crate::shapes::close());
                let got = crate::classified(&records);
                let truth = race.truth();
                if rows(&got).iter().map(|r| (r.0, r.1)).collect::<Vec<_>>() != driven(&truth).iter().map(|r| (r.0, r.1)).collect::<Vec<_>>() {
                    problems.push(format!("{before:?} -> {after:?} {told:?} lost {lost:?}: {:?} {:?}", rows(&got), driven(&truth)));
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}\n{}", problems.len(), problems.join("\n"));
}

/// Long formations, cars that start from the pits, are reset into them at the light, or come late; by own clients and by others.
#[test]
fn starts_behind_a_formation() {
    let mut problems = vec![];
    for start in [Start::Standing, Start::Rolling] {
        for green_us in [3_000_000, 50_000_000, 95_000_000] {
            for seen in [false, true] {
                for waits in [SessionState::WARMUP, SessionState::PARADE] {
                    let ending = Ending { cool_down_laps: 1.2, ..Ending::default() };
                    let leaves_us = green_us + 4_000_000;
                    let spec = Spec { start, green_us, ending, ..calm(8, 3) }
                        .with(1, 1, 0.0, What::PitStart { from_us: 0, leaves_us })
                        .with(7, 1, 0.0, What::PitStart { from_us: 0, leaves_us: leaves_us + 1_000_000 })
                        .with(6, 1, 0.0, What::PitStart { from_us: green_us + 1_500_000, leaves_us: leaves_us + 3_000_000 })
                        .with(2, 1, 0.015, What::Reset)
                        .with(5, 1, 0.015, What::Reset);
                    let shape = Shape { alone: if seen { vec![1, 5, 7] } else { vec![] }, observers: vec![0, 4], ..Shape::of(spec) };
                    let (told, truth) = shape.told(on_frames(|_, f| {
                        if f.session_state < SessionState::RACING && f.presence.has(Presence::SESSION_STATE) {
                            f.session_state = waits;
                        }
                    }));
                    if rows(&told) != driven(&truth) {
                        problems.push(format!("{start:?} {green_us} seen {seen} {waits:?}:\n   {:?}\n   {:?}", rows(&told), driven(&truth)));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}\n{}", problems.len(), problems.join("\n"));
}

/// Limits alone decide, or what few clients tell; the time is over under a caution, or between two cautions.
#[test]
fn races_of_which_little_is_reported() {
    let mut problems = vec![];
    for distance in [
        Distance::Laps(4),
        Distance::Time(80_000_000),
        Distance::Both { laps: 4, time_us: 600_000_000 },
        Distance::Both { laps: 40, time_us: 80_000_000 },
    ] {
        // Which clients are told a state, and a flag.
        for (state, flag) in [(0, 0), (1, 0), (0, 1), (2, 3), (3, 2), (6, 0), (0, 6), (1, 6)] {
            for caution in [false, true] {
                for start in [Start::Standing, Start::Rolling] {
                    let told: Vec<Told> = (0..6)
                        .map(|n| Told { state_lag_us: (n < state).then_some(700_000), flag_lag_us: (n >= 6 - flag).then_some(400_000) })
                        .collect();
                    let ending = Ending { cool_down_laps: 1.2, ..Ending::default() };
                    let shape = Shape { observers: vec![2], ..Shape::of(Spec { distance, start, told, ending, ..calm(6, 4) }) };
                    let (told, truth) = shape.told(on_frames(|_, f| {
                        if caution && (60_000_000..95_000_000).contains(&f.sim_time_us) {
                            f.flags.set(Flags::CAUTION, true);
                            f.flags.set(Flags::GREEN, false);
                            f.flags_seen = f.flags;
                        }
                    }));
                    if rows(&told) != driven(&truth) {
                        problems.push(format!(
                            "{distance:?} state {state} flag {flag} caution {caution} {start:?}:\n   {:?}\n   {:?}",
                            rows(&told),
                            driven(&truth)
                        ));
                    }
                }
            }
        }
    }
    assert!(problems.is_empty(), "{}\n{}", problems.len(), problems.join("\n"));
}

/// An observer's simulator goes back, also over the line, and the event of that may be lost; its session time has slipped before, in what is
/// undone, and after (`rewind.lost`, `seen.rewind`, `clock.slip`).
#[test]
fn cars_that_an_observer_sees_go_back_with_it_though_the_event_is_lost() {
    for (lap, at, back_us) in [(2, 0.5, 3_000_000), (3, 0.06, 4_000_000), (3, 0.9, 6_000_000)] {
        for slips in [&[][..], &[(1, 0.4), (lap, at - 0.04), (lap, at - 0.02), (4, 0.5)]] {
            for lost in [false, true] {
                let ending = Ending { cool_down_laps: 1.2, ..Ending::default() };
                let spec = Spec { ending, ..calm(6, 5) }.with(1, lap, at, What::Flashback { back_us });
                let spec = slips.iter().fold(spec, |spec, (lap, at)| spec.with(1, *lap, *at, What::LostTick));
                let shape = Shape { alone: vec![0, 3, 5], observers: vec![1], ..Shape::of(spec) };
                let (told, truth) = shape.told(|_, action| {
                    if let Action::Event(EventCode::REWIND, tick, _) = action
                        && lost
                    {
                        *tick = LOST;
                    }
                });
                assert_eq!(rows(&told), driven(&truth), "{lap} {at} {slips:?} lost {lost}");
                for (told, driven) in told.iter().zip(&truth.classification) {
                    let off_us = told.finish_us.zip(driven.finish_us).map(|(a, b)| (a - b).abs());
                    assert!(off_us.is_some_and(|us| us < 12_000), "{lap} {at} {slips:?} lost {lost}: {told:?} {driven:?}");
                }
            }
        }
    }
}
