//! [`CarNow`]: where a car is, as one stream sees it. Live order and gaps are computed from it.

use serde::{Deserialize, Serialize};

use crate::frame::{Flags, SessionState};
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// The newest data about a car from one stream. Of several streams, the car's own counts before others, then the newest session time.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct CarNow {
    /// The session.
    pub session: SessionId,
    /// The entry.
    pub entry: EntryId,
    /// The stream's driver.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The car's slot.
    pub slot: u16,
    /// Another client sees the car; false for the car's own client.
    pub field: bool,
    /// Session time of the newest frame, µs.
    pub sim_time_us: i64,
    /// Its tick.
    pub tick: u32,
    /// Number of the lap it is in; 0 while none is open.
    pub lap: u32,
    /// When that lap began, µs.
    pub lap_start_us: Option<i64>,
    /// Mini-loops of that lap so far, see [`Lap::loops_us`](super::Lap::loops_us).
    pub loops_us: Vec<i64>,
    /// Fraction of the lap; `None` while the car is not in the world.
    pub lap_pct: Option<f64>,
    /// Speed, m/s.
    pub speed_mps: Option<f32>,
    /// In the pit lane, its stall or the garage; `None` if the simulator does not say.
    pub in_pits: Option<bool>,
    /// Off track.
    pub off_track: bool,
    /// Fuel, l (kWh for electric cars).
    pub fuel_l: Option<f32>,
    /// Flags shown to it.
    pub flags: Flags,
    /// The session's state as the client shows it.
    pub state: SessionState,
    /// Where teams race: the stream's driver is not in the car (`swap.watching`).
    #[serde(default)]
    pub watching: bool,
    /// Another driver began the lap: when the stream's driver took the car over, µs. Then `lap_start_us` is absent, and `loops_us` count
    /// from here.
    #[serde(default)]
    pub taken_over_us: Option<i64>,
}
