//! A long history costs a start and a take-over nothing: closed sessions are in the store, and come back when a record needs them. A million
//! laps in a campaign, twenty thousand else; on both profiles.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "in a test, a panic is the answer")]

mod common;

use std::path::Path;
use std::time::{Duration, Instant};

use boxbox_schemas::results::{Lap, SessionInfo, SessionState};
use boxbox_schemas::{SessionId, Source};
use boxbox_store::postgres::PostgresResults;
use boxbox_store::sqlite::SqliteResults;
use boxbox_store::{Found, Step, Steps, StreamState};
use boxbox_testkit::campaign::campaign;
use boxbox_testkit::recording;
use boxbox_testkit::wait::block_until;
use common::place::{PARTITIONS, Place};
use common::{Server, boxbox};
use serde_json::Value;

/// What a history may add to a server's memory, bytes.
const MORE_BYTES: u64 = 40 << 20;
/// A start must take at most 3 s, a take-over 10 s; the margin is for a loaded machine.
const START: Duration = Duration::from_secs(3 * 5);
const TAKE_OVER: Duration = Duration::from_secs(10 * 5);

/// Sessions of the history, and the laps of each.
fn size() -> (u64, u32) {
    if campaign() { (1_000, 1_000) } else { (40, 500) }
}

/// The most memory that the server has had, bytes.
fn peak_bytes(server: &Server) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", server.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

/// A server that is ready, and how long that took.
fn up(place: &Place) -> (Server, Duration) {
    let began = Instant::now();
    let server = place.up();
    block_until("it is ready", || server.ask("/readyz", None).0 == 200);
    (server, began.elapsed())
}

/// Upload a recording; what was said.
fn upload(place: &Place, server: &Server, file: &Path, driver: &str) -> String {
    let (data, spool) = (place.data(), place.folder().join(driver));
    let grant = boxbox(&["grant", "create", "--data", data.to_str().unwrap(), "--driver", driver]).output().unwrap();
    let connect = String::from_utf8(grant.stdout).unwrap();
    assert!(connect.contains("boxbox://"), "{}: {connect}", server.api);
    let out = boxbox(&["replay", "--json", file.to_str().unwrap(), "--to", connect.trim(), "--data", spool.to_str().unwrap()]).output().unwrap();
    String::from_utf8(out.stderr).unwrap()
}

fn laps(server: &Server, session: &str) -> Vec<u64> {
    let laps = server.get(&format!("/api/v1/sessions/{session}/laps"));
    laps["laps"].as_array().unwrap().iter().map(|lap| lap["number"].as_u64().unwrap()).collect()
}

fn post(server: &Server, session: &str, what: &str) {
    let url = format!("{}/api/v1/sessions/{session}/{what}", server.api);
    assert_eq!(ureq::post(&url).header("X-Boxbox", "1").send_empty().unwrap().status(), 202);
}

/// A session like `like` with so many laps.
fn session(like: &SessionState, source: Source, laps: u32) -> SessionState {
    let id = SessionId::of(&like.info.tenant, &source);
    let lap = |lap: &Lap, number: u32| Lap { session: id, number, ..lap.clone() };
    let (fact, chosen) = (like.facts.first().unwrap(), like.laps.first().unwrap());
    SessionState {
        info: SessionInfo { id, source, ..like.info.clone() },
        streams: like.streams.iter().map(|stream| of_session(stream, id)).collect(),
        facts: (1..=laps).map(|n| lap(fact, n)).collect(),
        laps: (1..=laps).map(|n| lap(chosen, n)).collect(),
        rows: vec![],
    }
}

fn of_session(stream: &StreamState, session: SessionId) -> StreamState {
    let mut stream = stream.clone();
    stream.ledger.stream.session = session;
    stream.now.iter_mut().for_each(|now| now.session = session);
    stream.field.iter_mut().filter_map(|car| car.now.as_mut()).for_each(|now| now.session = session);
    stream
}

/// Sessions like the stored one, closed and in its partition, so many laps in each.
async fn write_history(steps: &impl Steps, id: SessionId, partitions: u32) {
    let checkpoint = steps.stored(&id).await.unwrap().unwrap().checkpoint;
    let lease = steps.acquire(&checkpoint.log, checkpoint.partition).await.unwrap();
    let [Found::Whole(like)] = &steps.find(&lease, &[id], u64::MAX).await.unwrap()[..] else { panic!("no session") };
    let (sessions, laps) = size();
    let mut number = 0u128;
    for _ in 0..sessions {
        let source = loop {
            number += 1;
            let source = Source { id: like.info.source.id ^ (number << 64), ..like.info.source };
            if SessionId::of(&like.info.tenant, &source).partition(partitions) == checkpoint.partition {
                break source;
            }
        };
        let SessionState { info, streams, facts, laps, rows } = session(like, source, laps);
        let step = Step { sessions: vec![info], streams, facts, laps, rows, ..Step::new(checkpoint.clone()) };
        steps.commit(&lease, &step).await.unwrap();
    }
    steps.release(&lease).await.unwrap();
}

#[test]
fn a_long_history_costs_a_start_nothing() {
    const TEST: &str = "a_long_history_costs_a_start_nothing";
    let Some(folder) = recording(TEST, "cases") else { return };
    let [alpha, beta] = ["alpha", "beta"].map(|driver| folder.join(format!("s5_swap_before_line_{driver}.ibt.gz")));
    for place in Place::both(TEST) {
        let profile = place.profile;
        let (server, empty_took) = up(&place);
        let empty_bytes = peak_bytes(&server);
        upload(&place, &server, &alpha, "alpha");
        let id = server.only_session();
        block_until("its laps are there", || laps(&server, &id) == [1, 2]);
        post(&server, &id, "close");
        let state = |server: &Server| -> Value { server.get(&format!("/api/v1/sessions/{id}")) };
        block_until("it is closed", || state(&server)["closed"] == true);
        server.terminate();

        let began = Instant::now();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        match place.engines() {
            None => runtime.block_on(async {
                let results = SqliteResults::open(&place.data().join("results.db")).await.unwrap();
                write_history(&results, id.parse().unwrap(), boxbox_log::embedded::DEFAULT_PARTITIONS).await;
                results.close().await;
            }),
            Some(engines) => runtime.block_on(async {
                let results = PostgresResults::open(&engines.results(), Some(engines.results_password().expose())).await.unwrap();
                write_history(&results, id.parse().unwrap(), PARTITIONS).await;
                results.close().await;
            }),
        }
        let (sessions, of_each) = size();
        println!("{profile}: {sessions} sessions with {of_each} laps each written in {:?}", began.elapsed());

        let (server, took) = up(&place);
        let bytes = peak_bytes(&server);
        let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        println!("{profile}: ready after {took:?} (empty: {empty_took:?}), at most {:.1} MiB (empty: {:.1} MiB)", mib(bytes), mib(empty_bytes));
        assert!(bytes < empty_bytes + MORE_BYTES, "{profile}: {bytes} bytes, and {empty_bytes} without a history");
        assert!(took < START, "{profile}: {took:?}");
        assert_eq!(server.metric("boxbox_processor_sessions_in_memory"), 0.0);

        // What is late is judged as before.
        let said = upload(&place, &server, &beta, "beta");
        assert!(said.contains("closed on purpose") && said.contains("reopen"), "{said}");
        assert_eq!((laps(&server, &id), state(&server)["closed_by_silence"].clone()), (vec![1, 2], false.into()));
        let began = Instant::now();
        post(&server, &id, "reopen");
        block_until("what came late counts", || laps(&server, &id) == [1, 2, 3, 4, 5]);
        println!("{profile}: opened again, its laps are there after {:?}", began.elapsed());
        assert!(server.metric("boxbox_processor_sessions_loaded_total") < 10.0, "one session was needed, now and then");

        let began = Instant::now();
        let next = match place.engines() {
            None => {
                server.kill();
                up(&place).0
            }
            Some(engines) => {
                let (data, args) = (place.folder().join("other"), engines.args());
                let next = ["processor", "--api-port", "0", "--data", data.to_str().unwrap()];
                let next: Vec<&str> = next.into_iter().chain(args.iter().map(String::as_str)).collect();
                let next = Server::start(&next);
                block_until("both have partitions", || next.metric("boxbox_processor_partitions") > 0.0);
                server.kill();
                next
            }
        };
        let began = if place.engines().is_some() { Instant::now() } else { began };
        let all = || next.metric("boxbox_processor_partitions") >= f64::from(if place.engines().is_some() { PARTITIONS } else { 1 });
        block_until("all partitions are taken over", || all() && next.ask("/readyz", None).0 == 200);
        println!("{profile}: taken over after {:?}", began.elapsed());
        assert!(began.elapsed() < TAKE_OVER);
    }
}
