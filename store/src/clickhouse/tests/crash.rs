//! Processes that die at every point of an append: what the next one finds, it completes.

use std::process::{Command, Stdio};

use super::fixture::Fixture;
use super::model::{Log, Owner, assert_whole};
use crate::Lease;
use crate::suite::ArchiveFixture;
use crate::suite::samples::lease;

const CHILD: &str = "clickhouse::tests::crash::dies";
const POINTS: [&str; 5] =
    ["archive-plan-before", "archive-plan-committed", "archive-insert-before", "archive-insert-half", "archive-insert-answered"];

fn log(seed: u64) -> Log {
    Log::random(&mut fastrand::Rng::with_seed(seed), 120)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn processes_die_at_every_point() {
    let Some(f) = Fixture::start("processes_die_at_every_point").await else { return };
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut lease = lease();
    for point in POINTS.iter().cycle().take(2 * POINTS.len()) {
        // It dies at its second or third block; the first may be one that the one before left behind.
        let died = child(&f.name, seed, &lease, &format!("{point}:{}", fastrand::u8(1..4)));
        assert!(!died.success() && died.code().is_none(), "{point}: {died}");
        lease = f.take_over(&lease).await;
    }
    assert!(child(&f.name, seed, &lease, "").success());
    assert_whole(&log(seed), &f.open().await).await;
}

fn child(name: &str, seed: u64, lease: &Lease, crash_at: &str) -> std::process::ExitStatus {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args([CHILD, "--exact", "--ignored", "--nocapture"]).stdout(Stdio::null()).stderr(Stdio::null());
    child.env("BOXBOX_TEST_CHILD", format!("{name} {seed} {}", lease.epoch)).env("BOXBOX_CRASH_AT", crash_at).status().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "the process that dies in the test above"]
async fn dies() {
    let Ok(arguments) = std::env::var("BOXBOX_TEST_CHILD") else { return };
    let arguments: Vec<&str> = arguments.split(' ').collect();
    let log = log(arguments[1].parse().unwrap());
    let lease = Lease { epoch: arguments[2].parse().unwrap(), ..lease() };
    let mut rng = fastrand::Rng::new();
    let mut owner = Owner::start(&log, Fixture::existing(arguments[0]).open().await, lease).await.unwrap();
    while !owner.is_done() {
        owner.step(&mut rng).await.unwrap();
    }
}
