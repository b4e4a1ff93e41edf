//! A processor's step as a store takes it, and the state that a store gives back.

use bytes::Bytes;

use super::{AnyRow, CarNow, Checkpoint, Lap, Ledger, SessionInfo};
use crate::ids::{EntryId, SessionId};

/// Everything a processor needs to go on where the last committed step ended. Lists are in order of their keys.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PartitionState {
    /// The last record processed; `None`: begin at the log's start.
    pub checkpoint: Option<Checkpoint>,
    /// Per stream, opaque bytes of the processor's (≤ 4 KiB each), and its ledger.
    pub streams: Vec<StreamState>,
    /// Sessions of this partition whose state is kept.
    pub sessions: Vec<SessionInfo>,
    /// Laps as each stream tells them (facts, E3).
    pub facts: Vec<Lap>,
    /// Laps as chosen.
    pub laps: Vec<Lap>,
    /// Rows of all other kinds, superseded ones included: a rewind may take some back.
    pub rows: Vec<AnyRow>,
}

/// A stream's state between steps.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamState {
    /// Its account.
    pub ledger: Ledger,
    /// The processor's own encoding of its race state.
    pub race: Bytes,
    /// Where its car is; `None` until a frame of it has come.
    pub now: Option<CarNow>,
    /// Other cars that it sees, in order of slots. In a [`Step`]: those that changed; the others stay as they are stored.
    pub field: Vec<FieldState>,
}

/// State of a car that a stream sees, between steps.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldState {
    /// The car's slot.
    pub slot: u16,
    /// The processor's own encoding of its race state (≤ 4 KiB).
    pub race: Bytes,
    /// Where it is.
    pub now: Option<CarNow>,
}

/// One transaction of a processor (E5). Every list may be empty.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The last record it covers.
    pub checkpoint: Checkpoint,
    /// Streams touched.
    pub streams: Vec<StreamState>,
    /// Sessions touched.
    pub sessions: Vec<SessionInfo>,
    /// Facts, keyed by (session, entry, number, driver, run, timeline).
    pub facts: Vec<Lap>,
    /// Laps chosen, keyed by (session, entry, number).
    pub laps: Vec<Lap>,
    /// Laps that are no more (superseded by a rewind): (session, entry, number).
    pub withdrawn: Vec<(SessionId, EntryId, u32)>,
    /// Rows of all other kinds, keyed by (session, key, kind).
    pub rows: Vec<AnyRow>,
    /// Sessions retired (E9): the race states and field states of their streams, their facts and their superseded rows are
    /// dropped; ledgers, laps and rows stay. A load gives of a retired session its [`SessionInfo`]
    /// only.
    pub retired: Vec<SessionId>,
    /// Records that cannot be read, kept for a person to look at.
    pub quarantine: Vec<Quarantined>,
}

impl Step {
    /// A step that changes nothing but the checkpoint.
    pub fn new(checkpoint: Checkpoint) -> Self {
        Self {
            checkpoint,
            streams: vec![],
            sessions: vec![],
            facts: vec![],
            laps: vec![],
            withdrawn: vec![],
            rows: vec![],
            retired: vec![],
            quarantine: vec![],
        }
    }
}

/// A record that could not be processed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// Its place in the log.
    pub offset: u64,
    /// Why. A store may give it back with U+FFFD where it has a NUL.
    pub reason: String,
    /// Its bytes.
    pub record: Bytes,
}
