//! [`resume`]: where an archive continues, determined from the plans in PostgreSQL and the rows in ClickHouse. Pure.
//!
//! A block is planned, then inserted; beginning the next one confirms it (E6c). So the rows of an unconfirmed plan
//! may be stored, or lost, or still on their way: the same block is made again under the same token. If rows
//! of a confirmed plan are missing, ClickHouse was restored to an earlier moment. These blocks are made
//! again too, under a new token, because ClickHouse may know the old one (E6d).
//!
//! If there are rows of blocks without a plan, PostgreSQL was restored to an earlier moment. Their frames are left out of new blocks.
//!
//! In one case neither the plans nor the log reach back to the state of ClickHouse: both databases were restored to earlier moments,
//! or ClickHouse was restored to a moment before the oldest plan that is kept (`KEPT_FOR` in `plans.rs`, 7 days, and at least
//! `KEPT_PLANS` plans). This is an error, which stops the archive of that partition until a person decides.

use std::collections::{BTreeMap, BTreeSet};

use boxbox_schemas::StreamKey;
use boxbox_schemas::results::Checkpoint;

use crate::{ArchiveState, Lease, StoreError};

/// A block that was to be inserted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Plan {
    /// The block's last record.
    pub(super) last: u64,
    /// That record's checksum.
    pub(super) crc: u32,
    /// The last record of the block before; `None`: it begins at the log's beginning.
    pub(super) behind: Option<u64>,
    /// The token of its INSERT.
    pub(super) token: String,
    /// Number of its rows of frames.
    pub(super) frames: u64,
    /// Number of its rows of records; `None`: it was planned before they were kept.
    pub(super) records: Option<u64>,
    /// When the log appended its last record, Unix µs.
    pub(super) appended_us: i64,
    /// Whether its rows are known to have been in ClickHouse.
    pub(super) confirmed: bool,
    /// Its streams' cursors before it; 0: there was none.
    pub(super) before: Vec<(StreamKey, u64)>,
}

impl Plan {
    /// Number of its rows that must be there.
    pub(super) fn rows(&self) -> u64 {
        self.frames + self.records.unwrap_or(0)
    }
}

/// A partition's plans and cursors in PostgreSQL.
#[derive(Clone, Debug, Default)]
pub(super) struct Planned {
    /// The newest plans, newest first: at least back to the oldest unconfirmed one.
    pub(super) plans: Vec<Plan>,
    /// Whether these are all plans.
    pub(super) all: bool,
    /// The cursors after the newest plan.
    pub(super) cursors: BTreeMap<StreamKey, u64>,
}

/// A partition's rows in ClickHouse.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Held {
    /// The last records of the plans of which there are rows, in each table of which they have any.
    pub(super) plans: BTreeSet<u64>,
    /// The last record of the newest block without a plan, by its frames.
    pub(super) unplanned: Option<u64>,
    /// As `unplanned`, by its records of other kinds.
    pub(super) unplanned_records: Option<u64>,
}

/// Where to continue.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Resumed {
    /// The state for the caller.
    pub(super) state: ArchiveState,
    /// Plans that need a new token, by their last records.
    pub(super) renewed: Vec<u64>,
}

/// Where to continue; `None`: more plans are needed to decide. Rows older than `expired_us` may have been removed.
///
/// # Errors
/// [`StoreError::Unreadable`] if neither the plans nor the log reach back to the state of ClickHouse.
pub(super) fn resume(planned: &Planned, held: &Held, expired_us: i64, lease: &Lease) -> Result<Option<Resumed>, StoreError> {
    let plans = &planned.plans;
    let there = |p: &Plan| held.plans.contains(&p.last) || p.appended_us < expired_us;
    let missing = |p: &Plan| p.rows() > 0 && !there(p);
    // Blocks older than the newest plan with rows were stored before it. But blocks that are made again are made in order,
    // while the rows of a later plan may be stored already.
    let open = plans.iter().rposition(|p| !p.confirmed).unwrap_or(0);
    let surely = plans.iter().enumerate().position(|(at, p)| at >= open && p.rows() > 0 && there(p));
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
    let beyond = |unplanned: Option<u64>| unplanned.filter(|held| stands.is_none_or(|stands| *held > stands));
    let (held_to, records_held_to) = (beyond(held.unplanned), beyond(held.unplanned_records));
    if let Some((held, plan)) = held_to.max(records_held_to).and_then(|held| Some((held, again.iter().find(|p| missing(p) && p.last <= held)?))) {
        return Err(StoreError::Unreadable(format!(
            "the block that ends at offset {} of partition {} is not in ClickHouse, but one without a plan is, up to {held}: both databases were \
             restored to earlier moments. {}",
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
    let planned = again.iter().rev().map(|p| p.last).collect();
    let state = ArchiveState { checkpoint, cursors: cursors.into_iter().collect(), held_to, records_held_to, planned };
    Ok(Some(Resumed { state, renewed: again.iter().filter(|p| p.confirmed && missing(p)).map(|p| p.last).collect() }))
}

fn lost(lease: &Lease, plans: &[Plan]) -> StoreError {
    let ends = plans.first().zip(plans.last()).map_or(String::new(), |(newest, oldest)| format!(", {} to {}", oldest.last, newest.last));
    StoreError::Unreadable(format!(
        "ClickHouse has none of the last {} blocks of partition {} that PostgreSQL knows of{ends}: it is another database, or was restored to a moment \
         before them. If it is the right one: {}",
        plans.len(),
        lease.partition,
        forget(lease)
    ))
}

/// Advice for a person if plans and rows do not fit together: everything up to ClickHouse's newest block then counts as archived.
fn forget(lease: &Lease) -> String {
    format!(
        "stop every processor, delete from archive_plans and archive_cursors what has log = '{}' and part = {}, raise the archive's generation, and \
         start again: the log is archived from its beginning, without what is behind by the newest block in ClickHouse",
        lease.log, lease.partition
    )
}
