//! Laps of real recordings against the simulator's own times. The recordings come from BOXBOX_TESTDATA.

mod common;

use boxbox_schemas::frame::Flags;
use boxbox_schemas::results::{LOOPS, Lap, PitKind, Reasons, Tags};
use common::{Rig, csv};

const PHILLIP_ISLAND: &str = "phillipisland_f4_race_60hz_DEV_laps0-5.csv.gz";
/// iRacing's own times of laps 1 to 5, µs.
const IRACING_US: [i64; 5] = [99_583_100, 92_556_400, 91_987_900, 91_316_700, 91_603_400];

fn phillip_island(test: &str, stride: usize) -> Option<Rig> {
    let frames = csv::recording(test, PHILLIP_ISLAND)?;
    let mut rig = Rig::new(&csv::phillip_island());
    rig.frames(frames.iter().step_by(stride));
    rig.end();
    Some(rig)
}

#[test]
fn phillip_island_laps_are_iracings() {
    let Some(rig) = phillip_island("phillip_island_laps_are_iracings", 1) else { return };
    let laps = rig.laps();
    for lap in &laps {
        println!(
            "lap {}: {} µs, iRacing {:?}, sectors {:?}, {:?} {:?}",
            lap.number,
            lap.time_us,
            lap.sim_time_us,
            lap.sectors_us,
            lap.reasons.names(),
            lap.tags.names()
        );
    }
    assert_eq!(rig.numbers(), [1, 2, 3, 4, 5]);
    for (lap, own_us) in laps.iter().zip(IRACING_US) {
        assert_eq!(lap.sim_time_us, Some(own_us), "lap {}", lap.number);
        assert_eq!(lap.sectors_us.iter().sum::<i64>(), lap.time_us);
        assert_eq!(lap.end_us - lap.start_us, lap.time_us);
        assert!(lap.settled && lap.revision == 2);
    }
    for (lap, own_us) in laps.iter().zip(IRACING_US).skip(1) {
        assert!((lap.time_us - own_us).abs() <= 1_500, "lap {}: {} against {own_us}", lap.number, lap.time_us);
        assert_eq!((lap.reasons, lap.tags), (Reasons(0), Tags(0)));
    }
}

#[test]
fn phillip_island_lap_1_runs_from_the_green_light() {
    let Some(rig) = phillip_island("phillip_island_lap_1_runs_from_the_green_light", 1) else { return };
    let lap = rig.lap(1);
    // The light is in the sample at 82.1000, and session time had run ahead by a tick (`clock.slip`); iRacing's own time puts it at most
    // a tick earlier.
    assert_eq!(lap.start_us, 82_083_333);
    let short_us = IRACING_US[0] - lap.time_us;
    assert!((0..=16_700).contains(&short_us), "{short_us}");
    assert_eq!(lap.tags, Tags::FIRST_LAP.with(Tags::START_ESTIMATED));
    assert_eq!(lap.reasons, Reasons::INCIDENT, "the counter rose at 111.4 s");
}

#[test]
fn phillip_island_lap_2_sectors() {
    let Some(rig) = phillip_island("phillip_island_lap_2_sectors", 1) else { return };
    let sectors = rig.lap(2).sectors_us;
    for (ours, expected) in sectors.iter().zip([29_786_600, 28_242_800, 34_526_700]) {
        assert!((ours - expected).abs() <= 100, "{sectors:?}");
    }
    assert_eq!(sectors.len(), 3);
}

#[test]
fn phillip_island_counter() {
    let Some(rig) = phillip_island("phillip_island_counter", 1) else { return };
    let steps: Vec<_> = rig.incidents().iter().map(|s| (s.from, s.to, s.sim_time_us)).collect();
    // At 111.4 s of session time, which had run ahead by a tick (`clock.slip`).
    assert_eq!(steps, [(0, 1, 111_383_333)]);
}

/// `loop.time`, `fuel.used`: mini-loops rise through each lap, and fuel used is the recording's own level between the lines.
#[test]
fn phillip_island_loops_and_fuel() {
    let Some(frames) = csv::recording("phillip_island_loops_and_fuel", PHILLIP_ISLAND) else { return };
    let mut rig = Rig::new(&csv::phillip_island());
    rig.frames(&frames);
    rig.end();
    let level = |us: i64| f64::from(frames[frames.partition_point(|f| f.sim_time_us < us).min(frames.len() - 1)].fuel_l);
    for lap in rig.laps() {
        assert_eq!(lap.loops_us.len(), LOOPS - 1);
        assert!(lap.loops_us[0] > 0 && lap.loops_us.windows(2).all(|w| w[0] < w[1]) && lap.loops_us[LOOPS - 2] < lap.time_us, "{:?}", lap.loops_us);
        let used = f64::from(lap.fuel_used_l.unwrap());
        println!("lap {}: {used:.3} l used, {:.3} l left", lap.number, lap.fuel_l.unwrap());
        // A frame to either side is 1 ml.
        assert!((used - (level(lap.start_us) - level(lap.end_us))).abs() < 0.003, "lap {}: {used}", lap.number);
        assert!((0.5..4.0).contains(&used), "an F4 car on 4.4 km: {used}");
        let sector: i64 = lap.sectors_us.iter().take(2).sum();
        let around = lap.loops_us.partition_point(|us| *us < sector);
        // Sector 3 starts at 0.628746 of the lap: between mini-loops 12 and 13.
        assert_eq!(around, 12);
    }
}

/// `flag.change`: each change of the recording's start lights and green flag is a fact.
#[test]
fn phillip_island_flags() {
    let Some(rig) = phillip_island("phillip_island_flags", 1) else { return };
    let changes = rig.flag_changes();
    let go = changes.iter().find(|c| !c.from.has(Flags::START_GO) && c.to.has(Flags::START_GO)).unwrap();
    // At 82.1 s of session time, which had run ahead by a tick (`clock.slip`).
    assert_eq!(go.sim_time_us, 82_083_333);
    assert!(changes.windows(2).all(|w| w[0].to == w[1].from && w[0].sim_time_us < w[1].sim_time_us));
    assert_eq!(rig.visits(), [], "it starts on the grid and stays out");
}

#[test]
fn phillip_island_at_lower_rates() {
    for stride in [3, 6, 12, 15] {
        let Some(rig) = phillip_island("phillip_island_at_lower_rates", stride) else { return };
        assert_eq!(rig.numbers(), [1, 2, 3, 4, 5], "{} Hz", 60 / stride);
        for (lap, own_us) in rig.laps().iter().zip(IRACING_US).skip(1) {
            assert!((lap.time_us - own_us).abs() <= 1_500, "{} Hz, lap {}", 60 / stride, lap.number);
            assert_eq!(lap.sim_time_us, Some(own_us));
        }
    }
}

/// A client that starts between the light and the line sees only the rest of lap 1, which is not a lap.
#[test]
fn phillip_island_joined_after_the_light() {
    let Some(frames) = csv::recording("phillip_island_joined_after_the_light", PHILLIP_ISLAND) else { return };
    let mut rig = Rig::new(&csv::phillip_island());
    rig.frames(frames.iter().filter(|f| f.sim_time_us > 84_000_000));
    assert_eq!(rig.numbers(), [1, 2, 3, 4, 5]);
    assert_eq!(rig.laps().iter().map(|l| l.timed_us().is_some()).collect::<Vec<_>>(), [false, true, true, true, true]);
}

#[test]
fn sebring_reset_makes_no_lap() {
    let Some(frames) = csv::recording("sebring_reset_makes_no_lap", "sebring_gt4_practice_reset_60hz.csv.gz") else { return };
    let mut rig = Rig::new(&csv::meta(5_793.0, &[0.0, 0.3, 0.6], "Practice"));
    rig.frames(&frames);
    rig.end();
    assert_eq!(rig.laps(), Vec::<Lap>::new());
    assert_eq!(rig.incidents(), []);
    // It begins in the pits, drives out, and is placed back there: neither visit is a stop.
    assert_eq!(rig.visits().iter().map(|v| (v.kind, v.exit_us.is_some())).collect::<Vec<_>>(), [(PitKind::START, true), (PitKind::TOW, false)]);
}

#[test]
fn red_bull_ring_makes_no_lap_and_one_step() {
    let Some(frames) = csv::recording("red_bull_ring_makes_no_lap_and_one_step", "redbullring_gt4_offtrack_60hz.csv.gz") else { return };
    let mut rig = Rig::new(&csv::meta(4_280.0, &[0.0, 0.3, 0.6], "Practice"));
    rig.frames(&frames);
    rig.end();
    assert_eq!(rig.laps(), Vec::<Lap>::new());
    let steps: Vec<_> = rig.incidents().iter().map(|s| (s.from, s.to, s.sim_time_us)).collect();
    // At 104.6 s of session time, which had run ahead by seven ticks (`clock.slip`).
    assert_eq!(steps, [(0, 2, 104_483_331)]);
}

/// E11, E2: the state written and read back, and a client restarted, at many frames of a real race.
#[test]
fn phillip_island_survives_restarts() {
    let Some(frames) = csv::recording("phillip_island_survives_restarts", PHILLIP_ISLAND) else { return };
    let mut undisturbed = Rig::new(&csv::phillip_island());
    undisturbed.frames(&frames);
    let (mut stored, mut restarted) = (Rig::new(&csv::phillip_island()), Rig::new(&csv::phillip_island()));
    for (i, frame) in frames.iter().enumerate() {
        stored.frame(frame);
        restarted.frame(frame);
        if i % 97 == 0 {
            stored.store_and_load();
        }
        if i % 3_001 == 3_000 {
            restarted.restart();
        }
    }
    assert_eq!(stored.out.facts, undisturbed.out.facts);
    let times = |rig: &Rig| rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us, l.sim_time_us, l.reasons)).collect::<Vec<_>>();
    assert_eq!(times(&restarted), times(&undisturbed));
    assert!(restarted.laps().iter().any(|l| l.tags.has(Tags::RESUMED) && l.spans.len() > 1));
}
