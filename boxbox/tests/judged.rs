//! Whom a manager excludes from a session, on both profiles: the results are without them, also after a restart and computed again from the
//! archive; reinstated, the results are what they were.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::time::Duration;

use boxbox_testkit::wait::block_until;
use common::place::{Engines, Place};
use common::{Server, boxbox, wait};
use serde_json::Value;

const CARS: usize = 3;
/// Whom to exclude.
const WHOM: &str = "car-1";

/// Of a new grant, what `grant create` prints.
fn grant(place: &Place, more: &[&str]) -> String {
    let log: Vec<String> = place.engines().map(|engines| vec!["--log-url".to_owned(), engines.log()]).unwrap_or_default();
    let data = place.data();
    let args = [&["grant", "create", "--data", data.to_str().unwrap()][..], more].concat();
    let out = boxbox(&args.into_iter().chain(log.iter().map(String::as_str)).collect::<Vec<_>>()).output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    String::from_utf8(out.stdout).unwrap().trim().to_owned()
}

/// A race of three cars through the server.
fn race(place: &Place) {
    let strings: Vec<String> = (0..CARS).map(|car| grant(place, &["--driver", &format!("car-{car}")])).collect();
    let mut args = vec!["simulate", "--speed", "30", "--laps", "2", "--rate", "20"];
    args.extend(strings.iter().flat_map(|s| ["--to", s.as_str()]));
    let mut race = boxbox(&args).stdout(std::process::Stdio::null()).spawn().unwrap();
    assert!(wait(&mut race, Duration::from_secs(120)).success());
}

/// `boxbox session WHAT`: whether that went well, and what it says.
fn judge(server: &Server, what: &str, session: &str, more: &[&str]) -> (bool, String) {
    let api = server.api.strip_prefix("http://").unwrap().trim_end_matches('/');
    let out = boxbox(&[&["session", what, session, "--driver", WHOM, "--api", api], more].concat()).output().unwrap();
    (out.status.success(), String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr))
}

/// What the API tells of a session.
#[derive(PartialEq, Debug)]
struct Told {
    results: Value,
    /// Cars that have a place.
    classified: usize,
    /// Laps of [`WHOM`].
    laps: usize,
    excluded: Value,
}

fn told(server: &Server, session: &str) -> Told {
    let of = |what: &str| server.get(&format!("/api/v1/sessions/{session}{what}"));
    let (results, laps) = (of("/results"), of("/laps"));
    let classified = results["results"].as_array().unwrap().iter().filter(|row| row["status"] == "finished").count();
    let laps = laps["laps"].as_array().unwrap().iter().filter(|lap| lap["driver"] == WHOM).count();
    Told { classified, laps, excluded: of("")["excluded"].clone(), results }
}

/// `boxbox recompute` says that nothing is different, once everything is in the archive.
fn computed_again(place: &Place, session: &str) {
    let args: Vec<String> = place.args();
    let stores = place.engines().map(Engines::store_args).unwrap_or_default();
    // Recomputing needs no log.
    let args: Vec<&str> = if stores.is_empty() { args.iter().map(String::as_str).collect() } else { stores.iter().map(String::as_str).collect() };
    block_until("computed again as it is", || {
        let out = boxbox(&[&["recompute", session], &args[..]].concat()).output().unwrap();
        let text = String::from_utf8_lossy(&out.stdout).into_owned() + &String::from_utf8_lossy(&out.stderr);
        let same = out.status.success() && text.contains(": no difference");
        if !same {
            eprintln!("{text}");
            // What is not in the archive yet comes there.
            let server = place.up();
            std::thread::sleep(Duration::from_secs(1));
            assert!(server.terminate().success());
        }
        same
    });
}

#[test]
fn whom_a_manager_excludes_is_gone_until_reinstated_on_both_profiles() {
    for place in Place::both("whom_a_manager_excludes_is_gone_until_reinstated_on_both_profiles") {
        let server = place.up();
        race(&place);
        let session = server.only_session();
        block_until("all laps of all cars", || {
            let laps = server.get(&format!("/api/v1/sessions/{session}/laps"));
            laps["laps"].as_array().unwrap().len() >= CARS * 2
        });
        let ended = || server.get(&format!("/api/v1/sessions/{session}/ledger"))["streams"].as_array().unwrap().iter().all(|s| s["ended"] == true);
        block_until("all clients have ended", ended);
        let before = told(&server, &session);
        assert_eq!((before.classified, before.excluded.as_array().unwrap().len()), (CARS, 0), "{}", before.results);
        assert!(before.laps >= 2, "laps of {WHOM}");

        let (well, said) = judge(&server, "exclude", &session, &[]);
        assert!(well && said.contains("excluded"), "{said}");
        block_until("without the driver", || told(&server, &session).classified == CARS - 1);
        let without = told(&server, &session);
        assert_eq!((without.laps, without.excluded[0]["driver"].as_str()), (0, Some(WHOM)), "{}", without.excluded);
        // The other clients still describe the car, but no client whose reports count has seen it drive.
        let row = &without.results["results"][CARS - 1];
        assert_eq!((row["laps"].as_u64(), row["why"].as_str()), (Some(0), Some("not_seen")), "{row}");
        assert!(server.terminate().success());
        computed_again(&place, &session);

        let server = place.up();
        assert_eq!(told(&server, &session), without, "{}: after a restart", place.profile);
        // By a grant that may manage; one that may only read is refused, in words.
        let file = place.folder().join("grant");
        std::fs::write(&file, grant(&place, &["--read"])).unwrap();
        let (well, said) = judge(&server, "reinstate", &session, &["--grant-file", file.to_str().unwrap()]);
        assert!(!well && said.contains("refuses (HTTP 403)"), "{said}");
        std::fs::write(&file, grant(&place, &["--manage"])).unwrap();
        let (well, said) = judge(&server, "reinstate", &session, &["--grant-file", file.to_str().unwrap()]);
        assert!(well && said.contains("reinstated"), "{said}");
        block_until("with the driver", || told(&server, &session).classified == CARS);
        assert_eq!(told(&server, &session), before, "{}: reinstated", place.profile);
        assert!(server.terminate().success());
        computed_again(&place, &session);
    }
}

#[test]
fn an_api_that_is_not_there_is_said() {
    let port = common::free_port();
    let api = format!("127.0.0.1:{port}");
    let args = ["session", "exclude", "00000000000000000000000000000000", "--driver", WHOM, "--api", &api];
    let out = boxbox(&args).output().unwrap();
    let said = String::from_utf8_lossy(&out.stderr).into_owned();
    assert!(!out.status.success() && said.contains("is the server running"), "{said}");
}
