//! What a results store costs: a step of many streams, and questions with a million laps stored.
//!
//! `cargo run --release -p boxbox-store --example results_speed [LAPS]` measures SQLite in a temporary folder; with `POSTGRES_URL` and
//! `POSTGRES_PASSWORD_FILE` set, `… results_speed LAPS postgres` measures PostgreSQL, in tables that are made there if they are not
//! there, and with a log of its own each time. CPU is this process's; the server's has to be looked at there.

#![allow(clippy::unwrap_used, clippy::print_stdout)] // A measurement stops at the first fault.

use std::time::{Duration, Instant};

use boxbox_schemas::frame::{Flags, SessionState};
use boxbox_schemas::results::{CarNow, Checkpoint, Lap, Ledger, Reasons, SessionInfo, Span};
use boxbox_schemas::{DriverId, EntryId, LogId, RunId, SessionId, Sim, Source, StreamKey, TenantId};
use boxbox_store::postgres::{self, PostgresResults};
use boxbox_store::sqlite::SqliteResults;
use boxbox_store::{BestLaps, LapFilter, Sessions, Step, Steps, StreamState};
use boxbox_testkit::laps;

const ENTRIES: u32 = 28;
const LAP_US: i64 = 90_000_000;

#[tokio::main]
async fn main() {
    let laps: u32 = std::env::args().nth(1).map_or(1_000_000, |n| n.parse().expect("how many laps"));
    if std::env::args().nth(2).is_some_and(|what| what == "postgres") {
        let url = std::env::var("POSTGRES_URL").expect("POSTGRES_URL is set");
        let password = std::fs::read_to_string(std::env::var("POSTGRES_PASSWORD_FILE").expect("POSTGRES_PASSWORD_FILE is set")).unwrap();
        let password = Some(password.trim_end());
        postgres::migrate(&url, password).await.unwrap();
        measure(PostgresResults::open(&url, password).await.unwrap(), laps).await;
    } else {
        let folder = tempfile::tempdir().unwrap();
        measure(SqliteResults::open(&folder.path().join("results.db")).await.unwrap(), laps).await;
    }
}

async fn measure(store: impl Steps + Sessions, laps: u32) {
    let unique = fastrand::u64(..);
    let log = LogId(format!("speed-{unique:016x}"));
    let lease = store.acquire(&log, 0).await.unwrap();
    let tenant = TenantId::new(&format!("league-{unique:016x}")).unwrap();
    let mut offset = 0;
    let mut step = || {
        offset += 1;
        Step::new(Checkpoint { log: log.clone(), partition: 0, offset, crc: 0 })
    };

    let home = session(tenant, 0);
    store.commit(&lease, &Step { sessions: vec![home.clone()], ..step() }).await.unwrap();
    for streams in [28, 834] {
        for reported in [false, true] {
            let (mut spent, cpu) = (vec![], cpu_time());
            for round in 0..60 {
                let streams = (0..streams).map(|n| state(&home, n, round, reported)).collect();
                let step = Step { sessions: vec![home.clone()], streams, ..step() };
                let began = Instant::now();
                store.commit(&lease, &step).await.unwrap();
                spent.push(began.elapsed());
            }
            let cpu = (cpu_time() - cpu) / 60;
            println!(
                "a step of {streams} streams, {} where cars are: {}; CPU {cpu:.0?} a step, {:.1?} a stream",
                if reported { "with" } else { "without" },
                quantiles(spent),
                cpu / streams
            );
        }
    }

    // Half of the laps in one session, the others a thousand to a session.
    let big = session(tenant, 1);
    let (began, cpu) = (Instant::now(), cpu_time());
    let sizes = std::iter::once(laps / 2).chain((0..laps / 2_000).map(|_| 1_000));
    for (n, size) in (1..).zip(sizes) {
        let home = session(tenant, n);
        for from in (0..size).step_by(10_000) {
            let laps = (from..size.min(from + 10_000)).map(|n| lap(home.id, n % ENTRIES, 1 + n / ENTRIES)).collect();
            store.commit(&lease, &Step { sessions: vec![home.clone()], laps, ..step() }).await.unwrap();
        }
    }
    let (spent, cpu) = (began.elapsed(), cpu_time() - cpu);
    println!("{laps} laps stored: {:.0} a second, CPU {:.1?} a lap", f64::from(laps) / spent.as_secs_f64(), cpu / laps.max(1));
    let small = session(tenant, 7);
    for (what, of) in [("of a session of 1,000 laps", &small), ("of the session with half of all laps", &big)] {
        let per_entry = if what.contains("1,000") { 1_000 / ENTRIES } else { laps / 2 / ENTRIES };
        let (mut page, mut filtered, mut at, mut best) = (vec![], vec![], vec![], vec![]);
        let mut rng = fastrand::Rng::with_seed(1);
        for _ in 0..200 {
            let after = Some((entry(rng.u32(0..ENTRIES - 1)), rng.u32(0..per_entry)));
            page.push(timed(store.laps(&tenant, &of.id, &LapFilter::default(), after, 100)).await);
            let filter = LapFilter { entry: Some(entry(3)), valid: Some(true), ..Default::default() };
            filtered.push(timed(store.laps(&tenant, &of.id, &filter, Some((entry(3), rng.u32(0..per_entry))), 100)).await);
            let moment = rng.i64(0..i64::from(per_entry)) * LAP_US;
            at.push(timed(store.laps_at(&tenant, &of.id, moment)).await);
            best.push(timed(store.best_laps(&tenant, &of.id, BestLaps::ended_by(moment))).await);
        }
        println!("{what}, {laps} stored:");
        for (what, spent) in [("a page of 100", page), ("filtered", filtered), ("laps at a moment", at), ("best laps until then", best)] {
            println!("  {what}: {}", quantiles(spent));
        }
    }
}

/// CPU time of this process so far, of all threads.
fn cpu_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let ticks: u64 = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2).filter_map(|n| n.parse::<u64>().ok()).sum();
    // A tick is 10 ms on every Linux.
    Duration::from_millis(ticks * 10)
}

async fn timed<T>(call: impl Future<Output = Result<Vec<T>, boxbox_store::StoreError>>) -> Duration {
    let began = Instant::now();
    call.await.unwrap();
    began.elapsed()
}

fn quantiles(mut spent: Vec<Duration>) -> String {
    spent.sort();
    format!("median {:.2?}, p99 {:.2?}", spent[spent.len() / 2], spent[spent.len() * 99 / 100])
}

fn session(tenant: TenantId, n: u32) -> SessionInfo {
    let source = Source { sim: Sim::SYNTHETIC, id: n.into(), session_num: 0 };
    SessionInfo { updated_at_us: 0, ..SessionInfo::opened(tenant, source, n.into()) }
}

fn entry(n: u32) -> EntryId {
    EntryId::new(&format!("entry-{n:02}")).unwrap()
}

fn state(home: &SessionInfo, n: u32, round: i64, reported: bool) -> StreamState {
    let driver = DriverId::new(&format!("driver-{n:04}")).unwrap();
    let stream = StreamKey { tenant: home.tenant, session: home.id, driver, run: RunId([1; 16]) };
    let now = reported.then(|| CarNow {
        session: home.id,
        entry: entry(n % 100),
        driver,
        run: stream.run,
        slot: 7,
        field: false,
        sim_time_us: round * 1_000_003,
        tick: 600,
        lap: 12,
        lap_start_us: Some(round * 900_001),
        loops_us: (1..=10).map(|k| k * 4_627_805).collect(),
        lap_pct: Some(0.523_456_789 + round as f64 / 100.0),
        speed_mps: Some(51.37),
        in_pits: Some(false),
        off_track: false,
        fuel_l: Some(23.51),
        flags: Flags::GREEN,
        state: SessionState(4),
        watching: false,
        taken_over_us: None,
    });
    let ledger = Ledger { expected: round as u64 * 60, admitted: round as u64 * 60, ..Ledger::new(stream) };
    StreamState { ledger, race: vec![round as u8; 700].into(), now, field: vec![] }
}

fn lap(session: SessionId, car: u32, number: u32) -> Lap {
    let start_us = i64::from(number - 1) * LAP_US;
    let driver = DriverId::new(&format!("driver-{car:04}")).unwrap();
    let time_us = LAP_US + i64::from((number * 7_919 + car) % 100_000);
    Lap {
        entry: entry(car),
        slot: 7,
        sim_time_us: Some(time_us),
        sectors_us: vec![29_786_600, 28_242_800, 34_526_700],
        loops_us: (1..=20).map(|k| k * 4_627_805).collect(),
        fuel_l: Some(30.5),
        fuel_used_l: Some(2.1),
        reasons: if number.is_multiple_of(5) { Reasons::OFF_TRACK } else { Reasons(0) },
        frames: 5_553,
        start_tick: 100,
        end_tick: 5_653,
        spans: vec![Span { driver, run: RunId([1; 16]), first_seq: 1_000, next_seq: 6_553 }],
        ..laps::lap(session, driver, RunId([1; 16]), number, start_us, start_us + time_us)
    }
}
