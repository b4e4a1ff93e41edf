//! Race logic against a car whose crossings are known, and properties that hold for all inputs.

#![allow(clippy::unwrap_used)]

mod common;

use std::collections::VecDeque;

use boxbox_race::session::choose;
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::ids::{DriverId, RunId};
use boxbox_schemas::limits::SIM_TIME_MAX_US;
use boxbox_schemas::results::{Lap, Reasons, Tags};
use common::Rig;
use common::synth::{Car, LENGTH_M, Leg, STARTS, blank, practice};
use proptest::prelude::*;

/// A drive of four whole laps, s.
const DRIVE_S: f64 = 220.0;

fn us(seconds: f64) -> i64 {
    (seconds * 1e6).round_ties_even() as i64
}

/// The bound of linear interpolation between frames `dt` apart where the car does at most 25 m/s², plus rounding, µs.
fn bound_us(car: &Car, at_s: f64, dt_s: f64) -> i64 {
    let slowest_mps = car.speed_mps(at_s) - 25.0 * dt_s;
    (25.0 * dt_s * dt_s / (8.0 * slowest_mps.max(10.0)) * 1e6).ceil() as i64 + 1
}

/// Every crossing in every lap of `rig` has the car's true time. `dt_s`: the longest time between two frames around a line.
fn assert_true(rig: &Rig, car: &Car, laps: &[(f64, f64)], dt_s: impl Fn(f64) -> f64) {
    let timed = rig.laps();
    assert_eq!(timed.len(), laps.len(), "{:?}", rig.numbers());
    for (lap, (start, end)) in timed.iter().zip(laps) {
        let lines = STARTS.iter().map(|s| car.time_at(car.at_m(*start) + s * LENGTH_M)).chain([*end]);
        let ours = std::iter::once(lap.start_us).chain(lap.sectors_us.iter().scan(lap.start_us, |at, s| {
            *at += s;
            Some(*at)
        }));
        for (line, ours) in lines.zip(ours) {
            let bound = bound_us(car, line, dt_s(line));
            assert!((ours - us(line)).abs() <= bound, "lap {}: line at {line} s timed as {ours} µs, bound {bound} µs", lap.number);
        }
        assert_eq!(lap.sectors_us.len(), STARTS.len());
    }
}

#[test]
fn crossings_are_true_within_the_bound_at_every_rate() {
    let car = Car::default();
    for hz in [60, 20, 10, 4] {
        let mut rig = Rig::new(&practice());
        rig.frames(&car.frames(0.0, DRIVE_S, hz));
        let laps = car.laps(0.0, DRIVE_S);
        assert_true(&rig, &car, &laps, |_| 1.0 / f64::from(hz));
        let worst = rig.laps().iter().zip(&laps).map(|(l, (s, e))| (l.time_us - us(*e) + us(*s)).abs()).max();
        println!("{hz:2} Hz: worst lap off by {} µs", worst.unwrap());
        assert!(rig.laps().iter().all(|l| l.valid()));
        // The simulator's own times, to 0.1 ms, found each lap.
        assert!(rig.laps().iter().all(|l| l.sim_time_us.is_some_and(|s| (s - l.time_us).abs() < 15_000)));
    }
}

/// `frames` less those at `drop`, and the sequence numbers that go with them.
fn feed_lossy(rig: &mut Rig, frames: &[CarFrame], mut drop: impl FnMut() -> bool) {
    for frame in frames {
        if drop() { rig.missing(1) } else { rig.frame(frame) }
    }
}

/// The time between the two of `times` (µs) around `at_s`.
fn around(times: &[i64], at_s: f64) -> f64 {
    let after = times.partition_point(|t| *t < us(at_s)).clamp(1, times.len() - 1);
    (times[after] - times[after - 1]) as f64 / 1e6
}

fn a_car() -> impl Strategy<Value = Car> {
    (-2_999.0..-1.0, 40.0..80.0f64, 0.2..1.5f64, 0.0..0.5f64).prop_map(|(at_m, mean_mps, omega, swing)| {
        // Never slower than a third of the mean, never harder than 25 m/s².
        let swing_m = (swing * mean_mps / omega).min(25.0 / (omega * omega));
        Car::driving(Leg { from_s: 0.0, at_m, mean_mps, swing_m, omega })
    })
}

fn same_laps(a: &[Lap], b: &[Lap]) -> Result<(), TestCaseError> {
    let key = |l: &Lap| (l.number, l.reasons, l.tags.without(Tags::RESUMED), l.sectors_us.len());
    prop_assert_eq!(a.iter().map(key).collect::<Vec<_>>(), b.iter().map(key).collect::<Vec<_>>());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn jitter_and_loss_keep_every_line_within_its_bound(car in a_car(), seed: u64, hz in prop::sample::select(vec![60u32, 20, 10, 4])) {
        let mut random = fastrand::Rng::with_seed(seed);
        let step_us = 1_000_000 / i64::from(hz);
        let mut frame = |n: i64| car.frame_at(n as u32 + 1, n * step_us + random.i64(0..step_us * 3 / 10));
        let mut frames: Vec<CarFrame> = (0..(DRIVE_S * f64::from(hz)) as i64).map(&mut frame).collect();
        frames.retain(|_| random.u32(0..100) > 0);
        let times: Vec<i64> = frames.iter().map(|f| f.sim_time_us).collect();
        let mut rig = Rig::new(&practice());
        rig.frames(&frames);
        let last_s = *times.last().unwrap() as f64 / 1e6;
        assert_true(&rig, &car, &car.laps(times[0] as f64 / 1e6, last_s), |at| around(&times, at));
    }

    #[test]
    fn resampling_changes_no_lap(car in a_car()) {
        let laps = car.laps(0.0, DRIVE_S).len();
        // A line in the last moments is seen at some rates only.
        prop_assume!(laps == car.laps(0.0, DRIVE_S - 0.3).len());
        let timed = |hz| {
            let mut rig = Rig::new(&practice());
            rig.frames(&car.frames(0.0, DRIVE_S, hz));
            rig.end();
            rig.laps()
        };
        let full = timed(60);
        prop_assert_eq!(full.len(), laps);
        for hz in [30, 20, 10, 6, 4] {
            same_laps(&full, &timed(hz))?;
        }
    }

    #[test]
    fn sectors_sum_exactly(car in a_car(), starts in prop::collection::btree_set(1u32..1_000, 0..20), seed: u64) {
        let mut meta = practice();
        meta.sector_starts = std::iter::once(0.0).chain(starts.iter().map(|s| f64::from(*s) / 1_000.0)).collect();
        let mut random = fastrand::Rng::with_seed(seed);
        let mut rig = Rig::new(&meta);
        feed_lossy(&mut rig, &car.frames(0.0, DRIVE_S, 20), || random.u32(0..20) == 0);
        prop_assert!(!rig.laps().is_empty());
        for lap in rig.laps() {
            prop_assert_eq!(lap.sectors_us.len(), meta.sector_starts.len());
            prop_assert_eq!(lap.sectors_us.iter().sum::<i64>(), lap.time_us);
            prop_assert_eq!(lap.end_us - lap.start_us, lap.time_us);
            prop_assert!(lap.sectors_us.iter().all(|s| *s > 0));
        }
    }

    /// A reset or teleport of any kind, to any place, leaves no lap time that counts.
    #[test]
    fn a_jump_never_makes_a_lap(car in a_car(), at in 5.0..200.0f64, by in 0.03..0.97f64, blanks in 0usize..4, hz in prop::sample::select(vec![60u32, 20, 10]), stands: bool) {
        let mut rig = Rig::new(&practice());
        let mut after = car.clone();
        let jump_s = (at * 20.0).ceil() / 20.0;
        after.legs[0].at_m += by * LENGTH_M;
        rig.frames(&car.frames(0.0, jump_s, hz));
        rig.frames(&car.frames(jump_s, jump_s + blanks as f64 / f64::from(hz), hz).iter().map(|f| blank(*f)).collect::<Vec<_>>());
        let mut then = after.frames(jump_s + blanks as f64 / f64::from(hz), DRIVE_S, hz);
        if stands {
            then[0].speed_mps = 0.0;
        }
        rig.frames(&then);
        rig.end();
        let jump_us = us(jump_s);
        let truth = car.laps(0.0, jump_s - 0.3).len() + after.laps(jump_s + 0.3, DRIVE_S - 0.3).len();
        // A lap over the jump has no time, or is one in which the car left out a part of the track.
        let whole = |l: &Lap| l.end_us <= jump_us || l.start_us >= jump_us - 300_000;
        let told = |l: &Lap| whole(l) || (!l.valid() && (l.timed_us().is_none() || l.reasons.has(Reasons::CUT)));
        prop_assert!(rig.laps().iter().all(told), "a lap over the jump at {jump_us}: {:?}", rig.laps());
        prop_assert!(rig.laps().iter().filter(|l| l.timed_us().is_some()).count() >= truth);
        prop_assert!(rig.laps().iter().filter_map(Lap::timed_us).all(|us| (us - 50_000_000).abs() < 45_000_000));
    }

    /// E11: written and read back at any frame, the state gives the same facts.
    #[test]
    fn a_stored_state_goes_on_the_same(car in a_car(), seed: u64, rewind in 20.0..200.0f64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let (mut plain, mut stored) = (Rig::new(&practice()), Rig::new(&practice()));
        for frame in car.frames(0.0, DRIVE_S, 10) {
            plain.frame(&frame);
            stored.frame(&frame);
            if random.u32(0..10) == 0 {
                prop_assert!(stored.store_and_load() <= 4_096);
            }
            if frame.sim_time_us == us(rewind.floor()) {
                let (tick, to_us) = (frame.tick - 120, frame.sim_time_us - 2_000_000);
                plain.event(EventCode::REWIND, tick, to_us);
                stored.event(EventCode::REWIND, tick, to_us);
            }
        }
        prop_assert_eq!(plain.out.facts, stored.out.facts);
    }

    /// E2: a client restarted at any moment, seconds away or not at all, loses no lap.
    #[test]
    fn a_restart_loses_no_lap(car in a_car(), cuts in prop::collection::vec((1.0..40.0f64, 0.0..12.0f64), 1..4)) {
        let frames = car.frames(0.0, DRIVE_S, 20);
        let (mut whole, mut cut) = (Rig::new(&practice()), Rig::new(&practice()));
        // One in each minute.
        let mut cuts: VecDeque<(f64, f64)> = cuts.iter().zip(0u8..).map(|((at, away), minute)| (60.0 * f64::from(minute) + at, *away)).collect();
        let mut away_until = 0;
        for frame in &frames {
            whole.frame(frame);
            if let Some((at, away)) = cuts.pop_front_if(|(at, _)| frame.sim_time_us >= us(*at)) {
                away_until = us(at + away);
                cut.restart();
            }
            if frame.sim_time_us >= away_until {
                cut.frame(frame);
            }
        }
        whole.end();
        cut.end();
        // Only the part after the last frame can be missing. Up to a second away, a line is off by a·Δt²/(8v) at most.
        let heard = whole.laps().into_iter().filter(|l| l.end_us <= us(DRIVE_S - 12.0)).collect::<Vec<_>>();
        for lap in &heard {
            let resumed = cut.lap(lap.number);
            let estimated = resumed.tags.has(Tags::TIMING_ESTIMATED);
            prop_assert!(estimated || resumed.start_us.abs_diff(lap.start_us) < 100_000, "lap {}: {resumed:?}", lap.number);
            prop_assert!(estimated || resumed.end_us.abs_diff(lap.end_us) < 100_000);
            prop_assert_eq!(resumed.sectors_us.iter().sum::<i64>(), resumed.time_us);
            prop_assert!(!estimated || resumed.reasons.has(Reasons::DISCONTINUITY));
        }
    }

    /// E4, F4: after rewinds to anywhere, each lap is there once, and it is the one driven last.
    #[test]
    fn rewinds_leave_each_lap_once(
        car in a_car(),
        rewinds in prop::collection::vec((5.0..60.0f64, 0.0..75.0f64, 45.0..75.0f64), 1..5),
        inclusive: bool,
        hz in prop::sample::select(vec![60u32, 20]),
    ) {
        let mut car = car;
        let mut rig = Rig::new(&practice());
        let every = 60 / hz;
        let mut tick = 0u32;
        for (drive, back, mean_mps) in rewinds {
            let until = tick + (drive * f64::from(hz)) as u32 * every;
            while tick < until {
                rig.frame(&car.frame(tick, 60.0));
                tick += every;
            }
            tick = tick.saturating_sub((back * f64::from(hz)) as u32 * every);
            let to_us = us(f64::from(tick) / 60.0);
            rig.event(EventCode::REWIND, tick, to_us);
            car.then(to_us as f64 / 1e6, mean_mps, 10.0, 0.7);
            if !inclusive {
                tick += every;
            }
        }
        let until = tick + 100 * 60;
        while tick < until {
            rig.frame(&car.frame(tick, 60.0));
            tick += every;
        }
        rig.end();
        let end_s = f64::from(tick - every) / 60.0;
        let truth = car.laps(0.0, end_s);
        let timed = rig.laps();
        // After a rewind beyond the laps that are kept, laps may begin with the next line: none may be wrong or there twice.
        for lap in &timed {
            let near = |(s, e): &&(f64, f64)| (lap.start_us - us(*s)).abs() < 20_000 && (lap.end_us - us(*e)).abs() < 20_000;
            prop_assert_eq!(truth.iter().filter(near).count(), 1, "lap {} {}..{} is not among {:?}", lap.number, lap.start_us, lap.end_us, &truth);
            prop_assert_eq!(lap.sectors_us.iter().sum::<i64>(), lap.time_us);
        }
        prop_assert_eq!(timed.len(), truth.len(), "{:?} of {:?}", timed.iter().map(|l| (l.start_us, l.end_us)).collect::<Vec<_>>(), truth);
    }

    /// For all input that an edge accepts now or accepted once (W7): no panic, no endless loop, no lap that contradicts itself.
    #[test]
    fn nonsense_is_survived(seed: u64) {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut meta = practice();
        meta.session_type = ["Race", "Practice", ""][random.usize(0..3)].into();
        meta.track_length_m = [0.0, 1.0, 250.0, 3_000.0, 1_000_000.0, 1e30][random.usize(0..6)];
        let mut rig = Rig::new(&meta);
        let car = Car::default();
        let (mut tick, mut at_us) = (0u32, 0i64);
        for _ in 0..400 {
            // Mostly a car that drives, at any rate; now and then anything.
            let calm = random.u32(0..10) > 0;
            let steps = [1, 10, 300, 3_000];
            let step = if calm { 10 } else { steps[random.usize(0..4)] };
            (tick, at_us) = (tick.saturating_add(step), at_us + i64::from(step) * 50_000 / 3);
            if random.u32(0..50) == 0 {
                at_us = random.i64(-SIM_TIME_MAX_US..=SIM_TIME_MAX_US);
            }
            let mut frame = car.frame_at(tick, at_us.rem_euclid(3_600_000_000));
            frame.sim_time_us = at_us.clamp(-SIM_TIME_MAX_US, SIM_TIME_MAX_US);
            if !calm {
                frame.presence = Presence(random.u64(..));
                frame.lap_pct = random.f64() * 2.0 - 0.5;
                frame.speed_mps = random.f32() * 150.0;
                frame.lap_dist_m = Some(f32::from_bits(random.u32(..))).filter(|m| m.is_finite()).unwrap_or(f32::MAX);
                frame.last_lap_time_us = random.i64(-SIM_TIME_MAX_US..=SIM_TIME_MAX_US);
                (frame.lap, frame.laps_completed) = (random.i16(..), random.i16(..));
                (frame.bits, frame.flags_seen) = (CarBits(random.u16(..)), Flags(random.u32(..)));
                frame.incident_count = random.u16(..);
                (frame.track_loc, frame.session_state) = (TrackLoc(random.i8(-1..4)), SessionState(random.u8(0..7)));
            }
            rig.frame(&frame);
            match random.u32(0..100) {
                0 => {
                    tick = tick.saturating_sub(random.u32(0..10_000));
                    at_us -= random.i64(-1_000_000..200_000_000);
                    rig.event(EventCode::REWIND, tick, at_us);
                }
                1 => rig.event(EventCode(random.u16(..)), random.u32(..), random.i64(..)),
                2 => rig.restart(),
                3 => rig.missing(random.u64(0..1_000)),
                4 => tick = tick.saturating_sub(1_000),
                _ => {}
            }
            prop_assert!(rig.store_and_load() <= 4_096);
        }
        rig.end();
        for lap in rig.laps() {
            prop_assert!(lap.time_us >= 0 && lap.time_us == lap.end_us - lap.start_us, "{lap:?}");
            prop_assert!(lap.sectors_us.is_empty() == lap.tags.has(Tags::NO_SECTORS));
            prop_assert!(lap.sectors_us.is_empty() || lap.sectors_us.iter().sum::<i64>() == lap.time_us);
            prop_assert!(lap.sectors_us.iter().all(|s| *s >= 0), "{lap:?}");
            prop_assert!(lap.number >= 1 && !lap.spans.is_empty() && lap.spans.iter().all(|s| s.first_seq < s.next_seq));
        }
    }

    /// E3a: the choice is the same in any order of arrival.
    #[test]
    fn the_choice_does_not_depend_on_arrival(facts in prop::collection::vec(a_fact(), 1..8), seed: u64) {
        let chosen = choose(facts.iter());
        let mut shuffled = facts.clone();
        fastrand::Rng::with_seed(seed).shuffle(&mut shuffled);
        prop_assert_eq!(choose(shuffled.iter()), chosen.clone());
        prop_assert_eq!(chosen.is_none(), facts.iter().all(|f| f.superseded));
        prop_assert!(chosen.is_none_or(|c| !c.superseded));
    }
}

prop_compose! {
    /// A fact that differs from the others in the values that the choice compares; equal (stream, timeline, revision) have equal content.
    fn a_fact()(driver in 0u8..2, run in 0u8..2, timeline in 0u32..2, revision in 1u32..3, superseded: bool) -> Lap {
        let mix = u32::from(driver) * 7 + u32::from(run) * 3 + timeline * 5 + revision;
        let mut rig = Rig::new(&practice());
        rig.frames(&Car::default().frames(0.0, 70.0, 4));
        let mut lap = rig.lap(1);
        lap.driver = DriverId::new(["a", "b"][usize::from(driver)]).unwrap();
        lap.run = RunId([run; 16]);
        (lap.timeline, lap.revision, lap.frames) = (timeline, revision, 100 + mix % 3);
        lap.superseded = superseded && timeline == 0;
        lap.settled = revision == 2;
        lap.tags.set(Tags::TIMING_ESTIMATED, mix % 2 == 0);
        lap.reasons.set(Reasons::DISCONTINUITY, mix % 5 == 0);
        lap
    }
}

#[test]
fn the_choice_prefers_in_the_order_of_the_rule() {
    let mut rig = Rig::new(&practice());
    rig.frames(&Car::default().frames(0.0, 70.0, 4));
    let base = rig.lap(1);
    let with = |change: fn(&mut Lap)| {
        let mut lap = base.clone();
        lap.driver = DriverId::new("zz").unwrap();
        change(&mut lap);
        lap
    };
    let better = |a: &Lap, b: &Lap| choose([b, a].into_iter()).as_ref() == Some(a) && choose([a, b].into_iter()).as_ref() == Some(a);
    assert!(better(&with(|l| l.driver = DriverId::new("a").unwrap()), &with(|_| {})), "lowest driver");
    assert!(better(&with(|l| l.run = RunId([0; 16])), &with(|_| {})), "lowest run");
    assert!(better(&with(|l| l.frames += 1), &base), "most frames");
    assert!(better(&with(|_| {}), &with(|l| (l.run, l.reasons, l.frames) = (RunId([0; 16]), Reasons::DISCONTINUITY, 9_999))), "complete");
    assert!(
        better(&with(|l| l.reasons = Reasons::DISCONTINUITY), &with(|l| (l.run, l.tags) = (RunId([0; 16]), Tags::TIMING_ESTIMATED))),
        "own before field"
    );
    assert!(better(&with(|l| (l.timeline, l.frames) = (1, 2)), &with(|_| {})), "newest timeline of its stream");
    assert_eq!(choose([&with(|l| l.superseded = true)].into_iter()), None);
}
