//! `boxbox recompute`: with the log deleted, a session is computed again as it was; what was changed by hand is told, and put right.

#![allow(clippy::unwrap_used, reason = "in a test, a panic is the answer")]

mod common;

use std::path::Path;
use std::process::Output;

use boxbox_schemas::TenantId;
use boxbox_schemas::results::{Lap, Step};
use boxbox_store::sqlite::SqliteResults;
use boxbox_store::{Sessions, Steps};
use common::boxbox;

fn recompute(folder: &Path, more: &[&str]) -> (Output, String) {
    let output = boxbox(&[&["recompute", "--data", folder.to_str().unwrap()], more].concat()).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    (output, text)
}

#[test]
fn a_session_is_computed_again_without_its_log() {
    let data = tempfile::tempdir().unwrap();
    let folder = data.path();
    let demo = ["demo", "--cars", "6", "--laps", "2", "--speed", "60", "--data", folder.to_str().unwrap()];
    let driven = boxbox(&demo).output().unwrap();
    // Whether each lap is as it was driven is the demo's own test.
    assert!(folder.join("results.db").exists(), "{}", String::from_utf8_lossy(&driven.stderr));
    std::fs::remove_dir_all(folder.join("log")).unwrap();

    let (output, text) = recompute(folder, &["--all"]);
    assert!(output.status.success() && text.contains(": no difference"), "{text}");

    // A lap and a place that no rule would give.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tenant = TenantId::new("local").unwrap();
    let changed = |work: &dyn Fn(Vec<Lap>) -> Vec<Lap>| {
        runtime.block_on(async {
            let results = SqliteResults::open(&folder.join("results.db")).await.unwrap();
            let id = results.sessions(&tenant, None, 9).await.unwrap()[0].id;
            let stored = results.stored(&id).await.unwrap().unwrap();
            let laps = work(stored.laps);
            if !laps.is_empty() {
                let lease = results.acquire(&stored.checkpoint.log, stored.checkpoint.partition).await.unwrap();
                results.commit(&lease, &Step { laps: laps.clone(), ..Step::new(stored.checkpoint) }).await.unwrap();
            }
            let after = results.stored(&id).await.unwrap().unwrap();
            results.close().await;
            (id, after.laps)
        })
    };
    let (id, before) = changed(&|_| vec![]);
    let wrong = |laps: Vec<Lap>| {
        let invented = Lap { number: 77, ..laps[0].clone() };
        vec![Lap { time_us: 1, ..laps[0].clone() }, invented]
    };
    assert_ne!(changed(&wrong).1, before);
    let (output, text) = recompute(folder, &[&id.to_string()]);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("lap 77") && text.contains("time_us") && text.contains("differences") && text.contains("result laps"), "{text}");
    assert!(recompute(folder, &["--all"]).1.contains("lap 77"), "without --apply nothing is changed");

    let (output, text) = recompute(folder, &[&id.to_string(), "--apply"]);
    assert!(output.status.success() && text.contains("the new results are stored"), "{text}");
    let (output, text) = recompute(folder, &["--all"]);
    assert!(output.status.success() && text.contains(": no difference"), "{text}");
    let same = |laps: &[Lap]| laps.iter().map(|lap| Lap { revision: 0, ..lap.clone() }).collect::<Vec<_>>();
    assert_eq!(same(&changed(&|_| vec![]).1), same(&before));

    // What it cannot do, it says.
    assert!(!recompute(folder, &["00000000000000000000000000000000"]).0.status.success());
    assert!(!recompute(folder, &[]).0.status.success(), "which session?");
    std::fs::remove_file(folder.join("archive.db")).unwrap();
    let (output, text) = recompute(folder, &["--all"]);
    assert!(!output.status.success() && text.contains("not computed again"), "{text}");
}
