//! The README's first command: a whole race, each lap printed while the cars still drive, all of it as it was driven.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use boxbox_testkit::wait::{PATIENCE, block_until};
use std::collections::BTreeSet;
use std::process::Stdio;
use std::time::Instant;

use common::{boxbox, read_lines, wait};

/// A lap as the demo prints it.
struct Printed {
    at: Instant,
    car: u32,
    number: u32,
    off_ms: f64,
}

fn printed(line: &str) -> Option<Printed> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let [car, number, time, truth, off, "ms", ..] = words[..] else { return None };
    (time.contains(':') && truth.contains(':')).then_some(())?;
    Some(Printed { at: Instant::now(), car: car.parse().ok()?, number: number.parse().ok()?, off_ms: off.parse().ok()? })
}

fn run(folder: &str, seed: &str) -> (Vec<Printed>, String) {
    let args = ["demo", "--cars", "9", "--laps", "3", "--speed", "12", "--seed", seed, "--data", folder];
    let mut child = boxbox(&args).stdout(Stdio::piped()).spawn().unwrap();
    let lines = read_lines(&mut child);
    let (mut laps, mut text) = (vec![], String::new());
    while let Ok(line) = lines.recv_timeout(PATIENCE) {
        laps.extend(printed(&line));
        text += &line;
        text.push('\n');
    }
    assert!(wait(&mut child, PATIENCE).success(), "{text}");
    (laps, text)
}

#[test]
fn the_demo_prints_each_lap_as_it_is_timed_and_all_of_it_is_true() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let (laps, text) = run(folder, "1");
    // At 60 Hz a line is known to 14 µs at speed, and to half a millisecond where a car has just stood (`lap.crossing`).
    assert!(laps.iter().all(|lap| lap.off_ms.abs() <= 0.5), "{text}");
    let once: BTreeSet<(u32, u32)> = laps.iter().map(|lap| (lap.car, lap.number)).collect();
    assert_eq!(once.len(), laps.len(), "a lap was printed twice: {text}");
    assert!(laps.len() >= 9 * 2, "{text}");
    assert!(text.contains(&format!("{0} of {0} laps as driven", laps.len())), "{text}");
    assert!(text.contains("9 of 9 places as driven"), "{text}");
    // Laps of half a minute at twelve times real time are seconds apart; printed together they would not be.
    let first = laps.iter().map(|lap| lap.at).min().unwrap();
    assert!(laps.iter().any(|lap| (lap.at - first).as_millis() > 1_000), "printed at the end instead of when timed: {text}");
    for asked in ["/laps'", "/order'", "/trace?"] {
        assert!(text.contains(asked), "says what to ask: {text}");
    }

    // Again, another race: a new session beside the first, in the same folder.
    run(folder, "2");
    let server = common::Server::start(&["up", "--data", folder, "--quic-port", "0", "--api-port", "0"]);
    let sessions = server.get("/api/v1/sessions");
    assert_eq!(sessions["sessions"].as_array().unwrap().len(), 2, "{sessions}");
    // What the demo says to ask is answered.
    let questions: Vec<&str> = text.lines().filter_map(|l| l.trim().strip_prefix("curl '")).map(|l| l.trim_end_matches('\'')).collect();
    assert_eq!(questions.len(), 3, "{text}");
    for question in questions {
        let path = question.find("/api/").map(|at| &question[at..]).unwrap();
        assert!(server.get(path).is_object(), "{path}");
    }
}

#[test]
fn the_same_race_as_clients_only_of_a_server_elsewhere() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path().to_str().unwrap();
    let nobody = boxbox(&["simulate", "--data", folder]).output().unwrap();
    let error = String::from_utf8_lossy(&nobody.stderr).into_owned();
    assert!(!nobody.status.success() && error.contains("boxbox up") && error.contains("--to"), "{error}");

    let server = common::Server::start(&["up", "--data", folder, "--quic-port", "0", "--api-port", "0"]);
    let race = ["--laps", "1", "--speed", "20"];
    let local = boxbox(&[&["simulate", "--data", folder, "--cars", "3"], &race[..]].concat()).output().unwrap();
    assert!(local.status.success(), "{}", String::from_utf8_lossy(&local.stderr));
    let session = server.only_session();
    block_until("three cars have their lap", || server.get(&format!("/api/v1/sessions/{session}/laps"))["laps"].as_array().unwrap().len() == 3);

    let far = boxbox(&[&["simulate", "--to", &server.connect, "--rate", "20", "--field", "4"], &race[..]].concat()).output().unwrap();
    assert!(far.status.success(), "{}", String::from_utf8_lossy(&far.stderr));
    let few = boxbox(&[&["simulate", "--to", &server.connect, "--cars", "2"], &race[..]].concat()).output().unwrap();
    let error = String::from_utf8_lossy(&few.stderr).into_owned();
    assert!(!few.status.success() && error.contains("2 cars need 2 connect strings") && !error.contains("boxbox://"), "{error}");
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
