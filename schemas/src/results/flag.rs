//! [`FlagChange`]: flags as a client's simulator shows them, each change with its moment (raw; folded when read).

use serde::{Deserialize, Serialize};

use super::row::row_of_a_moment;
use crate::frame::Flags;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// Flags shown to one client changed. Keyed by (session, driver, run, timeline, tick).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlagChange {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// Whose stream tells it.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The stream's timeline.
    pub timeline: u32,
    /// Tick of the first frame with the new flags.
    pub tick: u32,
    /// Its session time, µs.
    pub sim_time_us: i64,
    /// Flags before.
    pub from: Flags,
    /// Flags after.
    pub to: Flags,
    /// E4: a rewind went back to before it. Kept for the record, not shown.
    pub superseded: bool,
    /// E9: a record behind the session's close turned `superseded` over; that takes effect when the session is opened again.
    /// What was told late is superseded until then, what was taken back late is not yet.
    #[serde(default)]
    pub late: bool,
}

row_of_a_moment!(FlagChange, "flag");

impl FlagChange {
    /// Flags and lights that race control shows to everybody, not to one car.
    pub const COURSE: Flags = Flags::GREEN
        .with(Flags::YELLOW)
        .with(Flags::YELLOW_WAVING)
        .with(Flags::CAUTION)
        .with(Flags::RED)
        .with(Flags::WHITE)
        .with(Flags::CHECKERED)
        .with(Flags::DEBRIS)
        .with(Flags::START_READY)
        .with(Flags::START_SET)
        .with(Flags::START_GO)
        .with(Flags::GREEN_HELD)
        .with(Flags::ONE_TO_GREEN);
}
