//! Grants as their users meet them: create, use, revoke, expire; the API under a read grant.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use boxbox_schemas::grant::{self, Grant, SigningKey};
use boxbox_testkit::recording;
use boxbox_testkit::recordings::PHILLIP_ISLAND;
use boxbox_testkit::wait::{PATIENCE, block_until};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::car::Car;
use common::{Server, boxbox, in_time, wait};

fn create(data: &str, args: &[&str]) -> (String, String) {
    let out = boxbox(&[&["grant", "create", "--new", "--data", data], args].concat()).output().unwrap();
    let (said, token) = (String::from_utf8(out.stderr).unwrap(), String::from_utf8(out.stdout).unwrap().trim().to_owned());
    let id = said.split_whitespace().nth(1).unwrap().to_owned();
    (id, token)
}

#[test]
fn a_revoked_grant_is_cut_off_within_five_seconds() {
    let Some(file) = recording("a_revoked_grant_is_cut_off_within_five_seconds", PHILLIP_ISLAND) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (server_data, spool) = (folder.path().join("server"), folder.path().join("client"));
    let data = server_data.to_str().unwrap();
    let _server = Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0"]);
    let (id, connect) = create(data, &["--driver", "anna"]);
    let args = ["replay", file.to_str().unwrap(), "--to", &connect, "--speed", "1", "--data", spool.to_str().unwrap()];
    let mut replay = boxbox(&args).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(2));
    assert!(replay.try_wait().unwrap().is_none(), "the replay runs in real time");
    assert!(boxbox(&["grant", "revoke", &id, "--data", data]).status().unwrap().success());
    let began = Instant::now();
    assert!(!wait(&mut replay, PATIENCE).success());
    // Five seconds by design; the margin is for a loaded machine.
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    let again = boxbox(&args).output().unwrap();
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(!again.status.success() && error.contains("revoked"), "{error}");
    let listed = boxbox(&["grant", "list", "--data", data]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    assert!(listed.lines().any(|l| l.contains(&id) && l.contains("revoked")), "{listed}");
}

#[test]
fn an_expired_and_a_foreign_grant_are_refused_by_name() {
    let Some(file) = recording("an_expired_and_a_foreign_grant_are_refused_by_name", PHILLIP_ISLAND) else { return };
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("server");
    let data = data.to_str().unwrap();
    let other = folder.path().join("other");
    let server = Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0"]);
    let replay = |connect: &str| {
        let out =
            boxbox(&["replay", file.to_str().unwrap(), "--to", connect, "--data", folder.path().join("client").to_str().unwrap()]).output().unwrap();
        assert!(!out.status.success());
        String::from_utf8_lossy(&out.stderr).into_owned()
    };
    let (_, good) = create(data, &["--driver", "anna"]);
    let (token, address) = good.trim_start_matches("boxbox://").split_once('@').unwrap();
    let key = SigningKey::from_bytes(&std::fs::read(keys(data).last().unwrap()).unwrap()).unwrap();
    let expired = key.sign(&Grant { expires: 1_000_000, ..grant::peek(token).unwrap() }).unwrap();
    let error = replay(&format!("boxbox://{expired}@{address}"));
    assert!(error.contains("expired"), "{error}");
    // Another server's grant with this server's address and pin.
    let (_, foreign) = create(other.to_str().unwrap(), &["--driver", "anna"]);
    let grant = foreign.split('@').next().unwrap();
    let error = replay(&format!("{grant}@{}", server.connect.split_once('@').unwrap().1));
    assert!(error.contains("key that is not in use"), "{error}");
    // This server's grant with another server's pin: the client must not even say hello.
    let pin = foreign.split_once('?').unwrap().1;
    let error = replay(&format!("{}?{pin}", server.connect.split('?').next().unwrap()));
    assert!(error.contains("pin") || error.contains("certificate") || error.contains("key"), "{error}");
}

#[test]
fn reading_from_elsewhere_needs_a_read_grant_and_shows_one_tenant() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0", "--api-host", "0.0.0.0"]);
    let url = server.api.replace("0.0.0.0", "127.0.0.1") + "/api/v1/sessions";
    let status = |grant: Option<&str>| {
        let mut request = ureq::get(&url).config().http_status_as_error(false).build();
        if let Some(grant) = grant {
            request = request.header("Authorization", format!("Bearer {grant}"));
        }
        request.call().unwrap().status().as_u16()
    };
    let (_, read) = create(data, &["--read"]);
    let send = server.connect.strip_prefix("boxbox://").unwrap().split('@').next().unwrap();
    assert_eq!(status(None), 401);
    assert_eq!(status(Some("rubbish")), 401);
    assert_eq!(status(Some(send)), 403, "a grant to send is no grant to read");
    assert_eq!(status(Some(&read)), 200);
}

#[test]
fn revocations_made_at_once_all_stay_and_an_unreadable_list_lets_nobody_in() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    create(data, &["--driver", "anna"]);
    let ids: Vec<String> = (0..16).map(|i| format!("{i:032x}")).collect();
    let mut revoking: Vec<_> =
        ids.iter().map(|id| boxbox(&["grant", "revoke", id, "--data", data]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()).collect();
    assert!(revoking.iter_mut().all(|r| wait(r, PATIENCE).success()));
    let file = folder.path().join("auth/revoked");
    let listed = std::fs::read_to_string(&file).unwrap();
    assert!(ids.iter().all(|id| listed.contains(id.as_str())), "{listed}");

    std::fs::write(&file, listed + "rubbish\n").unwrap();
    for args in [&["up", "--data", data, "--quic-port", "0", "--api-port", "0"][..], &["grant", "revoke", &ids[0], "--data", data]] {
        let out = boxbox(args).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(!out.status.success() && error.contains("rubbish"), "{args:?}: {error}");
    }
}

/// Files whose name says that they are keys, oldest first.
fn keys(data: &str) -> Vec<PathBuf> {
    let mut all: Vec<_> = std::fs::read_dir(Path::new(data).join("auth/keys")).unwrap().map(|e| e.unwrap().path()).collect();
    all.retain(|path| path.extension().is_some_and(|e| e == "key"));
    all.sort();
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn a_removed_key_ends_what_is_driven_with_it() {
    const TEST: &str = "a_removed_key_ends_what_is_driven_with_it";
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let _server = Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0"]);
    let old = Car::start(&create(data, &["--driver", "anna"]).1, 7).await;
    block_until("the first acks", || old.acked() > 60);
    assert!(boxbox(&["grant", "rotate", "--data", data]).status().unwrap().success());
    let new = Car::start(&create(data, &["--driver", "bob"]).1, 8).await;
    block_until("acks under the new key", || new.acked() > 60);
    old.drives_on("a rotation ends nothing");

    let all = keys(data);
    assert_eq!(all.len(), 2);
    std::fs::remove_file(&all[0]).unwrap();
    let since = Instant::now();
    block_until("the connection is closed", || old.refused().is_some());
    in_time(TEST, "after its key was deleted the connection was closed", since);
    assert!(old.refused().unwrap().contains("not in use"), "{:?}", old.refused());
    new.drives_on("the other key is in use");
}

#[test]
fn the_public_host_of_a_server_is_in_grants_made_later() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().to_str().unwrap();
    let server = Server::start(&["up", "--data", data, "--quic-port", "0", "--api-port", "0", "--public-host", "race.example.org"]);
    let host = |connect: &str| connect.split_once('@').unwrap().1.split(':').next().unwrap().to_owned();
    let (_, connect) = create(data, &["--driver", "anna"]);
    assert_eq!((host(&server.connect), host(&connect)), ("race.example.org".to_owned(), "race.example.org".to_owned()));
    let (_, other) = create(data, &["--driver", "anna", "--host", "other.example.org"]);
    assert_eq!(host(&other), "other.example.org", "what is asked for comes first");
}
