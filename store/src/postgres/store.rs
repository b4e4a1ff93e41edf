//! [`PostgresResults`].

use std::time::Duration;

use async_trait::async_trait;
use boxbox_schemas::league::LeagueId;
use boxbox_schemas::{LogId, TenantId};

use super::database::Database;
use super::members;
use crate::sql::{self, Sql, SqlFuture, SqlStore};
use crate::{Lease, Member, Quarantined, Readers, Share, StoreError};

/// How long it may take to load a session with all its facts, or a partition.
const LOAD_DEADLINE: Duration = Duration::from_secs(60);
const LOAD_SETTING: &str = "SET LOCAL statement_timeout = '60s'";

/// Results in a PostgreSQL database, which several processors share.
pub struct PostgresResults {
    pub(super) database: Database,
}

impl PostgresResults {
    /// Use the database at `postgres://USER@HOST:PORT/DATABASE`, with `?sslmode=…&sslrootcert=…`, which [`migrate`](super::migrate)
    /// has prepared. Without an `sslmode` the server's certificate is verified, unless the server is on this machine. A confirmed step
    /// is on the server's disk.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an invalid URL, for one with a password, and for a refused login;
    /// [`StoreError::Unreadable`] for a schema that is not this program's; [`StoreError::Unavailable`].
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        Ok(Self { database: Database::connect(url, password, "results").await? })
    }

    /// The quarantined records of a partition, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
    pub async fn quarantine(&self, log: &LogId, partition: u32) -> Result<Vec<Quarantined>, StoreError> {
        sql::quarantine(self, log, partition).await
    }

    /// Wait for running calls, then close the connections.
    pub async fn close(&self) {
        self.database.close().await;
    }
}

#[async_trait]
impl SqlStore for PostgresResults {
    fn open_readers(&self) -> Readers {
        self.database.readers()
    }

    /// On the partition's own connection.
    async fn write<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.database.transaction(log, partition, |c| work(c)).await
    }

    async fn write_at_length<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        let patiently = self.database.transaction_within(log, partition, LOAD_DEADLINE, |c| {
            Box::pin(async move {
                c.execute(LOAD_SETTING, &[]).await?;
                work(c).await
            })
        });
        patiently.await
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.database.read(|c| work(c)).await
    }

    /// On one of a few connections, that of the league.
    async fn write_league<T, F>(&self, league: &(TenantId, LeagueId), work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.database.league_transaction(league, |c| work(c)).await
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }

    fn has_members(&self) -> bool {
        true
    }

    async fn member_beats(&self, log: &LogId, partitions: u32, member: &Member) -> Result<Share, StoreError> {
        members::beat(&self.database, log, partitions, member).await
    }

    async fn member_releases(&self, lease: &Lease) -> Result<(), StoreError> {
        members::release(&self.database, lease).await
    }

    async fn member_leaves(&self, log: &LogId, member: &Member) -> Result<(), StoreError> {
        members::leave(&self.database, log, member).await
    }
}
