//! What a server keeps on the disk: how much of its log, for whose eyes, and what it says of it.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]
#![cfg(unix)]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use common::{Server, boxbox};

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let mut all = vec![];
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(files(&path));
        }
        all.push(path);
    }
    all
}

fn up(data: &Path) -> [String; 7] {
    ["up", "--data", data.to_str().unwrap(), "--quic-port", "0", "--api-port", "0"].map(str::to_owned)
}

/// Keys, telemetry and results are for the server's user alone, also in a folder that was open before.
#[test]
fn nobody_else_can_read_a_data_folder() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    fs::create_dir(&data).unwrap();
    fs::set_permissions(&data, fs::Permissions::from_mode(0o755)).unwrap();
    let args = up(&data);
    let server = Server::start(&args.each_ref().map(String::as_str));
    assert_eq!(mode(&data), 0o700);
    let all = files(&data);
    assert!(all.len() > 10, "{all:?}");
    for path in all {
        let expected = if path.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode(&path), expected, "{}", path.display());
    }
    assert!(server.terminate().success());
}

/// A key that others can read is no secret: the server does not start with it, and says what to do.
#[test]
fn a_key_that_others_can_read_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = up(&data);
    let args = args.each_ref().map(String::as_str);
    assert!(Server::start(&args).terminate().success());
    let keys = fs::read_dir(data.join("auth/keys")).unwrap().map(|e| e.unwrap().path());
    let keys: Vec<PathBuf> = keys.chain([data.join("auth/server.key")]).collect();
    assert_eq!(keys.len(), 2, "{keys:?}");
    for key in &keys {
        for open in [0o644, 0o640, 0o602] {
            fs::set_permissions(key, fs::Permissions::from_mode(open)).unwrap();
            let out = boxbox(&args).output().unwrap();
            let error = String::from_utf8_lossy(&out.stderr);
            assert!(!out.status.success() && error.contains("chmod 600") && error.contains(key.to_str().unwrap()), "{error}");
        }
        fs::set_permissions(key, fs::Permissions::from_mode(0o600)).unwrap();
    }
    assert!(Server::start(&args).terminate().success());
}

/// How much the log keeps is a choice, and what goes is said at the start and in the metrics.
#[test]
fn the_log_has_a_limit_that_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = up(&data);
    let mut args = args.each_ref().map(String::as_str).to_vec();
    let out = boxbox(&[args.as_slice(), &["--log-max-bytes", "1000"]].concat()).output().unwrap();
    assert!(!out.status.success() && String::from_utf8_lossy(&out.stderr).contains("--log-max-bytes"));
    args.extend(["--log-max-bytes", "67108864", "--log-max-age", "12h"]);
    let server = Server::start(&args);
    let kept = server.metric("boxbox_log_kept_bytes");
    assert!(kept > 0.0 && kept <= f64::from(64 << 20), "{kept}");
    assert!(server.metric("boxbox_log_oldest_unix_seconds") > 1.7e9);
    assert_eq!(server.metric("boxbox_log_unprocessed_beyond_bytes"), 0.0);
    assert!(server.terminate().success());
    let mut child = boxbox(&args).stdout(std::process::Stdio::piped()).spawn().unwrap();
    let lines = common::read_lines(&mut child);
    let said: Vec<String> = lines.iter().take_while(|line| !line.starts_with("boxbox://")).collect();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(said.iter().any(|line| line.starts_with("log") && line.contains("12h") && line.contains("64 MiB")), "{said:?}");
}

/// A folder that all users share is refused as a data folder, and stays as it is.
#[test]
fn a_shared_folder_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let shared = folder.path().join("shared");
    fs::create_dir(&shared).unwrap();
    for open in [0o1777, 0o1770] {
        fs::set_permissions(&shared, fs::Permissions::from_mode(open)).unwrap();
        let out = boxbox(&up(&shared).each_ref().map(String::as_str)).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && error.contains("--data"), "{error}");
        assert_eq!(fs::metadata(&shared).unwrap().permissions().mode() & 0o7777, open);
        assert_eq!(files(&shared), Vec::<PathBuf>::new());
    }
    // A folder in it is one's own.
    let args = up(&shared.join("data"));
    assert!(Server::start(&args.each_ref().map(String::as_str)).terminate().success());
}

/// A key that belongs to another user is no secret from that user.
#[test]
fn a_key_of_another_user_is_refused() {
    use std::os::unix::fs::{MetadataExt, chown};
    const OTHER: u32 = 54_321;
    let folder = tempfile::tempdir().unwrap();
    if fs::metadata(folder.path()).unwrap().uid() != 0 {
        eprintln!("a_key_of_another_user_is_refused: only root can give a file away");
        return;
    }
    let data = folder.path().join("data");
    let args = up(&data);
    let args = args.each_ref().map(String::as_str);
    assert!(Server::start(&args).terminate().success());
    let signing = fs::read_dir(data.join("auth/keys")).unwrap().next().unwrap().unwrap().path();
    for key in [signing, data.join("auth/server.key")] {
        chown(&key, Some(OTHER), None).unwrap();
        let out = boxbox(&args).output().unwrap();
        let error = String::from_utf8_lossy(&out.stderr);
        assert!(!out.status.success() && error.contains("chown") && error.contains(key.to_str().unwrap()), "{error}");
        chown(&key, Some(0), None).unwrap();
    }
    // Root works in the folder of the user whom it is for.
    for path in files(&data).into_iter().chain([data.clone()]) {
        chown(&path, Some(OTHER), None).unwrap();
    }
    assert!(Server::start(&args).terminate().success());
}

/// The list of revocations is made with the keys; without it no grant is accepted and no server starts.
#[test]
fn without_its_list_of_revocations_no_server_starts() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    let args = up(&data);
    let args = args.each_ref().map(String::as_str);
    assert!(Server::start(&args).terminate().success());
    let list = data.join("auth/revoked");
    assert_eq!(fs::read(&list).unwrap(), b"");
    fs::remove_file(&list).unwrap();
    let out = boxbox(&args).output().unwrap();
    let error = String::from_utf8_lossy(&out.stderr);
    assert!(!out.status.success() && error.contains("put it back"), "{error}");
    assert!(!list.exists());
    fs::write(&list, "").unwrap();
    assert!(Server::start(&args).terminate().success());
}
