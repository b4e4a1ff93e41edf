//! Measures how ClickHouse keeps frames: bytes a frame for each column and codec, and what an insert costs.
//!
//! `CLICKHOUSE_URL=clickhouse://USER@HOST:PORT/DATABASE CLICKHOUSE_PASSWORD_FILE=… cargo run --release -p boxbox-store --example
//! codecs`, on a server with nothing else to do: its CPU is read from its own counters. The recording is the .ibt of
//! `BOXBOX_TESTDATA`, one car at 60 Hz. Makes a table `codecs`, and drops it.
//!
//! What it found, and so what `clickhouse::layout` says: FPC before ZSTD(1) for a car's signals; Delta or DoubleDelta for what
//! rises; ZSTD(3) and ALP gain nothing; T64, GCD and Gorilla lose. Together 51 bytes a frame of 200, the labels included.
//! `Native` costs half of what `RowBinary` does, and LZ4 on the wire costs on one machine more than it saves.

// A command line tool's output is its purpose.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant};

use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::{DriverId, RunId, SessionId, StreamKey, TenantId};
use boxbox_sources::iracing::{IbtFile, Item, ReplayOptions};
use boxbox_store::FrameRun;
use boxbox_store::clickhouse::encode::Rows;
use boxbox_store::clickhouse::layout::{Column, ColumnType, FRAME};
use boxbox_store::clickhouse::schema;
use bytes::Bytes;
use clickhouse::{Client, Compression};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Streams of a block, and frames of each: ten seconds of a partition.
const STREAMS: usize = 170;
const FRAMES_OF_EACH: usize = 600;
const ROUNDS: u64 = 12;

/// What may be put before a general codec, by type.
fn filters(column: &Column) -> &'static [&'static str] {
    match column.column_type {
        ColumnType::Float32 | ColumnType::Float64 => &["", "Delta, ", "DoubleDelta, ", "Gorilla, ", "FPC, ", "ALP, "],
        ColumnType::FixedString(_) => &[""],
        ColumnType::Int8 | ColumnType::UInt8 => &["", "Delta, ", "T64, "],
        _ => &["", "Delta, ", "DoubleDelta, ", "Gorilla, ", "T64, ", "GCD, "],
    }
}

#[tokio::main]
async fn main() -> Result<()> {
    let client = client()?;
    let frames = recording()?;
    let count = frames.len() / CAR_FRAME_BYTES;
    println!("{count} frames of one car");
    sizes(&client, &frames, count).await?;
    inserts(&client, &frames).await?;
    Ok(client.query("DROP TABLE codecs SYNC").execute().await?)
}

/// Bytes a frame for each column and codec.
async fn sizes(client: &Client, frames: &Bytes, count: usize) -> Result<()> {
    let run = FrameRun::new(stream(0)?, 0, frames.clone())?;
    let rows = Rows { log: "log", partition: 0, offset: 1, appended_us: 1_700_000_000_000_000, runs: &[run] };
    let mut found: Vec<Vec<(f64, String)>> = vec![vec![]; FRAME.len()];
    for general in ["LZ4", "ZSTD(1)", "ZSTD(3)"] {
        for filter in 0..6 {
            let codec = |c: &Column| format!("{}{general}", filters(c).get(filter).unwrap_or(&""));
            table(client, codec).await?;
            insert(client, "Native", rows.native()).await?;
            client.query("OPTIMIZE TABLE codecs FINAL").execute().await?;
            let sql = "SELECT column, sum(column_data_compressed_bytes) FROM system.parts_columns \
                       WHERE database = currentDatabase() AND table = 'codecs' AND active GROUP BY column";
            let sizes: Vec<(String, u64)> = client.query(sql).fetch_all().await?;
            for (at, c) in FRAME.iter().enumerate().filter(|(_, c)| filters(c).len() > filter) {
                let bytes = sizes.iter().find(|(name, _)| name == c.name).map_or(0, |(_, bytes)| *bytes);
                found[at].push((bytes as f64 / count as f64, codec(c)));
            }
        }
    }
    table(client, |column| column.codec.to_owned()).await?;
    insert(client, "Native", rows.native()).await?;
    client.query("OPTIMIZE TABLE codecs FINAL").execute().await?;
    let sql =
        "SELECT sum(data_compressed_bytes), sum(bytes_on_disk) FROM system.parts WHERE database = currentDatabase() AND table = 'codecs' AND active";
    let (data, disk): (u64, u64) = client.query(sql).fetch_one().await?;
    let each = |bytes: u64| bytes as f64 / count as f64;
    println!("with the codecs that were chosen, labels included: {:.1} bytes a frame, {:.1} with indexes", each(data), each(disk));
    let mut best = 0.0;
    for (column, mut all) in FRAME.iter().zip(found) {
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        best += all[0].0;
        let all: Vec<String> = all.iter().map(|(bytes, codec)| format!("{bytes:.3} {codec}")).collect();
        println!("{:20} {}", column.name, all.join(" | "));
    }
    println!("the smallest of each together: {best:.1} bytes a frame");
    Ok(())
}

/// What an insert costs, by format and compression on the wire.
async fn inserts(client: &Client, frames: &Bytes) -> Result<()> {
    let all = frames.len() / CAR_FRAME_BYTES;
    let part = |n: usize| {
        let first = n * 61 % (all - FRAMES_OF_EACH);
        frames.slice(first * CAR_FRAME_BYTES..(first + FRAMES_OF_EACH) * CAR_FRAME_BYTES)
    };
    let runs: Result<Vec<_>> = (0..STREAMS).map(|n| Ok(FrameRun::new(stream(n)?, 0, part(n))?)).collect();
    let runs = runs?;
    for (codecs, all_alike) in [("chosen codecs", None), ("LZ4", Some("LZ4")), ("ZSTD(1)", Some("ZSTD(1)"))] {
        let codec = |column: &Column| all_alike.unwrap_or(column.codec).to_owned();
        for format in ["RowBinary", "Native"] {
            for (wire, compression) in [("plain", Compression::None), ("lz4", Compression::Lz4)] {
                let client = client.clone().with_compression(compression);
                table(&client, codec).await?;
                client.query("SYSTEM STOP MERGES codecs").execute().await?;
                let (mut ours, mut server, mut wall, mut count) = (Duration::ZERO, 0, Duration::ZERO, 0);
                for round in 0..ROUNDS {
                    let rows = Rows { log: "log", partition: 0, offset: round, appended_us: 1_700_000_000_000_000, runs: &runs };
                    let (cpu, before, begun) = (our_cpu(), server_cpu(&client).await?, Instant::now());
                    let body = if format == "Native" { rows.native() } else { row_binary(&rows) };
                    insert(&client, format, body).await?;
                    let (took, after) = (begun.elapsed(), server_cpu(&client).await?);
                    // The first one warms up.
                    if round > 0 {
                        (ours, server, wall, count) = (ours + (our_cpu() - cpu), server + after - before, wall + took, count + rows.count());
                    }
                }
                let each = |us: f64| us / count as f64;
                println!(
                    "{codecs:14} {format:10} {wire:6} ours {:.2} µs, server {:.2} µs of CPU a frame; {:.0} frames/s",
                    each(ours.as_micros() as f64),
                    each(server as f64),
                    count as f64 / wall.as_secs_f64()
                );
            }
        }
    }
    Ok(())
}

fn row_binary(rows: &Rows<'_>) -> Bytes {
    let mut out = Vec::with_capacity(rows.count() * 300);
    let text = |out: &mut Vec<u8>, text: &str| {
        out.push(text.len() as u8);
        out.extend_from_slice(text.as_bytes());
    };
    for run in rows.runs {
        for (n, frame) in run.frames.chunks_exact(CAR_FRAME_BYTES).enumerate() {
            text(&mut out, run.stream.tenant.as_str());
            out.extend_from_slice(&run.stream.session.0);
            text(&mut out, run.stream.driver.as_str());
            out.extend_from_slice(&run.stream.run.0);
            out.extend_from_slice(&(n as u64).to_le_bytes());
            text(&mut out, rows.log);
            out.extend_from_slice(&rows.partition.to_le_bytes());
            out.extend_from_slice(&rows.offset.to_le_bytes());
            out.extend_from_slice(&rows.appended_us.to_le_bytes());
            out.extend_from_slice(frame);
        }
    }
    out.into()
}

async fn table(client: &Client, codec: impl Fn(&Column) -> String) -> Result<()> {
    client.query("DROP TABLE IF EXISTS codecs SYNC").execute().await?;
    let sql = format!(
        "CREATE TABLE codecs ({}) ENGINE = MergeTree PARTITION BY toYYYYMM(appended_at) ORDER BY (tenant, session, driver, run, seq) \
         SETTINGS min_bytes_for_wide_part = 0",
        schema::columns_sql(codec)
    );
    let create = client.query_raw(&sql).with_setting("allow_suspicious_codecs", "1").with_setting("enable_alp_codec", "1");
    Ok(create.execute().await?)
}

async fn insert(client: &Client, format: &str, body: Bytes) -> Result<()> {
    let insert = client.insert_formatted_with(format!("{}{format}", schema::insert_sql("codecs")));
    let settings = [("async_insert", "0"), ("input_format_parallel_parsing", "0"), ("max_insert_block_size", "1048576")];
    let mut insert = settings.into_iter().fold(insert, |insert, (name, value)| insert.with_setting(name, value));
    for at in (0..body.len()).step_by(1 << 20) {
        insert.send(body.slice(at..body.len().min(at + (1 << 20)))).await?;
    }
    Ok(insert.end().await?)
}

async fn server_cpu(client: &Client) -> Result<u64> {
    Ok(client.query("SELECT value FROM system.events WHERE event = 'OSCPUVirtualTimeMicroseconds'").fetch_one::<u64>().await?)
}

/// Time that this process's threads have run.
fn our_cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let each = threads.filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok());
    Duration::from_nanos(each.filter_map(|s| s.split(' ').next()?.parse::<u64>().ok()).sum())
}

fn recording() -> Result<Bytes> {
    let path = boxbox_testkit::recordings::folder().join(boxbox_testkit::recordings::PHILLIP_ISLAND);
    let file = IbtFile::open(path)?;
    let mut replay = file.replay(ReplayOptions::default())?;
    let mut out = vec![];
    while let Some(item) = replay.next().transpose()? {
        if let Item::Car(frame) = item {
            out.extend_from_slice(&rkyv::to_bytes::<rkyv::rancor::Error>(&frame)?);
        }
    }
    Ok(out.into())
}

fn stream(n: usize) -> Result<StreamKey> {
    let mut id = [7; 16];
    id[..8].copy_from_slice(&(n as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes());
    Ok(StreamKey { tenant: TenantId::new("league")?, session: SessionId([9; 16]), driver: DriverId::new(&format!("driver-{n:04}"))?, run: RunId(id) })
}

fn client() -> Result<Client> {
    let var = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let (url, password) = (var("CLICKHOUSE_URL")?, std::fs::read_to_string(var("CLICKHOUSE_PASSWORD_FILE")?)?);
    let place = url.strip_prefix("clickhouse://").and_then(|place| place.split_once('@'));
    let (user, (host, database)) = place.and_then(|(user, at)| Some((user, at.split_once('/')?))).ok_or("CLICKHOUSE_URL is none")?;
    let client = Client::default().with_url(format!("http://{host}")).with_user(user).with_password(password.trim());
    Ok(client.with_database(database).with_compression(Compression::None))
}
