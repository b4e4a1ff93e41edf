//! [`SessionMemory`]: how many bytes the sessions of all partitions take in memory, and which partition must give some back.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::config::Config;

/// The memory of all partitions of a processor.
pub(crate) struct SessionMemory {
    max_bytes: u64,
    bytes: AtomicU64,
    partitions: AtomicU64,
}

/// What one partition has of it; it is given back when this is dropped.
pub(crate) struct MemoryShare {
    of: Arc<SessionMemory>,
    mine: u64,
}

impl SessionMemory {
    pub(crate) fn new(config: &Config) -> Arc<Self> {
        Arc::new(Self { max_bytes: config.session_max_bytes, bytes: AtomicU64::new(0), partitions: AtomicU64::new(0) })
    }

    /// What a partition has, at first nothing.
    pub(crate) fn share(self: &Arc<Self>) -> MemoryShare {
        self.partitions.fetch_add(1, Ordering::Relaxed);
        MemoryShare { of: self.clone(), mine: 0 }
    }
}

impl MemoryShare {
    /// The partition's sessions take `bytes` now.
    pub(crate) fn set(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.mine, bytes);
        // Wraps round by intent: what is added is what is new, which may be less than nothing.
        self.of.bytes.fetch_add(bytes.wrapping_sub(before), Ordering::Relaxed);
    }

    /// How many bytes the partition is to free: what is too much in all, but it need not go below its fair part.
    pub(crate) fn excess(&self) -> u64 {
        let too_much = self.of.bytes.load(Ordering::Relaxed).saturating_sub(self.of.max_bytes);
        let fair = self.of.max_bytes / self.of.partitions.load(Ordering::Relaxed).max(1);
        too_much.min(self.mine.saturating_sub(fair))
    }

    /// Most bytes that one session may take.
    pub(crate) fn session_max_bytes(&self) -> u64 {
        self.of.max_bytes
    }
}

impl Drop for MemoryShare {
    fn drop(&mut self) {
        self.set(0);
        self.of.partitions.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_has_more_than_a_fair_part_gives_back_what_is_too_much() {
        let memory = SessionMemory::new(&Config { session_max_bytes: 100, ..Config::default() });
        let (mut small, mut large) = (memory.share(), memory.share());
        large.set(90);
        assert_eq!(large.excess(), 0, "as long as there is room, one may have it all");
        small.set(30);
        assert_eq!((small.excess(), large.excess()), (0, 20));
        large.set(70);
        assert_eq!((small.excess(), large.excess()), (0, 0));
        small.set(60);
        assert_eq!((small.excess(), large.excess()), (10, 20), "the first of both ends it");
        drop(large);
        assert_eq!(small.excess(), 0);
        small.set(130);
        assert_eq!(small.excess(), 30);
    }
}
