//! All formats that outlive a process: frames, records, the wire, grants, results, ids and limits.
//!
//! Nothing here does I/O or reads a clock. Every format on disk or on a wire is defined in exactly one place:
//!
//! * [`frame`], [`slow`], [`field`], [`event`], [`meta`]: what simulators report, as rkyv archives (F1, F2)
//! * [`record`]: a sealed batch of frames (F3); [`stamp`]: the record as the log holds it (F5)
//! * [`wire`]: the protocol between client and edge (W2, W4-W7); [`grant`], [`connect`]: access rights; [`control`]: how edges
//!   learn keys and revocations (W10); [`secret`]: texts that must not be printed
//! * [`ids`]: sessions, entries, partitions (F6); [`results`]: laps and other rows, and the step that commits them; [`league`]: what
//!   people decide, and what is stored with it (D1)
//! * [`check`]: which content is accepted (W7); [`limits`]: every bound, with its reason; [`places`]: how servers count who is there;
//!   [`wall`]: whether the wall clock can be believed; [`trace`]: how frames are followed, [`metrics`]: how services count
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
pub mod league;
pub mod limits;
pub mod meta;
pub mod metrics;
pub mod places;
pub mod record;
pub mod results;
pub mod secret;
pub mod slow;
pub mod stamp;
pub mod text;
pub mod trace;
pub mod wall;
pub mod wire;

pub use ids::{DriverId, EntryId, GrantId, LogId, RunId, SessionId, ShortId, Sim, Source, StreamKey, TenantId};
