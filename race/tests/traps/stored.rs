//! Stored state: of an earlier version, and the largest there is.

use boxbox_schemas::limits::STREAM_RACE_MAX_BYTES;

use super::*;

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
    assert!(largest <= STREAM_RACE_MAX_BYTES);
    assert!(rig.laps().len() >= 5);
}
