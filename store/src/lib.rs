//! What processors write and the API reads: results (laps, incidents, sessions, ledgers, checkpoints) by [`Steps`] and
//! [`Sessions`], and every admitted frame, once, by [`Archive`].
//!
//! # The contract of [`Steps`] and [`Sessions`]
//!
//! A results store is both: processors write it by [`Steps`], and readers have [`Sessions`] alone, so that they can change
//! nothing.
//!
//! * A partition is owned by the holder of its newest [`Lease`]; [`Steps::commit`] by any other is refused with
//!   [`StoreError::Fenced`] and changes nothing (E5).
//! * Where several processors share a store ([`Steps::shared`]), each beats ([`Steps::beat`]) and learns what it owns:
//!   about as many partitions as any other. Who does not beat for its [`Member::ttl`], by the store's clock, loses what it had
//!   to those that do; that it did not notice does no harm, since it is fenced.
//! * A [`Step`] is one transaction: either all of it is there, the checkpoint included, or nothing. Committing is not
//!   cancel-safe in its *answer* (it may have happened), but never leaves a transaction open.
//! * Rows are replaced by key; a lap never by one of lower revision from the same stream, which the
//!   processor guarantees by owning the partition.
//! * A row belongs to a session that its step or an earlier one brings. Withdrawals come before the laps of their step.
//!   Of two rows with one key in a step the later one stays. What is marked superseded is kept and loaded, never shown.
//! * Rows of a kind that this version does not know are kept, loaded and given back as they are.
//! * Reads see committed steps only and are limited to one tenant.
//!
//! # The contract of [`Archive`]
//!
//! * Its own checkpoint per partition, so that an archive that is down delays no lap (E6). [`Archive::append`] is all or
//!   nothing: frames, stream cursors and checkpoint (E10).
//! * A frame is kept once, however often its range is appended: what lies below a stream's cursor is there already and is
//!   skipped, and the same block again changes nothing, whether or not the answer to the first was heard. After a restart
//!   [`Archive::load`] says where to go on, what is there already, and where the next blocks must end.
//! * [`Archive::retain`] removes the oldest; what it has removed never comes back.
//!
//! Backends: [`memory`] is the reference, for tests; [`sqlite`] is the embedded profile; [`postgres`] and [`clickhouse`] are
//! the server profile. One behaviour suite runs on all.

#[macro_use]
mod sql;

#[cfg(test)]
#[macro_use]
mod suite;

mod archive;
pub mod clickhouse;
pub mod crash;
mod error;
pub mod memory;
mod pack;
pub mod postgres;
mod rules;
mod run;
mod sessions;
mod share;
pub mod sqlite;
mod steps;

pub use archive::{Archive, ArchiveBlock, ArchiveState, FrameRun, Pace, Piece, Removed, Retention};
pub use boxbox_schemas::limits::STREAM_RACE_MAX_BYTES;
pub use boxbox_schemas::results::{FieldState, PartitionState, Quarantined, Step, StreamState};
pub use error::StoreError;
pub use rules::QUARANTINE_MAX_ROWS;
pub use sessions::{LapFilter, SessionCursor, Sessions, rows_of};
pub use steps::{Lease, Member, Share, Steps};
