//! [`RecomputeError`], and [`Reached`]: how far streams are to be read.

use std::collections::BTreeMap;

use boxbox_schemas::{DriverId, RunId};
use boxbox_store::StoreError;

use crate::error::StateError;

/// Of streams, the first sequence number that is not to be read.
pub type Reached = BTreeMap<(DriverId, RunId), u64>;

/// Why a session cannot be computed again.
#[derive(Debug, thiserror::Error)]
pub enum RecomputeError {
    /// The archive cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing of this session in the archive.
    #[error("the archive has nothing of this session: it is too old, or was archived before records of all kinds were kept")]
    Nothing,
    /// Frames have no heading: they were archived before records of all kinds were kept.
    #[error("frames of driver {driver} from {seq} on are archived without their records: they were archived before records of all kinds were kept")]
    NoHeading {
        /// The stream's driver.
        driver: DriverId,
        /// The first of these frames.
        seq: u64,
    },
    /// A record in the archive cannot be read.
    #[error("a record of driver {driver} at {seq} cannot be read")]
    Damaged {
        /// The stream's driver.
        driver: DriverId,
        /// Its sequence number.
        seq: u64,
    },
    /// The race logic's empty state cannot be made.
    #[error(transparent)]
    State(#[from] StateError),
}
