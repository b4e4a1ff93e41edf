//! [`ClickHouseArchive`].

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use boxbox_schemas::results::Span;
use boxbox_schemas::{DriverId, LogId, SessionId, StreamKey, TenantId};
use bytes::Bytes;
use parking_lot::Mutex;
use tokio::sync::Mutex as Turn;

use super::encode::Rows;
use super::error::at_login;
use super::insert::{BLOCK_MAX_ROWS, Planned as Age, insert};
use super::options::Options;
use super::plans::{self, Again, Planning};
use super::records::{self, RecordRows};
use super::resume::{Held, Plan, Planned, resume};
use super::schema::Checked;
use super::server::Server;
use super::{laps, read, schema};
use crate::crash::crash_point;
use crate::postgres::Database;
use crate::rules::check_block;
use crate::{Archive, ArchiveBlock, ArchiveState, FrameRun, KeptRecord, Lease, Pace, Readers, Removed, Retention, StoreError, StreamRecords};

/// Blocks of some 100,000 frames: ClickHouse makes a part of each, and many small parts cost it more than their frames.
const PACE: Pace = Pace { every: Duration::from_secs(10), idle: Duration::from_secs(2), bytes: 20_000_000 };
/// Plans read first when a partition is loaded; usually the newest is enough.
const DEPTH: i64 = 64;
/// How long the search for a partition's blocks may take.
const HELD_DEADLINE: Duration = Duration::from_secs(120);
/// How long a replica may take to catch up.
const SYNC_DEADLINE: Duration = Duration::from_secs(60);
/// How long ClickHouse may take to answer a ping.
const PING_DEADLINE: Duration = Duration::from_secs(3);
/// Blocks of a partition are searched from a day before the append of the oldest one sought: the clocks of logs
/// are not wrong by more.
const CLOCK_SLACK_US: i64 = 86_400_000_000;

/// [`Archive`] on ClickHouse and PostgreSQL.
///
/// Appending runs in its own task, so that it ends even if the caller drops the future: the next call for the partition
/// waits for it.
pub struct ClickHouseArchive {
    inner: Arc<Inner>,
}

pub(super) struct Inner {
    pub(super) server: Server,
    pub(super) plans: Database,
    generation: u32,
    /// For how long the tables keep frames.
    max_age: Option<Duration>,
    pub(super) replicated: bool,
    partitions: Mutex<HashMap<(LogId, u32), Slot>>,
    /// The first error about unreadable data: it persists until a person repairs the data.
    unreadable: Mutex<Option<String>>,
}

/// A partition, behind a lock: one task at a time works on it.
type Slot = Arc<Turn<Partition>>;

/// This process's state of a partition.
#[derive(Default)]
struct Partition {
    /// The last record of the block that was begun last, if the block is not known to be stored.
    open: Option<u64>,
}

/// The rows of a block that belong into one table.
struct ToInsert {
    table: &'static str,
    /// The `INSERT` with its format.
    into: String,
    /// How many.
    rows: u64,
}

/// The blocks of which a table has rows.
struct Ends {
    /// Those with a plan, by their last records.
    plans: BTreeSet<u64>,
    /// The last record of the newest one without a plan.
    unplanned: Option<u64>,
}

impl ClickHouseArchive {
    /// Open the archive whose frames are in the ClickHouse at `url` and whose plans are in the PostgreSQL of `postgres`, URL and
    /// password. URLs are `clickhouse://USER@HOST:8123/DATABASE`, `clickhouses://` or `?tls=on` for HTTPS, `&ca=FILE` for the
    /// certificates it is signed by, and as [`PostgresResults`](crate::postgres) takes them.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an invalid URL and for a refused login;
    /// [`StoreError::Unreadable`] for tables that are missing or of another version; [`StoreError::Unavailable`].
    pub async fn open(url: &str, password: Option<&str>, postgres: (&str, Option<&str>), options: Options) -> Result<Self, StoreError> {
        let server = Server::parse(url, password, options.compress)?;
        let Checked { replicated, max_age } = at_login(schema::check(&server).await)?;
        if max_age != options.max_age {
            tracing::warn!(kept = ?max_age, wanted = ?options.max_age, "ClickHouse keeps frames for another time than is asked for: run `boxbox migrate`");
        }
        let plans = Database::connect(postgres.0, postgres.1, "archive").await?;
        let inner =
            Inner { server, plans, generation: options.generation, max_age, replicated, partitions: Mutex::default(), unreadable: Mutex::default() };
        Ok(Self { inner: Arc::new(inner) })
    }

    #[cfg(test)]
    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// Run `work` for a partition, alone, to its end, whether or not the caller waits for it.
    async fn alone<T, F>(
        &self,
        lease: &Lease,
        work: impl FnOnce(Arc<Inner>, Lease, tokio::sync::OwnedMutexGuard<Partition>) -> F,
    ) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, StoreError>> + Send + 'static,
    {
        let turn = self.inner.partitions.lock().entry((lease.log.clone(), lease.partition)).or_default().clone();
        let task = tokio::spawn(work(self.inner.clone(), lease.clone(), turn.lock_owned().await));
        self.inner.noted(task.await.unwrap_or_else(|e| Err(StoreError::Unavailable(format!("the archive's task ended: {e}")))))
    }
}

#[async_trait]
impl Archive for ClickHouseArchive {
    fn pace(&self) -> Pace {
        PACE
    }

    fn readers(&self) -> Option<Readers> {
        Some(self.inner.plans.readers())
    }

    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError> {
        self.alone(lease, async |inner, lease, mut partition| {
            let state = inner.load(&lease).await?;
            partition.open = None;
            Ok(state)
        })
        .await
    }

    async fn append(&self, lease: &Lease, block: &ArchiveBlock) -> Result<(), StoreError> {
        check_block(block)?;
        let (at, frames) = (&block.checkpoint, block.runs.iter().map(FrameRun::count).sum::<u64>());
        if (&at.log, at.partition) != (&lease.log, lease.partition) {
            return Err(StoreError::Refused(format!("a block of log {}, partition {} under another lease", at.log, at.partition)));
        }
        if frames > BLOCK_MAX_ROWS {
            return Err(StoreError::Refused(format!("a block of {frames} frames, more than {BLOCK_MAX_ROWS}")));
        }
        if records::count(&block.records) > BLOCK_MAX_ROWS {
            return Err(StoreError::Refused(format!("a block of more than {BLOCK_MAX_ROWS} records")));
        }
        let block = block.clone();
        self.alone(lease, async move |inner, lease, mut partition| inner.append(&lease, &mut partition, block).await).await
    }

    /// Does nothing: the tables' TTL removes by age, and there is no limit of bytes for an archive of many servers.
    async fn retain(&self, _: &Retention) -> Result<Removed, StoreError> {
        Ok(Removed::default())
    }

    async fn export_laps(&self, lease: &Lease) -> Result<u64, StoreError> {
        self.alone(lease, async |inner, lease, _| laps::export(&inner.plans, &inner.server, inner.replicated, &lease).await).await
    }

    async fn frames(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Option<FrameRun>, StoreError> {
        let stream = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        self.inner.noted(read::frames(&self.inner.server, stream, span, limit).await)
    }

    async fn records(&self, tenant: &TenantId, session: &SessionId, span: &Span, limit: u32) -> Result<Vec<KeptRecord>, StoreError> {
        let stream = StreamKey { tenant: *tenant, session: *session, driver: span.driver, run: span.run };
        self.inner.noted(records::read(&self.inner.server, stream, span, limit).await)
    }

    async fn streams(&self, tenant: &TenantId, session: &SessionId) -> Result<Vec<StreamKey>, StoreError> {
        self.inner.noted(records::streams(&self.inner.server, tenant, session).await)
    }

    async fn count(&self, tenant: &TenantId, session: &SessionId, driver: Option<&DriverId>) -> Result<u64, StoreError> {
        self.inner.noted(read::count(&self.inner.server, tenant, session, driver).await)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        if let Some(what) = &*self.inner.unreadable.lock() {
            return Err(StoreError::Unreadable(what.clone()));
        }
        let server = &self.inner.server;
        let answer = tokio::time::timeout(PING_DEADLINE, schema::check_version(server)).await;
        answer.unwrap_or_else(|_| Err(server.at(StoreError::Unavailable(format!("no answer within {PING_DEADLINE:?}")))))
    }
}

impl Inner {
    /// Returns `outcome`, and remembers an error about unreadable data.
    fn noted<T>(&self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Unreadable(what)) = &outcome {
            self.unreadable.lock().get_or_insert_with(|| what.clone());
        }
        outcome
    }

    async fn load(&self, lease: &Lease) -> Result<ArchiveState, StoreError> {
        let mut depth = DEPTH;
        let resumed = loop {
            let (lease_too, newest) = (lease.clone(), depth);
            let planned =
                self.plans.transaction(&lease.log, lease.partition, move |c| Box::pin(async move { plans::planned(c, &lease_too, newest).await }));
            let planned = planned.await?;
            let held = self.held(lease, &planned).await?;
            if let Some(resumed) = resume(&planned, &held, self.expired_us(), lease)? {
                break resumed;
            }
            depth = depth.saturating_mul(8);
        };
        if !resumed.renewed.is_empty() {
            tracing::warn!(
                partition = lease.partition,
                blocks = resumed.renewed.len(),
                "archived blocks are gone from ClickHouse; they are made again"
            );
            self.renew(lease, resumed.renewed).await?;
        }
        Ok(resumed.state)
    }

    async fn append(&self, lease: &Lease, partition: &mut Partition, block: ArchiveBlock) -> Result<(), StoreError> {
        let at = block.checkpoint.offset;
        // A planned block must be stored before the next one: otherwise there would be a gap.
        if let Some(open) = partition.open.filter(|open| *open < at) {
            return Err(StoreError::Refused(format!(
                "a block up to {at}, where that up to {open} has not been answered: it must be made again first"
            )));
        }
        crash_point("archive-plan-before");
        let (lease_too, generation) = (lease.clone(), self.generation);
        let kept_open = partition.open;
        partition.open = Some(at.max(kept_open.unwrap_or(0)));
        // The age is counted from before the commit, which is the earlier moment.
        let age = Age::now();
        let (offset, appended_us) = (at, block.appended_at_us);
        let planning = self
            .plans
            .transaction(&lease.log, lease.partition, move |c| Box::pin(async move { plans::plan(c, &lease_too, generation, &block).await }));
        let planning = planning.await.inspect_err(|e| {
            if !e.is_retryable() {
                partition.open = kept_open;
            }
        })?;
        crash_point("archive-plan-committed");
        if let Planning::Insert { runs, records, token, again } = planning {
            self.insert(lease, (offset, appended_us), (runs, records), token, again, age).await?;
        }
        partition.open = partition.open.filter(|open| *open > at);
        Ok(())
    }

    /// Insert the rows of the block up to `offset`, frames first. If the block was planned before, `again` says how many it had then.
    async fn insert(
        &self,
        lease: &Lease,
        (offset, appended_us): (u64, i64),
        (runs, records): (Vec<FrameRun>, Vec<StreamRecords>),
        token: String,
        again: Option<Again>,
        age: Age,
    ) -> Result<(), StoreError> {
        let (log, partition) = (lease.log.clone(), lease.partition);
        let (frames, others) = (plans::frames_of(&runs), records::count(&records));
        let encode = {
            let log = log.clone();
            move || Rows { log: &log.0, partition, offset, appended_us, runs: &runs }.native()
        };
        let of_frames = ToInsert { table: "frames", into: format!("{}Native", schema::insert_sql("frames")), rows: frames };
        self.insert_into(lease, offset, of_frames, encode, &token, again.map(|again| again.frames), age).await?;
        crash_point("archive-insert-between");
        let encode = move || RecordRows { log: &log.0, partition, offset, appended_us, records: &records }.row_binary();
        let of_records = ToInsert { table: "records", into: format!("{}RowBinary", schema::insert_records_sql()), rows: others };
        self.insert_into(lease, offset, of_records, encode, &token, again.map(|again| again.records.unwrap_or(others)), age).await
    }

    /// Insert the block's rows into one table. `again` is the number of rows that were planned before.
    #[allow(clippy::too_many_arguments)]
    async fn insert_into(
        &self,
        lease: &Lease,
        offset: u64,
        ToInsert { table, into, rows: count }: ToInsert,
        encode: impl FnOnce() -> Bytes + Send + 'static,
        token: &str,
        again: Option<u64>,
        age: Age,
    ) -> Result<(), StoreError> {
        if again.unwrap_or(count) == 0 || again.is_some() && self.is_held(lease, table, offset).await? {
            return Ok(());
        }
        if let Some(planned) = again.filter(|planned| *planned != count) {
            return Err(StoreError::Refused(format!(
                "the block up to {offset} was planned with {planned} rows of {table} and is made again with {count}"
            )));
        }
        let rows = tokio::task::spawn_blocking(encode).await.map_err(|e| StoreError::Unavailable(format!("encoding a block: {e}")))?;
        insert(&self.server, self.replicated, into.clone(), rows.clone(), token, age).await?;
        if again.is_some() && !self.is_held(lease, table, offset).await? {
            // ClickHouse knows the token, so the block was stored and has been removed since: no INSERT is in progress.
            let token = self.renew(lease, vec![offset]).await?;
            insert(&self.server, self.replicated, into, rows, &token, Age::now()).await?;
        }
        Ok(())
    }

    /// Give plans tokens that ClickHouse cannot know.
    async fn renew(&self, lease: &Lease, offsets: Vec<u64>) -> Result<String, StoreError> {
        let lease_too = lease.clone();
        let renew =
            self.plans.transaction(&lease.log, lease.partition, move |c| Box::pin(async move { plans::renew(c, &lease_too, &offsets).await }));
        renew.await
    }

    /// Rows of blocks that were appended before this time may have been removed, Unix µs.
    fn expired_us(&self) -> i64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.max_age.map_or(i64::MIN, |age| now.as_micros() as i64 - age.as_micros() as i64)
    }

    /// The plans of which ClickHouse has rows, and the newest row without a plan.
    async fn held(&self, lease: &Lease, planned: &Planned) -> Result<Held, StoreError> {
        let ends: Vec<String> = planned.plans.iter().filter(|p| p.rows() > 0).map(|p| p.last.to_string()).collect();
        let is_end = if ends.is_empty() { "0".into() } else { format!("log_offset IN ({})", ends.join(", ")) };
        let since = planned.plans.last().filter(|oldest| oldest.behind.is_some()).map_or(String::new(), |oldest| {
            let appended_us = planned.plans.iter().map(|p| p.appended_us).min().unwrap_or(0).saturating_sub(CLOCK_SLACK_US);
            format!(" AND log_offset >= {} AND appended_at >= fromUnixTimestamp64Micro({appended_us})", oldest.last)
        });
        self.catch_up().await?;
        let frames = self.ends(lease, "frames", &is_end, &since).await?;
        let records = self.ends(lease, "records", &is_end, &since).await?;
        let whole = |p: &&Plan| {
            p.rows() > 0 && (p.frames == 0 || frames.plans.contains(&p.last)) && (p.records.unwrap_or(0) == 0 || records.plans.contains(&p.last))
        };
        let plans = planned.plans.iter().filter(whole).map(|p| p.last).collect();
        Ok(Held { plans, unplanned: frames.unplanned, unplanned_records: records.unplanned })
    }

    /// Of which plans a table has rows, and its newest row without a plan.
    async fn ends(&self, lease: &Lease, table: &str, is_end: &str, since: &str) -> Result<Ends, StoreError> {
        let sql = format!(
            "SELECT groupUniqArrayIf(log_offset, {is_end}), countIf(NOT ({is_end})), maxIf(log_offset, NOT ({is_end})) FROM {table} \
             WHERE log = {{log:String}} AND part = {{part:UInt32}}{since}"
        );
        let query = self.server.client.query_raw(&sql).param("log", &lease.log.0).param("part", lease.partition);
        let query = query.with_setting("max_query_size", (sql.len() * 2 + 65_536).to_string());
        let (plans, others, unplanned): (Vec<u64>, u64, u64) = self.server.within(HELD_DEADLINE, query.fetch_one()).await?;
        Ok(Ends { plans: plans.into_iter().collect(), unplanned: (others > 0).then_some(unplanned) })
    }

    /// Whether rows of the block up to `offset` are stored in `table`.
    async fn is_held(&self, lease: &Lease, table: &str, offset: u64) -> Result<bool, StoreError> {
        self.catch_up().await?;
        let sql = format!(
            "SELECT count() FROM (SELECT 1 FROM {table} WHERE log = {{log:String}} AND part = {{part:UInt32}} AND log_offset = {{offset:UInt64}} LIMIT 1)"
        );
        let query = self.server.client.query_raw(&sql).param("log", &lease.log.0).param("part", lease.partition).param("offset", offset);
        Ok(self.server.within::<u64>(HELD_DEADLINE, query.fetch_one()).await? > 0)
    }

    /// Wait until the replica that answers has everything that any replica accepted.
    async fn catch_up(&self) -> Result<(), StoreError> {
        if !self.replicated {
            return Ok(());
        }
        for sync in ["SYSTEM SYNC REPLICA frames LIGHTWEIGHT", "SYSTEM SYNC REPLICA records LIGHTWEIGHT"] {
            self.server.within(SYNC_DEADLINE, self.server.client.query_raw(sync).execute()).await?;
        }
        Ok(())
    }
}
