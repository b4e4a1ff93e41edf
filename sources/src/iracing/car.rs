//! Converts a record to a [`CarFrame`]: which variable fills which field, and how iRacing's codes become ours.
//!
//! Axes and signs need no change, because iRacing uses ISO 8855. The clutch is inverted: iRacing's is 1 when engaged, ours when pressed.

use boxbox_schemas::frame::{CarBits, CarFrame, Flags, Presence, SessionState, Surface, TrackLoc};
use boxbox_schemas::limits::{DISTANCE_MAX_M, SPEED_MAX_MPS};

use super::column::{Binder, Column};
use super::stats::ReadStats;
use super::units::*;

/// Speeds and angles beyond these are not possible; the specific force may spike in a crash, so its bound is wide.
const VELOCITY_MAX_MPS: f64 = 2.0 * SPEED_MAX_MPS as f64;
const ACCEL_MAX_MPS2: f64 = 100_000.0;
const ANGLE_MAX_RAD: f64 = 1_000.0;
/// The range of pedals, with the overshoot that is accepted.
const PEDAL: std::ops::RangeInclusive<f64> = -0.01..=1.01;

/// iRacing's flag bits and ours. Caution waving is a caution too; crossed, random waving, ten and five to go,
/// serviceable, scoring invalid and the hidden start light are in the raw word only.
const FLAGS: [(u32, Flags); 19] = [
    (0x0000_0001, Flags::CHECKERED),
    (0x0000_0002, Flags::WHITE),
    (0x0000_0004, Flags::GREEN),
    (0x0000_0008, Flags::YELLOW),
    (0x0000_0010, Flags::RED),
    (0x0000_0020, Flags::BLUE),
    (0x0000_0040, Flags::DEBRIS),
    (0x0000_0100, Flags::YELLOW_WAVING),
    (0x0000_0200, Flags::ONE_TO_GREEN),
    (0x0000_0400, Flags::GREEN_HELD),
    (0x0000_4000, Flags::CAUTION),
    (0x0000_8000, Flags::CAUTION),
    (0x0001_0000, Flags::BLACK),
    (0x0002_0000, Flags::DISQUALIFIED),
    (0x0008_0000, Flags::FURLED),
    (0x0010_0000, Flags::REPAIR),
    (0x2000_0000, Flags::START_READY),
    (0x4000_0000, Flags::START_SET),
    (0x8000_0000, Flags::START_GO),
];

/// The simulator-neutral flags of iRacing's flag word.
pub(super) fn flags(raw: u32) -> Flags {
    FLAGS.iter().filter(|(bit, _)| raw & bit != 0).fold(Flags::default(), |all, (_, flag)| all.with(*flag))
}

/// The surface under the car, from iRacing's 28 materials; `None` if the car is not in the world or the material is undefined.
pub(super) fn surface(material: i64) -> Option<Surface> {
    match material {
        ..=0 => None,
        1..=4 => Some(Surface::ASPHALT),
        5..=6 => Some(Surface::CONCRETE),
        7..=8 | 19..=22 => Some(Surface::DIRT),
        9..=10 => Some(Surface::PAINT),
        11..=14 => Some(Surface::KERB),
        15..=18 => Some(Surface::GRASS),
        23 => Some(Surface::SAND),
        24..=25 => Some(Surface::GRAVEL),
        26.. => Some(Surface::OTHER),
    }
}

/// Three numbers that are present together or not at all.
type Triple = [Option<Column>; 3];

/// The columns that fill a car frame's fields.
#[derive(Debug, Clone)]
pub(super) struct CarColumns {
    electric: bool,
    lap_pct: Option<Column>,
    lap_dist: Option<Column>,
    speed: Option<Column>,
    velocity: Triple,
    accel: Triple,
    attitude: Triple,
    yaw_rate: Option<Column>,
    heading_north: Option<Column>,
    lat: Option<Column>,
    lon: Option<Column>,
    alt: Option<Column>,
    throttle: Option<Column>,
    brake: Option<Column>,
    clutch: Option<Column>,
    steer: Option<Column>,
    steer_max: Option<Column>,
    gear: Option<Column>,
    rpm: Option<Column>,
    fuel: Option<Column>,
    fuel_rate: Option<Column>,
    last_lap_time: Option<Column>,
    lap: Option<Column>,
    laps_completed: Option<Column>,
    place: Option<Column>,
    class_place: Option<Column>,
    incidents: Option<Column>,
    team_incidents: Option<Column>,
    incident_report: Option<Column>,
    track_loc: Option<Column>,
    surface: Option<Column>,
    car_left_right: Option<Column>,
    session_state: Option<Column>,
    flags: Option<Column>,
    on_pit_road: Option<Column>,
    in_stall: Option<Column>,
    pit_service: Option<Column>,
    tow_time: Option<Column>,
    on_track: Option<Column>,
    in_garage: Option<Column>,
    replay: Option<Column>,
    abs: Option<Column>,
}

impl CarColumns {
    pub(super) fn bind(b: &mut Binder<'_>, electric: bool) -> Self {
        let counter = f64::from(i16::MIN)..=f64::from(i16::MAX);
        let points = -1.0..=f64::from(u16::MAX);
        let byte = 0.0..=f64::from(u8::MAX);
        let signed_byte = f64::from(i8::MIN)..=f64::from(i8::MAX);
        let angle = -ANGLE_MAX_RAD..=ANGLE_MAX_RAD;
        let velocity = -VELOCITY_MAX_MPS..=VELOCITY_MAX_MPS;
        let accel = -ACCEL_MAX_MPS2..=ACCEL_MAX_MPS2;
        Self {
            electric,
            lap_pct: b.number(&["LapDistPct"], FRACTION, -0.5..=1.5),
            lap_dist: b.number(&["LapDist"], METRES, -DISTANCE_MAX_M..=DISTANCE_MAX_M),
            speed: b.number(&["Speed"], METRES_PER_S, 0.0..=f64::from(SPEED_MAX_MPS)),
            velocity: ["VelocityX", "VelocityY", "VelocityZ"].map(|name| b.number(&[name], METRES_PER_S, velocity.clone())),
            accel: ["LongAccel", "LatAccel", "VertAccel"].map(|name| b.number(&[name], METRES_PER_S2, accel.clone())),
            attitude: ["Yaw", "Pitch", "Roll"].map(|name| b.number(&[name], RADIANS, angle.clone())),
            yaw_rate: b.number(&["YawRate"], RADIANS_PER_S, angle.clone()),
            heading_north: b.number(&["YawNorth"], RADIANS, angle.clone()),
            lat: b.number(&["Lat"], DEGREES, -90.0..=90.0),
            lon: b.number(&["Lon"], DEGREES, -360.0..=360.0),
            alt: b.number(&["Alt"], METRES, -DISTANCE_MAX_M..=DISTANCE_MAX_M),
            throttle: b.number(&["Throttle", "ThrottleRaw"], FRACTION, PEDAL),
            brake: b.number(&["Brake", "BrakeRaw"], FRACTION, PEDAL),
            clutch: b.number(&["Clutch", "ClutchRaw"], FRACTION, PEDAL),
            steer: b.number(&["SteeringWheelAngle"], RADIANS, angle.clone()),
            steer_max: b.number(&["SteeringWheelAngleMax"], RADIANS, angle),
            gear: b.code("Gear", signed_byte.clone()),
            rpm: b.number(&["RPM"], REVS_PER_MIN, 0.0..=100_000.0),
            fuel: b.number(&["FuelLevel"], FUEL, 0.0..=10_000.0),
            fuel_rate: b.number(&["FuelUsePerHour"], KG_PER_H, -100_000.0..=100_000.0),
            last_lap_time: b.number(&["LapLastLapTime"], SECONDS, -MAX_TIME_S..=MAX_TIME_S),
            lap: b.code("Lap", counter.clone()),
            laps_completed: b.code("LapCompleted", counter),
            place: b.code("PlayerCarPosition", byte.clone()),
            class_place: b.code("PlayerCarClassPosition", byte.clone()),
            incidents: b.code("PlayerCarMyIncidentCount", points.clone()),
            team_incidents: b.code("PlayerCarTeamIncidentCount", points),
            incident_report: b.word("PlayerIncidents"),
            track_loc: b.code("PlayerTrackSurface", signed_byte.clone()),
            surface: b.code("PlayerTrackSurfaceMaterial", signed_byte),
            car_left_right: b.code("CarLeftRight", byte.clone()),
            session_state: b.code("SessionState", byte),
            flags: b.word("SessionFlags"),
            on_pit_road: b.yes_no("OnPitRoad"),
            in_stall: b.yes_no("PlayerCarInPitStall"),
            pit_service: b.yes_no("PitstopActive"),
            tow_time: b.number(&["PlayerCarTowTime"], SECONDS, -MAX_TIME_S..=MAX_TIME_S),
            on_track: b.yes_no("IsOnTrack"),
            in_garage: b.yes_no("IsInGarage"),
            replay: b.yes_no("IsReplayPlaying"),
            abs: b.yes_no("BrakeABSactive"),
        }
    }

    /// Whether records give the length of the lap.
    pub(super) fn gives_length(&self) -> bool {
        self.lap_pct.is_some() && self.lap_dist.is_some()
    }

    /// The frame of one record. Only fields that the record gives are present; impossible values are counted.
    /// Whether an incident report is a new one, and so `incident_reports`, is known only from the record before.
    pub(super) fn frame(&self, tick: u32, sim_time_us: i64, record: &[u8], stats: &mut ReadStats) -> CarFrame {
        let mut f = CarFrame { tick, sim_time_us, ..CarFrame::default() };
        let mut r = Row { record, stats };
        macro_rules! fill {
            ($($bit:ident: $field:ident = $read:expr;)*) => { $(if let Some(value) = $read {
                f.$field = value;
                f.presence.set(Presence::$bit, true);
            })* };
        }
        fill! {
            LAP_PCT: lap_pct = r.number(&self.lap_pct);
            LAP_DIST: lap_dist_m = r.single(&self.lap_dist);
            SPEED: speed_mps = r.single(&self.speed);
            VELOCITY: velocity_mps = r.triple(&self.velocity);
            ACCEL: accel_mps2 = r.triple(&self.accel);
            YAW_RATE: yaw_rate_radps = r.single(&self.yaw_rate);
            HEADING_NORTH: heading_north_rad = r.single(&self.heading_north);
            POSITION_M: position_m = r.single(&self.alt).map(|alt| [0.0, 0.0, alt]);
            THROTTLE: throttle = r.single(&self.throttle);
            BRAKE: brake = r.single(&self.brake);
            CLUTCH: clutch = r.number(&self.clutch).map(|engaged| (1.0 - engaged) as f32);
            STEER: steer_rad = r.single(&self.steer);
            STEER_MAX: steer_max_rad = r.single(&self.steer_max);
            GEAR: gear = r.whole(&self.gear);
            RPM: rpm = r.single(&self.rpm);
            FUEL: fuel_l = r.single(&self.fuel);
            FUEL_RATE: fuel_rate_kgph = r.single(&self.fuel_rate);
            // 0 until there is one; -1 s (below 0) until there is one, and where the simulator refuses the lap.
            LAST_LAP_TIME: last_lap_time_us = r.number(&self.last_lap_time).map(micros).filter(|us| *us != 0);
            LAP: lap = r.whole(&self.lap);
            LAPS_COMPLETED: laps_completed = r.whole(&self.laps_completed);
            // -1 while the count is not known.
            INCIDENTS: incident_count = r.whole(&self.incidents);
            TEAM_INCIDENTS: team_incident_count = r.whole(&self.team_incidents);
            TRACK_LOC: track_loc = r.whole(&self.track_loc).map(TrackLoc);
            SURFACE: surface = r.whole(&self.surface).and_then(surface);
            CAR_LEFT_RIGHT: car_left_right = r.whole(&self.car_left_right);
            SESSION_STATE: session_state = r.whole(&self.session_state).map(SessionState);
        }
        if let Some([yaw, pitch, roll]) = r.triple(&self.attitude) {
            (f.yaw_rad, f.pitch_rad, f.roll_rad) = (yaw, pitch, roll);
            f.presence.set(Presence::ATTITUDE, true);
        }
        if let (Some(lat), Some(lon)) = (r.number(&self.lat), r.number(&self.lon)) {
            (f.lat_deg, f.lon_deg) = (lat, lon);
            f.presence.set(Presence::LAT_LON, true);
        }
        let (place, class_place) = (r.whole(&self.place), r.whole(&self.class_place));
        f.presence.set(Presence::PLACE, place.is_some() || class_place.is_some());
        (f.place, f.class_place) = (place.unwrap_or(0), class_place.unwrap_or(0));
        if let Some(raw) = self.flags.as_ref().and_then(|c| c.word(record)) {
            (f.flags_raw, f.flags) = (raw, flags(raw));
            f.presence.set(Presence::FLAGS, true);
        }
        if let Some(word) = self.incident_report.as_ref().and_then(|c| c.word(record)) {
            let [report, penalty, ..] = word.to_le_bytes();
            (f.incident_report, f.incident_penalty) = (report, penalty);
            f.presence.set(Presence::INCIDENT_LATCH, true);
        }
        self.bits(&mut f, &mut r);
        (f.flags_seen, f.bits_seen) = (f.flags, f.bits);
        f
    }

    fn bits(&self, f: &mut CarFrame, r: &mut Row<'_>) {
        let facts = [
            (&self.on_pit_road, CarBits::ON_PIT_ROAD, Some(Presence::PIT_ROAD)),
            (&self.in_stall, CarBits::IN_STALL, Some(Presence::IN_STALL)),
            (&self.pit_service, CarBits::PIT_SERVICE, Some(Presence::PIT_SERVICE)),
            (&self.on_track, CarBits::ON_TRACK, Some(Presence::ON_TRACK)),
            (&self.in_garage, CarBits::IN_GARAGE, Some(Presence::IN_GARAGE)),
            (&self.replay, CarBits::REPLAY, None),
            (&self.abs, CarBits::ABS, None),
        ];
        for (column, bit, presence) in facts {
            if let Some(value) = r.number(column) {
                f.bits.set(bit, value != 0.0);
                f.presence.set(presence.unwrap_or_default(), true);
            }
        }
        if let Some(left) = r.number(&self.tow_time) {
            f.bits.set(CarBits::TOWING, left > 0.0);
            f.presence.set(Presence::TOWING, true);
        }
        f.bits.set(CarBits::ELECTRIC, self.electric);
    }
}

/// One record being read.
struct Row<'a> {
    record: &'a [u8],
    stats: &'a mut ReadStats,
}

impl Row<'_> {
    fn number(&mut self, column: &Option<Column>) -> Option<f64> {
        column.as_ref()?.number(self.record, self.stats)
    }

    fn single(&mut self, column: &Option<Column>) -> Option<f32> {
        self.number(column).map(|v| v as f32)
    }

    fn triple(&mut self, columns: &Triple) -> Option<[f32; 3]> {
        let [x, y, z] = columns.each_ref().map(|c| self.single(c));
        Some([x?, y?, z?])
    }

    /// A whole number that fits into its field.
    fn whole<T: TryFrom<i64>>(&mut self, column: &Option<Column>) -> Option<T> {
        T::try_from(column.as_ref()?.whole(self.record, self.stats)?).ok()
    }
}
