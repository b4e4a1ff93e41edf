//! [`SessionStateChange`]: the session's state as a client's simulator shows it, each change with its moment (one row for each client;
//! the majority decides when it is read).

use serde::{Deserialize, Serialize};

use super::row::row_of_a_moment;
use crate::frame::SessionState;
use crate::ids::{DriverId, EntryId, RunId, SessionId};

/// The session state that one client is shown changed. Keyed by (session, driver, run, timeline, tick). The first state that a client
/// is shown is a change from [`SessionState::INVALID`].
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct SessionStateChange {
    /// The session.
    pub session: SessionId,
    /// Who competes.
    pub entry: EntryId,
    /// Whose stream reports it.
    pub driver: DriverId,
    /// The stream's run.
    pub run: RunId,
    /// The stream's timeline.
    pub timeline: u32,
    /// Tick of the first frame with the new state.
    pub tick: u32,
    /// Its session time, µs.
    pub sim_time_us: i64,
    /// State before.
    pub from: SessionState,
    /// State after.
    pub to: SessionState,
    /// E4: a rewind went back to before it. Kept for the record, not shown.
    pub superseded: bool,
    /// E9: a record behind the session's close changed `superseded`; that takes effect when the session is opened again.
    #[serde(default)]
    pub late: bool,
}

row_of_a_moment!(SessionStateChange, "session_state");
