//! [`Database`]: connections, each used so that whoever goes away leaves nothing behind.
//!
//! Work runs in a task of its own that holds the connection, so a caller that goes away (a timeout, a dropped future) cannot
//! cut it in the middle: it ends by itself, whole or not at all. After any error or deadline the connection is closed, which
//! rolls back whatever is open, and whoever calls next opens a new one. No connection is handed on that is not known to be
//! in order.
//!
//! Each partition has a connection of its own for its transactions, and reads have a few more: what hangs in one partition
//! stalls only that. A deadline on this side bounds every call, for a server that vanishes without a word.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use boxbox_schemas::LogId;
use parking_lot::Mutex;
use sqlx::Connection;
use sqlx::postgres::PgConnection;
use tokio::sync::{Mutex as Turn, Semaphore};
use tokio::time::timeout;

use super::error::from_sqlx;
use super::server::{Server, close};
use crate::StoreError;

/// How long a transaction may take from here; connecting comes on top.
const DEADLINE: Duration = Duration::from_secs(12);
/// How long a read may take from here.
const READ_DEADLINE: Duration = Duration::from_secs(12);
/// Connections that read; a query takes about a millisecond, so few serve many.
const READERS: usize = 8;
/// How long a read waits for a connection that is free.
const READER_TIMEOUT: Duration = Duration::from_secs(3);

/// What runs on a connection.
pub(crate) type Work<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// A connection, or none yet, and whose turn it is to use it.
type Slot = Arc<Turn<Option<PgConnection>>>;

/// A database that is in use.
pub(crate) struct Database {
    server: Server,
    writers: Mutex<HashMap<(LogId, u32), Slot>>,
    idle_readers: Arc<Mutex<Vec<PgConnection>>>,
    readers: Arc<Semaphore>,
    /// The first thing found that cannot be read: it does not heal, and somebody has to look.
    unreadable: Mutex<Option<String>>,
}

impl Database {
    /// Log in, see whether the schema is the one that this program knows, and go on with connections called `boxbox-NAME`.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for a URL that is none and a login that is not let in; [`StoreError::Unreadable`] for another
    /// schema; [`StoreError::Unavailable`].
    pub(crate) async fn connect(url: &str, password: Option<&str>, name: &str) -> Result<Self, StoreError> {
        let server = Server::parse(url, password)?.named(name);
        super::schema::check(&server).await?;
        Ok(Self {
            server,
            writers: Mutex::default(),
            idle_readers: Arc::default(),
            readers: Arc::new(Semaphore::new(READERS)),
            unreadable: Mutex::default(),
        })
    }

    /// Run `work` in one transaction on the partition's own connection. When the caller goes away before the connection is
    /// free, nothing happens; later, the transaction goes on to its end. `work` must hand on every error that it meets: a
    /// transaction with a failed statement in it cannot be committed any more.
    ///
    /// # Errors
    /// What `work` says; [`StoreError::Unavailable`], after which it may have happened.
    pub(crate) async fn transaction<T, F>(&self, log: &LogId, partition: u32, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send + 'static,
    {
        let slot = self.writers.lock().entry((log.clone(), partition)).or_default().clone();
        self.noted(in_transaction(self.server.clone(), slot, DEADLINE, work).await)
    }

    /// Run `work`, single statements that only read, on a connection for reading.
    ///
    /// # Errors
    /// What `work` says; [`StoreError::Unavailable`].
    pub(crate) async fn read<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send + 'static,
    {
        let Ok(Ok(permit)) = timeout(READER_TIMEOUT, self.readers.clone().acquire_owned()).await else {
            return Err(StoreError::Unavailable(format!("no connection was free for reading within {READER_TIMEOUT:?}")));
        };
        let (server, idle) = (self.server.clone(), self.idle_readers.clone());
        let task = tokio::spawn(async move {
            let _permit = permit;
            let taken = idle.lock().pop();
            let mut connection = match taken {
                Some(connection) => connection,
                None => server.connection().await?,
            };
            let done = within(READ_DEADLINE, work(&mut connection)).await;
            match done {
                Ok(_) => idle.lock().push(connection),
                Err(_) => close(connection),
            }
            done
        });
        self.noted(task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the reading task ended: {e}")))))
    }

    /// Whether the database answers, and everything that was asked of it so far could be read.
    pub(crate) async fn ping(&self) -> Result<(), StoreError> {
        if let Some(what) = &*self.unreadable.lock() {
            return Err(StoreError::Unreadable(what.clone()));
        }
        let ping = sqlx::query("SELECT 1 FROM partitions LIMIT 1");
        self.read(|c| Box::pin(async move { ping.fetch_optional(c).await.map(drop).map_err(from_sqlx) })).await
    }

    /// What was asked for, having remembered if it could not be read.
    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unreadable(what)) = &outcome {
            self.unreadable.lock().get_or_insert_with(|| what.clone());
        }
        outcome
    }
}

/// One transaction on the slot's connection, see [`Database::transaction`].
async fn in_transaction<T, F>(server: Server, slot: Slot, deadline: Duration, work: F) -> Result<T, StoreError>
where
    T: Send + 'static,
    F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T> + Send + 'static,
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
            Err(_) => close(connection),
        }
        done
    });
    task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the writing task ended: {e}"))))
}

async fn run<T, F>(connection: &mut PgConnection, work: F) -> Result<T, StoreError>
where
    F: for<'c> FnOnce(&'c mut PgConnection) -> Work<'c, T>,
{
    let mut transaction = connection.begin_with("BEGIN ISOLATION LEVEL READ COMMITTED").await.map_err(from_sqlx)?;
    let done = work(&mut transaction).await?;
    transaction.commit().await.map_err(from_sqlx)?;
    Ok(done)
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
    timeout(deadline, work).await.unwrap_or_else(|_| Err(StoreError::Unavailable(format!("the database did not answer within {deadline:?}"))))
}
