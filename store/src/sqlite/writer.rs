//! [`Writer`]: the one connection that writes a file.
//!
//! A transaction runs in its own task, which holds the connection, so a caller that gives up (a timeout, a dropped
//! future) cannot leave it open: it ends on its own, whole or not at all, and the next call waits for it. After any
//! error the connection is closed, which rolls back an open transaction, and the next transaction opens a new one.

use std::sync::Arc;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};
use tokio::sync::Mutex;

use super::error::{from_migration, from_sqlx};
use crate::StoreError;
use crate::sql::SqlFuture;

pub(super) struct Writer {
    options: SqliteConnectOptions,
    connection: Arc<Mutex<Option<SqliteConnection>>>,
}

impl Writer {
    pub(super) async fn open(options: SqliteConnectOptions, migrations: &Migrator) -> Result<Self, StoreError> {
        let mut connection = options.connect().await.map_err(from_sqlx)?;
        migrations.run_direct(None, &mut connection, false).await.map_err(from_migration)?;
        Ok(Self { options, connection: Arc::new(Mutex::new(Some(connection))) })
    }

    /// Run `work` in one transaction. If the caller drops the future before the connection is free, nothing happens; after that
    /// the transaction runs to its end.
    pub(super) async fn transaction<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        let mut slot = self.connection.clone().lock_owned().await;
        let options = self.options.clone();
        let task = tokio::spawn(async move {
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => options.connect().await.map_err(from_sqlx)?,
            };
            let done = run(&mut connection, work).await;
            match done {
                Ok(_) => *slot = Some(connection),
                Err(_) => drop(connection.close().await),
            }
            done
        });
        task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the writing task ended: {e}"))))
    }

    /// A statement outside a transaction.
    pub(super) async fn statement(&self, sql: &'static str) -> Result<(), StoreError> {
        let mut slot = self.connection.clone().lock_owned().await;
        let options = self.options.clone();
        let task = tokio::spawn(async move {
            let mut connection = match slot.take() {
                Some(connection) => connection,
                None => options.connect().await.map_err(from_sqlx)?,
            };
            sqlx::query(sql).execute(&mut connection).await.map_err(from_sqlx)?;
            *slot = Some(connection);
            Ok(())
        });
        task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the writing task ended: {e}"))))
    }

    /// Wait for running writes, then close the file.
    pub(super) async fn close(&self) {
        if let Some(connection) = self.connection.lock().await.take() {
            drop(connection.close().await);
        }
    }
}

/// IMMEDIATE takes the write lock at once: a transaction that began by reading could be refused the lock later.
async fn run<T, F>(connection: &mut SqliteConnection, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut SqliteConnection) -> SqlFuture<'c, T>,
{
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await.map_err(from_sqlx)?;
    let done = work(&mut transaction).await?;
    transaction.commit().await.map_err(from_sqlx)?;
    Ok(done)
}
