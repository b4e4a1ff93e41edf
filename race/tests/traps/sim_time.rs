//! The simulator's own time of a lap: when it comes, differs, or never comes.

use super::*;

/// Laps of 60 s with the simulator's "last lap" as `last` says for each frame.
fn with_last_lap(last: impl Fn(f64) -> i64) -> Rig {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, 60);
    frames.iter_mut().for_each(|f| f.last_lap_time_us = last(f.sim_time_us as f64 / 1e6));
    fed(&practice(), &frames)
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
    let laps: Vec<_> =
        rig.out.facts.iter().filter_map(|f| if let Fact::Lap(l) = f { Some((l.number, l.revision, l.settled)) } else { None }).collect();
    assert_eq!(laps[..2], [(2, 1, false), (2, 2, true)], "once at the line, once settled");
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
