//! Stretches without frames, and frames that come late or twice.

use super::*;

fn without_frames(from_s: f64, to_s: f64) -> Rig {
    let frames = steady(1_000.0).frames(0.0, 230.0, 60);
    let gone = (from_s * 1e6) as i64..(to_s * 1e6) as i64;
    let mut rig = Rig::new(&practice());
    for f in &frames {
        if gone.contains(&f.sim_time_us) { rig.missing(1) } else { rig.frame(f) }
    }
    rig.end();
    rig
}

#[test]
fn a_moment_missing_over_the_line_changes_nothing() {
    let rig = without_frames(99.6, 100.4);
    assert!(rig.laps().iter().all(|l| l.valid() && l.tags == Tags(0) && (l.time_us - 60_000_000).abs() <= 1));
}

#[test]
fn a_stretch_missing_over_the_line_makes_the_timing_estimated() {
    let rig = without_frames(98.0, 103.0);
    assert_eq!(rig.numbers(), [2, 3, 4]);
    for lap in &rig.laps()[..2] {
        assert!(lap.tags.has(Tags::TIMING_ESTIMATED) && lap.reasons == Reasons::DISCONTINUITY, "{lap:?}");
        assert!((lap.time_us - 60_000_000).abs() <= 1, "steady driving is interpolated exactly");
    }
    assert!(rig.lap(4).valid());
}

#[test]
fn a_stretch_missing_within_the_lap_leaves_a_lap_that_does_not_count_for_best() {
    // Between two lines, so no time is estimated.
    let rig = without_frames(62.0, 66.0);
    assert_eq!(rig.numbers(), [2, 3, 4]);
    assert_eq!((rig.lap(2).reasons, rig.lap(2).tags, rig.lap(2).time_us), (Reasons::DISCONTINUITY, Tags(0), 60_000_000));
    assert_eq!(rig.lap(3).reasons, Reasons(0));
}

#[test]
fn half_a_lap_missing_is_bridged_by_the_simulators_count() {
    let rig = without_frames(55.0, 95.0);
    assert_eq!(rig.numbers(), [2, 3, 4]);
    assert_eq!(rig.lap(2).reasons, Reasons::DISCONTINUITY);
    // Over the line, too.
    let rig = without_frames(85.0, 125.0);
    assert_eq!(rig.numbers(), [2, 3, 4]);
    assert!(rig.lap(2).tags.has(Tags::TIMING_ESTIMATED) && rig.lap(3).tags.has(Tags::TIMING_ESTIMATED));
    let untimed = |rig: &Rig| rig.laps().iter().map(|l| (l.number, l.timed_us().is_some())).collect::<Vec<_>>();
    // Not for a driver who is away for long: the lap has no time.
    let mut frames = steady(1_000.0).frames(0.0, 130.0, 60);
    frames.retain(|f| f.sim_time_us < 60_000_000 || f.sim_time_us > 64_000_000);
    within(&mut frames, 60.0, 500.0, |f| (f.tick, f.sim_time_us) = (f.tick + 24_000, f.sim_time_us + 400_000_000));
    assert_eq!(untimed(&fed(&practice(), &frames)), [(2, false)]);
    // Without a count, only where there is one way: 12 s are less than a lap at any speed, 40 s are not.
    let uncounted = |from_s: f64, to_s: f64| {
        let mut frames = steady(1_000.0).frames(0.0, 230.0, 60);
        frames.retain(|f| f.sim_time_us < (from_s * 1e6) as i64 || f.sim_time_us >= (to_s * 1e6) as i64);
        frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::LAP));
        fed(&practice(), &frames).numbers()
    };
    assert_eq!(uncounted(55.0, 67.0), [2, 3, 4]);
    assert_eq!(uncounted(92.0, 104.0), [2, 3, 4]);
    assert_eq!(uncounted(55.0, 95.0), [3, 4]);
    // Not into the stall, where a reset leads.
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 55.0, 60));
    let mut stands = car.frames(95.0, 96.0, 60);
    stands.iter_mut().for_each(|f| {
        f.track_loc = TrackLoc::PIT_STALL;
        put(f, CarBits::ON_PIT_ROAD);
    });
    rig.frames(&stands);
    rig.frames(&car.frames(96.0, 130.0, 60));
    assert_eq!(untimed(&rig), [(2, false)]);
    // Not by a counter that ticks over before the line.
    let mut frames = steady(1_000.0).frames(0.0, 130.0, 60);
    within(&mut frames, 99.8, 100.0, |f| f.lap += 1);
    frames.retain(|f| f.sim_time_us < 60_000_000 || f.sim_time_us > 99_850_000);
    assert_eq!(untimed(&fed(&practice(), &frames)), [(2, false)]);
    // Two whole laps are not bridged, because no crossing was seen. The lap that the car was in afterwards has no time.
    assert_eq!(untimed(&without_frames(85.0, 185.0)), [(4, false)]);
}

#[test]
fn frames_behind_the_last_are_left_out_and_counted() {
    let frames = steady(1_000.0).frames(0.0, 170.0, 60);
    let plain = fed(&practice(), &frames);
    let mut rig = Rig::new(&practice());
    for (n, f) in frames.iter().enumerate() {
        rig.frame(f);
        if n % 100 == 50 {
            rig.frame(&frames[n - 40]);
        }
    }
    rig.end();
    let times = |rig: &Rig| rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us, l.frames)).collect::<Vec<_>>();
    assert_eq!(times(&rig), times(&plain));
    assert_eq!(rig.race.ignored(), frames.len() as u64 / 100 + u64::from(frames.len() % 100 > 50));
}

#[test]
fn a_replay_is_not_driven() {
    let frames = steady(1_000.0).frames(0.0, 170.0, 60);
    let mut shown = steady(-500.0).frames(0.0, 5.0, 60);
    shown.iter_mut().for_each(|f| {
        put(f, CarBits::REPLAY);
        (f.tick, f.sim_time_us) = (f.tick + 100_000, f.sim_time_us + 900_000_000);
    });
    let mut rig = Rig::new(&practice());
    rig.frames(&frames[..4_000]);
    rig.frames(&shown);
    rig.frames(&frames[4_000..]);
    rig.end();
    assert_eq!(rig.numbers(), [2, 3]);
    assert!(rig.laps().iter().all(|l| l.valid()));
    assert_eq!(rig.race.ignored(), 0);
}

/// The counter is half a second late. 160 m beyond the line, and 50 m before it, it has long been right.
#[test]
fn the_count_is_read_near_the_line_where_it_is_settled() {
    for from_m in [160.0, 300.0, 440.0, 2_950.0] {
        for gap_s in [35.0, 40.0, 56.0, 70.0] {
            // Over the line at 40, 100, 160, 220 s; the gap begins in the lap from 40 s on.
            let mut frames = steady(1_000.0).frames(0.0, 290.0, 60);
            let gap_us = |s: f64| ((40.0 + from_m / 50.0 + s) * 1e6) as i64;
            frames.retain(|f| !(gap_us(0.0)..gap_us(gap_s)).contains(&f.sim_time_us));
            let back_m = (from_m + gap_s * 50.0) % 3_000.0;
            // The times of two whole laps that are missing are not known.
            if !(160.0..2_960.0).contains(&back_m) || from_m + gap_s * 50.0 >= 6_000.0 {
                continue;
            }
            let laps = fed(&practice(), &frames).laps();
            assert_eq!(laps.iter().map(|l| l.number).collect::<Vec<_>>(), [2, 3, 4, 5], "{from_m} m, {gap_s} s");
            assert_eq!(laps[3].end_us, 280_000_000);
        }
    }
}
