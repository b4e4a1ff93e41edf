//! `/api/v1/leagues/…`: what leagues decided, and deciding.

pub(super) mod attach;
mod body;
pub(super) mod decide;
pub(super) mod entries;
pub(super) mod facts;
pub(super) mod ledger;
pub(super) mod list;
mod paths;
pub(super) mod preview;
pub(super) mod published;
pub(super) mod season;
pub(crate) mod watch;
