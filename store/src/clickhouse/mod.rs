//! [`Archive`] on ClickHouse, with its plans in PostgreSQL: the server profile.
//!
//! ClickHouse takes a block of frames whole or not at all, and the same block once however often it is sent, as long as it
//! remembers the block's token. It cannot join that with a checkpoint, nor refuse who does not own the partition any more. So a
//! block is first planned in one fenced transaction of PostgreSQL ([`plans`]) and then inserted ([`insert`]); where a start goes on
//! follows from both ([`resume`]).
//!
//! Every row says which block brought it: the log offset of the block's last record. A block is there if a row of it is.
//!
//! Frames are removed by ClickHouse itself, a month's parts at a time, when they are older than [`Options::max_age`].

mod archive;
pub mod encode;
mod error;
mod insert;
mod laps;
pub mod layout;
mod migrate;
mod options;
mod plans;
mod read;
mod resume;
pub mod schema;
mod server;
#[cfg(test)]
mod tests;

pub use archive::ClickHouseArchive;
pub use migrate::migrate;
pub use options::Options;
