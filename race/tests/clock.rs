//! `clock.slip`: session time that runs ahead of the ticks makes no lap longer, at any rate, wherever it happens.

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::CarFrame;
use common::Rig;
use common::synth::{Car, practice};
use proptest::prelude::*;

const DRIVE_S: f64 = 220.0;

/// How a clock goes wrong from the tick on: session time goes ahead by `ticks` (back, where below 0) and the car does not.
type Slip = (u32, i64);

/// The frames of a car at `hz` from a simulator with ticks of `tick_us`, whose session time slips. Without ticks, the frames'
/// ticks are made of session time.
fn slipping(car: &Car, hz: u32, ticks_per_s: u32, slips: &[Slip], own_ticks: bool) -> Vec<CarFrame> {
    let all = (DRIVE_S * f64::from(ticks_per_s)) as u32;
    let us_of = |tick: i64| (tick * 1_000_000 + i64::from(ticks_per_s) / 2) / i64::from(ticks_per_s);
    (1..all)
        .step_by((ticks_per_s / hz) as usize)
        .map(|tick| {
            let ahead: i64 = slips.iter().filter(|(at, _)| *at <= tick).map(|(_, ticks)| ticks).sum();
            let mut frame = car.frame_at(tick, us_of(i64::from(tick)));
            frame.sim_time_us = us_of(i64::from(tick) + ahead);
            if !own_ticks {
                frame.tick = (i64::from(tick) + ahead) as u32;
            }
            frame
        })
        .collect()
}

fn fed(frames: &[CarFrame]) -> Rig {
    let mut rig = Rig::new(&practice());
    rig.frames(frames);
    rig.end();
    rig
}

/// Number, sectors and time of each lap.
fn laps(rig: &Rig) -> Vec<(u32, Vec<i64>, i64)> {
    rig.laps().into_iter().map(|l| (l.number, l.sectors_us, l.time_us)).collect()
}

fn near(a: &[(u32, Vec<i64>, i64)], b: &[(u32, Vec<i64>, i64)], within_us: i64) -> Result<(), TestCaseError> {
    prop_assert_eq!(a.len(), b.len());
    for (a, b) in a.iter().zip(b) {
        prop_assert_eq!(a.0, b.0);
        prop_assert!((a.2 - b.2).abs() <= within_us, "lap {}: {} against {}", a.0, a.2, b.2);
        prop_assert!(a.1.iter().zip(&b.1).all(|(a, b)| (a - b).abs() <= within_us), "{a:?} against {b:?}");
        prop_assert_eq!(a.1.iter().sum::<i64>(), a.2);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// Ticks that session time skips, anywhere and any number of times: laps and sectors are those of the same drive without.
    #[test]
    fn session_time_ahead_of_the_ticks_makes_no_lap_longer(
        at in prop::collection::vec((300u32..13_000, prop::sample::select(vec![1i64, 2, -1])), 1..14),
        rate in prop::sample::select(vec![(60u32, 60u32), (30, 60), (20, 60), (10, 60), (4, 60), (360, 360), (60, 360)]),
    ) {
        let car = Car::default();
        let (hz, ticks_per_s) = rate;
        // At most one between two frames of any rate.
        let mut slips: Vec<Slip> = at.iter().map(|(tick, ticks)| (tick * ticks_per_s / 60, *ticks)).collect();
        slips.sort_unstable();
        slips.dedup_by(|b, a| b.0 - a.0 < ticks_per_s);
        let (plain, slipped) = (fed(&slipping(&car, hz, ticks_per_s, &[], true)), fed(&slipping(&car, hz, ticks_per_s, &slips, true)));
        near(&laps(&slipped), &laps(&plain), 10)?;
        prop_assert!(laps(&plain).len() >= 3);
    }

    /// Where the simulator has no ticks, the motion shows the same.
    #[test]
    fn without_ticks_the_motion_shows_the_slip(at in prop::collection::vec(300u32..13_000, 1..8), ticks in 1i64..3, lost in prop::collection::vec(20usize..13_000, 0..20)) {
        let car = Car::default();
        let mut slips: Vec<Slip> = at.iter().map(|tick| (*tick, ticks)).collect();
        slips.sort_unstable();
        slips.dedup_by(|b, a| b.0 - a.0 < 120);
        let mut frames = slipping(&car, 60, 60, &slips, false);
        // Records that are missing are no slips, whether the stream says that they are missing or not.
        let mut index = 0;
        let near_slip = |tick: u32| slips.iter().any(|(at, _)| tick.abs_diff(*at) < 60);
        frames.retain(|f| {
            index += 1;
            !lost.contains(&index) || near_slip(f.tick)
        });
        // A line between two frames that are two ticks apart is off by a·Δt²/(8v) at most, as the slowest car is.
        near(&laps(&fed(&frames)), &laps(&fed(&slipping(&car, 60, 60, &[], true))), 200)?;
    }

    /// E11, and a client that is started again: the slips go on.
    #[test]
    fn a_stored_or_restarted_stream_keeps_its_slips(at in prop::collection::vec(300u32..13_000, 1..6), seed: u64) {
        let car = Car::default();
        let slips: Vec<Slip> = at.iter().map(|tick| (*tick, 1)).collect();
        let frames = slipping(&car, 20, 60, &slips, true);
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut plain, mut stored, mut restarted) = (Rig::new(&practice()), Rig::new(&practice()), Rig::new(&practice()));
        for frame in &frames {
            plain.frame(frame);
            stored.frame(frame);
            if random.u32(0..50) == 0 {
                prop_assert!(stored.store_and_load() <= 4_096);
            }
            if random.u32(0..1_000) == 0 {
                restarted.restart();
            }
            restarted.frame(frame);
        }
        prop_assert_eq!(&plain.out.facts, &stored.out.facts);
        [&mut plain, &mut restarted].into_iter().for_each(|rig| rig.end());
        near(&laps(&restarted), &laps(&plain), 0)?;
    }

    /// A rewind to before a slip undoes it; to after it, it stays.
    #[test]
    fn a_rewind_undoes_the_slips_after_it(slip in 3_000u32..9_000, back in 60u32..2_500, hz in prop::sample::select(vec![60u32, 20])) {
        let car = Car::default();
        let frames = slipping(&car, hz, 60, &[(slip, 1)], true);
        let (from, every) = (9_600u32, 60 / hz);
        let to = (from - back) / every * every + 1;
        let index = |tick: u32| ((tick - 1) / every) as usize;
        let mut rig = Rig::new(&practice());
        rig.frames(&frames[..index(from)]);
        // The simulator's clock after it: as before, so that the slip happens once more where it lies behind the rewind.
        rig.event(EventCode::REWIND, to, frames[index(to)].sim_time_us);
        rig.frames(&frames[index(to)..]);
        rig.end();
        near(&laps(&rig), &laps(&fed(&slipping(&car, hz, 60, &[], true))), 30)?;
    }

    /// A clock that jitters, or whose ticks are not tied to its time, is not corrected.
    #[test]
    fn a_clock_that_is_not_steady_is_left_alone(seed: u64, hz in prop::sample::select(vec![60i64, 20, 10])) {
        let car = Car::default();
        let mut random = fastrand::Rng::with_seed(seed);
        let step_us = 1_000_000 / hz;
        let frames: Vec<CarFrame> =
            (0..(DRIVE_S as i64) * hz).map(|n| car.frame_at(n as u32 + 1, n * step_us + random.i64(0..step_us * 9 / 10))).collect();
        let lines: Vec<(i64, i64)> = car.laps(0.0, DRIVE_S - 1.0).iter().map(|(s, e)| ((s * 1e6) as i64, (e * 1e6) as i64)).collect();
        let timed: Vec<(i64, i64)> = fed(&frames).laps().iter().map(|l| (l.start_us, l.end_us)).collect();
        prop_assert_eq!(timed.len(), lines.len());
        for (ours, line) in timed.iter().zip(&lines) {
            prop_assert!((ours.0 - line.0).abs() < 3_500 && (ours.1 - line.1).abs() < 3_500, "{ours:?} against {line:?}");
        }
    }
}

/// Ticks go on while a paused simulator's clock stands: the car does not drive, and the lap is not longer by it.
#[test]
fn a_pause_is_no_slip() {
    let car = Car::default();
    for pause in [1, 2, 3, 60, 3_600] {
        let mut frames = car.frames(0.0, DRIVE_S, 60);
        frames.iter_mut().filter(|f| f.tick > 4_000).for_each(|f| f.tick += pause);
        assert_eq!(laps(&fed(&frames)), laps(&fed(&car.frames(0.0, DRIVE_S, 60))), "{pause} ticks");
    }
}
