//! Uploads that come late, end to end: a session that silence has closed opens again by itself; one that was closed on purpose does not, and
//! who uploads is told. And what `replay --json` says of a recording: what a restart undid, and that it is incomplete.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::path::{Path, PathBuf};

use boxbox_testkit::recording;
use boxbox_testkit::wait::{PATIENCE, block_until};
use common::place::Engines;
use common::relay::Relay;
use common::{Replayed, Server, boxbox, free_port};
use serde_json::Value;

/// A server with a folder and grants for this test.
struct World {
    folder: tempfile::TempDir,
    server: Server,
}

impl World {
    fn new(close_after: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("server");
        let server = Server::start(&["up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--api-port", "0", "--close-after", close_after]);
        Self { folder, server }
    }

    /// Upload a recording as a driver: whether that went well, what was printed, and what was said.
    fn upload(&self, file: &Path, driver: &str, more: &[&str]) -> (bool, Replayed, String) {
        upload(self.folder.path(), &[], file, driver, more)
    }

    /// The one session, once a record of it is processed.
    fn path(&self) -> Option<String> {
        let sessions = self.server.get("/api/v1/sessions");
        let sessions = sessions["sessions"].as_array().unwrap();
        assert!(sessions.len() < 2, "{sessions:?}");
        sessions.first().map(|session| format!("/api/v1/sessions/{}", session["id"].as_str().unwrap()))
    }

    fn session(&self) -> Value {
        self.path().map(|path| self.server.get(&path)).unwrap_or_default()
    }

    fn laps(&self) -> Vec<u64> {
        let Some(path) = self.path() else { return vec![] };
        let laps = self.server.get(&format!("{path}/laps"));
        laps["laps"].as_array().unwrap().iter().map(|lap| lap["number"].as_u64().unwrap()).collect()
    }

    fn post(&self, what: &str) {
        let url = format!("{}{}/{what}", self.server.api, self.path().unwrap());
        assert_eq!(ureq::post(&url).header("X-Boxbox", "1").send_empty().unwrap().status(), 202);
    }
}

/// Upload a recording as a driver with a new grant of the server whose data is in `folder`.
fn upload(folder: &Path, granting: &[&str], file: &Path, driver: &str, more: &[&str]) -> (bool, Replayed, String) {
    let (data, spool) = (folder.join("server"), folder.join(driver));
    let grant = [&["grant", "create", "--data", data.to_str().unwrap(), "--driver", driver], granting].concat();
    let grant = boxbox(&grant).output().unwrap();
    let connect = String::from_utf8(grant.stdout).unwrap();
    let args = ["replay", "--json", file.to_str().unwrap(), "--to", connect.trim(), "--data", spool.to_str().unwrap()];
    let out = boxbox(&[&args, more].concat()).output().unwrap();
    (out.status.success(), Replayed::parse(&String::from_utf8(out.stdout).unwrap()), String::from_utf8(out.stderr).unwrap())
}

fn swap(test: &str) -> Option<[PathBuf; 2]> {
    let folder = recording(test, "cases")?;
    Some(["alpha", "beta"].map(|driver| folder.join(format!("s5_swap_before_line_{driver}.ibt.gz"))))
}

#[test]
fn an_upload_after_silence_counts() {
    let Some([alpha, beta]) = swap("an_upload_after_silence_counts") else { return };
    let world = World::new("4s");
    assert!(world.upload(&alpha, "alpha", &[]).0);
    block_until("silence closes the session", || world.session()["closed"] == true);
    assert_eq!((world.session()["closed_by_silence"].clone(), world.laps()), (true.into(), vec![1, 2]));
    let (went_well, printed, said) = world.upload(&beta, "beta", &[]);
    assert!(went_well && printed.of("session_closed").is_empty(), "{said}");
    block_until("all laps are there", || world.laps() == [1, 2, 3, 4, 5]);
    block_until("and silence closes it again", || world.session()["closed"] == true);
    assert_eq!(world.laps(), [1, 2, 3, 4, 5]);
}

#[test]
fn an_upload_after_a_close_on_purpose_is_refused_in_words() {
    let Some([alpha, beta]) = swap("an_upload_after_a_close_on_purpose_is_refused_in_words") else { return };
    let world = World::new("1h");
    assert!(world.upload(&alpha, "alpha", &[]).0);
    block_until("its laps are there", || world.laps() == [1, 2]);
    world.post("close");
    block_until("it is closed", || world.session()["closed"] == true);
    let (went_well, printed, said) = world.upload(&beta, "beta", &[]);
    assert!(!went_well, "the exit code says it");
    assert!(said.contains("closed on purpose") && said.contains("reopen"), "{said}");
    assert_eq!(printed.of("session_closed").len(), 1);
    assert_eq!(
        (world.laps(), world.session()["closed"].clone(), world.session()["closed_by_silence"].clone()),
        (vec![1, 2], true.into(), false.into())
    );
    world.post("reopen");
    block_until("what came late counts", || world.laps() == [1, 2, 3, 4, 5]);
}

#[test]
fn a_session_closed_on_purpose_is_said_without_a_server_too() {
    let Some([alpha, beta]) = swap("a_session_closed_on_purpose_is_said_without_a_server_too") else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    Replayed::run(&[alpha.to_str().unwrap(), "--data", data, "--driver", "alpha"]);
    {
        let server = Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0"]);
        let url = format!("{}/api/v1/sessions/{}", server.api, server.only_session());
        assert_eq!(ureq::post(format!("{url}/close")).header("X-Boxbox", "1").send_empty().unwrap().status(), 202);
        block_until("it is closed", || common::get(&url)["closed"] == true);
        #[cfg(unix)]
        assert!(server.terminate().success());
    }
    let out = boxbox(&["replay", beta.to_str().unwrap(), "--data", data, "--driver", "beta"]).output().unwrap();
    let said = String::from_utf8(out.stderr).unwrap();
    assert!(!out.status.success() && said.contains("closed on purpose"), "{said}");
}

/// Services apart: the edge has no store of its own and asks PostgreSQL, which first is not there, then is, and then is down.
#[test]
fn an_edge_alone_tells_it_too_and_outlives_the_results_store() {
    const TEST: &str = "an_edge_alone_tells_it_too_and_outlives_the_results_store";
    let (Some([alpha, beta]), Some(engines)) = (swap(TEST), Engines::new(TEST)) else { return };
    engines.prepare();
    let folder = tempfile::tempdir().unwrap();
    let data = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let start = |service: &str, data: String, more: Vec<String>| {
        let args = [service.to_owned(), "--data".into(), data, "--api-port".into(), "0".into(), "--log-url".into(), engines.log()];
        let args = [args.to_vec(), more].concat();
        Server::start(&args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let port = free_port();
    let (quic, address) = (free_port().to_string(), format!("127.0.0.1:{port}"));
    let edge = start("ingest", data("server"), [vec!["--quic-port".into(), quic.clone()], engines.asking_args(&address)].concat());
    let _processor = start("processor", data("processor"), engines.store_args());
    let api = start("api", data("api"), engines.store_args());
    let log = engines.log();
    let granting = ["--quic-port", &quic, "--log-url", &log];
    let unknown = || edge.metric("boxbox_edge_lives_unknown_total");

    let (went_well, _, said) = upload(folder.path(), &granting, &alpha, "alpha", &[]);
    assert!(went_well && unknown() >= 1.0, "{said}");
    block_until("a session", || !api.get("/api/v1/sessions")["sessions"].as_array().unwrap().is_empty());
    let session = format!("/api/v1/sessions/{}", api.only_session());
    let laps = || api.get(&format!("{session}/laps"))["laps"].as_array().unwrap().len();
    block_until("its laps are there", || laps() == 2);
    assert_eq!(ureq::post(format!("{}{session}/close", api.api)).header("X-Boxbox", "1").send_empty().unwrap().status(), 202);
    block_until("it is closed", || api.get(&session)["closed"] == true);

    // Nobody can tell it yet.
    let before = unknown();
    let (went_well, printed, said) = upload(folder.path(), &granting, &beta, "beta", &[]);
    assert!(went_well && printed.of("session_closed").is_empty() && unknown() > before, "{said}");

    let relay = Relay::start(port, engines.results_address());
    block_until("the edge tells it", || {
        let (went_well, printed, said) = upload(folder.path(), &granting, &beta, "beta", &[]);
        assert_eq!(went_well, printed.of("session_closed").is_empty(), "{said}");
        assert_eq!(!went_well, said.contains("closed on purpose"), "{said}");
        !went_well
    });
    let before = unknown();
    assert!(!upload(folder.path(), &granting, &beta, "beta", &[]).0);
    assert_eq!(unknown(), before);

    drop(relay);
    let (went_well, printed, said) = upload(folder.path(), &granting, &beta, "beta", &[]);
    assert!(went_well && printed.of("session_closed").is_empty() && unknown() > before, "{said}");
    assert_eq!(edge.ask("/readyz", None).0, 200);
    // Everything was admitted, and changed no result.
    let ledger = || api.get(&format!("{session}/ledger"))["streams"].as_array().unwrap().clone();
    block_until("all uploads are in the ledger", || ledger().len() >= 4 && ledger().iter().all(|stream| stream["ended"] == true));
    assert_eq!(laps(), 2);
    #[cfg(unix)]
    assert!(edge.terminate().success());
    drop((_processor, api));
    engines.remove();
}

#[test]
fn an_edge_alone_without_the_option_says_what_it_cannot_tell() {
    const TEST: &str = "an_edge_alone_without_the_option_says_what_it_cannot_tell";
    let Some(engines) = Engines::new(TEST) else { return };
    engines.prepare();
    let (log, folder) = (engines.log(), tempfile::tempdir().unwrap());
    let lines = |more: &[String]| {
        let data = folder.path().join("edge").to_str().unwrap().to_owned();
        let args = ["ingest", "--quic-port", "0", "--api-port", "0", "--log-url", &log, "--data", &data];
        let mut edge = boxbox(&args).args(more).stdout(std::process::Stdio::piped()).spawn().unwrap();
        let lines = common::read_lines(&mut edge);
        let mut said = vec![];
        while said.last().is_none_or(|line: &String| !line.starts_with("data")) {
            said.push(lines.recv_timeout(PATIENCE).unwrap());
        }
        edge.kill().unwrap();
        edge.wait().unwrap();
        said.into_iter().filter(|line| line.contains("closed on purpose")).collect::<Vec<_>>()
    };
    let said = lines(&[]);
    assert!(said.len() == 1 && said[0].contains("--results-url"), "{said:?}");
    assert!(lines(&engines.asking_args(engines.results_address())).is_empty());
    engines.remove();
}

/// What a person must change is an error at the start.
#[test]
fn an_edge_alone_with_wrong_options_does_not_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    for (options, why) in [
        (&["--results-password-file", "nowhere"][..], "--results-url"),
        (&["up", "--results-url", "postgres://boxbox@127.0.0.1:1/boxbox"], "--archive-url"),
    ] {
        let service = if options[0] == "up" { &options[..1] } else { &["ingest", "--log-url", "kafka://127.0.0.1:1/topic"][..] };
        let out = boxbox(service).args(options.iter().filter(|o| **o != "up")).args(["--data", data]).output().unwrap();
        let said = String::from_utf8(out.stderr).unwrap();
        assert!(!out.status.success() && said.contains(why), "{said}");
    }
}

#[test]
fn what_a_restart_undid_is_marked() {
    let Some(folder) = recording("what_a_restart_undid_is_marked", "cases") else { return };
    let data = tempfile::tempdir().unwrap();
    let replayed = Replayed::run(&[folder.join("s9_restart.ibt.gz").to_str().unwrap(), "--data", data.path().to_str().unwrap()]);
    let key = |lap: &Value| (lap["lap"].as_u64().unwrap(), lap["timeline"].as_u64().unwrap());
    let undone: Vec<_> = replayed.of("undone").into_iter().filter(|line| line["what"] == "lap").map(key).collect();
    assert!(!undone.is_empty(), "{:#?}", replayed.all);
    let laps = replayed.of("lap");
    let stand: Vec<(u64, i64)> =
        laps.iter().filter(|lap| !undone.contains(&key(lap))).map(|lap| (key(lap).0, lap["time_us"].as_i64().unwrap())).collect();
    let near = |(lap, us): &(u64, i64), (number, exact): (u64, i64)| *lap == number && (us - exact).abs() <= 3_000;
    assert!(
        stand.len() == 3 && near(&stand[0], (1, 68_010_000)) && near(&stand[1], (2, 66_667_000)) && near(&stand[2], (3, 66_667_000)),
        "{stand:?}"
    );
    // Each undone lap was printed before.
    assert!(undone.iter().all(|lap| laps.iter().any(|printed| key(printed) == *lap)));
}

#[test]
fn an_incomplete_recording_says_so() {
    let Some(folder) = recording("an_incomplete_recording_says_so", "cases") else { return };
    for (file, incomplete) in [("s49_crash", true), ("s49_zeros", true), ("s3_setup_plain", false)] {
        let data = tempfile::tempdir().unwrap();
        let replayed = Replayed::run(&[folder.join(format!("{file}.ibt.gz")).to_str().unwrap(), "--data", data.path().to_str().unwrap()]);
        let summary = replayed.all.last().unwrap();
        assert_eq!(summary["incomplete"], incomplete, "{file}: {summary}");
        assert_eq!(summary["warnings"].as_array().unwrap().is_empty(), !incomplete, "{file}: {summary}");
    }
}
