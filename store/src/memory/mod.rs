//! Both stores in memory: the reference for the contract, and a store for other crates' tests.
//!
//! A clone is another handle to the same store, as a second process would have it. `set_available(false)` makes every
//! call fail, like those of a store that is down.

mod archive;
mod league;
mod leagues;
mod results;

pub use archive::MemoryArchive;
pub use results::MemoryResults;

use crate::StoreError;

fn available(up: bool) -> Result<(), StoreError> {
    if up { Ok(()) } else { Err(StoreError::Unavailable("switched off".into())) }
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use boxbox_schemas::LogId;

    use super::*;
    use crate::suite::{ArchiveFixture, ResultsFixture};
    use crate::{Quarantined, Sessions};

    #[async_trait]
    impl ResultsFixture for MemoryResults {
        type Store = MemoryResults;
        fn new() -> Self {
            Self::default()
        }
        async fn open(&self) -> Self {
            self.clone()
        }
        async fn quarantine(&self, store: &Self, log: &LogId, partition: u32) -> Vec<Quarantined> {
            store.quarantine(log, partition).await.unwrap()
        }
    }

    #[async_trait]
    impl ArchiveFixture for MemoryArchive {
        type Store = MemoryArchive;
        fn new() -> Self {
            Self::default()
        }
        async fn open(&self) -> Self {
            self.clone()
        }
    }

    struct Shared(MemoryResults);

    #[async_trait]
    impl ResultsFixture for Shared {
        type Store = MemoryResults;
        fn new() -> Self {
            Self(MemoryResults::shared())
        }
        async fn open(&self) -> MemoryResults {
            self.0.clone()
        }
        async fn quarantine(&self, store: &MemoryResults, log: &LogId, partition: u32) -> Vec<Quarantined> {
            store.quarantine(log, partition).await.unwrap()
        }
    }

    mod shared {
        shared_results_suite!(super::Shared);
    }
    mod results {
        results_suite!(crate::memory::MemoryResults);
    }
    mod leagues {
        leagues_suite!(crate::memory::MemoryResults);
    }
    mod archive {
        archive_suite!(crate::memory::MemoryArchive);
    }

    #[tokio::test]
    async fn what_is_switched_off_is_unavailable() {
        let store = MemoryResults::new();
        store.set_available(false);
        assert!(store.ping().await.unwrap_err().is_retryable());
        store.set_available(true);
        store.ping().await.unwrap();
    }
}
