//! Which laps a step writes or withdraws, for whoever copies laps elsewhere: in the same transaction, so that none is missed.

use std::collections::BTreeSet;

use boxbox_schemas::results::Checkpoint;

use super::Connection;
use super::upsert::write;
use crate::StoreError;
use crate::sql::rows::{Rows, signed};

pub(super) async fn put_outbox(c: &mut Connection, checkpoint: &Checkpoint, rows: &Rows) -> Result<(), StoreError> {
    let written = rows.laps.iter().map(|l| (l.session, l.entry, l.number));
    let touched: Vec<_> = written.chain(rows.withdrawn.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
    let offset = signed(checkpoint.offset)?;
    write(
        c,
        "INSERT INTO lap_outbox (log, part, log_offset, session, entry, number) ",
        &touched,
        |b, (session, entry, number)| {
            b.push_bind(checkpoint.log.0.as_str()).push_bind(i64::from(checkpoint.partition)).push_bind(offset);
            b.push_bind(&session.0[..]).push_bind(entry.as_str()).push_bind(i64::from(*number));
        },
        "",
    )
    .await
    .map(drop)
}
