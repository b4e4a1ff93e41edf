//! [`Validator`]: whether a record is accepted, by framing, scope, sequence and content (W5, W7). Pure; one for each data stream.
//!
//! The connection is closed for bytes that are no record, a record of another stream, and a hole or a step back in the sequence.
//! A record is voided for content that is impossible or that the grant does not cover.

use boxbox_schemas::check;
use boxbox_schemas::event::{Reject, VoidFrame};
use boxbox_schemas::grant::{Ability, Grant};
use boxbox_schemas::limits::FIRST_BASE_MAX;
use boxbox_schemas::record::{Kind, Prelude, Record, RecordError, archive, seal};
use boxbox_schemas::wire::{CloseCode, StreamHead};
use bytes::Bytes;

/// Validates the records of one data stream.
#[derive(Debug)]
pub(crate) struct Validator {
    head: StreamHead,
    abilities: Abilities,
    base: u64,
    expected: Option<u64>,
}

/// A record that is appended to the log.
#[derive(Debug)]
pub(crate) struct Validated {
    /// What is appended: the client's bytes, or a void in their place.
    pub(crate) record: Bytes,
    /// First sequence number.
    pub(crate) first: u64,
    /// First sequence number after it.
    pub(crate) next: u64,
    /// The kind, as the client sent it.
    pub(crate) kind: Kind,
    /// Frames, as the client counted them.
    pub(crate) frames: u16,
    /// Why it is a void, if it is one.
    pub(crate) void: Option<Reject>,
}

/// Why the connection is closed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Refusal {
    /// The close code.
    pub(crate) code: CloseCode,
    /// The reason in a word, for metrics.
    pub(crate) reason: &'static str,
    /// The sequence number that was expected.
    pub(crate) expected: u64,
    /// For people.
    pub(crate) detail: String,
}

impl Validator {
    pub(crate) fn new(head: StreamHead, abilities: Abilities) -> Self {
        Self { head, abilities, base: 0, expected: None }
    }

    /// The sequence number with which the next record must begin; `None` before the first record.
    pub(crate) fn expected(&self) -> Option<u64> {
        self.expected
    }

    /// Validates one transmission: `base`, then a record that fills `bytes`.
    pub(crate) fn validate(&mut self, base: u64, bytes: Bytes) -> Result<Validated, Refusal> {
        let expected = self.expected.unwrap_or(base);
        let refuse = |code, reason, detail: String| Err(Refusal { code, reason, expected, detail });
        let record = match Record::parse(bytes) {
            Ok(record) => record,
            Err(e) => return refuse(close_code(&e), e.name(), e.to_string()),
        };
        let p = *record.prelude();
        if p.run != self.head.run || p.source != self.head.source {
            return refuse(CloseCode::SCOPE, "scope", "a record names another run or source than its stream".into());
        }
        if p.first_seq != expected {
            return refuse(CloseCode::SEQUENCE, "sequence", format!("a record begins at {}, expected {expected}", p.first_seq));
        }
        if self.expected.is_none() && base > FIRST_BASE_MAX {
            return refuse(CloseCode::SEQUENCE, "base_far", format!("base {base} is farther than any stream gets ({FIRST_BASE_MAX})"));
        }
        if base < self.base || base > p.first_seq {
            return refuse(CloseCode::SEQUENCE, "base", format!("base {base} is outside {}..={}", self.base, p.first_seq));
        }
        let Ok(next) = record.next_seq() else {
            return refuse(CloseCode::FRAMING, "gap", "a gap whose end is unreadable or not after its start".into());
        };
        if next - p.first_seq > FIRST_BASE_MAX {
            return refuse(
                CloseCode::FRAMING,
                "gap",
                format!("a gap of {} numbers is longer than any stream ({FIRST_BASE_MAX})", next - p.first_seq),
            );
        }
        let verdict = if self.abilities.cover(p.kind) { check::record(&record) } else { Err(Reject::ABILITY) };
        self.base = base;
        self.expected = Some(next);
        let (record, void) = match verdict {
            Ok(()) => (record.bytes().clone(), None),
            Err(reason) => (void(&p, next, reason), Some(reason)),
        };
        Ok(Validated { record, first: p.first_seq, next, kind: p.kind, frames: p.count, void })
    }
}

/// The close code for bytes that are no record.
pub(crate) fn close_code(e: &RecordError) -> CloseCode {
    match e {
        RecordError::Crc => CloseCode::CRC,
        RecordError::Version(_) => CloseCode::VERSION,
        RecordError::Length(_) | RecordError::Truncated { .. } | RecordError::Sequence => CloseCode::FRAMING,
    }
}

/// The record that is logged in the place of a refused one (W7).
fn void(refused: &Prelude, next: u64, reason: Reject) -> Bytes {
    let prelude = Prelude { kind: Kind::VOID, count: 1, ..*refused };
    // Sealing refuses only a record that is too long; a prelude and 16 bytes are far from that.
    seal(&prelude, &archive(&VoidFrame { next, reason, spare: [0; 6] })).unwrap_or_default()
}

/// What the holder of a grant may send.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Abilities {
    car: bool,
    field: bool,
    meta: bool,
}

impl Abilities {
    pub(crate) fn of(grant: &Grant) -> Self {
        let has = |a| grant.abilities.contains(&a);
        Self { car: has(Ability::Car), field: has(Ability::Field), meta: has(Ability::Meta) }
    }

    /// Whether anything may be sent.
    pub(crate) fn any(self) -> bool {
        self.car || self.field || self.meta
    }

    /// Whether records of this kind may be sent. Kinds that describe the stream itself (a gap, its end) are covered by any
    /// ability; kinds that are not for clients are left to [`check::record`].
    fn cover(self, kind: Kind) -> bool {
        match kind {
            Kind::CAR | Kind::SLOW | Kind::EVENT => self.car,
            Kind::FIELD => self.field,
            Kind::META => self.meta,
            _ => self.any(),
        }
    }
}

#[cfg(test)]
mod tests;
