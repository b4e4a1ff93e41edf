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
