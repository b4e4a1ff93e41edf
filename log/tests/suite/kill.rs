//! A process that appends to a log in a folder is killed at a random moment: every record that was confirmed as durable is there.
//!
//! Rounds and seed are those of [`boxbox_testkit::campaign`].

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use boxbox_log::embedded::{EmbeddedLog, Options};
use boxbox_log::{Completion, Completions, Log, Outcome, Ticket};
use boxbox_testkit::campaign::{rounds, seeded};
use boxbox_testkit::wait::PATIENCE;

use crate::bed::{key, read, record};

const CHILD: &str = "BOXBOX_LOG_KILL_CHILD";
const PARTITIONS: u32 = 2;

fn options() -> Options {
    // Small segments: kills also hit the change from one to the next.
    Options { partitions: Some(PARTITIONS), segment_bytes: 512 << 10, ..Options::default() }
}

fn length(mark: u64) -> usize {
    16 + (mark * 7_919 % 3_000) as usize
}

#[test]
fn a_killed_process_loses_no_confirmed_record() {
    if let Ok(child) = std::env::var(CHILD) {
        return append_until_killed(&child);
    }
    let mut dice = seeded("kill::a_killed_process_loses_no_confirmed_record");
    let folder = tempfile::tempdir().unwrap();
    let mut confirmed = BTreeMap::new();
    for round in 0..u64::from(rounds()) {
        let before = confirmed.len();
        kill_one(folder.path(), round, Duration::from_millis(dice.u64(0..600)), &mut confirmed);
        eprintln!("round {round}: {} records were confirmed as durable before the kill", confirmed.len() - before);
        assert!(confirmed.len() > before, "the child appended");
        check(folder.path(), &confirmed);
    }
}

type Confirmed = BTreeMap<(u32, u64), (u64, u64)>;

/// Start a child, kill it `after` its first ack, and note all that it said.
fn kill_one(folder: &std::path::Path, round: u64, after: Duration, confirmed: &mut Confirmed) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "kill::a_killed_process_loses_no_confirmed_record", "--nocapture"])
        .env(CHILD, format!("{round} {}", folder.display()))
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut out = BufReader::new(child.stdout.take().unwrap());
    let (acked, first) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        while out.read_line(&mut text).unwrap() > 0 {
            if text.ends_with('\n') && text.contains("acked ") {
                let _ = acked.send(());
            }
        }
        text
    });
    first.recv_timeout(PATIENCE).expect("the child appends");
    std::thread::sleep(after);
    child.kill().unwrap();
    child.wait().unwrap();
    let text = reader.join().unwrap();
    // The last line may be cut.
    for line in text.rsplit_once('\n').map_or("", |(whole, _)| whole).lines() {
        let Some(numbers) = line.strip_prefix("acked ") else { continue };
        let mut numbers = numbers.split(' ').map(|n| n.parse::<u64>().unwrap());
        let mut next = || numbers.next().unwrap();
        let (partition, offset, owner, mark) = (next() as u32, next(), next(), next());
        assert_eq!(confirmed.insert((partition, offset), (owner, mark)), None, "an offset is confirmed once");
    }
}

fn check(folder: &std::path::Path, confirmed: &Confirmed) {
    let log = EmbeddedLog::open(folder, options()).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    runtime.block_on(async {
        let mut found = 0;
        for partition in 0..PARTITIONS {
            let bounds = log.bounds(partition).await.unwrap();
            let mut reader = log.reader(partition, 0).await.unwrap();
            for entry in read(&mut *reader, bounds.end as usize).await {
                if let Some((owner, mark)) = confirmed.get(&(partition, entry.offset)) {
                    assert_eq!(entry.record, record(*owner, *mark, length(*mark)), "partition {partition} offset {}", entry.offset);
                    found += 1;
                }
            }
        }
        assert_eq!(found, confirmed.len(), "every record that was confirmed as durable is there");
    });
}

/// Says what is durable, one line each, in one write for a batch.
struct Sayer;

impl Completions for Sayer {
    fn completed(&self, batch: &[Completion]) {
        let mut text = String::new();
        for Completion { ticket, partition, outcome } in batch {
            let Outcome::Durable(offset) = outcome else { panic!("{outcome:?}") };
            text += &format!("acked {partition} {offset} {} {}\n", ticket.owner, ticket.mark);
        }
        std::io::stdout().lock().write_all(text.as_bytes()).unwrap();
    }
}

fn append_until_killed(child: &str) {
    let (round, folder) = child.split_once(' ').unwrap();
    let owner: u64 = round.parse().unwrap();
    let log = EmbeddedLog::open(folder, options()).unwrap();
    let writer = log.writer(Arc::new(Sayer)).unwrap();
    for mark in 0.. {
        let ticket = Ticket { owner, mark };
        while writer.append((mark % u64::from(PARTITIONS)) as u32, key(owner), record(owner, mark, length(mark)), ticket).is_err() {
            std::thread::sleep(Duration::from_millis(1));
        }
        if mark % 64 == 0 {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
