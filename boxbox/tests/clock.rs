//! A clock that was set wrong costs no frame and no session: nothing goes by its age until a person says that the clock is right.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use boxbox_testkit::wait::block_until;
use common::{Server, boxbox};

fn retired(server: &Server) -> bool {
    server
        .ask("/metrics", None)
        .1
        .lines()
        .any(|line| line.starts_with("boxbox_processor_closings_total") && line.contains("retired") && !line.ends_with(" 0"))
}

#[test]
fn a_clock_that_went_forward_removes_nothing_until_a_person_confirms_it() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let up = |more: &[&str]| Server::start(&[&["up", "--data", data, "--quic-port", "0", "--api-port", "0"], more].concat());
    let server = up(&[]);
    let race = boxbox(&["simulate", "--data", data, "--cars", "2", "--laps", "1", "--speed", "50"]).output().unwrap();
    assert!(race.status.success(), "{}", String::from_utf8_lossy(&race.stderr));
    block_until("the frames are archived", || server.metric("boxbox_processor_archive_frames_total") > 1_000.0);
    assert!(server.terminate().success());

    // As after a restart with a clock that went forward by 40 days meanwhile: by it, all of the frames are too old.
    let now_us = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_micros() as i64;
    std::fs::write(folder.path().join("clock"), format!("{}\n", now_us - 40 * 86_400_000_000)).unwrap();
    let old = ["--archive-max-age", "1s", "--close-after", "1s", "--retire-after", "1s"];
    let server = up(&old);
    let session = server.only_session();
    let info = || server.get(&format!("/api/v1/sessions/{session}"));
    block_until("silence closes it, by a clock that cannot be set", || info()["closed"] == true);
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(server.metric("boxbox_processor_archive_removed_total"), 0.0);
    assert!(!retired(&server), "nothing is retired");
    assert_eq!(server.ask("/readyz", None).0, 200, "it serves as well as ever");
    let health = server.get("/api/health");
    let clock = health["checks"].as_array().unwrap().iter().find(|check| check["name"] == "clock").unwrap();
    assert!(clock["ok"] == false && clock["detail"].as_str().unwrap().contains("clock confirm"), "{health}");
    assert!(server.metric("boxbox_clock_jump_seconds") > 39.0 * 86_400.0);

    let said = boxbox(&["clock", "confirm", "--data", data]).output().unwrap();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
    block_until("it is believed", || server.metric("boxbox_clock_jump_seconds") == 0.0);
    block_until("what is old enough is retired", || retired(&server));
    // The archive looks once a minute, and at each start.
    assert!(server.terminate().success());
    let server = up(&old);
    block_until("what is too old goes", || server.metric("boxbox_processor_archive_removed_total") > 1_000.0);
}
