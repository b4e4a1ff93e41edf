//! What is special to logs in folders: refusals, full disks, failed syncs, retention.

use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use boxbox_schemas::SessionId;
use boxbox_testkit::wait::{PATIENCE, block_until};
use bytes::Bytes;
use parking_lot::Mutex;

use super::{EmbeddedLog, Options};
use crate::heard::Heard;
use crate::{AppendError, Completion, Completions, Log, LogError, Outcome, Ticket, Writer};

/// Options of a test: no process ends in it.
pub(super) fn options(partitions: u32) -> Options {
    Options {
        partitions: Some(partitions),
        commit_every: Duration::from_micros(1),
        on_fatal: Arc::new(|what| panic!("{what}")),
        ..Options::default()
    }
}

/// All records of a partition.
pub(super) fn read_all(log: &EmbeddedLog, partition: u32) -> Vec<Bytes> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let bounds = log.bounds(partition).await.unwrap();
        let mut reader = log.reader(partition, bounds.start).await.unwrap();
        let (mut all, mut next) = (Vec::new(), bounds.start);
        while next < bounds.end {
            for entry in reader.next(usize::MAX, PATIENCE).await.unwrap() {
                assert_eq!(entry.offset, next, "offsets are gapless here");
                next += 1;
                all.push(entry.record);
            }
        }
        all
    })
}

fn append(writer: &dyn Writer, mark: u64, length: usize) {
    writer.append(0, SessionId::default(), Bytes::from(vec![mark as u8; length]), Ticket { owner: 0, mark }).unwrap();
}

fn fill(log: &EmbeddedLog, records: u64, length: usize) {
    let heard = Arc::new(Heard::default());
    let writer = log.writer(heard.clone()).unwrap();
    for mark in 0..records {
        append(&*writer, mark, length);
        heard.wait(mark as usize + 1);
    }
    heard.all_durable();
}

fn refusal(folder: &std::path::Path, options: Options) -> LogError {
    EmbeddedLog::open(folder, options).err().expect("it is refused")
}

#[test]
fn a_folder_in_use_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), options(1)).unwrap();
    let error = refusal(folder.path(), options(1));
    let text = error.to_string();
    assert!(matches!(error, LogError::Mismatch(_)));
    assert!(text.contains(&folder.path().display().to_string()) && text.contains(&format!("pid {}", std::process::id())), "{text}");
    // A reader alone keeps it; then it is free.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let reader = runtime.block_on(log.reader(0, 0)).unwrap();
    drop(log);
    refusal(folder.path(), options(1));
    drop(reader);
    EmbeddedLog::open(folder.path(), options(1)).unwrap();
}

#[test]
fn what_is_not_this_log_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let small = |partitions| Options { segment_bytes: 8 << 10, ..options(partitions) };
    fill(&EmbeddedLog::open(folder.path(), small(2)).unwrap(), 40, 1_000);
    assert!(refusal(folder.path(), options(3)).to_string().contains("has 2 partitions, not 3"));
    EmbeddedLog::open(folder.path(), Options { partitions: None, ..small(2) }).unwrap();

    let (meta, other) = (folder.path().join("log.json"), folder.path().join("kept"));
    let text = fs::read_to_string(&meta).unwrap();
    let refused_with = |text: &str| {
        fs::write(&meta, text).unwrap();
        refusal(folder.path(), small(2)).to_string()
    };
    assert!(refused_with(&text.replace("\"version\": 1", "\"version\": 2")).contains("version 2; this build reads version 1"));
    assert!(refused_with(&text.replace("\"partitions\": 2", "\"partitions\": 1")).contains("checksum"));
    assert!(refused_with("{").contains("damaged"));
    fs::remove_file(&meta).unwrap();
    assert!(refusal(folder.path(), small(2)).to_string().contains("no log.json"));
    fs::write(&meta, &text).unwrap();

    fs::rename(folder.path().join("0001"), &other).unwrap();
    assert!(refusal(folder.path(), small(2)).to_string().contains("its partition folders are [0]"));
    fs::rename(&other, folder.path().join("0001")).unwrap();
    fs::create_dir(folder.path().join("0002")).unwrap();
    assert!(refusal(folder.path(), small(2)).to_string().contains("[0, 1, 2]"));
    fs::remove_dir(folder.path().join("0002")).unwrap();

    // A segment that is gone: in the middle, the last, all.
    let mut segments: Vec<_> = fs::read_dir(folder.path().join("0000")).unwrap().map(|e| e.unwrap().path()).collect();
    segments.retain(|p| p.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    assert!(segments.len() >= 4);
    for missing in [&segments[1..2], &segments[segments.len() - 1..], &segments[..]] {
        for path in missing {
            fs::rename(path, path.with_extension("away")).unwrap();
        }
        let error = refusal(folder.path(), small(2));
        assert!(matches!(error, LogError::Damaged { partition: 0, .. }) && error.to_string().contains("missing"), "{error}");
        for path in missing {
            fs::rename(path.with_extension("away"), path).unwrap();
        }
    }
    assert_eq!(read_all(&EmbeddedLog::open(folder.path(), small(2)).unwrap(), 0).len(), 40);
}

#[test]
fn a_crash_between_two_segments_is_gone_on_from() {
    let folder = tempfile::tempdir().unwrap();
    let small = || Options { segment_bytes: 8 << 10, ..options(1) };
    let partition = folder.path().join("0000");
    fill(&EmbeddedLog::open(folder.path(), small()).unwrap(), 20, 1_000);
    // Sealed, and the next was never named; a prepared file is left over.
    let mut segments: Vec<_> = fs::read_dir(&partition).unwrap().map(|e| e.unwrap().path()).collect();
    segments.retain(|p| p.extension().is_some_and(|e| e == "seg"));
    segments.sort();
    let last = segments.pop().unwrap();
    let records_before = super::segment::base_of(&last).unwrap();
    fs::rename(&last, partition.join("segment.next")).unwrap();
    fs::remove_file(partition.join("commit")).unwrap();
    let log = EmbeddedLog::open(folder.path(), small()).unwrap();
    assert_eq!(read_all(&log, 0).len() as u64, records_before);
    fill(&log, 5, 1_000);
    drop(log);
    // Named, and its header never written.
    let log = EmbeddedLog::open(folder.path(), small()).unwrap();
    assert_eq!(read_all(&log, 0).len() as u64, records_before + 5);
}

#[test]
fn after_a_failed_sync_a_partition_takes_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let fatal = Arc::new(AtomicUsize::new(0));
    let counted = fatal.clone();
    let count = move |_: &str| {
        counted.fetch_add(1, Ordering::Relaxed);
    };
    let setup = Options { on_fatal: Arc::new(count), ..options(2) };
    let faults = setup.faults.clone();
    let log = EmbeddedLog::open(folder.path(), setup).unwrap();
    let heard = Arc::new(Heard::default());
    let writer = log.writer(heard.clone()).unwrap();
    append(&*writer, 0, 100);
    heard.wait(1);
    faults.fail_sync.store(true, Ordering::Relaxed);
    append(&*writer, 1, 100);
    heard.wait(2);
    assert_eq!(heard.outcomes(), [Outcome::Durable(0), Outcome::Failed]);
    let refused = || writer.append(0, SessionId::default(), Bytes::from_static(b"x"), Ticket::default());
    assert!(matches!(refused(), Err(AppendError::Closed(_))));
    faults.fail_sync.store(false, Ordering::Relaxed);
    assert!(matches!(refused(), Err(AppendError::Closed(_))), "for good: nobody knows what is on disk");
    assert_eq!(read_all(&log, 0).len(), 1);
    drop((writer, log));
    assert_eq!(fatal.load(Ordering::Relaxed), 1);
    let kept = read_all(&EmbeddedLog::open(folder.path(), options(2)).unwrap(), 0).len();
    assert!((1..=2).contains(&kept), "the failed record may be there or not");
}

#[test]
fn acks_resume_when_there_is_space_again() {
    let folder = tempfile::tempdir().unwrap();
    let setup = Options { segment_bytes: 8 << 10, space_patience: Duration::from_millis(600), ..options(1) };
    let faults = setup.faults.clone();
    let log = EmbeddedLog::open(folder.path(), setup).unwrap();
    let heard = Arc::new(Heard::default());
    let writer = log.writer(heard.clone()).unwrap();
    faults.no_space.store(true, Ordering::Relaxed);
    let mut mark = 0;
    while !heard.outcomes().contains(&Outcome::Failed) {
        append(&*writer, mark, 1_000);
        mark += 1;
        heard.wait(mark as usize);
    }
    assert!(mark > 3, "the segment is used to its end");
    // Held, not failed, while there is hope; then durable.
    append(&*writer, mark, 1_000);
    std::thread::sleep(Duration::from_millis(50));
    faults.no_space.store(false, Ordering::Relaxed);
    let began = Instant::now();
    heard.wait(mark as usize + 1);
    assert!(began.elapsed() < Duration::from_secs(10));
    assert_eq!(heard.outcomes().last(), Some(&Outcome::Durable(mark - 1)), "the failed record took no offset");
    drop((writer, log));
    assert_eq!(read_all(&EmbeddedLog::open(folder.path(), options(1)).unwrap(), 0).len() as u64, mark);
}

#[test]
fn old_segments_go_and_the_rest_is_gapless() {
    let folder = tempfile::tempdir().unwrap();
    let setup = || Options { segment_bytes: 16 << 10, retention_bytes: Some(64 << 10), ..options(1) };
    let log = EmbeddedLog::open(folder.path(), setup()).unwrap();
    fill(&log, 300, 1_000);
    let kept = read_all(&log, 0).len();
    assert!((30..=64).contains(&kept), "{kept}");
    drop(log);
    let log = EmbeddedLog::open(folder.path(), setup()).unwrap();
    assert_eq!(read_all(&log, 0).len(), kept, "the same after a restart");
    drop(log);
    std::thread::sleep(Duration::from_millis(5));
    let aged = Options { retention_age: Some(Duration::from_millis(1)), ..setup() };
    let log = EmbeddedLog::open(folder.path(), aged).unwrap();
    assert!(read_all(&log, 0).len() < 20, "all but the segment that is written to are too old");
    fill(&log, 1, 1_000);
}

/// What is not processed yet stays, however large and old it is; what was released goes by size and by age, and by age only if the clock
/// can be believed. What is kept can be seen.
#[test]
fn only_what_was_released_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let now_us = Arc::new(Mutex::new(Some(crate::memory::now_us())));
    let clock = now_us.clone();
    let setup = Options {
        segment_bytes: 16 << 10,
        retention_bytes: Some(64 << 10),
        retention_age: Some(Duration::from_secs(3_600)),
        retain_unreleased: true,
        retention_every: Duration::from_millis(1),
        clock: Arc::new(move || *clock.lock()),
        ..options(1)
    };
    let log = EmbeddedLog::open(folder.path(), setup.clone()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let start = || runtime.block_on(log.bounds(0)).unwrap().start;
    // Retention comes after a batch was delivered.
    let fill_until = |what: &str, done: &dyn Fn(u64) -> bool| {
        fill(&log, 1, 1_000);
        block_until(what, || done(start()));
        std::thread::sleep(Duration::from_millis(50));
        assert!(done(start()), "{what}: {}", start());
    };
    fill(&log, 300, 1_000);
    let later = |days: i64| crate::memory::now_us() + days * 86_400_000_000;
    *now_us.lock() = Some(later(40));
    fill_until("nobody has processed any of it", &|start| start == 0);
    let kept = log.kept().unwrap();
    assert!(kept.bytes > 300_000 && kept.oldest_us <= crate::memory::now_us());
    // By size, and not past what was released: a segment holds fifteen.
    *now_us.lock() = None;
    log.release(0, 150);
    fill_until("whole segments below 150 are gone", &|start| (130..=150).contains(&start));
    log.release(0, 300);
    fill_until("it is as large as it may be", &|start| (303 - 64..=303 - 30).contains(&start));
    // The clock is believed again, and everything that is sealed and released is old by it.
    *now_us.lock() = Some(later(40));
    fill_until("all that was released is old", &|start| (280..=300).contains(&start));
    // A release never goes back, and a start begins with none.
    log.release(0, 5);
    let before = start();
    drop(log);
    let log = EmbeddedLog::open(folder.path(), setup).unwrap();
    fill(&log, 200, 1_000);
    std::thread::sleep(Duration::from_millis(50));
    assert_eq!(read_all(&log, 0).len() as u64, 304 + 200 - before);
}

/// A log that may be small has small segments: it keeps its size although each partition needs one to write to.
#[test]
fn a_small_log_keeps_its_size() {
    let folder = tempfile::tempdir().unwrap();
    let log = EmbeddedLog::open(folder.path(), Options { retention_bytes: Some(64 << 20), ..options(4) }).unwrap();
    assert!(log.kept().unwrap().bytes <= 4 * (4 << 20), "{:?}", log.kept());
    fill(&log, 600, 30_000);
    assert!(log.kept().unwrap().bytes <= 64 << 20, "{:?}", log.kept());
}

#[test]
fn a_partition_whose_outcomes_nobody_can_hear_is_reported() {
    struct Deaf;
    impl Completions for Deaf {
        fn completed(&self, _: &[Completion]) {
            panic!("a test wants this to panic");
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (report, reported) = std::sync::mpsc::channel();
    let report = Mutex::new(report);
    let setup = Options { on_fatal: Arc::new(move |what| report.lock().send(what.to_owned()).unwrap()), ..options(1) };
    let log = EmbeddedLog::open(folder.path(), setup).unwrap();
    let writer = log.writer(Arc::new(Deaf)).unwrap();
    append(&*writer, 0, 100);
    assert!(reported.recv_timeout(PATIENCE).unwrap().contains("panicked"));
    let refused = writer.append(0, SessionId::default(), Bytes::from_static(b"x"), Ticket::default());
    assert!(matches!(refused, Err(AppendError::Closed(_))));
}

/// A start that fails for want of space leaves nothing of what it has reserved.
#[test]
fn a_new_log_that_cannot_be_made_gives_back_what_it_reserved() {
    let folder = tempfile::tempdir().unwrap();
    let options = || Options { partitions: Some(4), segment_bytes: 1 << 20, ..Options::default() };
    let bytes = || {
        let parts = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().path()).filter(|path| path.is_dir());
        let files = parts.flat_map(|part| std::fs::read_dir(part).unwrap().map(|e| e.unwrap().metadata().unwrap()).collect::<Vec<_>>());
        files.filter(std::fs::Metadata::is_file).map(|meta| meta.len()).sum::<u64>()
    };
    drop(EmbeddedLog::open(folder.path(), options()).unwrap());
    assert!(bytes() > 4 << 20);
    for part in 0..4 {
        for file in std::fs::read_dir(folder.path().join(format!("{part:04}"))).unwrap() {
            std::fs::remove_file(file.unwrap().path()).unwrap();
        }
    }
    // The third cannot be reserved.
    let obstacle = folder.path().join("0002").join(super::recover::NEXT_FILE);
    std::fs::create_dir(&obstacle).unwrap();
    assert!(EmbeddedLog::open(folder.path(), options()).is_err());
    assert!(bytes() < 1 << 20, "{} bytes are left", bytes());
    std::fs::remove_dir(&obstacle).unwrap();
    drop(EmbeddedLog::open(folder.path(), options()).unwrap());
}

#[test]
fn a_disk_that_is_too_small_is_said_once_with_numbers() {
    let folder = tempfile::tempdir().unwrap();
    let options = Options { partitions: Some(4), segment_bytes: 1 << 20, ..Options::default() };
    options.faults.no_space.store(true, Ordering::Relaxed);
    let Err(error) = EmbeddedLog::open(folder.path(), options) else { panic!("there was room") };
    let said = error.to_string();
    assert!(said.contains("needs 8 MiB of free space and has "), "{said}");
    assert_eq!(said.matches("needs").count(), 1, "{said}");
}
