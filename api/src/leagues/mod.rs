//! Leagues between REST and the pure rules of `race::league`: read a league, decide something about it, show it.
//!
//! ```text
//! request ─incoming─▶ Draft ─prepare (race checks, applies, computes)─▶ Write ─▶ store ─▶ Loaded, kept until the ledger moves on
//! ```
//!
//! * What people decide is written in one transaction with everything that follows from it: projections, texts, facts, revisions that must be
//!   published anew. If another node wrote meanwhile, all of it is made again from the newer ledger.
//! * The head of the ledger is asked for at each request, so that several nodes agree and one sees its own writes at once.

mod csv;
mod draft;
mod entries;
mod facts;
mod incoming;
mod keep;
mod loaded;
mod names;
mod prepare;
mod reads;
mod rights;
mod service;
mod show;

pub(crate) use draft::{Asked, Draft, Publish};
pub(crate) use entries::imported;
pub(crate) use facts::of_file;
pub(crate) use incoming::{from_file, read_acts, session_set, text};
pub(crate) use loaded::{Loaded, computed};
pub(crate) use rights::{Acting, check_rights};
pub(crate) use service::LeagueService;
pub(crate) use show::{Shown, Title, shown};

/// Most acts of one request.
pub(crate) const ACTS_MAX: usize = 500;
/// Largest body with acts, bytes.
pub(crate) const ACTS_MAX_BYTES: usize = 1 << 20;
/// Largest file of entries, bytes.
pub(crate) const ENTRIES_MAX_BYTES: usize = 1 << 20;
/// Largest result file, bytes.
pub(crate) const FILE_MAX_BYTES: usize = 8 << 20;
