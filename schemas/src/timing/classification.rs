//! The result of a session: who is where at its end (domain.md 12.8).

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, EntryId};
use crate::results::{FlagChange, Lap, SessionInfo};

/// One entry in the classification of a session.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Classified {
    /// Place overall, 1-based.
    pub position: u32,
    /// Place in its class, 1-based.
    pub class_position: u32,
    /// Who competes.
    pub entry: EntryId,
    /// Who drove, by the laps that count, in order of first lap.
    pub drivers: Vec<DriverId>,
    /// The car's slot.
    pub slot: u16,
    /// The simulator's id of its class; 0 where nobody says.
    pub class_id: u32,
    /// Laps that count.
    pub laps: u32,
    /// It took the chequered flag.
    pub finished: bool,
    /// When it crossed the line for the last time that counts, session time, µs; `None` without a lap.
    pub finish_us: Option<i64>,
    /// Races: from the start to that crossing, µs.
    pub total_us: Option<i64>,
    /// Laps behind the winner.
    pub laps_down: u32,
    /// Behind the winner, µs; `None` a lap or more down. In practice and qualifying: by best laps.
    pub gap_us: Option<i64>,
    /// Time of its best valid lap that counts, µs.
    pub best_lap_us: Option<i64>,
    /// Number of that lap.
    pub best_lap: Option<u32>,
}

/// The classification of `session` from all its chosen laps and its changes of flags.
pub fn classification(session: &SessionInfo, laps: &[Lap], flags: &[FlagChange]) -> Vec<Classified> {
    let _ = (session, laps, flags);
    vec![]
}
