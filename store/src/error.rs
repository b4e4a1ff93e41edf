//! [`StoreError`]: why a store did not do what it was asked.

/// Why a store did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another owner has the partition (E5): stop working on it.
    #[error("partition {partition} has a newer owner (epoch {newer} > {mine}): this process must stop writing it")]
    Fenced {
        /// The partition.
        partition: u32,
        /// The epoch of the lease used.
        mine: u64,
        /// The epoch in the store.
        newer: u64,
    },
    /// The store does not answer, or is busy; trying again can help.
    #[error("the store does not answer: {0}")]
    Unavailable(String),
    /// What is stored cannot be read by this version: it is damaged, was written by a newer version, or is to be migrated.
    #[error("the store holds something this version cannot read: {0}")]
    Unreadable(String),
    /// The store refused what it was asked: a fault of this program, or of how it was started.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same call can succeed later without anybody's help.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }
}
