//! A disk that is really full: a small file system in memory, which takes root to mount.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use boxbox_log::embedded::{EmbeddedLog, Options};
use boxbox_log::{Log, Outcome, Ticket};
use boxbox_testkit::not_run;
use boxbox_testkit::wait::PATIENCE;

use crate::bed::{Heard, append, key, read, record};

struct Mounted<'a>(&'a Path);

impl Drop for Mounted<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0).status();
    }
}

fn options() -> Options {
    Options { partitions: Some(1), segment_bytes: 1 << 20, space_patience: Duration::from_millis(500), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_acks_and_nothing_else_and_they_resume() {
    let folder = tempfile::tempdir().unwrap();
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=4m", "boxbox-test"]).arg(folder.path()).output();
    if !mounted.is_ok_and(|out| out.status.success()) {
        return not_run("log full_disk::a_full_disk_stops_acks_and_nothing_else_and_they_resume", "mounting a small file system needs root");
    }
    let _mounted = Mounted(folder.path());
    let path = folder.path().join("log");
    let log = EmbeddedLog::open(&path, options()).unwrap();
    // Room for one more segment, and then none.
    let ballast = folder.path().join("ballast");
    std::fs::write(&ballast, vec![1; 1_700_000]).unwrap();
    let heard = Heard::new();
    let writer = log.writer(heard.clone()).unwrap();
    let mut marks = 0;
    while heard.so_far().iter().all(|c| c.outcome != Outcome::Failed) {
        append(&*writer, 0, 1, marks, 8_000).await;
        marks += 1;
        assert!(marks < 1_000, "the disk becomes full");
        heard.exactly(marks as usize).await;
    }
    std::fs::remove_file(&ballast).unwrap();
    let began = Instant::now();
    loop {
        append(&*writer, 0, 1, marks, 8_000).await;
        marks += 1;
        if let Some(Outcome::Durable(_)) = heard.exactly(marks as usize).await.last().map(|c| c.outcome) {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "acks resume");
    }
    // The product's promise is 2 s; a test on a shared machine leaves room.
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    drop((writer, log));

    let log = EmbeddedLog::open(&path, options()).unwrap();
    let durable: Vec<_> = heard.so_far().into_iter().filter(|c| c.outcome != Outcome::Failed).collect();
    let mut reader = log.reader(0, 0).await.unwrap();
    for (entry, c) in read(&mut *reader, durable.len()).await.iter().zip(&durable) {
        assert_eq!((Outcome::Durable(entry.offset), &entry.record), (c.outcome, &record(1, c.ticket.mark, 8_000)));
    }
    let writer = log.writer(heard.clone()).unwrap();
    assert_eq!(writer.append(0, key(1), record(1, marks, 100), Ticket { owner: 1, mark: marks }), Ok(()));
    heard.exactly(marks as usize + 1).await;
}
