//! [`Account`]: what one driver has made a partition keep and work; [`Limited`]: what a session refused because of it.

use serde::{Deserialize, Serialize};

use crate::ids::{DriverId, SessionId, TenantId};

/// What one driver has made a partition keep and work, in the bounds of [`limits`](crate::limits).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Account {
    /// The driver's tenant.
    pub tenant: TenantId,
    /// The driver.
    pub driver: DriverId,
    /// The last day on which the driver has opened a session, UTC, counted from 1970.
    pub day: i64,
    /// Sessions that the driver has opened on that day.
    pub sessions: u32,
    /// The last of them.
    pub opened: Option<SessionId>,
    /// Bytes that the driver had made the partition keep at `kept_at_us`; they become less with time.
    pub kept: u64,
    /// Unix µs, see `kept`.
    pub kept_at_us: i64,
    /// Work beyond what the driver's records brought along, units.
    pub work: u64,
}

impl Account {
    /// The account of a driver of whom nothing is known.
    pub fn new(tenant: TenantId, driver: DriverId) -> Self {
        Self { tenant, driver, day: 0, sessions: 0, opened: None, kept: 0, kept_at_us: 0, work: 0 }
    }
}

/// What a session refused of one driver, because of one bound.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limited {
    /// The driver.
    pub driver: DriverId,
    /// The bound: `runs`, `laps`, `rows`, `meta`, `kept`, `sessions`; or `work`, after which a stream makes no more laps.
    pub bound: String,
    /// How many records, laps, rows, descriptions or streams.
    pub refused: u64,
}
