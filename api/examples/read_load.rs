//! How fast the API reads from a large SQLite store: `cargo run --release -p boxbox-api --example read_load`.
//!
//! Makes a store of a million laps (1,000 sessions of 20 cars), one race of 100,000 more that has seen its chequered flag, and the frames
//! of one lap in a temporary folder, then asks for pages of laps all over it, for orders and results, and for that lap's trace, with
//! as many connections as named, for as long as named.

#![allow(clippy::print_stdout, clippy::unwrap_used, reason = "an example prints, and ends where something is wrong")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use boxbox_api::{Api, Config};
use boxbox_schemas::frame::{CarFrame, Flags, Presence};
use boxbox_schemas::grant::Authority;
use boxbox_schemas::meta::SessionMeta;
use boxbox_schemas::results::{AnyRow, Checkpoint, FlagChange, Lap, SessionInfo, Span};
use boxbox_schemas::{DriverId, LogId, RunId, Sim, Source, StreamKey, TenantId};
use boxbox_store::sqlite::{SqliteArchive, SqliteResults};
use boxbox_store::{Archive, ArchiveBlock, FrameRun, Step, Steps};
use boxbox_testkit::laps;
use hdrhistogram::Histogram;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

const SESSIONS: u32 = 1_000;
const CARS: u32 = 20;
const LAPS: u32 = 50;
/// Of the long race.
const LONG_CARS: u32 = 50;
const LONG_LAPS: u32 = 2_000;
/// 90 s at 60 Hz.
const FRAMES: u64 = 5_400;
const CONNECTIONS: usize = 16;
const ASK_FOR: Duration = Duration::from_secs(8);

#[tokio::main]
async fn main() {
    let folder = tempfile::tempdir().unwrap();
    let results = SqliteResults::open(&folder.path().join("results.db")).await.unwrap();
    let archive = SqliteArchive::open(&folder.path().join("archive.db")).await.unwrap();
    let began = Instant::now();
    fill(&results, &archive).await;
    let size = std::fs::metadata(folder.path().join("results.db")).unwrap().len() >> 20;
    let laps_made = SESSIONS * CARS * LAPS + LONG_CARS * LONG_LAPS;
    println!("{laps_made} laps in SQLite, {size} MiB, made in {:.0} s", began.elapsed().as_secs_f64());

    let results = Arc::new(results);
    let (_keep, authority) = watch::channel(Arc::new(Authority::default()));
    let api = Api::bind(
        Config::default(),
        Some(boxbox_api::Stores { sessions: results.clone(), leagues: results, archive: Arc::new(archive) }),
        None,
        authority,
        vec![],
        None,
    )
    .await
    .unwrap();
    let (addr, stop) = (api.local_addr(), CancellationToken::new());
    let served = tokio::spawn(api.run(stop.clone()));
    let laps = |n: u32| format!("/api/v1/sessions/{}/laps?limit=100&cursor=car-{:02}~{}", session(n % SESSIONS).id, n % CARS, n % LAPS);
    let of_car = |n: u32| format!("/api/v1/sessions/{}/laps?entry=car-{:02}", session(n % SESSIONS).id, n % CARS);
    let results_of = |n: u32| format!("/api/v1/sessions/{}/results", session(n % SESSIONS).id);
    let order_of = |n: u32| format!("/api/v1/sessions/{}/order", session(n % SESSIONS).id);
    let order_at = |n: u32| format!("/api/v1/sessions/{}/order?at_us={}", session(n % SESSIONS).id, i64::from(n % LAPS) * 91_000_000);
    let long = |what: &'static str| move |_| format!("/api/v1/sessions/{}/{what}", long_race().id);
    let lap = format!("/api/v1/sessions/{}/laps/car-00/1/trace", session(0).id);
    let (whole, along) = (|_| lap.clone(), |_| format!("{lap}?by=distance&step_m=10"));
    measure("a page of 100 laps", addr, &laps).await;
    measure("the 50 laps of a car", addr, &of_car).await;
    measure("results of 1,000 laps", addr, &results_of).await;
    measure("order in 1,000 laps", addr, &order_of).await;
    measure("the same at some moment", addr, &order_at).await;
    measure("results of 100,000 laps", addr, &long("results")).await;
    measure("order in 100,000 laps, after the flag", addr, &long("order")).await;
    measure("a trace of 5,400 frames", addr, &whole).await;
    measure("the same every 10 m", addr, &along).await;
    stop.cancel();
    served.await.unwrap().unwrap();
}

async fn measure(what: &str, addr: SocketAddr, path: &(impl Fn(u32) -> String + Sync)) {
    let until = Instant::now() + ASK_FOR;
    let one = async |k: usize| {
        let mut times = Histogram::<u64>::new(3).unwrap();
        let (mut stream, mut n, mut bytes) = (TcpStream::connect(addr).await.unwrap(), k as u32 * 7_919, 0);
        stream.set_nodelay(true).unwrap();
        while Instant::now() < until {
            n = n.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) >> 1;
            let began = Instant::now();
            let request = format!("GET {} HTTP/1.1\r\nHost: {addr}\r\n\r\n", path(n));
            stream.write_all(request.as_bytes()).await.unwrap();
            bytes += answer(&mut stream).await;
            times.record(began.elapsed().as_micros() as u64).unwrap();
        }
        (times, bytes)
    };
    let began = Instant::now();
    let all = futures::future::join_all((0..CONNECTIONS).map(one)).await;
    let seconds = began.elapsed().as_secs_f64();
    let (mut times, mut bytes) = (Histogram::<u64>::new(3).unwrap(), 0);
    for (t, b) in all {
        times.add(t).unwrap();
        bytes += b;
    }
    let ms = |q: f64| times.value_at_quantile(q) as f64 / 1e3;
    println!(
        "{what}: {:.0} requests/s, p50 {:.1} ms, p99 {:.1} ms, {:.0} KB each ({CONNECTIONS} connections, client on the same machine)",
        times.len() as f64 / seconds,
        ms(0.5),
        ms(0.99),
        bytes as f64 / times.len() as f64 / 1e3
    );
}

/// Reads one answer, which must be 200; its length.
async fn answer(stream: &mut TcpStream) -> usize {
    let mut head = vec![];
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        assert!(read > 0, "the server closed the connection");
        head.extend_from_slice(&buffer[..read]);
        if let Some(end) = head.windows(4).position(|w| w == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&head[..end]).to_ascii_lowercase();
            assert!(text.starts_with("http/1.1 200"), "{text}");
            let length: usize = text.lines().find_map(|l| l.strip_prefix("content-length: ")).unwrap().parse().unwrap();
            let mut left = (end + 4 + length).saturating_sub(head.len());
            while left > 0 {
                let read = stream.read(&mut buffer[..left.min(64 * 1024)]).await.unwrap();
                assert!(read > 0, "the server closed the connection");
                left -= read;
            }
            return length;
        }
    }
}

fn session(n: u32) -> SessionInfo {
    let tenant = TenantId::new("local").unwrap();
    let source = Source { sim: Sim::SYNTHETIC, id: u128::from(n), session_num: 0 };
    SessionInfo { sim_time_us: i64::from(LAPS) * 90_000_000, closed: true, ..SessionInfo::opened(tenant, source, i64::from(n)) }
}

/// A race that is limited by time, so that the chequered flag alone says when it ended.
fn long_race() -> SessionInfo {
    let meta = SessionMeta { session_type: "Race".into(), ..SessionMeta::default() };
    SessionInfo { sim_time_us: i64::from(LONG_LAPS) * 91_000_000, meta: Some(meta), ..session(SESSIONS) }
}

fn chequered(race: &SessionInfo) -> FlagChange {
    let first = lap(race, 0, LONG_LAPS);
    FlagChange {
        session: race.id,
        entry: first.entry,
        driver: first.driver,
        run: first.run,
        timeline: 0,
        tick: 0,
        sim_time_us: first.end_us,
        from: Flags::GREEN,
        to: Flags::GREEN.with(Flags::CHECKERED),
        superseded: false,
        late: false,
    }
}

fn lap(session: &SessionInfo, car: u32, number: u32) -> Lap {
    let driver = DriverId::new(&format!("car-{car:02}")).unwrap();
    let time_us = 90_000_000 + i64::from((car * 31 + number * 17) % 1_000) * 1_000;
    let start_us = i64::from(number - 1) * 91_000_000;
    let run = RunId([car as u8; 16]);
    let first_seq = u64::from(number - 1) * FRAMES;
    Lap {
        slot: car as u16,
        sim_time_us: Some(time_us),
        sectors_us: vec![30_000_000, 30_000_000, time_us - 60_000_000],
        loops_us: (1..20).map(|k| time_us * k / 20).collect(),
        fuel_l: Some(40.0),
        fuel_used_l: Some(2.0),
        frames: FRAMES as u32,
        start_tick: 0,
        end_tick: 0,
        spans: vec![Span { driver, run, first_seq, next_seq: first_seq + FRAMES }],
        ..laps::lap(session.id, driver, run, number, start_us, start_us + time_us)
    }
}

async fn fill(results: &SqliteResults, archive: &SqliteArchive) {
    let log = LogId("read-load".into());
    let lease = results.acquire(&log, 0).await.unwrap();
    for n in 0..SESSIONS {
        let info = session(n);
        let laps = (0..CARS).flat_map(|car| (1..=LAPS).map(move |number| (car, number))).map(|(car, number)| lap(&info, car, number)).collect();
        let checkpoint = Checkpoint { log: log.clone(), partition: 0, offset: u64::from(n), crc: n };
        results.commit(&lease, &Step { sessions: vec![info.clone()], laps, ..Step::new(checkpoint) }).await.unwrap();
    }
    let race = long_race();
    for number in 1..=LONG_LAPS {
        let laps = (0..LONG_CARS).map(|car| lap(&race, car, number)).collect();
        let checkpoint = Checkpoint { log: log.clone(), partition: 0, offset: u64::from(SESSIONS + number), crc: number };
        let rows = if number == LONG_LAPS { vec![AnyRow::of(&chequered(&race))] } else { vec![] };
        results.commit(&lease, &Step { sessions: vec![race.clone()], laps, rows, ..Step::new(checkpoint) }).await.unwrap();
    }
    let info = session(0);
    let one = lap(&info, 0, 1);
    let stream = StreamKey { tenant: info.tenant, session: info.id, driver: one.driver, run: one.run };
    let usual = [Presence::LAP_DIST, Presence::SPEED, Presence::THROTTLE, Presence::BRAKE, Presence::STEER, Presence::GEAR, Presence::RPM];
    let presence = usual.into_iter().fold(Presence::LAP_PCT, Presence::with);
    let frames: Vec<u8> = (0..FRAMES)
        .flat_map(|k| {
            let share = k as f64 / FRAMES as f64;
            let frame = CarFrame {
                tick: k as u32,
                sim_time_us: (share * one.time_us as f64) as i64,
                presence,
                lap_pct: share,
                lap_dist_m: (share * 4_400.0) as f32,
                speed_mps: 40.0 + 20.0 * (share * 40.0).sin() as f32,
                throttle: share as f32,
                brake: 1.0 - share as f32,
                steer_rad: (share * 30.0).sin() as f32,
                gear: 4,
                rpm: 6_543.21 + k as f32,
                ..CarFrame::default()
            };
            rkyv::to_bytes::<rkyv::rancor::Error>(&frame).unwrap().to_vec()
        })
        .collect();
    let runs = frames.chunks(600 * 200).enumerate().map(|(k, part)| FrameRun::new(stream, k as u64 * 600, part.to_vec().into()).unwrap()).collect();
    let checkpoint = Checkpoint { log, partition: 0, offset: 1, crc: 1 };
    archive
        .append(&lease, &ArchiveBlock { checkpoint, cursors: vec![(stream, FRAMES)], runs, records: vec![], received_at_us: 0, appended_at_us: 0 })
        .await
        .unwrap();
}
