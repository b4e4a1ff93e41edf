//! Rewinds of the simulator and restarts of the client.

use super::*;

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
    // The frame before the line has number 400; the oldest ranges of frames are merged.
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
        let laps: Vec<_> = rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us)).collect();
        assert_eq!(laps, [(2, 40_000_000, 100_000_000), (3, 100_000_000, 160_000_000), (4, 160_000_000, 220_000_000)], "line at {line_s} s");
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
        let timed = rig.laps().into_iter().filter(|l| l.timed_us().is_some());
        assert_eq!(timed.map(|l| (l.start_us, l.end_us)).collect::<Vec<_>>(), [(line_us, line_us + 60_000_000)]);
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
    // Faster, so that the lap that the rewind undoes has more frames than the new one.
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
