//! [`resume`]: where an archive goes on, from what PostgreSQL planned and what ClickHouse has. Pure.
//!
//! A block is planned, then inserted; beginning the next one confirms it (E6). So of the plans that nobody confirmed, the rows
//! may be there, or may be lost, or may still be under way: their blocks are made again, the same, under the same token. Rows
//! of confirmed plans that are not there were taken away: ClickHouse was put back to an earlier moment. Their blocks are made
//! again too, under a new token, since ClickHouse may know the old one.
//!
//! Rows of blocks that nobody planned: PostgreSQL was put back to an earlier moment. Their frames are left out of blocks.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::StreamKey;
use boxbox_schemas::results::Checkpoint;

use crate::{ArchiveState, Lease, StoreError};

/// A block that was to be inserted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// Its last record.
    pub(super) last: u64,
    /// That record's checksum.
    pub(super) crc: u32,
    /// The last record of the block before; `None`: it begins at the log's beginning.
    pub(super) behind: Option<u64>,
    /// Under which its rows are inserted.
    pub(super) token: String,
    /// Its rows.
    pub(super) frames: u64,
    /// When the log took its last record, Unix µs.
    pub(super) appended_us: i64,
    /// Its rows were in ClickHouse once.
    pub(super) confirmed: bool,
    /// Its streams' cursors before it; 0: there was none.
    pub(super) before: Vec<(StreamKey, u64)>,
}

/// What PostgreSQL says of a partition.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    /// The newest plans, newest first: at least back to the oldest that nobody confirmed.
    pub(super) plans: Vec<Plan>,
    /// Whether these are all.
    pub(super) all: bool,
    /// Cursors behind the newest.
    pub(super) cursors: BTreeMap<StreamKey, u64>,
}

/// What ClickHouse has of a partition.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    /// The plans of which rows are there, by their last records.
    pub(super) plans: BTreeSet<u64>,
    /// The newest block there, by its last record, of those that are of no plan.
    pub(super) unplanned: Option<u64>,
}

/// Where to go on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resumed {
    /// For the caller.
    pub(super) state: ArchiveState,
    /// Plans that need a new token, by their last records.
    pub(super) renewed: Vec<u64>,
}

/// Where to go on; `None`: more plans are needed to say it. Rows older than `expired_us` need not be there any more.
///
/// # Errors
/// [`StoreError::Unreadable`] if neither plans nor log reach back to where ClickHouse stands.
pub(super) fn resume(planned: &Planned, held: &Held, expired_us: i64, lease: &Lease) -> Result<Option<Resumed>, StoreError> {
    let plans = &planned.plans;
    let there = |p: &Plan| held.plans.contains(&p.last) || p.appended_us < expired_us;
    let missing = |p: &Plan| p.frames > 0 && !there(p);
    // Whatever is older than the newest plan whose rows are there, was there before it; but what is made again is so in order,
    // while the rows of a later plan may be there already.
    let open = plans.iter().rposition(|p| !p.confirmed).unwrap_or(0);
    let surely = plans.iter().enumerate().position(|(at, p)| at >= open && p.frames > 0 && there(p));
    if surely.is_none() && !planned.all {
        return Ok(None);
    }
    let redo = plans[..surely.unwrap_or(plans.len())].iter().rposition(missing).map_or(0, |oldest| oldest + 1);
    let (again, done) = plans.split_at(redo);
    let behind = again.last().map_or(Some(None), |oldest| match (oldest.behind, done.first()) {
        (Some(offset), Some(plan)) if plan.last == offset => Some(Some(offset)),
        (None, _) => Some(None),
        _ => None,
    });
    if behind.is_none() {
        return if planned.all { Err(lost(lease, plans)) } else { Ok(None) };
    }
    let checkpoint = done.first().map(|p| Checkpoint { log: lease.log.clone(), partition: lease.partition, offset: p.last, crc: p.crc });
    let stands = checkpoint.as_ref().map(|c| c.offset);
    let held_to = held.unplanned.filter(|held| stands.is_none_or(|stands| *held > stands));
    if let Some((held, plan)) = held_to.and_then(|held| Some((held, again.iter().find(|p| missing(p) && p.last <= held)?))) {
        return Err(StoreError::Unreadable(format!(
            "the block that ends at offset {} of partition {} is not in ClickHouse, but one that nobody planned is, up to {held}: both databases were \
             put back to earlier moments. {}",
            plan.last,
            lease.partition,
            forget(lease)
        )));
    }
    let mut cursors = planned.cursors.clone();
    for (stream, next) in again.iter().flat_map(|p| &p.before) {
        match next {
            0 => cursors.remove(stream),
            next => cursors.insert(*stream, *next),
        };
    }
    let state = ArchiveState { checkpoint, cursors: cursors.into_iter().collect(), held_to, planned: again.iter().rev().map(|p| p.last).collect() };
    Ok(Some(Resumed { state, renewed: again.iter().filter(|p| p.confirmed && missing(p)).map(|p| p.last).collect() }))
}

fn lost(lease: &Lease, plans: &[Plan]) -> StoreError {
    let ends = plans.first().zip(plans.last()).map_or(String::new(), |(newest, oldest)| format!(", {} to {}", oldest.last, newest.last));
    StoreError::Unreadable(format!(
        "ClickHouse has none of the last {} blocks of partition {} that PostgreSQL knows of{ends}: it is another database, or was put back to a moment \
         before them. If it is the right one: {}",
        plans.len(),
        lease.partition,
        forget(lease)
    ))
}

/// What to do where plans and rows do not fit together: what ClickHouse has up to its newest block then counts as all there is.
fn forget(lease: &Lease) -> String {
    format!(
        "stop every processor, delete from archive_plans and archive_cursors what has log = '{}' and part = {}, raise the archive's generation, and \
         start again: the log is archived from its beginning, without what is behind by the newest block in ClickHouse",
        lease.log, lease.partition
    )
}
