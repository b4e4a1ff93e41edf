//! Which variable of a recording gives which number: found by name, accepted by unit and type.
//!
//! The unit in the file decides the conversion (AirPressure alone has been Pa and Hg). A unit that is not known leaves
//! the number out, with a warning: no number is better than a wrong one.

use std::ops::RangeInclusive;

use super::car::CarColumns;
use super::layout::{Kind, Value, Variable, read_value};
use super::slow::SlowColumns;
use super::{ReadStats, Warning};

/// Units accepted for a quantity, each with the factor and the offset to ours: ours = value × factor + offset.
pub(super) type Units = &'static [(&'static str, f64, f64)];

const DEGREE: f64 = std::f64::consts::PI / 180.0;
/// Counts, codes and yes-or-no: no unit can change them, and the simulator writes the name of an enumeration there.
pub(super) const PLAIN: Units = &[];
/// iRacing writes % and means 0..1; ranges catch one that would mean 0..100.
pub(super) const FRACTION: Units = &[("%", 1.0, 0.0), ("", 1.0, 0.0)];
pub(super) const SECONDS: Units = &[("s", 1.0, 0.0)];
pub(super) const METRES: Units = &[("m", 1.0, 0.0)];
pub(super) const METRES_PER_S: Units = &[("m/s", 1.0, 0.0), ("km/h", 1.0 / 3.6, 0.0), ("kph", 1.0 / 3.6, 0.0), ("mph", 0.447_04, 0.0)];
pub(super) const METRES_PER_S2: Units = &[("m/s^2", 1.0, 0.0)];
pub(super) const RADIANS: Units = &[("rad", 1.0, 0.0), ("deg", DEGREE, 0.0)];
pub(super) const RADIANS_PER_S: Units = &[("rad/s", 1.0, 0.0), ("deg/s", DEGREE, 0.0)];
pub(super) const DEGREES: Units = &[("deg", 1.0, 0.0)];
pub(super) const REVS_PER_MIN: Units = &[("revs/min", 1.0, 0.0), ("rpm", 1.0, 0.0), ("RPM", 1.0, 0.0)];
/// Energy for electric cars; the session text says which.
pub(super) const FUEL: Units = &[("l", 1.0, 0.0), ("L", 1.0, 0.0), ("l or kWh", 1.0, 0.0), ("kWh", 1.0, 0.0)];
pub(super) const KG_PER_H: Units = &[("kg/h", 1.0, 0.0)];
pub(super) const CELSIUS: Units = &[("C", 1.0, 0.0), ("°C", 1.0, 0.0), ("K", 1.0, -273.15), ("F", 5.0 / 9.0, -160.0 / 9.0)];
pub(super) const KILOPASCAL: Units = &[("kPa", 1.0, 0.0), ("Pa", 0.001, 0.0), ("bar", 100.0, 0.0), ("psi", 6.894_757, 0.0)];
pub(super) const BAR: Units = &[("bar", 1.0, 0.0), ("kPa", 0.01, 0.0), ("Pa", 0.000_01, 0.0), ("psi", 0.068_947_57, 0.0)];
pub(super) const VOLTS: Units = &[("V", 1.0, 0.0)];

/// A number of each record.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: &'static str,
    kind: Kind,
    offset: usize,
    scale: f64,
    add: f64,
    range: RangeInclusive<f64>,
}

impl Column {
    /// The number in our unit, if it is finite and in range; else it is counted.
    pub(super) fn number(&self, record: &[u8], stats: &mut ReadStats) -> Option<f64> {
        // The layout has checked that every variable lies within the record.
        let number = read_value(self.kind, record, self.offset)?.as_f64() * self.scale + self.add;
        if !number.is_finite() {
            stats.not_finite(self.name);
            return None;
        }
        if !self.range.contains(&number) {
            stats.out_of_range(self.name);
            return None;
        }
        Some(number)
    }

    /// The whole number, if it is one.
    pub(super) fn whole(&self, record: &[u8], stats: &mut ReadStats) -> Option<i64> {
        let number = self.number(record, stats)?;
        if number.fract() != 0.0 {
            stats.out_of_range(self.name);
            return None;
        }
        Some(number as i64)
    }

    /// 32 bits, whether the file calls them a bitfield or an integer.
    pub(super) fn word(&self, record: &[u8]) -> Option<u32> {
        match read_value(self.kind, record, self.offset)? {
            Value::Bits(v) => Some(v),
            Value::Int(v) => Some(v as u32),
            Value::Bool(v) => Some(v.into()),
            // Refused when the column was bound.
            Value::Char(_) | Value::Float(_) | Value::Double(_) => None,
        }
    }
}

/// Finds variables and gathers what does not fit.
pub(super) struct Binder<'a> {
    variables: &'a [Variable],
    warnings: &'a mut Vec<Warning>,
}

impl<'a> Binder<'a> {
    pub(super) fn new(variables: &'a [Variable], warnings: &'a mut Vec<Warning>) -> Self {
        Self { variables, warnings }
    }

    /// A number in one of `units`, within `range` in our unit; the first of `names` that fits.
    pub(super) fn number(&mut self, names: &[&'static str], units: Units, range: RangeInclusive<f64>) -> Option<Column> {
        names.iter().find_map(|name| self.one(name, units, range.clone()))
    }

    /// A count or a code within `range`.
    pub(super) fn code(&mut self, name: &'static str, range: RangeInclusive<f64>) -> Option<Column> {
        self.one(name, PLAIN, range)
    }

    /// A yes-or-no: any number, yes if it is not 0.
    pub(super) fn yes_no(&mut self, name: &'static str) -> Option<Column> {
        self.one(name, PLAIN, f64::MIN..=f64::MAX)
    }

    /// A word of bits.
    pub(super) fn word(&mut self, name: &'static str) -> Option<Column> {
        let variable = self.find(name)?;
        if matches!(variable.kind, Kind::Float | Kind::Double) {
            self.refuse_type(name, variable);
            return None;
        }
        self.one(name, PLAIN, f64::MIN..=f64::MAX)
    }

    fn one(&mut self, name: &'static str, units: Units, range: RangeInclusive<f64>) -> Option<Column> {
        let variable = self.find(name)?;
        if variable.kind == Kind::Char || variable.count != 1 {
            self.refuse_type(name, variable);
            return None;
        }
        let (scale, add) = if units.is_empty() {
            (1.0, 0.0)
        } else if let Some((_, scale, add)) = units.iter().find(|(unit, _, _)| *unit == variable.unit) {
            (*scale, *add)
        } else {
            self.warnings.push(Warning::Unit { name, unit: variable.unit.clone() });
            return None;
        };
        Some(Column { name, kind: variable.kind, offset: variable.offset, scale, add, range })
    }

    fn find(&self, name: &str) -> Option<&'a Variable> {
        self.variables.iter().find(|v| v.name == name)
    }

    fn refuse_type(&mut self, name: &'static str, variable: &Variable) {
        self.warnings.push(Warning::Type { name, kind: variable.kind.name(), count: variable.count as u32 });
    }
}

/// Every column that frames are made of.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) clock: ClockColumns,
    pub(super) car: CarColumns,
    pub(super) slow: SlowColumns,
}

/// What places a record in time.
#[derive(Debug, Clone)]
pub(super) struct ClockColumns {
    pub(super) time: Option<Column>,
    pub(super) tick: Option<Column>,
    pub(super) session_num: Option<Column>,
}

impl Columns {
    pub(super) fn bind(variables: &[Variable], electric: bool, warnings: &mut Vec<Warning>) -> Self {
        let mut b = Binder::new(variables, warnings);
        let clock = ClockColumns {
            time: b.number(&["SessionTime"], SECONDS, -MAX_TIME_S..=MAX_TIME_S),
            tick: b.code("SessionTick", 0.0..=f64::from(i32::MAX)),
            session_num: b.code("SessionNum", 0.0..=1_000.0),
        };
        Self { clock, car: CarColumns::bind(&mut b, electric), slow: SlowColumns::bind(&mut b) }
    }
}

/// The longest session time that records may carry, s.
pub(super) const MAX_TIME_S: f64 = (boxbox_schemas::limits::SIM_TIME_MAX_US / 1_000_000) as f64;

/// F7: seconds to microseconds, rounded once, ties to even. `s` is within [`MAX_TIME_S`].
pub(super) fn micros(s: f64) -> i64 {
    (s * 1e6).round_ties_even() as i64
}
