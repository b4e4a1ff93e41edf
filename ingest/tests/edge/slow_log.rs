//! A log that takes so many records a tick and no more, and knows how often it had less to do than it could.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use boxbox_log::{AppendError, Bounds, Completion, Completions, Log, LogError, Outcome, Reader, Ticket, Writer};
use boxbox_schemas::{LogId, SessionId};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::world::PARTITIONS;

pub(crate) const TICK: Duration = Duration::from_millis(5);

#[derive(Clone)]
pub(crate) struct SlowLog {
    id: Arc<LogId>,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Completion>,
    stored: u64,
    ticks: u64,
    idle_ticks: u64,
}

/// What the log saw since it was asked last.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) ticks: u64,
    /// Ticks in which it could have stored more than there was.
    pub(crate) idle_ticks: u64,
}

impl SlowLog {
    pub(crate) fn new() -> Self {
        Self { id: Arc::new(LogId("slow".into())), state: Arc::default() }
    }

    pub(crate) fn take_seen(&self) -> Seen {
        let mut state = self.state.lock();
        let seen = Seen { ticks: state.ticks, idle_ticks: state.idle_ticks };
        (state.ticks, state.idle_ticks) = (0, 0);
        seen
    }

    fn tick(state: &Mutex<State>, a_tick: usize) -> Vec<Completion> {
        let mut state = state.lock();
        let n = state.queue.len().min(a_tick);
        state.ticks += 1;
        state.idle_ticks += u64::from(n < a_tick);
        let first = state.stored;
        state.stored += n as u64;
        state.queue.drain(..n).zip(first..).map(|(c, offset)| Completion { outcome: Outcome::Durable(offset), ..c }).collect()
    }
}

/// Records stored a tick: far below what an edge carries on any machine.
pub(crate) const A_TICK: usize = 10;

#[async_trait]
impl Log for SlowLog {
    fn id(&self) -> &LogId {
        &self.id
    }
    fn partitions(&self) -> u32 {
        PARTITIONS
    }
    fn writer(&self, completions: Arc<dyn Completions>) -> Result<Box<dyn Writer>, LogError> {
        let (state, alive) = (self.state.clone(), Arc::new(()));
        let watched = Arc::downgrade(&alive);
        std::thread::spawn(move || {
            while watched.strong_count() > 0 {
                std::thread::sleep(TICK);
                let batch = Self::tick(&state, A_TICK);
                if !batch.is_empty() {
                    completions.completed(&batch);
                }
            }
        });
        Ok(Box::new(SlowWriter { state: self.state.clone(), _alive: alive }))
    }
    async fn reader(&self, _: u32, _: u64) -> Result<Box<dyn Reader>, LogError> {
        Err(LogError::Mismatch("write only".into()))
    }
    async fn bounds(&self, _: u32) -> Result<Bounds, LogError> {
        Ok(Bounds { start: 0, end: self.state.lock().stored })
    }
}

struct SlowWriter {
    state: Arc<Mutex<State>>,
    _alive: Arc<()>,
}

impl Writer for SlowWriter {
    fn append(&self, partition: u32, _: SessionId, _: Bytes, ticket: Ticket) -> Result<(), AppendError> {
        self.state.lock().queue.push_back(Completion { ticket, partition, outcome: Outcome::Failed });
        Ok(())
    }
}
