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
mod plans;
mod read;
mod resume;
pub mod schema;
mod server;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use archive::ClickHouseArchive;

use crate::StoreError;
use server::Server;

/// How the archive is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The tables' engine, when they are made: `MergeTree`, or for replicas
    /// `ReplicatedMergeTree('/clickhouse/tables/{shard}/{table}', '{replica}')`.
    pub engine: String,
    /// Part of every block's token: raised where an operator has removed frames that are to be archived again.
    pub generation: u32,
    /// Frames whose records the log took longer ago than this, whole seconds, are removed; `None`: never. [`migrate`] settles it.
    pub max_age: Option<Duration>,
    /// Compress what goes over the network, with LZ4. On one machine it costs more than it gives.
    pub compress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { engine: "MergeTree".into(), generation: 1, max_age: None, compress: false }
    }
}

/// Make the database and its tables at `url`, or bring them to what this program and `options` want. Doing so again does no
/// harm. PostgreSQL's part is [`postgres::migrate`](crate::postgres::migrate)'s.
///
/// # Errors
/// [`StoreError::Refused`] for a URL that is none and a login that is not let in; [`StoreError::Unreadable`] for tables of a
/// newer program or of another one; [`StoreError::Unavailable`].
pub async fn migrate(url: &str, password: Option<&str>, options: &Options) -> Result<(), StoreError> {
    let server = Server::parse(url, password, false)?;
    at_login(schema::migrate(&server, options).await)
}

/// What was said when logging in: who is not let in now will not be later, unless a person does something.
fn at_login<T>(outcome: Result<T, StoreError>) -> Result<T, StoreError> {
    outcome.map_err(|e| match e {
        StoreError::Unavailable(what) if error::is_for_a_person(&what) => StoreError::Refused(what),
        e => e,
    })
}
