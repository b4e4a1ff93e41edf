//! What records mean as frames: units, signs, absences.

use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, Surface, TrackLoc};
use boxbox_schemas::slow::{SlowFrame, SlowPresence};
use boxbox_sources::iracing::Warning;

use crate::helpers::*;
use crate::writer::V;

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
