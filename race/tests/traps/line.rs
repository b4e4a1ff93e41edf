//! The line: at an angle, backwards, standing on it.

use super::*;

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
        let rig = fed(&practice(), &frames);
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
    let rig = fed(&practice(), &frames);
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
    let rig = fed(&practice(), &frames);
    assert_eq!(rig.laps().len(), 2);
    assert_eq!(rig.laps()[0].start_us, 40_000_000, "the first crossing counts");
}

#[test]
fn standing_on_the_line_makes_no_lap() {
    let mut frames = steady(0.0).frames(0.0, 30.0, 60);
    for (n, f) in frames.iter_mut().enumerate() {
        (f.lap_pct, f.speed_mps) = (if n % 2 == 0 { 0.999_995 } else { 0.000_005 }, 0.1);
    }
    assert_eq!(fed(&practice(), &frames).facts_of_the_car(), []);
}

#[test]
fn driving_round_the_wrong_way_makes_no_lap() {
    let mut frames = Car::driving(Leg { from_s: 0.0, at_m: 10_000.0, mean_mps: -40.0, swing_m: 0.0, omega: 1.0 }).frames(0.0, 200.0, 20);
    frames.iter_mut().for_each(|f| f.speed_mps = 40.0);
    assert_eq!(fed(&practice(), &frames).facts_of_the_car(), []);
}
