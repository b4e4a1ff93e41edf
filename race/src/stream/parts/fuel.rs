//! Fuel: whether a lap was refuelled (`fuel.refuelled`), so that the difference of two levels is not taken for fuel used.

use serde::{Deserialize, Serialize};

use super::frame_context::FrameContext;
use super::part::Part;
use crate::stream::fact::Output;
use crate::stream::identity::Origin;
use crate::stream::mark::Mark;
use crate::stream::sparse::is_default;

/// A smaller rise of the level is slosh or noise of the gauge, l.
pub(crate) const FUEL_NOISE_L: f32 = 0.1;
/// The same for an electric car, whose brakes charge the battery, kWh.
const ENERGY_NOISE_KWH: f32 = 1.0;

#[derive(Clone, Copy, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Fuel {
    /// Lowest level in the open lap, l (kWh).
    #[serde(skip_serializing_if = "is_default")]
    pub(crate) low_l: Option<f32>,
}

impl Part for Fuel {
    const MAX_BYTES: usize = 12;
    /// A level that was not observed may have risen.
    const MARK_WHILE_OFF: Option<Mark> = Some(Mark::Refuelled);

    #[inline]
    fn take(&mut self, at: &FrameContext<'_>, out: &mut Output) {
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

    fn rewind(&mut self, _by: &Origin<'_>, _to_us: i64, _out: &mut Output) {
        self.low_l = None;
    }
}
