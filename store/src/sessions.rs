//! [`Sessions`]: reading a results store: committed sessions, laps and other rows, of one tenant at a time.

use async_trait::async_trait;
use boxbox_schemas::results::{AnyRow, CarNow, Lap, Ledger, Row, RowKind, SessionInfo};
use boxbox_schemas::{DriverId, EntryId, SessionId, TenantId};

use crate::{Readers, StoreError};

/// Selects laps; an empty filter selects all.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct LapFilter {
    /// Of this entry.
    pub entry: Option<EntryId>,
    /// Credited to this driver.
    pub driver: Option<DriverId>,
    /// With at least this number.
    pub from_number: Option<u32>,
    /// With at most this number.
    pub to_number: Option<u32>,
    /// Counting for best (`true`), or not (`false`).
    pub valid: Option<bool>,
}

/// Which laps can be an entry's best.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BestLaps {
    /// Those that ended by this session time, µs.
    pub ended_by_us: i64,
    /// Those that began before this session time, µs.
    pub begun_before_us: i64,
    /// With at least this number.
    pub from_number: u32,
}

impl BestLaps {
    /// Any lap that ended by `us`.
    pub fn ended_by(us: i64) -> Self {
        Self { ended_by_us: us, begun_before_us: i64::MAX, from_number: 0 }
    }

    /// Whether `lap` can be the best.
    pub fn lets_pass(&self, lap: &Lap) -> bool {
        lap.valid() && lap.end_us <= self.ended_by_us && lap.start_us < self.begun_before_us && lap.number >= self.from_number
    }
}

/// Where a list of sessions continues.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionCursor {
    /// `opened_at_us` of the last session returned.
    pub opened_at_us: i64,
    /// Its id.
    pub id: SessionId,
}

/// Read access to a results store. A reader cannot change anything through it.
#[async_trait]
pub trait Sessions: Send + Sync + 'static {
    /// Its connections for reading now, if it has a bound of them.
    fn readers(&self) -> Option<Readers> {
        None
    }
    /// A tenant's sessions, newest first by `opened_at_us` then id; those after `after`, at most `limit`.
    async fn sessions(&self, tenant: &TenantId, after: Option<SessionCursor>, limit: u32) -> Result<Vec<SessionInfo>, StoreError>;
    /// One session.
    async fn session(&self, tenant: &TenantId, session: &SessionId) -> Result<Option<SessionInfo>, StoreError>;
    /// A session's chosen laps that match `filter`, in order of (entry, number); those after `after`, at most `limit`.
    async fn laps(
        &self,
        tenant: &TenantId,
        session: &SessionId,
        filter: &LapFilter,
        after: Option<(EntryId, u32)>,
        limit: u32,
    ) -> Result<Vec<Lap>, StoreError>;
    /// For each entry of a session the last two chosen laps by (start, number) that began at or before session time
    /// `at_us`, in order of (entry, number): order and gaps at that moment are computed from them.
    async fn laps_at(&self, tenant: &TenantId, session: &SessionId, at_us: i64) -> Result<Vec<Lap>, StoreError>;
    /// For each entry of a session its fastest chosen lap that counts for best, of those that `of` lets pass, by its deciding time
    /// ([`Lap::deciding_us`]), the first of equal ones by (end, number), in order of entries.
    async fn best_laps(&self, tenant: &TenantId, session: &SessionId, of: BestLaps) -> Result<Vec<Lap>, StoreError>;
    /// One lap.
    async fn lap(&self, tenant: &TenantId, session: &SessionId, entry: &EntryId, number: u32) -> Result<Option<Lap>, StoreError>;
    /// A session's rows of a kind, as each stream reports them, not superseded, in order of (entry, sim_time_us, driver, run, slot,
    /// timeline, tick).
    async fn rows(&self, tenant: &TenantId, session: &SessionId, kind: RowKind) -> Result<Vec<AnyRow>, StoreError>;
    /// As [`Self::rows`], the first `limit` of them.
    async fn first_rows(&self, tenant: &TenantId, session: &SessionId, kind: RowKind, limit: u32) -> Result<Vec<AnyRow>, StoreError> {
        let mut rows = self.rows(tenant, session, kind).await?;
        rows.truncate(limit as usize);
        Ok(rows)
    }
    /// Where a session's cars are, as each stream reports it, in order of (entry, driver, run, slot).
    async fn cars(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<CarNow>, StoreError>;
    /// A session's ledgers in order of (driver, run).
    async fn ledgers(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<Ledger>, StoreError>;
    /// Whether the store answers.
    async fn ping(&self) -> Result<(), StoreError>;
}

/// As [`Sessions::rows`], for the kind `T`, parsed.
///
/// # Errors
/// Those of [`Sessions::rows`]; [`StoreError::Unreadable`] if a newer version wrote a row that this one cannot read.
pub async fn rows_of<T: Row>(sessions: &(impl Sessions + ?Sized), tenant: &TenantId, session: &SessionId) -> Result<Vec<T>, StoreError> {
    let rows = sessions.rows(tenant, session, T::KIND).await?;
    AnyRow::read_all(&rows).map_err(|e| StoreError::Unreadable(e.to_string()))
}
