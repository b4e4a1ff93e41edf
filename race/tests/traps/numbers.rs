//! Laps at a join, and their numbers: the simulator's counter lags, flickers, or is absent.

use super::*;

#[test]
fn the_part_of_a_lap_at_join_is_no_lap() {
    let rig = fed(&practice(), &steady(1_000.0).frames(0.0, 170.0, 60));
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
    assert_eq!(fed(&practice(), &frames).numbers(), [9, 10, 11, 12]);
}

#[test]
fn without_a_counter_laps_are_counted_from_one() {
    let mut frames = steady(1_000.0).frames(0.0, 170.0, 20);
    frames.iter_mut().for_each(|f| f.presence = f.presence.without(Presence::LAP.with(Presence::LAPS_COMPLETED)));
    assert_eq!(fed(&practice(), &frames).numbers(), [1, 2]);
}

#[test]
fn after_a_break_numbers_are_aligned_again() {
    let car = steady(1_000.0);
    let mut rig = Rig::new(&practice());
    rig.frames(&car.frames(0.0, 110.0, 20));
    // Two whole laps pass unseen.
    rig.frames(&car.frames(240.0, 410.0, 20));
    assert_eq!(rig.numbers(), [2, 5, 6, 7]);
    assert_eq!(rig.lap(5).timed_us(), None, "no client saw it begin");
}

/// A log written before edges refused such distances may hold one, and a stored state the length learnt from it.
#[test]
fn a_length_that_no_lap_has_is_not_believed() {
    let frames = steady(1_000.0).frames(0.0, 290.0, 60);
    let unknown = SessionMeta { track_length_m: 0.0, ..practice() };
    let expected: Vec<_> = fed(&unknown, &frames).laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
    assert_eq!(expected.len(), 4);
    let as_expected = |meta: &SessionMeta, frames: &[CarFrame], of: &str| {
        let laps: Vec<_> = fed(meta, frames).laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
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
