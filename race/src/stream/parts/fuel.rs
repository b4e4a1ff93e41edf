//! Fuel: whether a lap was refuelled (`fuel.refuelled`), so that the difference of two levels is not taken for what was used.

use serde::{Deserialize, Serialize};

use super::moment::Moment;
use super::part::Part;
use crate::stream::fact::Reports;
use crate::stream::identity::Reporter;
use crate::stream::mark::Mark;
use crate::stream::sparse::is_default;

/// A level that rises by less is slosh, or a gauge's noise, l.
pub(crate) const FUEL_NOISE_L: f32 = 0.1;
/// … and of an electric car, what braking gives back, kWh.
const ENERGY_NOISE_KWH: f32 = 1.0;

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Fuel {
    /// Lowest level in the lap that is open, l (kWh).
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) low_l: Option<f32>,
}

impl Part for Fuel {
    const MAX_BYTES: usize = 12;
    /// A level that was not watched may have risen.
    const LAP_WITHOUT: Option<Mark> = Some(Mark::Refuelled);

    #[inline]
    fn take(&mut self, at: &Moment<'_>, out: &mut Reports) {
        if at.lap_began {
            self.low_l = None;
        }
        let (Some(_), Some(level_l), Some(_)) = (at.frame.pct, at.frame.fuel_l, at.lap_since_us) else { return };
        let low_l = self.low_l.map_or(level_l, |low| low.min(level_l));
        self.low_l = Some(low_l);
        if level_l - low_l > if at.frame.electric { ENERGY_NOISE_KWH } else { FUEL_NOISE_L } {
            out.mark(Mark::Refuelled, at.frame.us);
        }
    }

    fn rewind(&mut self, _by: &Reporter<'_>, _to_us: i64, _out: &mut Reports) {
        self.low_l = None;
    }
}
