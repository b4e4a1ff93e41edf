//! Every contract that outlives a process: frames, records, the wire, grants, results, ids and limits.
//!
//! Nothing here does I/O or reads a clock. What is on disk or on a wire is defined in exactly one place:
//!
//! * [`frame`], [`slow`], [`field`], [`event`], [`meta`]: what simulators say, as rkyv archives (F1, F2)
//! * [`record`]: a sealed batch of frames (F3); [`stamp`]: the record as the log holds it (F5)
//! * [`wire`]: what client and edge say to each other (W2, W4-W7); [`grant`], [`connect`]: who may; [`control`]: how edges
//!   learn of it (W10); [`secret`]: what nothing may print
//! * [`ids`]: sessions, entries, partitions (F6); [`results`]: laps and what goes with them, and the step that
//!   commits them
//! * [`check`]: what content is acceptable (W7); [`limits`]: every bound, with its reason
//!
//! The invariants' names (F1, W6, E3, …) are explained in `docs/ARCHITECTURE.md`.

pub mod check;
pub mod connect;
pub mod control;
pub mod event;
pub mod field;
pub mod frame;
pub mod grant;
pub mod ids;
pub mod limits;
pub mod meta;
pub mod metrics;
pub mod record;
pub mod results;
pub mod secret;
pub mod slow;
pub mod stamp;
pub mod wire;

pub use ids::{DriverId, EntryId, GrantId, LogId, RunId, SessionId, ShortId, Sim, Source, StreamKey, TenantId};
