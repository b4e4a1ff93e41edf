//! Races of shapes that are not drawn: each is driven by the generator, told as it says here, and must come out as it was driven.

use boxbox_race::timing::Classified;
use boxbox_schemas::event::Closing;
use boxbox_schemas::frame::{CarFrame, Flags, Presence, SessionState};
use boxbox_schemas::stamp::closed;
use boxbox_sources::synth::{Action, Circuit, Class, Distance, Ending, Race, Session, Spec, Start, Told, Truth, What};
use bytes::Bytes;

use crate::clients::by_driver;
use crate::records::{Timed, by_time, source, tenant};

/// A race, and what its clients are.
pub struct Shape {
    pub spec: Spec,
    /// Cars without a client.
    pub alone: Vec<usize>,
    /// Cars whose client shows the others, at 4 Hz.
    pub observers: Vec<usize>,
    pub hz: u32,
    /// Drivers of a car (car, driver) whose client never runs.
    pub mute: Vec<(usize, usize)>,
    /// Drivers who do not drive keep their clients connected.
    pub stays: bool,
    /// Clients of cars that start at a moment, or are started again then, µs.
    pub joins: Vec<(usize, i64)>,
    pub restarts: Vec<(usize, i64)>,
    /// When all clients leave at the latest, µs.
    pub until_us: i64,
}

impl Shape {
    pub fn of(spec: Spec) -> Self {
        Self { spec, alone: vec![], observers: vec![], hz: 20, mute: vec![], stays: false, joins: vec![], restarts: vec![], until_us: i64::MAX }
    }

    /// The records of each driver; `change` is what a client shows instead: the car, the frame.
    pub fn streams(&self, race: &Race, change: &dyn Fn(usize, &mut Action)) -> Vec<Vec<Timed>> {
        let clients = (0..race.cars().len()).filter(|car| !self.alone.contains(car));
        clients.flat_map(|car| self.of_car(race, car, change)).collect()
    }

    fn of_car(&self, race: &Race, car: usize, change: &dyn Fn(usize, &mut Action)) -> Vec<Vec<Timed>> {
        let script = race.script(car, self.hz);
        let script = if self.observers.contains(&car) { script.with_field(4) } else { script };
        let due = |of: &[(usize, i64)]| of.iter().find(|(of, _)| *of == car).map(|(_, us)| *us);
        let (joins_us, mut restarts_us, mut now_us) = (due(&self.joins), due(&self.restarts), 0);
        let mut shown = vec![];
        for mut action in script.take_while(|action| action.at_us().is_none_or(|us| us <= self.until_us)) {
            now_us = action.at_us().unwrap_or(now_us);
            if !matches!(action, Action::Driver(_) | Action::Meta(_)) && joins_us.is_some_and(|us| now_us < us) {
                continue;
            }
            if restarts_us.take_if(|us| now_us >= *us).is_some() {
                shown.extend([Action::Restart, Action::Meta(race.meta(car))]);
            }
            change(car, &mut action);
            shown.push(action);
        }
        let mut of_driver = by_driver(race, car, shown, self.stays.then_some(self.hz));
        of_driver.retain(|driver, _| !self.mute.contains(&(car, *driver)));
        of_driver.into_values().collect()
    }

    /// What comes out, and the truth.
    pub fn told(&self, change: impl Fn(usize, &mut Action)) -> (Vec<Classified>, Truth) {
        let race = Race::new(&self.spec);
        let mut records = by_time(&self.streams(&race, &change));
        records.push(close());
        (crate::classified(&records), race.truth())
    }

    /// The records of the driver of `car`, whose description has other limits from `us` on: laps, and time in µs.
    pub fn changed(&self, race: &Race, car: usize, us: i64, before: (u32, i64), after: (u32, i64)) -> Vec<Timed> {
        let script = race.script(car, self.hz);
        let script = if self.observers.contains(&car) { script.with_field(4) } else { script };
        let (mut shown, mut changed) = (vec![], false);
        for mut action in script {
            if !changed && action.at_us().is_some_and(|at| at >= us) {
                changed = true;
                let mut meta = race.meta(car);
                (meta.laps_limit, meta.time_limit_us) = after;
                shown.push(Action::Meta(meta));
            }
            if let Action::Meta(meta) = &mut action {
                (meta.laps_limit, meta.time_limit_us) = if changed { after } else { before };
            }
            shown.push(action);
        }
        by_driver(race, car, shown, None).into_values().next().unwrap_or_default()
    }

    /// The same, with each client's records uploaded after the session was closed behind the client before.
    pub fn uploaded(&self) -> Vec<Classified> {
        let race = Race::new(&self.spec);
        let mut records = vec![];
        for stream in self.streams(&race, &|_, _| {}) {
            records.extend(stream.into_iter().map(|(_, record)| record));
            records.push(close());
        }
        crate::classified(&records)
    }
}

pub fn close() -> Bytes {
    closed(tenant(), source(), Closing::SILENCE, 1_800_000_000_000_000)
}

pub fn on_frames(change: impl Fn(usize, &mut CarFrame)) -> impl Fn(usize, &mut Action) {
    move |car, action| {
        if let Action::Frame(frame) = action {
            change(car, frame);
        }
    }
}

/// Slot, laps, status of each row.
pub fn rows(told: &[Classified]) -> Vec<(u16, u32, &'static str)> {
    told.iter().map(|c| (c.slot, c.laps, c.status.name())).collect()
}

/// What must come out of cars that all finish or are known to have retired.
pub fn driven(truth: &Truth) -> Vec<(u16, u32, &'static str)> {
    truth.classification.iter().map(|c| (c.slot, c.laps, if c.finished { "finished" } else { "retired" })).collect()
}

pub fn calm(cars: usize, laps: u32) -> Spec {
    Spec { cars, distance: Distance::Laps(laps), circuit: Circuit::new("Shape", 1_000.0, 3), ..Spec::calm(7) }
}

pub fn oval(start: Start, cars: usize) -> Spec {
    Spec { circuit: Circuit::new("Oval", 580.0, 11), start, classes: vec![Class::usual().remove(0)], ..calm(cars, 6) }
}

#[test]
fn a_field_longer_than_half_a_short_oval() {
    for start in [Start::Standing, Start::Rolling] {
        for (alone, observers) in [(vec![], vec![]), ((0..40).filter(|car| car % 2 == 1).collect(), vec![0, 38])] {
            let shape = Shape { alone, observers, ..Shape::of(oval(start, 40)) };
            let (told, truth) = shape.told(|_, _| {});
            assert_eq!(rows(&told), driven(&truth), "{start:?} {:?}", shape.observers);
        }
    }
}

/// No start lights at all, and state 4 comes with the green flag in one frame; clients of other cars are shown it a moment later.
#[test]
fn green_in_the_frame_of_the_state_without_a_light() {
    for start in [Start::Standing, Start::Rolling] {
        for late_us in [0, 400_000] {
            let spec = Spec { start, ending: Ending { cool_down_laps: 1.2, ..Ending::default() }, ..calm(8, 3) };
            let green_us = spec.green_us;
            let shape = Shape { alone: vec![5, 6], observers: vec![0, 3], ..Shape::of(spec) };
            let (told, truth) = shape.told(on_frames(|car, f| {
                let at = green_us + if car % 2 == 1 { late_us } else { 0 };
                for flag in [Flags::START_READY, Flags::START_SET, Flags::START_GO] {
                    f.flags.set(flag, false);
                    f.flags_seen.set(flag, false);
                }
                f.flags.set(Flags::GREEN, f.sim_time_us >= at && !f.flags.has(Flags::CHECKERED));
                f.flags_seen = f.flags;
                if f.session_state <= SessionState::RACING {
                    f.session_state = if f.sim_time_us >= at { SessionState::RACING } else { SessionState::PARADE };
                }
            }));
            assert_eq!(rows(&told), driven(&truth), "{start:?} {late_us}");
            assert!(told.iter().all(|c| c.total_us.is_some()), "{told:?}");
        }
    }
}

/// Two limits, and overtime beyond the laps.
#[test]
fn overtime_of_a_race_with_two_limits() {
    for (extra_laps, lag) in [(1, -1_200_000), (2, 0), (3, 4_000_000)] {
        let told = vec![Told { state_lag_us: Some(lag), flag_lag_us: Some(-5_000_000) }; 6];
        let distance = Distance::Both { laps: 3, time_us: 900_000_000 };
        let ending = Ending { extra_laps, cool_down_laps: 1.2, stopped_us: None };
        let shape = Shape { observers: vec![1], alone: vec![4], ..Shape::of(Spec { distance, told, ending, ..calm(6, 3) }) };
        let (told, truth) = shape.told(|_, _| {});
        assert_eq!(rows(&told), driven(&truth), "{extra_laps} {lag}");
    }
}

/// One client of five shows a chequered flag, and a state, in the middle of the race; it may also be the one of the leader.
#[test]
fn a_minority_that_reports_the_end_decides_nothing() {
    for who in 0..5 {
        let shape = Shape::of(Spec { ending: Ending { cool_down_laps: 1.2, ..Ending::default() }, ..calm(5, 4) });
        let (told, truth) = shape.told(on_frames(|car, f| {
            if car == who && f.sim_time_us > 40_000_000 {
                f.flags.set(Flags::CHECKERED, true);
                f.flags_seen.set(Flags::CHECKERED, true);
                f.session_state = SessionState::CHECKERED;
            }
        }));
        assert_eq!(rows(&told), driven(&truth), "{who}");
    }
}

/// Clients leave three seconds behind their own line, before most of them are told of the end.
#[test]
fn clients_that_leave_before_the_end_is_told() {
    for lag in [-1_000_000, 500_000, 2_000_000, 3_500_000] {
        for cars in [1, 2, 6] {
            let told = vec![Told { state_lag_us: Some(lag), flag_lag_us: Some(0) }; cars];
            let shape = Shape::of(Spec { told, ..calm(cars, 4) });
            let (told, truth) = shape.told(|_, _| {});
            assert_eq!(rows(&told), driven(&truth), "{lag} {cars}");
        }
    }
}

/// Two cars; one of the two is told early, the other one late.
#[test]
fn of_two_clients_the_later_decides() {
    for (early, late) in [(0, 1), (1, 0)] {
        let mut told = vec![Told { state_lag_us: Some(-4_500_000), flag_lag_us: Some(-5_500_000) }; 2];
        told[late] = Told { state_lag_us: Some(4_000_000), flag_lag_us: None };
        let ending = Ending { cool_down_laps: 1.2, ..Ending::default() };
        let shape = Shape::of(Spec { told, ending, ..calm(2, 4) });
        let (told, truth) = shape.told(|_, _| {});
        assert_eq!(rows(&told), driven(&truth), "early {early}");
    }
}

/// `clock.slip`: two cars finish within a few milliseconds, and the session time of the first of them has slipped; or that of the client that
/// sees them.
#[test]
fn cars_that_finish_close_together_are_in_the_order_in_which_they_finished() {
    let (mut tried, mut seen) = (0, 0);
    for seed in 1..20 {
        let spec = Spec { classes: vec![Class::usual().remove(0)], circuit: Circuit::new("Close", 700.0, seed), ..calm(24, 4) };
        let spec = Spec { seed, ..spec };
        let truth = Race::new(&spec).truth();
        let mut slips = spec.clone();
        for pair in truth.classification.windows(2) {
            let (Some(a), Some(b)) = (pair[0].finish_us, pair[1].finish_us) else { continue };
            if pair[0].laps == pair[1].laps && (3_000..45_000).contains(&(b - a)) {
                for at in [0.3, 0.5, 0.7] {
                    slips = slips.with(usize::from(pair[0].slot), 2, at, What::LostTick);
                }
                tried += 1;
            }
        }
        let shape = Shape { hz: 60, ..Shape::of(slips) };
        let (told, truth) = shape.told(|_, _| {});
        let orders: (Vec<u16>, Vec<u16>) = (told.iter().map(|c| c.slot).collect(), truth.classification.iter().map(|c| c.slot).collect());
        assert_eq!(orders.0, orders.1, "seed {seed}");
        // Cars that are seen by a client whose session time has slipped: to within the distance between two frames.
        let observer = usize::from(truth.classification[23].slot);
        let slips = [0.3, 0.5, 0.7].into_iter().fold(spec, |spec, at| spec.with(observer, 2, at, What::LostTick));
        let slips = Spec { ending: Ending { cool_down_laps: 0.5, ..Ending::default() }, ..slips };
        for n in 0..22 {
            let (ahead, behind) = (&truth.classification[n], &truth.classification[n + 1]);
            let apart_us = behind.finish_us.zip(ahead.finish_us).map(|(b, a)| b - a);
            if ahead.laps != behind.laps || !apart_us.is_some_and(|us| (20_000..45_000).contains(&us)) || seen == 6 {
                continue;
            }
            seen += 1;
            let shape = Shape { hz: 60, alone: vec![usize::from(ahead.slot)], observers: vec![observer], ..Shape::of(slips.clone()) };
            let (told, _) = shape.told(|_, _| {});
            let place = |slot: u16| told.iter().position(|c| c.slot == slot);
            assert!(place(ahead.slot) < place(behind.slot), "seed {seed}: {} {}", ahead.slot, behind.slot);
        }
    }
    assert!(seen >= 3, "{seen}");
    assert!(tried >= 10, "{tried}");
}

/// The driver who takes over has no client at all; the first one's stays, or is closed.
#[test]
fn a_second_driver_without_a_client() {
    for stays in [true, false] {
        for observers in [vec![1], vec![]] {
            let spec = calm(4, 6).with(0, 2, 0.0, What::Swap).with(0, 4, 0.0, What::Swap);
            let shape = Shape { stays, observers, mute: vec![(0, 1)], ..Shape::of(spec) };
            let (told, truth) = shape.told(|_, _| {});
            assert_eq!(rows(&told), driven(&truth), "{stays} {:?}", shape.observers);
        }
    }
}

/// Each client uploads its recording after the session was closed by silence.
#[test]
fn recordings_that_are_uploaded_one_by_one() {
    let spec = Spec { ending: Ending { cool_down_laps: 0.5, ..Ending::default() }, ..calm(6, 4) }
        .with(0, 2, 0.0, What::Swap)
        .with(0, 3, 0.0, What::Swap)
        .with(3, 2, 0.4, What::Retire);
    for observers in [vec![], vec![5]] {
        let shape = Shape { observers, ..Shape::of(spec.clone()) };
        let (told, truth) = shape.told(|_, _| {});
        assert_eq!(rows(&told), driven(&truth));
        assert_eq!(shape.uploaded(), told);
    }
}

/// The last lap has no time: a tow over the line, after the winner's crossing, that the simulator counts.
#[test]
fn a_last_lap_that_ends_under_tow() {
    let mut tried = [0; 2];
    for (own, what) in [(true, What::Tow), (true, What::Reset), (false, What::Tow)] {
        // The stall of the last cars lies beyond the line.
        for (car, at) in [(0, 0.7), (0, 0.9), (5, 0.2), (5, 0.5), (5, 0.8), (5, 0.9)] {
            let ending = Ending { cool_down_laps: 1.2, ..Ending::default() };
            let spec = Spec { ending, ..calm(6, 4) }.with(car, 1, 0.0, What::Pit { fuel_l: 80.0, tyres: false }).with(car, 3, at, what);
            let alone = if own { vec![] } else { vec![car] };
            let shape = Shape { alone, observers: vec![2], ..Shape::of(spec) };
            let race = Race::new(&shape.spec);
            let truth = race.truth();
            let end_us = truth.chequered_us.unwrap();
            let c = &truth.cars[car];
            let Some(last) = c.passed.iter().skip(1).position(|p| p.at_us >= end_us).map(|n| n + 1) else { continue };
            if c.jumps_us[0] < end_us - 1_000_000 {
                continue;
            }
            tried[usize::from(c.passed[last].driven)] += 1;
            let (told, _) = shape.told(|_, _| {});
            let row = told.iter().find(|r| usize::from(r.slot) == car).unwrap();
            assert_eq!((row.laps, row.status.name()), (last as u32, "finished"), "{own} {what:?} {car} {at} {:?} {end_us}", c.passed);
        }
    }
    assert!(tried.iter().all(|n| *n > 0), "{tried:?}");
}

/// A "last lap" of -1 refuses the lap, of a car with its own client and of one that only others see.
#[test]
fn a_refused_lap_is_no_pole() {
    for own in [true, false] {
        let spec = Spec {
            session: Session::Qualifying { counted_laps: 0 },
            distance: Distance::Time(150_000_000),
            green_us: 0,
            ending: Ending { cool_down_laps: 0.5, ..Ending::default() },
            ..calm(4, 4)
        };
        let spec = (0..4).fold(spec, |spec, car| spec.with(car, 1, 0.0, What::PitStart { from_us: 0, leaves_us: 2_000_000 + 500_000 * car as i64 }));
        let truth = Race::new(&spec).truth();
        let best = |n: usize, without: Option<u32>| {
            let laps = truth.cars[n].laps.iter().filter(|l| l.reasons.is_empty() && l.timed && Some(l.number) != without);
            laps.filter(|l| l.start_us < truth.chequered_us.unwrap()).map(|l| (l.time_us(), l.number)).min()
        };
        let (_, refused) = best(1, None).unwrap();
        let shape = Shape { alone: if own { vec![] } else { vec![1] }, observers: vec![0], ..Shape::of(spec) };
        let (told, _) = shape.told(|car, action| match action {
            Action::Frame(f) if car == 1 && i32::from(f.laps_completed) == refused as i32 => {
                f.last_lap_time_us = -1;
                f.presence.set(Presence::LAST_LAP_TIME, true);
            }
            Action::Field(f) if f.slot == 1 && i32::from(f.laps_completed) == refused as i32 => {
                f.last_lap_time_us = -1;
                f.bits.set(boxbox_schemas::field::FieldBits::LAST_LAP_TIME, true);
            }
            _ => {}
        });
        let row = told.iter().find(|c| c.slot == 1).unwrap();
        assert_eq!(row.best_lap, best(1, Some(refused)).map(|(_, n)| n), "{own}: {row:?} {:?}", truth.cars[1].laps);
    }
}

/// Between the light and the line from which lap 1 counts: a client starts there, or is started again there. Counters show 1/0 on both sides of
/// that line, or 0/-1 behind it.
#[test]
fn clients_that_begin_between_the_light_and_the_line() {
    for (start, counts_behind) in [(Start::Standing, false), (Start::Rolling, false), (Start::Standing, true), (Start::Rolling, true)] {
        for (car, from_us, restarts) in [(30, 6_000_000, false), (30, 6_000_000, true), (39, 9_000_000, false), (39, 5_500_000, true)] {
            let spec = Spec { ending: Ending { cool_down_laps: 0.8, ..Ending::default() }, ..oval(start, 40) };
            let race = Race::new(&spec);
            let truth = race.truth();
            let line_us: Vec<i64> = truth.cars.iter().map(|c| c.passed[0].at_us).collect();
            if line_us[car] < from_us + 500_000 {
                continue;
            }
            let mut shape = Shape { observers: vec![0, car], alone: vec![20, 35], ..Shape::of(spec) };
            (if restarts { &mut shape.restarts } else { &mut shape.joins }).push((car, from_us));
            let (told, _) = shape.told(|own, action| {
                let behind = |slot: usize, us: i64| counts_behind && us < line_us[slot];
                match action {
                    Action::Frame(f) if behind(own, f.sim_time_us) => (f.lap, f.laps_completed) = (0, -1),
                    Action::Field(f) if behind(usize::from(f.slot), f.sim_time_us) => (f.lap, f.laps_completed) = (0, -1),
                    _ => {}
                }
            });
            assert_eq!(rows(&told), driven(&truth), "{start:?} {counts_behind} {car} {from_us} {restarts}");
        }
    }
}

/// A car that changes drivers, and has no client at all: others see it.
#[test]
fn drivers_take_turns_in_a_car_that_only_others_see() {
    for seed in 1..4 {
        let spec = Spec { ending: Ending { cool_down_laps: 1.2, ..Ending::default() }, seed, ..calm(6, 5) };
        let spec = [1, 2, 3].into_iter().fold(spec, |spec, lap| spec.with(0, lap, 0.0, What::Swap)).with(1, 2, 0.0, What::Swap);
        let shape = Shape { alone: vec![0], observers: vec![1, 4], mute: vec![(1, 1)], ..Shape::of(spec) };
        let (told, truth) = shape.told(|_, _| {});
        assert_eq!(rows(&told), driven(&truth), "{seed}");
    }
}

/// The client of a car leaves as soon as its last lap, which has no time, is counted.
#[test]
fn a_client_that_leaves_right_behind_a_last_lap_without_a_time() {
    let mut tried = 0;
    for (what, car, at) in [
        (What::Tow, 0, 0.7),
        (What::Reset, 0, 0.8),
        (What::ActiveReset { back_m: 200.0 }, 0, 0.7),
        (What::Cut { by_m: 60.0 }, 5, 0.6),
        (What::Tow, 5, 0.5),
    ] {
        let spec = calm(6, 4).with(car, 1, 0.0, What::Pit { fuel_l: 80.0, tyres: false }).with(car, 3, at, what);
        let truth = Race::new(&spec).truth();
        let end_us = truth.chequered_us.unwrap();
        let c = &truth.cars[car];
        let Some(last) = c.passed.iter().skip(1).position(|p| p.at_us >= end_us).map(|n| n + 1) else { continue };
        if (c.jumps_us[0] - end_us).abs() < 500_000 || !c.passed[last].driven && c.jumps_us[0] < end_us {
            continue;
        }
        tried += 1;
        let (told, _) = Shape::of(spec).told(|_, _| {});
        let row = told.iter().find(|r| usize::from(r.slot) == car).unwrap();
        assert_eq!((row.laps, row.status.name()), (last as u32, "finished"), "{what:?} {car} {at} {:?} {end_us}", c.passed);
    }
    assert!(tried >= 3, "{tried}");
}

/// The winner of the road is disqualified on its last lap: it is last, and the gaps of the others are to the second.
#[test]
fn a_disqualified_leader_is_last_and_the_second_wins() {
    let spec = Spec { ending: Ending { cool_down_laps: 1.2, ..Ending::default() }, ..calm(6, 4) }.with(0, 4, 0.5, What::Disqualify);
    for alone in [vec![], vec![0]] {
        let shape = Shape { alone, observers: vec![3], ..Shape::of(spec.clone()) };
        let (told, truth) = shape.told(|_, _| {});
        let order: Vec<u16> = truth.classification.iter().map(|c| c.slot).filter(|slot| *slot != 0).chain([0]).collect();
        assert_eq!(told.iter().map(|c| c.slot).collect::<Vec<_>>(), order);
        assert_eq!((told[5].status.name(), told[5].laps, told[5].gap_us), ("disqualified", 4, None));
        assert!(told[0].gap_us == Some(0) && told.windows(2).all(|w| w[0].gap_us <= w[1].gap_us || w[1].gap_us.is_none()), "{told:?}");
    }
}

/// Equal times by the simulator: the one that was set first is ahead, and both say that they are tied.
#[test]
fn equal_times_of_the_simulator_are_in_the_order_in_which_they_were_set() {
    let spec = Spec {
        session: Session::Qualifying { counted_laps: 0 },
        distance: Distance::Time(110_000_000),
        green_us: 0,
        ending: Ending { cool_down_laps: 0.5, ..Ending::default() },
        classes: vec![Class::usual().remove(0)],
        ..calm(4, 4)
    };
    let leaves = [9_000_000, 3_000_000, 6_000_000, 1_000_000];
    let spec = (0..4).fold(spec, |spec, car| spec.with(car, 1, 0.0, What::PitStart { from_us: 0, leaves_us: leaves[car] }));
    let (told, truth) = Shape::of(spec).told(|_, action| {
        if let Action::Frame(f) = action
            && f.last_lap_time_us > 0
        {
            // To 10 ms and less than a lap is long: the simulator gives all the same time.
            f.last_lap_time_us = 27_000_000 + i64::from(f.laps_completed) * 1_000;
        }
    });
    let first = |slot: u16| truth.cars[usize::from(slot)].laps.iter().find(|l| l.reasons.is_empty()).map(|l| (l.number, l.end_us)).unwrap();
    let mut expected: Vec<(u32, i64, u16)> = (0..4).map(|slot| (first(slot).0, first(slot).1, slot)).collect();
    expected.sort();
    assert_eq!(told.iter().map(|c| c.slot).collect::<Vec<_>>(), expected.iter().map(|e| e.2).collect::<Vec<_>>(), "{expected:?} {told:?}");
    let tied = |c: &Classified| told.iter().filter(|o| o.best_lap_us == c.best_lap_us).count() > 1;
    assert!(told.iter().all(|c| c.tied == tied(c)), "{told:?}");
}

/// Laps 1 and 2 of a race with a stop in every later lap: lap 1 is the fastest, and is no best lap; in a race of one lap it is.
#[test]
fn lap_1_is_the_fastest_and_wins_nothing() {
    let stops = (2..=4).fold(calm(3, 4), |spec, lap| (0..3).fold(spec, |spec, car| spec.with(car, lap, 0.0, What::DriveThrough)));
    let (told, _) = Shape::of(stops.clone()).told(|_, _| {});
    assert!(told.iter().all(|c| c.best_lap != Some(1)), "{told:?}");
    for distance in [Distance::Laps(1), Distance::Time(1_000_000), Distance::Both { laps: 1, time_us: 600_000_000 }] {
        let (told, truth) = Shape::of(Spec { distance, ..calm(3, 1) }).told(|_, _| {});
        assert_eq!(rows(&told), driven(&truth));
        assert!(told.iter().all(|c| c.laps == 1 && c.best_lap == Some(1)), "{distance:?} {told:?}");
    }
}

/// A red flag, or an admin, ends the race in mid-lap, and all drive on over the line: by laps, by time, by both.
#[test]
fn a_race_that_is_stopped_stands_though_cars_drive_on() {
    let (laps, time_us) = (9, 400_000_000);
    for distance in [Distance::Laps(laps), Distance::Time(time_us), Distance::Both { laps, time_us }] {
        for at in [0.3, 0.5, 0.7] {
            let ending = Ending { cool_down_laps: 0.5, ..Ending::default() };
            let spec = Spec { ending, distance, ..calm(6, 9) }.with(4, 1, 0.2, What::Slow);
            let truth = Race::new(&spec).truth();
            let leader = truth.cars.iter().map(|c| (c.passed[3].at_us, c.passed[4].at_us)).min().unwrap();
            let end_us = leader.0 + ((leader.1 - leader.0) as f64 * at) as i64;
            // Clients leave a while after it.
            let until_us = end_us + 60_000_000;
            let shape = Shape { until_us, ..Shape::of(spec) };
            let (told, _) = shape.told(on_frames(|_, f| {
                if f.sim_time_us >= end_us {
                    f.session_state = SessionState::CHECKERED;
                    f.flags.set(Flags::CHECKERED, true);
                    f.flags_seen.set(Flags::CHECKERED, true);
                }
            }));
            let laps = |c: &boxbox_sources::synth::CarTruth| c.passed.iter().skip(1).filter(|p| p.at_us < end_us).count();
            let mut expected: Vec<(usize, i64, u16)> = truth.cars.iter().map(|c| (laps(c), c.passed[laps(c)].at_us, c.slot)).collect();
            expected.sort_by_key(|(laps, at, _)| (std::cmp::Reverse(*laps), *at));
            let expected: Vec<_> = expected.iter().map(|(laps, _, slot)| (*slot, *laps as u32, "finished")).collect();
            assert_eq!(rows(&told), expected, "{distance:?} {at}");
        }
    }
}
