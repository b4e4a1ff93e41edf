//! [`Sql`] on a PostgreSQL connection: many rows in one statement. A column of values is one array, so that each statement has
//! one text for any number of rows, and is prepared once.

use async_trait::async_trait;
use futures::TryStreamExt;
use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgArguments, PgConnection, PgRow, PgTypeInfo, Postgres};
use sqlx::query::Query;
use sqlx::{AssertSqlSafe, Encode, QueryBuilder, Type};

use super::error::from_sqlx;
use super::moments::{BEST_LAPS, LAPS_AT};
use crate::StoreError;
use crate::sql::{Dialect, Each, Sql, Value};

/// The processor that writes a partition holds its row.
static DIALECT: Dialect = Dialect {
    for_update: " FOR UPDATE",
    to_no_owner: ", owner = NULL, leaving = FALSE",
    no_bytes: "''::bytea",
    laps_at: LAPS_AT,
    best_laps: BEST_LAPS,
    // The server removes dead rows itself, soon.
    overwriting: ["", ""],
    outbox: true,
};

/// Approximate bytes of values in a statement. A statement longer than a TLS record, 16 KiB, goes out in several writes. sqlx's
/// sockets do not set TCP_NODELAY, so the last write waits for the server's delayed ack: a loss of 40 ms.
/// A few short statements are faster.
const SHORT_BYTES: usize = 12_000;
/// This many statements are short. With more rows the packets in flight keep the acks coming.
const SHORT_STATEMENTS: usize = 8;
/// Bytes of values in a statement after those.
const LONG_BYTES: usize = 1 << 20;

found!(PgRow, from_sqlx);

#[async_trait]
impl Sql for PgConnection {
    fn dialect(&self) -> &'static Dialect {
        &DIALECT
    }

    async fn write_values(&mut self, head: &str, columns: usize, mut values: &[Value<'_>], tail: &str) -> Result<(), StoreError> {
        let mut statements = 0;
        while let Some(mut query) = next(head, columns, &mut values, tail, &mut statements) {
            query.build().execute(&mut *self).await.map_err(from_sqlx)?;
        }
        Ok(())
    }

    async fn select_values(&mut self, head: &str, columns: usize, mut values: &[Value<'_>], tail: &str, each: Each<'_>) -> Result<(), StoreError> {
        let mut statements = 0;
        while let Some(mut query) = next(head, columns, &mut values, tail, &mut statements) {
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

fn with_parameters<'q>(sql: &str, parameters: &[Value<'q>]) -> Query<'q, Postgres, PgArguments> {
    parameters.iter().fold(sqlx::query(AssertSqlSafe(sql.to_owned())), |query, value| match *value {
        Value::Int(n) => query.bind(n),
        Value::Text(text) => query.bind(text),
        Value::Bytes(bytes) => query.bind(bytes),
        Value::Bool(yes) => query.bind(yes),
    })
}

/// The next statement, of the first rows of `rest`, which are taken from it.
fn next(head: &str, columns: usize, rest: &mut &[Value<'_>], tail: &str, statements: &mut usize) -> Option<QueryBuilder<Postgres>> {
    let most = if *statements < SHORT_STATEMENTS { SHORT_BYTES } else { LONG_BYTES };
    let (first, _) = rest.split_at_checked(columns)?;
    let mut arrays: Vec<Column> = first.iter().map(Column::of).collect();
    let mut bytes = 0;
    while bytes < most
        && let Some((row, behind)) = rest.split_at_checked(columns)
    {
        arrays.iter_mut().zip(row).for_each(|(column, value)| column.put(value));
        bytes = arrays.iter().map(|column| column.values.len()).sum();
        *rest = behind;
    }
    *statements += 1;
    let mut query = QueryBuilder::new(head);
    let mut list = query.push("SELECT * FROM UNNEST(").separated(", ");
    for column in arrays {
        list.push_bind(column);
    }
    query.push(")").push(tail);
    Some(query)
}

/// A column of values as an array in PostgreSQL's binary format.
struct Column {
    array: PgTypeInfo,
    element: u32,
    count: i32,
    nulls: bool,
    values: Vec<u8>,
}

impl Column {
    /// A column of values of the type of `value`. A type's number is the same in every PostgreSQL.
    fn of(value: &Value<'_>) -> Self {
        let (array, element) = match value {
            Value::Bool(_) => (<Vec<bool> as Type<Postgres>>::type_info(), 16),
            Value::Bytes(_) => (<Vec<&[u8]> as Type<Postgres>>::type_info(), 17),
            Value::Int(_) => (<Vec<i64> as Type<Postgres>>::type_info(), 20),
            Value::Text(_) => (<Vec<&str> as Type<Postgres>>::type_info(), 25),
        };
        Self { array, element, count: 0, nulls: false, values: vec![] }
    }

    fn put(&mut self, value: &Value<'_>) {
        self.count += 1;
        match value {
            Value::Int(Some(n)) => self.put_bytes(&n.to_be_bytes()),
            Value::Text(Some(text)) => self.put_bytes(text.as_bytes()),
            Value::Bytes(bytes) => self.put_bytes(bytes),
            Value::Bool(yes) => self.put_bytes(&[u8::from(*yes)]),
            Value::Int(None) | Value::Text(None) => {
                self.nulls = true;
                self.values.extend((-1i32).to_be_bytes());
            }
        }
    }

    fn put_bytes(&mut self, value: &[u8]) {
        // A value is a few KiB: far below 2 GiB, which is PostgreSQL's limit.
        self.values.extend((value.len() as i32).to_be_bytes());
        self.values.extend(value);
    }
}

impl Type<Postgres> for Column {
    fn type_info() -> PgTypeInfo {
        <Vec<i64> as Type<Postgres>>::type_info()
    }
}

impl Encode<'_, Postgres> for Column {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let dimensions = 1i32;
        buffer.extend(dimensions.to_be_bytes());
        buffer.extend(i32::from(self.nulls).to_be_bytes());
        buffer.extend(self.element.to_be_bytes());
        buffer.extend(self.count.to_be_bytes());
        let lower_bound = 1i32;
        buffer.extend(lower_bound.to_be_bytes());
        buffer.extend(&self.values);
        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(self.array.clone())
    }

    fn size_hint(&self) -> usize {
        20 + self.values.len()
    }
}
