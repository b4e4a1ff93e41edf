//! [`SqliteResults`].

use std::path::Path;

use async_trait::async_trait;
use boxbox_schemas::league::LeagueId;
use boxbox_schemas::{LogId, TenantId};
use sqlx::migrate::Migrator;
use sqlx::sqlite::SqliteSynchronous;

use super::error::from_sqlx;
use super::file::File;
use crate::sql::{self, Sql, SqlFuture, SqlStore};
use crate::{Quarantined, Readers, StoreError};

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite/results");

/// Results in one SQLite file.
pub struct SqliteResults {
    pub(super) file: File,
}

impl SqliteResults {
    /// Open the file at `path`, or create it. Every committed step survives a power cut.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Unreadable`] for a file of a newer version, and for a file that is not a database.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: File::open(path, SqliteSynchronous::Full, &MIGRATIONS).await? })
    }

    /// The quarantined records of a partition, oldest first.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`], [`StoreError::Unreadable`].
    pub async fn quarantine(&self, log: &LogId, partition: u32) -> Result<Vec<Quarantined>, StoreError> {
        sql::quarantine(self, log, partition).await
    }

    /// Wait for running writes, then close the file.
    pub async fn close(&self) {
        self.file.close().await;
    }
}

#[async_trait]
impl SqlStore for SqliteResults {
    fn open_readers(&self) -> Readers {
        self.file.readers()
    }

    /// A file has one writer for all partitions.
    async fn write<T, F>(&self, _log: &LogId, _partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.file.write(|c| work(c)).await
    }

    async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        let read = async {
            let mut connection = self.file.readers.acquire().await.map_err(from_sqlx)?;
            work(&mut *connection).await
        };
        self.file.noted(read.await)
    }

    async fn write_league<T, F>(&self, _league: &(TenantId, LeagueId), work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut dyn Sql) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.file.write(|c| work(c)).await
    }

    async fn after_erasure(&self) -> Result<(), StoreError> {
        self.file.shorten_wal().await
    }

    async fn answers(&self) -> Result<(), StoreError> {
        self.file.ping().await
    }
}
