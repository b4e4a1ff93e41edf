//! All columns of a recording: of the clock, of car frames, of slow frames.

use super::car::CarColumns;
use super::clock::ClockColumns;
use super::column::Binder;
use super::error::Warning;
use super::layout::Variable;
use super::slow::SlowColumns;

/// All columns from which frames are made.
#[derive(Debug, Clone)]
pub(super) struct Columns {
    pub(super) clock: ClockColumns,
    pub(super) car: CarColumns,
    pub(super) slow: SlowColumns,
}

impl Columns {
    pub(super) fn bind(variables: &[Variable], electric: bool, warnings: &mut Vec<Warning>) -> Self {
        let mut b = Binder::new(variables, warnings);
        Self { clock: ClockColumns::bind(&mut b), car: CarColumns::bind(&mut b, electric), slow: SlowColumns::bind(&mut b) }
    }
}
