//! [`PostgresResults`].

use std::time::Duration;

use boxbox_schemas::LogId;
use sqlx::Execute;
use sqlx::postgres::{PgArguments, PgConnection, PgRow};
use sqlx::query::Query;

use super::Db;
use super::database::{Database, Work};
use super::error::from_sqlx;
use crate::StoreError;

/// How long it may take to load a partition: laps and facts of every session that is not retired.
const LOAD_DEADLINE: Duration = Duration::from_secs(60);
const LOAD_SETTING: &str = "SET LOCAL statement_timeout = '60s'";

/// Results in a PostgreSQL database, which several processors share.
pub struct PostgresResults {
    pub(super) database: Database,
}

impl PostgresResults {
    /// Use the database at `postgres://USER@HOST:PORT/DATABASE`, with `?sslmode=…&sslrootcert=…`, which [`migrate`](super::migrate)
    /// has prepared. Without an `sslmode` the server's certificate is verified, unless the server is on this machine. A step that
    /// was answered is on the server's disk.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a URL that is none or has a password in it, and for a login that is not let in;
    /// [`StoreError::Unreadable`] for a schema that is not this program's; [`StoreError::Unavailable`].
    pub async fn open(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        Ok(Self { database: Database::connect(url, password, "results").await? })
    }

    /// Wait for what is being done, then close the connections.
    pub async fn close(&self) {
        self.database.close().await;
    }

    /// One transaction on the partition's own connection.
    pub(super) async fn write<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send + 'static,
    {
        self.database.transaction(log, partition, work).await
    }

    /// One transaction that may take long.
    pub(super) async fn load_at_length<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send + 'static,
    {
        let patiently = self.database.transaction_within(log, partition, LOAD_DEADLINE, |c| {
            Box::pin(async move {
                sqlx::query(LOAD_SETTING).execute(&mut *c).await.map_err(from_sqlx)?;
                work(c).await
            })
        });
        patiently.await
    }

    /// All rows of a question.
    pub(super) async fn all<T>(
        &self,
        mut query: Query<'_, Db, PgArguments>,
        one: impl Fn(PgRow) -> Result<T, StoreError>,
    ) -> Result<Vec<T>, StoreError> {
        let arguments = query.take_arguments().map_err(|e| StoreError::Refused(e.to_string()))?.unwrap_or_default();
        let query = sqlx::query_with(query.sql(), arguments);
        let rows = self.database.read(|c| Box::pin(async move { query.fetch_all(c).await.map_err(from_sqlx) })).await?;
        self.database.noted(rows.into_iter().map(one).collect())
    }

    pub(super) async fn answers(&self) -> Result<(), StoreError> {
        self.database.ping().await
    }
}
