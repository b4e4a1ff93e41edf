//! Which sequence numbers of a record are new (E1): pure, the same for laps and for the archive.
//!
//! A stream's `next` is the lowest sequence number that is not accounted for; a stream begins at 0. In log order:
//!
//! | the transmission | what happens |
//! |---|---|
//! | `base` is more than [`FIRST_BASE_MAX`] above `next` | refused: no stream gets so far. It counts as early, and leaves no hole |
//! | `base > next` | everything below `base` was acked and never seen: a hole; `next = base` |
//! | all of it below `next` | duplicate |
//! | begins above `next` | early: not acked, by W6, so it comes again; dropped |
//! | else | its numbers from `next` on are new; `next` becomes the number after it, also for gaps and voids |
//!
//! [`admit`] decides; [`account`] writes the decision into the stream's [`Ledger`], which balances at all times.

use std::ops::Range;

use boxbox_schemas::event::Reject;
use boxbox_schemas::limits::FIRST_BASE_MAX;
use boxbox_schemas::record::Content;
use boxbox_schemas::results::Ledger;
use boxbox_schemas::stamp::LogRecord;

/// What the sequence numbers of a record stand for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Meaning {
    /// Frames of the client's own car.
    Car,
    /// Frames of other kinds, metadata or an event.
    Other,
    /// The stream's end.
    End,
    /// A payload that cannot be read, although an edge accepted it.
    Unreadable,
    /// Frames that the client dropped.
    Gap,
    /// Frames that an edge refused.
    Void(Reject),
}

/// One transmission of a record, as the log holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Arrival {
    /// W5: the lowest unacked sequence number when it was sent.
    pub base: u64,
    /// Its first sequence number.
    pub first: u64,
    /// The first sequence number after it.
    pub next: u64,
    /// What they stand for.
    pub meaning: Meaning,
}

impl Arrival {
    /// Read the numbers of a log record, and check that its payload can be read to the last frame.
    pub fn of(log_record: &LogRecord) -> Self {
        let (record, base) = (&log_record.record, log_record.stamp.base);
        let prelude = record.prelude();
        let meaning = match record.content() {
            Ok(Content::Car(frames)) if frames.iter().all(|f| f.is_ok()) => Meaning::Car,
            Ok(Content::Slow(_) | Content::Field(_) | Content::Meta(_) | Content::Event(_)) => Meaning::Other,
            Ok(Content::End(_)) => Meaning::End,
            Ok(Content::Gap(_)) => Meaning::Gap,
            Ok(Content::Void(void)) => Meaning::Void(Reject::from(&void.reason)),
            Ok(Content::Car(_) | Content::Closed(_) | Content::Judged(_)) | Err(_) => Meaning::Unreadable,
        };
        match record.next_seq() {
            Ok(next) => Self { base, first: prelude.first_seq, next, meaning },
            // A gap or void without a readable end: only its own number is known.
            Err(_) => Self { base, first: prelude.first_seq, next: prelude.first_seq + 1, meaning: Meaning::Unreadable },
        }
    }

    /// Whether the record belongs to a stream; a `closed` or `judged` record belongs to the session (E9a, E9e).
    pub fn in_stream(log_record: &LogRecord) -> bool {
        !log_record.record.prelude().kind.of_session()
    }
}

/// What is done with a transmission.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Numbers that were acked and never seen. This must not happen.
    pub hole: Option<Range<u64>>,
    /// How many of its numbers had come before.
    pub duplicates: u64,
    /// How many of its numbers come too early, and will come again.
    pub early: u64,
    /// Its numbers to process now; may be empty.
    pub new: Range<u64>,
    /// The stream's `next` from here on.
    pub next: u64,
}

/// Decide about `arrival` in a stream that has everything below `next` (E1).
pub fn admit(next: u64, arrival: &Arrival) -> Verdict {
    if arrival.base.saturating_sub(next) > FIRST_BASE_MAX {
        return Verdict { hole: None, duplicates: 0, early: arrival.next - arrival.first, new: next..next, next };
    }
    let hole = (arrival.base > next).then_some(next..arrival.base);
    let next = next.max(arrival.base);
    if arrival.first > next {
        return Verdict { hole, duplicates: 0, early: arrival.next - arrival.first, new: next..next, next };
    }
    let end = arrival.next.max(next);
    Verdict { hole, duplicates: arrival.next.min(next) - arrival.first, early: 0, new: next..end, next: end }
}

/// Add a verdict to the stream's ledger.
pub fn account(ledger: &mut Ledger, arrival: &Arrival, verdict: &Verdict) {
    let new = verdict.new.end - verdict.new.start;
    // Hostile gaps may claim nearly all numbers again and again, so the count of duplicates saturates.
    ledger.duplicate = ledger.duplicate.saturating_add(verdict.duplicates);
    ledger.early = ledger.early.saturating_add(verdict.early);
    ledger.hole += verdict.hole.as_ref().map_or(0, |h| h.end - h.start);
    ledger.expected = verdict.next;
    if new == 0 {
        return;
    }
    match arrival.meaning {
        Meaning::Gap => ledger.gap += new,
        Meaning::Void(reason) => match ledger.void.iter_mut().find(|(name, _)| name == reason.name()) {
            Some((_, n)) => *n += new,
            None => ledger.void.push((reason.name().to_owned(), new)),
        },
        meaning => {
            ledger.admitted += new;
            match meaning {
                Meaning::Car => ledger.car_frames += new,
                Meaning::End => ledger.ended = true,
                Meaning::Unreadable => ledger.unreadable += 1,
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use boxbox_schemas::{DriverId, RunId, SessionId, StreamKey, TenantId};
    use proptest::prelude::*;

    fn frames(base: u64, first: u64, next: u64) -> Arrival {
        Arrival { base, first, next, meaning: Meaning::Car }
    }

    fn ledger() -> Ledger {
        Ledger::new(StreamKey {
            tenant: TenantId::new("t").unwrap(),
            session: SessionId::default(),
            driver: DriverId::new("d").unwrap(),
            run: RunId::default(),
        })
    }

    #[test]
    fn the_table_of_e1() {
        let none = |next| Verdict { hole: None, duplicates: 0, early: 0, new: next..next, next };
        assert_eq!(admit(10, &frames(10, 10, 15)), Verdict { new: 10..15, next: 15, ..none(10) });
        assert_eq!(admit(10, &frames(3, 5, 10)), Verdict { duplicates: 5, ..none(10) });
        assert_eq!(admit(10, &frames(10, 12, 15)), Verdict { early: 3, ..none(10) });
        assert_eq!(admit(10, &frames(8, 8, 15)), Verdict { duplicates: 2, new: 10..15, next: 15, ..none(10) });
        assert_eq!(admit(10, &frames(20, 20, 25)), Verdict { hole: Some(10..20), new: 20..25, next: 25, ..none(10) });
        assert_eq!(admit(10, &frames(20, 22, 25)), Verdict { hole: Some(10..20), early: 3, ..none(20) });
        // A contradiction that edges refuse (W5). The table decides it all the same.
        assert_eq!(admit(10, &frames(20, 12, 15)), Verdict { hole: Some(10..20), duplicates: 3, ..none(20) });
    }

    proptest! {
        /// For any transmissions in any order: the ledger balances, `next` never decreases, and no number is new twice.
        #[test]
        fn ledgers_balance_whatever_comes(arrivals in proptest::collection::vec((0u64..60, 0u64..60, 1u64..20, 0u8..6), 0..60)) {
            let mut book = ledger();
            let mut seen = std::collections::BTreeSet::new();
            for (base, first, length, meaning) in arrivals {
                let meaning = [Meaning::Car, Meaning::Other, Meaning::End, Meaning::Unreadable, Meaning::Gap, Meaning::Void(Reject::RANGE)][usize::from(meaning)];
                let arrival = Arrival { base, first, next: first + length, meaning };
                let before = book.expected;
                let verdict = admit(before, &arrival);
                account(&mut book, &arrival, &verdict);
                prop_assert!(book.balances(), "{:?}", book);
                prop_assert!(book.expected >= before);
                prop_assert_eq!(verdict.next, book.expected);
                for seq in verdict.new.clone() {
                    prop_assert!(seq >= first && seq < first + length, "not of this record");
                    prop_assert!(seen.insert(seq), "{seq} is new twice");
                }
                let new = verdict.new.end - verdict.new.start;
                prop_assert!(new + verdict.duplicates + verdict.early == length, "every number of the record is accounted for");
            }
        }
    }

    /// A client that claims to have been acked farther than any stream gets leaves no hole of so many numbers, and stops nothing.
    #[test]
    fn a_base_far_ahead_is_refused_and_leaves_no_hole() {
        for base in [FIRST_BASE_MAX + 11, 1 << 40, (1 << 48) - 10] {
            let (mut book, far) = (ledger(), frames(base, base, base + 5));
            for arrival in [frames(0, 0, 10), far, frames(10, 10, 15)] {
                let verdict = admit(book.expected, &arrival);
                account(&mut book, &arrival, &verdict);
            }
            assert_eq!((book.hole, book.early, book.admitted, book.expected), (0, 5, 15, 15), "{base}");
            assert!(book.balances());
        }
        assert_eq!(admit(10, &frames(FIRST_BASE_MAX + 10, FIRST_BASE_MAX + 10, FIRST_BASE_MAX + 15)).hole, Some(10..FIRST_BASE_MAX + 10));
    }

    /// A client that claims nearly the whole number space again and again must not overflow the account.
    #[test]
    fn hostile_gaps_saturate() {
        let mut book = ledger();
        book.duplicate = u64::MAX - 5;
        let gap = Arrival { base: 0, first: 0, next: (1 << 48) - 1, meaning: Meaning::Gap };
        for _ in 0..3 {
            let verdict = admit(book.expected, &gap);
            account(&mut book, &gap, &verdict);
        }
        assert_eq!((book.duplicate, book.gap), (u64::MAX, (1 << 48) - 1));
        assert!(book.balances());
    }
}
