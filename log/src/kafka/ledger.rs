//! A partition's records between append and answer: outcomes are delivered in order of append, in whatever order the answers come.
//!
//! A record that is past its deadline is delivered as failed, yet its slot, and its share of the budget, stay until librdkafka
//! lets go of it: memory is bounded even while a broker is away.

use std::collections::VecDeque;
use std::time::Instant;

use crate::{Completion, Outcome, Ticket};

#[derive(Default)]
pub(super) struct Ledger {
    slots: VecDeque<Slot>,
    /// Number of the first slot.
    first: u64,
    /// Slots whose outcome has been delivered; they come before all others.
    delivered: usize,
}

struct Slot {
    ticket: Ticket,
    length: usize,
    appended: Instant,
    outcome: Option<Outcome>,
    answered: bool,
}

impl Ledger {
    /// The number that the next record will have.
    pub(super) fn next(&self) -> u64 {
        self.first + self.slots.len() as u64
    }

    pub(super) fn push(&mut self, ticket: Ticket, length: usize, appended: Instant) {
        self.slots.push_back(Slot { ticket, length, appended, outcome: None, answered: false });
    }

    /// librdkafka is done with record `number`. Its length, for the budget; `None` if it is not in the ledger.
    pub(super) fn answer(&mut self, number: u64, outcome: Outcome) -> Option<usize> {
        let slot = self.slots.get_mut(usize::try_from(number.checked_sub(self.first)?).ok()?)?;
        if std::mem::replace(&mut slot.answered, true) {
            return None;
        }
        // Past its deadline it was delivered as failed, and stays so.
        slot.outcome.get_or_insert(outcome);
        Some(slot.length)
    }

    /// Give up on records appended before `deadline`.
    pub(super) fn expire(&mut self, deadline: Instant) {
        for slot in self.slots.iter_mut().skip(self.delivered).take_while(|slot| slot.appended < deadline) {
            slot.outcome.get_or_insert(Outcome::Failed);
        }
    }

    /// Give up on everything that is not answered; the lengths, for the budget.
    pub(super) fn abandon(&mut self) -> Vec<usize> {
        let mut lengths = Vec::new();
        for slot in self.slots.iter_mut().filter(|slot| !slot.answered) {
            slot.answered = true;
            slot.outcome.get_or_insert(Outcome::Failed);
            lengths.push(slot.length);
        }
        lengths
    }

    /// Outcomes that can be delivered now, in order, each once.
    pub(super) fn deliver(&mut self, partition: u32, out: &mut Vec<Completion>) {
        for slot in self.slots.iter().skip(self.delivered) {
            let Some(outcome) = slot.outcome else { break };
            out.push(Completion { ticket: slot.ticket, partition, outcome });
            self.delivered += 1;
        }
        while self.delivered > 0 && self.slots.front().is_some_and(|slot| slot.answered) {
            self.slots.pop_front();
            self.first += 1;
            self.delivered -= 1;
        }
    }

    /// When the oldest record that librdkafka still holds was appended.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.slots.front().map(|slot| slot.appended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever order answers and deadlines come in: each outcome is delivered once, in order of append, and the budget is
        /// given back exactly once.
        #[test]
        fn outcomes_are_delivered_once_and_in_order(n in 1_usize..40, steps in proptest::collection::vec((0_usize..40, 0_u8..10), 0..120)) {
            let (start, mut ledger, mut delivered, mut given) = (Instant::now(), Ledger::default(), Vec::new(), 0);
            let at = |i: usize| start + Duration::from_millis(i as u64);
            for i in 0..n {
                prop_assert_eq!(ledger.next(), i as u64);
                ledger.push(Ticket { owner: 1, mark: i as u64 }, i + 1, at(i));
            }
            for (i, what) in steps {
                match what {
                    0 => ledger.expire(at(i)),
                    1 => given += ledger.answer(i as u64, Outcome::DurableUnplaced).unwrap_or(0),
                    _ => given += ledger.answer(i as u64, Outcome::Durable(i as u64 * 10)).unwrap_or(0),
                }
                ledger.deliver(3, &mut delivered);
            }
            given += ledger.abandon().iter().sum::<usize>();
            ledger.deliver(3, &mut delivered);
            prop_assert_eq!(delivered.iter().map(|c| c.ticket.mark).collect::<Vec<_>>(), (0..n as u64).collect::<Vec<_>>());
            prop_assert!(delivered.iter().all(|c| c.partition == 3));
            let own = |c: &Completion| !matches!(c.outcome, Outcome::Durable(offset) if offset != c.ticket.mark * 10);
            prop_assert!(delivered.iter().all(own), "an outcome is the record's own");
            prop_assert_eq!(given, (1..=n).sum::<usize>());
            prop_assert!(ledger.oldest().is_none(), "nothing is left behind");
        }
    }
}
