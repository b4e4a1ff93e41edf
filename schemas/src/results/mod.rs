//! Results that processors compute and stores keep: laps, rows of other kinds (incident steps, pit visits, flags, session states), cars,
//! ledgers, checkpoints.
//!
//! Times are session times of the simulator in µs (F7). Bit sets are stored as numbers and shown by name.
//! The crate `race` computes order, gaps, stints and the classification from them.

mod account;
mod car;
mod conflict;
mod flag;
mod incident;
mod lap;
pub mod memory;
mod pit;
mod row;
mod state;
mod step;

use serde::{Deserialize, Serialize};

pub use self::account::{Account, Limited};
pub use self::car::CarNow;
pub use self::conflict::{About, CONFLICT_DRIVERS_MAX, CONFLICTS_MAX, Conflict, EXCLUSIONS_MAX, RefusedClaim, Silenced};
pub use self::flag::FlagChange;
pub use self::incident::IncidentStep;
pub use self::lap::{LOOPS, Lap, Reasons, Span, Tags};
pub use self::pit::{Handover, PitEnds, PitKind, PitMoment, PitVisit};
pub use self::row::{AnyRow, Row, RowHead, RowKey, RowKind, UnreadableRow};
pub use self::state::SessionStateChange;
pub use self::step::{Beginning, FieldState, PartitionState, Quarantined, SessionKey, SessionState, Step, StreamState};
use crate::event::Exclusion;
use crate::ids::{DriverId, EntryId, LogId, RunId, SessionId, Source, StreamKey, TenantId};
use crate::meta::SessionMeta;

/// A session: its description and state.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// The tenant that owns it.
    pub tenant: TenantId,
    /// The simulator's session, as its clients report it.
    pub source: Source,
    /// When its first record was received, Unix µs. Used only to sort lists.
    pub opened_at_us: i64,
    /// When its last record was received, Unix µs.
    pub updated_at_us: i64,
    /// Highest session time seen, µs.
    pub sim_time_us: i64,
    /// Whether it is closed: later facts are kept, marked late, and change no result until it is opened again (E9b).
    pub closed: bool,
    /// It was closed by silence: it opens again by itself when frames of it come (E9). Sessions that were closed before this was stored were
    /// closed on purpose.
    #[serde(default)]
    pub provisional: bool,
    /// Whether it is retired: its working state was dropped, and later records are only counted as late (E9c).
    pub retired: bool,
    /// The description, merged from what its clients report.
    pub meta: Option<SessionMeta>,
    /// The lowest stream that has part in `meta`, and the revision of what it told.
    pub meta_from: Option<(DriverId, RunId, u32)>,
    /// The version of the rules by which its results were computed: that of the oldest of them.
    #[serde(default = "first_rules")]
    pub rules: u32,
    /// Cars that several drivers' clients claim for different entries, in order of cars.
    #[serde(default)]
    pub disputes: Vec<Dispute>,
    /// What was refused because a driver exceeded a bound, in order of drivers and bounds.
    #[serde(default)]
    pub limited: Vec<Limited>,
    /// What clients told against each other, and what does not count of it, in order; the first [`CONFLICTS_MAX`]. What they told of states and
    /// flags is not among it: that is computed when it is asked for.
    #[serde(default)]
    pub conflicts: Vec<Conflict>,
    /// Whom a person has excluded, in order (`session.exclude`).
    #[serde(default)]
    pub excluded: Vec<Exclusion>,
    /// Claims to teams that do not count, in order (`entry.claim`).
    #[serde(default)]
    pub refused: Vec<RefusedClaim>,
}

/// The version of the rules of sessions that do not say one.
pub const FIRST_RULES: u32 = 1;

fn first_rules() -> u32 {
    FIRST_RULES
}

/// A car that several drivers' clients say is theirs.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Dispute {
    /// The car, as others see it.
    pub seen_as: EntryId,
    /// The entries that it is claimed for, in order; two at least.
    pub entries: Vec<EntryId>,
}

impl SessionInfo {
    /// A session of which only the first record is known, received at `at_us` (Unix µs).
    pub fn opened(tenant: TenantId, source: Source, at_us: i64) -> Self {
        Self {
            id: SessionId::of(&tenant, &source),
            tenant,
            source,
            opened_at_us: at_us,
            updated_at_us: at_us,
            sim_time_us: 0,
            closed: false,
            provisional: false,
            retired: false,
            meta: None,
            meta_from: None,
            rules: FIRST_RULES,
            disputes: vec![],
            limited: vec![],
            conflicts: vec![],
            excluded: vec![],
            refused: vec![],
        }
    }

    /// Whose reports do not count.
    pub fn silenced(&self) -> Silenced<'_> {
        Silenced { excluded: &self.excluded, refused: &self.refused }
    }
}

/// Accounts for every sequence number of a stream (E1). `expected = admitted + void + gap + hole` at all times.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Ledger {
    /// The stream.
    pub stream: StreamKey,
    /// First sequence number that has not come: everything below it is accounted for.
    pub expected: u64,
    /// Sequence numbers processed.
    pub admitted: u64,
    /// Of those, frames of the client's own car.
    pub car_frames: u64,
    /// Sequence numbers that came again and were dropped.
    pub duplicate: u64,
    /// Sequence numbers dropped because earlier ones had not come yet. They are unacked, so they come again.
    pub early: u64,
    /// Admitted after the session was closed.
    pub late: u64,
    /// Refused by an edge, by [`crate::event::Reject::name`], in the order first seen.
    pub void: Vec<(String, u64)>,
    /// Dropped by the client.
    pub gap: u64,
    /// Acked by an edge and never seen in the log. This must not happen.
    pub hole: u64,
    /// Records whose payload could not be read, although an edge accepted them; counted in `admitted`.
    pub unreadable: u64,
    /// The stream's end has come.
    pub ended: bool,
}

impl Ledger {
    /// An empty ledger: every stream begins at 0.
    pub fn new(stream: StreamKey) -> Self {
        Self {
            stream,
            expected: 0,
            admitted: 0,
            car_frames: 0,
            duplicate: 0,
            early: 0,
            late: 0,
            void: vec![],
            gap: 0,
            hole: 0,
            unreadable: 0,
            ended: false,
        }
    }
    /// Sequence numbers refused by edges.
    pub fn voided(&self) -> u64 {
        self.void.iter().map(|(_, n)| n).sum()
    }
    /// Whether every sequence number below `expected` is accounted for.
    pub fn balances(&self) -> bool {
        self.expected == self.admitted + self.voided() + self.gap + self.hole
    }
}

/// How far a partition is processed, and how to recognise its log (E7).
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The log.
    pub log: LogId,
    /// The partition.
    pub partition: u32,
    /// Offset of the last record processed.
    pub offset: u64,
    /// CRC32C of that record's bytes.
    pub crc: u32,
}
