//! Each trap that real simulators set for laps, by name.

mod common;

use boxbox_race::stream::{Fact, Reports};
use boxbox_schemas::event::EventCode;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, TrackLoc};
use boxbox_schemas::meta::{MetaEntry, SessionMeta};
use boxbox_schemas::results::{Reasons, Tags};
use common::CarState;
use common::Rig;
use common::synth::{Car, LENGTH_M, Leg, blank, flagged, practice, race};

/// 50 m/s, steady, from `at_m`: laps of exactly 60 s.
fn steady(at_m: f64) -> Car {
    Car::driving(Leg { from_s: 0.0, at_m, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 })
}

fn told(meta: &SessionMeta, frames: &[CarFrame]) -> Rig {
    let mut rig = Rig::new(meta);
    rig.frames(frames);
    rig.end();
    rig
}

/// `frames` changed where session time, in s, is within `from_s..to_s`.
fn within(frames: &mut [CarFrame], from_s: f64, to_s: f64, change: impl Fn(&mut CarFrame)) {
    let us = |s: f64| (s * 1e6) as i64;
    frames.iter_mut().filter(|f| (us(from_s)..us(to_s)).contains(&f.sim_time_us)).for_each(change);
}

fn put(frame: &mut CarFrame, bit: CarBits) {
    frame.bits = frame.bits.with(bit);
    frame.bits_seen = frame.bits_seen.with(bit);
}

// ---- joining, numbers -------------------------------------------------------------------------------------------

#[test]
fn the_part_of_a_lap_at_join_is_no_lap() {
    let rig = told(&practice(), &steady(1_000.0).frames(0.0, 170.0, 60));
    // Lines at 40, 100 and 160 s: two whole laps, the second and third the simulator counts.
    assert_eq!(
        rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect::<Vec<_>>(),
        [(2, 40_000_000, 100_000_000), (3, 100_000_000, 160_000_000)]
    );
}

#[test]
fn numbers_are_the_simulators_and_survive_its_lag() {
    let mut frames = steady(1_000.0).frames(0.0, 290.0, 60);
    frames.iter_mut().for_each(|f| f.lap += 7);
    // The counter flickers for a second after each line.
    for line in [40.0, 100.0, 160.0] {
        within(&mut frames, line, line + 0.3, |f| f.lap += 1);
        within(&mut frames, line + 0.3, line + 1.3, |f| f.lap -= 1);
    }
    assert_eq!(told(&practice(), &frames).numbers(), [9, 10, 11, 12]);
}

#[test]
fn without_a_counter_laps_are_counted_from_one() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 20);
    frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::LAP.with(Presence::LAPS_COMPLETED)));
    assert_eq!(told(&practice(), &frames).numbers(), [1, 2]);
}

#[test]
fn after_a_break_numbers_are_aligned_again() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 110.0, 20));
    // Two whole laps pass unseen.
    rig.frames(&car.frames(240.0, 410.0, 20));
    assert_eq!(rig.numbers(), [2, 6, 7]);
}

/// A log written before edges refused such distances may hold one, and a stored state the length learnt from it.
#[test]
fn a_length_that_no_lap_has_is_not_believed() {
    let frames = steady(1_000.0).frames(0.0, 290.0, 60);
    let unknown = SessionMeta { track_length_m: 0.0, ..practice() };
    let expected: Vec<_> = told(&unknown, &frames).laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
    assert_eq!(expected.len(), 4);
    let as_expected = |meta: &SessionMeta, frames: &[CarFrame], of: &str| {
        let laps: Vec<_> = told(meta, frames).laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
        assert_eq!(laps, expected, "{of}");
    };
    for absurd in [1e30, -1e30, 2e6, f32::MAX, f32::MIN] {
        let mut lying = frames.clone();
        // Once, and from then on.
        for every in [frames.len(), 1] {
            lying.iter_mut().step_by(every).for_each(|f| (f.presence, f.lap_dist_m) = (f.presence.with(Presence::LAP_DIST), absurd));
            as_expected(&unknown, &lying, &format!("{absurd} m round the lap"));
        }
        as_expected(&SessionMeta { track_length_m: absurd.into(), ..practice() }, &frames, &format!("a description with {absurd} m"));
    }
}

// ---- the line ---------------------------------------------------------------------------------------------------

#[test]
fn angled_lines() {
    // 0.95 → -0.04, and 1.04 → 0.05: the fraction itself jumps at the line, and the lap still takes 60 s but for that jump.
    for (from, to) in [(0.95, -0.04), (1.04, 0.05)] {
        let mut frames = steady(1_000.0).frames(0.0, 170.0, 60);
        for f in &mut frames {
            let x = f.lap_pct;
            f.lap_pct = match () {
                () if from < 1.0 && x >= 0.96 => x - 1.0,
                () if from > 1.0 && x < 0.04 => x + 1.0,
                () => x,
            };
        }
        let jump = frames.windows(2).find(|w| (w[1].lap_pct - w[0].lap_pct).abs() > 0.5).unwrap();
        assert!((jump[0].lap_pct - from).abs() < 0.015 && (jump[1].lap_pct - to).abs() < 0.015, "{} → {}", jump[0].lap_pct, jump[1].lap_pct);
        let rig = told(&practice(), &frames);
        assert_eq!(rig.numbers(), [2, 3], "{from} → {to}");
        assert!(rig.laps().iter().all(|l| (l.time_us - 60_000_000).abs() <= 1 && l.valid()), "{:?}", rig.laps());
    }
}

#[test]
fn an_angled_line_that_jumps_by_a_hundredth_of_the_lap() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 60);
    // 0.95 is followed by -0.04, which is 30 m on, and the rest of the way to the line is shorter for it.
    for f in frames.iter_mut().filter(|f| f.lap_pct > 0.95) {
        f.lap_pct = (f.lap_pct - 1.0) * 0.8;
    }
    let rig = told(&practice(), &frames);
    assert_eq!(rig.numbers(), [2, 3]);
    assert!(rig.laps().iter().all(|l| (l.time_us - 60_000_000).abs() <= 1));
}

#[test]
fn backwards_over_the_line_and_forwards_again_is_one_lap() {
    // A spin just behind the line: forward over it, back over it, forward again.
    let turns = [(0.0, 50.0), (41.0, -10.0), (47.0, 30.0), (50.0, -20.0), (55.0, 50.0)];
    let mut car = steady(1_000.0);
    for (t, mps) in &turns[1..] {
        let at_m = car.at_m(*t);
        car.legs.push(Leg { from_s: *t, at_m, mean_mps: *mps, swing_m: 0.0, omega: 1.0 });
    }
    let mut frames = car.frames(0.0, 200.0, 60);
    frames.iter_mut().for_each(|f| f.speed_mps = f.speed_mps.abs());
    let rig = told(&practice(), &frames);
    assert_eq!(rig.laps().len(), 2);
    assert_eq!(rig.laps()[0].start_us, 40_000_000, "the first crossing counts");
}

#[test]
fn standing_on_the_line_makes_no_lap() {
    let mut frames = steady(0.0).frames(0.0, 30.0, 60);
    for (n, f) in frames.iter_mut().enumerate() {
        (f.lap_pct, f.speed_mps) = (if n % 2 == 0 { 0.999_995 } else { 0.000_005 }, 0.1);
    }
    assert_eq!(told(&practice(), &frames).out.facts, []);
}

#[test]
fn driving_round_the_wrong_way_makes_no_lap() {
    let mut frames = Car::driving(Leg { from_s: 0.0, at_m: 10_000.0, mean_mps: -40.0, swing_m: 0.0, omega: 1.0 }).frames(0.0, 200.0, 20);
    frames.iter_mut().for_each(|f| f.speed_mps = 40.0);
    assert_eq!(told(&practice(), &frames).out.facts, []);
}

// ---- blank samples, resets, tows --------------------------------------------------------------------------------

#[test]
fn a_blank_sample_is_no_motion() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 60);
    let plain = told(&practice(), &frames).laps();
    for n in [0, 3_000, 4_321] {
        frames[n] = blank(frames[n]);
    }
    let rig = told(&practice(), &frames);
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
    assert_eq!(rig.out.facts, []);
}

#[test]
fn a_reset_event_ends_the_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 70.0, 60));
    rig.event(EventCode::RESET, 70 * 60, 70_000_000);
    rig.frames(&car.frames(70.0, 170.0, 60));
    assert_eq!(rig.numbers(), [3], "the lap reset in is none, and the next keeps its number");
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
    let rig = told(&practice(), &frames);
    assert_eq!(rig.laps().iter().map(|l| l.reasons).collect::<Vec<_>>(), [Reasons::TOW, Reasons(0)]);
}

// ---- the start of a race ----------------------------------------------------------------------------------------

/// A standing start 26 m short of the line: lights at 20 s, off at 50 m/s at 21 s. Lines at 21.52, 81.52, 141.52 s.
fn standing_start() -> Vec<CarFrame> {
    let mut car = Car::driving(Leg { from_s: 0.0, at_m: -26.0, mean_mps: 0.0, swing_m: 0.0, omega: 1.0 });
    car.then(21.0, 50.0, 0.0, 1.0);
    let mut frames = car.frames(0.0, 210.0, 60);
    // As in a real one, the state follows 1.1 s after the light.
    within(&mut frames, 0.0, 21.1, |f| f.session_state = SessionState::WARMUP);
    within(&mut frames, 0.0, 22.1, |f| (f.lap, f.laps_completed) = (0, -1));
    within(&mut frames, 20.0, 25.0, |f| *f = flagged(*f, Flags::START_GO.with(Flags::GREEN)));
    // 0 → 1 at green → 2 at the line → 1 a second later.
    within(&mut frames, 20.0, 21.52, |f| f.lap = 1);
    within(&mut frames, 21.52, 22.52, |f| f.lap = 2);
    within(&mut frames, 22.52, 81.0, |f| f.lap = 1);
    // The simulator, too, times lap 1 from the light.
    within(&mut frames, 83.02, 143.02, |f| f.last_lap_time_us = 61_520_000);
    frames
}

#[test]
fn race_lap_1_runs_from_the_green_light() {
    let rig = told(&race(), &standing_start());
    assert_eq!(rig.numbers(), [1, 2, 3]);
    let first = rig.lap(1);
    assert_eq!((first.start_us, first.end_us), (20_000_000, 81_520_000));
    assert_eq!(first.tags, Tags::FIRST_LAP.with(Tags::START_ESTIMATED));
    assert_eq!(first.sectors_us.iter().sum::<i64>(), 61_520_000);
    assert_eq!(rig.lap(2).time_us, 60_000_000);
}

#[test]
fn the_session_state_is_not_the_light() {
    let mut frames = standing_start();
    frames.iter_mut().for_each(|f| (f.flags, f.flags_seen) = (Flags(0), Flags(0)));
    // Nobody saw the light: what is left of lap 1 is no lap.
    assert_eq!(told(&race(), &frames).numbers(), [2, 3]);
}

#[test]
fn a_state_that_falls_back_in_mid_race_changes_nothing() {
    let mut frames = standing_start();
    within(&mut frames, 81.0, 82.0, |f| f.session_state = SessionState::PARADE);
    assert_eq!(told(&race(), &frames).numbers(), [1, 2, 3]);
}

#[test]
fn an_unknown_session_with_a_start_light_is_a_race() {
    let meta = SessionMeta { session_type: String::new(), ..race() };
    assert_eq!(told(&meta, &standing_start()).lap(1).start_us, 20_000_000);
}

#[test]
fn a_start_light_in_practice_means_nothing() {
    let rig = told(&practice(), &standing_start());
    assert_eq!(rig.lap(1).start_us, 21_520_000, "from line to line");
    assert!(!rig.lap(1).tags.has(Tags::FIRST_LAP));
}

#[test]
fn who_joins_after_the_light_has_no_lap_1() {
    let frames = standing_start();
    for joined_s in [20.5, 21.2, 22.0, 40.0] {
        let late: Vec<_> = frames.iter().copied().filter(|f| f.sim_time_us > (joined_s * 1e6) as i64).collect();
        assert_eq!(told(&race(), &late).numbers(), [2, 3], "joined at {joined_s} s");
    }
}

#[test]
fn who_was_not_in_the_world_at_the_light_has_no_lap_1() {
    let mut frames = standing_start();
    within(&mut frames, 0.0, 20.5, |f| *f = blank(*f));
    assert_eq!(told(&race(), &frames).numbers(), [2, 3]);
}

#[test]
fn a_second_light_is_no_second_start() {
    let mut frames = standing_start();
    within(&mut frames, 100.0, 103.0, |f| *f = flagged(*f, Flags::START_GO));
    assert_eq!(told(&race(), &frames).numbers(), [1, 2, 3]);
}

#[test]
fn a_rolling_start_counts_from_the_green_flag() {
    // Two parade laps, over the line at 12 and 72 s, to the green flag at 130 s, 100 m short of the line. They are no laps.
    let car = Car::driving(Leg { from_s: 0.0, at_m: -100.0 - 130.0 * 50.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 });
    let mut frames = car.frames(0.0, 270.0, 60);
    within(&mut frames, 0.0, 130.5, |f| (f.session_state, f.lap, f.laps_completed) = (SessionState::PARADE, 0, -1));
    within(&mut frames, 130.0, 160.0, |f| *f = flagged(*f, Flags::GREEN));
    let rig = told(&race(), &frames);
    assert_eq!(
        rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect::<Vec<_>>(),
        [(1, 130_000_000, 192_000_000), (2, 192_000_000, 252_000_000)]
    );
}

#[test]
fn a_light_in_mid_race_is_no_start() {
    let mut frames = standing_start();
    within(&mut frames, 110.0, 113.0, |f| *f = flagged(*f, Flags::START_GO));
    frames.retain(|f| f.sim_time_us > 40_000_000);
    assert_eq!(told(&race(), &frames).numbers(), [2, 3]);
}

#[test]
fn a_start_from_the_pits_is_an_out_lap() {
    let mut frames = standing_start();
    within(&mut frames, 0.0, 30.0, |f| put(f, CarBits::ON_PIT_ROAD));
    let rig = told(&race(), &frames);
    assert_eq!(rig.lap(1).reasons, Reasons::OUT_LAP);
    assert_eq!(rig.lap(2).reasons, Reasons(0));
}

// ---- pits -------------------------------------------------------------------------------------------------------

fn with_pits(intervals: &[(f64, f64)], hz: u32) -> Vec<Reasons> {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, hz);
    for (from, to) in intervals {
        within(&mut frames, *from, *to, |f| put(f, CarBits::ON_PIT_ROAD));
    }
    told(&practice(), &frames).laps().iter().map(|l| l.reasons).collect()
}

#[test]
fn in_laps_and_out_laps() {
    let (fly, into, out) = (Reasons(0), Reasons::IN_LAP, Reasons::OUT_LAP);
    for hz in [60, 20, 10, 4] {
        // Laps 40-100, 100-160, 160-220.
        assert_eq!(with_pits(&[], hz), [fly, fly, fly]);
        assert_eq!(with_pits(&[(95.0, 105.0)], hz), [into, out, fly], "a pit lane over the line");
        assert_eq!(with_pits(&[(105.0, 115.0)], hz), [fly, into, fly], "a pit lane behind the line: left in the lap it was entered in");
        assert_eq!(with_pits(&[(0.0, 45.0)], hz), [out, fly, fly], "joined in the pits");
        assert_eq!(with_pits(&[(95.0, 105.0), (155.0, 165.0)], hz), [into, into.with(out), out], "one lap between two stops");
        assert_eq!(with_pits(&[(95.0, 170.0)], hz), [into, out, out], "a lap of the pit lane");
    }
}

/// Entering and crossing the line between the same two frames: half-way between them is when the pits were entered.
#[test]
fn the_pits_entered_in_the_interval_of_the_line() {
    for (line_s, reasons) in [(100.2, [Reasons::IN_LAP, Reasons::OUT_LAP]), (99.8, [Reasons(0), Reasons::IN_LAP])] {
        // Frames at 99.75 and 100.25 s.
        let mut frames = steady(3_000.0 - (line_s - 60.0) * 50.0).frames(0.25, 170.0, 2);
        within(&mut frames, 100.0, 110.0, |f| put(f, CarBits::ON_PIT_ROAD));
        let rig = told(&practice(), &frames);
        assert_eq!(rig.laps().iter().map(|l| l.reasons).collect::<Vec<_>>(), reasons, "line at {line_s} s");
    }
}

#[test]
fn the_pits_without_the_simulators_pit_road() {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, 20);
    frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::PIT_ROAD));
    within(&mut frames, 95.0, 105.0, |f| f.track_loc = TrackLoc::PIT_APPROACH);
    within(&mut frames, 101.0, 103.0, |f| f.track_loc = TrackLoc::PIT_STALL);
    let reasons: Vec<_> = told(&practice(), &frames).laps().iter().map(|l| l.reasons).collect();
    assert_eq!(reasons, [Reasons::IN_LAP, Reasons::OUT_LAP, Reasons(0)]);
}

// ---- missing stretches ------------------------------------------------------------------------------------------

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
    // Not for a driver who is away for long: he did not drive there.
    let mut frames = steady(1_000.0).frames(0.0, 130.0, 60);
    frames.retain(|f| f.sim_time_us < 60_000_000 || f.sim_time_us > 64_000_000);
    within(&mut frames, 60.0, 500.0, |f| (f.tick, f.sim_time_us) = (f.tick + 24_000, f.sim_time_us + 400_000_000));
    assert_eq!(told(&practice(), &frames).numbers(), [] as [u32; 0]);
    // Without a count, only where there is one way: 12 s are less than a lap at any speed, 40 s are not.
    let uncounted = |from_s: f64, to_s: f64| {
        let mut frames = steady(1_000.0).frames(0.0, 230.0, 60);
        frames.retain(|f| f.sim_time_us < (from_s * 1e6) as i64 || f.sim_time_us >= (to_s * 1e6) as i64);
        frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::LAP));
        told(&practice(), &frames).numbers()
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
    assert_eq!(rig.numbers(), [] as [u32; 0]);
    // Not by a counter that ticks over before the line.
    let mut frames = steady(1_000.0).frames(0.0, 130.0, 60);
    within(&mut frames, 99.8, 100.0, |f| f.lap += 1);
    frames.retain(|f| f.sim_time_us < 60_000_000 || f.sim_time_us > 99_850_000);
    assert_eq!(told(&practice(), &frames).numbers(), [] as [u32; 0]);
    // Not for laps whose two ends nobody saw.
    assert_eq!(without_frames(85.0, 185.0).numbers(), [] as [u32; 0]);
}

#[test]
fn frames_behind_the_last_are_left_out_and_counted() {
    let frames = steady(1_000.0).frames(0.0, 170.0, 60);
    let plain = told(&practice(), &frames);
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

// ---- the simulator's own time -----------------------------------------------------------------------------------

/// Laps of 60 s with the simulator's "last lap" as `last` says for each frame.
fn with_last_lap(last: impl Fn(f64) -> i64) -> Rig {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, 60);
    frames.iter_mut().for_each(|f| f.last_lap_time_us = last(f.sim_time_us as f64 / 1e6));
    told(&practice(), &frames)
}

#[test]
fn the_simulators_time_is_the_first_change_after_the_line() {
    let rig = with_last_lap(|t| if t < 102.2 { 71_000_000 } else { 60_000_300 });
    let lap = rig.lap(2);
    assert_eq!((lap.time_us, lap.sim_time_us, lap.settled, lap.revision, lap.tags), (60_000_000, Some(60_000_300), true, 2, Tags(0)));
}

#[test]
fn the_simulators_time_in_the_frame_of_the_line() {
    let rig = with_last_lap(|t| if t < 100.0 { 71_000_000 } else { 60_000_300 });
    assert_eq!(rig.lap(2).sim_time_us, Some(60_000_300));
}

#[test]
fn a_time_that_differs_is_kept_beside_ours() {
    let rig = with_last_lap(|t| if t < 102.0 { 0 } else { 60_060_000 });
    let lap = rig.lap(2);
    assert_eq!((lap.time_us, lap.sim_time_us, lap.tags), (60_000_000, Some(60_060_000), Tags::SIM_TIME_DIFFERS));
}

#[test]
fn a_time_that_never_comes_is_not_waited_for() {
    let rig = with_last_lap(|t| if t < 105.5 { 71_000_000 } else { 60_000_300 });
    let lap = rig.lap(2);
    assert_eq!((lap.sim_time_us, lap.settled, lap.revision), (None, true, 2));
    let told: Vec<_> =
        rig.out.facts.iter().filter_map(|f| if let Fact::Lap(l) = f { Some((l.number, l.revision, l.settled)) } else { None }).collect();
    assert_eq!(told[..2], [(2, 1, false), (2, 2, true)], "once at the line, once settled");
}

#[test]
fn a_deleted_time_is_none() {
    assert_eq!(with_last_lap(|t| if t < 102.0 { 71_000_000 } else { -1 }).lap(2).sim_time_us, None);
}

#[test]
fn two_equal_laps_in_a_row() {
    let rig = with_last_lap(|t| if t < 102.0 { 0 } else { 60_000_000 });
    assert!(rig.laps().iter().take(2).all(|l| l.sim_time_us == Some(60_000_000)), "{:?}", rig.laps());
}

// ---- reasons and tags -------------------------------------------------------------------------------------------

fn reasons_of_laps(hz: u32, change: impl Fn(&mut [CarFrame])) -> Vec<Reasons> {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, hz);
    change(&mut frames);
    told(&practice(), &frames).laps().iter().map(|l| l.reasons).collect()
}

#[test]
fn off_track_for_long_enough_and_fast_enough() {
    let (off, fly) = (Reasons::OFF_TRACK, Reasons(0));
    for hz in [60, 20, 10] {
        let laps = |seconds: f64, mps: f32| {
            reasons_of_laps(hz, |frames| within(frames, 70.01, 70.01 + seconds, |f| (f.track_loc, f.speed_mps) = (TrackLoc::OFF_TRACK, mps)))
        };
        assert_eq!(laps(0.1, 50.0), [fly, fly, fly], "{hz} Hz");
        assert_eq!(laps(0.35, 50.0), [off, fly, fly], "{hz} Hz");
    }
    // Creeping over the grass is no excursion.
    let mut car = steady(1_000.0);
    car.then(70.0, 1.5, 0.0, 1.0);
    car.then(73.0, 50.0, 0.0, 1.0);
    let mut frames = car.frames(0.0, 230.0, 60);
    within(&mut frames, 70.0, 73.0, |f| f.track_loc = TrackLoc::OFF_TRACK);
    assert!(told(&practice(), &frames).laps().iter().all(|l| l.valid()));
}

#[test]
fn an_incident_belongs_to_the_lap_of_the_counters_tick() {
    let laps = reasons_of_laps(60, |frames| {
        within(frames, 99.97, 500.0, |f| f.incident_count = 1);
        within(frames, 160.01, 500.0, |f| f.incident_count = 5);
    });
    assert_eq!(laps, [Reasons::INCIDENT, Reasons(0), Reasons::INCIDENT]);
}

#[test]
fn a_counter_that_is_absent_or_blank_makes_no_step() {
    let mut frames = steady(1_000.0).frames(0.0, 130.0, 60);
    frames.iter_mut().for_each(|f| f.incident_count = 4);
    within(&mut frames, 50.0, 50.1, |f| f.incident_count = 0);
    within(&mut frames, 60.0, 60.1, |f| (f.presence, f.incident_count) = (f.presence.without(Presence::INCIDENTS), 0));
    within(&mut frames, 70.0, 70.02, |f| {
        *f = blank(*f);
        f.incident_count = 9;
    });
    within(&mut frames, 80.0, 500.0, |f| f.incident_count = 1);
    within(&mut frames, 90.0, 500.0, |f| f.incident_count = 3);
    let rig = told(&practice(), &frames);
    assert_eq!(rig.incidents().iter().map(|s| (s.from, s.to, s.sim_time_us)).collect::<Vec<_>>(), [(1, 3, 90_000_000)]);
    assert_eq!(rig.lap(2).reasons, Reasons::INCIDENT);
}

#[test]
fn the_simulators_invalid_flag_lags_behind_the_line() {
    let laps = reasons_of_laps(60, |frames| within(frames, 90.0, 100.5, |f| put(f, CarBits::SIM_LAP_INVALID)));
    assert_eq!(laps, [Reasons::SIM_INVALID, Reasons(0), Reasons(0)]);
    let both = reasons_of_laps(60, |frames| within(frames, 90.0, 120.0, |f| put(f, CarBits::SIM_LAP_INVALID)));
    assert_eq!(both, [Reasons::SIM_INVALID, Reasons::SIM_INVALID, Reasons(0)]);
}

#[test]
fn a_yellow_of_one_tick_tags_the_lap() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 10);
    // A pulse between two frames: only the latch saw it.
    within(&mut frames, 70.0, 70.1, |f| f.flags_seen = Flags::YELLOW_WAVING);
    let rig = told(&practice(), &frames);
    assert_eq!(rig.laps().iter().map(|l| (l.tags, l.valid())).collect::<Vec<_>>(), [(Tags::HAD_YELLOW, true), (Tags(0), true)]);
}

#[test]
fn a_driver_swap_tags_the_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 70.0, 20));
    rig.event(EventCode::DRIVER_SWAP, 70 * 60, 70_000_000);
    rig.frames(&car.frames(70.0, 170.0, 20));
    assert_eq!(rig.laps().iter().map(|l| l.tags).collect::<Vec<_>>(), [Tags::DRIVER_SWAP, Tags(0)]);
}

// ---- rewinds and restarts ---------------------------------------------------------------------------------------

#[test]
fn a_flashback_within_the_lap_takes_back_what_it_undoes() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    let mut first = car.frames(0.0, 90.0, 60);
    within(&mut first, 80.0, 500.0, |f| {
        f.incident_count = 4;
        f.track_loc = TrackLoc::OFF_TRACK;
    });
    rig.frames(&first);
    rig.event(EventCode::REWIND, 75 * 60, 75_000_000);
    rig.frames(&car.frames(75.0, 170.0, 60));
    let lap = rig.lap(2);
    assert_eq!((lap.start_us, lap.end_us, lap.reasons, lap.timeline), (40_000_000, 100_000_000, Reasons(0), 1));
    assert_eq!(lap.spans.len(), 2, "{:?}", lap.spans);
    assert_eq!(rig.incidents(), []);
}

#[test]
fn a_lap_of_many_flashbacks_keeps_its_frames() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 50.0, 10));
    for back in 0..8u32 {
        rig.frames(&car.frames(f64::from(50 + back), f64::from(54 + back), 10));
        rig.event(EventCode::REWIND, (51 + back) * 60, i64::from(51 + back) * 1_000_000);
    }
    rig.frames(&car.frames(58.0, 110.0, 10));
    let lap = rig.lap(2);
    // The frame before the line has number 400; the oldest runs of frames are told as one.
    assert_eq!((lap.spans[0].first_seq, lap.spans.len()), (400, 5), "{:?}", lap.spans);
    assert!(lap.spans.windows(2).all(|w| w[0].next_seq <= w[1].first_seq));
    assert!((595..=605).contains(&lap.frames), "{}", lap.frames);
}

#[test]
fn a_flashback_over_the_line_takes_back_the_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 102.0, 60));
    assert_eq!(rig.numbers(), [2]);
    rig.event(EventCode::REWIND, 95 * 60, 95_000_000);
    assert_eq!(rig.numbers(), [] as [u32; 0]);
    // Slower this time.
    let mut again = car.clone();
    again.then(95.0, 25.0, 0.0, 1.0);
    rig.frames(&again.frames(95.0, 170.0, 60));
    assert_eq!(rig.laps().iter().map(|l| (l.number, l.end_us)).collect::<Vec<_>>(), [(2, 105_000_000)]);
}

/// The first frame after the rewind is already behind a line that lies behind the moment returned to.
#[test]
fn a_line_between_the_moment_returned_to_and_the_next_frame() {
    let car = steady(1_000.0);
    let line_s = |x: f64| car.time_at(3_000.0 + x * LENGTH_M);
    // The finish, a sector line, and the line that opens the first lap.
    for (line_s, back_s) in [(100.0, 12.0), (line_s(0.50526), 12.0), (40.0, 12.0), (40.0, 30.0), (160.0, 70.0)] {
        let tick = ((line_s - 0.001) * 60.0).floor() as u32;
        let mut rig = Rig::new(&practice());
        rig.frames(&car.frames(0.0, line_s + back_s, 60));
        rig.event(EventCode::REWIND, tick, i64::from(tick) * 50_000 / 3);
        rig.frames(&car.frames((f64::from(tick) + 0.5) / 60.0, 230.0, 60));
        let told: Vec<_> = rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
        assert_eq!(told, [(2, 40_000_000, 100_000_000), (3, 100_000_000, 160_000_000), (4, 160_000_000, 220_000_000)], "line at {line_s} s");
        let splits: Vec<_> = [0.260837, 0.505260, 0.662425, 1.0].map(|x| (x * 60e6_f64).round() as i64).to_vec();
        let ends = |l: &boxbox_schemas::results::Lap| {
            l.sectors_us
                .iter()
                .scan(0, |at, s| {
                    *at += s;
                    Some(*at)
                })
                .collect::<Vec<_>>()
        };
        assert!(rig.laps().iter().all(|l| ends(l).iter().zip(&splits).all(|(a, b)| (a - b).abs() <= 1)), "{:?}", rig.laps());
        assert!(rig.laps().iter().all(|l| l.valid()));
    }
}

#[test]
fn a_rewind_to_the_grid_side_of_the_line() {
    // To the moment between the light and the line: behind the line in the lap, before it in place.
    let frames = standing_start();
    let mut rig = Rig::new(&race());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < 50_000_000));
    rig.event(EventCode::REWIND, 20 * 60 + 30, 20_500_000);
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= 20_500_000));
    assert_eq!(rig.numbers(), [1, 2, 3]);
    assert_eq!((rig.lap(1).start_us, rig.lap(1).end_us, rig.lap(1).sectors_us.len()), (20_000_000, 81_520_000, 4));
}

#[test]
fn a_rewind_that_puts_the_car_elsewhere_ends_the_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 80.0, 60));
    // To 50 s, in the first sector; but the car is in the last one, or in the second: lines at 62, or at 83 s.
    for (at_m, line_us) in [(2_900.0, 62_000_000), (-1_150.0, 83_000_000)] {
        let mut rig = rig.clone();
        rig.event(EventCode::REWIND, 50 * 60, 50_000_000);
        rig.frames(&steady(at_m).frames(50.0, 170.0, 60));
        assert_eq!(rig.laps().iter().map(|l| (l.start_us, l.end_us)).collect::<Vec<_>>(), [(line_us, line_us + 60_000_000)]);
    }
}

#[test]
fn points_kept_through_a_flashback_are_a_step_again() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    let mut first = car.frames(0.0, 90.0, 60);
    within(&mut first, 80.0, 500.0, |f| f.incident_count = 2);
    rig.frames(&first);
    rig.event(EventCode::REWIND, 70 * 60, 70_000_000);
    let mut again = car.frames(70.0, 110.0, 60);
    again.iter_mut().for_each(|f| f.incident_count = 2);
    rig.frames(&again);
    assert_eq!(rig.incidents().iter().map(|s| (s.from, s.to, s.timeline, s.sim_time_us)).collect::<Vec<_>>(), [(0, 2, 1, 70_000_000)]);
}

#[test]
fn a_rewind_lost_in_a_gap_is_seen_by_the_ticks() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 102.0, 60));
    rig.missing(5);
    rig.frames(&car.frames(90.0, 170.0, 60));
    assert_eq!(rig.laps().iter().map(|l| (l.number, l.timeline)).collect::<Vec<_>>(), [(2, 1), (3, 1)]);
    assert_eq!(rig.race.ignored(), 0);
}

#[test]
fn ticks_that_begin_again_cost_nothing() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 70.0, 60));
    rig.event(EventCode::REWIND, 0, 70_000_000);
    let mut rest = car.frames(70.0, 170.0, 60);
    rest.iter_mut().enumerate().for_each(|(n, f)| f.tick = n as u32);
    rig.frames(&rest);
    rig.end();
    assert_eq!(rig.laps().iter().map(|l| (l.number, l.time_us, l.valid())).collect::<Vec<_>>(), [(2, 60_000_000, true), (3, 60_000_000, true)]);
}

#[test]
fn a_race_rewound_to_before_its_start_starts_again() {
    let frames = standing_start();
    let mut rig = Rig::new(&race());
    rig.frames(frames.iter().filter(|f| f.sim_time_us < 50_000_000));
    rig.event(EventCode::REWIND, 10 * 60, 10_000_000);
    rig.frames(frames.iter().filter(|f| f.sim_time_us >= 10_000_000));
    assert_eq!(rig.numbers(), [1, 2, 3]);
    assert_eq!(rig.lap(1).start_us, 20_000_000);
}

#[test]
fn a_restart_then_a_flashback_before_it_leaves_each_lap_once() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 102.0, 60));
    rig.restart();
    rig.frames(&car.frames(102.0, 104.0, 60));
    rig.event(EventCode::REWIND, 95 * 60, 95_000_000);
    let mut again = car.clone();
    // Faster, so that the lap undone has more frames to speak for it.
    again.then(95.0, 62.5, 0.0, 1.0);
    rig.frames(&again.frames(95.0, 170.0, 60));
    let lap = rig.lap(2);
    assert_eq!((lap.end_us, lap.ctx_run()), (99_000_000, 2));
    assert!(lap.tags.has(Tags::RESUMED));
}

trait RunNumber {
    fn ctx_run(&self) -> u8;
}
impl RunNumber for boxbox_schemas::results::Lap {
    fn ctx_run(&self) -> u8 {
        self.run.0[0]
    }
}

#[test]
fn a_restart_between_the_line_and_the_simulators_time() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 100.5, 60));
    rig.restart();
    rig.frames(&car.frames(100.5, 130.0, 60));
    let lap = rig.lap(2);
    assert_eq!((lap.sim_time_us, lap.settled), (Some(60_000_000), true));
    assert!(!lap.tags.has(Tags::RESUMED), "it was over before the restart");
}

#[test]
fn a_resumed_lap_carries_both_runs_frames() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 70.0, 10));
    rig.restart();
    rig.frames(&car.frames(70.0, 130.0, 10));
    let lap = rig.lap(2);
    assert!(lap.tags.has(Tags::RESUMED) && lap.valid());
    // Metadata takes sequence number 0; the frame before the line is 399, the first of the new run 1.
    assert_eq!(lap.spans.iter().map(|s| (s.run.0[0], s.first_seq, s.next_seq)).collect::<Vec<_>>(), [(1, 400, 701), (2, 1, 302)]);
    assert_eq!(u64::from(lap.frames), lap.spans.iter().map(|s| s.next_seq - s.first_seq).sum::<u64>());
}

#[test]
fn a_restart_over_the_line_carries_both_runs_frames() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 99.95, 10));
    rig.restart();
    rig.frames(&car.frames(100.05, 170.0, 10));
    let spans = |n: u32| rig.lap(n).spans.iter().map(|s| (s.run.0[0], s.first_seq, s.next_seq)).collect::<Vec<_>>();
    assert_eq!(spans(2), [(1, 400, 1_001), (2, 1, 2)]);
    assert_eq!(spans(3), [(1, 1_000, 1_001), (2, 1, 602)]);
    assert!(rig.laps().iter().all(|l| l.valid() && l.tags == Tags::RESUMED && (l.time_us - 60_000_000).abs() <= 1));
}

// ---- metadata ---------------------------------------------------------------------------------------------------

#[test]
fn without_metadata_there_are_laps_of_one_sector() {
    let rig = told(&SessionMeta::default(), &steady(1_000.0).frames(0.0, 170.0, 20));
    assert_eq!(rig.numbers(), [2, 3]);
    assert!(rig.laps().iter().all(|l| l.sectors_us == [l.time_us] && l.tags == Tags(0)));
}

#[test]
fn sector_lines_that_move_under_a_lap() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 80.0, 20));
    let meta = SessionMeta { sector_starts: vec![0.0, 0.3, 0.5, 0.9], ..practice() };
    rig.race.on_meta(&rig.ctx, &meta, &mut rig.out);
    rig.frames(&car.frames(80.0, 170.0, 20));
    assert_eq!((rig.lap(2).sectors_us.len(), rig.lap(2).tags), (0, Tags::NO_SECTORS));
    assert_eq!((rig.lap(3).sectors_us.len(), rig.lap(3).tags), (4, Tags(0)));
}

#[test]
fn a_team_competes_where_teams_do() {
    let mut race = CarState::new();
    let ctx = common::context(1);
    assert_eq!(race.entry(ctx.driver).as_str(), "driver-1");
    let entry = |slot, team_id| MetaEntry { slot, team_id, ..MetaEntry::default() };
    let mut meta = SessionMeta { team_racing: 1, own_slot: 9, entries: vec![entry(9, 5), entry(ctx.slot, u64::MAX)], ..practice() };
    race.on_meta(&ctx, &meta, &mut Reports::default());
    assert_eq!(race.entry(ctx.driver).as_str(), format!("t:{}", u64::MAX));
    meta.team_racing = 0;
    race.on_meta(&ctx, &meta, &mut Reports::default());
    assert_eq!(race.entry(ctx.driver).as_str(), "driver-1");
}

// ---- stored state -----------------------------------------------------------------------------------------------

/// F8: a state stored by an earlier build is read and goes on. The blob is of the first build: version 1, which had its version
/// beside it.
#[test]
fn the_first_stored_state_is_still_read() {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/common/golden/race_state_1.msgpack");
    let stored = [vec![1], std::fs::read(golden).unwrap()].concat();
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.restart();
    rig.race = CarState::decode(&stored).unwrap().unwrap();
    rig.seq = 10_000;
    let mut frames = car.frames(161.0, 230.0, 20);
    frames.iter_mut().for_each(|f| f.incident_count = 3);
    rig.frames(&frames);
    // Lap 3 ended at 160 s, before the state was stored, and settles after it; lap 4 began before and ends after.
    assert_eq!(
        rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us, l.sim_time_us)).collect::<Vec<_>>(),
        [(3, 100_000_000, 160_000_000, Some(60_000_000)), (4, 160_000_000, 220_000_000, Some(60_000_000))]
    );
    assert_eq!((rig.lap(3).reasons, rig.lap(3).revision, rig.lap(3).timeline), (Reasons::INCIDENT, 2, 1));
    assert_eq!(rig.incidents().iter().map(|s| (s.from, s.to)).collect::<Vec<_>>(), [(2, 3)]);
}

// ---- bounds -----------------------------------------------------------------------------------------------------

/// 64 sectors, ids of 40 characters, restarts and rewinds in every lap.
#[test]
fn the_largest_state_fits() {
    let mut meta = practice();
    meta.sector_starts = (0..64).map(|n| f64::from(n) / 64.0 + if n == 0 { 0.0 } else { 0.001_234_567 }).collect();
    meta.team_racing = 1;
    meta.entries = vec![MetaEntry { slot: 3, team_id: u64::MAX, ..MetaEntry::default() }];
    let car = steady(1_000.0);
    let mut rig = Rig::new(&meta);
    rig.ctx.driver = boxbox_schemas::ids::DriverId::new(&"d".repeat(40)).unwrap();
    rig.seq = 1 << 40;
    let mut largest = 0;
    for second in 0..500u32 {
        let mut frames = car.frames(f64::from(second), f64::from(second + 1), 4);
        frames.iter_mut().for_each(|f| {
            // Late in a day-long race, where times take most bytes.
            (f.tick, f.sim_time_us) = (f.tick + 4_800_000, f.sim_time_us + 80_000_000_000);
            (f.presence, f.fuel_l) = (f.presence.with(Presence::FUEL), 30.0);
            f.incident_count = second as u16;
            (f.flags, f.flags_seen) = (Flags(second % 7), Flags::YELLOW);
            put(f, CarBits::TOWING);
            put(f, CarBits::SIM_LAP_INVALID);
            f.track_loc = TrackLoc::OFF_TRACK;
        });
        rig.frames(&frames);
        if second % 13 == 12 {
            rig.restart();
            rig.seq = 1 << 40;
        }
        if second % 11 == 10 {
            rig.event(EventCode::REWIND, (second + 1) * 60 + 4_800_000, i64::from(second + 1) * 1_000_000 + 80_000_000_000);
        }
        largest = largest.max(rig.store_and_load());
    }
    println!("largest state: {largest} bytes");
    assert!(largest <= 4_096);
    assert!(rig.laps().len() >= 5);
}
