//! What records and session text mean as frames: units, signs, absences, sessions, rewinds, pulses.

use boxbox_schemas::RunId;
use boxbox_schemas::check;
use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, Surface, TrackLoc};
use boxbox_schemas::record::{Kind, Record, archive, seal};
use boxbox_schemas::slow::{SlowFrame, SlowPresence};
use boxbox_sources::iracing::{IbtError, IbtFile, Item, ReadStats, ReplayOptions, Warning};
use boxbox_testkit::frames::{prelude, source};
use proptest::prelude::*;
use uuid::Uuid;

use crate::writer::{Ibt, TEXT, V};

/// All items and the counts, each frame checked as an edge would.
pub(crate) fn replay(bytes: Vec<u8>, options: ReplayOptions) -> (Vec<Item>, ReadStats) {
    let file = IbtFile::from_bytes(bytes).unwrap();
    replay_file(&file, options)
}

pub(crate) fn replay_file(file: &IbtFile, options: ReplayOptions) -> (Vec<Item>, ReadStats) {
    let mut replay = file.replay(options).unwrap();
    let items: Vec<Item> = replay.by_ref().map(Result::unwrap).collect();
    items.iter().for_each(acceptable);
    let s = replay.stats().clone();
    assert_eq!(s.records, s.frames + s.decimated + s.duplicates + s.bad_clock + s.out_of_line + s.zeroed, "{s:?}");
    assert_eq!(s.frames, cars(&items).len() as u64);
    (items, s)
}

/// W7: nothing that the reader gives out is refused by an edge, and it fits into a record.
fn acceptable(item: &Item) {
    let (kind, payload) = match item {
        Item::Car(frame) => (Kind::CAR, archive(frame)),
        Item::Slow(frame) => (Kind::SLOW, archive(frame)),
        Item::Session { meta, .. } => (Kind::META, archive(&**meta)),
        Item::Rewind { .. } => return,
    };
    let record = Record::parse(seal(&prelude(kind, RunId([1; 16]), source(1), 0), &payload).unwrap()).unwrap();
    assert_eq!(check::record(&record), Ok(()), "{item:?}");
}

pub(crate) fn cars(items: &[Item]) -> Vec<CarFrame> {
    items.iter().filter_map(|i| if let Item::Car(f) = i { Some(*f) } else { None }).collect()
}

fn slows(items: &[Item]) -> Vec<SlowFrame> {
    items.iter().filter_map(|i| if let Item::Slow(f) = i { Some(*f) } else { None }).collect()
}

fn one(columns: &[(&str, &str, V)]) -> (CarFrame, SlowFrame, ReadStats, Vec<Warning>) {
    let names: Vec<_> = [("SessionTime", "s"), ("SessionTick", "")].into_iter().chain(columns.iter().map(|(n, u, _)| (*n, *u))).collect();
    let row = [V::F64(100.5), V::Int(6_030)].into_iter().chain(columns.iter().map(|(_, _, v)| *v)).collect();
    let file = IbtFile::from_bytes(Ibt::table(&names, &[row]).bytes()).unwrap();
    let (items, stats) = replay_file(&file, ReplayOptions::default());
    let slow = slows(&items).first().copied().unwrap_or_default();
    (cars(&items)[0], slow, stats, file.warnings().to_vec())
}

/// A clock: rows of (session, tick), time following the tick.
fn clocked(rows: &[(i32, i32)]) -> Vec<u8> {
    let rows: Vec<_> = rows.iter().map(|(num, tick)| vec![V::F64(f64::from(*tick) / 60.0), V::Int(*tick), V::Int(*num), V::Bits(4)]).collect();
    Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", ""), ("SessionFlags", "irsdk_Flags")], &rows).with_text(TEXT).bytes()
}

/// Items in short: session number, tick, or tick returned to.
fn story(items: &[Item]) -> Vec<String> {
    let describe = |item: &Item| match item {
        Item::Session { source, .. } => format!("session {}", source.session_num),
        Item::Car(f) => f.tick.to_string(),
        Item::Rewind { tick, .. } => format!("back to {tick}"),
        Item::Slow(_) => "slow".into(),
    };
    items.iter().map(describe).collect()
}

/// A replay can be moved to the thread that may wait for the disk.
const _: fn(IbtFile, boxbox_sources::iracing::Replay) = |file, replay| {
    fn sendable(_: impl Send) {}
    sendable(file);
    sendable(replay);
};

#[test]
fn every_field_has_its_unit_and_sign() {
    let (f, ..) = one(&[
        ("LapDistPct", "%", V::F32(0.25)),
        ("LapDist", "m", V::F32(962.5)),
        ("Speed", "m/s", V::F32(50.0)),
        ("VelocityX", "m/s", V::F32(49.0)),
        ("VelocityY", "m/s", V::F32(-2.0)),
        ("VelocityZ", "m/s", V::F32(0.5)),
        ("LongAccel", "m/s^2", V::F32(-20.0)),
        ("LatAccel", "m/s^2", V::F32(3.0)),
        ("VertAccel", "m/s^2", V::F32(9.75)),
        ("Yaw", "rad", V::F32(1.0)),
        ("Pitch", "rad", V::F32(0.25)),
        ("Roll", "rad", V::F32(-0.25)),
        ("YawRate", "rad/s", V::F32(0.125)),
        ("YawNorth", "rad", V::F32(4.75)),
        ("Lat", "deg", V::F64(-38.5)),
        ("Lon", "deg", V::F64(145.25)),
        ("Alt", "m", V::F32(48.0)),
        ("Throttle", "%", V::F32(0.75)),
        ("Brake", "%", V::F32(0.125)),
        ("Clutch", "%", V::F32(0.75)),
        ("SteeringWheelAngle", "rad", V::F32(0.5)),
        ("SteeringWheelAngleMax", "rad", V::F32(6.5)),
        ("Gear", "", V::Int(-1)),
        ("RPM", "revs/min", V::F32(7_250.5)),
        ("FuelLevel", "l", V::F32(42.5)),
        ("FuelUsePerHour", "kg/h", V::F32(60.25)),
        ("LapLastLapTime", "s", V::F32(92.556_4)),
        ("Lap", "", V::Int(7)),
        ("LapCompleted", "", V::Int(-1)),
        ("PlayerCarPosition", "", V::Int(4)),
        ("PlayerCarClassPosition", "", V::Int(2)),
        ("PlayerCarMyIncidentCount", "", V::Int(3)),
        ("PlayerCarTeamIncidentCount", "", V::Int(9)),
        ("PlayerIncidents", "irsdk_IncidentFlags", V::Int(520)),
        ("PlayerTrackSurface", "irsdk_TrkLoc", V::Int(0)),
        ("PlayerTrackSurfaceMaterial", "irsdk_TrkSurf", V::Int(16)),
        ("CarLeftRight", "irsdk_CarLeftRight", V::Int(3)),
        ("SessionState", "irsdk_SessionState", V::Int(4)),
        ("SessionFlags", "irsdk_Flags", V::Bits(0x1004_0204)),
        ("OnPitRoad", "", V::Bool(true)),
        ("PlayerCarInPitStall", "", V::Bool(false)),
        ("PitstopActive", "", V::Bool(true)),
        ("PlayerCarTowTime", "s", V::F32(12.0)),
        ("IsOnTrack", "", V::Bool(true)),
        ("IsInGarage", "", V::Bool(false)),
        ("IsReplayPlaying", "", V::Bool(true)),
        ("BrakeABSactive", "", V::Bool(true)),
    ]);
    let everything = CarFrame {
        tick: 6_030,
        sim_time_us: 100_500_000,
        // All there are: one bit after the other.
        presence: Presence((1 << Presence::NAMES.len()) - 1),
        lap_pct: 0.25,
        lap_dist_m: 962.5,
        speed_mps: 50.0,
        velocity_mps: [49.0, -2.0, 0.5],
        accel_mps2: [-20.0, 3.0, 9.75],
        yaw_rad: 1.0,
        pitch_rad: 0.25,
        roll_rad: -0.25,
        yaw_rate_radps: 0.125,
        heading_north_rad: 4.75,
        lat_deg: -38.5,
        lon_deg: 145.25,
        position_m: [0.0, 0.0, 48.0],
        throttle: 0.75,
        brake: 0.125,
        clutch: 0.25,
        steer_rad: 0.5,
        steer_max_rad: 6.5,
        gear: -1,
        rpm: 7_250.5,
        fuel_l: 42.5,
        fuel_rate_kgph: 60.25,
        last_lap_time_us: 92_556_396,
        lap: 7,
        laps_completed: -1,
        place: 4,
        class_place: 2,
        incident_count: 3,
        team_incident_count: 9,
        incident_reports: 1,
        incident_report: 8,
        incident_penalty: 2,
        track_loc: TrackLoc::OFF_TRACK,
        surface: Surface::GRASS,
        car_left_right: 3,
        session_state: boxbox_schemas::frame::SessionState::RACING,
        flags: Flags::GREEN.with(Flags::ONE_TO_GREEN),
        flags_seen: Flags::GREEN.with(Flags::ONE_TO_GREEN),
        flags_raw: 0x1004_0204,
        bits: CarBits::ON_PIT_ROAD.with(CarBits::PIT_SERVICE).with(CarBits::TOWING).with(CarBits::ON_TRACK).with(CarBits::REPLAY).with(CarBits::ABS),
        bits_seen: CarBits::ON_PIT_ROAD
            .with(CarBits::PIT_SERVICE)
            .with(CarBits::TOWING)
            .with(CarBits::ON_TRACK)
            .with(CarBits::REPLAY)
            .with(CarBits::ABS),
        spare: [0; 18],
    };
    assert_eq!(f, everything);
}

#[test]
fn slow_values_have_their_units() {
    let mut columns = vec![
        ("WaterTemp", "C", V::F32(80.0)),
        ("OilTemp", "C", V::F32(95.5)),
        ("OilPress", "bar", V::F32(3.5)),
        ("Voltage", "V", V::F32(13.75)),
        ("AirTemp", "C", V::F32(20.5)),
        ("TrackTemp", "C", V::F32(30.0)),
        ("TrackTempCrew", "C", V::F32(31.0)),
        ("RelativeHumidity", "%", V::F32(0.75)),
        ("WindVel", "m/s", V::F32(8.5)),
        ("WindDir", "rad", V::F32(4.5)),
        ("LapBestLapTime", "s", V::F32(91.5)),
        ("TireSetsUsed", "", V::Int(2)),
    ];
    for (n, wheel) in ["LF", "RF", "LR", "RR"].into_iter().enumerate() {
        let leak = |s: String| -> &'static str { s.leak() };
        for (m, part) in ["L", "M", "R"].into_iter().enumerate() {
            columns.push((leak(format!("{wheel}wear{part}")), "%", V::F32(1.0 - (n * 3 + m) as f32 / 16.0)));
            columns.push((leak(format!("{wheel}tempC{part}")), "C", V::F32((60 + n * 3 + m) as f32)));
        }
        columns.push((leak(format!("{wheel}pressure")), "kPa", V::F32(180.0 + n as f32)));
    }
    let (_, f, ..) = one(&columns);
    assert_eq!(f.presence, SlowPresence((1 << SlowPresence::NAMES.len()) - 1));
    assert_eq!(f.tyre_wear[2], [0.625, 0.5625, 0.5]);
    assert_eq!(f.tyre_temp_c[3], [69.0, 70.0, 71.0]);
    assert_eq!(f.tyre_pressure_kpa, [180.0, 181.0, 182.0, 183.0]);
    assert_eq!([f.water_c, f.oil_c, f.oil_bar, f.volts, f.air_c, f.track_c], [80.0, 95.5, 3.5, 13.75, 20.5, 31.0]);
    assert_eq!((f.humidity, f.wind_mps, f.wind_dir_rad, f.best_lap_time_us, f.tyre_sets_used), (0.75, 8.5, 4.5, 91_500_000, 2));
}

#[test]
fn the_unit_decides_and_an_unknown_one_leaves_the_number_out() {
    let (f, slow, _, warnings) = one(&[
        ("Speed", "km/h", V::F32(180.0)),
        ("Yaw", "deg", V::F32(90.0)),
        ("Pitch", "rad", V::F32(0.0)),
        ("Roll", "rad", V::F32(0.0)),
        ("OilPress", "kPa", V::F32(350.0)),
        ("AirTemp", "F", V::F32(212.0)),
    ]);
    assert_eq!((f.speed_mps, f.yaw_rad), (50.0, std::f32::consts::FRAC_PI_2));
    assert_eq!((slow.oil_bar, slow.air_c), (3.5, 100.0));
    assert!(!warnings.iter().any(|w| matches!(w, Warning::Unit { .. })), "{warnings:?}");

    let (f, slow, _, warnings) = one(&[
        ("Speed", "furlong/h", V::F32(180.0)),
        ("FuelLevel", "kg", V::F32(30.0)),
        ("OilPress", "Hg", V::F32(30.0)),
        ("LapDist", "km", V::F32(1.0)),
    ]);
    assert_eq!((f.presence, slow.presence), (Presence::default(), SlowPresence::default()));
    for (name, unit) in [("Speed", "furlong/h"), ("FuelLevel", "kg"), ("OilPress", "Hg"), ("LapDist", "km")] {
        assert!(warnings.contains(&Warning::Unit { name, unit: unit.into() }), "{name}: {warnings:?}");
    }
}

#[test]
fn absent_is_absent_and_impossible_is_counted() {
    let (f, slow, stats, _) = one(&[]);
    assert_eq!((f, slow), (CarFrame { tick: 6_030, sim_time_us: 100_500_000, ..CarFrame::default() }, SlowFrame::default()));
    assert_eq!((stats.frames, stats.slow_frames), (1, 0));

    let (f, _, stats, _) = one(&[
        ("Speed", "m/s", V::F32(f32::NAN)),
        ("Throttle", "%", V::F32(75.0)),
        ("VelocityX", "m/s", V::F32(1.0)),
        ("VelocityY", "m/s", V::F32(f32::INFINITY)),
        ("VelocityZ", "m/s", V::F32(1.0)),
        ("Lat", "deg", V::F64(91.0)),
        ("Lon", "deg", V::F64(10.0)),
        ("Gear", "", V::Int(1_000)),
        ("Lap", "", V::Int(70_000)),
        // What the simulator says while there is nothing: absent, but no fault.
        ("LapLastLapTime", "s", V::F32(0.0)),
        ("PlayerCarMyIncidentCount", "", V::Int(-1)),
        ("PlayerTrackSurfaceMaterial", "", V::Int(-1)),
        ("LapDistPct", "%", V::F32(-0.004)),
    ]);
    assert_eq!(f.presence, Presence::LAP_PCT);
    assert_eq!(
        f,
        CarFrame { tick: 6_030, sim_time_us: 100_500_000, presence: Presence::LAP_PCT, lap_pct: f64::from(-0.004_f32), ..CarFrame::default() }
    );
    let counted: Vec<_> = stats.absent.iter().map(|(name, c)| (*name, c.not_finite, c.out_of_range)).collect();
    assert_eq!(counted, [("Gear", 0, 1), ("Lap", 0, 1), ("Lat", 0, 1), ("Speed", 1, 0), ("Throttle", 0, 1), ("VelocityY", 1, 0)]);

    // A time that the simulator refuses is told: no lap has less than none.
    let (f, _, stats, _) = one(&[("LapLastLapTime", "s", V::F32(-1.0))]);
    assert_eq!((f.presence, f.last_lap_time_us), (Presence::LAST_LAP_TIME, -1_000_000));
    assert!(stats.absent.is_empty());
}

#[test]
fn numbers_are_taken_from_any_type_that_holds_them() {
    let (f, _, _, warnings) = one(&[
        ("Speed", "m/s", V::F64(12.5)),
        ("Gear", "", V::F32(3.0)),
        ("Lap", "", V::F32(2.5)),
        ("OnPitRoad", "", V::Int(1)),
        ("SessionFlags", "irsdk_Flags", V::Int(i32::MIN)),
        ("PlayerIncidents", "", V::F32(1.0)),
        ("Brake", "%", V::Char(1)),
    ]);
    assert_eq!((f.speed_mps, f.gear, f.flags), (12.5, 3, Flags::START_GO));
    assert!(f.bits.has(CarBits::ON_PIT_ROAD));
    assert!(!f.presence.any(Presence::LAP.with(Presence::INCIDENT_LATCH).with(Presence::BRAKE)));
    for name in ["PlayerIncidents", "Brake"] {
        assert!(warnings.iter().any(|w| matches!(w, Warning::Type { name: n, .. } if *n == name)), "{warnings:?}");
    }
}

#[test]
fn the_simulators_flags_are_ours() {
    let all = [
        (0x1, Flags::CHECKERED),
        (0x2, Flags::WHITE),
        (0x4, Flags::GREEN),
        (0x8, Flags::YELLOW),
        (0x10, Flags::RED),
        (0x20, Flags::BLUE),
        (0x40, Flags::DEBRIS),
        (0x80, Flags(0)),
        (0x100, Flags::YELLOW_WAVING),
        (0x200, Flags::ONE_TO_GREEN),
        (0x400, Flags::GREEN_HELD),
        (0x800, Flags(0)),
        (0x1000, Flags(0)),
        (0x2000, Flags(0)),
        (0x4000, Flags::CAUTION),
        (0x8000, Flags::CAUTION),
        (0x1_0000, Flags::BLACK),
        (0x2_0000, Flags::DISQUALIFIED),
        (0x4_0000, Flags(0)),
        (0x8_0000, Flags::FURLED),
        (0x10_0000, Flags::REPAIR),
        (0x20_0000, Flags(0)),
        (0x1000_0000, Flags(0)),
        (0x2000_0000, Flags::START_READY),
        (0x4000_0000, Flags::START_SET),
        (0x8000_0000, Flags::START_GO),
    ];
    for (bit, flag) in all {
        let (f, ..) = one(&[("SessionFlags", "irsdk_Flags", V::Bits(bit))]);
        assert_eq!((f.flags, f.flags_raw), (flag, bit), "{bit:#x}");
    }
}

#[test]
fn materials_are_surfaces() {
    let names = [
        (1..=4, Surface::ASPHALT),
        (5..=6, Surface::CONCRETE),
        (7..=8, Surface::DIRT),
        (9..=10, Surface::PAINT),
        (11..=14, Surface::KERB),
        (15..=18, Surface::GRASS),
        (19..=22, Surface::DIRT),
        (23..=23, Surface::SAND),
        (24..=25, Surface::GRAVEL),
        (26..=30, Surface::OTHER),
        (-1..=0, Surface::UNKNOWN),
    ];
    for (range, surface) in names {
        for material in range {
            let (f, ..) = one(&[("PlayerTrackSurfaceMaterial", "irsdk_TrkSurf", V::Int(material))]);
            assert_eq!((f.surface, f.has(Presence::SURFACE)), (surface, material > 0), "{material}");
        }
    }
}

#[test]
fn a_new_session_number_is_a_new_session() {
    let (items, stats) = replay(clocked(&[(0, 50), (0, 51), (1, 4), (1, 5), (2, 900), (2, 901)]), ReplayOptions::default());
    assert_eq!(story(&items), ["session 0", "50", "51", "session 1", "4", "5", "session 2", "900", "901"]);
    assert_eq!((stats.sessions, stats.rewinds, stats.missing_ticks), (3, 0, 0));
    // A session that comes again goes on where it was; where its clock went back meanwhile, that is a rewind.
    let (items, _) = replay(clocked(&[(0, 50), (0, 51), (1, 4), (1, 5), (0, 60), (0, 61), (1, 3), (1, 4)]), ReplayOptions::default());
    assert_eq!(story(&items), ["session 0", "50", "51", "session 1", "4", "5", "session 0", "60", "61", "session 1", "back to 3", "3", "4"]);
}

#[test]
fn going_back_in_time_is_a_rewind_and_the_same_tick_again_is_none() {
    let (items, stats) = replay(clocked(&[(0, 10), (0, 11), (0, 11), (0, 12), (0, 15), (0, 3), (0, 4), (0, 4), (0, 5)]), ReplayOptions::default());
    assert_eq!(story(&items), ["session 0", "10", "11", "12", "15", "back to 3", "3", "4", "5"]);
    assert_eq!((stats.duplicates, stats.rewinds, stats.missing_ticks), (2, 1, 2));
    let Item::Rewind { sim_time_us, .. } = items[5] else { panic!("{:?}", items[5]) };
    assert_eq!(sim_time_us, 50_000);
}

#[test]
fn one_record_out_of_line_changes_nothing_else() {
    for bad in [(0, 9_000_000), (0, 1), (7, 12), (2, 12)] {
        let (items, stats) = replay(clocked(&[(0, 10), (0, 11), bad, (0, 13), (0, 14)]), ReplayOptions::default());
        assert_eq!(story(&items), ["session 0", "10", "11", "13", "14"], "{bad:?}");
        assert_eq!((stats.out_of_line, stats.missing_ticks), (1, 1));
    }
    let (items, stats) = replay(clocked(&[(0, 10), (0, 11), (5, 12)]), ReplayOptions::default());
    assert_eq!((story(&items), stats.out_of_line), (vec!["session 0".into(), "10".into(), "11".into()], 1));
}

#[test]
fn what_a_crash_leaves_is_no_record() {
    let mut file = clocked(&[(0, 10), (0, 11)]);
    file.extend([0; 20 * 3]);
    file.extend([0; 7]);
    let opened = IbtFile::from_bytes(file).unwrap();
    let (items, stats) = replay_file(&opened, ReplayOptions::default());
    assert_eq!((story(&items).len(), stats.zeroed), (3, 3));
    assert_eq!(stats.warnings.len(), 2);
    assert!(stats.warnings.iter().any(|w| matches!(w, Warning::CutRecord { records: 5, left_over: 7, .. })), "{:?}", stats.warnings);
    assert!(stats.warnings.contains(&Warning::RecordCount { declared: 2, found: 5 }));
}

#[test]
fn the_blank_sample_passes_as_it_is() {
    // The first sample of a recording and the one at a reset: no place, though the player is in the car.
    let columns =
        [("SessionTime", "s"), ("SessionTick", ""), ("Lap", ""), ("LapDistPct", "%"), ("PlayerTrackSurface", "irsdk_TrkLoc"), ("IsOnTrack", "")];
    let row = |tick: i32, lap, pct, loc| vec![V::F64(f64::from(tick) / 60.0), V::Int(tick), V::Int(lap), V::F32(pct), V::Int(loc), V::Bool(true)];
    let rows = [row(900, 8, 0.2166, 3), row(901, 0, 0.0, -1), row(903, 8, 0.0347, 1)];
    let (items, stats) = replay(Ibt::table(&columns, &rows).bytes(), ReplayOptions::default());
    let seen: Vec<_> = cars(&items).iter().map(|f| (f.tick, f.lap, f.lap_pct as f32, f.track_loc, f.bits)).collect();
    let on = CarBits::ON_TRACK;
    assert_eq!(
        seen,
        [(900, 8, 0.2166, TrackLoc::ON_TRACK, on), (901, 0, 0.0, TrackLoc::NOT_IN_WORLD, on), (903, 8, 0.0347, TrackLoc::PIT_STALL, on)]
    );
    assert_eq!((stats.rewinds, stats.missing_ticks), (0, 1));
}

#[test]
fn one_clock_stands_in_for_the_other() {
    let read = |columns: &[(&str, &str)], rows: &[Vec<V>]| {
        let file = IbtFile::from_bytes(Ibt::table(columns, rows).bytes()).unwrap();
        let clocks: Vec<_> = cars(&replay_file(&file, ReplayOptions::default()).0).iter().map(|f| (f.tick, f.sim_time_us)).collect();
        (clocks, file.warnings().to_vec())
    };
    let expected = [(600, 10_000_000), (601, 10_016_667), (603, 10_050_000)];
    let ticks = [vec![V::Int(600)], vec![V::Int(601)], vec![V::Int(603)]];
    let (clocks, warnings) = read(&[("SessionTick", "")], &ticks);
    assert_eq!(clocks, expected);
    assert!(warnings.contains(&Warning::TimeFromTick { tick_rate: 60 }));
    let times = [vec![V::F64(10.0)], vec![V::F64(10.0 + 1.0 / 60.0)], vec![V::F64(10.05)]];
    let (clocks, warnings) = read(&[("SessionTime", "s")], &times);
    assert_eq!(clocks, expected);
    assert!(warnings.contains(&Warning::TickFromTime { tick_rate: 60 }));
    let still: Vec<_> = times.iter().map(|row| vec![row[0], V::Int(5)]).collect();
    assert_eq!(read(&[("SessionTime", "s"), ("SessionTick", "")], &still).0, expected);
    let wrong_unit = IbtFile::from_bytes(Ibt::table(&[("SessionTime", "fortnight")], &times).bytes());
    assert!(matches!(wrong_unit, Err(IbtError::NoClock)));
}

#[test]
fn time_is_rounded_once_and_ties_go_to_even() {
    for (s, us) in [(81.700_000_007_943_94, 81_700_000), (0.000_000_5, 0), (0.000_001_5, 2), (-0.25, -250_000), (2_592_000.0, 2_592_000_000_000)] {
        let (items, _) =
            replay(Ibt::table(&[("SessionTime", "s"), ("SessionTick", "")], &[vec![V::F64(s), V::Int(1)]]).bytes(), ReplayOptions::default());
        assert_eq!(cars(&items)[0].sim_time_us, us);
    }
    // An impossible time is no frame.
    for s in [f64::NAN, f64::INFINITY, 1e300, 2_592_001.0] {
        let (items, stats) =
            replay(Ibt::table(&[("SessionTime", "s"), ("SessionTick", "")], &[vec![V::F64(s), V::Int(1)]]).bytes(), ReplayOptions::default());
        assert_eq!((items.len(), stats.bad_clock), (0, 1), "{s}");
    }
}

#[test]
fn the_session_text_is_read_as_it_is_written() {
    // Windows-1252, with a NUL end, as the simulator writes it.
    let text: Vec<u8> = TEXT.chars().map(|c| u8::try_from(c as u32).unwrap()).chain([0, 0, 0x81]).collect();
    let rows = [vec![V::F64(1.0), V::Int(60), V::Int(2)]];
    let file =
        IbtFile::from_bytes(Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("SessionNum", "")], &rows).with_text(text).bytes()).unwrap();
    assert_eq!(file.warnings(), []);
    let (items, _) = replay_file(&file, ReplayOptions::default());
    let Item::Session { source, slot, meta } = &items[0] else { panic!("{:?}", items[0]) };
    assert_eq!((source.id, source.session_num, *slot), (51_234_567, 2, 12));
    assert_eq!((meta.track_name.as_str(), meta.track_config.as_str(), meta.track_id), ("Test Ring", "Grand Prix", 777));
    assert_eq!((meta.track_length_m, meta.pit_limit_mps), (3_850.0, (64.37 / 3.6) as f32));
    assert_eq!((meta.session_type.as_str(), meta.laps_limit, meta.time_limit_us), ("race", 25, 0));
    assert_eq!((meta.category.as_str(), meta.start_kind, meta.team_racing, meta.incident_limit), ("road", 2, 1, 0));
    assert_eq!((meta.fuel_kg_per_l, meta.fuel_max_l), (0.75, 104.0));
    assert_eq!(meta.sector_starts, [0.0, 0.260837, 0.505260, 0.662425]);
    assert_eq!(meta.entries.iter().map(|e| (e.slot, e.special, e.user_id)).collect::<Vec<_>>(), [(0, 1, 0), (12, 0, 123_456), (3, 3, 5)]);
    let own = meta.own().unwrap();
    assert_eq!((own.driver_name.as_str(), own.team_name.as_str()), ("José \"Pepe\": #1 - O'Brien", "'Quoted' & @Team: \"x\""));
    assert_eq!(
        (own.number.as_str(), own.class_id, own.class_name.as_str(), own.car_name.as_str(), own.team_id),
        ("007", 84, "GT3", "Test GT3", 9876)
    );
    assert_eq!(meta.entries[2].driver_name, "[AI] {Bot}");
    let practice = file.meta(0);
    assert_eq!((practice.session_type.as_str(), practice.laps_limit, practice.time_limit_us), ("practice", 0, 7_200_000_000));
    assert_eq!(file.meta(1).session_type, "qualify");
    // A session the text does not list has no type, but a track.
    assert_eq!((file.meta(9).session_type.as_str(), file.meta(9).track_id), ("", 777));
}

#[test]
fn the_track_is_as_long_as_its_samples_say() {
    let columns = [("SessionTime", "s"), ("SessionTick", ""), ("LapDistPct", "%"), ("LapDist", "m")];
    let rows: Vec<_> = (0..600)
        .map(|i| {
            let pct = if i < 5 { 0.0 } else { (i as f32 / 600.0).fract() };
            // Now and then rubbish.
            let dist = if i % 10 == 0 { 77.0 } else { pct * 3_845.2 };
            vec![V::F64(f64::from(i) / 60.0), V::Int(i), V::F32(pct), V::F32(dist)]
        })
        .collect();
    let file = IbtFile::from_bytes(Ibt::table(&columns, &rows).with_text(TEXT).bytes()).unwrap();
    assert!((file.track_length_m() - 3_845.2).abs() < 0.001, "{}", file.track_length_m());
}

#[test]
fn a_recording_without_a_lobby_is_the_same_session_each_time() {
    let text = TEXT.replace("51234567", "0");
    let rows: Vec<_> = (0..9).map(|i| vec![V::F64(f64::from(i) / 60.0), V::Int(i)]).collect();
    let written = Ibt::table(&[("SessionTime", "s"), ("SessionTick", "")], &rows).with_text(text);
    let id = |ibt: &Ibt| IbtFile::from_bytes(ibt.bytes()).unwrap().lobby_id();
    let first = id(&written);
    assert_ne!(first, 0);
    assert_eq!(Uuid::from_u128(first).get_version_num(), 8);
    assert_eq!(IbtFile::from_bytes(written.gz()).unwrap().lobby_id(), first);
    // Cut, and never closed by the simulator: the same recording.
    let mut cut = written.clone();
    cut.records.truncate(4);
    cut.declared_records = Some(0);
    assert_eq!(id(&cut), first);
    let mut other = written.clone();
    other.records.remove(0);
    assert_ne!(id(&other), first);
    // Imported anew on purpose.
    let new = Uuid::new_v4();
    let (items, _) = replay(written.bytes(), ReplayOptions { new_session: Some(new), ..ReplayOptions::default() });
    let Item::Session { source, .. } = &items[0] else { panic!("{:?}", items[0]) };
    assert_eq!(source.id, new.as_u128());
}

#[test]
fn slow_frames_come_each_second_and_on_change() {
    let rows: Vec<_> =
        (0..150).map(|i| vec![V::F64(f64::from(i) / 60.0), V::Int(i), V::F32(20.0 + i as f32), V::Int(1 + i32::from(i >= 130))]).collect();
    let bytes = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("WaterTemp", "C"), ("TireSetsUsed", "")], &rows).bytes();
    let (items, stats) = replay(bytes, ReplayOptions::default());
    assert_eq!(slows(&items).iter().map(|f| f.tick).collect::<Vec<_>>(), [0, 60, 120, 130]);
    assert_eq!(stats.slow_frames, 4);
}

#[test]
fn a_report_is_one_however_long_it_stands() {
    let words = [0, 263, 0, 520, 520, 520, 519, 0, 519, 519];
    let rows: Vec<_> = words.iter().enumerate().map(|(i, word)| vec![V::F64(i as f64 / 60.0), V::Int(i as i32), V::Int(*word)]).collect();
    let bytes = Ibt::table(&[("SessionTime", "s"), ("SessionTick", ""), ("PlayerIncidents", "irsdk_IncidentFlags")], &rows).bytes();
    let reports = |every| -> Vec<_> {
        let (items, _) = replay(bytes.clone(), ReplayOptions { every, ..ReplayOptions::default() });
        cars(&items).iter().map(|f| (f.incident_reports, f.incident_report, f.incident_penalty)).collect()
    };
    let none = (0, 0, 0);
    assert_eq!(reports(1), [none, (1, 7, 1), none, (1, 8, 2), none, none, (1, 7, 2), none, (1, 7, 2), none]);
    assert_eq!(reports(4), [none, (2, 8, 2), (2, 7, 2), none]);
}

/// One tick of the real variables: flags, reports and pit road come and go within a tick.
fn pulses() -> impl Strategy<Value = Vec<(u32, i32, bool, u32)>> {
    prop::collection::vec(
        (any::<u32>(), prop_oneof![4 => Just(0), 1 => Just(263), 1 => Just(520), 1 => Just(0x100)], any::<bool>(), 1..4_u32),
        1..200,
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// F2: sampling at any rate loses no pulse.
    #[test]
    fn decimation_loses_no_pulse(ticks in pulses(), every in 0..20_u32) {
        let mut tick = 0;
        let rows: Vec<_> = ticks.iter().map(|(flags, report, pit, step)| {
            tick += *step as i32;
            vec![V::F64(f64::from(tick) / 60.0), V::Int(tick), V::Bits(*flags), V::Int(*report), V::Bool(*pit)]
        }).collect();
        let columns = [("SessionTime", "s"), ("SessionTick", ""), ("SessionFlags", "irsdk_Flags"), ("PlayerIncidents", ""), ("OnPitRoad", "")];
        let bytes = Ibt::table(&columns, &rows).bytes();
        let all = cars(&replay(bytes.clone(), ReplayOptions::default()).0);
        let (items, stats) = replay(bytes, ReplayOptions { every, ..ReplayOptions::default() });
        let some = cars(&items);
        prop_assert_eq!(all.len(), rows.len());
        prop_assert_eq!(some.first().map(|f| f.tick), all.first().map(|f| f.tick));
        prop_assert_eq!(some.last().map(|f| f.tick), all.last().map(|f| f.tick));
        let mut from = 0;
        for (n, f) in some.iter().enumerate() {
            let to = all.iter().position(|a| a.tick == f.tick).unwrap() + 1;
            let span = &all[from..to];
            prop_assert_eq!(f.flags_seen, span.iter().fold(Flags::default(), |seen, a| seen.with(a.flags)));
            prop_assert_eq!(f.bits_seen, span.iter().fold(CarBits::default(), |seen, a| seen.with(a.bits)));
            prop_assert_eq!(u32::from(f.incident_reports), span.iter().map(|a| u32::from(a.incident_reports)).sum::<u32>());
            let last = span.iter().rev().find(|a| a.incident_reports > 0).map_or((0, 0), |a| (a.incident_report, a.incident_penalty));
            prop_assert_eq!((f.incident_report, f.incident_penalty), last);
            prop_assert_eq!((f.flags, f.bits, f.flags_raw), (span[span.len() - 1].flags, span[span.len() - 1].bits, span[span.len() - 1].flags_raw));
            if n > 0 && n + 1 < some.len() {
                prop_assert!(f.tick - some[n - 1].tick >= every);
            }
            from = to;
        }
        prop_assert_eq!(from, all.len());
        prop_assert_eq!(stats.frames + stats.decimated, all.len() as u64);
    }
}
