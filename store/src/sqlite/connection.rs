//! [`Sql`] on a SQLite connection: many rows in few statements.

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::query::Query;
use sqlx::query_builder::Separated;
use sqlx::sqlite::{Sqlite, SqliteArguments, SqliteConnection, SqliteRow};
use sqlx::{AssertSqlSafe, QueryBuilder};

use super::error::from_sqlx;
use super::moments::{BEST_LAPS, LAPS_AT};
use crate::StoreError;
use crate::sql::{Dialect, Each, Sql, Value};

/// A file has one writer, so rows need no locks; its partitions have no owner but the epoch; and its laps are not copied elsewhere.
static DIALECT: Dialect = Dialect {
    for_update: "",
    to_no_owner: "",
    no_bytes: "x''",
    laps_at: LAPS_AT,
    best_laps: BEST_LAPS,
    overwriting: ["PRAGMA secure_delete = ON", "PRAGMA secure_delete = OFF"],
    outbox: false,
};

/// Most rows in a statement. With 16 columns that is 1,024 parameters of SQLite's 32,766; more rows gain nothing.
const BATCH_MAX: usize = 64;

found!(SqliteRow, from_sqlx);

#[async_trait]
impl Sql for SqliteConnection {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    async fn write_values(&mut self, head: &str, columns: usize, values: &[Value<'_>], tail: &str) -> Result<(), StoreError> {
        for batch in batches(values, columns) {
            statement(head, columns, batch, tail).build().execute(&mut *self).await.map_err(from_sqlx)?;
        }
        Ok(())
    }

    async fn select_values(&mut self, head: &str, columns: usize, values: &[Value<'_>], tail: &str, each: Each<'_>) -> Result<(), StoreError> {
        for batch in batches(values, columns) {
            let mut query = statement(head, columns, batch, tail);
            let mut rows = query.build().fetch(&mut *self);
            while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
                each(&row)?;
            }
        }
        Ok(())
    }

    async fn query(&mut self, sql: &str, parameters: &[Value<'_>], each: Each<'_>) -> Result<(), StoreError> {
        let mut rows = with_parameters(sql, parameters).fetch(self);
        while let Some(row) = rows.try_next().await.map_err(from_sqlx)? {
            each(&row)?;
        }
        Ok(())
    }

    async fn execute(&mut self, sql: &str, parameters: &[Value<'_>]) -> Result<(), StoreError> {
        with_parameters(sql, parameters).execute(self).await.map(drop).map_err(from_sqlx)
    }
}

/// `head VALUES (…), (…) tail`.
fn statement(head: &str, columns: usize, values: &[Value<'_>], tail: &str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::<Sqlite>::new(head);
    query.push_values(values.chunks(columns), |mut b, row| row.iter().for_each(|value| push(&mut b, *value))).push(tail);
    query
}

fn push(b: &mut Separated<'_, Sqlite, &'static str>, value: Value<'_>) {
    match value {
        Value::Int(n) => b.push_bind(n),
        Value::Text(text) => b.push_bind(text),
        Value::Bytes(bytes) => b.push_bind(bytes),
        Value::Bool(yes) => b.push_bind(yes),
    };
}

fn with_parameters<'q>(sql: &str, parameters: &[Value<'q>]) -> Query<'q, Sqlite, SqliteArguments> {
    parameters.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, value| match *value {
        Value::Int(n) => query.bind(n),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Bool(yes) => query.bind(yes),
    })
}

/// Rows of `columns` values in pieces whose sizes are powers of two, so that a few texts are prepared once and used again.
fn batches<V>(mut values: &[V], columns: usize) -> impl Iterator<Item = &[V]> {
    std::iter::from_fn(move || {
        let rows = values.len() / columns;
        let size = BATCH_MAX.min(1 << rows.checked_ilog2()?);
        let (batch, rest) = values.split_at(size * columns);
        values = rest;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_cover_all_rows_in_order_with_few_sizes(rows in prop::collection::vec(any::<[u8; 3]>(), 0..500)) {
            let values: Vec<u8> = rows.concat();
            let all: Vec<&[u8]> = batches(&values, 3).collect();
            let size = |batch: &&[u8]| batch.len() / 3;
            prop_assert!(all.iter().all(|b| b.len() % 3 == 0 && size(b).is_power_of_two() && size(b) <= BATCH_MAX));
            prop_assert_eq!(all.concat(), values);
        }
    }
}
