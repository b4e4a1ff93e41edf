//! [`CarFrame`]: one car at one simulator tick, 200 bytes, no identity (F1, F2).
//!
//! Axes are ISO 8855 (x forward, y left, z up; yaw counter-clockwise positive, pitch nose-down positive).
//! If the simulator does not give a field, its [`Presence`] bit is clear and its value is 0, never NaN.
//! Codes are newtypes, and unknown values are kept, so that an old edge can carry a new client's frames.

use rkyv::{Archive, Deserialize, Serialize};

macro_rules! bits {
    ($(#[$doc:meta])* $name:ident($int:ty, $archived:ident) { $($(#[$bit_doc:meta])* $bit:ident = $value:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
        #[rkyv(derive(Debug, Clone, Copy))]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$bit_doc])* pub const $bit: Self = Self($value);)*

            /// Every named bit with its name in lower case.
            pub const NAMES: &'static [(Self, &'static str)] = &[$((Self::$bit, stringify!($bit))),*];

            /// Whether all bits of `other` are set.
            #[inline]
            pub const fn has(self, other: Self) -> bool {
                self.0 & other.0 == other.0
            }
            /// Whether any bit of `other` is set.
            #[inline]
            pub const fn any(self, other: Self) -> bool {
                self.0 & other.0 != 0
            }
            /// No bit is set.
            #[inline]
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }
            /// These bits and those of `other`.
            #[must_use]
            #[inline]
            pub const fn with(self, other: Self) -> Self {
                Self(self.0 | other.0)
            }
            /// These bits without those of `other`.
            #[must_use]
            #[inline]
            pub const fn without(self, other: Self) -> Self {
                Self(self.0 & !other.0)
            }
            /// `other` set or cleared.
            pub fn set(&mut self, other: Self, on: bool) {
                *self = if on { self.with(other) } else { self.without(other) };
            }
            /// The names of the bits that are set, in lower case.
            pub fn names(self) -> Vec<String> {
                Self::NAMES.iter().filter(|(bit, _)| self.has(*bit)).map(|(_, name)| name.to_ascii_lowercase()).collect()
            }
        }

        impl From<&$archived> for $name {
            #[inline]
            fn from(a: &$archived) -> Self {
                Self(a.0.into())
            }
        }
    };
}
pub(crate) use bits;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident($int:ty, $archived:ident) { $($(#[$code_doc:meta])* $code:ident = $value:expr;)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, rkyv::Archive, rkyv::Serialize, rkyv::Deserialize, serde::Serialize, serde::Deserialize)]
        #[rkyv(derive(Debug, Clone, Copy))]
        #[serde(transparent)]
        pub struct $name(pub $int);

        impl $name {
            $($(#[$code_doc])* pub const $code: Self = Self($value);)*
        }

        impl From<&$archived> for $name {
            #[inline]
            fn from(a: &$archived) -> Self {
                Self(a.0.into())
            }
        }
    };
}
pub(crate) use codes;

bits! {
    /// Which optional fields of a [`CarFrame`] are present.
    Presence(u64, ArchivedPresence) {
        /// `lap_pct`
        LAP_PCT = 1 << 0;
        /// `lap_dist_m`
        LAP_DIST = 1 << 1;
        /// `speed_mps`
        SPEED = 1 << 2;
        /// `velocity_mps`
        VELOCITY = 1 << 3;
        /// `accel_mps2`
        ACCEL = 1 << 4;
        /// `yaw_rad`, `pitch_rad`, `roll_rad`
        ATTITUDE = 1 << 5;
        /// `yaw_rate_radps`
        YAW_RATE = 1 << 6;
        /// `heading_north_rad`
        HEADING_NORTH = 1 << 7;
        /// `lat_deg`, `lon_deg`
        LAT_LON = 1 << 8;
        /// `position_m`
        POSITION_M = 1 << 9;
        /// `throttle`
        THROTTLE = 1 << 10;
        /// `brake`
        BRAKE = 1 << 11;
        /// `clutch`
        CLUTCH = 1 << 12;
        /// `steer_rad`
        STEER = 1 << 13;
        /// `steer_max_rad`
        STEER_MAX = 1 << 14;
        /// `gear`
        GEAR = 1 << 15;
        /// `rpm`
        RPM = 1 << 16;
        /// `fuel_l`
        FUEL = 1 << 17;
        /// `fuel_rate_kgph`
        FUEL_RATE = 1 << 18;
        /// `last_lap_time_us`
        LAST_LAP_TIME = 1 << 19;
        /// `lap`
        LAP = 1 << 20;
        /// `laps_completed`
        LAPS_COMPLETED = 1 << 21;
        /// `place`, `class_place`
        PLACE = 1 << 22;
        /// `incident_count`
        INCIDENTS = 1 << 23;
        /// `team_incident_count`
        TEAM_INCIDENTS = 1 << 24;
        /// `incident_reports`, `incident_report`, `incident_penalty`
        INCIDENT_LATCH = 1 << 25;
        /// `track_loc`
        TRACK_LOC = 1 << 26;
        /// `surface`
        SURFACE = 1 << 27;
        /// `car_left_right`
        CAR_LEFT_RIGHT = 1 << 28;
        /// `session_state`
        SESSION_STATE = 1 << 29;
        /// `flags`, `flags_seen`, `flags_raw`
        FLAGS = 1 << 30;
        /// `CarBits::ON_PIT_ROAD`
        PIT_ROAD = 1 << 31;
        /// `CarBits::IN_STALL`
        IN_STALL = 1 << 32;
        /// `CarBits::PIT_SERVICE`
        PIT_SERVICE = 1 << 33;
        /// `CarBits::TOWING`
        TOWING = 1 << 34;
        /// `CarBits::ON_TRACK`
        ON_TRACK = 1 << 35;
        /// `CarBits::IN_GARAGE`
        IN_GARAGE = 1 << 36;
    }
}

bits! {
    /// Yes-or-no values of a car. A bit that has a [`Presence`] bit is valid only if that is set.
    CarBits(u16, ArchivedCarBits) {
        /// Between the pit lane's cones.
        ON_PIT_ROAD = 1 << 0;
        /// In its own pit stall.
        IN_STALL = 1 << 1;
        /// Being serviced.
        PIT_SERVICE = 1 << 2;
        /// Being towed.
        TOWING = 1 << 3;
        /// The player is in the car and physics runs.
        ON_TRACK = 1 << 4;
        /// In the garage.
        IN_GARAGE = 1 << 5;
        /// A replay is shown: not live data.
        REPLAY = 1 << 6;
        /// ABS is working.
        ABS = 1 << 7;
        /// Fuel is energy: `fuel_l` is kWh.
        ELECTRIC = 1 << 8;
        /// The simulator marks the current lap as invalid.
        SIM_LAP_INVALID = 1 << 9;
    }
}

bits! {
    /// Flags shown to this car, the same bits for every simulator.
    Flags(u32, ArchivedFlags) {
        /// Green.
        GREEN = 1 << 0;
        /// Local or full-course yellow.
        YELLOW = 1 << 1;
        /// Waving yellow.
        YELLOW_WAVING = 1 << 2;
        /// Full-course caution.
        CAUTION = 1 << 3;
        /// Red: session stopped.
        RED = 1 << 4;
        /// White: last lap.
        WHITE = 1 << 5;
        /// Chequered: finish.
        CHECKERED = 1 << 6;
        /// Blue: being lapped.
        BLUE = 1 << 7;
        /// Black: penalty.
        BLACK = 1 << 8;
        /// Disqualified.
        DISQUALIFIED = 1 << 9;
        /// Furled black: warning.
        FURLED = 1 << 10;
        /// Must repair (meatball).
        REPAIR = 1 << 11;
        /// Debris.
        DEBRIS = 1 << 12;
        /// Start lights: get ready.
        START_READY = 1 << 13;
        /// Start lights: set.
        START_SET = 1 << 14;
        /// Start lights: go.
        START_GO = 1 << 15;
        /// Green is held until the field is in order.
        GREEN_HELD = 1 << 16;
        /// One lap to green.
        ONE_TO_GREEN = 1 << 17;
    }
}

codes! {
    /// Where a car is.
    TrackLoc(i8, ArchivedTrackLoc) {
        /// Not in the world.
        NOT_IN_WORLD = -1;
        /// Off track.
        OFF_TRACK = 0;
        /// In its pit stall.
        PIT_STALL = 1;
        /// Approaching the pits, pit road included.
        PIT_APPROACH = 2;
        /// On track.
        ON_TRACK = 3;
    }
}

codes! {
    /// What is under the car.
    Surface(u8, ArchivedSurface) {
        /// Not known.
        UNKNOWN = 0;
        /// Asphalt.
        ASPHALT = 1;
        /// Concrete.
        CONCRETE = 2;
        /// Painted asphalt.
        PAINT = 3;
        /// Kerb.
        KERB = 4;
        /// Grass.
        GRASS = 5;
        /// Dirt, racing surface or not.
        DIRT = 6;
        /// Sand.
        SAND = 7;
        /// Gravel.
        GRAVEL = 8;
        /// Anything else.
        OTHER = 9;
    }
}

codes! {
    /// The phase of a session.
    SessionState(u8, ArchivedSessionState) {
        /// Not known.
        INVALID = 0;
        /// Drivers get into their cars.
        GET_IN_CAR = 1;
        /// Warm-up.
        WARMUP = 2;
        /// Parade laps.
        PARADE = 3;
        /// Racing.
        RACING = 4;
        /// Chequered flag is out.
        CHECKERED = 5;
        /// Over.
        COOL_DOWN = 6;
    }
}

/// One car at one simulator tick.
#[derive(Clone, Copy, PartialEq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct CarFrame {
    /// The simulator's own tick; equal ticks of one session are the same instant for every client.
    pub tick: u32,
    /// Session time, µs, the simulator's clock (F7).
    pub sim_time_us: i64,
    /// Which fields are present.
    pub presence: Presence,
    /// Fraction of the lap, 0..1; may be slightly outside at angled lines.
    pub lap_pct: f64,
    /// Latitude, degrees.
    pub lat_deg: f64,
    /// Longitude, degrees.
    pub lon_deg: f64,
    /// The simulator's own time of the last lap, µs; below 0 if it has none, or refuses that lap.
    pub last_lap_time_us: i64,
    /// Distance round the lap, m.
    pub lap_dist_m: f32,
    /// Speed, m/s, ≥ 0.
    pub speed_mps: f32,
    /// Velocity in the car's axes, m/s.
    pub velocity_mps: [f32; 3],
    /// Specific force in the car's axes, m/s², gravity included.
    pub accel_mps2: [f32; 3],
    /// Yaw, rad.
    pub yaw_rad: f32,
    /// Pitch, rad.
    pub pitch_rad: f32,
    /// Roll, rad, right side down positive.
    pub roll_rad: f32,
    /// Yaw rate, rad/s.
    pub yaw_rate_radps: f32,
    /// Compass heading, rad, clockwise from north.
    pub heading_north_rad: f32,
    /// Position in the world's axes, m; if the simulator gives the latitude, only z, the altitude, is set.
    pub position_m: [f32; 3],
    /// Throttle, 0..1.
    pub throttle: f32,
    /// Brake, 0..1.
    pub brake: f32,
    /// Clutch pedal, 0 released … 1 pressed.
    pub clutch: f32,
    /// Steering wheel angle, rad, left positive.
    pub steer_rad: f32,
    /// Steering wheel angle at full lock, rad.
    pub steer_max_rad: f32,
    /// Engine speed, rev/min.
    pub rpm: f32,
    /// Fuel, litres (kWh with [`CarBits::ELECTRIC`]).
    pub fuel_l: f32,
    /// Fuel flow, kg/h.
    pub fuel_rate_kgph: f32,
    /// Flags at this tick.
    pub flags: Flags,
    /// Flags at this tick or at any tick since the frame before, so that sampling does not lose a pulse of one tick.
    pub flags_seen: Flags,
    /// The simulator's own flag word.
    pub flags_raw: u32,
    /// Laps started, the simulator's counter; lags and flickers.
    pub lap: i16,
    /// Laps completed, the simulator's counter; lags.
    pub laps_completed: i16,
    /// Yes-or-no values.
    pub bits: CarBits,
    /// Yes-or-no values at this tick or at any tick since the frame before.
    pub bits_seen: CarBits,
    /// The driver's own incident points so far.
    pub incident_count: u16,
    /// The team's incident points so far.
    pub team_incident_count: u16,
    /// Incident reports of the simulator since the frame before.
    pub incident_reports: u8,
    /// Code of the last of them (iRacing: low byte of PlayerIncidents).
    pub incident_report: u8,
    /// Penalty code of the last of them (iRacing: second byte; unreliable).
    pub incident_penalty: u8,
    /// Overall position, 1-based, 0 unknown.
    pub place: u8,
    /// Position in class, 1-based, 0 unknown.
    pub class_place: u8,
    /// Gear: -1 reverse, 0 neutral.
    pub gear: i8,
    /// Where the car is.
    pub track_loc: TrackLoc,
    /// The surface under it.
    pub surface: Surface,
    /// Cars alongside (iRacing's CarLeftRight code).
    pub car_left_right: u8,
    /// The session's state.
    pub session_state: SessionState,
    /// Zero; for fields to come.
    pub spare: [u8; 18],
}

impl CarFrame {
    /// Whether all of `fields` are present.
    pub const fn has(&self, fields: Presence) -> bool {
        self.presence.has(fields)
    }
}

/// Bytes of one archived [`CarFrame`].
pub const CAR_FRAME_BYTES: usize = size_of::<ArchivedCarFrame>();

// F1: a build with other rkyv features must not compile, because it would misread frames of other builds.
const _: () = {
    assert!(CAR_FRAME_BYTES == 200);
    assert!(align_of::<ArchivedCarFrame>() == 1);
    assert!(std::mem::offset_of!(ArchivedCarFrame, tick) == 0);
    assert!(std::mem::offset_of!(ArchivedCarFrame, sim_time_us) == 4);
    assert!(std::mem::offset_of!(ArchivedCarFrame, presence) == 12);
    assert!(std::mem::offset_of!(ArchivedCarFrame, lap_pct) == 20);
    assert!(std::mem::offset_of!(ArchivedCarFrame, last_lap_time_us) == 44);
    assert!(std::mem::offset_of!(ArchivedCarFrame, lap_dist_m) == 52);
    assert!(std::mem::offset_of!(ArchivedCarFrame, flags) == 148);
    assert!(std::mem::offset_of!(ArchivedCarFrame, lap) == 160);
    assert!(std::mem::offset_of!(ArchivedCarFrame, bits) == 164);
    assert!(std::mem::offset_of!(ArchivedCarFrame, incident_count) == 168);
    assert!(std::mem::offset_of!(ArchivedCarFrame, spare) == 182);
};
