//! Many rows in one statement: a column of values is one array, so that each statement has one text, whatever the number of
//! rows, and is prepared once.

use std::marker::PhantomData;

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, Postgres};
use sqlx::{Encode, QueryBuilder, Type};

use super::error::from_sqlx;
use super::{Connection, Row};
use crate::StoreError;

/// Bytes of values in a statement, about. What is longer than a TLS record, 16 KiB, goes out in several writes, and on a socket
/// that is not set to send at once, which sqlx's are not, the last of them waits for the server's delayed ack: 40 ms for nothing.
/// A few short statements are faster.
const SHORT_BYTES: usize = 12_000;
/// So many statements are short. Where there is more to say, what is on its way keeps the acks coming.
const SHORT_STATEMENTS: usize = 8;
/// Bytes of values in a statement after those.
const LONG_BYTES: usize = 1 << 20;

/// `head` all rows `tail`, in order. Returns how many rows were written.
pub(super) async fn write<R>(
    c: &mut Connection,
    head: &'static str,
    rows: &[R],
    bind: impl Fn(&mut Bind<'_>, &R),
    tail: &'static str,
) -> Result<u64, StoreError> {
    let (mut written, mut rest, mut statements) = (0, rows, 0);
    while let Some(mut query) = next(head, &mut rest, &bind, tail, &mut statements) {
        written += query.build().execute(&mut *c).await.map_err(from_sqlx)?.rows_affected();
    }
    Ok(written)
}

/// `head` all keys `tail`; calls `each` with every row found.
pub(super) async fn select<K>(
    c: &mut Connection,
    head: &'static str,
    keys: &[K],
    bind: impl Fn(&mut Bind<'_>, &K),
    tail: &'static str,
    mut each: impl FnMut(&Row) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let (mut rest, mut statements) = (keys, 0);
    while let Some(mut query) = next(head, &mut rest, &bind, tail, &mut statements) {
        for row in query.build().fetch_all(&mut *c).await.map_err(from_sqlx)? {
            each(&row)?;
        }
    }
    Ok(())
}

/// The next statement, of the first of `rest`, which are taken from it.
fn next<R>(
    head: &'static str,
    rest: &mut &[R],
    bind: &impl Fn(&mut Bind<'_>, &R),
    tail: &'static str,
    statements: &mut usize,
) -> Option<QueryBuilder<Postgres>> {
    let most = if *statements < SHORT_STATEMENTS { SHORT_BYTES } else { LONG_BYTES };
    let mut values = Bind { columns: vec![], at: 0, rows: PhantomData };
    let mut bytes = 0;
    while bytes < most
        && let Some((row, behind)) = rest.split_first()
    {
        values.at = 0;
        bind(&mut values, row);
        bytes = values.columns.iter().map(|column| column.values.len()).sum();
        *rest = behind;
    }
    if values.columns.is_empty() {
        return None;
    }
    *statements += 1;
    let mut query = QueryBuilder::new(head);
    let mut list = query.push("SELECT * FROM UNNEST(").separated(", ");
    for column in values.columns {
        list.push_bind(column);
    }
    query.push(")").push(tail);
    Some(query)
}

/// Takes the values of one row after another, each row's in the same order.
pub(super) struct Bind<'b> {
    columns: Vec<Column>,
    at: usize,
    rows: PhantomData<&'b ()>,
}

impl Bind<'_> {
    pub(super) fn push_bind<V: Value>(&mut self, value: V) -> &mut Self {
        if self.at == self.columns.len() {
            self.columns.push(Column { array: V::array(), element: V::ELEMENT, count: 0, nulls: false, values: vec![] });
        }
        let column = &mut self.columns[self.at];
        column.count += 1;
        value.put(column);
        self.at += 1;
        self
    }
}

/// A column of values as an array in PostgreSQL's binary format.
pub(super) struct Column {
    array: PgTypeInfo,
    element: u32,
    count: i32,
    nulls: bool,
    values: Vec<u8>,
}

impl Column {
    fn put(&mut self, value: &[u8]) {
        // A value is a few KiB: far below 2 GiB, at which PostgreSQL would end anyway.
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

/// What a column can hold.
pub(super) trait Value {
    /// The type's OID, which is the same in every PostgreSQL.
    const ELEMENT: u32;
    fn array() -> PgTypeInfo;
    fn put(self, column: &mut Column);
}

impl Value for &[u8] {
    const ELEMENT: u32 = 17;
    fn array() -> PgTypeInfo {
        <Vec<&[u8]> as Type<Postgres>>::type_info()
    }
    fn put(self, column: &mut Column) {
        column.put(self);
    }
}

impl Value for &str {
    const ELEMENT: u32 = 25;
    fn array() -> PgTypeInfo {
        <Vec<&str> as Type<Postgres>>::type_info()
    }
    fn put(self, column: &mut Column) {
        column.put(self.as_bytes());
    }
}

impl Value for Option<&str> {
    const ELEMENT: u32 = <&str as Value>::ELEMENT;
    fn array() -> PgTypeInfo {
        <&str as Value>::array()
    }
    fn put(self, column: &mut Column) {
        match self {
            Some(text) => text.put(column),
            None => {
                column.nulls = true;
                column.values.extend((-1i32).to_be_bytes());
            }
        }
    }
}

impl Value for i64 {
    const ELEMENT: u32 = 20;
    fn array() -> PgTypeInfo {
        <Vec<i64> as Type<Postgres>>::type_info()
    }
    fn put(self, column: &mut Column) {
        column.put(&self.to_be_bytes());
    }
}

impl Value for bool {
    const ELEMENT: u32 = 16;
    fn array() -> PgTypeInfo {
        <Vec<bool> as Type<Postgres>>::type_info()
    }
    fn put(self, column: &mut Column) {
        column.put(&[u8::from(self)]);
    }
}
