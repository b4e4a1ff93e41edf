//! A stream's records on their way through the log, and W6: which of them may be acked.
//!
//! The connection's task puts a record into the flow and then into the log; the log's thread takes it out again when it
//! is completed. A record may be acked if it and all before it are durable at rising offsets. After the first outcome
//! that says otherwise nothing more of the stream is acked, and its connection is closed with `retry`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use boxbox_log::{Completion, Offset, Outcome};
use boxbox_schemas::RunId;
use boxbox_schemas::Source;
use parking_lot::Mutex;

use crate::budgets::Budgets;

/// W6 for one stream on one connection. Pure.
#[derive(Debug, Default)]
pub(crate) struct InOrder {
    last: Option<Offset>,
    acked: u64,
    broken: Option<Broken>,
}

/// Why a stream's acks have ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub(crate) enum Broken {
    /// The log failed a record.
    #[error("the log failed a record")]
    Failed,
    /// The log does not know where a record is.
    #[error("the log cannot say where a record is")]
    Unplaced,
    /// A record lies before an earlier one.
    #[error("the log put a record before an earlier one")]
    Regressed,
    /// Outcomes came in another order than appends.
    #[error("the log answered out of order")]
    Disordered,
}

impl InOrder {
    /// The next record in order of append has this outcome; `mark` is the first sequence number after it.
    /// Returns whether it may be acked; the first that may not breaks the stream.
    pub(crate) fn complete(&mut self, mark: u64, outcome: Outcome) -> Result<(), Broken> {
        if let Some(broken) = self.broken {
            return Err(broken);
        }
        let verdict = match outcome {
            Outcome::Durable(offset) if self.last.is_none_or(|last| offset > last) => {
                self.last = Some(offset);
                self.acked = mark;
                return Ok(());
            }
            Outcome::Durable(_) => Broken::Regressed,
            Outcome::DurableUnplaced => Broken::Unplaced,
            Outcome::Failed => Broken::Failed,
        };
        self.broken = Some(verdict);
        Err(verdict)
    }
}

/// A record in the log's hands.
#[derive(Debug)]
struct InFlight {
    mark: u64,
    bytes: u32,
    frames: u16,
    received: Instant,
}

/// One data stream, as seen by its connection's task, the log's thread and the sweep.
pub(crate) struct Flow {
    /// The client's number for it.
    pub(crate) number: u32,
    /// [`boxbox_log::Ticket::owner`] of its records.
    pub(crate) owner: u64,
    /// Which stream it is.
    pub(crate) run: RunId,
    /// And of which session.
    pub(crate) source: Source,
    pub(crate) budgets: Budgets,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    in_flight: VecDeque<InFlight>,
    order: InOrder,
    acked_to_client: u64,
    open: bool,
    waiting_since: Option<Instant>,
    noticed: Option<Instant>,
}

/// What a completion means for the counters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Completed {
    pub(crate) bytes: u32,
    pub(crate) frames: u16,
    pub(crate) took: Duration,
    pub(crate) verdict: Result<(), Broken>,
    /// The stream has ended and this was its last record.
    pub(crate) over: bool,
}

impl Flow {
    pub(crate) fn new(owner: u64, number: u32, run: RunId, source: Source, budgets: Budgets) -> Self {
        let state =
            State { in_flight: VecDeque::new(), order: InOrder::default(), acked_to_client: 0, open: true, waiting_since: None, noticed: None };
        Self { number, owner, run, source, budgets, state: Mutex::new(state) }
    }

    /// A record goes to the log next.
    pub(crate) fn begin(&self, mark: u64, bytes: u32, frames: u16, received: Instant) {
        self.state.lock().in_flight.push_back(InFlight { mark, bytes, frames, received });
    }

    /// The log did not accept the record that departed last.
    pub(crate) fn cancel(&self) {
        self.state.lock().in_flight.pop_back();
    }

    /// The log has completed a record; `None` if the flow holds none.
    pub(crate) fn complete(&self, completion: &Completion, now: Instant) -> Option<Completed> {
        let mut state = self.state.lock();
        let record = state.in_flight.pop_front()?;
        let outcome = completion.outcome;
        let verdict = if record.mark == completion.ticket.mark {
            state.order.complete(record.mark, outcome)
        } else {
            Err(*state.order.broken.get_or_insert(Broken::Disordered))
        };
        let over = !state.open && state.in_flight.is_empty();
        Some(Completed { bytes: record.bytes, frames: record.frames, took: now.saturating_duration_since(record.received), verdict, over })
    }

    /// The ack to tell the client, if there is a new one.
    pub(crate) fn take_ack(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let next = state.order.acked;
        (next > state.acked_to_client).then(|| {
            state.acked_to_client = next;
            next
        })
    }

    /// Whether the client has ended the stream and heard of all its records.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state.lock();
        !state.open && state.in_flight.is_empty() && state.acked_to_client >= state.order.acked
    }

    /// Whether no record is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().in_flight.is_empty()
    }

    /// The stream has ended. Returns whether no record is on its way.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state.lock();
        state.open = false;
        state.waiting_since = None;
        state.in_flight.is_empty()
    }

    /// The stream began or stopped waiting for room.
    pub(crate) fn wait(&self, since: Option<Instant>) {
        self.state.lock().waiting_since = since;
    }

    /// Whether the log has kept this stream waiting for `after`, and whether it is time to say so (again): twice in that
    /// time, so that a client that counts on one notice in it gets one even when sweeps are late.
    pub(crate) fn stalled(&self, after: Duration, now: Instant) -> (bool, bool) {
        let mut state = self.state.lock();
        let since = state.in_flight.front().map(|f| f.received).or(state.waiting_since);
        let stalled = since.is_some_and(|since| now.saturating_duration_since(since) >= after);
        if !stalled {
            state.noticed = None;
            return (false, false);
        }
        let due = state.noticed.is_none_or(|at| now.saturating_duration_since(at) >= after / 2);
        if due {
            state.noticed = Some(now);
        }
        (true, due)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn outcome() -> impl Strategy<Value = Outcome> {
        prop_oneof![8 => (0u64..40).prop_map(Outcome::Durable), 1 => Just(Outcome::DurableUnplaced), 1 => Just(Outcome::Failed)]
    }

    proptest! {
        /// The model: what is acked is the longest prefix whose outcomes are durable at strictly rising offsets.
        #[test]
        fn acks_are_the_durable_rising_prefix(jumps in proptest::collection::vec((outcome(), 1u64..4, any::<bool>()), 0..40)) {
            let (mut order, mut offset, mut mark) = (InOrder::default(), 0, 0);
            let outcomes: Vec<_> = jumps.into_iter().map(|(outcome, step, honest)| {
                mark += step;
                // Mostly rising offsets with gaps, as a real log gives; now and then whatever was drawn.
                offset += step;
                (mark, if honest { Outcome::Durable(offset) } else { outcome })
            }).collect();
            let verdicts: Vec<bool> = outcomes.iter().map(|(mark, outcome)| order.complete(*mark, *outcome).is_ok()).collect();

            let mut prefix = 0;
            while prefix < outcomes.len() {
                let rising = match (outcomes[prefix].1, prefix.checked_sub(1).map(|p| outcomes[p].1)) {
                    (Outcome::Durable(_), None) => true,
                    (Outcome::Durable(this), Some(Outcome::Durable(before))) => this > before,
                    _ => false,
                };
                if !rising { break }
                prefix += 1;
            }
            prop_assert_eq!(order.acked, prefix.checked_sub(1).map_or(0, |p| outcomes[p].0));
            prop_assert!(verdicts.iter().enumerate().all(|(i, acked)| *acked == (i < prefix)));
        }
    }
}
