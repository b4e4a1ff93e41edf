//! The truth holds together, frames are physically possible and belong to it, one seed is one race.

use boxbox_schemas::check;
use boxbox_schemas::frame::{CarFrame, Flags, TrackLoc};
use boxbox_schemas::results::LOOPS;
use proptest::prelude::*;

use super::*;

fn races() -> impl Strategy<Value = Spec> {
    let script = prop::collection::vec((0usize..6, 1u32..6, 0.05..0.95f64, whats()), 0..5);
    (any::<u64>(), 1usize..7, 1u32..6, any::<bool>(), 0u32..3, script).prop_map(|(seed, cars, laps, rolling, stops, script)| Spec {
        cars,
        stops,
        trouble: 0.5,
        distance: if seed % 5 == 0 { Distance::Time(60_000_000) } else { Distance::Laps(laps) },
        start: if rolling { Start::Rolling } else { Start::Standing },
        green_us: 4_000_000 + (seed % 1_000_000) as i64,
        script: script.into_iter().map(|(car, lap, at, what)| Incident { car, lap, at, what }).collect(),
        ..Spec::new(seed)
    })
}

fn whats() -> impl Strategy<Value = What> {
    prop_oneof![
        (5.0..30.0f64, any::<bool>()).prop_map(|(fuel_l, tyres)| What::Pit { fuel_l, tyres }),
        Just(What::DriveThrough),
        Just(What::OffTrack),
        Just(What::Spin),
        Just(What::Contact),
        Just(What::Tow),
        Just(What::Reset),
        (1_000_000i64..9_000_000).prop_map(|back_us| What::Flashback { back_us }),
        Just(What::Swap),
        (500_000i64..9_000_000).prop_map(|away_us| What::Disconnect { away_us }),
        (500_000i64..9_000_000).prop_map(|away_us| What::Restart { away_us }),
        Just(What::Retire),
        Just(What::Slow),
    ]
}

fn frames(race: &Race, car: usize, hz: u32) -> Vec<CarFrame> {
    race.script(car, hz).filter_map(|a| if let Action::Frame(f) = a { Some(f) } else { None }).collect()
}

fn accepted(frame: &CarFrame) -> bool {
    let bytes = rkyv::to_bytes::<rkyv::rancor::Error>(frame).unwrap();
    check::car_bytes(&bytes).is_ok()
}

fn possible(spec: &Spec) -> Result<(), TestCaseError> {
    let race = Race::new(spec);
    let truth = race.truth();
    let length = spec.circuit.length_m;
    for car in 0..spec.cars {
        let mut before: Option<CarFrame> = None;
        let mut shows_count = 0;
        for action in race.script(car, 60) {
            let frame = match action {
                Action::Event(..) | Action::Driver(_) | Action::Restart => {
                    before = None;
                    continue;
                }
                Action::Frame(frame) => frame,
                _ => continue,
            };
            prop_assert!(accepted(&frame), "{frame:?}");
            if frame.track_loc == TrackLoc::NOT_IN_WORLD {
                continue;
            }
            if let Some(last) = before {
                let dt = (frame.sim_time_us - last.sim_time_us) as f64 / 1e6;
                prop_assert!(frame.tick == last.tick + 1 && dt > 0.0);
                let d = frame.lap_pct - last.lap_pct;
                let driven = (d - d.round()) * length;
                let v = f64::from(last.speed_mps.max(frame.speed_mps));
                prop_assert!(driven >= -1e-9 && driven <= v * dt + 0.01, "{driven} m in {dt} s at {v} m/s");
                prop_assert!(f64::from((frame.speed_mps - last.speed_mps).abs()) <= 17.0 * dt + 1e-3);
            }
            shows_count = shows_count.max(frame.incident_count);
            before = Some(frame);
        }
        let undone = truth.cars[car].jumps_us.len();
        let points: u16 = truth.cars[car].incidents.iter().map(|i| i.points).sum();
        prop_assert!(shows_count >= points && (undone > 0 || shows_count == points), "{shows_count} {points}");
    }
    Ok(())
}

/// A flashback into a braking zone, after which the car drives a little slower than before.
#[test]
fn frames_after_a_flashback_are_possible() {
    for (seed, lap, at, back_us, laps) in
        [(2_431_579_729_272_917_406, 3, 0.7846539451515936, 4_907_945, Some(4)), (0, 1, 0.7751837096189858, 1_698_218, None)]
    {
        let script = vec![Incident { car: 0, lap, at, what: What::Flashback { back_us } }];
        let distance = laps.map_or(Distance::Time(60_000_000), Distance::Laps);
        let spec = Spec {
            cars: 1,
            stops: 0,
            trouble: 0.5,
            distance,
            start: Start::Standing,
            green_us: 4_000_000 + (seed % 1_000_000) as i64,
            script,
            ..Spec::new(seed)
        };
        possible(&spec).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_truth_holds_together(spec in races()) {
        let race = Race::new(&spec);
        let truth = race.truth();
        prop_assert_eq!(truth.cars.len(), spec.cars);
        for (index, car) in truth.cars.iter().enumerate() {
            let lines: Vec<i64> = car.lines_us.iter().flatten().copied().collect();
            prop_assert!(lines.windows(2).all(|w| w[0] < w[1]), "{lines:?}");
            for lap in &car.laps {
                if lap.timed {
                    prop_assert_eq!(lap.sectors_us.iter().sum::<i64>(), lap.time_us());
                    prop_assert_eq!(lap.sectors_us.len(), spec.circuit.sector_starts.len());
                    prop_assert!(lap.sectors_us.iter().all(|s| *s > 0));
                    prop_assert_eq!(lap.loops_us.len(), LOOPS);
                    prop_assert!(lap.loops_us.windows(2).all(|w| w[0] < w[1]) && lap.loops_us[LOOPS - 1] == lap.time_us());
                }
                prop_assert_eq!(car.lines_us[lap.number as usize], Some(lap.end_us));
                // Where the truth says that the car is on the line, it is.
                let at = race.time_at(index, f64::from(lap.number)).unwrap();
                prop_assert!((race.laps_driven(index, at) - f64::from(lap.number)).abs() < 1e-9);
                prop_assert!((at * 1e6 - lap.end_us as f64).abs() <= 0.5 + 1e-3);
                prop_assert!(lap.place >= lap.class_place && lap.class_place >= 1);
            }
            for visit in &car.visits {
                prop_assert!(visit.exit_us.is_none_or(|exit| exit - visit.enter_us >= visit.stationary_us));
            }
        }
        let order: Vec<_> = truth.classification.iter().map(|c| (std::cmp::Reverse(c.laps), c.finish_us.unwrap_or(i64::MAX))).collect();
        prop_assert!(order.is_sorted());
        prop_assert!(truth.classification.iter().all(|c| !c.finished || c.finish_us >= truth.chequered_us));
    }

    #[test]
    fn frames_are_possible_and_the_truth_is_in_them(spec in races()) {
        possible(&spec)?;
    }

    /// Sampled less often nothing that pulses is lost, and a skipped tick is all that differs.
    #[test]
    fn pulses_survive_sampling(spec in races(), hz in prop::sample::select(vec![30u32, 20, 10])) {
        let race = Race::new(&spec);
        let seen = |hz: u32| {
            let sent = frames(&race, 0, hz);
            let reports: u32 = sent.iter().map(|f| u32::from(f.incident_reports)).sum();
            (reports, sent.iter().any(|f| f.flags_seen.has(Flags::START_GO)))
        };
        let (reports, go) = seen(60);
        let (less, same) = seen(hz);
        // What pulses after the last frame that is sent is not.
        prop_assert!(less <= reports && less + 1 >= reports && go == same);
    }

    #[test]
    fn one_seed_is_one_race(seed: u64) {
        let bytes = |seed| {
            let race = Race::new(&Spec { cars: 3, distance: Distance::Laps(2), ..Spec::new(seed) });
            (0..3).flat_map(|car| race.script(car, 10).collect::<Vec<_>>()).collect::<Vec<_>>()
        };
        let (a, b, other) = (bytes(seed), bytes(seed), bytes(seed ^ 1));
        prop_assert!(a == b);
        prop_assert!(a != other);
    }

    #[test]
    fn a_chart_is_driven_to_the_microsecond(laps in prop::collection::vec(20_000_000i64..400_000_000, 1..12), first in 10_000_000i64..200_000_000) {
        let crossings_us: Vec<i64> = std::iter::once(first).chain(laps.iter().scan(first, |t, lap| { *t += lap; Some(*t) })).collect();
        let car = ChartCar {
            number: "7".into(),
            driver: boxbox_schemas::DriverId::new("d").unwrap(),
            crossings_us: crossings_us.clone(),
            first_lap: 1,
            pitted: vec![],
        };
        let race = Race::from_chart(Circuit::new("", 1_400.0, 1), None, vec![car]);
        let truth = race.truth();
        prop_assert_eq!(truth.cars[0].laps.iter().map(|l| l.time_us()).collect::<Vec<_>>(), laps);
        prop_assert_eq!(truth.cars[0].lines_us.iter().flatten().copied().collect::<Vec<_>>(), crossings_us);
        let forward = |w: &[CarFrame]| w[1].lap_pct - w[0].lap_pct - (w[1].lap_pct - w[0].lap_pct).round() >= 0.0;
        prop_assert!(frames(&race, 0, 60)[1..].windows(2).all(forward), "a car drove backwards");
    }
}

/// Counters lag and flicker as those of iRacing.
#[test]
fn counters_lag_and_flicker() {
    let race = Race::new(&Spec { cars: 2, distance: Distance::Laps(3), ..Spec::calm(5) });
    let truth = race.truth();
    let all = frames(&race, 0, 60);
    assert!(all[0].track_loc == TrackLoc::NOT_IN_WORLD && all[0].lap == 0, "the first sample is blank");
    let mut laps: Vec<i16> = all.iter().map(|f| f.lap).collect();
    laps.dedup();
    assert_eq!(laps, [0, 1, 2, 1, 2, 3, 4]);
    for lap in &truth.cars[0].laps {
        let report = all.iter().find(|f| i32::from(f.laps_completed) == lap.number as i32);
        if let Some(report) = report {
            let lag = report.sim_time_us - lap.end_us;
            assert!((500_000..2_250_000).contains(&lag), "{lag}");
            assert!((report.last_lap_time_us - lap.time_us()).abs() <= 51, "{} {}", report.last_lap_time_us, lap.time_us());
        }
    }
    let light = all.iter().find(|f| f.flags.has(Flags::START_GO)).unwrap();
    let racing = all.iter().find(|f| f.session_state == boxbox_schemas::frame::SessionState::RACING).unwrap();
    assert!((1_000_000..1_200_000).contains(&(racing.sim_time_us - light.sim_time_us)));
}

/// The other cars as one client sees them: at the same places at the same ticks.
#[test]
fn the_field_is_where_its_cars_are() {
    let race = Race::new(&Spec { cars: 5, distance: Distance::Laps(2), ..Spec::new(9) });
    let own: Vec<Vec<CarFrame>> = (0..5).map(|car| frames(&race, car, 60)).collect();
    let mut seen = 0;
    for f in race.field(2, 4) {
        assert_ne!(f.slot, 2);
        assert_eq!(f.tick % 15, 0);
        if let Some(frame) = own[usize::from(f.slot)].iter().find(|o| o.tick == f.tick) {
            assert!((f64::from(f.lap_pct) - frame.lap_pct).abs() < 1e-6);
            seen += 1;
        }
    }
    assert!(seen > 500, "{seen}");
}

/// What a default race looks like: laps of a plausible length, cars that stop, a leader that is not always the same.
#[test]
fn a_default_race_is_one() {
    let spec = Spec::new(1);
    let race = Race::new(&spec);
    let truth = race.truth();
    for car in &truth.cars {
        let laps: Vec<String> = car.laps.iter().map(|l| format!("{:.3}{}", l.time_us() as f64 / 1e6, if l.timed { "" } else { "!" })).collect();
        let class = &race.cars()[usize::from(car.slot)].class.name;
        println!("{:3} {class} {} incidents {} visits {}", car.slot, laps.join(" "), car.incidents.len(), car.visits.len());
    }
    println!("green {:?} flag {:?} until {}", truth.green_us, truth.chequered_us, race.until_us());
    let laps: Vec<i64> =
        truth.cars.iter().flat_map(|c| &c.laps).filter(|l| l.timed && l.reasons.is_empty() && l.number > 1).map(|l| l.time_us()).collect();
    assert!(laps.iter().all(|us| (20_000_000..60_000_000).contains(us)), "{laps:?}");
    assert!(truth.cars.iter().filter(|c| c.visits.iter().any(|v| v.stationary_us > 3_000_000)).count() >= 20);
}
