//! Which laps a step writes or withdraws, for the task that copies laps to another database: in the same transaction, so that none is missed.

use std::collections::BTreeSet;

use boxbox_schemas::results::Checkpoint;

use super::rows::{StepRows, signed};
use super::{Sql, write};
use crate::StoreError;

pub(super) async fn put_outbox(c: &mut dyn Sql, checkpoint: &Checkpoint, rows: &StepRows) -> Result<(), StoreError> {
    let written = rows.laps.iter().map(|l| (l.session, l.entry, l.number));
    let touched: Vec<_> = written.chain(rows.withdrawn.iter().copied()).collect::<BTreeSet<_>>().into_iter().collect();
    let offset = signed(checkpoint.offset)?;
    write(
        c,
        "INSERT INTO lap_outbox (log, part, log_offset, session, entry, number) ",
        &touched,
        |(session, entry, number)| values![&checkpoint.log.0, checkpoint.partition, offset, session, entry, *number],
        "",
    )
    .await
}
