//! A process that has no file handles left, as under an attack with connections: the log waits for some and goes on. In a second
//! process, whose limit is lowered.

use std::fs::File;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::embedded::{EmbeddedLog, Options};
use boxbox_log::{Log, LogError, Outcome};
use boxbox_testkit::not_run;
use boxbox_testkit::wait::PATIENCE;

use crate::bed::{Heard, append, offsets, read, record};

const TEST: &str = "handles::without_handles_the_log_waits_and_loses_nothing";
const CHILD: &str = "BOXBOX_LOG_HANDLES_CHILD";
const LIMIT: u64 = 64;
/// Records that fill a segment and more.
const RECORDS: u64 = 20;
const LENGTH: usize = 1_000;

#[test]
fn without_handles_the_log_waits_and_loses_nothing() {
    if std::env::var_os(CHILD).is_some() {
        return in_a_process_of_its_own();
    }
    if cfg!(not(unix)) {
        return not_run(TEST, "only Unix systems limit open files");
    }
    let out = Command::new(std::env::current_exe().unwrap()).args(["--exact", TEST, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("waited for handles"), "{said}");
}

fn options(retention_bytes: Option<u64>) -> Options {
    let on_fatal: Arc<dyn Fn(&str) + Send + Sync> = Arc::new(|what| {
        eprintln!("the log gave up: {what}");
        std::process::exit(1);
    });
    Options { partitions: Some(1), segment_bytes: 16 << 10, retention_bytes, space_patience: PATIENCE, on_fatal, ..Options::default() }
}

/// All handles but `free`.
fn all_but(free: usize) -> Vec<File> {
    let mut held: Vec<File> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(held.len() > free && held.len() < LIMIT as usize, "the limit holds");
    held.truncate(held.len() - free);
    held
}

fn in_a_process_of_its_own() {
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).unwrap();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_time().build().unwrap();
    let mut waited = 0;
    for retention_bytes in [None, Some(32 << 10)] {
        for free in 0..5 {
            waited += usize::from(runtime.block_on(squeeze(retention_bytes, free)));
        }
    }
    #[allow(clippy::print_stdout, reason = "the test that started this process reads it")]
    {
        println!("waited for handles {waited} times");
    }
    assert!(waited >= 2, "without any handle no segment can be begun");
}

/// Append while only `free` handles are left; whether the log had to wait for more.
async fn squeeze(retention_bytes: Option<u64>, free: usize) -> bool {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), options(retention_bytes)).unwrap();
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    let mut behind = log.reader(0, 0).await.unwrap();
    for part in 0..2 {
        for mark in part * RECORDS..(part + 1) * RECORDS {
            append(&*writer, 0, 1, mark, LENGTH).await;
        }
        heard.exactly(((part + 1) * RECORDS) as usize).await;
    }

    let held = all_but(free);
    for mark in 2 * RECORDS..3 * RECORDS {
        append(&*writer, 0, 1, mark, LENGTH).await;
    }
    // A reader gets `Unavailable` meanwhile, or the records that are there.
    let mut refused = 0;
    for _ in 0..20 {
        if let Err(error) = behind.next(1, Duration::from_millis(20)).await {
            let removed = retention_bytes.is_some() && matches!(error, LogError::OutOfRange { .. });
            assert!(error.is_retryable() || removed, "{error}");
            refused += 1;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(free > 0 || refused > 0, "there was no handle to read a segment with");
    let before = heard.so_far();
    assert!(before.iter().all(|c| matches!(c.outcome, Outcome::Durable(_))), "held, not failed: {before:?}");
    let waits = before.len() < 3 * RECORDS as usize;
    assert!(free > 0 || waits, "there was no handle for a segment");
    drop(held);

    let all = offsets(&heard.exactly(3 * RECORDS as usize).await);
    assert_eq!(all, (0..3 * RECORDS).collect::<Vec<_>>());
    drop((writer, behind, log));
    let log = EmbeddedLog::open(folder.path(), options(None)).unwrap();
    let start = log.bounds(0).await.unwrap().start;
    let mut reader = log.reader(0, start).await.unwrap();
    for entry in read(&mut *reader, (3 * RECORDS - start) as usize).await {
        assert_eq!(entry.record, record(1, entry.offset, LENGTH));
    }
    assert_eq!(retention_bytes.is_none(), start == 0, "retention goes on too");
    waits
}
