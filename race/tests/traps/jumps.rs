//! Blank samples, resets and tows: only motion makes a lap.

use super::*;

#[test]
fn a_blank_sample_is_no_motion() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 60);
    let plain = fed(&practice(), &frames).laps();
    for n in [0, 3_000, 4_321] {
        frames[n] = blank(frames[n]);
    }
    let rig = fed(&practice(), &frames);
    assert_eq!(rig.laps().iter().map(|l| (l.number, l.time_us)).collect::<Vec<_>>(), plain.iter().map(|l| (l.number, l.time_us)).collect::<Vec<_>>());
    assert!(rig.laps().iter().all(|l| l.valid()));
}

/// The car stands `before_m` short of the line, and is put `after_m` behind it.
fn put_over_the_line(before_m: f64, after_m: f64, change: impl Fn(&mut CarFrame)) -> Rig {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 99.0, 60));
    let mut stands = car.frames(99.0, 110.0, 60);
    for f in &mut stands {
        let t = f.sim_time_us as f64 / 1e6;
        (f.speed_mps, f.lap_pct) = (0.0, if t < 105.0 { 1.0 - before_m / LENGTH_M } else { after_m / LENGTH_M });
        (f.lap, f.laps_completed) = (2, 1);
        if t >= 105.0 {
            change(f);
        }
    }
    // It rolled from 50 m to `before_m` short of the line in the second before, so that only the reset jumps.
    let at = car.at_m(98.95).rem_euclid(LENGTH_M) / LENGTH_M;
    for f in stands.iter_mut().filter(|f| f.sim_time_us < 100_000_000) {
        let part = (f.sim_time_us as f64 / 1e6 - 98.95) / 1.05;
        (f.lap_pct, f.speed_mps) = (at + (1.0 - before_m / LENGTH_M - at) * part, 50.0);
    }
    rig.frames(&stands);
    rig.end();
    rig
}

#[test]
fn a_reset_over_the_line_is_no_crossing() {
    // Farther than a standing car's noise.
    assert_eq!(put_over_the_line(10.0, 20.0, |_| {}).numbers(), [] as [u32; 0]);
    // Near, but into the stall from the track.
    assert_eq!(
        put_over_the_line(3.0, 5.0, |f| {
            f.track_loc = TrackLoc::PIT_STALL;
            put(f, CarBits::ON_PIT_ROAD);
        })
        .numbers(),
        [] as [u32; 0]
    );
    // The same without any reset is a crossing, so the test can fail.
    assert_eq!(put_over_the_line(3.0, 5.0, |_| {}).numbers(), [2]);
}

#[test]
fn a_reset_through_a_blank_sample_is_no_crossing() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 99.96, 60));
    let mut after = car.frames(99.96, 102.0, 60);
    after[0] = blank(after[0]);
    for f in &mut after[1..] {
        // 2.5 m short of the line at 50 m/s; then standing 1 m behind it.
        (f.lap_pct, f.speed_mps) = (1.0 / LENGTH_M, 0.0);
    }
    rig.frames(&after);
    rig.end();
    // The simulator goes on to count laps here, so the lap counts, and has no time.
    assert_eq!(rig.laps().iter().map(|l| (l.number, l.timed_us())).collect::<Vec<_>>(), [(2, None)]);
}

#[test]
fn a_reset_event_ends_the_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 70.0, 60));
    rig.event(EventCode::RESET, 70 * 60, 70_000_000);
    rig.frames(&car.frames(70.0, 170.0, 60));
    assert_eq!(rig.numbers(), [2, 3]);
    // `lap.jump`: the lap of the reset counts, because the simulator counts it, and has no time.
    assert_eq!(rig.laps().iter().map(|l| l.timed_us().is_some()).collect::<Vec<_>>(), [false, true]);
}

#[test]
fn a_reset_event_over_the_line_opens_no_lap() {
    let mut rig = Rig::new(&practice());
    let mut stands = steady(2_997.0).frames(0.0, 1.0, 60);
    stands.iter_mut().for_each(|f| (f.lap_pct, f.speed_mps) = (0.999, 0.0));
    rig.frames(&stands);
    rig.event(EventCode::RESET, 60, 1_000_000);
    // 6 m on, as far as a standing car's noise would let it: away from there, the next line is at 60.94 s.
    rig.frames(&steady(3_003.0 - 50.0).frames(1.0, 130.0, 60));
    assert_eq!(rig.laps().iter().map(|l| (l.start_us, l.end_us)).collect::<Vec<_>>(), [(60_940_000, 120_940_000)]);
}

#[test]
fn towing_in_place_is_a_reason() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 60);
    within(&mut frames, 70.0, 71.0, |f| put(f, CarBits::TOWING));
    let rig = fed(&practice(), &frames);
    assert_eq!(rig.laps().iter().map(|l| l.reasons).collect::<Vec<_>>(), [Reasons::TOW, Reasons(0)]);
}
