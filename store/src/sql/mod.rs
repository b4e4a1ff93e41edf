//! The part that the SQL backends share: steps as rows, the writes of a commit, the reads of a load and of queries.
//!
//! It is written once, on [`Sql`]: a connection that writes many rows at once and returns found rows one by one. SQLite and
//! PostgreSQL each implement it for their connections, in the way that is fast there ([`write`]: many values on SQLite,
//! arrays on PostgreSQL), and [`SqlStore`] for how their connections are kept. Pieces of SQL that differ are in a [`Dialect`].
//!
//! Parameters are `$1`, which both accept, and whole numbers are `i64`, which both have.

/// $1 tenant, $2 session. Finds each entry of a session with one index lookup, however many laps there are.
macro_rules! entries {
    () => {
        "WITH RECURSIVE entries (entry) AS ( \
         SELECT (SELECT l.entry FROM laps l WHERE l.session = $2 AND EXISTS (SELECT 1 FROM sessions WHERE id = $2 AND tenant = $1) ORDER BY l.entry LIMIT 1) \
         UNION ALL SELECT (SELECT l.entry FROM laps l WHERE l.session = $2 AND l.entry > e.entry ORDER BY l.entry LIMIT 1) \
         FROM entries e WHERE e.entry IS NOT NULL) "
    };
}

/// Sessions with their descriptions.
macro_rules! session_select {
    () => {
        "SELECT s.*, d.body AS description FROM sessions s LEFT JOIN descriptions d ON d.session = s.id"
    };
}

/// An array of [`Value`](crate::sql::Value)s.
macro_rules! values {
    ($($value:expr),+ $(,)?) => {
        [$($crate::sql::Value::from($value)),+]
    };
}

mod commit;
mod find;
#[macro_use]
mod found;
pub(crate) mod league;
mod load;
mod outbox;
pub(crate) mod read;
pub(crate) mod rows;
mod store;
mod value;

use std::pin::Pin;

use async_trait::async_trait;

pub(crate) use commit::owned;
pub(crate) use found::{Found, id, number, short_id};
pub(crate) use store::{SqlStore, quarantine};
pub(crate) use value::Value;

use crate::StoreError;

/// Pieces of SQL that differ between backends.
pub(crate) struct Dialect {
    /// Behind a `SELECT`: no other connection writes the rows found until the transaction ends.
    pub(crate) for_update: &'static str,
    /// In a `SET` of `partitions`: the partition has no owner any more.
    pub(crate) to_no_owner: &'static str,
    /// A value of no bytes.
    pub(crate) no_bytes: &'static str,
    /// For each entry the last two laps that had begun: $1 tenant, $2 session, $3 the moment.
    pub(crate) laps_at: &'static str,
    /// For each entry its best lap that had ended: $1 tenant, $2 session, $3 ended by, $4 begun before, $5 the lowest number.
    pub(crate) best_laps: &'static str,
    /// Statements around a `DELETE`: what it removes is overwritten with zeros where it lay.
    pub(crate) overwriting: [&'static str; 2],
    /// Whether steps record in `lap_outbox` which laps they change, for the task that copies laps to another database.
    pub(crate) outbox: bool,
}

/// The future of statements on a connection.
pub(crate) type SqlFuture<'c, T> = Pin<Box<dyn Future<Output = Result<T, StoreError>> + Send + 'c>>;

/// A function that is called with each row found.
pub(crate) type Each<'f> = &'f mut (dyn FnMut(&dyn Found) -> Result<(), StoreError> + Send);

/// A connection, within a transaction or not.
#[async_trait]
pub(crate) trait Sql: Send {
    /// The SQL in which its database differs.
    fn dialect(&self) -> &'static Dialect;
    /// `head`, then rows of `columns` values each, all of them in order, in as many statements as are fast, then `tail`.
    async fn write_values(&mut self, head: &str, columns: usize, values: &[Value<'_>], tail: &str) -> Result<(), StoreError>;
    /// As `write_values` for a statement that finds rows.
    async fn select_values(&mut self, head: &str, columns: usize, values: &[Value<'_>], tail: &str, each: Each<'_>) -> Result<(), StoreError>;
    /// Calls `each` with every row that a statement with `parameters` finds, as the rows come.
    async fn query(&mut self, sql: &str, parameters: &[Value<'_>], each: Each<'_>) -> Result<(), StoreError>;
    /// A statement without rows.
    async fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<(), StoreError>;
}

/// `head` all rows `tail`, where `of` gives the values of a row: `INSERT INTO … ` rows, or `… IN (` rows `)`.
pub(crate) async fn write<'a, R, const N: usize>(
    c: &mut dyn Sql,
    head: &str,
    rows: &'a [R],
    of: impl Fn(&'a R) -> [Value<'a>; N],
    tail: &str,
) -> Result<(), StoreError> {
    if rows.is_empty() {
        return Ok(());
    }
    let values: Vec<Value<'a>> = rows.iter().flat_map(of).collect();
    c.write_values(head, N, &values, tail).await
}

/// `head` all keys `tail`; calls `each` with every row found.
pub(crate) async fn select<'a, K, const N: usize>(
    c: &mut dyn Sql,
    head: &str,
    keys: &'a [K],
    of: impl Fn(&'a K) -> [Value<'a>; N],
    tail: &str,
    each: Each<'_>,
) -> Result<(), StoreError> {
    if keys.is_empty() {
        return Ok(());
    }
    let values: Vec<Value<'a>> = keys.iter().flat_map(of).collect();
    c.select_values(head, N, &values, tail, each).await
}

/// All rows that a statement finds, each read by `one`.
pub(crate) async fn all<T: Send>(
    c: &mut dyn Sql,
    sql: &str,
    parameters: &[Value<'_>],
    one: impl Fn(&dyn Found) -> Result<T, StoreError> + Send,
) -> Result<Vec<T>, StoreError> {
    let mut all = vec![];
    let found = &mut all;
    c.query(sql, parameters, &mut move |row| {
        found.push(one(row)?);
        Ok(())
    })
    .await?;
    Ok(all)
}
