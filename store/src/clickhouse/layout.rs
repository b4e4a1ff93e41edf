//! The layout of table `frames`: the position of each column in a frame, and its codec.
//!
//! The frame's columns are the fields of [`CarFrame`](boxbox_schemas::frame::CarFrame) in declared order, an element of an
//! array as a separate column, and every type has the frame's own bytes. So a frame's row in ClickHouse's `RowBinary` *is*
//! the archived frame (F1): neither writing nor reading converts anything. DDL, insert and select are made from this one table.
//!
//! The codecs were chosen by `examples/codecs.rs` on a real recording; its figures are in the project's measurements.

use std::mem::offset_of;

use boxbox_schemas::frame::{ArchivedCarFrame, CAR_FRAME_BYTES};

/// A column of table `frames`.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    /// Its name, with its unit.
    pub name: &'static str,
    /// The frame's field that the column stores, or stores an element of.
    pub field: &'static str,
    /// Its type.
    pub column_type: ColumnType,
    /// Where in the frame it begins, bytes.
    pub offset: usize,
    /// Its compression: the text in `CODEC(…)`.
    pub codec: &'static str,
    /// Its description for people: `COMMENT`.
    pub comment: &'static str,
}

/// A type of ClickHouse with a fixed size.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs)]
pub enum ColumnType {
    Int8,
    UInt8,
    Int16,
    UInt16,
    UInt32,
    Int64,
    UInt64,
    Float32,
    Float64,
    FixedString(usize),
}

impl ColumnType {
    /// Bytes of a value.
    pub const fn width(self) -> usize {
        match self {
            ColumnType::Int8 | ColumnType::UInt8 => 1,
            ColumnType::Int16 | ColumnType::UInt16 => 2,
            ColumnType::UInt32 | ColumnType::Float32 => 4,
            ColumnType::Int64 | ColumnType::UInt64 | ColumnType::Float64 => 8,
            ColumnType::FixedString(bytes) => bytes,
        }
    }

    /// Its name in SQL.
    pub fn sql(self) -> String {
        // The derived Debug is ClickHouse's own spelling, `FixedString(18)` included.
        format!("{self:?}")
    }
}

macro_rules! column {
    ($field:ident, $type:expr, $codec:expr, $comment:expr) => {
        Column {
            name: stringify!($field),
            field: stringify!($field),
            column_type: $type,
            offset: offset_of!(ArchivedCarFrame, $field),
            codec: $codec,
            comment: $comment,
        }
    };
    ($field:ident[$element:literal] as $name:ident, $type:expr, $codec:expr, $comment:expr) => {
        Column {
            name: stringify!($name),
            field: stringify!($field),
            column_type: $type,
            offset: offset_of!(ArchivedCarFrame, $field) + $element * $type.width(),
            codec: $codec,
            comment: $comment,
        }
    };
}

/// Numbers that usually rise by the same amount.
const STEADY: &str = "DoubleDelta, ZSTD(1)";
/// Numbers that rise a little. It also suits words that stay the same for long.
const NEAR: &str = "Delta, ZSTD(1)";
/// Signals of a car: each value is predicted from those before.
const SIGNAL: &str = "FPC, ZSTD(1)";
/// Values that rarely change.
const STATE: &str = "ZSTD(1)";

/// A column that says whose frame a row is, and which block contained it.
#[derive(Clone, Copy, Debug)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// Its type, as ClickHouse spells it.
    pub sql: &'static str,
    /// Its compression: the text in `CODEC(…)`.
    pub codec: &'static str,
    /// Its description for people: `COMMENT`.
    pub comment: &'static str,
}

/// The labels, in the order of the table: first those that it is sorted by.
pub const LABELS: &[Label] = &[
    Label { name: "tenant", sql: "LowCardinality(String)", codec: STATE, comment: "Whose data it is" },
    Label { name: "session", sql: "FixedString(16)", codec: STATE, comment: "The session's id" },
    Label { name: "driver", sql: "LowCardinality(String)", codec: STATE, comment: "Whose grant sent it" },
    Label { name: "run", sql: "FixedString(16)", codec: "ZSTD(3)", comment: "Which start of the driver's client sent it" },
    Label { name: "seq", sql: "UInt64", codec: STEADY, comment: "Its sequence number in the stream of (tenant, session, driver, run)" },
    Label { name: "log", sql: "LowCardinality(String)", codec: STATE, comment: "The log's id" },
    Label { name: "part", sql: "UInt32", codec: NEAR, comment: "The log's partition" },
    Label { name: "log_offset", sql: "UInt64", codec: STEADY, comment: "Offset of the last record of the block that brought it" },
    Label { name: "appended_at", sql: "DateTime64(6, 'UTC')", codec: STEADY, comment: "When the log took that record" },
];

/// Columns of table `records` beyond the labels: name, type, codec, comment.
pub const RECORD: &[(&str, &str, &str, &str)] = &[
    ("next_seq", "UInt64", STEADY, "The first sequence number after it; equal to seq: it is the prelude of the frames that begin there"),
    ("record_offset", "UInt64", STEADY, "Its own offset in the log"),
    ("received_us", "Int64", STEADY, "When an edge received it, Unix µs"),
    ("bytes", "String", "ZSTD(3)", "The record as its client sealed it; what the server did to a session: with the cursors of its streams behind it"),
];

/// The frame's columns, in the order of its bytes.
pub const FRAME: &[Column] = &[
    column!(tick, ColumnType::UInt32, NEAR, "The simulator's own tick"),
    column!(sim_time_us, ColumnType::Int64, STEADY, "Session time, µs"),
    column!(presence, ColumnType::UInt64, STEADY, "Which fields are real: a bit for each, 0 bits have the value 0"),
    column!(lap_pct, ColumnType::Float64, NEAR, "Fraction of the lap, 0..1"),
    column!(lat_deg, ColumnType::Float64, NEAR, "Latitude, degrees"),
    column!(lon_deg, ColumnType::Float64, NEAR, "Longitude, degrees"),
    column!(last_lap_time_us, ColumnType::Int64, STEADY, "The simulator's own time of the last lap, µs"),
    column!(lap_dist_m, ColumnType::Float32, STEADY, "Distance round the lap, m"),
    column!(speed_mps, ColumnType::Float32, SIGNAL, "Speed, m/s"),
    column!(velocity_mps[0] as velocity_x_mps, ColumnType::Float32, SIGNAL, "Velocity forward, m/s"),
    column!(velocity_mps[1] as velocity_y_mps, ColumnType::Float32, SIGNAL, "Velocity to the left, m/s"),
    column!(velocity_mps[2] as velocity_z_mps, ColumnType::Float32, SIGNAL, "Velocity upward, m/s"),
    column!(accel_mps2[0] as accel_x_mps2, ColumnType::Float32, SIGNAL, "Specific force forward, m/s², gravity included"),
    column!(accel_mps2[1] as accel_y_mps2, ColumnType::Float32, SIGNAL, "Specific force to the left, m/s², gravity included"),
    column!(accel_mps2[2] as accel_z_mps2, ColumnType::Float32, SIGNAL, "Specific force upward, m/s², gravity included"),
    column!(yaw_rad, ColumnType::Float32, SIGNAL, "Yaw, rad, counter-clockwise positive"),
    column!(pitch_rad, ColumnType::Float32, SIGNAL, "Pitch, rad, nose down positive"),
    column!(roll_rad, ColumnType::Float32, SIGNAL, "Roll, rad, right side down positive"),
    column!(yaw_rate_radps, ColumnType::Float32, SIGNAL, "Yaw rate, rad/s"),
    column!(heading_north_rad, ColumnType::Float32, SIGNAL, "Compass heading, rad, clockwise from north"),
    column!(position_m[0] as position_x_m, ColumnType::Float32, SIGNAL, "Position in the world's axes, m"),
    column!(position_m[1] as position_y_m, ColumnType::Float32, SIGNAL, "Position in the world's axes, m"),
    column!(position_m[2] as position_z_m, ColumnType::Float32, SIGNAL, "Position in the world's axes, or altitude, m"),
    column!(throttle, ColumnType::Float32, SIGNAL, "Throttle, 0..1"),
    column!(brake, ColumnType::Float32, SIGNAL, "Brake, 0..1"),
    column!(clutch, ColumnType::Float32, SIGNAL, "Clutch pedal, 0 released .. 1 pressed"),
    column!(steer_rad, ColumnType::Float32, SIGNAL, "Steering wheel angle, rad, left positive"),
    column!(steer_max_rad, ColumnType::Float32, SIGNAL, "Steering wheel angle at full lock, rad"),
    column!(rpm, ColumnType::Float32, SIGNAL, "Engine speed, rev/min"),
    column!(fuel_l, ColumnType::Float32, STEADY, "Fuel, litres (kWh for electric cars)"),
    column!(fuel_rate_kgph, ColumnType::Float32, SIGNAL, "Fuel flow, kg/h"),
    column!(flags, ColumnType::UInt32, NEAR, "Flags at this tick, the platform's bits"),
    column!(flags_seen, ColumnType::UInt32, NEAR, "Flags at this tick or any since the frame before"),
    column!(flags_raw, ColumnType::UInt32, NEAR, "The simulator's own flag word"),
    column!(lap, ColumnType::Int16, STATE, "Laps started, the simulator's counter"),
    column!(laps_completed, ColumnType::Int16, STATE, "Laps completed, the simulator's counter"),
    column!(bits, ColumnType::UInt16, STATE, "Yes-or-no facts, the platform's bits"),
    column!(bits_seen, ColumnType::UInt16, STATE, "Yes-or-no facts at this tick or any since the frame before"),
    column!(incident_count, ColumnType::UInt16, STATE, "The driver's own incident points so far"),
    column!(team_incident_count, ColumnType::UInt16, STATE, "The team's incident points so far"),
    column!(incident_reports, ColumnType::UInt8, STATE, "Incident reports of the simulator since the frame before"),
    column!(incident_report, ColumnType::UInt8, STATE, "Code of the last of them"),
    column!(incident_penalty, ColumnType::UInt8, STATE, "Penalty code of the last of them"),
    column!(place, ColumnType::UInt8, STATE, "Overall position, 1-based, 0 unknown"),
    column!(class_place, ColumnType::UInt8, STATE, "Position in class, 1-based, 0 unknown"),
    column!(gear, ColumnType::Int8, STATE, "Gear: -1 reverse, 0 neutral"),
    column!(track_loc, ColumnType::Int8, STATE, "Where the car is: -1 not in the world, 0 off track, 1 pit stall, 2 pit approach, 3 on track"),
    column!(surface, ColumnType::UInt8, STATE, "What is under the car, the platform's code"),
    column!(car_left_right, ColumnType::UInt8, STATE, "Cars alongside, iRacing's code"),
    column!(session_state, ColumnType::UInt8, STATE, "The session's state, the platform's code"),
    column!(spare, ColumnType::FixedString(18), STATE, "Zero; for fields to come"),
];

// The columns are the frame, byte for byte: none is left out and none overlaps.
const _: () = {
    let (mut at, mut column) = (0, 0);
    while column < FRAME.len() {
        assert!(FRAME[column].offset == at);
        at += FRAME[column].column_type.width();
        column += 1;
    }
    assert!(at == CAR_FRAME_BYTES);
};
