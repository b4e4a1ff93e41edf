//! Sessions leave memory and come back when a record needs them: what is late is judged as before, another owner may take over in between,
//! and what does not fit does no harm.

#![allow(clippy::unwrap_used)] // Unwrapping is how a test says what must be.

mod support;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::memory::MemoryLog;
use boxbox_processor::{Config, Phase, Processor, ProcessorError, PumpStatus, Status};
use boxbox_schemas::event::Closing;
use boxbox_schemas::results::{Lap, Ledger, SessionInfo};
use boxbox_schemas::stamp::{LogRecord, Stamp};
use boxbox_schemas::{LogId, SessionId};
use boxbox_store::memory::{MemoryArchive, MemoryResults};
use boxbox_store::{Beginning, Found, Lease, PartitionState, SessionKey, Sessions, Step, Steps, StoreError, StoredSession};
use boxbox_testkit::wait::{self, PATIENCE};
use bytes::Bytes;
use support::*;
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

struct Running {
    status: Arc<Status>,
    stop: CancellationToken,
    work: JoinHandle<Result<(), ProcessorError>>,
}

fn start(config: Config, log: &MemoryLog, results: impl Steps) -> Running {
    let processor = Processor::new(config, Arc::new(log.clone()), Arc::new(results), Arc::new(MemoryArchive::new()));
    let (status, stop) = (processor.status(), CancellationToken::new());
    Running { status, stop: stop.clone(), work: tokio::spawn(processor.run(stop)) }
}

impl Running {
    async fn until(&self, what: &str, done: impl Fn(&PumpStatus) -> bool) {
        let what = std::fmt::from_fn(|f| write!(f, "{what}: {:?}", self.status.partitions()));
        wait::until(what, || done(&self.status.partitions()[0].results)).await;
    }

    async fn until_committed(&self, log: &MemoryLog) {
        self.until("committed", |s| s.committed == log.records(0).len() as u64).await;
    }

    async fn end(self) {
        self.stop.cancel();
        tokio::time::timeout(PATIENCE, self.work).await.unwrap().unwrap().unwrap();
    }
}

/// Sessions leave as soon as they are closed and idle.
fn leaving() -> Config {
    Config { leave_after: Duration::from_millis(5), ..lasting() }
}

/// The clients' clocks were set in 2023, and no session is retired for that.
fn lasting() -> Config {
    Config { retire_after: Duration::from_secs(1_000 * 365 * 24 * 3_600), ..quick() }
}

/// What readers see of session 1.
async fn seen(results: &MemoryResults) -> (SessionInfo, Vec<Lap>, Vec<Ledger>) {
    let id = session(1);
    let laps = results.laps(&tenant(), &id, &Default::default(), None, 1_000).await.unwrap();
    (results.session(&tenant(), &id).await.unwrap().unwrap(), laps, results.ledgers(&tenant(), &id).await.unwrap())
}

async fn lap_numbers(results: &MemoryResults, id: u128) -> Vec<u32> {
    results.laps(&tenant(), &session(id), &Default::default(), None, 1_000).await.unwrap().iter().map(|lap| lap.number).collect()
}

/// Anna drives; silence closes her session in lap 3, and a close on purpose in lap 4; it is opened again in lap 6. Some records come twice, one
/// too early. Parts of a log: between two of them there is nothing to do.
fn parts() -> Vec<Vec<Bytes>> {
    let anna = Client::laps(1, "anna", 1, 300, 8);
    let at = |lap: usize| anna.len() * lap / 8;
    let part = |from: usize, to: usize, more: &[Bytes]| [&anna[at(from)..at(to)], more].concat();
    vec![
        part(0, 3, &[closing(1, Closing::SILENCE)]),
        part(3, 4, &[anna[at(1)].clone(), closing(1, Closing::ASKED)]),
        vec![before_its_turn(&anna[at(4) + 3], &anna[at(4)]), anna[at(2)].clone()],
        part(4, 5, &[]),
        part(5, 6, &[closing(1, Closing::REOPENED)]),
        part(6, 7, &[closing(1, Closing::ASKED)]),
        vec![closing(1, Closing::REOPENED), closing(1, Closing::ASKED)],
        part(7, 8, &[closing(1, Closing::RETIRED)]),
        vec![anna[at(7)].clone()],
    ]
}

/// `later` as it is sent while `unacked` is not acked yet.
fn before_its_turn(later: &Bytes, unacked: &Bytes) -> Bytes {
    let (later, unacked) = (LogRecord::parse(later.clone()).unwrap(), LogRecord::parse(unacked.clone()).unwrap());
    Stamp { base: unacked.record.prelude().first_seq, ..later.stamp }.seal(later.record.bytes())
}

/// The same as when the sessions stay, whether there is one processor or a new one for each part.
#[tokio::test]
async fn late_records_of_a_session_that_has_left_are_judged_as_before() {
    let stays = Config { leave_after: Duration::from_secs(3_600), ..lasting() };
    let mut found = vec![];
    for (config, anew) in [(stays, false), (leaving(), false), (leaving(), true)] {
        let (log, results) = (inline_log(1), MemoryResults::new());
        let mut running = start(config.clone(), &log, results.clone());
        let mut seen_after = vec![];
        for part in parts() {
            if anew {
                running.end().await;
                running = start(config.clone(), &log, results.clone());
            }
            append(&log, &part);
            running.until_committed(&log).await;
            let state = seen(&results).await;
            if config.leave_after < Duration::from_secs(1) && state.0.closed {
                running.until("left", |s| s.sessions == 0).await;
            }
            seen_after.push(state);
        }
        running.end().await;
        found.push(seen_after);
    }
    let late = |n: usize| found[0][n].2[0].late;
    assert!(late(1) == 0 && late(3) > 0 && late(4) > late(3), "silence makes nothing late, a close on purpose does");
    let early = |n: usize| found[0][n].2[0].early;
    assert!(early(1) == 0 && early(2) > 0 && late(2) == 0, "what comes too early or twice is not late");
    assert!(found[0][4].1.len() > found[0][3].1.len(), "opened again, what was late counts");
    assert_eq!((found[0][8].0.retired, &found[0][8].2), (true, &found[0][7].2), "what comes to a retired session is dropped");
    assert_eq!(found[1], found[0], "leaving and coming back");
    assert_eq!(found[2], found[0], "with a restart in between");
}

/// [`Steps`] that wait before they find a session until there is a permit.
#[derive(Clone)]
struct Slow {
    inner: MemoryResults,
    finds: Arc<Semaphore>,
}

#[async_trait]
impl Steps for Slow {
    async fn acquire(&self, log: &LogId, partition: u32) -> Result<Lease, StoreError> {
        self.inner.acquire(log, partition).await
    }
    async fn begin(&self, lease: &Lease) -> Result<Beginning, StoreError> {
        self.inner.begin(lease).await
    }
    async fn find(&self, lease: &Lease, sessions: &[SessionId], max_bytes: u64) -> Result<Vec<Found>, StoreError> {
        self.finds.acquire().await.unwrap().forget();
        self.inner.find(lease, sessions, max_bytes).await
    }
    async fn closed_before(&self, lease: &Lease, us: i64, limit: u32) -> Result<Vec<SessionKey>, StoreError> {
        self.inner.closed_before(lease, us, limit).await
    }
    async fn load(&self, lease: &Lease) -> Result<PartitionState, StoreError> {
        self.inner.load(lease).await
    }
    async fn stored(&self, session: &SessionId) -> Result<Option<StoredSession>, StoreError> {
        self.inner.stored(session).await
    }
    async fn commit(&self, lease: &Lease, step: &Step) -> Result<(), StoreError> {
        self.inner.commit(lease, step).await
    }
}

/// While a session comes back, another processor takes the partition over: it goes on from what is committed, and the first writes nothing more.
#[tokio::test]
async fn a_take_over_while_a_session_comes_back() {
    let parts = parts();
    let (log, results) = (inline_log(1), MemoryResults::new());
    let slow = Slow { inner: results.clone(), finds: Arc::new(Semaphore::new(1)) };
    let old = start(leaving(), &log, slow.clone());
    append(&log, &parts[0]);
    old.until_committed(&log).await;
    old.until("left", |s| s.sessions == 0).await;
    append(&log, &parts[1]);
    // It waits for the session; the next owner does all.
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(old.status.partitions()[0].results.committed, parts[0].len() as u64);
    let new = start(leaving(), &log, results.clone());
    new.until_committed(&log).await;
    let expected = seen(&results).await;
    assert!(expected.0.closed && !expected.0.provisional);
    slow.finds.add_permits(100);
    let error = tokio::time::timeout(PATIENCE, old.work).await.unwrap().unwrap().unwrap_err();
    assert!(matches!(error, ProcessorError::Store(StoreError::Fenced { .. })), "{error}");
    assert_eq!(seen(&results).await, expected);
    new.end().await;

    let whole = MemoryResults::new();
    let other = inline_log(1);
    append(&other, parts[..2].iter().flatten());
    let undisturbed = start(lasting(), &other, whole.clone());
    undisturbed.until_committed(&other).await;
    undisturbed.end().await;
    assert_eq!(seen(&whole).await, expected);
}

/// Asked to end while the store does not give a session, it ends, and what it has not processed is processed later.
#[tokio::test]
async fn asked_to_end_while_a_session_comes_back_it_ends() {
    let parts = parts();
    let (log, results) = (inline_log(1), support::stores::Faulty::default());
    append(&log, &parts[0]);
    results.fail_finds(100);
    let running = start(leaving(), &log, results.clone());
    running.until("retrying", |s| matches!(&s.phase, Phase::Retrying(why) if why.contains("load a session"))).await;
    running.end().await;
    results.fail_finds(0);
    let running = start(leaving(), &log, results.clone());
    running.until_committed(&log).await;
    running.end().await;
    assert_eq!(lap_numbers(&results.inner, 1).await, [2, 3]);
}

/// `session.park`: it is said, its records are skipped, it can be closed, and the others are as if it were not there.
#[tokio::test]
async fn a_session_that_does_not_fit_is_parked_and_harms_nothing_else() {
    let (log, results) = (inline_log(1), MemoryResults::new());
    let (anna, bert) = (Client::laps(1, "anna", 1, 300, 30), Client::laps(2, "bert", 1, 300, 4));
    let (now, later) = anna.split_at(anna.len() * 2 / 3);
    append(&log, now);
    let running = start(leaving(), &log, results.clone());
    running.until_committed(&log).await;
    running.end().await;
    let before = seen(&results).await;

    let small = Config { session_max_bytes: 60_000, ..leaving() };
    let running = start(small, &log, results.clone());
    append(&log, later[..100].iter().chain(&bert));
    running.until_committed(&log).await;
    assert_eq!(running.status.partitions()[0].results.parked, [session(1)]);
    assert!(running.status.ready(), "the others are processed");
    assert_eq!(seen(&results).await, before);
    assert_eq!(lap_numbers(&results, 2).await, [2, 3, 4]);
    append(&log, &[closing(1, Closing::ASKED)]);
    running.until_committed(&log).await;
    let closed = seen(&results).await;
    assert_eq!((closed.0.closed, closed.0.provisional, &closed.1, &closed.2), (true, false, &before.1, &before.2));
    append(&log, &[closing(1, Closing::REOPENED)]);
    running.until_committed(&log).await;
    running.end().await;
    assert_eq!(seen(&results).await.1, before.1);

    // With more memory it goes on; what was skipped is missing, and its account says so.
    let running = start(leaving(), &log, results.clone());
    append(&log, &later[100..]);
    running.until_committed(&log).await;
    assert_eq!(running.status.partitions()[0].results.parked, []);
    running.end().await;
    let (_, laps, ledgers) = seen(&results).await;
    assert!(laps.len() > before.1.len() && laps[..before.1.len() - 1] == before.1[..before.1.len() - 1]);
    assert!(ledgers[0].balances());

    let running = start(Config { session_max_bytes: 60_000, ..leaving() }, &log, results.clone());
    append(&log, &[closing(1, Closing::RETIRED)]);
    running.until_committed(&log).await;
    running.until("left", |s| s.parked.is_empty() && s.sessions == 0).await;
    running.end().await;
    assert!(seen(&results).await.0.retired);
}

/// More open sessions than there is room for: they take turns, silence closes those that are away too, and the results are the same.
#[tokio::test]
async fn open_sessions_take_turns_in_little_memory() {
    let cars: Vec<Vec<Bytes>> = (1..=20).map(|id| Client::laps(id, "anna", 1, 300, 3)).collect();
    let mut records = vec![];
    for n in 0..cars.iter().map(Vec::len).max().unwrap() {
        records.extend(cars.iter().filter_map(|car| car.get(n)).cloned());
    }
    let (log, results) = (inline_log(1), MemoryResults::new());
    append(&log, &records);
    // Room for a few of them.
    let config = Config { session_max_bytes: 120_000, close_after: Duration::from_millis(400), read_bytes: 20_000, ..lasting() };
    let running = start(config, &log, results.clone());
    running.until("level", |s| s.committed >= records.len() as u64).await;
    running.until("few are in memory", |s| s.sessions < 15).await;
    wait::until_some("all are closed", async || {
        let all = results.sessions(&tenant(), None, 100).await.unwrap();
        (all.len() == 20 && all.iter().all(|s| s.closed && s.provisional)).then_some(())
    })
    .await;
    assert_eq!(log.records(0).len(), records.len() + 20, "each is closed once");
    assert_eq!(running.status.partitions()[0].results.parked, []);
    running.end().await;
    for id in 1..=20 {
        assert_eq!(lap_numbers(&results, id).await, [2, 3], "session {id}");
        assert_eq!(results.ledgers(&tenant(), &session(id)).await.unwrap()[0].late, 0);
    }
}
