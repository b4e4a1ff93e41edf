//! The README's first command: three laps, each printed while the car still drives.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::process::Stdio;
use std::time::Instant;

use common::{DEADLINE, boxbox, read_lines, wait};

#[test]
fn the_demo_prints_each_lap_as_it_is_timed() {
    let data = tempfile::tempdir().unwrap();
    let mut child = boxbox(&["demo", "--speed", "20", "--data", data.path().to_str().unwrap()]).stdout(Stdio::piped()).spawn().unwrap();
    let lines = read_lines(&mut child);
    let (mut laps, mut text) = (vec![], String::new());
    while let Ok(line) = lines.recv_timeout(DEADLINE) {
        if line.trim_start().starts_with(|c: char| c.is_ascii_digit()) && line.contains(':') {
            laps.push((Instant::now(), line.clone()));
        }
        text += &line;
        text.push('\n');
    }
    assert!(wait(&mut child, DEADLINE).success());
    assert_eq!(laps.len(), 3, "{text}");
    for (lap, truth) in laps.iter().zip(["0:21.346", "0:20.123", "0:20.457"]) {
        assert!(lap.1.contains(truth), "{text}");
    }
    // Laps of 20 s at twenty times real time are a second apart; printed together they would not be.
    for two in laps.windows(2) {
        assert!((two[1].0 - two[0].0).as_millis() > 200, "printed at the end instead of when timed: {text}");
    }
    assert!(text.contains("boxbox up"), "says how to go on: {text}");
}

#[test]
fn a_folder_in_use_and_a_busy_port_are_said_plainly() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let server = common::Server::start(&["up", "--data", folder, "--quic-port", "0", "--api-port", "0"]);
    let second = boxbox(&["demo", "--data", folder]).output().unwrap();
    let error = String::from_utf8_lossy(&second.stderr).into_owned();
    assert!(!second.status.success() && error.contains("in use") && error.contains("--data"), "{error}");

    let api_port = server.api.rsplit_once(':').unwrap().1.trim_end_matches('/');
    let other = tempfile::tempdir().unwrap();
    let busy = boxbox(&["up", "--data", other.path().to_str().unwrap(), "--quic-port", "0", "--api-port", api_port]).output().unwrap();
    let error = String::from_utf8_lossy(&busy.stderr).into_owned();
    assert!(!busy.status.success() && error.contains(api_port) && error.contains("--api-port"), "{error}");
}
