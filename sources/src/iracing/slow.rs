//! Converts a record to a [`SlowFrame`]: tyres, fluids, weather.

use boxbox_schemas::slow::{SlowFrame, SlowPresence};

use super::column::{Binder, Column};
use super::stats::ReadStats;
use super::units::*;

/// Possible temperatures and pressures: wide enough for a burning tyre or a broken engine.
const TEMPERATURE_C: std::ops::RangeInclusive<f64> = -100.0..=2_000.0;
const PRESSURE_KPA: std::ops::RangeInclusive<f64> = 0.0..=2_000.0;
const OIL_BAR: std::ops::RangeInclusive<f64> = -1.0..=100.0;

/// The variables of LF, RF, LR, RR, in the frame's order.
const WEAR: [[&str; 3]; 4] =
    [["LFwearL", "LFwearM", "LFwearR"], ["RFwearL", "RFwearM", "RFwearR"], ["LRwearL", "LRwearM", "LRwearR"], ["RRwearL", "RRwearM", "RRwearR"]];
const CARCASS: [[&str; 3]; 4] = [
    ["LFtempCL", "LFtempCM", "LFtempCR"],
    ["RFtempCL", "RFtempCM", "RFtempCR"],
    ["LRtempCL", "LRtempCM", "LRtempCR"],
    ["RRtempCL", "RRtempCM", "RRtempCR"],
];
const PRESSURE: [&str; 4] = ["LFpressure", "RFpressure", "LRpressure", "RRpressure"];

/// The columns that fill a slow frame's fields.
#[derive(Debug, Clone)]
pub(super) struct SlowColumns {
    wear: [[Option<Column>; 3]; 4],
    carcass: [[Option<Column>; 3]; 4],
    pressure: [Option<Column>; 4],
    water: Option<Column>,
    oil: Option<Column>,
    oil_bar: Option<Column>,
    volts: Option<Column>,
    air: Option<Column>,
    track: Option<Column>,
    humidity: Option<Column>,
    wind: Option<Column>,
    wind_dir: Option<Column>,
    best_lap_time: Option<Column>,
    tyre_sets: Option<Column>,
}

impl SlowColumns {
    pub(super) fn bind(b: &mut Binder<'_>) -> Self {
        Self {
            wear: WEAR.map(|wheel| wheel.map(|name| b.number(&[name], FRACTION, 0.0..=1.01))),
            carcass: CARCASS.map(|wheel| wheel.map(|name| b.number(&[name], CELSIUS, TEMPERATURE_C))),
            pressure: PRESSURE.map(|name| b.number(&[name], KILOPASCAL, PRESSURE_KPA)),
            water: b.number(&["WaterTemp"], CELSIUS, TEMPERATURE_C),
            oil: b.number(&["OilTemp"], CELSIUS, TEMPERATURE_C),
            oil_bar: b.number(&["OilPress"], BAR, OIL_BAR),
            volts: b.number(&["Voltage"], VOLTS, -10_000.0..=10_000.0),
            air: b.number(&["AirTemp"], CELSIUS, TEMPERATURE_C),
            track: b.number(&["TrackTempCrew", "TrackTemp"], CELSIUS, TEMPERATURE_C),
            humidity: b.number(&["RelativeHumidity"], FRACTION, 0.0..=1.01),
            wind: b.number(&["WindVel"], METRES_PER_S, 0.0..=200.0),
            wind_dir: b.number(&["WindDir"], RADIANS, -1_000.0..=1_000.0),
            best_lap_time: b.number(&["LapBestLapTime"], SECONDS, -MAX_TIME_S..=MAX_TIME_S),
            tyre_sets: b.code("TireSetsUsed", 0.0..=f64::from(u16::MAX)),
        }
    }

    /// The slow frame of one record.
    pub(super) fn frame(&self, tick: u32, sim_time_us: i64, record: &[u8], stats: &mut ReadStats) -> SlowFrame {
        let mut f = SlowFrame { tick, sim_time_us, ..SlowFrame::default() };
        let mut number = |c: &Option<Column>| c.as_ref()?.number(record, stats);
        macro_rules! fill {
            ($($bit:ident: $field:ident = $read:expr;)*) => { $(if let Some(value) = $read {
                f.$field = value;
                f.presence = f.presence.with(SlowPresence::$bit);
            })* };
        }
        fill! {
            TYRE_WEAR: tyre_wear = all(self.wear.each_ref().map(|wheel| all(wheel.each_ref().map(|c| number(c).map(|v| v as f32)))));
            TYRE_TEMP: tyre_temp_c = all(self.carcass.each_ref().map(|wheel| all(wheel.each_ref().map(|c| number(c).map(|v| v as f32)))));
            TYRE_PRESSURE: tyre_pressure_kpa = all(self.pressure.each_ref().map(|c| number(c).map(|v| v as f32)));
            WATER: water_c = number(&self.water).map(|v| v as f32);
            OIL_TEMP: oil_c = number(&self.oil).map(|v| v as f32);
            OIL_PRESSURE: oil_bar = number(&self.oil_bar).map(|v| v as f32);
            VOLTS: volts = number(&self.volts).map(|v| v as f32);
            AIR_TEMP: air_c = number(&self.air).map(|v| v as f32);
            TRACK_TEMP: track_c = number(&self.track).map(|v| v as f32);
            HUMIDITY: humidity = number(&self.humidity).map(|v| v as f32);
            BEST_LAP_TIME: best_lap_time_us = number(&self.best_lap_time).map(micros).filter(|us| *us > 0);
            TYRE_SETS: tyre_sets_used = number(&self.tyre_sets).filter(|v| v.fract() == 0.0).map(|v| v as u16);
        }
        if let (Some(speed), Some(direction)) = (number(&self.wind), number(&self.wind_dir)) {
            (f.wind_mps, f.wind_dir_rad) = (speed as f32, direction as f32);
            f.presence = f.presence.with(SlowPresence::WIND);
        }
        f
    }
}

/// All of them, or none: a group is present as a whole.
fn all<T: Copy + Default, const N: usize>(values: [Option<T>; N]) -> Option<[T; N]> {
    let mut out = [T::default(); N];
    for (to, value) in out.iter_mut().zip(values) {
        *to = value?;
    }
    Some(out)
}
