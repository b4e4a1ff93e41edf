//! Processors that share the database: which are alive, and which owns which partition (E5b). [`crate::share`] decides what a
//! beat changes; an advisory lock orders the beats of one log.
//!
//! The database's clock counts. A member's leases last as long as its row in `members`.

use std::collections::BTreeSet;
use std::time::Duration;

use boxbox_schemas::LogId;
use sqlx::postgres::{PgConnection, PgRow};

use super::database::Database;
use super::error::from_sqlx;
use crate::share::{PartitionOwner, turn};
use crate::sql::{Found, number};
use crate::{Lease, Member, Share, StoreError};

/// How long a beat may take: a longer one is [`StoreError::Unavailable`], and the member beats again.
const DEADLINE: Duration = Duration::from_secs(5);

pub(super) async fn beat(database: &Database, log: &LogId, partitions: u32, member: &Member) -> Result<Share, StoreError> {
    let (of, member) = (log.clone(), member.clone());
    database.beat(log, DEADLINE, move |c| Box::pin(beat_in(c, of, partitions, member))).await
}

pub(super) async fn release(database: &Database, lease: &Lease) -> Result<(), StoreError> {
    let (log, partition, lease) = (&lease.log, lease.partition, lease.clone());
    let work = database.transaction(log, partition, move |c| {
        Box::pin(async move {
            let free = sqlx::query("UPDATE partitions SET owner = NULL, leaving = FALSE WHERE log = $1 AND part = $2 AND epoch = $3");
            let free = free.bind(lease.log.0.as_str()).bind(i64::from(lease.partition)).bind(epoch(&lease)?);
            free.execute(c).await.map(drop).map_err(from_sqlx)
        })
    });
    work.await?;
    database.forget(log, partition).await;
    Ok(())
}

pub(super) async fn leave(database: &Database, log: &LogId, member: &Member) -> Result<(), StoreError> {
    let (of, name) = (log.clone(), member.name.clone());
    let work = database.beat(log, DEADLINE, move |c| {
        Box::pin(async move {
            let gone = sqlx::query("DELETE FROM members WHERE log = $1 AND name = $2").bind(of.0.as_str()).bind(name);
            gone.execute(c).await.map(drop).map_err(from_sqlx)
        })
    });
    work.await
}

async fn beat_in(c: &mut PgConnection, log: LogId, partitions: u32, member: Member) -> Result<Share, StoreError> {
    let (of, me) = (log.0.as_str(), member.name.as_str());
    // Another log with the same hash would only have to wait.
    sqlx::query("SELECT pg_advisory_xact_lock(hashtextextended('boxbox members ' || $1, 0))").bind(of).execute(&mut *c).await.map_err(from_sqlx)?;

    // By the clock, not by the transaction's time, which is from before the lock.
    let alive = sqlx::query(
        "INSERT INTO members (log, name, alive_until) VALUES ($1, $2, clock_timestamp() + $3 * INTERVAL '1 microsecond') \
         ON CONFLICT (log, name) DO UPDATE SET alive_until = excluded.alive_until",
    );
    let ttl_us = i64::try_from(member.ttl.as_micros()).map_err(|_| StoreError::Refused("a lease of thousands of years".into()))?;
    alive.bind(of).bind(me).bind(ttl_us).execute(&mut *c).await.map_err(from_sqlx)?;
    let dead = sqlx::query("DELETE FROM members WHERE log = $1 AND alive_until <= clock_timestamp() AND name <> $2");
    dead.bind(of).bind(me).execute(&mut *c).await.map_err(from_sqlx)?;
    let names = sqlx::query_scalar("SELECT name FROM members WHERE log = $1").bind(of).fetch_all(&mut *c).await.map_err(from_sqlx)?;
    let members: BTreeSet<String> = names.into_iter().collect();

    let mut owners = owners(c, of, partitions).await?;
    if owners.len() < partitions as usize {
        let missing =
            sqlx::query("INSERT INTO partitions (log, part, epoch) SELECT $1, n, 0 FROM generate_series(0, $2 - 1) n ON CONFLICT DO NOTHING");
        missing.bind(of).bind(i64::from(partitions)).execute(&mut *c).await.map_err(from_sqlx)?;
        owners = self::owners(c, of, partitions).await?;
    }
    let turn = turn(&owners, &members, me);
    // A partition in which a step is being written, or hangs, is left for the next beat: no beat waits for a partition.
    if !turn.take.is_empty() {
        let take = sqlx::query(
            "UPDATE partitions SET epoch = epoch + 1, owner = $3, leaving = FALSE WHERE log = $1 AND part IN \
             (SELECT part FROM partitions WHERE log = $1 AND part = ANY($2) ORDER BY part FOR UPDATE SKIP LOCKED)",
        );
        take.bind(of).bind(numbers(&turn.take)).bind(me).execute(&mut *c).await.map_err(from_sqlx)?;
    }
    if !turn.give_back.is_empty() {
        let leaving = sqlx::query(
            "UPDATE partitions SET leaving = TRUE WHERE log = $1 AND part IN \
             (SELECT part FROM partitions WHERE log = $1 AND part = ANY($2) AND owner = $3 ORDER BY part FOR UPDATE SKIP LOCKED)",
        );
        leaving.bind(of).bind(numbers(&turn.give_back)).bind(me).execute(&mut *c).await.map_err(from_sqlx)?;
    }

    let mine = sqlx::query("SELECT part, epoch, leaving FROM partitions WHERE log = $1 AND owner = $2 ORDER BY part");
    let mut share = Share { members: members.len() as u32, ..Share::default() };
    for row in mine.bind(of).bind(me).fetch_all(&mut *c).await.map_err(from_sqlx)? {
        let partition = number(&row, "part")?;
        share.leases.push(Lease { log: log.clone(), partition, epoch: number(&row, "epoch")? });
        share.give_back.extend(row.bool("leaving")?.then_some(partition));
    }
    Ok(share)
}

async fn owners(c: &mut PgConnection, log: &str, partitions: u32) -> Result<Vec<PartitionOwner>, StoreError> {
    let query = sqlx::query("SELECT part, owner, leaving FROM partitions WHERE log = $1 AND part < $2 ORDER BY part");
    let rows = query.bind(log).bind(i64::from(partitions)).fetch_all(c).await.map_err(from_sqlx)?;
    let owner = |row: &PgRow| {
        Ok(PartitionOwner { number: number(row, "part")?, owner: row.maybe_text("owner")?.map(str::to_owned), leaving: row.bool("leaving")? })
    };
    rows.iter().map(owner).collect()
}

fn numbers(partitions: &[u32]) -> Vec<i64> {
    partitions.iter().map(|p| i64::from(*p)).collect()
}

fn epoch(lease: &Lease) -> Result<i64, StoreError> {
    crate::sql::rows::signed(lease.epoch)
}
