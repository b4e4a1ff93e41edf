//! The checks that every backend makes before a write, so that all of them refuse the same writes.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::limits::{SEQUENCE_END, STREAM_RACE_MAX_BYTES};
use boxbox_schemas::results::{Checkpoint, Lap};
use boxbox_schemas::{SessionId, StreamKey, TenantId};

use crate::{ArchiveBlock, LapFilter, Lease, Step, StoreError, StreamRecords};

/// Quarantined records kept for each partition, the newest: enough to find the cause, and at 32 KiB each no more
/// than 32 MiB of disk, however long a broken client keeps sending.
pub const QUARANTINE_MAX_ROWS: usize = 1_000;

impl LapFilter {
    /// Whether the filter matches the lap.
    pub fn lets_pass(&self, lap: &Lap) -> bool {
        self.entry.is_none_or(|e| lap.entry == e)
            && self.driver.is_none_or(|d| lap.driver == d)
            && self.from_number.is_none_or(|n| lap.number >= n)
            && self.to_number.is_none_or(|n| lap.number <= n)
            && self.valid.is_none_or(|v| lap.valid() == v)
    }
}

/// Checks that the step is for the lease's partition, and that its parts are within bounds.
pub(crate) fn check_step(lease: &Lease, step: &Step) -> Result<(), StoreError> {
    let Checkpoint { log, partition, .. } = &step.checkpoint;
    if (log, partition) != (&lease.log, &lease.partition) {
        return Err(StoreError::Refused(format!(
            "a checkpoint of log {log}, partition {partition} under a lease of log {}, partition {}",
            lease.log, lease.partition
        )));
    }
    for (ledger, race) in step.streams.iter().flat_map(|s| std::iter::once((&s.ledger, &s.race)).chain(s.field.iter().map(|f| (&s.ledger, &f.race))))
    {
        if race.len() > STREAM_RACE_MAX_BYTES {
            return Err(StoreError::Refused(format!(
                "the race state of driver {} has {} bytes, more than {STREAM_RACE_MAX_BYTES}",
                ledger.stream.driver,
                race.len()
            )));
        }
    }
    Ok(())
}

/// Every session that the step's rows name, and those that the step contains.
pub(crate) fn sessions_named(step: &Step) -> BTreeSet<SessionId> {
    let rows = step.facts.iter().chain(&step.laps).map(|lap| lap.session).chain(step.rows.iter().map(|row| row.head.session));
    let rows = rows.chain(step.retired.iter().copied());
    rows.chain(step.streams.iter().map(|s| s.ledger.stream.session)).chain(step.sessions.iter().map(|s| s.id)).collect()
}

/// Checks that each row's session is in the step or in `stored`, and that no row goes to another tenant's session.
pub(crate) fn check_sessions(step: &Step, stored: impl Fn(&SessionId) -> Option<TenantId>) -> Result<(), StoreError> {
    let mut tenants: BTreeMap<SessionId, TenantId> = sessions_named(step).into_iter().filter_map(|id| Some((id, stored(&id)?))).collect();
    for info in &step.sessions {
        if *tenants.entry(info.id).or_insert(info.tenant) != info.tenant {
            return Err(other_tenant(&info.id, &info.tenant));
        }
    }
    if let Some(unknown) = sessions_named(step).into_iter().find(|id| !tenants.contains_key(id)) {
        return Err(StoreError::Refused(format!("a row of session {unknown}, which no step has contained")));
    }
    let stray = step.streams.iter().map(|s| &s.ledger.stream).find(|s| tenants.get(&s.session) != Some(&s.tenant));
    stray.map_or(Ok(()), |s| Err(other_tenant(&s.session, &s.tenant)))
}

/// Checks that the block's runs are whole frames below their streams' cursors, and that runs of one stream do not overlap; likewise its
/// records.
pub(crate) fn check_block(block: &ArchiveBlock) -> Result<(), StoreError> {
    let cursors: BTreeMap<_, _> = block.cursors.iter().copied().collect();
    let mut ranges = vec![];
    for run in &block.runs {
        let run = crate::FrameRun::of(run.stream, run.pieces.clone(), run.frames.clone())?;
        let cursor = cursors.get(&run.stream).copied().unwrap_or(0);
        if run.next_seq() > cursor || cursor > SEQUENCE_END {
            return Err(StoreError::Refused(format!("frames up to {} of driver {} with a cursor at {cursor}", run.next_seq(), run.stream.driver)));
        }
        ranges.push((run.stream, run.first_seq(), run.next_seq()));
    }
    check_records(block, &cursors)?;
    ranges.sort();
    match ranges.windows(2).find(|w| w[0].0 == w[1].0 && w[1].1 < w[0].2) {
        Some(w) => Err(StoreError::Refused(format!("two runs of driver {} overlap at {}", w[1].0.driver, w[1].1))),
        None => Ok(()),
    }
}

fn check_records(block: &ArchiveBlock, cursors: &BTreeMap<StreamKey, u64>) -> Result<(), StoreError> {
    let mut streams = BTreeSet::new();
    for StreamRecords { stream, records } in &block.records {
        let refused = |why: String| Err(StoreError::Refused(format!("records of driver {}: {why}", stream.driver)));
        let cursor = cursors.get(stream).copied().unwrap_or(0);
        if !streams.insert(*stream) {
            return refused("they are in the block twice".into());
        }
        let mut next = 0;
        for record in records {
            if record.first_seq < next || record.next_seq < record.first_seq {
                return refused(format!("their numbers do not rise at {}", record.first_seq));
            }
            if record.reaches() > cursor || cursor > SEQUENCE_END {
                return refused(format!("one up to {} with a cursor at {cursor}", record.reaches()));
            }
            next = record.reaches();
        }
    }
    Ok(())
}

/// Checks that a partition may go from checkpoint `old` to `new`: never back, and at the same offset only to the same record.
pub(crate) fn check_advance(old: Option<&Checkpoint>, new: &Checkpoint) -> Result<(), StoreError> {
    match old {
        Some(old) if new.offset < old.offset => Err(StoreError::Refused(format!("a checkpoint at {} behind the one at {}", new.offset, old.offset))),
        Some(old) => check_same_record(old, new),
        None => Ok(()),
    }
}

/// E7: checks that two checkpoints at one offset are of one record.
pub(crate) fn check_same_record(old: &Checkpoint, new: &Checkpoint) -> Result<(), StoreError> {
    if new.offset == old.offset && new.crc != old.crc {
        return Err(StoreError::Refused(format!("another record at offset {}: this is not the log that was processed before", new.offset)));
    }
    Ok(())
}

fn other_tenant(session: &SessionId, tenant: &TenantId) -> StoreError {
    StoreError::Refused(format!("session {session} is not tenant {tenant}'s"))
}
