//! The start of a race: which light counts, and for which cars.

use super::*;

#[test]
fn race_lap_1_runs_from_the_green_light() {
    let rig = fed(&race(), &standing_start());
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
    // The light was not seen: lap 1 has no time.
    let rig = fed(&race(), &frames);
    assert_eq!((rig.numbers(), rig.lap(1).timed_us()), (vec![1, 2, 3], None));
}

#[test]
fn a_state_that_falls_back_in_mid_race_changes_nothing() {
    let mut frames = standing_start();
    within(&mut frames, 81.0, 82.0, |f| f.session_state = SessionState::PARADE);
    assert_eq!(fed(&race(), &frames).numbers(), [1, 2, 3]);
}

#[test]
fn an_unknown_session_with_a_start_light_is_a_race() {
    let meta = SessionMeta { session_type: String::new(), ..race() };
    assert_eq!(fed(&meta, &standing_start()).lap(1).start_us, 20_000_000);
}

#[test]
fn a_start_light_in_practice_means_nothing() {
    let rig = fed(&practice(), &standing_start());
    assert_eq!(rig.lap(1).start_us, 21_520_000, "from line to line");
    assert!(!rig.lap(1).tags.has(Tags::FIRST_LAP));
}

#[test]
fn who_joins_after_the_light_has_a_lap_1_without_a_time() {
    let frames = standing_start();
    for joined_s in [20.5, 21.2, 22.0, 40.0, 79.0] {
        let late: Vec<_> = frames.iter().copied().filter(|f| f.sim_time_us > (joined_s * 1e6) as i64).collect();
        let rig = fed(&race(), &late);
        assert_eq!(rig.numbers(), [1, 2, 3], "joined at {joined_s} s");
        let first = rig.lap(1);
        assert_eq!((first.timed_us(), first.whole(), first.tags.has(Tags::FIRST_LAP)), (None, true, false), "joined at {joined_s} s");
    }
}

#[test]
fn who_was_not_in_the_world_at_the_light_has_a_lap_1_without_a_time() {
    let mut frames = standing_start();
    within(&mut frames, 0.0, 20.5, |f| *f = blank(*f));
    let rig = fed(&race(), &frames);
    assert_eq!((rig.numbers(), rig.lap(1).timed_us()), (vec![1, 2, 3], None));
}

#[test]
fn a_second_light_is_no_second_start() {
    let mut frames = standing_start();
    within(&mut frames, 100.0, 103.0, |f| *f = flagged(*f, Flags::START_GO));
    assert_eq!(fed(&race(), &frames).numbers(), [1, 2, 3]);
}

#[test]
fn a_rolling_start_counts_from_the_green_flag() {
    // Two parade laps, over the line at 12 and 72 s, to the green flag at 130 s, 100 m short of the line. They are no laps.
    let car = Car::driving(Leg { from_s: 0.0, at_m: -100.0 - 130.0 * 50.0, mean_mps: 50.0, swing_m: 0.0, omega: 1.0 });
    let mut frames = car.frames(0.0, 270.0, 60);
    within(&mut frames, 0.0, 130.5, |f| (f.session_state, f.lap, f.laps_completed) = (SessionState::PARADE, 0, -1));
    within(&mut frames, 130.0, 160.0, |f| *f = flagged(*f, Flags::GREEN));
    let rig = fed(&race(), &frames);
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
    let rig = fed(&race(), &frames);
    assert_eq!(rig.numbers(), [1, 2, 3]);
    assert!(rig.laps().iter().all(|l| !l.tags.has(Tags::FIRST_LAP)));
}

#[test]
fn a_start_from_the_pits_is_an_out_lap() {
    let mut frames = standing_start();
    within(&mut frames, 0.0, 30.0, |f| put(f, CarBits::ON_PIT_ROAD));
    let rig = fed(&race(), &frames);
    assert_eq!(rig.lap(1).reasons, Reasons::OUT_LAP);
    assert_eq!(rig.lap(2).reasons, Reasons(0));
}

#[test]
fn a_rewind_to_the_frame_of_the_light_starts_again() {
    let frames = standing_start();
    let light = frames.iter().position(|f| f.sim_time_us >= 20_000_000).unwrap();
    let mut rig = Rig::new(&race());
    rig.frames(&frames[..light + 600]);
    rig.event(EventCode::REWIND, frames[light].tick, frames[light].sim_time_us - 1);
    rig.frames(&frames[light..]);
    rig.end();
    assert_eq!(
        rig.laps().iter().map(|l| (l.number, l.start_us, l.time_us)).collect::<Vec<_>>()[..2],
        [(1, 20_000_000, 61_520_000), (2, 81_520_000, 60_000_000)]
    );
}
