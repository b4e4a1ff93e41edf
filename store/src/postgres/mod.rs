//! Results on PostgreSQL: the server profile, which several processors share.
//!
//! What a step writes and what a question asks is that of SQLite (see [`crate::sql`]); what is different is how connections are
//! kept ([`database`]), who owns a partition ([`members`]) and the outbox of laps.
//!
//! A pooler between this and the server must give each connection a server session of its own (PgBouncer: session mode):
//! statements are prepared once, and settings are made when a connection opens.

mod connection;
mod database;
mod error;
mod members;
mod moments;
mod schema;
mod server;
mod store;

pub use schema::migrate;
pub use store::PostgresResults;

// The archive in ClickHouse keeps its plans here.
pub(crate) use database::Database;
pub(crate) use error::from_sqlx;

#[cfg(test)]
mod tests;
