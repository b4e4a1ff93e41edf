//! [`SqliteResults`].

use std::path::Path;

use boxbox_schemas::LogId;
use futures::TryStreamExt;
use sqlx::migrate::Migrator;
use sqlx::query::Query;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow, SqliteSynchronous};

use super::File;
use super::error::from_sqlx;
use super::writer::Work;
use crate::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/sqlite/results");

/// Results in one SQLite file.
pub struct SqliteResults {
    pub(super) file: File,
}

impl SqliteResults {
    /// Open the file at `path`, or make it. Every committed step survives a power cut.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`]; [`StoreError::Unreadable`] for a file of a newer version, and for what is no database.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self { file: File::open(path, SqliteSynchronous::Full, &MIGRATIONS).await? })
    }

    /// Wait for what is being written, then close the file.
    pub async fn close(&self) {
        self.file.close().await;
    }

    /// One transaction. A file has one writer, whatever the partition.
    pub(super) async fn write<T, F>(&self, _log: &LogId, _partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        self.file.write(work).await
    }

    /// One transaction that may take long: any may, here.
    pub(super) async fn load_at_length<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> Work<'c, T> + Send + 'static,
    {
        self.write(log, partition, work).await
    }

    /// All rows of a question.
    pub(super) async fn all<T>(
        &self,
        query: Query<'_, Sqlite, SqliteArguments>,
        one: impl Fn(SqliteRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let all = async {
            let mut found = vec![];
            let mut rows = query.fetch(&self.file.readers);
            while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
                found.push(one(row)?);
            }
            Ok(found)
        };
        self.file.noted(all.await)
    }

    pub(super) async fn answers(&self) -> Result<(), StoreError> {
        self.file.ping().await
    }
}
