//! [`FlagChange`]: a change of the flags that one client's simulator shows. Changes are stored raw and folded when they are read.

use serde::{Deserialize, Serialize};

use super::row::row_of_a_moment;
use crate::frame::Flags;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// A change of the flags shown to one client. Keyed by (session, driver, run, timeline, tick).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct FlagChange {
    /// The session.
    pub session: SessionId,
    /// The entry.
    pub entry: EntryId,
    /// The stream's driver.
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
    /// A rewind went back to before it (E4). The row is kept but does not count.
    pub superseded: bool,
    /// A record after the session's close changes `superseded`, but only when the session is opened again (E9b): until then a row that
    /// came late is superseded, and a row that was superseded late is not.
    #[serde(default)]
    pub late: bool,
}

row_of_a_moment!(FlagChange, "flag");

impl FlagChange {
    /// Flags and lights that race control shows to all cars, not to one car.
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

    /// Flags under which cars do not race: a full-course caution, a red flag.
    pub const NO_RACING: Flags = Flags::CAUTION.with(Flags::RED);
}
