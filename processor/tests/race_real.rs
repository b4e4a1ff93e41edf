//! Laps of real recordings against the simulator's own times. The recordings come from BOXBOX_TESTDATA.

mod common;

use boxbox_schemas::results::{Lap, Reasons, Tags};
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
    // The light is in the sample at 82.1000; iRacing's own time puts it at most a tick earlier.
    assert_eq!(lap.start_us, 82_100_000);
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
    assert_eq!(steps, [(0, 1, 111_400_000)]);
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

/// A client that starts between the light and the line sees the rest of lap 1 only, which is no lap.
#[test]
fn phillip_island_joined_after_the_light() {
    let Some(frames) = csv::recording("phillip_island_joined_after_the_light", PHILLIP_ISLAND) else { return };
    let mut rig = Rig::new(&csv::phillip_island());
    rig.frames(frames.iter().filter(|f| f.sim_time_us > 84_000_000));
    assert_eq!(rig.numbers(), [2, 3, 4, 5]);
}

#[test]
fn sebring_reset_makes_no_lap() {
    let Some(frames) = csv::recording("sebring_reset_makes_no_lap", "sebring_gt4_practice_reset_60hz.csv.gz") else { return };
    let mut rig = Rig::new(&csv::meta(5_793.0, &[0.0, 0.3, 0.6], "Practice"));
    rig.frames(&frames);
    rig.end();
    assert_eq!(rig.facts, []);
}

#[test]
fn red_bull_ring_makes_no_lap_and_one_step() {
    let Some(frames) = csv::recording("red_bull_ring_makes_no_lap_and_one_step", "redbullring_gt4_offtrack_60hz.csv.gz") else { return };
    let mut rig = Rig::new(&csv::meta(4_280.0, &[0.0, 0.3, 0.6], "Practice"));
    rig.frames(&frames);
    rig.end();
    assert_eq!(rig.laps(), Vec::<Lap>::new());
    let steps: Vec<_> = rig.incidents().iter().map(|s| (s.from, s.to, s.sim_time_us)).collect();
    assert_eq!(steps, [(0, 2, 104_600_000)]);
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
    assert_eq!(stored.facts, undisturbed.facts);
    let times = |rig: &Rig| rig.laps().iter().map(|l| (l.number, l.start_us, l.end_us, l.sim_time_us, l.reasons)).collect::<Vec<_>>();
    assert_eq!(times(&restarted), times(&undisturbed));
    assert!(restarted.laps().iter().any(|l| l.tags.has(Tags::RESUMED) && l.spans.len() > 1));
}
