//! The reference log: records in memory, with faults on request. For tests and experiments.
//!
//! ```
//! use boxbox_log::memory::MemoryLog;
//! let log = MemoryLog::new(4);
//! log.fail_next(1);            // the next record is not stored, and its outcome is `Failed`
//! log.stall(true);             // nothing completes until `stall(false)`
//! ```
//! Clones share one log, so that a test can keep a clone to control it. No record is removed unless
//! [`MemoryLog::remove_below`] is called.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use boxbox_schemas::{LogId, SessionId};
use bytes::Bytes;
use parking_lot::{Condvar, Mutex};
use tokio::sync::watch;

use crate::outcomes::{Outcomes, Pending, WriterShared};
use crate::{AppendError, Bounds, Completions, Entry, Limits, Log, LogError, Offset, Outcome, Reader, Ticket, Writer};

/// A log in memory. See the [module](self).
#[derive(Clone)]
pub struct MemoryLog {
    handle: Arc<Handle>,
}

impl MemoryLog {
    /// A log with a fresh id, default limits, and its own thread for outcomes, as real logs have.
    pub fn new(partitions: u32) -> Self {
        Self::with_limits(partitions, Limits::default())
    }

    /// The same with other limits for each writer.
    pub fn with_limits(partitions: u32, limits: Limits) -> Self {
        let log = Self::build(partitions, limits, false);
        let core = log.handle.core.clone();
        // The thread ends when the log and its writers are dropped; nothing needs to join it.
        std::thread::Builder::new().name("memory-log".into()).spawn(move || core.serve()).expect("a test process can start a thread");
        log
    }

    /// A log without a thread: outcomes are delivered inside `append` (and inside the calls that end a stall). For
    /// deterministic simulations; the caller must hold no lock that its [`Completions`] takes.
    pub fn inline(partitions: u32, limits: Limits) -> Self {
        Self::build(partitions, limits, true)
    }

    fn build(partitions: u32, limits: Limits, inline: bool) -> Self {
        assert!(partitions >= 1, "a log has at least one partition");
        let core = Core {
            id: LogId(format!("memory:{}", uuid::Uuid::new_v4())),
            limits,
            inline,
            state: Mutex::new(State {
                partitions: (0..partitions).map(|_| Partition::default()).collect(),
                faults: VecDeque::new(),
                closed: None,
                ended: false,
            }),
            wake: Condvar::new(),
            outcomes: Mutex::new(Outcomes::default()),
            ends: (0..partitions).map(|_| watch::Sender::new(0)).collect(),
        };
        Self { handle: Arc::new(Handle { core: Arc::new(core) }) }
    }

    /// The next `n` records, of any partition, are not stored: their outcome is [`Outcome::Failed`].
    pub fn fail_next(&self, n: usize) {
        self.fault(Fault::Fail, n);
    }

    /// The next `n` records are stored, yet their outcome is [`Outcome::Failed`]: the answer was lost.
    pub fn lose_answers(&self, n: usize) {
        self.fault(Fault::LoseAnswer, n);
    }

    /// The next `n` records are stored, and their outcome is [`Outcome::DurableUnplaced`].
    pub fn complete_unplaced(&self, n: usize) {
        self.fault(Fault::Unplaced, n);
    }

    /// Stop (or resume) storing and completing, in all partitions.
    pub fn stall(&self, stalled: bool) {
        self.change(|state| state.partitions.iter_mut().for_each(|p| p.stalled = stalled));
    }

    /// Stop (or resume) storing and completing in one partition.
    pub fn stall_partition(&self, partition: u32, stalled: bool) {
        self.change(|state| state.partitions[partition as usize].stalled = stalled);
    }

    /// Fail for good: outstanding records fail, and appends answer [`AppendError::Closed`] with this reason.
    pub fn close(&self, reason: &'static str) {
        self.change(|state| state.closed = Some(reason));
    }

    /// Retention: remove records below `offset`.
    pub fn remove_below(&self, partition: u32, offset: Offset) {
        self.change(|state| {
            let p = &mut state.partitions[partition as usize];
            while p.first < offset && p.entries.pop_front().is_some() {
                p.first += 1;
            }
        });
    }

    /// All records of a partition that are still there, in order.
    pub fn records(&self, partition: u32) -> Vec<Entry> {
        self.handle.core.state.lock().partitions[partition as usize].entries.iter().cloned().collect()
    }

    /// Number of records that are accepted and not completed.
    pub fn outstanding(&self) -> usize {
        self.handle.core.state.lock().partitions.iter().map(|p| p.pending.len()).sum()
    }

    fn fault(&self, fault: Fault, n: usize) {
        self.handle.core.state.lock().faults.extend(std::iter::repeat_n(fault, n));
    }

    fn change(&self, how: impl FnOnce(&mut State)) {
        how(&mut self.handle.core.state.lock());
        self.handle.core.nudge();
    }
}

#[async_trait]
impl Log for MemoryLog {
    fn id(&self) -> &LogId {
        &self.handle.core.id
    }

    fn partitions(&self) -> u32 {
        self.handle.core.ends.len() as u32
    }

    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        let shared = WriterShared::new(completions, self.handle.core.limits, self.partitions());
        Ok(Box::new(MemoryWriter { handle: self.handle.clone(), shared }))
    }

    async fn reader(&self, partition: u32, from: Offset) -> Result<Box<dyn Reader>, LogError> {
        let Bounds { start, end } = self.bounds(partition).await?;
        if from < start || from > end {
            return Err(LogError::OutOfRange { partition, asked: from, start, end });
        }
        let core = self.handle.core.clone();
        let ends = core.ends[partition as usize].subscribe();
        Ok(Box::new(MemoryReader { core, partition, next: from, ends }))
    }

    async fn bounds(&self, partition: u32) -> Result<Bounds, LogError> {
        let state = self.handle.core.state.lock();
        let p = state.partitions.get(partition as usize).ok_or_else(|| no_partition(partition, state.partitions.len() as u32))?;
        Ok(Bounds { start: p.first, end: p.end() })
    }
}

/// The error of every backend for a partition that does not exist.
pub(crate) fn no_partition(asked: u32, partitions: u32) -> LogError {
    LogError::Mismatch(format!("the log has partitions 0 to {}, not {asked}", partitions - 1))
}

/// Unix time, µs.
pub(crate) fn now_us() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as i64)
}

// Held by the log and its writers; the thread ends when the last of them is dropped.
struct Handle {
    core: Arc<Core>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.core.state.lock().ended = true;
        self.core.nudge();
    }
}

struct Core {
    id: LogId,
    limits: Limits,
    inline: bool,
    state: Mutex<State>,
    wake: Condvar,
    // Held while outcomes are delivered, so that two callers of an inline log cannot swap them.
    outcomes: Mutex<Outcomes>,
    ends: Vec<watch::Sender<Offset>>,
}

struct State {
    partitions: Vec<Partition>,
    faults: VecDeque<Fault>,
    closed: Option<&'static str>,
    ended: bool,
}

#[derive(Default)]
struct Partition {
    first: Offset,
    entries: VecDeque<Entry>,
    pending: VecDeque<Pending>,
    stalled: bool,
}

impl Partition {
    fn end(&self) -> Offset {
        self.first + self.entries.len() as Offset
    }
}

#[derive(Clone, Copy)]
enum Fault {
    Fail,
    LoseAnswer,
    Unplaced,
}

impl Core {
    fn serve(&self) {
        loop {
            let ended = {
                let mut state = self.state.lock();
                while !state.ended && !state.has_work() {
                    self.wake.wait(&mut state);
                }
                state.ended
            };
            self.settle();
            if ended {
                return;
            }
        }
    }

    fn nudge(&self) {
        if self.inline {
            self.settle();
        } else {
            self.wake.notify_one();
        }
    }

    /// Determine and deliver all outcomes that are due.
    fn settle(&self) {
        let mut outcomes = self.outcomes.lock();
        let mut ends = Vec::new();
        {
            let mut state = self.state.lock();
            let State { partitions, faults, closed, ended } = &mut *state;
            for (number, partition) in partitions.iter_mut().enumerate() {
                let failing = closed.is_some() || (*ended && partition.stalled);
                let before = partition.end();
                for pending in std::mem::take(&mut partition.pending) {
                    if partition.stalled && !failing && !pending.writer.is_dropped() {
                        partition.pending.push_back(pending);
                        continue;
                    }
                    let failing = failing || partition.stalled;
                    let outcome = if failing { Outcome::Failed } else { partition.store(&pending, faults.pop_front()) };
                    outcomes.add(number as u32, &pending, outcome);
                }
                if partition.end() != before {
                    ends.push((number, partition.end()));
                }
            }
        }
        for (number, end) in ends {
            self.ends[number].send_replace(end);
        }
        outcomes.deliver();
    }
}

impl State {
    fn has_work(&self) -> bool {
        self.partitions.iter().any(|p| {
            let movable = !p.stalled || self.closed.is_some();
            if movable { !p.pending.is_empty() } else { p.pending.iter().any(|r| r.writer.is_dropped()) }
        })
    }
}

impl Partition {
    fn store(&mut self, pending: &Pending, fault: Option<Fault>) -> Outcome {
        if let Some(Fault::Fail) = fault {
            return Outcome::Failed;
        }
        let offset = self.end();
        self.entries.push_back(Entry { offset, appended_at_us: now_us(), record: pending.record.clone() });
        match fault {
            None => Outcome::Durable(offset),
            Some(Fault::Unplaced) => Outcome::DurableUnplaced,
            Some(Fault::LoseAnswer | Fault::Fail) => Outcome::Failed,
        }
    }
}

struct MemoryWriter {
    handle: Arc<Handle>,
    shared: Arc<WriterShared>,
}

impl Writer for MemoryWriter {
    fn append(&self, partition: u32, _key: SessionId, record: Bytes, ticket: Ticket) -> Result<(), AppendError> {
        let pending = self.shared.accept(partition, record, ticket)?;
        {
            let mut state = self.handle.core.state.lock();
            if let Some(reason) = state.closed {
                self.shared.refuse(partition, &pending);
                return Err(AppendError::Closed(reason));
            }
            state.partitions[partition as usize].pending.push_back(pending);
        }
        self.handle.core.nudge();
        Ok(())
    }
}

impl Drop for MemoryWriter {
    fn drop(&mut self) {
        self.shared.mark_dropped();
        // Under the lock, so that the thread is either before its check or already waiting.
        drop(self.handle.core.state.lock());
        self.handle.core.nudge();
    }
}

struct MemoryReader {
    core: Arc<Core>,
    partition: u32,
    next: Offset,
    ends: watch::Receiver<Offset>,
}

#[async_trait]
impl Reader for MemoryReader {
    async fn next(&mut self, max_bytes: usize, wait: Duration) -> Result<Vec<Entry>, LogError> {
        if *self.ends.borrow_and_update() == self.next {
            let next = self.next;
            // An error means that the log is dropped: no more records will come.
            let _ = tokio::time::timeout(wait, self.ends.wait_for(|end| *end > next)).await;
        }
        let state = self.core.state.lock();
        let p = &state.partitions[self.partition as usize];
        if self.next < p.first {
            return Err(LogError::OutOfRange { partition: self.partition, asked: self.next, start: p.first, end: p.end() });
        }
        let mut room = max_bytes;
        let mut entries = Vec::new();
        for entry in p.entries.iter().skip((self.next - p.first) as usize) {
            if !entries.is_empty() && entry.record.len() > room {
                break;
            }
            room = room.saturating_sub(entry.record.len());
            entries.push(entry.clone());
        }
        self.next += entries.len() as Offset;
        Ok(entries)
    }

    fn end(&self) -> Offset {
        (*self.ends.borrow()).max(self.next)
    }
}
