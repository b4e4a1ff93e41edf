//! [`Archive`] on ClickHouse, with its plans in PostgreSQL: the server profile.
//!
//! ClickHouse stores a block of frames whole or not at all, and stores it once however often it is sent, as long as it
//! remembers the block's token. It cannot write a checkpoint in the same transaction, nor refuse a process that no longer owns the
//! partition. So a block is first planned in one fenced transaction of PostgreSQL ([`plans`]) and then inserted ([`insert`]); from
//! both a start determines where to continue ([`resume`]).
//!
//! Every row names its block by the log offset of the block's last record. A block is stored if one of its rows is.
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
mod records;
mod resume;
pub mod schema;
mod server;
#[cfg(test)]
mod tests;

pub use archive::ClickHouseArchive;
pub use migrate::migrate;
pub use options::Options;
pub use server::check_url;
