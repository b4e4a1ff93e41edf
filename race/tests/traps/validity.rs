//! Reasons and tags of laps.

use super::*;

fn reasons_of_laps(hz: u32, change: impl Fn(&mut [CarFrame])) -> Vec<Reasons> {
    let mut frames = steady(1_000.0).frames(0.0, 230.0, hz);
    change(&mut frames);
    fed(&practice(), &frames).laps().iter().map(|l| l.reasons).collect()
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
    assert!(fed(&practice(), &frames).laps().iter().all(|l| l.valid()));
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
    let rig = fed(&practice(), &frames);
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
    let rig = fed(&practice(), &frames);
    assert_eq!(rig.laps().iter().map(|l| (l.tags, l.valid())).collect::<Vec<_>>(), [(Tags::HAD_YELLOW, true), (Tags(0), true)]);
}

/// `validity.pace`: a full-course caution or a red flag, also for one tick between two frames; a local yellow does nothing.
#[test]
fn a_lap_under_caution_or_red_is_no_best_lap() {
    for (flag, reasons) in [(Flags::CAUTION, Reasons::PACE), (Flags::RED, Reasons::PACE), (Flags::YELLOW, Reasons(0)), (Flags::DEBRIS, Reasons(0))] {
        for hz in [60, 20, 10, 4] {
            let mut frames = steady(1_000.0).frames(0.0, 170.0, hz);
            within(&mut frames, 70.0, 70.3, |f| f.flags_seen = flag);
            let rig = fed(&practice(), &frames);
            assert_eq!(rig.laps().iter().map(|l| l.reasons).collect::<Vec<_>>(), [reasons, Reasons(0)], "{flag:?} at {hz} Hz");
        }
    }
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
