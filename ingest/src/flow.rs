//! [`Flow`]: the records of one stream that are in flight to the log, and which of them may be acked (W6).
//!
//! The connection's task adds a record to the flow and then appends it to the log; the log's thread removes it when the log
//! has completed it. A record may be acked if it and all before it are durable at rising offsets. After the first record for
//! which this does not hold, nothing more of the stream is acked, and its connection is closed with `retry`.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use boxbox_log::{Completion, Offset, Outcome};
use boxbox_schemas::event::Reject;
use boxbox_schemas::record::Kind;
use boxbox_schemas::{RunId, Source, StreamKey};
use bytes::Bytes;
use parking_lot::Mutex;

use crate::budgets::Budgets;

/// The rule W6 for one stream on one connection. Pure.
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
    /// A record has a lower offset than an earlier one.
    #[error("the log put a record before an earlier one")]
    Regressed,
    /// Outcomes came in another order than records were appended.
    #[error("the log answered out of order")]
    Disordered,
}

impl InOrder {
    /// The next record, in the order of appending, has this outcome; `mark` is the first sequence number after it.
    /// Returns whether it may be acked. After the first record that may not, none may.
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

/// What a record is, for the counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct What {
    /// Its kind, as the client sent it.
    pub(crate) kind: Kind,
    /// Frames in it, as the client counted them.
    pub(crate) frames: u16,
    /// Why its content was refused, if it was.
    pub(crate) void: Option<Reject>,
}

/// A record with its stamp, as it goes to the log.
#[derive(Debug)]
pub(crate) struct Stamped {
    pub(crate) record: Bytes,
    pub(crate) what: What,
    /// Its first sequence number.
    pub(crate) first: u64,
    /// First sequence number after it.
    pub(crate) next: u64,
    /// When all of it had been received.
    pub(crate) received: Instant,
}

/// A record that was given to the log and is not completed.
#[derive(Debug)]
struct InFlight {
    first: u64,
    mark: u64,
    bytes: u32,
    what: What,
    received: Instant,
    /// When it was given to the log; only of streams that are followed.
    appended: Option<Instant>,
}

/// One data stream, as its connection's task, the log's thread and the sweep see it.
pub(crate) struct Flow {
    /// The client's number for the stream.
    pub(crate) number: u32,
    /// [`boxbox_log::Ticket::owner`] of the stream's records.
    pub(crate) owner: u64,
    /// The run of the stream.
    pub(crate) run: RunId,
    /// The session of the stream.
    pub(crate) source: Source,
    pub(crate) budgets: Budgets,
    /// The stream, if its records are followed (see [`boxbox_schemas::trace`]).
    pub(crate) traced: Option<Box<StreamKey>>,
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
    pub(crate) first: u64,
    pub(crate) mark: u64,
    pub(crate) bytes: u32,
    pub(crate) what: What,
    /// Since its receipt.
    pub(crate) took: Duration,
    /// Since it was given to the log; zero unless its stream is followed.
    pub(crate) in_log: Duration,
    pub(crate) verdict: Result<(), Broken>,
    /// The stream has ended and this was its last record.
    pub(crate) over: bool,
}

impl Flow {
    pub(crate) fn new(owner: u64, number: u32, run: RunId, source: Source, budgets: Budgets, traced: Option<StreamKey>) -> Self {
        let state =
            State { in_flight: VecDeque::new(), order: InOrder::default(), acked_to_client: 0, open: true, waiting_since: None, noticed: None };
        Self { number, owner, run, source, budgets, traced: traced.map(Box::new), state: Mutex::new(state) }
    }

    /// Adds a record, before it goes to the log.
    pub(crate) fn begin(&self, record: &Stamped) {
        let &Stamped { first, next: mark, what, received, .. } = record;
        let appended = self.traced.as_ref().map(|_| Instant::now());
        self.state.lock().in_flight.push_back(InFlight { first, mark, bytes: record.record.len() as u32, what, received, appended });
    }

    /// Removes the record that was added last: the log did not accept it.
    pub(crate) fn cancel(&self) {
        self.state.lock().in_flight.pop_back();
    }

    /// The log has completed a record; `None` if none was in flight.
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
        let InFlight { first, mark, bytes, what, received, appended } = record;
        let [took, in_log] = [Some(received), appended].map(|at| at.map_or(Duration::ZERO, |at| now.saturating_duration_since(at)));
        Some(Completed { first, mark, bytes, what, took, in_log, verdict, over })
    }

    /// The ack to send to the client, if there is a new one.
    pub(crate) fn take_ack(&self) -> Option<u64> {
        let mut state = self.state.lock();
        let next = state.order.acked;
        (next > state.acked_to_client).then(|| {
            state.acked_to_client = next;
            next
        })
    }

    /// Whether the client has ended the stream and all its records are acked.
    pub(crate) fn is_over(&self) -> bool {
        let state = self.state.lock();
        !state.open && state.in_flight.is_empty() && state.acked_to_client >= state.order.acked
    }

    /// Whether no record is in flight.
    pub(crate) fn is_idle(&self) -> bool {
        self.state.lock().in_flight.is_empty()
    }

    /// The stream has ended. Returns whether no record is in flight.
    pub(crate) fn end(&self) -> bool {
        let mut state = self.state.lock();
        state.open = false;
        state.waiting_since = None;
        state.in_flight.is_empty()
    }

    /// The stream begins to wait for its budgets, or stops waiting (`None`).
    pub(crate) fn wait(&self, since: Option<Instant>) {
        self.state.lock().waiting_since = since;
    }

    /// Since when its oldest record waits for the log or a budget, whether it has waited for `after`, and whether a notice of it is due. A notice is due twice in
    /// `after`, so that a client that expects one in that time gets it even when sweeps are late.
    pub(crate) fn stalled(&self, after: Duration, now: Instant) -> (Option<Instant>, bool, bool) {
        let mut state = self.state.lock();
        let since = state.in_flight.front().map(|f| f.received).or(state.waiting_since);
        let stalled = since.is_some_and(|since| now.saturating_duration_since(since) >= after);
        if !stalled {
            state.noticed = None;
            return (since, false, false);
        }
        let due = state.noticed.is_none_or(|at| now.saturating_duration_since(at) >= after / 2);
        if due {
            state.noticed = Some(now);
        }
        (since, true, due)
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
        /// The model: the records that are acked are the longest prefix of durable outcomes at strictly rising offsets.
        #[test]
        fn acks_are_the_durable_rising_prefix(jumps in proptest::collection::vec((outcome(), 1u64..4, any::<bool>()), 0..40)) {
            let (mut order, mut offset, mut mark) = (InOrder::default(), 0, 0);
            let outcomes: Vec<_> = jumps.into_iter().map(|(outcome, step, honest)| {
                mark += step;
                // Mostly rising offsets with holes, as a real log gives; sometimes any offset.
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
