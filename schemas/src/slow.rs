//! [`SlowFrame`]: values that change slowly: tyres, fluids, weather; at 1 Hz or on change (F2).

use rkyv::{Archive, Deserialize, Serialize};

use crate::frame::bits;

bits! {
    /// Which groups of a [`SlowFrame`] are present.
    SlowPresence(u32, ArchivedSlowPresence) {
        /// `tyre_wear`
        TYRE_WEAR = 1 << 0;
        /// `tyre_temp_c`
        TYRE_TEMP = 1 << 1;
        /// `tyre_pressure_kpa`
        TYRE_PRESSURE = 1 << 2;
        /// `water_c`
        WATER = 1 << 3;
        /// `oil_c`
        OIL_TEMP = 1 << 4;
        /// `oil_bar`
        OIL_PRESSURE = 1 << 5;
        /// `volts`
        VOLTS = 1 << 6;
        /// `air_c`
        AIR_TEMP = 1 << 7;
        /// `track_c`
        TRACK_TEMP = 1 << 8;
        /// `humidity`
        HUMIDITY = 1 << 9;
        /// `wind_mps`, `wind_dir_rad`
        WIND = 1 << 10;
        /// `best_lap_time_us`
        BEST_LAP_TIME = 1 << 11;
        /// `tyre_sets_used`
        TYRE_SETS = 1 << 12;
    }
}

/// Tyres, fluids and weather of one car at one tick. Wheels are LF, RF, LR, RR.
#[derive(Clone, Copy, PartialEq, Debug, Default, Archive, Serialize, Deserialize)]
#[rkyv(derive(Debug, Clone, Copy))]
pub struct SlowFrame {
    /// The simulator's tick.
    pub tick: u32,
    /// Session time, µs.
    pub sim_time_us: i64,
    /// Which groups are present.
    pub presence: SlowPresence,
    /// Tread left, 1 new … 0 gone; left, middle, right of each wheel. iRacing: as of the last pit stop.
    pub tyre_wear: [[f32; 3]; 4],
    /// Carcass temperature, °C; left, middle, right of each wheel.
    pub tyre_temp_c: [[f32; 3]; 4],
    /// Pressure, kPa.
    pub tyre_pressure_kpa: [f32; 4],
    /// Water, °C.
    pub water_c: f32,
    /// Oil, °C.
    pub oil_c: f32,
    /// Oil pressure, bar.
    pub oil_bar: f32,
    /// Battery, V.
    pub volts: f32,
    /// Air, °C.
    pub air_c: f32,
    /// Track, °C.
    pub track_c: f32,
    /// Relative humidity, 0..1.
    pub humidity: f32,
    /// Wind, m/s.
    pub wind_mps: f32,
    /// Wind direction, rad.
    pub wind_dir_rad: f32,
    /// The simulator's own best lap, µs.
    pub best_lap_time_us: i64,
    /// Tyre sets used.
    pub tyre_sets_used: u16,
    /// Zero; for fields to come.
    pub spare: [u8; 10],
}

/// Bytes of one archived [`SlowFrame`].
pub const SLOW_FRAME_BYTES: usize = size_of::<ArchivedSlowFrame>();
const _: () = assert!(SLOW_FRAME_BYTES == 184 && align_of::<ArchivedSlowFrame>() == 1);
