//! One file of SQLite: its writer and its readers.

use std::path::Path;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::SqlitePool;
use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};

use super::error::from_sqlx;
use super::writer::Writer;
use crate::sql::SqlFuture;
use crate::{Readers, StoreError};

/// How long a statement waits for another process's lock. Only a backup or a person with a database tool holds one.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read; a query takes well below a millisecond, so few serve many.
const READERS: u32 = 4;
/// How long a query waits for a reader that is free.
const READER_TIMEOUT: Duration = Duration::from_secs(5);
/// Prepared statements kept for each connection: every statement of this crate, in every batch size.
const STATEMENTS: usize = 200;
/// The write-ahead log is cut to this after a checkpoint, bytes, so that one burst does not occupy the disk for ever.
const WAL_KEPT_BYTES: u32 = 64 * 1024 * 1024;

/// Advice about a file that cannot be read.
const WHAT_TO_DO: &str = ". It is damaged, or was written by a newer version; it can be moved away with its -wal and -shm: what the log \
                          still holds is computed again; decisions of leagues are in no log, and come back from a backup or an export";

/// An open file with its writer and its readers.
pub(super) struct File {
    pub(super) writer: Writer,
    pub(super) readers: SqlitePool,
    /// The first error about unreadable data: it persists until a person repairs the data.
    pub(super) unreadable: Mutex<Option<String>>,
}

impl File {
    /// Open or create `path` and migrate it to the newest schema.
    pub(super) async fn open(path: &Path, synchronous: SqliteSynchronous, migrations: &Migrator) -> Result<Self, StoreError> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY_TIMEOUT)
            .foreign_keys(true)
            .statement_cache_capacity(STATEMENTS)
            .pragma("journal_size_limit", WAL_KEPT_BYTES.to_string());
        let writer = Writer::open(options.clone(), migrations).await.map_err(|e| at(path, e))?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS)
            .acquire_timeout(READER_TIMEOUT)
            .test_before_acquire(false)
            .connect_lazy_with(options.create_if_missing(false).pragma("query_only", "on"));
        Ok(Self { writer, readers, unreadable: Mutex::new(None) })
    }

    /// Run `work` in one transaction of the writer.
    pub(super) async fn write<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut SqliteConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.noted(self.writer.transaction(work).await)
    }

    /// Write everything into the file and cut the write-ahead log to nothing, so that it holds no older content of the file. If a reader is
    /// in the way, the next checkpoint does it.
    pub(super) async fn shorten_wal(&self) -> Result<(), StoreError> {
        self.noted(self.writer.statement("PRAGMA wal_checkpoint(TRUNCATE)").await)
    }

    /// Returns `outcome`, and remembers an error about unreadable data.
    pub(super) fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        outcome.map_err(|e| match e {
            StoreError::Unreadable(what) => {
                let what = what + WHAT_TO_DO;
                self.unreadable.lock().get_or_insert_with(|| what.clone());
                StoreError::Unreadable(what)
            }
            other => other,
        })
    }

    /// The connections for reading now.
    pub(super) fn readers(&self) -> Readers {
        let (open, idle) = (self.readers.size() as usize, self.readers.num_idle());
        Readers { used: open.saturating_sub(idle), idle, max: READERS as usize }
    }

    /// Checks that the file answers, and that all data read so far was readable.
    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        if let Some(what) = &*self.unreadable.lock() {
            return Err(StoreError::Unreadable(what.clone()));
        }
        sqlx::query("SELECT 1 FROM partitions LIMIT 1").fetch_optional(&self.readers).await.map(drop).map_err(from_sqlx)
    }

    pub(super) async fn close(&self) {
        self.readers.close().await;
        self.writer.close().await;
    }
}

fn at(path: &Path, e: StoreError) -> StoreError {
    let path = path.display();
    match e {
        StoreError::Unavailable(what) => StoreError::Unavailable(format!("{path}: {what}")),
        StoreError::Unreadable(what) => StoreError::Unreadable(format!("{path}: {what}{WHAT_TO_DO}")),
        StoreError::Refused(what) => StoreError::Refused(format!("{path}: {what}")),
        fenced @ StoreError::Fenced { .. } => fenced,
    }
}
