//! A process that has no file handles left: whatever is asked of a file is unavailable then, never damaged or refused, and is there
//! again afterwards. In a second process, whose limit is lowered.

use std::process::Command;

use rustix::process::{Resource, Rlimit, setrlimit};

use super::*;

const TEST: &str = "sqlite::tests::handles::without_handles_a_file_is_unavailable_and_nothing_worse";
const CHILD: &str = "BOXBOX_STORE_HANDLES_CHILD";
const LIMIT: u64 = 96;

#[test]
fn without_handles_a_file_is_unavailable_and_nothing_worse() {
    if std::env::var_os(CHILD).is_some() {
        return in_a_process_of_its_own();
    }
    let out = Command::new(std::env::current_exe().unwrap()).args(["--exact", TEST, "--nocapture"]).env(CHILD, "1").output().unwrap();
    let said = String::from_utf8_lossy(&out.stdout) + String::from_utf8_lossy(&out.stderr);
    assert!(out.status.success() && said.contains("unavailable"), "{said}");
}

fn in_a_process_of_its_own() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let mut unavailable = 0;
    for free in 0..16 {
        unavailable += runtime.block_on(squeeze(free));
    }
    println!("unavailable {unavailable} times");
    assert!(unavailable > 16, "without handles nothing can be opened");
}

/// All handles but `free`.
fn all_but(free: usize) -> Vec<std::fs::File> {
    let mut held: Vec<_> = std::iter::from_fn(|| std::fs::File::open("/dev/null").ok()).collect();
    assert!(held.len() > free && held.len() < LIMIT as usize, "the limit holds");
    held.truncate(held.len() - free);
    held
}

/// How often what was asked while only `free` handles were left could not be done.
async fn squeeze(free: usize) -> usize {
    let (folder, store) = filled().await;
    let home = session(tenant("a"), 1);
    let lease = store.acquire(&log(), 3).await.unwrap();
    // The writer has lost its connection, as after any error.
    store.file.writer.close().await;
    let held = all_but(free);
    let mut failed = 0;
    let mut judge = |what: &str, outcome: Result<(), StoreError>| {
        if let Err(error) = outcome {
            assert!(error.is_retryable(), "{what} with {free} handles: {error}");
            failed += 1;
        }
    };
    judge("a new file", SqliteResults::open(&folder.0.path().join("new.db")).await.map(drop));
    judge("a new archive", SqliteArchive::open(&folder.0.path().join("archive.db")).await.map(drop));
    for _ in 0..2 {
        judge("a read", store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await.map(drop));
        judge("a commit", store.commit(&lease, &step_of_revision(&home, 2)).await);
        judge("a ping", store.ping().await);
    }
    drop(held);
    store.commit(&lease, &step_of_revision(&home, 3)).await.unwrap();
    let laps = store.laps(&home.tenant, &home.id, &Default::default(), None, 10).await.unwrap();
    assert!(laps.len() == 5 && laps.iter().all(|lap| lap.revision == 3), "{laps:?}");
    store.ping().await.unwrap();
    store.close().await;
    failed
}
