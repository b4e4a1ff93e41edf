//! The stores that processors write and the API reads: results (laps, incidents, sessions, ledgers, checkpoints) by [`Steps`] and
//! [`Sessions`], and every admitted record, once, by [`Archive`].
//!
//! # The contract of [`Steps`] and [`Sessions`]
//!
//! A results store implements both: processors write with [`Steps`], and readers have only [`Sessions`], so that they cannot
//! change anything.
//!
//! * A partition is owned by the holder of its newest [`Lease`]; [`Steps::commit`] by any other is refused with
//!   [`StoreError::Fenced`] and changes nothing (E5a).
//! * Where several processors share a store ([`Steps::shared`]), each beats ([`Steps::beat`]) and learns what it owns:
//!   about as many partitions as any other. A processor that has not beaten for its [`Member::ttl`], by the store's clock, loses
//!   its partitions to those that do. If it has not noticed that does no harm, because it is fenced.
//! * A [`Step`] is one transaction: either all of it is stored, with the checkpoint, or nothing. After a cancelled commit
//!   it is not known whether it happened, but no transaction stays open.
//! * A processor begins with [`Steps::begin`], whose cost does not grow with history, and asks for a session's state when it needs it
//!   ([`Steps::find`]). What is found is what the last step left, because only the owner of the partition changes it.
//! * Rows are replaced by key; the processor, which owns the partition, guarantees that a stream's lap is
//!   never replaced by one of a lower revision.
//! * A row belongs to a session that its step or an earlier one contains. Withdrawals apply before the laps of their step.
//!   Of two rows with one key in a step the later one stays. Rows marked superseded are kept and loaded, never shown.
//! * Rows of a kind that this version does not know are stored, loaded and returned unchanged.
//! * Reads see committed steps only and are limited to one tenant.
//!
//! # The contract of [`Archive`]
//!
//! * An archive has its own checkpoint for each partition, so that an archive that is down delays no lap (E6b). [`Archive::append`] is all or
//!   nothing: frames, stream cursors and checkpoint (E6a).
//! * A frame or record is stored once, however often its range is appended: what is below a stream's cursor is stored already and is
//!   skipped, and appending a block again changes nothing, even if the first answer was lost. After a restart
//!   [`Archive::load`] says where to continue, which frames are stored already, and where the next blocks must end.
//! * Frames of the own car are kept one by one, and records of every other kind as they came: both together are all that was admitted,
//!   so a session can be computed again from its archive alone.
//! * [`Archive::retain`] removes the oldest frames and records; what was removed never comes back.
//!
//! Backends: [`memory`] is the reference, for tests; [`sqlite`] is the embedded profile; [`postgres`] and [`clickhouse`] are
//! the server profile. One behaviour suite for each trait runs on all of them.

#[macro_use]
mod sql;

#[cfg(test)]
#[macro_use]
mod suite;

mod archive;
pub mod clickhouse;
pub mod crash;
mod error;
mod league_rules;
mod leagues;
pub mod memory;
mod pack;
mod pack_records;
pub mod postgres;
mod rules;
mod run;
mod sessions;
mod share;
pub mod sqlite;
mod steps;

pub use archive::{Archive, ArchiveBlock, ArchiveState, Daily, FrameRun, KeptRecord, Pace, Piece, Removed, Retention, StreamRecords};
pub use boxbox_schemas::limits::STREAM_RACE_MAX_BYTES;
pub use boxbox_schemas::results::{Beginning, FieldState, PartitionState, Quarantined, SessionKey, SessionState, Step, StreamState};
pub use error::StoreError;
pub use leagues::Leagues;
pub use rules::QUARANTINE_MAX_ROWS;
pub use sessions::{BestLaps, LapFilter, SessionCursor, Sessions, rows_of};
pub use steps::{FOUND_AT_ONCE_BYTES, Found, Lease, Member, Share, Steps, StoredSession};
