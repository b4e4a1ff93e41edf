//! The tables: creating, changing and checking them.
//!
//! A table's comment names the version of this file that made it. Opening the archive changes nothing: `boxbox migrate`
//! does, and may be run repeatedly.

use std::time::Duration;

use clickhouse::Row;
use serde::Deserialize;

use super::layout::{Column, FRAME, LABELS, RECORD};
use super::options::Options;
use super::server::Server;
use crate::StoreError;

/// Version of these tables.
const VERSION: u32 = 1;
/// Every table.
const TABLES: [&str; 3] = ["frames", "records", "laps"];
/// Tables of which a block is rows, and whose rows are removed by age.
const OF_BLOCKS: [&str; 2] = ["frames", "records"];
/// The comment of a table is this and its version.
const COMMENT: &str = "Ok, Box Box, schema ";
/// Number of last blocks whose tokens ClickHouse remembers. Each partition sends a block every 10 s: three hours for 48 partitions.
const WINDOW_BLOCKS: u32 = 50_000;
/// How long replicated tables remember a token at most, s.
const WINDOW_SECONDS: u32 = 6 * 3_600;

/// Columns of `laps`: name, type, comment.
const LAPS: &[(&str, &str, &str)] = &[
    ("tenant", "LowCardinality(String)", "Whose data it is"),
    ("session", "FixedString(16)", "The session's id"),
    ("entry", "String", "Who competes"),
    ("number", "UInt32", "Lap number, 1-based"),
    ("sim", "LowCardinality(String)", "The simulator"),
    ("track", "LowCardinality(String)", "The track's name, as the session was described when the lap was copied"),
    ("track_config", "LowCardinality(String)", "The track's configuration"),
    ("session_type", "LowCardinality(String)", "Practice, qualifying, race, in the simulator's words"),
    ("car", "LowCardinality(String)", "The car in its slot, as the session was described then"),
    ("class", "LowCardinality(String)", "That car's class"),
    ("driver", "String", "Who crossed the line at its end"),
    ("run", "FixedString(16)", "The run that reports it"),
    ("slot", "UInt16", "The car's slot then"),
    ("timeline", "UInt32", "How many rewinds its stream had before it"),
    ("revision", "UInt32", "How often it was written, 1-based"),
    ("start_us", "Int64", "Session time at its start, µs"),
    ("end_us", "Int64", "Session time at its end, µs"),
    ("time_us", "Int64", "Its time, µs"),
    ("sim_time_us", "Nullable(Int64)", "The simulator's own time of it, µs"),
    ("sectors_us", "Array(Int64)", "Sector times, µs; -1 for those not driven"),
    ("fuel_l", "Nullable(Float32)", "Fuel at its end, litres (kWh for electric cars)"),
    ("fuel_used_l", "Nullable(Float32)", "Fuel used in it, litres (kWh)"),
    ("reasons", "UInt32", "Why it does not count for best, the platform's bits; 0: it counts"),
    ("tags", "UInt32", "What else is worth knowing, the platform's bits"),
    ("frames", "UInt32", "Frames it was computed from"),
    ("log_offset", "UInt64", "The step that wrote it: of two rows of a lap the higher one is true"),
    ("deleted", "UInt8", "1: there is no such lap any more"),
];

/// Create the database and its tables, or change them to this version and these options.
pub(super) async fn migrate(server: &Server, options: &Options) -> Result<(), StoreError> {
    let (frames, laps) = options.engines()?;
    let known = "SELECT count() FROM system.databases WHERE name = {name:String}";
    // The query names no database, because it may not exist yet.
    let anywhere = server.client.clone().with_database("system");
    if server.row::<u64>(anywhere.query_raw(known).param("name", &server.database)).await? == 0 {
        server.execute(anywhere.query_raw(&format!("CREATE DATABASE IF NOT EXISTS `{}`", server.database))).await?;
    }
    let records = create_of_blocks("records", &record_columns_sql(), &frames, options);
    for (table, sql) in [("frames", create_frames(&frames, options)), ("records", records), ("laps", create_laps(&laps))] {
        server.execute(server.client.query_raw(&sql)).await?;
        let found = Found::of(server, table).await?;
        found.not_newer(server, table)?;
        found.same_columns(server, table)?;
    }
    for table in OF_BLOCKS {
        let found = Found::of(server, table).await?;
        match options.max_age {
            age if age == kept_for(&found.engine_full) => {}
            Some(age) => server.execute(server.client.query_raw(&format!("ALTER TABLE {table} MODIFY TTL {}", ttl(age)))).await?,
            None => server.execute(server.client.query_raw(&format!("ALTER TABLE {table} REMOVE TTL"))).await?,
        }
    }
    Ok(())
}

/// The result of a check that the tables are right.
pub(super) struct Checked {
    /// Whether the tables are replicated.
    pub(super) replicated: bool,
    /// For how long the tables keep frames.
    pub(super) max_age: Option<Duration>,
}

/// Whether the tables are those of this version.
pub(super) async fn check(server: &Server) -> Result<Checked, StoreError> {
    for table in TABLES {
        let found = Found::of(server, table).await?;
        found.not_newer(server, table)?;
        found.same_columns(server, table)?;
    }
    let frames = Found::of(server, "frames").await?;
    Ok(Checked { replicated: frames.engine_full.starts_with("Replicated"), max_age: kept_for(&frames.engine_full) })
}

/// Whether the tables have the version of this file.
pub(super) async fn check_version(server: &Server) -> Result<(), StoreError> {
    for table in TABLES {
        Found::of(server, table).await?.not_newer(server, table)?;
    }
    Ok(())
}

/// `INSERT` of all columns of `frames` into `table`, up to the format's name.
pub fn insert_sql(table: &str) -> String {
    let names: Vec<&str> = LABELS.iter().map(|l| l.name).chain(FRAME.iter().map(|c| c.name)).collect();
    format!("INSERT INTO {table} ({}) FORMAT ", names.join(", "))
}

/// `INSERT` of all columns of `records`, up to the format's name.
pub fn insert_records_sql() -> String {
    let names: Vec<&str> = LABELS.iter().map(|l| l.name).chain(RECORD.iter().map(|(name, ..)| *name)).collect();
    format!("INSERT INTO records ({}) FORMAT ", names.join(", "))
}

/// The columns of `frames` in DDL, each of the frame's with the codec that `codec` says.
pub fn columns_sql(codec: impl Fn(&Column) -> String) -> String {
    let frame = FRAME.iter().map(|c| column_sql(c.name, &c.column_type.sql(), &codec(c), c.comment));
    label_columns_sql().chain(frame).collect::<Vec<_>>().join(",\n    ")
}

fn record_columns_sql() -> String {
    let record = RECORD.iter().map(|(name, sql, codec, comment)| column_sql(name, sql, codec, comment));
    label_columns_sql().chain(record).collect::<Vec<_>>().join(",\n    ")
}

fn label_columns_sql() -> impl Iterator<Item = String> {
    LABELS.iter().map(|l| column_sql(l.name, l.sql, l.codec, l.comment))
}

fn column_sql(name: &str, sql: &str, codec: &str, comment: &str) -> String {
    format!("`{name}` {sql} CODEC({codec}) COMMENT '{}'", comment.replace('\'', "\\'"))
}

fn create_frames(engine: &str, options: &Options) -> String {
    create_of_blocks("frames", &columns_sql(|column| column.codec.to_owned()), engine, options)
}

fn create_of_blocks(table: &str, columns: &str, engine: &str, options: &Options) -> String {
    // A block is one partition: it has one `appended_at`. The indexes find a partition's newest blocks without reading the rest:
    // rows are sorted by session, and a session is of one partition.
    let ttl = options.max_age.map_or(String::new(), |age| format!("\nTTL {}", ttl(age)));
    format!(
        "CREATE TABLE IF NOT EXISTS {table} (\n    {columns},\n    INDEX by_offset log_offset TYPE minmax GRANULARITY 1,\n    \
         INDEX by_part part TYPE minmax GRANULARITY 1\n) ENGINE = {engine}\nPARTITION BY toYYYYMM(appended_at)\n\
         ORDER BY (tenant, session, driver, run, seq){ttl}\nSETTINGS {}\nCOMMENT '{COMMENT}{VERSION}'",
        table_settings(engine),
    )
}

fn table_settings(engine: &str) -> String {
    let window = if engine.starts_with("Replicated") {
        format!("replicated_deduplication_window = {WINDOW_BLOCKS}, replicated_deduplication_window_seconds = {WINDOW_SECONDS}")
    } else {
        format!("non_replicated_deduplication_window = {WINDOW_BLOCKS}")
    };
    // A confirmed block is on the disk: a loss in a power cut would only be noticed at the next start.
    format!("{window}, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1, materialize_ttl_recalculate_only = 1")
}

fn create_laps(engine: &str) -> String {
    let columns = LAPS.iter().map(|(name, sql, comment)| format!("`{name}` {sql} COMMENT '{}'", comment.replace('\'', "\\'")));
    format!(
        "CREATE TABLE IF NOT EXISTS laps (\n    {}\n) ENGINE = {engine}\nORDER BY (tenant, session, entry, number)\nCOMMENT '{COMMENT}{VERSION}'",
        columns.collect::<Vec<_>>().join(",\n    ")
    )
}

fn ttl(age: Duration) -> String {
    format!("toDateTime(appended_at) + toIntervalSecond({})", age.as_secs())
}

/// The age in a table's TTL.
fn kept_for(engine_full: &str) -> Option<Duration> {
    let (_, rest) = engine_full.split_once("TTL toDateTime(appended_at) + toIntervalSecond(")?;
    rest.split_once(')')?.0.parse().ok().map(Duration::from_secs)
}

/// A table as it exists.
#[derive(Row, Deserialize)]
struct Found {
    engine_full: String,
    comment: String,
    columns: Vec<(String, String)>,
}

impl Found {
    async fn of(server: &Server, table: &str) -> Result<Self, StoreError> {
        let sql = "SELECT engine_full, comment, (SELECT groupArray((name, type)) FROM (SELECT name, type FROM system.columns \
                   WHERE database = {database:String} AND table = {table:String} ORDER BY position)) AS columns \
                   FROM system.tables WHERE database = {database:String} AND name = {table:String}";
        let query = server.client.clone().with_database("system").query_raw(sql).param("database", &server.database).param("table", table);
        let found = server.rows::<Self>(query).await?.pop();
        found.ok_or_else(|| server.at(StoreError::Unreadable(format!("there is no table `{table}` yet: run `boxbox migrate`"))))
    }

    fn not_newer(&self, server: &Server, table: &str) -> Result<(), StoreError> {
        match self.comment.strip_prefix(COMMENT).and_then(|v| v.parse::<u32>().ok()) {
            Some(VERSION) => Ok(()),
            Some(other) => {
                Err(server.at(StoreError::Unreadable(format!("its table `{table}` has version {other}, which this program does not know"))))
            }
            None => Err(server.at(StoreError::Unreadable(format!("its table `{table}` was not made by this program")))),
        }
    }

    fn same_columns(&self, server: &Server, table: &str) -> Result<(), StoreError> {
        let labels = LABELS.iter().map(|l| (l.name.to_owned(), l.sql.to_owned()));
        let wanted: Vec<(String, String)> = match table {
            "records" => labels.chain(RECORD.iter().map(|(name, sql, ..)| ((*name).to_owned(), (*sql).to_owned()))).collect(),
            "frames" => labels.chain(FRAME.iter().map(|c| (c.name.to_owned(), c.column_type.sql()))).collect(),
            _ => LAPS.iter().map(|(name, sql, _)| ((*name).to_owned(), (*sql).to_owned())).collect(),
        };
        let differs = wanted.iter().find(|column| !self.columns.contains(column));
        match differs {
            Some((name, sql)) => Err(server.at(StoreError::Unreadable(format!("its table `{table}` has no column `{name}` of type {sql}")))),
            None => Ok(()),
        }
    }
}

impl Options {
    /// The engines of `frames`, which is also that of `records`, and of `laps`.
    fn engines(&self) -> Result<(String, String), StoreError> {
        let refused = |why: &str| StoreError::Refused(format!("the engine {:?} {why}", self.engine));
        let (name, arguments) = self.engine.split_once('(').unwrap_or((&self.engine, ")"));
        let arguments = arguments.trim_end().strip_suffix(')').ok_or_else(|| refused("has a ( without a )"))?.trim();
        if !matches!(name.trim(), "MergeTree" | "ReplicatedMergeTree" | "SharedMergeTree") {
            return Err(refused("is none of MergeTree, ReplicatedMergeTree and SharedMergeTree"));
        }
        if arguments.contains([';', '(', ')']) {
            return Err(refused("has arguments that are none"));
        }
        if !arguments.is_empty() && !arguments.contains("{table}") && !arguments.contains("{uuid}") {
            return Err(refused("needs {table} or {uuid} in its path: there are several tables"));
        }
        let comma = if arguments.is_empty() { "" } else { ", " };
        let replacing = name.trim().replace("MergeTree", "ReplacingMergeTree");
        Ok((format!("{}({arguments})", name.trim()), format!("{replacing}({arguments}{comma}log_offset, deleted)")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engines(engine: &str) -> Result<(String, String), String> {
        Options { engine: engine.into(), ..Options::default() }.engines().map_err(|e| e.to_string())
    }

    #[test]
    fn both_tables_have_the_engine_that_is_asked_for() {
        let plain = ("MergeTree()".to_owned(), "ReplacingMergeTree(log_offset, deleted)".to_owned());
        assert_eq!(engines("MergeTree"), Ok(plain.clone()));
        assert_eq!(engines("MergeTree()"), Ok(plain));
        let (frames, laps) = engines("ReplicatedMergeTree('/ch/{shard}/{table}', '{replica}')").unwrap();
        assert_eq!(frames, "ReplicatedMergeTree('/ch/{shard}/{table}', '{replica}')");
        assert_eq!(laps, "ReplicatedReplacingMergeTree('/ch/{shard}/{table}', '{replica}', log_offset, deleted)");
        assert!(engines("ReplicatedMergeTree('/ch/frames', '{replica}')").unwrap_err().contains("several tables"));
        assert!(engines("Log").is_err() && engines("MergeTree(").is_err() && engines("MergeTree() AS x; DROP (").is_err());
    }
}
