//! The spool on disk, from outside: restarts, a client that is killed, outages longer than memory, full, damaged, in use.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use boxbox_client::{Batch, Client, Config, Event, Spool, StartError, Status};
use boxbox_schemas::RunId;
use boxbox_schemas::event::GapReason;
use boxbox_testkit::campaign::{number, seed_asked};
use boxbox_testkit::wait::{PATIENCE, until};

use crate::fake::{FakeEdge, Faults};
use crate::{car, quick, source, start};

fn on_disk(edge: &FakeEdge, dir: &Path, max_bytes: u64) -> Config {
    Config { spool: Spool::Disk { dir: dir.into(), max_bytes }, ..quick(edge.connect.clone()) }
}

/// Files of records below `dir`, in order.
fn segments(dir: &Path) -> Vec<PathBuf> {
    let mut found = vec![];
    let mut folders = vec![dir.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rec") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

/// A client that could not send: `frames` frames of session 1 are left in `dir`. Its run.
async fn leave(edge: &FakeEdge, dir: &Path, frames: u32) -> RunId {
    edge.state.lock().faults.busy = 1.0;
    let (client, _) = start(on_disk(edge, dir, 64 << 20)).await;
    let stream = client.open(source(1), 0).unwrap();
    (0..frames).for_each(|tick| stream.car(&car(tick)).unwrap());
    drop(stream);
    let remained = client.finish(Duration::from_millis(50)).await;
    assert_eq!((remained.streams, remained.frames), (1, u64::from(frames)));
    edge.state.lock().faults.busy = 0.0;
    client.run()
}

/// W8: what a run left is sent by the next one, before its own frames of the same session.
#[tokio::test(flavor = "multi_thread")]
async fn a_restart_drains_what_was_left_first() {
    let (edge, dir) = (FakeEdge::start(1, Faults::default()), tempfile::tempdir().unwrap());
    let dead = leave(&edge, dir.path(), 3_000).await;
    let (client, _) = start(on_disk(&edge, dir.path(), 64 << 20)).await;
    assert_ne!(client.run(), dead);
    let stream = client.open(source(1), 0).unwrap();
    (0..300).for_each(|tick| stream.car(&car(tick)).unwrap());
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(dead, source(1)), |s| assert_eq!(s.ticks, (0..3_000).collect::<Vec<_>>()));
    edge.admitted(&(client.run(), source(1)), |s| assert_eq!(s.ticks, (0..300).collect::<Vec<_>>()));
    let mut order = edge.state.lock().journal.clone();
    order.dedup();
    assert_eq!(order, [(dead, source(1)), (client.run(), source(1))]);
    assert_eq!(edge.state.lock().complaints, [] as [String; 0]);
    assert_eq!(segments(dir.path()), [] as [PathBuf; 0], "what is acked is forgotten");
}

/// W8: the live session first, even if there is one place only and an old session has taken it.
#[tokio::test(flavor = "multi_thread")]
async fn a_live_session_does_not_wait_for_an_old_one() {
    let (edge, dir) = (FakeEdge::start(1, Faults::default()), tempfile::tempdir().unwrap());
    let dead = leave(&edge, dir.path(), 20_000).await;
    {
        let mut state = edge.state.lock();
        (state.max_streams, state.max_unacked_bytes, state.faults.ack_delay_ms) = (1, 4_000, 4);
    }
    let (client, _) = start(on_disk(&edge, dir.path(), 64 << 20)).await;
    until("the old session is on its way", || edge.admitted(&(dead, source(1)), |s| s.next > 0)).await;
    let stream = client.open(source(2), 0).unwrap();
    stream.car(&car(0)).unwrap();
    until("the live frame is acked", || edge.admitted(&(client.run(), source(2)), |s| s.next > 0)).await;
    edge.admitted(&(dead, source(1)), |s| assert!(s.next < 20_000, "the old session was not waited for"));
    edge.state.lock().faults.ack_delay_ms = 0;
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(dead, source(1)), |s| assert_eq!((s.ticks.len(), s.holes.len()), (20_000, 0)));
}

/// An outage longer than memory: what is over goes to the files alone, and comes back from there.
#[tokio::test(flavor = "multi_thread")]
async fn a_long_outage_takes_disk_not_memory() {
    const FRAMES: u32 = 60_000;
    let (edge, dir) = (FakeEdge::start(1, Faults { busy: 1.0, ..Faults::default() }), tempfile::tempdir().unwrap());
    let (client, _) = start(on_disk(&edge, dir.path(), 64 << 20)).await;
    let stream = client.open(source(1), 0).unwrap();
    for tick in 0..FRAMES {
        stream.car(&car(tick)).unwrap();
        if tick % 5_000 == 0 {
            // The disk keeps up with any simulator; with this loop it need not.
            until("written", || client.stats().memory_bytes < 2 << 20).await;
        }
    }
    until("written", || client.stats().memory_bytes <= 1 << 20).await;
    let stats = client.stats();
    assert!(stats.spool_bytes > 12 << 20 && stats.outstanding_bytes > 12 << 20, "{stats:?}");
    edge.state.lock().faults.busy = 0.0;
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| assert_eq!(s.ticks, (0..FRAMES).collect::<Vec<_>>()));
    assert_eq!((client.stats().gaps, client.stats().spool_errors), (0, 0));
}

/// W8: a full spool drops the oldest and puts gaps; nothing else is missing.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_on_disk_leaves_gaps() {
    const FRAMES: u32 = 30_000;
    let (edge, dir) = (FakeEdge::start(1, Faults { busy: 1.0, ..Faults::default() }), tempfile::tempdir().unwrap());
    let (client, witness) = start(on_disk(&edge, dir.path(), 2 << 20)).await;
    let stream = client.open(source(1), 0).unwrap();
    for tick in 0..FRAMES {
        stream.car(&car(tick)).unwrap();
        if tick % 2_000 == 0 {
            until("written", || client.stats().memory_bytes <= 3 << 20).await;
        }
    }
    until("written", || client.stats().memory_bytes <= 1 << 20).await;
    assert!(client.stats().spool_bytes <= 2 << 20);
    edge.state.lock().faults.busy = 0.0;
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| {
        assert!(!s.gaps.is_empty() && s.gaps.iter().all(|g| g.2 == GapReason::SPOOL_FULL.0), "{:?}", s.gaps);
        let dropped = |tick: u32| s.gaps.iter().any(|g| (g.0..g.1).contains(&u64::from(tick)));
        assert_eq!(s.ticks, (0..FRAMES).filter(|t| !dropped(*t)).collect::<Vec<_>>());
        assert!(s.ticks.len() > 5_000, "most of 2 MiB is kept, not {} frames", s.ticks.len());
        assert_eq!(s.holes, []);
    });
    assert!(witness.events.lock().iter().any(|e| matches!(e, Event::Gap { reason: GapReason::SPOOL_FULL, .. })));
}

/// Damaged files cost what is damaged, and say so in the stream.
#[tokio::test(flavor = "multi_thread")]
async fn damage_is_a_gap_in_the_stream() {
    let (edge, dir) = (FakeEdge::start(1, Faults::default()), tempfile::tempdir().unwrap());
    let dead = leave(&edge, dir.path(), 3_000).await;
    let file = &segments(dir.path())[0];
    let mut bytes = std::fs::read(file).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x40;
    std::fs::write(file, bytes).unwrap();
    let (client, witness) = start(on_disk(&edge, dir.path(), 64 << 20)).await;
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(dead, source(1)), |s| {
        let [(first, next, reason)] = s.gaps[..] else { panic!("one gap, not {:?}", s.gaps) };
        assert_eq!((next - first, reason), (5, GapReason::SPOOL_DAMAGED.0));
        let missing: Vec<u32> = (first as u32..next as u32).collect();
        assert_eq!(s.ticks, (0..3_000).filter(|t| !missing.contains(t)).collect::<Vec<_>>());
    });
    assert!(witness.events.lock().iter().any(|e| matches!(e, Event::Gap { reason: GapReason::SPOOL_DAMAGED, .. })));
}

/// A disk that takes nothing costs the spool, not the telemetry.
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_disk_is_told_and_frames_go_on() {
    let (edge, dir) = (FakeEdge::start(1, Faults::default()), tempfile::tempdir().unwrap());
    let (client, _) = start(on_disk(&edge, dir.path(), 64 << 20)).await;
    let folder = std::fs::read_dir(dir.path()).unwrap().next().unwrap().unwrap().path();
    std::fs::remove_dir_all(&folder).unwrap();
    std::fs::write(&folder, "no folder").unwrap();
    let stream = client.open(source(1), 0).unwrap();
    for tick in 0..20_000 {
        stream.car(&car(tick)).unwrap();
        if tick % 100 == 0 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    edge.admitted(&(client.run(), source(1)), |s| assert_eq!(s.ticks, (0..20_000).collect::<Vec<_>>()));
    let stats = client.stats();
    assert!(stats.spool_errors > 0 && stats.last_error.is_some_and(|e| e.contains("spool")));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_client_is_refused() {
    let (edge, dir) = (FakeEdge::start(1, Faults::default()), tempfile::tempdir().unwrap());
    let (client, _) = start(on_disk(&edge, dir.path(), 1 << 20)).await;
    let Err(error) = Client::start(on_disk(&edge, dir.path(), 1 << 20)).await else { panic!("two clients") };
    assert!(matches!(error, StartError::Spool(_)) && error.to_string().contains("in use"), "{error}");
    client.finish(PATIENCE).await;
    assert!(Client::start(on_disk(&edge, dir.path(), 1 << 20)).await.is_ok());
}

/// Crashes, many and cheap: a copy of the folder at any moment is what a crash then would have left.
#[tokio::test(flavor = "multi_thread")]
async fn a_crash_at_any_moment_leaves_a_prefix_and_no_contradiction() {
    let one = seed_asked();
    let crashes = if one.is_some() { 1 } else { number("BOXBOX_SCRIPTS").unwrap_or(200) / 10 };
    let first = one.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("{crashes} crashes from BOXBOX_SEED={first}");
    for seed in first..first + crashes {
        let mut rng = fastrand::Rng::with_seed(seed);
        let mut dose = |most: f64| if rng.bool() { rng.f64() * most } else { 0.0 };
        let faults = Faults {
            close: dose(0.03),
            lose: dose(0.03),
            hole: dose(0.03),
            zombie: dose(0.03),
            log_and_close: dose(0.03),
            ack_delay_ms: dose(60.0) as u64,
            busy: dose(0.8),
            ..Faults::default()
        };
        let (edge, dir, copy) = (FakeEdge::start(seed, faults), tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (before, _) = start(on_disk(&edge, dir.path(), 16 << 20)).await;
        let streams = [before.open(source(1), 0).unwrap(), before.open(source(2), 0).unwrap()];
        let crash_at = rng.u32(1..800);
        for tick in 0..crash_at {
            streams.iter().for_each(|s| s.car(&car(tick)).unwrap());
            if rng.u32(..20) == 0 {
                tokio::time::sleep(Duration::from_millis(rng.u64(..10))).await;
            }
        }
        copy_folder(dir.path(), copy.path());
        let dead = before.run();
        drop((streams, before));
        let (after, _) = start(on_disk(&edge, copy.path(), 16 << 20)).await;
        for n in [1, 2] {
            let stream = after.open(source(n), 0).unwrap();
            (0..100).for_each(|tick| stream.car(&car(tick)).unwrap());
        }
        assert!(after.finish(PATIENCE).await.is_empty(), "BOXBOX_SEED={seed}");
        for n in [1, 2] {
            edge.admitted(&(dead, source(n)), |s| {
                assert_eq!(s.ticks, (0..s.next as u32).collect::<Vec<_>>(), "BOXBOX_SEED={seed}");
                assert_eq!((s.holes.len(), s.gaps.len()), (0, 0), "BOXBOX_SEED={seed} {:?} {:?}", s.holes, s.gaps);
            });
            edge.admitted(&(after.run(), source(n)), |s| assert_eq!(s.ticks, (0..100).collect::<Vec<_>>(), "BOXBOX_SEED={seed}"));
        }
        assert_eq!(edge.state.lock().complaints, [] as [String; 0], "BOXBOX_SEED={seed}");
    }
}

/// As far as it goes: files come and go meanwhile, as they would in a crash.
fn copy_folder(from: &Path, to: &Path) {
    let Ok(entries) = std::fs::read_dir(from) else { return };
    for entry in entries.flatten() {
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            std::fs::create_dir_all(&target).unwrap();
            copy_folder(&entry.path(), &target);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            std::fs::write(target, bytes).unwrap();
        }
    }
}

const CHILD_CONNECT: &str = "BOXBOX_TEST_CHILD_CONNECT";
const CHILD_SPOOL: &str = "BOXBOX_TEST_CHILD_SPOOL";
/// What was taken this long before the kill must be on disk: far more than a write takes.
const WRITTEN_WITHIN: Duration = Duration::from_secs(2);

/// The other role of the test below: sends until it is killed, and says how much it has taken.
async fn child(connect: &str, spool: &str) {
    let config = Config { spool: Spool::Disk { dir: spool.into(), max_bytes: 64 << 20 }, ..quick(connect.parse().unwrap()) };
    let client = Client::start(config).await.unwrap();
    let stream = client.open(source(1), 0).unwrap();
    println!("run {}", stream.run());
    for tick in 0u32.. {
        stream.car(&car(tick)).unwrap();
        if tick % 10 == 9 {
            println!("taken {}", tick + 1);
            std::io::stdout().flush().unwrap();
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }
}

/// A client that is killed at any moment: the next one sends what is missing, and together it is a prefix without holes.
#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_loses_nothing_that_was_written() {
    if let (Ok(connect), Ok(spool)) = (std::env::var(CHILD_CONNECT), std::env::var(CHILD_SPOOL)) {
        return child(&connect, &spool).await;
    }
    let kills = number("BOXBOX_KILLS").unwrap_or(3);
    let ways = [Faults::default(), Faults { ack_delay_ms: 300, ..Faults::default() }, Faults { busy: 1.0, ..Faults::default() }];
    for kill in 0..kills {
        let (edge, dir) = (FakeEdge::start(kill, ways[kill as usize % ways.len()].clone()), tempfile::tempdir().unwrap());
        let mut killed = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "spool::killed_at_any_moment_loses_nothing_that_was_written", "--nocapture"])
            .env(CHILD_CONNECT, edge.connect.to_string())
            .env(CHILD_SPOOL, dir.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(killed.stdout.take().unwrap()).lines();
        let said = tokio::task::spawn_blocking(move || lines.map_while(Result::ok).map(|line| (Instant::now(), line)).collect::<Vec<_>>());
        tokio::time::sleep(WRITTEN_WITHIN + Duration::from_millis(500 + fastrand::u64(..1_500))).await;
        let at = Instant::now();
        killed.kill().unwrap();
        killed.wait().unwrap();
        let said = said.await.unwrap();
        let run: RunId = said.iter().find_map(|(_, l)| l.split_once("run ")).unwrap().1.parse().unwrap();
        let taken = |before: Instant| {
            said.iter().filter(|(t, _)| *t <= before).filter_map(|(_, l)| l.strip_prefix("taken ")?.parse::<u64>().ok()).max().unwrap_or(0)
        };
        let (certain, all) = (taken(at - WRITTEN_WITHIN), taken(at));
        assert!(certain > 0, "{said:?}");
        edge.state.lock().faults = Faults::default();
        let (client, witness) = start(on_disk(&edge, dir.path(), 64 << 20)).await;
        assert!(client.finish(PATIENCE).await.is_empty());
        edge.admitted(&(run, source(1)), |s| {
            assert_eq!(s.ticks, (0..s.next as u32).collect::<Vec<_>>());
            assert!(s.next >= certain, "{} of {certain}, {all} at the end", s.next);
            assert_eq!((s.holes.len(), s.gaps.len()), (0, 0), "{:?}", witness.events.lock());
        });
        assert_eq!(edge.state.lock().complaints, [] as [String; 0]);
        assert_eq!(client.status(), Status::Finished);
        println!("kill {kill}: {all} frames taken, {} arrived", edge.admitted(&(run, source(1)), |s| s.next));
    }
}

/// Long batches, so that records of every length go through the files.
#[tokio::test(flavor = "multi_thread")]
async fn records_of_full_length_go_through_the_files() {
    let (edge, dir) = (FakeEdge::start(1, Faults { busy: 1.0, ..Faults::default() }), tempfile::tempdir().unwrap());
    let batch = Batch { max_frames: u16::MAX, max_delay: Duration::from_secs(10), ..Batch::default() };
    let (client, _) = start(Config { batch, ..on_disk(&edge, dir.path(), 64 << 20) }).await;
    let stream = client.open(source(1), 0).unwrap();
    for tick in 0..40_000 {
        stream.car(&car(tick)).unwrap();
    }
    edge.state.lock().faults.busy = 0.0;
    drop(stream);
    assert!(client.finish(PATIENCE).await.is_empty());
    let records = client.stats().records;
    assert_eq!(records, 40_000u64.div_ceil((32 * 1024 - 64) / 200));
    edge.admitted(&(client.run(), source(1)), |s| assert_eq!(s.ticks, (0..40_000).collect::<Vec<_>>()));
}
