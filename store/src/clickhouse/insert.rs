//! Sending a block: one INSERT, which ClickHouse stores as one block, under one token.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;

use super::error::from_clickhouse;
use super::server::Server;
use crate::StoreError;
use crate::crash::crash_point;

/// How long a piece of the block may take to send.
const SEND_DEADLINE: Duration = Duration::from_secs(30);
/// How long ClickHouse may take to answer.
const END_DEADLINE: Duration = Duration::from_secs(30);
/// Bytes given to the connection at once.
const PIECE_BYTES: usize = 1 << 20;
/// Most rows and bytes of a block that ClickHouse stores whole; it would split a larger one, and each part would have its own token.
pub(super) const BLOCK_MAX_ROWS: u64 = 1 << 20;
const BLOCK_MAX_BYTES: u64 = 1 << 30;
/// A plan's INSERT is sent before the plan reaches this age, or not at all: long before ClickHouse can have forgotten its token.
const FRESH: Duration = Duration::from_secs(300);

/// When a plan was committed, by a monotonic clock and by one that runs on while the machine sleeps.
#[derive(Clone, Copy)]
pub(super) struct Planned {
    risen: Instant,
    wall: SystemTime,
}

impl Planned {
    pub(super) fn now() -> Self {
        Self { risen: Instant::now(), wall: SystemTime::now() }
    }

    /// A process that slept longer than this must check first that it may still write: the next attempt checks, in the plan's transaction.
    pub(super) fn check(self) -> Result<(), StoreError> {
        let age = self.risen.elapsed().max(self.wall.elapsed().unwrap_or_default());
        if age < FRESH {
            return Ok(());
        }
        Err(StoreError::Unavailable(format!("a block was planned {} s ago and is not sent any more without asking again", age.as_secs())))
    }

    #[cfg(test)]
    pub(super) fn ago(age: Duration) -> Self {
        Self { wall: SystemTime::now() - age, ..Self::now() }
    }
}

/// Insert a block's rows into one table, all or none of them, once for each token. `into` is the `INSERT` with its format.
///
/// # Errors
/// [`StoreError::Unavailable`], after which the rows may be stored, or be stored later; and as [`from_clickhouse`].
pub(super) async fn insert(server: &Server, replicated: bool, into: String, rows: Bytes, token: &str, planned: Planned) -> Result<(), StoreError> {
    let most_rows = BLOCK_MAX_ROWS.to_string();
    let most_bytes = BLOCK_MAX_BYTES.to_string();
    // ClickHouse's defaults change with its version and its operator's settings; the settings that this code relies on are set here.
    let mut settings = vec![
        ("async_insert", "0"),
        ("insert_deduplicate", "1"),
        ("deduplicate_insert", "enable"),
        ("insert_deduplication_token", token),
        ("max_insert_block_size", &most_rows),
        ("min_insert_block_size_rows", &most_rows),
        ("min_insert_block_size_bytes", &most_bytes),
        ("input_format_parallel_parsing", "0"),
        ("optimize_on_insert", "1"),
        ("wait_end_of_query", "1"),
    ];
    if replicated {
        // Parallel, because every partition inserts separately. At a start the replica that answers must first catch up.
        settings.extend([("insert_quorum", "auto"), ("insert_quorum_parallel", "1"), ("insert_quorum_timeout", "20000")]);
    }
    let insert = server.client.insert_formatted_with(into);
    let insert = settings.into_iter().fold(insert, |insert, (name, value)| insert.with_setting(name, value));
    let mut insert = insert.with_timeouts(Some(SEND_DEADLINE), Some(END_DEADLINE));
    planned.check()?;
    crash_point("archive-insert-before");
    let pieces = rows.len().div_ceil(PIECE_BYTES);
    for piece in 0..pieces {
        let from = piece * PIECE_BYTES;
        let bytes = rows.slice(from..rows.len().min(from + PIECE_BYTES));
        let (first, second) =
            if piece == pieces / 2 { (bytes.slice(..bytes.len() / 2), bytes.slice(bytes.len() / 2..)) } else { (bytes, Bytes::new()) };
        insert.send(first).await.map_err(|e| server.at(from_clickhouse(e)))?;
        if !second.is_empty() {
            crash_point("archive-insert-half");
            insert.send(second).await.map_err(|e| server.at(from_clickhouse(e)))?;
        }
    }
    insert.end().await.map_err(|e| server.at(from_clickhouse(e)))?;
    crash_point("archive-insert-answered");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_planned_long_ago_is_not_sent() {
        Planned::now().check().unwrap();
        Planned::ago(FRESH / 2).check().unwrap();
        assert!(Planned::ago(FRESH * 2).check().unwrap_err().is_retryable());
    }
}
