//! The units that a recording may use, and the conversion of each to ours.

/// Units accepted for a quantity, each with the factor and the offset to ours: ours = value × factor + offset.
pub(super) type Units = &'static [(&'static str, f64, f64)];

const DEGREE: f64 = std::f64::consts::PI / 180.0;
/// Counts, codes and booleans: they have no unit, and the simulator writes the name of an enumeration there.
pub(super) const PLAIN: Units = &[];
/// iRacing writes % for 0..1; the accepted ranges detect a value of 0..100.
pub(super) const FRACTION: Units = &[("%", 1.0, 0.0), ("", 1.0, 0.0)];
pub(super) const SECONDS: Units = &[("s", 1.0, 0.0)];
pub(super) const METRES: Units = &[("m", 1.0, 0.0)];
pub(super) const METRES_PER_S: Units = &[("m/s", 1.0, 0.0), ("km/h", 1.0 / 3.6, 0.0), ("kph", 1.0 / 3.6, 0.0), ("mph", 0.447_04, 0.0)];
pub(super) const METRES_PER_S2: Units = &[("m/s^2", 1.0, 0.0)];
pub(super) const RADIANS: Units = &[("rad", 1.0, 0.0), ("deg", DEGREE, 0.0)];
pub(super) const RADIANS_PER_S: Units = &[("rad/s", 1.0, 0.0), ("deg/s", DEGREE, 0.0)];
pub(super) const DEGREES: Units = &[("deg", 1.0, 0.0)];
pub(super) const REVS_PER_MIN: Units = &[("revs/min", 1.0, 0.0), ("rpm", 1.0, 0.0), ("RPM", 1.0, 0.0)];
/// For electric cars this is energy; the session text says which cars are.
pub(super) const FUEL: Units = &[("l", 1.0, 0.0), ("L", 1.0, 0.0), ("l or kWh", 1.0, 0.0), ("kWh", 1.0, 0.0)];
pub(super) const KG_PER_H: Units = &[("kg/h", 1.0, 0.0)];
pub(super) const CELSIUS: Units = &[("C", 1.0, 0.0), ("°C", 1.0, 0.0), ("K", 1.0, -273.15), ("F", 5.0 / 9.0, -160.0 / 9.0)];
pub(super) const KILOPASCAL: Units = &[("kPa", 1.0, 0.0), ("Pa", 0.001, 0.0), ("bar", 100.0, 0.0), ("psi", 6.894_757, 0.0)];
pub(super) const BAR: Units = &[("bar", 1.0, 0.0), ("kPa", 0.01, 0.0), ("Pa", 0.000_01, 0.0), ("psi", 0.068_947_57, 0.0)];
pub(super) const VOLTS: Units = &[("V", 1.0, 0.0)];

/// The longest session time that records may carry, s.
pub(super) const MAX_TIME_S: f64 = (boxbox_schemas::limits::SIM_TIME_MAX_US / 1_000_000) as f64;

/// F7: seconds to microseconds, rounded once, ties to even. `s` is within [`MAX_TIME_S`].
pub(super) fn micros(s: f64) -> i64 {
    (s * 1e6).round_ties_even() as i64
}
