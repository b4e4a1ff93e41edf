//! What processors compute and stores keep: laps, rows of other kinds (incident steps, pit visits, flags), cars,
//! ledgers, checkpoints.
//!
//! Times are session times of the simulator in µs (F7). Bit sets are stored as numbers and shown by name.
//! What follows from all of it together (order, gaps, stints, classification) is in the crate `race`.

mod car;
mod flag;
mod incident;
mod lap;
mod pit;
mod row;
mod step;

use serde::{Deserialize, Serialize};

pub use self::car::CarNow;
pub use self::flag::FlagChange;
pub use self::incident::IncidentStep;
pub use self::lap::{LOOPS, Lap, Reasons, Span, Tags};
pub use self::pit::{PitKind, PitVisit};
pub use self::row::{AnyRow, Row, RowHead, RowKey, RowKind, UnreadableRow};
pub use self::step::{FieldState, PartitionState, Quarantined, Step, StreamState};
use crate::ids::{DriverId, LogId, RunId, SessionId, Source, StreamKey, TenantId};
use crate::meta::SessionMeta;

/// A session as the platform knows it.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct SessionInfo {
    /// Its id.
    pub id: SessionId,
    /// Whose it is.
    pub tenant: TenantId,
    /// What its clients say they look at.
    pub source: Source,
    /// When its first record was received, Unix µs. For lists; it orders nothing else.
    pub opened_at_us: i64,
    /// When its last record was received, Unix µs.
    pub updated_at_us: i64,
    /// Highest session time seen, µs.
    pub sim_time_us: i64,
    /// Whether it is closed (E9): what comes later is kept, marked late, and changes no result until it is opened again.
    pub closed: bool,
    /// Its working state is gone (E9): records that come later are counted as late and tell nothing.
    pub retired: bool,
    /// The description by the lowest (driver, run) that sent one, newest revision.
    pub meta: Option<SessionMeta>,
    /// Which stream `meta` is from, and its revision there.
    pub meta_from: Option<(DriverId, RunId, u32)>,
}

impl SessionInfo {
    /// A session of which nothing is known but its first record, received at `at_us` (Unix µs).
    pub fn opened(tenant: TenantId, source: Source, at_us: i64) -> Self {
        Self {
            id: SessionId::of(&tenant, &source),
            tenant,
            source,
            opened_at_us: at_us,
            updated_at_us: at_us,
            sim_time_us: 0,
            closed: false,
            retired: false,
            meta: None,
            meta_from: None,
        }
    }
}

/// E1: where every sequence number of a stream went. `expected = admitted + void + gap + hole` at all times.
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
    /// Sequence numbers dropped because earlier ones, unacked, had not come yet; they come again.
    pub early: u64,
    /// Admitted after the session was closed.
    pub late: u64,
    /// Refused by an edge, by [`crate::event::Reject::name`], in the order first seen.
    pub void: Vec<(String, u64)>,
    /// Given up by the client.
    pub gap: u64,
    /// Acked by an edge and never seen in the log: it must not happen.
    pub hole: u64,
    /// Records whose payload could not be read although an edge let them pass; counted in `admitted`.
    pub unreadable: u64,
    /// The stream's end came.
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

/// E7: how far a partition is processed, and how to know that it is still the same log.
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
