//! The stores that processors write and the API reads: results (laps, incidents, sessions, ledgers, checkpoints) by [`Steps`] and
//! [`Sessions`], decisions of leagues by [`Leagues`], and every admitted record, once, by [`Archive`].
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
//! # The contract of [`Leagues`]
//!
//! What people decide about a league is an *act*; the acts of a league are its ledger (D1). A writer reads the league, computes from it
//! what the new acts change, and stores all of it in one [`Write`](boxbox_schemas::league::Write):
//!
//! | table | what it is | what may happen to its rows |
//! |---|---|---|
//! | `league_heads` | the last act of each league: what each request asks for, and the lock of writers | moves on with each write |
//! | `league_ledger` | acts, numbered from 1 without gaps, each with its hash and that of the act before | nothing: triggers refuse it |
//! | `league_docs` | projections: what the acts say about one thing (an entry, a penalty), as JSON | replaced, removed, computed again (D5) |
//! | `league_texts` | names and free text by the salted digest that acts refer to them by; the only personal text | removed (D4) |
//! | `league_revisions` | results and tables as they were published, numbered from 1 for each | nothing: triggers refuse it |
//! | `league_facts` | facts that results were computed from, by digest | nothing: triggers refuse it |
//! | `league_keys` | answers to requests of about the last day | removed when they are older than a day |
//!
//! * A write is one transaction: all of it is stored, or nothing. After [`StoreError::Unavailable`] it is not known whether it happened; with its
//!   key it can be repeated (D3).
//! * It is refused with [`Conflict`](boxbox_schemas::league::Written::Conflict) if the ledger does not end with the act that it expects: of
//!   writers that expect the same act exactly one wins, on any number of connections and processes. A league is made by its first act.
//! * A write without acts stores the rest alone, as for projections that are computed again.
//! * A key is looked at first: a request that was done is answered, however far the ledger is by now. Keys are apart by tenant, league and actor.
//! * The hash of an act depends on tenant, league, number and content alone. Rows of an export are written with their hashes
//!   ([`Write::imported`](boxbox_schemas::league::Write::imported)), into a league that does not exist or ends with the act before them.
//! * [`check_ledger`] finds every act that was changed, removed, added or moved by hand (D2). Whether the projections, and the rows of revisions, are
//!   what follows from the acts is not known here: `race` computes them again.
//! * Actors and owners are opaque ids. No name and no free text may be in an act, projection, revision, facts or answer: nothing removes them
//!   from there. A text with several owners is stored for each of them, and is gone for one when it is erased with him.
//! * Every part has a bound (`LEAGUE_…` in [`limits`](boxbox_schemas::limits)); a write beyond one is [`StoreError::Refused`], and so is one with a
//!   revision that leaves out a number, or with something that refers to an act that is not there.
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
mod readers;
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
pub use leagues::{Leagues, check_ledger};
pub use readers::Readers;
pub use rules::QUARANTINE_MAX_ROWS;
pub use sessions::{BestLaps, LapFilter, SessionCursor, Sessions, rows_of};
pub use steps::{FOUND_AT_ONCE_BYTES, Found, Lease, Member, Share, Steps, StoredSession};
