//! [`Residents`]: what the results pump notes of the sessions in memory.

use tokio::time::Instant;

use super::memory::MemoryShare;

/// What the pump notes of the sessions in memory.
pub(super) struct Residents {
    pub(super) memory: MemoryShare,
    /// When closed sessions leave that were not used since `mark`, which counts records.
    pub(super) leave_at: Instant,
    pub(super) mark: u64,
    /// How many sessions were in memory, how many parked, and their bytes, when they were last counted.
    pub(super) counted: (usize, usize, u64),
    /// How many parked sessions the status names.
    pub(super) named: usize,
}

impl Residents {
    pub(super) fn new(memory: MemoryShare) -> Self {
        Self { memory, leave_at: Instant::now(), mark: 0, counted: (0, 0, 0), named: 0 }
    }
}
