//! A race that was stopped and went on in another session of the simulator.

use super::Facts;

impl Facts {
    /// The facts of a session that is several in the telemetry, in their order (`result.parts`).
    pub fn joined(parts: Vec<Facts>) -> Facts {
        parts.into_iter().next_back().unwrap_or_default()
    }
}
