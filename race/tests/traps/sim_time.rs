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

/// `validity.refused`: what the simulator shows from the crossing of lap 2 on, and whether it has refused the lap.
#[test]
fn a_lap_without_a_time_was_refused() {
    // (last lap before, last lap after, when it changes, whether it is refused)
    for (before, after, since_s, refused) in [
        (71_000_000, -1, 102.0, true),
        (71_000_000, -1_000_000, 104.9, true),
        (-1, -1, 102.0, true),
        (71_000_000, -1, 105.5, false),
        (71_000_000, 0, 102.0, false),
        (0, 0, 102.0, false),
        (71_000_000, 71_000_000, 102.0, false),
        (-1, 60_000_300, 102.0, false),
        (-1, 60_000_300, 104.9, false),
    ] {
        let rig = with_last_lap(|t| {
            if t < since_s {
                before
            } else if t < 159.0 {
                after
            } else {
                60_000_400
            }
        });
        let lap = rig.lap(2);
        assert_eq!(lap.reasons, if refused { Reasons::SIM_INVALID } else { Reasons(0) }, "{before} then {after} at {since_s} s");
        assert_eq!((lap.settled, lap.time_us, lap.revision), (true, 60_000_000, 2));
        assert!(rig.lap(3).valid());
    }
}

#[test]
fn a_lap_that_the_simulator_has_not_counted_is_not_refused() {
    let told = |change: fn(&mut CarFrame)| {
        let mut frames = steady(1_000.0).frames(0.0, 230.0, 60);
        frames.iter_mut().for_each(|f| f.last_lap_time_us = -1);
        within(&mut frames, 40.0, 110.0, change);
        fed(&practice(), &frames)
    };
    assert_eq!(told(|_| {}).lap(2).reasons, Reasons::SIM_INVALID);
    // The counter stands still, is not shown, or the lap came out of the pits.
    assert_eq!(told(|f| (f.lap, f.laps_completed) = (2, 1)).lap(2).reasons, Reasons(0));
    assert_eq!(told(|f| f.presence = f.presence.without(Presence::LAP).without(Presence::LAPS_COMPLETED)).laps()[0].reasons, Reasons(0));
    assert_eq!(
        told(|f| if f.sim_time_us < 50_000_000 {
            put(f, CarBits::ON_PIT_ROAD)
        })
        .lap(2)
        .reasons,
        Reasons::OUT_LAP
    );
}
