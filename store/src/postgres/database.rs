//! [`Database`]: connections, used such that a dropped call leaves nothing behind.
//!
//! A transaction runs in its own task, which holds the connection, so a caller that gives up (a timeout, a dropped future) cannot
//! interrupt it: it ends on its own, whole or not at all. After any error or deadline the connection is closed, which
//! rolls back an open transaction, and the next call opens a new one. A connection is used again only if it is known to be
//! in order.
//!
//! Each partition has its own connection for its transactions, and reads have a few more: a hanging partition
//! stalls only itself. A deadline in this process bounds every call, in case the server vanishes silently.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_schemas::league::LeagueId;
use boxbox_schemas::{LogId, TenantId};
use parking_lot::Mutex;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex as Turn, Semaphore};
use tokio::time::timeout;

use super::error::from_sqlx;
use super::server::{Server, close, close_soon};
use crate::sql::SqlFuture;
use crate::{Readers, StoreError};

/// How long a transaction may take, measured here, without the time to connect.
const DEADLINE: Duration = Duration::from_secs(12);
/// How long a read may take, measured here.
const READ_DEADLINE: Duration = Duration::from_secs(12);
/// Connections that read; a query takes about a millisecond, so few serve many.
const READERS: usize = 8;
/// How long a read waits for a connection that is free.
const READER_TIMEOUT: Duration = Duration::from_secs(3);

/// Connections that write leagues. People decide: a league writes seldom, and waits for others of its connection only.
const LEAGUE_WRITERS: usize = 4;

/// A connection for reading that was used this recently is assumed to be in order.
const UNCHECKED: Duration = Duration::from_secs(1);

/// A connection, or none yet, behind a lock for its user.
type Slot = Arc<Turn<Option<PgConnection>>>;

/// An unused connection, and since when it is unused.
type Idle = (PgConnection, Instant);

/// An open database.
pub(crate) struct Database {
    server: Server,
    writers: Mutex<HashMap<(LogId, u32), Slot>>,
    beats: Mutex<HashMap<LogId, Slot>>,
    leagues: [Slot; LEAGUE_WRITERS],
    idle_readers: Arc<Mutex<Vec<Idle>>>,
    readers: Arc<Semaphore>,
    /// The first error about unreadable data: it persists until a person repairs the data.
    unreadable: Mutex<Option<String>>,
}

impl Database {
    /// Log in, check that the schema is the one that this program knows, and use connections named `boxbox-NAME`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an invalid URL and for a refused login; [`StoreError::Unreadable`] for another
    /// schema; [`StoreError::Unavailable`].
    pub(crate) async fn connect(url: &str, password: Option<&str>, name: &str) -> Result<Self, StoreError> {
        let server = Server::parse(url, password)?.named(name);
        super::schema::check(&server).await?;
        Ok(Self {
            server,
            writers: Mutex::default(),
            beats: Mutex::default(),
            leagues: Default::default(),
            idle_readers: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            unreadable: Mutex::default(),
        })
    }

    /// Run `work` in one transaction on the partition's own connection. If the caller drops the future before the connection is
    /// free, nothing happens; after that the transaction runs to its end. `work` must return every error that it meets: a
    /// transaction with a failed statement cannot be committed.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Unavailable`], after which the transaction may have happened.
    pub(crate) async fn transaction<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        self.transaction_within(log, partition, DEADLINE, work).await
    }

    /// The same, with another deadline.
    pub(super) async fn transaction_within<T, F>(&self, log: &LogId, partition: u32, deadline: Duration, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        let slot = self.writers.lock().entry((log.clone(), partition)).or_default().clone();
        self.noted(in_transaction(self.server.clone(), slot, deadline, work).await)
    }

    /// As [`Self::transaction`], on the connection of the league, which it shares with others.
    pub(super) async fn league_transaction<T, F>(&self, league: &(TenantId, LeagueId), work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        let hash = BuildHasherDefault::<DefaultHasher>::default().hash_one(league);
        let slot = self.leagues[hash as usize % LEAGUE_WRITERS].clone();
        self.noted(in_transaction(self.server.clone(), slot, DEADLINE, work).await)
    }

    /// One transaction on the connection of the log's beats, see [`members`](super::members). Other members wait for it to end: the
    /// server ends it soon if this process falls silent.
    pub(super) async fn beat<T, F>(&self, log: &LogId, deadline: Duration, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        let slot = self.beats.lock().entry(log.clone()).or_default().clone();
        let server = self.server.with([("idle_in_transaction_session_timeout", "2s"), ("statement_timeout", "4s"), ("lock_timeout", "3s")]);
        self.noted(in_transaction(server, slot, deadline, work).await)
    }

    /// Close the partition's connection: another process has the partition.
    pub(super) async fn forget(&self, log: &LogId, partition: u32) {
        let slot = self.writers.lock().remove(&(log.clone(), partition));
        if let Some(slot) = slot
            && let Some(connection) = slot.lock().await.take()
        {
            close_soon(connection);
        }
    }

    /// Wait for running calls, then close all connections.
    pub(crate) async fn close(&self) {
        let mut slots: Vec<Slot> = self.leagues.to_vec();
        slots.extend(self.writers.lock().drain().map(|(_, slot)| slot));
        slots.extend(self.beats.lock().drain().map(|(_, slot)| slot));
        for slot in slots {
            if let Some(connection) = slot.lock().await.take() {
                close(connection).await;
            }
        }
        let _all = self.readers.acquire_many(READERS as u32).await;
        let idle = std::mem::take(&mut *self.idle_readers.lock());
        for (connection, _) in idle {
            close(connection).await;
        }
    }

    /// Run `work`, single statements that only read, on a connection for reading.
    ///
    /// # Errors
    /// Those of `work`; [`StoreError::Unavailable`].
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T> + Send + 'static,
    {
        let Ok(Ok(permit)) = timeout(READER_TIMEOUT, self.readers.clone().acquire_owned()).await else {
            return Err(StoreError::Unavailable(format!("no connection was free for reading within {READER_TIMEOUT:?}")));
        };
        let (server, idle) = (self.server.clone(), self.idle_readers.clone());
        let task = tokio::spawn(async move {
            let _permit = permit;
            let mut connection = match usable(&idle).await {
                Some(connection) => connection,
                None => server.connection().await?,
            };
            let done = within(READ_DEADLINE, work(&mut connection)).await;
            match &done {
                Ok(_) => idle.lock().push((connection, Instant::now())),
                Err(e) => {
                    close_soon(connection);
                    // The cause that ended one connection has probably ended all.
                    if e.is_retryable() {
                        idle.lock().clear();
                    }
                }
            }
            done
        });
        self.noted(task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the reading task ended: {e}")))))
    }

    /// The connections for reading now.
    pub(crate) fn readers(&self) -> Readers {
        Readers { used: READERS - self.readers.available_permits().min(READERS), idle: self.idle_readers.lock().len(), max: READERS }
    }

    /// Checks that the database answers, and that all data read so far was readable.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        if let Some(what) = &*self.unreadable.lock() {
            return Err(StoreError::Unreadable(what.clone()));
        }
        let ping = sqlx::query("SELECT 1 FROM partitions LIMIT 1");
        self.read(|c| Box::pin(async move { ping.fetch_optional(c).await.map(drop).map_err(from_sqlx) })).await
    }

    /// Returns `outcome`, and remembers an error about unreadable data.
    pub(super) fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unreadable(what)) = &outcome {
            self.unreadable.lock().get_or_insert_with(|| what.clone());
        }
        outcome
    }
}

/// An unused connection that is in order, if there is one.
async fn usable(idle: &Mutex<Vec<Idle>>) -> Option<PgConnection> {
    let (mut connection, since) = idle.lock().pop()?;
    if since.elapsed() < UNCHECKED {
        return Some(connection);
    }
    match timeout(READER_TIMEOUT, connection.ping()).await {
        Ok(Ok(())) => Some(connection),
        _ => {
            idle.lock().clear();
            None
        }
    }
}

/// One transaction on the slot's connection, see [`Database::transaction`].
async fn in_transaction<T, F>(server: Server, slot: Slot, deadline: Duration, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T> + Send + 'static,
{
    let mut slot = within(deadline, async { Ok(slot.lock_owned().await) }).await?;
    let task = tokio::spawn(async move {
        let mut connection = match slot.take() {
            Some(connection) => connection,
            None => server.connection().await?,
        };
        let done = within(deadline, run(&mut connection, work)).await;
        match done {
            Ok(_) => *slot = Some(connection),
            Err(_) => close_soon(connection),
        }
        done
    });
    task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the writing task ended: {e}"))))
}

async fn run<T, F>(connection: &mut PgConnection, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> SqlFuture<'c, T>,
{
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(from_sqlx)?;
    match work(&mut transaction).await {
        Ok(done) => transaction.commit().await.map_err(from_sqlx).map(|()| done),
        // The connection is closed anyway, but its locks must be released before a caller gets an answer.
        Err(e) => {
            drop(transaction.rollback().await);
            Err(e)
        }
    }
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(deadline, work).await.unwrap_or_else(|_| Err(StoreError::Unavailable(format!("the database did not answer within {deadline:?}"))))
}
