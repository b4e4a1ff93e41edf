//! A processor's step as a store takes it, and the state that a store gives back.

use bytes::Bytes;

use super::{Account, AnyRow, CarNow, Checkpoint, Lap, Ledger, SessionInfo};
use crate::ids::{EntryId, SessionId, Source, TenantId};

/// What a processor begins with: sessions come to it when they are needed.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Beginning {
    /// The last record processed; `None`: begin at the log's start.
    pub checkpoint: Option<Checkpoint>,
    /// The sessions that are open, in order of ids.
    pub open: Vec<SessionKey>,
    /// What each driver has made the partition keep and work.
    pub accounts: Vec<Account>,
}

/// What a session's id is computed from (F6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionKey {
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// The simulator's session.
    pub source: Source,
}

impl SessionKey {
    /// The session's id.
    pub fn id(&self) -> SessionId {
        SessionId::of(&self.tenant, &self.source)
    }
}

/// Everything that a processor needs to continue one session. Lists are sorted by key.
#[derive(Clone, PartialEq, Debug)]
pub struct SessionState {
    /// Its description and state.
    pub info: SessionInfo,
    /// Its streams. A retired session has none of this and what follows, as if it were empty.
    pub streams: Vec<StreamState>,
    /// Facts of all streams about laps (E3a).
    pub facts: Vec<Lap>,
    /// Chosen laps.
    pub laps: Vec<Lap>,
    /// Rows of all other kinds, including superseded ones.
    pub rows: Vec<AnyRow>,
}

impl SessionState {
    /// A session without anything.
    pub fn new(info: SessionInfo) -> Self {
        Self { info, streams: vec![], facts: vec![], laps: vec![], rows: vec![] }
    }
}

/// Everything that is kept of a partition, of all its sessions. Lists are sorted by key.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PartitionState {
    /// The last record processed; `None`: begin at the log's start.
    pub checkpoint: Option<Checkpoint>,
    /// Per stream, opaque bytes of the processor's (≤ 6 KiB each), and its ledger.
    pub streams: Vec<StreamState>,
    /// Sessions of this partition whose state is kept.
    pub sessions: Vec<SessionInfo>,
    /// Facts of all streams about laps (E3a).
    pub facts: Vec<Lap>,
    /// Chosen laps.
    pub laps: Vec<Lap>,
    /// Rows of all other kinds, including superseded ones.
    pub rows: Vec<AnyRow>,
    /// The accounts of the partition's drivers, by (tenant, driver).
    pub accounts: Vec<Account>,
}

/// A stream's stored state.
#[derive(Clone, PartialEq, Debug)]
pub struct StreamState {
    /// Its ledger.
    pub ledger: Ledger,
    /// The processor's own encoding of its race state.
    pub race: Bytes,
    /// Where its car is; `None` before its first frame.
    pub now: Option<CarNow>,
    /// Other cars that it sees, in order of slots. In a [`Step`]: those that changed; the others stay as they are stored.
    pub field: Vec<FieldState>,
}

/// The stored state of a car that a stream sees.
#[derive(Clone, PartialEq, Debug)]
pub struct FieldState {
    /// The car's slot.
    pub slot: u16,
    /// The processor's own encoding of its race state (≤ 6 KiB).
    pub race: Bytes,
    /// Where it is.
    pub now: Option<CarNow>,
}

/// One transaction of a processor (E5a). Every list may be empty.
#[derive(Clone, PartialEq, Debug)]
pub struct Step {
    /// The last record it covers.
    pub checkpoint: Checkpoint,
    /// Sessions that are computed again: everything stored of them (streams, facts, laps, rows) is removed before anything of this step
    /// is stored.
    pub replaced: Vec<SessionId>,
    /// Streams touched.
    pub streams: Vec<StreamState>,
    /// Sessions touched.
    pub sessions: Vec<SessionInfo>,
    /// Facts, keyed by (session, entry, number, driver, run, timeline).
    pub facts: Vec<Lap>,
    /// Laps chosen, keyed by (session, entry, number).
    pub laps: Vec<Lap>,
    /// Laps that no longer exist (superseded by a rewind): (session, entry, number).
    pub withdrawn: Vec<(SessionId, EntryId, u32)>,
    /// Rows of all other kinds, keyed by (session, key, kind).
    pub rows: Vec<AnyRow>,
    /// Accounts of drivers that have changed, keyed by (tenant, driver) within the partition.
    pub accounts: Vec<Account>,
    /// Sessions retired (E9c): the race states and field states of their streams, their facts and their superseded rows are
    /// dropped; ledgers, laps and rows stay. For a retired session, a load returns only its
    /// [`SessionInfo`].
    pub retired: Vec<SessionId>,
    /// Records that could not be processed, kept for a person.
    pub quarantine: Vec<Quarantined>,
}

impl Step {
    /// A step that changes nothing but the checkpoint.
    pub fn new(checkpoint: Checkpoint) -> Self {
        Self {
            checkpoint,
            replaced: vec![],
            streams: vec![],
            sessions: vec![],
            facts: vec![],
            laps: vec![],
            withdrawn: vec![],
            rows: vec![],
            accounts: vec![],
            retired: vec![],
            quarantine: vec![],
        }
    }
}

/// A record that could not be processed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// Its offset in the log.
    pub offset: u64,
    /// Why. A store may return it with U+FFFD instead of NUL.
    pub reason: String,
    /// Its bytes.
    pub record: Bytes,
}
