//! Columns: the variables of a recording that give numbers, found by name and accepted by unit and type.
//!
//! The unit in the file decides the conversion (AirPressure alone has been Pa and Hg). A number in an unknown
//! unit is left out, with a warning: a missing number is better than a wrong one.

use std::ops::RangeInclusive;

use super::error::Warning;
use super::layout::{Value, ValueType, Variable, read_value};
use super::stats::ReadStats;
use super::units::{PLAIN, Units};

/// A number that each record has.
#[derive(Debug, Clone)]
pub(super) struct Column {
    pub(super) name: &'static str,
    value_type: ValueType,
    offset: usize,
    scale: f64,
    add: f64,
    range: RangeInclusive<f64>,
}

impl Column {
    /// The number in our unit, if it is finite and in range; otherwise it is counted.
    pub(super) fn number(&self, record: &[u8], stats: &mut ReadStats) -> Option<f64> {
        // The layout has checked that every variable lies within the record.
        let number = read_value(self.value_type, record, self.offset)?.as_f64() * self.scale + self.add;
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
        match read_value(self.value_type, record, self.offset)? {
            Value::Bits(v) => Some(v),
            Value::Int(v) => Some(v as u32),
            Value::Bool(v) => Some(v.into()),
            // Refused when the column was bound.
            Value::Char(_) | Value::Float(_) | Value::Double(_) => None,
        }
    }
}

/// Finds variables and collects warnings about those that do not fit.
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

    /// A boolean: any number, true if it is not 0.
    pub(super) fn yes_no(&mut self, name: &'static str) -> Option<Column> {
        self.one(name, PLAIN, f64::MIN..=f64::MAX)
    }

    /// A word of bits.
    pub(super) fn word(&mut self, name: &'static str) -> Option<Column> {
        let variable = self.find(name)?;
        if matches!(variable.value_type, ValueType::Float | ValueType::Double) {
            self.refuse_type(name, variable);
            return None;
        }
        self.one(name, PLAIN, f64::MIN..=f64::MAX)
    }

    fn one(&mut self, name: &'static str, units: Units, range: RangeInclusive<f64>) -> Option<Column> {
        let variable = self.find(name)?;
        if variable.value_type == ValueType::Char || variable.count != 1 {
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
        Some(Column { name, value_type: variable.value_type, offset: variable.offset, scale, add, range })
    }

    fn find(&self, name: &str) -> Option<&'a Variable> {
        self.variables.iter().find(|v| v.name == name)
    }

    fn refuse_type(&mut self, name: &'static str, variable: &Variable) {
        self.warnings.push(Warning::Type { name, kind: variable.value_type.name(), count: variable.count as u32 });
    }
}
