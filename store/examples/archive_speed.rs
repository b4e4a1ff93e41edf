//! How fast the archive on ClickHouse takes real frames, plans and all, and gives them back.
//!
//! `CLICKHOUSE_URL`, `CLICKHOUSE_PASSWORD_FILE`, `POSTGRES_URL` and `POSTGRES_PASSWORD_FILE` name two databases for it alone, and
//! `BOXBOX_TESTDATA` a folder with the .ibt recording: `cargo run --release -p boxbox-store --example archive_speed -- [BLOCKS]`.

// A command line tool's output is its purpose.
#![allow(clippy::print_stdout)]

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use boxbox_schemas::frame::CAR_FRAME_BYTES;
use boxbox_schemas::results::{Checkpoint, Span};
use boxbox_schemas::{DriverId, LogId, RunId, SessionId, StreamKey, TenantId};
use boxbox_sources::iracing::{IbtFile, Item, ReplayOptions};
use boxbox_store::clickhouse::{self, ClickHouseArchive, Options};
use boxbox_store::postgres::{self, PostgresResults};
use boxbox_store::{Archive, ArchiveBlock, FrameRun, Steps};
use bytes::Bytes;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Streams of a partition, and frames of each in a block: ten seconds.
const STREAMS: u64 = 170;
const FRAMES: u64 = 600;

#[tokio::main]
async fn main() -> Result<()> {
    let blocks: u64 = std::env::args().nth(1).map_or(Ok(20), |n| n.parse())?;
    let var = |name: &str| std::env::var(name).map_err(|_| format!("{name} is not set"));
    let password = |name: &str| -> Result<String> { Ok(std::fs::read_to_string(var(name)?)?.trim_end().to_owned()) };
    let (url, secret) = (var("CLICKHOUSE_URL")?, password("CLICKHOUSE_PASSWORD_FILE")?);
    let (plans, plans_secret) = (var("POSTGRES_URL")?, password("POSTGRES_PASSWORD_FILE")?);
    clickhouse::migrate(&url, Some(&secret), &Options::default()).await?;
    postgres::migrate(&plans, Some(&plans_secret)).await?;
    let archive = ClickHouseArchive::open(&url, Some(&secret), (&plans, Some(&plans_secret)), Options::default()).await?;
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros() as i64;
    // A log of its own each time.
    let log = LogId(format!("speed-{now_us}"));
    let lease = PostgresResults::open(&plans, Some(&plans_secret)).await?.acquire(&log, 0).await?;
    let recording = recording()?;
    let session = SessionId((now_us as u128).to_le_bytes());

    archive.load(&lease).await?;
    let (mut took, mut longest, cpu) = (Duration::ZERO, Duration::ZERO, our_cpu());
    for n in 0..blocks {
        let block = block(&recording, session, &log, n, now_us)?;
        let begun = Instant::now();
        archive.append(&lease, &block).await?;
        (took, longest) = (took + begun.elapsed(), longest.max(begun.elapsed()));
    }
    let frames = blocks * STREAMS * FRAMES;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / frames as f64;
    println!("{blocks} blocks of {} frames: {:.0} frames/s, a block {:?} at most", STREAMS * FRAMES, frames as f64 / took.as_secs_f64(), longest);
    println!("{:.2} µs of this process's CPU a frame, making the blocks included", each(our_cpu() - cpu));

    let of = stream(session, 7)?;
    let span = Span { driver: of.driver, run: of.run, first_seq: 0, next_seq: FRAMES * blocks };
    let lap = Span { first_seq: FRAMES, next_seq: FRAMES + 5_400, ..span };
    for (what, span) in [("a lap of 90 s", lap), ("all of one car", span)] {
        let begun = Instant::now();
        let run = archive.frames(&of.tenant, &session, &span, u32::MAX).await?;
        println!("{what}: {} frames in {:?}", run.map_or(0, |run| run.count()), begun.elapsed());
    }
    let begun = Instant::now();
    println!("counted {} of {frames} frames in {:?}", archive.count(&of.tenant, &session, None).await?, begun.elapsed());
    let begun = Instant::now();
    archive.load(&lease).await?;
    println!("a start finds its place in {:?}", begun.elapsed());
    Ok(())
}

fn block(recording: &Bytes, session: SessionId, log: &LogId, n: u64, now_us: i64) -> Result<ArchiveBlock> {
    let whole = recording.len() as u64 / CAR_FRAME_BYTES as u64 / FRAMES;
    let mut runs = vec![];
    for of in 0..STREAMS {
        let first = ((n + of * 7) % whole * FRAMES) as usize * CAR_FRAME_BYTES;
        let frames = recording.slice(first..first + FRAMES as usize * CAR_FRAME_BYTES);
        runs.push(FrameRun::new(stream(session, of)?, n * FRAMES, frames)?);
    }
    let cursors = runs.iter().map(|run| (run.stream, run.next_seq())).collect();
    let checkpoint = Checkpoint { log: log.clone(), partition: 0, offset: n * 1_000, crc: n as u32 };
    Ok(ArchiveBlock { checkpoint, received_at_us: now_us, appended_at_us: now_us + n as i64, cursors, runs, records: vec![] })
}

fn stream(session: SessionId, n: u64) -> Result<StreamKey> {
    let run = RunId((u128::from(n + 1)).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835).to_be_bytes());
    Ok(StreamKey { tenant: TenantId::new("league")?, session, driver: DriverId::new(&format!("driver-{n:04}"))?, run })
}

fn recording() -> Result<Bytes> {
    let path = boxbox_testkit::recordings::folder().join(boxbox_testkit::recordings::PHILLIP_ISLAND);
    let mut replay = IbtFile::open(path)?.replay(ReplayOptions::default())?;
    let mut out = vec![];
    while let Some(item) = replay.next().transpose()? {
        if let Item::Car(frame) = item {
            out.extend_from_slice(&rkyv::to_bytes::<rkyv::rancor::Error>(&frame)?);
        }
    }
    Ok(out.into())
}

/// Time that this process's threads have run.
fn our_cpu() -> Duration {
    let threads = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let each = threads.filter_map(|t| std::fs::read_to_string(t.path().join("schedstat")).ok());
    Duration::from_nanos(each.filter_map(|s| s.split(' ').next()?.parse::<u64>().ok()).sum())
}
