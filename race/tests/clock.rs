//! `clock.slip`: session time that runs ahead of the ticks makes no lap longer, at any rate, wherever it happens.

#![allow(clippy::unwrap_used)]

mod common;

use boxbox_race::stream::since_start_us;
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, TrackLoc};
use boxbox_schemas::record::{Content, Kind, Record};
use boxbox_schemas::results::PitVisit;
use common::synth::{Car, PitTrip, pitting, practice, within};
use common::{Rig, record};
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

/// Session time of a tick of a 60 Hz simulator, µs.
fn us_of(tick: i64) -> i64 {
    (tick * 1_000_000 + 30) / 60
}

/// Frames of a 60 Hz simulator, whose session time slips.
fn slipped(frames: &[CarFrame], slips: &[Slip]) -> Vec<CarFrame> {
    let ahead = |tick: u32| slips.iter().filter(|(at, _)| *at <= tick).map(|(_, ticks)| ticks).sum::<i64>();
    frames.iter().map(|f| CarFrame { sim_time_us: us_of(i64::from(f.tick) + ahead(f.tick)), ..*f }).collect()
}

/// A visit with a stop: enters at 70 s, stands from 76 to 84 s, leaves at 95 s.
const STOP: PitTrip = PitTrip { enter_s: 70.0, stands_s: Some((76.0, 84.0)), exit_s: 95.0, lane_mps: 20.0 };

/// The frames of [`STOP`]; with `drops_out` pit road drops out for a tick, a second and more apart.
fn stopping(hz: u32, drops_out: bool) -> Vec<CarFrame> {
    let mut frames = pitting(&STOP, 130.0, hz);
    for from_s in (0..20).map(|k| 70.5 + 1.2 * f64::from(k)).filter(|s| drops_out && !(75.0..85.0).contains(s)) {
        within(&mut frames, from_s, from_s + 1.0 / f64::from(hz), |f| {
            f.bits = f.bits.without(CarBits::ON_PIT_ROAD);
            f.track_loc = TrackLoc::ON_TRACK;
        });
    }
    frames
}

/// Everything that has a duration in a visit.
fn durations(rig: &Rig) -> Vec<(i64, i64, i64)> {
    rig.visits().iter().map(|v: &PitVisit| (v.lane_us().unwrap(), v.stationary_us, v.service_us.unwrap())).collect()
}

fn as_long(ours: &[(i64, i64, i64)], plain: &[(i64, i64, i64)]) -> Result<(), TestCaseError> {
    prop_assert_eq!((ours.len(), plain.len()), (1, 1));
    let ((lane, stood, served), (of_lane, of_stood, of_served)) = (ours[0], plain[0]);
    let near = |a: i64, b: i64| (a - b).abs() <= 20;
    prop_assert!(near(lane, of_lane) && near(stood, of_stood) && near(served, of_served), "{ours:?} against {plain:?}");
    Ok(())
}

/// Slips between two moments, at most one in `apart` ticks.
fn slips_in(range: std::ops::Range<u32>, apart: u32) -> impl Strategy<Value = Vec<Slip>> {
    prop::collection::vec((range, prop::sample::select(vec![1i64, 2, -1])), 1..8).prop_map(move |mut slips| {
        slips.sort_unstable();
        slips.dedup_by(|b, a| b.0 - a.0 < apart);
        slips
    })
}

/// Slips that lose no frame at this rate: session time that stands for a tick shows two frames at one moment, of which one is left out, and
/// what begins there is known to half a frame more (`motion.order`).
fn seen_at(slips: &[Slip], hz: u32) -> Vec<Slip> {
    slips.iter().map(|(at, ticks)| (*at, if hz == 60 { ticks.abs() } else { *ticks })).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    /// A visit to the pits, its stop and its service are as long as those of the same drive without slips; also where pit road drops out,
    /// where the stream is stored, and where the client is started again.
    #[test]
    fn session_time_ahead_of_the_ticks_makes_no_stop_longer(
        slips in slips_in(4_100..5_800, 60), hz in prop::sample::select(vec![60u32, 20, 10, 4]), drops_out: bool, seed: u64,
    ) {
        let slips = seen_at(&slips, hz);
        let frames = stopping(hz, drops_out);
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut plain, mut rig) = (Rig::new(&practice()), Rig::new(&practice()));
        plain.frames(&slipped(&frames, &[]));
        for frame in slipped(&frames, &slips) {
            rig.frame(&frame);
            if random.u32(0..200) == 0 {
                rig.store_and_load();
            }
        }
        [&mut plain, &mut rig].into_iter().for_each(|rig| rig.end());
        as_long(&durations(&rig), &durations(&plain))?;
        // Moments are corrected too.
        prop_assert!((rig.visits()[0].exit_us.unwrap() - plain.visits()[0].exit_us.unwrap()).abs() <= 20);
    }

    /// A rewind in the visit, or after it, to before a slip or after it: the visit of the second time is as long as one without slips.
    #[test]
    fn a_rewind_undoes_the_slips_of_a_visit(slips in slips_in(4_100..5_900, 60), from in 4_300u32..6_600, back in 30u32..1_800, hz in prop::sample::select(vec![60u32, 20])) {
        // As many as are kept for a rewind.
        let slips = &seen_at(&slips, hz)[..];
        let slips = &slips[..slips.len().min(4)];
        let every = 60 / hz;
        let frames = slipped(&stopping(hz, false), slips);
        let at = |tick: u32| frames.iter().position(|f| f.tick >= tick).unwrap();
        let (from, to) = (at(from), at(from.saturating_sub(back) / every * every));
        let (mut plain, mut rig) = (Rig::new(&practice()), Rig::new(&practice()));
        plain.frames(&slipped(&stopping(hz, false), &[]));
        rig.frames(&frames[..from]);
        rig.event(EventCode::REWIND, frames[to].tick, frames[to].sim_time_us);
        rig.frames(&frames[to..]);
        [&mut plain, &mut rig].into_iter().for_each(|rig| rig.end());
        as_long(&durations(&rig), &durations(&plain))?;
    }

    /// The frames of a lap, timed by themselves, are where they are without slips; also those before the first slip, whose start was moved.
    #[test]
    fn frames_of_a_lap_are_timed_as_the_lap_is(slips in slips_in(300..13_000, 60), hz in prop::sample::select(vec![60u32, 20, 4]), lost in prop::collection::vec(20usize..13_000, 0..4)) {
        let keep = |frames: Vec<CarFrame>| {
            let mut index = 0;
            let near_slip = |tick: u32| slips.iter().any(|(at, _)| tick.abs_diff(*at) < 60);
            frames.into_iter().filter(|f| { index += 1; !lost.contains(&index) || near_slip(f.tick) }).collect::<Vec<_>>()
        };
        let slips = seen_at(&slips, hz);
        let car = Car::default();
        let timed = |frames: &[CarFrame]| {
            let records: Vec<Record> = frames.iter().map(|f| record(Kind::CAR, f)).collect();
            let archived: Vec<_> = records.iter().map(|r| { let Content::Car(of) = r.content().unwrap() else { unreachable!() }; of.iter().next().unwrap().unwrap() }).collect();
            let rig = fed(frames);
            let laps = rig.laps();
            // The description is the first of the stream.
            laps.iter().map(|lap| {
                let span = lap.spans[0];
                let of: Vec<_> = (span.first_seq..span.next_seq).map(|seq| (seq, archived[seq as usize - 1])).collect();
                (lap.time_us, since_start_us(lap, &of, Some(4_000.0)))
            }).collect::<Vec<_>>()
        };
        let (ours, plain) = (timed(&keep(slipping(&car, hz, 60, &slips, true))), timed(&keep(slipping(&car, hz, 60, &[], true))));
        prop_assert!(ours.len() == plain.len() && ours.len() >= 3);
        for ((time_us, ours), (_, plain)) in ours.iter().zip(&plain) {
            prop_assert_eq!(ours.len(), plain.len());
            prop_assert!(ours.iter().zip(plain).all(|(a, b)| (a - b).abs() <= 20), "{:?} against {:?}", ours.iter().zip(plain).find(|(a, b)| (*a - *b).abs() > 20), time_us);
            prop_assert!(ours[0] <= 250_000 && *ours.last().unwrap() + 250_000 >= *time_us);
        }
    }
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
        // And when the lines were crossed, by which cars are ranked.
        for (ours, of) in slipped.laps().iter().zip(plain.laps()) {
            prop_assert!((ours.end_us - of.end_us).abs() <= 60, "lap {}: {} against {}", of.number, ours.end_us, of.end_us);
        }
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
