//! Processes that write, are killed at any moment, and write at once: what they leave agrees with itself.

use std::io::{BufRead, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use boxbox_schemas::league::{IdempotencyKey, Write, Written};

use super::samples::*;
use crate::suite::samples::tenant;
use crate::{Leagues, check_ledger};

/// What a child process is told: the store, then the name and number of its writes.
const CHILD: &str = "BOXBOX_TEST_CHILD";
const ACTS_PER_WRITE: u64 = 2;

/// Kills 20 processes: 6 at points within and behind a write, the others at a random moment.
pub(crate) async fn killed_processes_leave_nothing_half_done<S: Leagues>(child: &str, place: &str, open: impl AsyncFn() -> S) {
    let points = ["league-acts:2", "league-rest:2", "league-committed:2", "league-acts:5", "league-rest:3", "league-committed:1"];
    let mut rng = fastrand::Rng::new();
    let mut before = 0;
    for n in 0..20 {
        let point = points.get(n).copied().unwrap_or_default();
        let mut process = start(child, place, &format!("k{n} 1000000"), point);
        let mut told = BufReader::new(process.stdout.take().unwrap()).lines().map_while(Result::ok).filter_map(|line| line.parse::<u64>().ok());
        let mut confirmed = before;
        if point.is_empty() {
            // It writes: the moment of its death lies within one of the next writes.
            confirmed = told.next().expect("the child writes");
            std::thread::sleep(Duration::from_micros(rng.u64(0..20_000)));
            process.kill().unwrap();
        }
        confirmed = told.last().unwrap_or(confirmed);
        let died = process.wait().unwrap();
        assert!(!died.success() && died.code().is_none(), "{point}: {died}");
        let head = check(&open().await).await;
        let most = confirmed + ACTS_PER_WRITE;
        assert!((confirmed..=most).contains(&head), "{n} {point}: act {head} is the last, and {confirmed} was confirmed");
        assert!(head >= before, "{n} {point}: {head} after {before}");
        before = head;
    }
    assert!(before > 20, "only {before} acts: the processes died before they wrote");
}

/// Three processes write to one league at once, each all that it wants: every act is there once, in one chain.
pub(crate) async fn processes_at_once_lose_nothing<S: Leagues>(child: &str, place: &str, open: impl AsyncFn() -> S) {
    const WRITES: u64 = 12;
    let processes: Vec<Child> = (0..3).map(|n| start(child, place, &format!("p{n} {WRITES}"), "")).collect();
    for process in processes {
        let ended = process.wait_with_output().unwrap();
        assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    }
    let store = open().await;
    assert_eq!(check(&store).await, 3 * WRITES * ACTS_PER_WRITE);
    let bodies = Dump::of_1(&store).await.acts.into_iter().map(|act| act.body).collect::<std::collections::BTreeSet<_>>();
    assert_eq!(bodies.len() as u64, 3 * WRITES * ACTS_PER_WRITE);
}

fn start(child: &str, place: &str, arguments: &str, crash_at: &str) -> Child {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([child, "--exact", "--ignored", "--nocapture"]).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env(CHILD, format!("{place}\n{arguments}")).env("BOXBOX_CRASH_AT", crash_at).spawn().unwrap()
}

/// What the child process of the tests above does. `None`: this is no child process.
pub(crate) fn told() -> Option<(String, String)> {
    let told = std::env::var(CHILD).ok()?;
    told.split_once('\n').map(|(place, arguments)| (place.to_owned(), arguments.to_owned()))
}

/// Write so often, and say after each write with which act the ledger ends.
pub(crate) async fn writes(store: &impl Leagues, arguments: &str) {
    let (name, count) = arguments.split_once(' ').unwrap();
    for n in 0..count.parse::<u64>().unwrap() {
        let head = loop {
            let head = store.head(&tenant("a"), &league(1)).await.unwrap().unwrap_or_default().seq;
            match store.write(&numbered(head, &format!("{name}-{n}"))).await {
                Ok(Written::Now(head)) => break head.seq,
                Ok(Written::Before(answer)) => break answer.parse().unwrap(),
                Ok(Written::Conflict(_)) => {}
                Err(e) if e.is_retryable() => {}
                other => panic!("{other:?}"),
            }
        };
        // A line in one call, so that no half line is left.
        std::io::stdout().write_all(format!("\n{head}\n").as_bytes()).unwrap();
        std::io::stdout().flush().unwrap();
    }
}

/// A write in which everything says which act is its last.
fn numbered(head: u64, name: &str) -> Write {
    let seq = head + ACTS_PER_WRITE;
    let mut write = of_everything(head);
    write.key = Some(IdempotencyKey { answer: seq.to_string(), ..key(name, 1) });
    for (n, act) in write.acts.iter_mut().enumerate() {
        act.body = format!("\"{name} {n}\"");
    }
    write.docs = (0..4).map(|n| doc(n, seq)).collect();
    write.texts = vec![text(seq as u8, &format!("p-{seq}"))];
    write.facts = vec![facts(100 + seq)];
    write
}

/// Checks that all parts of the league say the same; returns the number of its last act.
async fn check(store: &impl Leagues) -> u64 {
    let (me, home) = (tenant("a"), league(1));
    // A server may still be ending the transaction of a process that was killed.
    let (head, dump) = loop {
        let head = store.head(&me, &home).await.unwrap();
        let dump = Dump::of_1(store).await;
        if store.head(&me, &home).await.unwrap() == head {
            break (head.unwrap_or_default(), dump);
        }
    };
    assert_eq!(check_ledger(store, &me, &home).await.unwrap(), Ok(head));
    let writes = head.seq / ACTS_PER_WRITE;
    assert_eq!((dump.acts.len() as u64, dump.texts.len() as u64, dump.revisions.len() as u64), (head.seq, writes, 2 * writes));
    assert!(dump.docs.iter().all(|doc| doc.seq == head.seq) && (dump.docs.len() == 4 || writes == 0), "{head:?}: {:?}", dump.docs);
    for seq in (1..=writes).map(|n| n * ACTS_PER_WRITE) {
        assert!(store.facts(&me, &home, &digest(100 + seq)).await.unwrap().is_some());
        assert!(dump.texts.iter().any(|text| text.owner == format!("p-{seq}")));
        let name = dump.acts[seq as usize - 1].body.trim_matches('"').split(' ').next().unwrap_or_default().to_owned();
        let answered = store.answered(&me, &home, "p-1", &name).await.unwrap();
        assert_eq!(answered.map(|(_, answer)| answer), Some(seq.to_string()));
    }
    head.seq
}
