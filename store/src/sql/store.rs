//! [`SqlStore`]: how a backend keeps its connections. [`Steps`] is implemented for it here, and [`Sessions`](crate::Sessions) in
//! [`read`](super::read).

use std::sync::Arc;

use async_trait::async_trait;
use boxbox_schemas::league::LeagueId;
use boxbox_schemas::{LogId, SessionId, TenantId};
use bytes::Bytes;

use super::commit::{acquire, commit};
use super::find::{begin, closed_before, find};
use super::load::{load, stored};
use super::rows::StepRows;
use super::{Sql, SqlFuture, all, number};
use crate::rules::check_step;
use crate::{Beginning, Found, Lease, Member, PartitionState, Quarantined, Readers, SessionKey, Share, Step, Steps, StoreError, StoredSession};

/// The connections of a results store.
#[async_trait]
pub(crate) trait SqlStore: Send + Sync + 'static {
    /// The connections for reading now.
    fn open_readers(&self) -> Readers;
    /// Run `work` in one transaction of the partition. If the caller drops the future, no transaction is left half done.
    async fn write<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static;
    /// As `write`, for work that may take long.
    async fn write_at_length<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.write(log, partition, work).await
    }
    /// Run `work`, statements that only read, on a connection for reading.
    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static;
    /// Run `work` in one transaction that writes a league. If the caller drops the future, no transaction is left half done.
    async fn write_league<T, F>(&self, league: &(TenantId, LeagueId), work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static;
    /// Called when texts have been removed: remove them also from where the transaction has left them.
    async fn after_erasure(&self) -> Result<(), StoreError> {
        Ok(())
    }
    /// As [`Sessions::ping`](crate::Sessions::ping).
    async fn answers(&self) -> Result<(), StoreError>;

    /// As [`Steps::shared`].
    fn has_members(&self) -> bool {
        false
    }
    /// As [`Steps::beat`].
    async fn member_beats(&self, _log: &LogId, _partitions: u32, _member: &Member) -> Result<Share, StoreError> {
        Err(StoreError::Refused("a file has one processor, which does not beat".into()))
    }
    /// As [`Steps::release`].
    async fn member_releases(&self, _lease: &Lease) -> Result<(), StoreError> {
        Ok(())
    }
    /// As [`Steps::leave`].
    async fn member_leaves(&self, _log: &LogId, _member: &Member) -> Result<(), StoreError> {
        Ok(())
    }
}

#[async_trait]
impl<S: SqlStore> Steps for S {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        let of = log.clone();
        self.write(log, partition, move |c| Box::pin(acquire(c, of, partition))).await
    }

    fn shared(&self) -> bool {
        self.has_members()
    }

    async fn beat(&self, log: &LogId, partitions: u32, member: &Member) -> Result<Share, StoreError> {
        self.member_beats(log, partitions, member).await
    }

    async fn release(&self, lease: &Lease) -> Result<(), StoreError> {
        self.member_releases(lease).await
    }

    async fn leave(&self, log: &LogId, member: &Member) -> Result<(), StoreError> {
        self.member_leaves(log, member).await
    }

    async fn begin(&self, lease: &Lease) -> Result<Beginning, StoreError> {
        let (log, partition, lease) = (&lease.log, lease.partition, lease.clone());
        self.write(log, partition, move |c| Box::pin(begin(c, lease))).await
    }

    async fn find(&self, lease: &Lease, sessions: &[SessionId], max_bytes: u64) -> Result<Vec<Found>, StoreError> {
        let (log, partition, lease, sessions) = (&lease.log, lease.partition, lease.clone(), sessions.to_vec());
        self.write_at_length(log, partition, move |c| Box::pin(find(c, lease, sessions, max_bytes))).await
    }

    async fn closed_before(&self, lease: &Lease, us: i64, limit: u32) -> Result<Vec<SessionKey>, StoreError> {
        let (log, partition, lease) = (&lease.log, lease.partition, lease.clone());
        self.write(log, partition, move |c| Box::pin(closed_before(c, lease, us, limit))).await
    }

    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        let (log, partition, lease) = (&lease.log, lease.partition, lease.clone());
        self.write_at_length(log, partition, move |c| Box::pin(load(c, lease))).await
    }

    async fn stored(&self, session: &SessionId) -> Result<Option<StoredSession>, StoreError> {
        let session = *session;
        self.read(move |c| Box::pin(async move { stored(c, session).await })).await
    }

    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        check_step(lease, step)?;
        let (log, partition) = (&lease.log, lease.partition);
        let (lease, step, rows) = (lease.clone(), Arc::new(step.clone()), StepRows::of(step)?);
        self.write(log, partition, move |c| Box::pin(commit(c, lease, step, rows))).await
    }
}

/// The quarantined records of a partition, oldest first.
pub(crate) async fn quarantine(store: &impl SqlStore, log: &LogId, partition: u32) -> Result<Vec<Quarantined>, StoreError> {
    const SQL: &str = "SELECT log_offset, reason, record FROM quarantine WHERE log = $1 AND part = $2 ORDER BY log_offset";
    let log = log.clone();
    let ask = store.read(move |c| {
        Box::pin(async move {
            all(c, SQL, &values![&log.0, partition], |row| {
                let record = Bytes::copy_from_slice(row.bytes("record")?);
                Ok(Quarantined { offset: number(row, "log_offset")?, reason: row.text("reason")?.to_owned(), record })
            })
            .await
        })
    });
    ask.await
}
