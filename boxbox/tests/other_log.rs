//! E7: a data folder whose log was deleted or exchanged is not silently gone on with.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use common::{Server, boxbox};

#[test]
fn a_deleted_log_is_noticed() {
    let data = tempfile::tempdir().unwrap();
    let args = ["up", "--data", data.path().to_str().unwrap(), "--quic-port", "0", "--api-port", "0"];
    assert!(Server::start(&args).terminate().success());
    assert!(Server::start(&args).terminate().success(), "the same log again");

    std::fs::remove_dir_all(data.path().join("log")).unwrap();
    let refused = boxbox(&args).output().unwrap();
    let says = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(!refused.status.success() && says.contains("was the log deleted") && says.contains("log.id"), "{says}");
    assert!(refused.stdout.is_empty(), "nothing was started");

    // Whoever means it says so as the message tells.
    std::fs::remove_file(data.path().join("log.id")).unwrap();
    assert!(Server::start(&args).terminate().success());
}
