//! [`StoreError`]: why a request to a store failed.

/// Why a request to a store failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another owner has the partition (E5a): stop working on it.
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
    /// This version cannot read the stored data: it is damaged, was written by a newer version, or must be migrated.
    #[error("the store holds data that this version cannot read: {0}")]
    Unreadable(String),
    /// The store refused the request: a fault of this program, or of its options.
    #[error("the store refused: {0}")]
    Refused(String),
}

impl StoreError {
    /// Whether the same call can succeed later without a person doing anything.
    pub fn is_retryable(&self) -> bool {
        matches!(self, StoreError::Unavailable(_))
    }
}
