//! Mini-loops, fuel, flags, and where a car is now.

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_race::stream::Claim;
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{LOOPS, Tags};
use common::Rig;
use common::synth::{Car, LENGTH_M, Leg, blank, practice, put, race, within};
use proptest::prelude::*;

fn us(s: f64) -> i64 {
    (s * 1e6).round() as i64
}

/// 50 m/s from 1 km on: lines at 40, 100, 160 s; a mini-loop every 3 s.
fn steady() -> Car {
    Car::driving(Leg { from_s: 0.0, at_m: 1_000.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 })
}

fn fed(meta: &SessionMeta, frames: &[CarFrame]) -> Rig {
    let mut rig = Rig::new(meta);
    rig.frames(frames);
    rig.end();
    rig
}

fn every_3_s() -> Vec<i64> {
    (1..LOOPS as i64).map(|k| k * 3_000_000).collect()
}

// ---- mini-loops -------------------------------------------------------------------------------------------------

#[test]
fn loops_of_a_steady_lap() {
    for hz in [60, 20, 10, 4] {
        for lap in fed(&practice(), &steady().frames(0.0, 170.0, hz)).laps() {
            assert!(lap.loops_us.iter().zip(every_3_s()).all(|(a, b)| (a - b).abs() <= 1), "{hz} Hz {:?}", lap.loops_us);
            assert_eq!(lap.loops_us.len(), LOOPS - 1);
        }
    }
}

#[test]
fn loops_under_a_gap_or_a_blank_are_not_known() {
    let unknown = |frames: &[CarFrame]| {
        let lap = fed(&practice(), frames).lap(2);
        assert_eq!(lap.loops_us.len(), LOOPS - 1);
        (1i64..)
            .zip(lap.loops_us)
            .filter_map(|(k, us)| if us < 0 { Some(k) } else { ((us - k * 3_000_000).abs() > 1).then_some(-k) })
            .collect::<Vec<_>>()
    };
    let frames = steady().frames(0.0, 110.0, 60);
    assert_eq!(unknown(&frames), [] as [i64; 0]);
    // Mini-loops 4, 5 are at 52 and 55 s.
    let without = |from: f64, to: f64| frames.iter().copied().filter(|f| !(us(from)..us(to)).contains(&f.sim_time_us)).collect::<Vec<_>>();
    assert_eq!(unknown(&without(51.0, 56.0)), [4, 5]);
    assert_eq!(unknown(&without(51.7, 52.5)), [] as [i64; 0], "a moment is interpolated");
    let mut blanked = frames.clone();
    within(&mut blanked, 51.99, 52.01, |f| *f = blank(*f));
    assert_eq!(unknown(&blanked), [4]);
}

#[test]
fn loops_of_a_lap_with_none_known_are_empty() {
    let mut frames = steady().frames(0.0, 110.0, 60);
    frames.retain(|f| f.sim_time_us < us(41.0) || f.sim_time_us > us(99.0));
    frames.iter_mut().for_each(|f| f.lap = if f.sim_time_us < us(41.0) { 1 } else { 2 });
    let rig = fed(&practice(), &frames);
    assert!(rig.laps().iter().all(|l| l.loops_us.is_empty() || l.loops_us.iter().any(|us| *us >= 0)));
}

#[test]
fn a_rewind_takes_loops_back() {
    let car = steady();
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 70.0, 60));
    assert_eq!(rig.race.now(&rig.ctx).unwrap().loops_us.len(), 10 - 1);
    rig.event(EventCode::REWIND, 60 * 60, us(60.0));
    assert_eq!(rig.race.now(&rig.ctx).unwrap().loops_us.len(), 6);
    // Slower this time: 25 m/s from 60 s on.
    let mut again = car.clone();
    again.then(60.0, 25.0, 0.0, 1.0);
    rig.frames(&again.frames(60.0, 150.0, 60));
    let expected: Vec<i64> = (1..LOOPS as i64).map(|k| if k <= 6 { k * 3_000_000 } else { 20_000_000 + (k * 3 - 20) * 2_000_000 }).collect();
    assert!(rig.lap(2).loops_us.iter().zip(&expected).all(|(a, b)| (a - b).abs() <= 1), "{:?}", rig.lap(2).loops_us);
}

#[test]
fn loops_of_race_lap_1_are_after_the_line() {
    let mut car = Car::driving(Leg { from_s: 0.0, at_m: -26.0, mean_mps: 0.0, swing_m: 0.0, omega: 1.0 });
    car.then(21.0, 50.0, 0.0, 1.0);
    let mut frames = car.frames(0.0, 90.0, 60);
    within(&mut frames, 0.0, 22.1, |f| (f.lap, f.laps_completed) = (0, -1));
    within(&mut frames, 20.0, 25.0, |f| (f.flags, f.flags_seen) = (Flags::START_GO, Flags::START_GO));
    let lap = fed(&race(), &frames).lap(1);
    assert!(lap.tags.has(Tags::FIRST_LAP));
    // From the light at 20 s: 1 s, then 26 m to the line.
    assert!(lap.loops_us.iter().zip(every_3_s()).all(|(a, b)| (a - b - 1_520_000).abs() <= 1), "{:?}", lap.loops_us);
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// `loop.time`: each mini-loop is where the car truly passed it, within a·Δt²/(8v) and rounding.
    #[test]
    fn loops_are_true_within_the_bound(mean in 40.0..75.0f64, omega in 0.3..1.2f64, at_m in -2_900.0..-10.0f64) {
        let car = Car::driving(Leg { from_s: 0.0, at_m, mean_mps: mean, swing_m: (0.4 * mean / omega).min(25.0 / (omega * omega)), omega });
        for hz in [60u32, 20, 10, 4] {
            let dt = 1.0 / f64::from(hz);
            let laps = fed(&practice(), &car.frames(0.0, 200.0, hz)).laps();
            prop_assert!(!laps.is_empty());
            for (lap, (start, end)) in laps.iter().zip(car.laps(0.0, 200.0)) {
                prop_assert!(lap.loops_us.windows(2).all(|w| w[0] < w[1]) && lap.loops_us[0] > 0 && lap.loops_us[LOOPS - 2] < lap.time_us);
                for (k, loop_us) in (1..).zip(&lap.loops_us) {
                    let truth = car.time_at(car.at_m(start).round() + f64::from(k) / LOOPS as f64 * LENGTH_M);
                    let bound = |t: f64| 25.0 * dt * dt / (8.0 * (car.speed_mps(t) - 25.0 * dt).max(10.0)) * 1e6;
                    let off = (lap.start_us + loop_us - us(truth)).abs() as f64;
                    prop_assert!(off <= bound(truth) + 2.0, "{} Hz, lap to {}, loop {}: {} µs, bound {}", hz, end, k, off, bound(truth));
                }
            }
        }
    }
}

// ---- fuel -------------------------------------------------------------------------------------------------------

/// 0.05 l/s: 3 l a lap.
fn fuelled(hz: u32) -> Vec<CarFrame> {
    let mut frames = steady().frames(0.0, 170.0, hz);
    frames.iter_mut().for_each(|f| {
        f.presence = f.presence.with(Presence::FUEL);
        f.fuel_l = 50.0 - (f.sim_time_us as f64 / 20e6) as f32;
    });
    frames
}

fn used(frames: &[CarFrame]) -> Vec<Option<i32>> {
    fed(&practice(), frames).laps().iter().map(|l| l.fuel_used_l.map(|l| (l * 100.0).round() as i32)).collect()
}

#[test]
fn fuel_is_the_difference_of_levels_at_the_lines() {
    for hz in [60, 20, 10, 4] {
        let rig = fed(&practice(), &fuelled(hz));
        for (lap, level) in rig.laps().iter().zip([45.0, 42.0]) {
            // At most half a frame from the line.
            let noise = 0.05 / hz as f32 + 1e-4;
            assert!((lap.fuel_l.unwrap() - level).abs() <= noise && (lap.fuel_used_l.unwrap() - 3.0).abs() <= noise, "{hz} Hz {lap:?}");
        }
    }
}

/// `fuel.used`: the flow in kg/h is not used.
#[test]
fn fuel_flow_is_not_fuel_used() {
    let mut frames = fuelled(60);
    frames.iter_mut().for_each(|f| (f.presence, f.fuel_rate_kgph) = (f.presence.with(Presence::FUEL_RATE), 1.848));
    assert_eq!(used(&frames), [Some(300), Some(300)]);
}

#[test]
fn no_fuel_used_where_it_cannot_be_known() {
    let mut absent = fuelled(60);
    absent.iter_mut().for_each(|f| (f.presence, f.fuel_l) = (f.presence.without(Presence::FUEL), 0.0));
    assert_eq!(used(&absent), [None, None]);
    assert!(fed(&practice(), &absent).laps().iter().all(|l| l.fuel_l.is_none()));
    let mut refuelled = fuelled(60);
    within(&mut refuelled, 70.0, 500.0, |f| f.fuel_l += 0.5);
    assert_eq!(used(&refuelled), [None, Some(300)]);
    let mut slosh = fuelled(60);
    within(&mut slosh, 70.0, 72.0, |f| f.fuel_l += 0.08);
    assert_eq!(used(&slosh), [Some(300), Some(300)]);
    let mut braking = fuelled(60);
    within(&mut braking, 70.0, 72.0, |f| f.fuel_l += 0.8);
    braking.iter_mut().for_each(|f| put(f, CarBits::ELECTRIC));
    assert_eq!(used(&braking), [Some(300), Some(300)], "energy that braking gives back");
    let mut towed = fuelled(60);
    within(&mut towed, 70.0, 72.0, |f| put(f, CarBits::TOWING));
    assert_eq!(used(&towed), [None, Some(300)]);
    let mut missing = fuelled(60);
    missing.retain(|f| !(us(70.0)..us(74.0)).contains(&f.sim_time_us));
    assert_eq!(used(&missing), [None, Some(300)]);
    // The empty tank of a blank sample is not a level.
    let mut blanked = fuelled(60);
    within(&mut blanked, 70.0, 70.05, |f| {
        *f = blank(*f);
        f.fuel_l = 0.0;
    });
    assert_eq!(used(&blanked), [Some(300), Some(300)]);
}

#[test]
fn a_rewind_takes_refuelling_back() {
    let frames = fuelled(60);
    let mut rig = Rig::new(&practice());
    let mut first: Vec<_> = frames.iter().copied().filter(|f| f.sim_time_us < us(80.0)).collect();
    within(&mut first, 75.0, 80.0, |f| f.fuel_l += 5.0);
    rig.frames(&first);
    rig.event(EventCode::REWIND, 4_200, us(70.0));
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(70.0)));
    assert!((rig.lap(2).fuel_used_l.unwrap() - 3.0).abs() < 0.01);
}

// ---- flags ------------------------------------------------------------------------------------------------------

fn changes(rig: &Rig) -> Vec<(i64, Flags, Flags)> {
    rig.flag_changes().iter().map(|f| (f.sim_time_us, f.from, f.to)).collect()
}

/// `state.change`: each once, those of before a rewind again, and the first of a new run.
#[test]
fn every_change_of_the_state_is_a_fact() {
    let (none, racing, over) = (SessionState::INVALID, SessionState::RACING, SessionState::CHECKERED);
    let mut frames = steady().frames(0.0, 40.0, 20);
    within(&mut frames, 0.0, 5.0, |f| f.presence = f.presence.without(Presence::SESSION_STATE));
    within(&mut frames, 20.0, 30.0, |f| f.session_state = over);
    let changes = |rig: &Rig| rig.state_changes().iter().map(|s| (s.sim_time_us, s.from, s.to)).collect::<Vec<_>>();
    let all = [(us(5.0), none, racing), (us(20.0), racing, over), (us(30.0), over, racing)];
    assert_eq!(changes(&fed(&practice(), &frames)), all);
    let until = |s: f64| frames.iter().filter(move |f| f.sim_time_us < us(s));
    let from = |s: f64| frames.iter().filter(move |f| f.sim_time_us >= us(s));
    let mut rig = Rig::new(&practice());
    rig.frames(until(25.0));
    rig.event(EventCode::REWIND, 15 * 60, us(15.0));
    rig.frames(from(15.0));
    assert_eq!(changes(&rig), all);
    let mut rig = Rig::new(&practice());
    rig.frames(until(25.0));
    rig.restart();
    rig.frames(from(25.0));
    assert_eq!(changes(&rig), [all[0], all[1], (us(25.0), none, over), all[2]]);
}

#[test]
fn every_change_of_flags_is_a_fact() {
    let mut frames = steady().frames(0.0, 60.0, 20);
    let show = |f: &mut CarFrame, flags: Flags| (f.flags, f.flags_seen) = (f.flags.with(flags), f.flags_seen.with(flags));
    within(&mut frames, 10.0, 20.0, |f| show(f, Flags::GREEN));
    within(&mut frames, 15.0, 25.0, |f| show(f, Flags::YELLOW));
    // In a blank sample, too: the flags are the session's.
    within(&mut frames, 19.0, 26.0, |f| *f = blank(*f));
    // A pulse between two frames.
    within(&mut frames, 30.0, 30.05, |f| f.flags_seen = Flags::BLUE);
    let both = Flags::GREEN.with(Flags::YELLOW);
    assert_eq!(
        changes(&fed(&practice(), &frames)),
        [
            (us(10.0), Flags(0), Flags::GREEN),
            (us(15.0), Flags::GREEN, both),
            (us(20.0), both, Flags::YELLOW),
            (us(25.0), Flags::YELLOW, Flags(0)),
            (us(30.0), Flags(0), Flags::BLUE),
            (us(30.05), Flags::BLUE, Flags(0)),
        ]
    );
    frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::FLAGS));
    assert_eq!(changes(&fed(&practice(), &frames)), []);
}

#[test]
fn flags_over_a_rewind_and_a_restart() {
    let mut frames = steady().frames(0.0, 60.0, 20);
    within(&mut frames, 10.0, 20.0, |f| (f.flags, f.flags_seen) = (Flags::YELLOW, Flags::YELLOW));
    let until = |s: f64| frames.iter().filter(move |f| f.sim_time_us < us(s));
    let mut rig = Rig::new(&practice());
    rig.frames(until(30.0));
    rig.event(EventCode::REWIND, 15 * 60, us(15.0));
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(15.0)));
    assert_eq!(changes(&rig), [(us(10.0), Flags(0), Flags::YELLOW), (us(20.0), Flags::YELLOW, Flags(0))]);
    // A new run repeats the flags that are out, and since when, so that a flag over a restart is one span.
    let mut rig = Rig::new(&practice());
    rig.frames(until(15.0));
    rig.restart();
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(15.0)));
    assert_eq!(changes(&rig), [(us(10.0), Flags(0), Flags::YELLOW), (us(10.0), Flags(0), Flags::YELLOW), (us(20.0), Flags::YELLOW, Flags(0))]);
    let spans = boxbox_race::timing::flag_spans(&rig.flag_changes(), &[], &[]);
    assert_eq!(spans.iter().map(|s| (s.from_us, s.until_us)).collect::<Vec<_>>(), [(us(10.0), Some(us(20.0)))]);
}

/// `flag.change`: no flag hides another; every subset is kept.
#[test]
fn every_subset_of_flags_is_kept() {
    let all = [Flags::GREEN, Flags::YELLOW, Flags::CAUTION, Flags::RED, Flags::CHECKERED];
    for subset in 1u32..32 {
        let shown = (0..5).filter(|n| subset >> n & 1 == 1).fold(Flags(0), |f, n| f.with(all[n]));
        let mut frames = steady().frames(0.0, 170.0, 4);
        within(&mut frames, 70.0, 80.0, |f| (f.flags, f.flags_seen) = (shown, shown));
        let rig = fed(&practice(), &frames);
        assert_eq!(changes(&rig), [(us(70.0), Flags(0), shown), (us(80.0), shown, Flags(0))]);
        assert_eq!(rig.lap(2).tags.has(Tags::HAD_YELLOW), shown.any(Flags::YELLOW.with(Flags::CAUTION)));
        // `race.counts`: laps go on.
        assert_eq!(rig.numbers(), [2, 3]);
    }
}

// ---- where a car is, and who drives ------------------------------------------------------------------------------------------------

#[test]
fn where_a_car_is() {
    let mut rig = Rig::new(&practice());
    assert_eq!(rig.race.now(&rig.ctx), None);
    let mut frames = fuelled(60);
    within(&mut frames, 0.0, 500.0, |f| (f.flags, f.session_state) = (Flags::BLUE, SessionState::RACING));
    rig.frames(frames.iter().filter(|f| f.sim_time_us <= us(20.0)));
    let now = rig.race.now(&rig.ctx).unwrap();
    assert_eq!((now.lap, now.lap_start_us, now.loops_us.len(), now.in_pits), (0, None, 0, Some(false)), "no lap is open");
    assert!((now.lap_pct.unwrap() - 2_000.0 / LENGTH_M).abs() < 1e-6);
    rig.frames(frames.iter().filter(|f| f.sim_time_us > us(20.0) && f.sim_time_us <= us(75.0)));
    let now = rig.race.now(&rig.ctx).unwrap();
    assert_eq!((now.lap, now.lap_start_us, now.tick, now.sim_time_us), (2, Some(us(40.0)), 75 * 60, us(75.0)));
    assert_eq!((now.loops_us.len(), now.speed_mps, now.field, now.off_track), (11, Some(50.0), false, false));
    assert!((now.lap_pct.unwrap() - 1_750.0 / LENGTH_M).abs() < 1e-6 && (now.fuel_l.unwrap() - 46.25).abs() < 0.001);
    assert_eq!((now.flags, now.state, now.slot, now.entry.as_str()), (Flags::BLUE, SessionState::RACING, 3, "driver-1"));
    rig.frame(&blank(frames[76 * 60]));
    let now = rig.race.now(&rig.ctx).unwrap();
    assert_eq!((now.lap_pct, now.in_pits, now.lap), (None, None, 2), "not in the world");
}

#[test]
fn the_driver_comes_from_the_metadata_of_the_slot() {
    let mut rig = Rig::new(&practice());
    assert_eq!(rig.race.claim(), Some(Claim { user_id: 0, team_id: 0, slot: 3 }));
    let entry = |slot, user_id, team_id| MetaEntry { slot, user_id, team_id, ..MetaEntry::default() };
    let meta = SessionMeta { entries: vec![entry(2, 7, 8), entry(3, 42, 9)], own_slot: 2, ..practice() };
    rig.race.on_meta(&rig.ctx, &meta, &mut rig.out);
    assert_eq!(rig.race.claim(), Some(Claim { user_id: 42, team_id: 9, slot: 3 }));
}

/// A new run's own metadata is newer than what it inherits.
#[test]
fn an_heir_keeps_its_own_metadata() {
    let entry = |team_id| MetaEntry { slot: 3, user_id: 1, team_id, ..MetaEntry::default() };
    let team = |team_id| SessionMeta { team_racing: 1, entries: vec![entry(team_id)], ..practice() };
    let mut old = Rig::new(&team(5));
    old.frames(&steady().frames(0.0, 70.0, 20));
    let mut new = Rig::new(&SessionMeta { sector_starts: vec![0.0, 0.5], ..team(6) });
    new.race.inherit(&old.race, &mut new.out);
    assert_eq!((new.race.entry(new.ctx.driver).as_str(), new.race.claim().unwrap().team_id), ("t:6", 6));
    new.ctx.run.0[0] = 2;
    new.frames(&steady().frames(70.0, 170.0, 20));
    assert_eq!((new.lap(2).sectors_us.len(), new.lap(2).tags), (0, Tags::RESUMED.with(Tags::NO_SECTORS)), "lines moved under it");
    assert_eq!(new.lap(3).sectors_us.len(), 2);
    // Without new metadata, the new run uses that of the old one.
    let mut bare = common::CarState::new();
    bare.inherit(&old.race, &mut old.out);
    assert_eq!(bare.entry(old.ctx.driver).as_str(), "t:5");
}
