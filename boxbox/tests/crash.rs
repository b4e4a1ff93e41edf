//! kill -9 at random moments: of the all-in-one, of the client, of the edge in front of Kafka. No acked frame is lost,
//! and the lap table equals that of an undisturbed run. 3 rounds each; `cargo xtask campaign` does more.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::path::Path;
use std::process::{Child, Stdio};
use std::time::Duration;

use boxbox_testkit::campaign::{rounds, seeded};
use boxbox_testkit::recordings::PHILLIP_ISLAND;
use boxbox_testkit::wait::{PATIENCE, block_until};
use boxbox_testkit::{not_run, recording};
use common::place::Place;
use common::{Server, boxbox, free_port, lap_table, wait};
use serde_json::Value;

/// Times real time: the recording's 197 s take about 7 s, so that kills fall into it.
const SPEED: &str = "30";

struct Undisturbed {
    laps: Vec<Value>,
    frames: u64,
}

fn undisturbed(file: &Path) -> Undisturbed {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let replayed = common::Replayed::run(&[file.to_str().unwrap(), "--data", folder]);
    let server = Server::start(&["up", "--data", folder, "--quic-port", "0", "--api-port", "0"]);
    let session = server.only_session();
    let laps = lap_table(&server.get(&format!("/api/v1/sessions/{session}/laps")));
    assert_eq!(laps.len(), 2);
    Undisturbed { laps, frames: replayed.all.last().unwrap()["frames"].as_u64().unwrap() }
}

fn start_replay(file: &Path, connect: &str, folder: &Path, speed: &str) -> Child {
    let args = ["replay", file.to_str().unwrap(), "--json", "--to", connect, "--speed", speed, "--data", folder.to_str().unwrap()];
    boxbox(&args).stdout(Stdio::piped()).spawn().unwrap()
}

/// Every ledger balances, nothing acked is missing, every run that ended is whole, and the laps are as they should be.
fn assert_whole(server: &Server, truth: &Undisturbed, ended: usize) {
    block_until("the session", || server.get("/api/v1/sessions")["sessions"].as_array().is_some_and(|s| s.len() == 1));
    let session = server.only_session();
    let ledgers = || server.get(&format!("/api/v1/sessions/{session}/ledger"))["streams"].as_array().unwrap().clone();
    block_until("the ends of the runs", || ledgers().iter().filter(|l| l["ended"] == true).count() == ended);
    for ledger in ledgers() {
        assert_eq!((&ledger["hole"], &ledger["gap"]), (&0.into(), &0.into()), "{ledger}");
        assert_eq!(ledger["admitted"], ledger["expected"], "{ledger}");
        if ledger["ended"] == true {
            assert_eq!(ledger["car_frames"], truth.frames, "{ledger}");
        }
    }
    let laps = server.get(&format!("/api/v1/sessions/{session}/laps"));
    assert_eq!(lap_table(&laps), truth.laps);
    server.conserves();
}

#[test]
fn killing_the_all_in_one_loses_nothing_acked() {
    const TEST: &str = "killing_the_all_in_one_loses_nothing_acked";
    let Some(file) = recording(TEST, PHILLIP_ISLAND) else { return };
    let (truth, mut random) = (undisturbed(&file), seeded(TEST));
    let server = |test: &str| Place::server(test);
    for new in [&(|_: &str| Some(Place::embedded())) as &dyn Fn(&str) -> Option<Place>, &server] {
        kill_all_in_one(&file, &truth, &mut random, &|| new(TEST));
    }
}

fn kill_all_in_one(file: &Path, truth: &Undisturbed, random: &mut fastrand::Rng, new: &dyn Fn() -> Option<Place>) {
    let mut left = rounds();
    while left > 0 {
        let Some(place) = new() else { return };
        let (quic, api, args) = (free_port().to_string(), free_port().to_string(), place.args());
        let args = place.with(&args, &["up", "--quic-port", &quic, "--api-port", &api]);
        let mut server = Server::start(&args);
        let mut replay = start_replay(file, &server.connect, place.folder(), SPEED);
        // Up to three kills in one streaming of the file.
        for _ in 0..left.min(3) {
            std::thread::sleep(Duration::from_millis(random.u64(300..2_000)));
            server.kill();
            server = Server::start(&args);
            left -= 1;
        }
        assert!(wait(&mut replay, PATIENCE).success());
        assert_whole(&server, truth, 1);
    }
}

#[test]
fn killing_the_client_loses_nothing_acked() {
    let Some(file) = recording("killing_the_client_loses_nothing_acked", PHILLIP_ISLAND) else { return };
    let (truth, mut random) = (undisturbed(&file), seeded("killing_the_client_loses_nothing_acked"));
    let mut left = rounds();
    while left > 0 {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("server");
        let server = Server::start(&["up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--api-port", "0"]);
        for _ in 0..left.min(3) {
            let mut replay = start_replay(&file, &server.connect, folder.path(), SPEED);
            std::thread::sleep(Duration::from_millis(random.u64(100..5_000)));
            replay.kill().unwrap();
            replay.wait().unwrap();
            left -= 1;
        }
        // The last one drains what the dead ones left in the spool, and tells the whole story.
        assert!(wait(&mut start_replay(&file, &server.connect, folder.path(), "max"), PATIENCE).success());
        assert_whole(&server, &truth, 1);
    }
}

#[test]
fn two_relays_of_one_car_give_each_lap_once() {
    let Some(file) = recording("two_relays_of_one_car_give_each_lap_once", PHILLIP_ISLAND) else { return };
    let truth = undisturbed(&file);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let server = Server::start(&["up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--api-port", "0"]);
    let mut relays = [
        start_replay(&file, &server.connect, &folder.path().join("one"), SPEED),
        start_replay(&file, &server.connect, &folder.path().join("two"), SPEED),
    ];
    for relay in &mut relays {
        assert!(wait(relay, PATIENCE).success());
    }
    assert_whole(&server, &truth, 2);
}

#[test]
fn sigterm_drains_and_exits_cleanly() {
    let Some(file) = recording("sigterm_drains_and_exits_cleanly", PHILLIP_ISLAND) else { return };
    let truth = undisturbed(&file);
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let (quic, api) = (free_port().to_string(), free_port().to_string());
    let args = ["up", "--data", data.to_str().unwrap(), "--quic-port", &quic, "--api-port", &api];
    let server = Server::start(&args);
    let mut replay = start_replay(&file, &server.connect, folder.path(), SPEED);
    std::thread::sleep(Duration::from_millis(1_500));
    assert!(server.terminate().success());
    let server = Server::start(&args);
    assert!(wait(&mut replay, PATIENCE).success());
    assert_whole(&server, &truth, 1);
}

#[test]
fn killing_the_edge_in_front_of_kafka_loses_nothing_acked() {
    const TEST: &str = "killing_the_edge_in_front_of_kafka_loses_nothing_acked";
    let Some(file) = recording(TEST, PHILLIP_ISLAND) else { return };
    let Ok(brokers) = std::env::var("KAFKA_BROKERS") else {
        return not_run(TEST, "KAFKA_BROKERS is not set: `cargo xtask stack up --kafka` starts a broker");
    };
    let (truth, mut random) = (undisturbed(&file), seeded(TEST));
    let mut left = rounds();
    while left > 0 {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("server");
        let log = format!("kafka://{brokers}/boxbox-crash-{}", fastrand::u64(..));
        let service = |name: &str, quic: &str| {
            Server::start(&[name, "--data", data.to_str().unwrap(), "--quic-port", quic, "--api-port", "0", "--log-url", &log])
        };
        let quic = free_port().to_string();
        let (mut edge, processor, api) = (service("ingest", &quic), service("processor", "0"), service("api", "0"));
        let connect = boxbox(&["grant", "create", "--driver", "driver-1", "--data", data.to_str().unwrap(), "--quic-port", &quic]).output().unwrap();
        let connect = String::from_utf8(connect.stdout).unwrap().trim().to_owned();
        let mut replay = start_replay(&file, &connect, folder.path(), SPEED);
        for _ in 0..left.min(3) {
            std::thread::sleep(Duration::from_millis(random.u64(300..2_000)));
            edge.kill();
            edge = service("ingest", &quic);
            left -= 1;
        }
        assert!(wait(&mut replay, PATIENCE).success());
        assert_whole(&api, &truth, 1);
        edge.conserves();
        processor.conserves();
    }
}
