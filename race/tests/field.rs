//! Cars without a client of their own: laps and visits from what another client sees.

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_race::stream::{Fact, Start, field_entry};
use boxbox_schemas::field::FieldFrame;
use boxbox_schemas::frame::{CarFrame, TrackLoc};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{LOOPS, PitKind, PitVisit, Reasons, Row, Tags};
use common::synth::{Car, LENGTH_M, Leg, PitTrip, blank, pitting, practice, race, seen, within};
use common::{FieldRig, OtherCar};
use proptest::prelude::*;

fn us(s: f64) -> i64 {
    (s * 1e6).round() as i64
}

fn steady() -> Car {
    Car::driving(Leg { from_s: 0.0, at_m: 1_000.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 })
}

fn fed(meta: &SessionMeta, frames: &[CarFrame]) -> FieldRig {
    let mut rig = FieldRig::new(meta);
    rig.frames(frames);
    rig.end();
    rig
}

fn entries(entries: &[(u16, u64, u64, u8)], team_racing: u8) -> SessionMeta {
    let entry = |(slot, user_id, team_id, special): &(u16, u64, u64, u8)| MetaEntry {
        slot: *slot,
        user_id: *user_id,
        team_id: *team_id,
        special: *special,
        ..MetaEntry::default()
    };
    SessionMeta { team_racing, entries: entries.iter().map(entry).collect(), ..practice() }
}

#[test]
fn the_entry_of_an_observed_car() {
    let meta = entries(&[(1, 11, 21, 0), (2, 0, 0, 0), (3, 13, 23, 1), (4, 14, 24, 2), (5, 15, 25, 3), (6, u64::MAX, 0, 0)], 0);
    let entry = |meta: &SessionMeta, slot| field_entry(Some(meta), slot).map(|e| e.as_str().to_owned());
    let of = |slot| entry(&meta, slot);
    assert_eq!(of(1).as_deref(), Some("u:11"));
    assert_eq!(of(2).as_deref(), Some("c:2"), "no user id");
    assert_eq!((of(3), of(4)), (None, None), "pace cars and spectators do not compete");
    assert_eq!(of(5).as_deref(), Some("u:15"), "AI drivers do");
    assert_eq!(of(6), Some(format!("u:{}", u64::MAX)));
    assert_eq!(of(77).as_deref(), Some("c:77"));
    assert_eq!(field_entry(None, 9).unwrap().as_str(), "c:9");
    let teams = entries(&[(1, 11, 21, 0), (2, 12, 0, 0)], 1);
    assert_eq!((entry(&teams, 1).as_deref(), entry(&teams, 2).as_deref()), (Some("t:21"), Some("u:12")));
}

#[test]
fn a_lap_of_an_observed_car_is_tagged() {
    let mut frames = steady().frames(0.0, 170.0, 4);
    within(&mut frames, 70.0, 72.0, |f| f.track_loc = TrackLoc::OFF_TRACK);
    let mut rig = FieldRig::new(&entries(&[(8, 99, 0, 0)], 0));
    rig.frames(&frames);
    let lap = &rig.laps()[0];
    assert_eq!((lap.entry.as_str(), lap.driver, lap.run, lap.slot), ("u:99", rig.ctx.driver, rig.ctx.run, 8));
    assert_eq!(lap.tags, Tags::FIELD.with(Tags::TIMING_ESTIMATED));
    assert_eq!((lap.spans.len(), lap.fuel_l, lap.fuel_used_l, lap.loops_us.len()), (0, None, None, LOOPS - 1));
    assert_eq!((lap.number, lap.reasons, lap.sim_time_us), (2, Reasons::OFF_TRACK, Some(60_000_000)));
    assert!(rig.out.facts.iter().all(|f| match f {
        Fact::Lap(_) => true,
        Fact::Row(row) => row.kind == PitVisit::KIND,
        Fact::Rewind { .. } => false,
    }));
    let now = rig.race.now(&rig.ctx).unwrap();
    assert_eq!((now.field, now.lap, now.entry.as_str(), now.slot), (true, 4, "u:99", 8));
    // `seen.lap`: the car's speed is computed from its motion, not 0.
    assert!((now.speed_mps.unwrap() - 50.0).abs() < 0.5 && now.fuel_l.is_none());
}

#[test]
fn a_pace_car_makes_no_facts() {
    let mut rig = FieldRig::new(&entries(&[(8, 99, 0, 1)], 0));
    rig.frames(&pitting(&PitTrip { enter_s: 70.0, stands_s: None, exit_s: 80.0, lane_mps: 20.0 }, 170.0, 4));
    assert_eq!((rig.out.facts.len(), rig.race.now(&rig.ctx)), (0, None));
}

#[test]
fn a_slot_used_again_is_another_car() {
    let mut rig = FieldRig::new(&entries(&[(8, 99, 0, 0)], 0));
    let frames = steady().frames(0.0, 290.0, 4);
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(120.0)));
    rig.race.on_meta(&rig.ctx, &entries(&[(8, 55, 0, 0)], 0), &mut rig.out);
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(120.0)));
    let laps: Vec<_> = rig.laps().iter().map(|l| (l.entry.as_str().to_owned(), l.start_us / 1_000_000)).collect();
    assert_eq!(laps, [("u:99".into(), 40), ("u:55".into(), 160), ("u:55".into(), 220)], "the lap during the change belongs to neither");
    // The same again, and a name that comes later, change nothing.
    let mut rig = FieldRig::new(&practice());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(70.0)));
    for _ in 0..2 {
        rig.race.on_meta(&rig.ctx, &entries(&[(8, 55, 0, 0)], 0), &mut rig.out);
    }
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(70.0)));
    assert_eq!(rig.laps().iter().map(|l| (l.number, l.entry.as_str().to_owned())).collect::<Vec<_>>()[0], (2, "u:55".into()));
}

#[test]
fn a_jump_or_a_blank_makes_no_lap() {
    let mut frames = steady().frames(0.0, 99.0, 4);
    // From 50 m short of the line to 400 m behind it.
    let mut after = Car::driving(Leg { from_s: 99.0, at_m: 3_400.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 }).frames(99.0, 130.0, 4);
    after[0] = blank(after[0]);
    frames.extend(after);
    assert_eq!(fed(&practice(), &frames).laps(), []);
    // Out on the track, then standing in the stall.
    let mut rig = FieldRig::new(&practice());
    rig.frames(&steady().frames(0.0, 99.0, 4));
    let mut stands = steady().frames(99.0, 110.0, 4);
    stands.iter_mut().for_each(|f| (f.lap_pct, f.track_loc, f.lap, f.laps_completed) = (0.001, TrackLoc::PIT_STALL, 2, 1));
    rig.frames(&stands);
    assert_eq!((rig.laps().len(), rig.visits()[0].kind), (0, PitKind::TOW));
}

/// Six cars on the grid 8 to 48 m short of the line: the light at 20 s, which only the observer's own frames show.
#[test]
fn race_lap_1_runs_from_the_observers_light() {
    for row in 1..=6 {
        let at_m = -8.0 * f64::from(row);
        let mut car = Car::driving(Leg { from_s: 0.0, at_m, mean_mps: 0.0, swing_m: 0.0, omega: 1.0 });
        car.then(20.2, 50.0, 0.0, 1.0);
        let mut frames = car.frames(0.0, 150.0, 4);
        within(&mut frames, 0.0, 22.0, |f| (f.lap, f.laps_completed) = (1, 0));
        // The observer learns of the light with its next record: before the car crosses the line, or after.
        for heard_s in [20.0, 20.3, 20.9] {
            let mut rig = FieldRig::new(&race());
            for f in &frames {
                let start = if f.sim_time_us >= us(heard_s) {
                    Start { green_us: Some(us(20.0)), ..Start::default() }
                } else {
                    Start { waiting: true, ..Start::default() }
                };
                rig.race.on_start(&rig.ctx, start, &mut rig.out);
                rig.frame(&seen(f));
            }
            let truth_us = us(20.2 + (LENGTH_M - at_m) / 50.0);
            let laps = rig.laps();
            assert_eq!(laps.iter().map(|l| l.number).collect::<Vec<_>>(), [1, 2], "row {row}, heard {heard_s}");
            assert_eq!(laps[0].start_us, us(20.0));
            assert!((laps[0].end_us - truth_us).abs() <= 10, "{:?}", laps[0]);
            assert!(laps[0].tags.has(Tags::FIRST_LAP.with(Tags::START_ESTIMATED)));
            let line_us = truth_us - us(60.0) - us(20.0);
            assert!((laps[0].loops_us[0] - line_us - 3_000_000).abs() <= 10, "{:?}", laps[0].loops_us);
        }
    }
}

#[test]
fn parade_laps_of_the_field_are_none() {
    let car = Car::driving(Leg { from_s: 0.0, at_m: -100.0 - 130.0 * 50.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 });
    let mut frames = car.frames(0.0, 270.0, 4);
    within(&mut frames, 0.0, 130.5, |f| (f.lap, f.laps_completed) = (0, -1));
    let mut rig = FieldRig::new(&race());
    for f in &frames {
        let green = (f.sim_time_us >= us(130.0)).then_some(us(130.0));
        rig.race.on_start(&rig.ctx, Start { waiting: green.is_none(), green_us: green, ..Start::default() }, &mut rig.out);
        rig.frame(&seen(f));
    }
    let laps: Vec<_> = rig.laps().iter().map(|l| (l.number, l.start_us, (l.end_us + 5) / 10 * 10)).collect();
    assert_eq!(laps, [(1, 130_000_000, 192_000_000), (2, laps[1].1, 252_000_000)]);
}

/// `validity.pace`: a caution that the observer is shown marks the laps of the cars that it sees.
#[test]
fn a_caution_marks_the_laps_of_the_field() {
    let mut rig = FieldRig::new(&practice());
    for f in &steady().frames(0.0, 290.0, 4) {
        let no_racing = (us(120.0)..us(140.0)).contains(&f.sim_time_us);
        rig.race.on_start(&rig.ctx, Start { no_racing, ..Start::default() }, &mut rig.out);
        rig.frame(&seen(f));
    }
    let laps = rig.laps();
    assert!(laps.len() > 2);
    for lap in laps {
        let under = lap.start_us < us(140.0) && lap.end_us > us(120.5);
        assert_eq!(lap.reasons.has(Reasons::PACE), under, "{lap:?}");
    }
}

#[test]
fn the_observers_rewind_takes_the_field_back() {
    let frames = steady().frames(0.0, 170.0, 4);
    let mut rig = FieldRig::new(&practice());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(102.0)));
    rig.rewind(95 * 60, us(95.0));
    assert!(rig.out.facts.iter().all(|f| !matches!(f, Fact::Rewind { .. })), "the observer's own rewind says it");
    let mut again = steady();
    again.then(95.0, 25.0, 0.0, 1.0);
    rig.frames(&again.frames(95.0, 120.0, 4));
    let lap = rig.laps()[0].clone();
    assert_eq!((lap.number, lap.timeline), (2, 1));
    assert!((lap.end_us - us(105.0)).abs() < 10, "{lap:?}");
}

#[test]
fn a_restarted_observer_goes_on() {
    let frames = steady().frames(0.0, 110.0, 4);
    let mut rig = FieldRig::new(&practice());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < us(70.0)));
    rig.race = OtherCar::inherit(&rig.race, &mut rig.out);
    rig.ctx.run.0[0] = 2;
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= us(70.0)));
    let lap = &rig.laps()[0];
    assert_eq!((lap.number, lap.run.0[0], lap.tags.has(Tags::RESUMED)), (2, 2, true));
    assert!((lap.time_us - 60_000_000).abs() < 20);
}

#[test]
fn states_are_small() {
    let trip = PitTrip { enter_s: 70.0, stands_s: Some((75.0, 85.0)), exit_s: 95.0, lane_mps: 20.0 };
    let mut rig = FieldRig::new(&entries(&[(8, 99, 0, 0)], 0));
    let mut all = pitting(&trip, 400.0, 4);
    // Late in a day-long race.
    all.iter_mut().for_each(|f| (f.tick, f.sim_time_us) = (f.tick + 4_000_000, f.sim_time_us + 80_000_000_000));
    let mut sizes = vec![];
    for f in &all {
        rig.frame(&seen(f));
        sizes.push(rig.store_and_load());
    }
    sizes.sort_unstable();
    println!("state of an observed car: median {} bytes, largest {}", sizes[sizes.len() / 2], sizes[sizes.len() - 1]);
    assert!(sizes[sizes.len() / 2] <= 1_024 && sizes[sizes.len() - 1] <= 2_048);
}

#[test]
fn frames_that_make_no_sense_are_survived() {
    let mut random = fastrand::Rng::with_seed(7);
    let mut rig = FieldRig::new(&race());
    for n in 0..20_000u32 {
        let frame = FieldFrame {
            tick: n * 15 - random.u32(0..20).min(n),
            sim_time_us: i64::from(n) * 250_000 + random.i64(-1_000_000..1_000_000),
            slot: 8,
            lap: random.i16(..),
            laps_completed: random.i16(..),
            lap_pct: random.f32() * 1.2 - 0.1,
            track_loc: TrackLoc(random.i8(-2..5)),
            bits: boxbox_schemas::field::FieldBits(random.u8(..)),
            last_lap_time_us: random.i32(..),
            ..FieldFrame::default()
        };
        rig.frame(&frame);
        match random.u32(0..50) {
            0 => rig.rewind(n.saturating_sub(100) * 15, i64::from(n.saturating_sub(100)) * 250_000),
            1 => {
                rig.store_and_load();
            }
            2 => rig.race.on_start(
                &rig.ctx,
                Start { waiting: random.bool(), green_us: Some(i64::from(n) * 250_000), no_racing: random.bool() },
                &mut rig.out,
            ),
            3 => rig.race.on_missing(&rig.ctx, rig.seq, rig.seq + 5, &mut rig.out),
            _ => {}
        }
        assert!(rig.race.now(&rig.ctx).is_none_or(|now| now.field));
    }
    assert!(rig.laps().iter().all(|l| l.time_us >= 0 && l.time_us == l.end_us - l.start_us));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    /// `lap.crossing` at 4 Hz: a·Δt²/(8v), and what a position of 24 bits hides (0.3 mm here).
    #[test]
    fn crossings_are_true_within_the_bound(mean in 40.0..75.0f64, omega in 0.3..1.2f64, at_m in -2_900.0..-10.0f64, hz in prop::sample::select(vec![4u32, 10, 20])) {
        let car = Car::driving(Leg { from_s: 0.0, at_m, mean_mps: mean, swing_m: (0.4 * mean / omega).min(25.0 / (omega * omega)), omega });
        let dt = 1.0 / f64::from(hz);
        let rig = fed(&practice(), &car.frames(0.0, 220.0, hz));
        let truth = car.laps(0.0, 220.0);
        // A line in the last frames may not be seen.
        prop_assert!(rig.laps().len() == truth.len() || truth.last().is_some_and(|(_, end)| *end > 219.7));
        for (lap, (start, end)) in rig.laps().iter().zip(&truth) {
            for (ours, truth) in [(lap.start_us, start), (lap.end_us, end)] {
                let slowest = (car.speed_mps(*truth) - 25.0 * dt).max(10.0);
                let bound = 25.0 * dt * dt / (8.0 * slowest) * 1e6 + 0.3e-3 / slowest * 1e6 + 1.0;
                prop_assert!((ours - us(*truth)).abs() as f64 <= bound, "{} Hz {} against {}, bound {}", hz, ours, truth, bound);
            }
        }
    }
}
