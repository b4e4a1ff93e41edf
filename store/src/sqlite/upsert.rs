//! Many rows in few statements.

use sqlx::QueryBuilder;
use sqlx::query_builder::Separated;
use sqlx::sqlite::{Sqlite, SqliteConnection, SqliteRow};

use super::error::from_sqlx;
use crate::StoreError;

/// Rows in a statement at most. With 13 columns that is 832 parameters of SQLite's 32,766; more rows gain nothing.
const BATCH_MAX: usize = 64;

pub(super) type Bind<'b> = Separated<'b, Sqlite, &'static str>;

/// `head VALUES (…), (…) tail` for all rows, in order. Returns how many rows were written.
pub(super) async fn write<R>(
    c: &mut SqliteConnection,
    head: &'static str,
    rows: &[R],
    bind: impl Fn(&mut Bind<'_>, &R),
    tail: &'static str,
) -> Result<u64, StoreError> {
    let mut written = 0;
    for batch in batches(rows) {
        let mut query = QueryBuilder::<Sqlite>::new(head);
        query.push_values(batch, |mut b, row| bind(&mut b, row)).push(tail);
        written += query.build().execute(&mut *c).await.map_err(from_sqlx)?.rows_affected();
    }
    Ok(written)
}

/// `head (?, …), (?, …) tail` for all keys; calls `each` with every row found.
pub(super) async fn select<K>(
    c: &mut SqliteConnection,
    head: &'static str,
    keys: &[K],
    bind: impl Fn(&mut Bind<'_>, &K),
    tail: &'static str,
    mut each: impl FnMut(&SqliteRow) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    for batch in batches(keys) {
        let mut query = QueryBuilder::<Sqlite>::new(head);
        query.push_values(batch, |mut b, key| bind(&mut b, key)).push(tail);
        for row in query.build().fetch_all(&mut *c).await.map_err(from_sqlx)? {
            each(&row)?;
        }
    }
    Ok(())
}

/// Batch sizes are powers of two, so that a handful of texts is prepared once and used for ever.
fn batches<R>(mut rows: &[R]) -> impl Iterator<Item = &[R]> {
    std::iter::from_fn(move || {
        let size = BATCH_MAX.min(1 << rows.len().checked_ilog2()?);
        let (batch, rest) = rows.split_at(size);
        rows = rest;
        Some(batch)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn batches_cover_all_rows_in_order_with_few_sizes(rows in prop::collection::vec(any::<u8>(), 0..500)) {
            let all: Vec<&[u8]> = batches(&rows).collect();
            prop_assert!(all.iter().all(|b| b.len().is_power_of_two() && b.len() <= BATCH_MAX));
            prop_assert_eq!(all.concat(), rows);
        }
    }
}
