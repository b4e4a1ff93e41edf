//! Results on PostgreSQL: the server profile, which several processors share.
//!
//! The statements of steps and queries are shared with SQLite (see [`crate::sql`]). Different are the handling of connections
//! ([`database`]), the ownership of partitions ([`members`]) and the outbox of laps.
//!
//! A pooler between this and the server must give each connection its own server session (PgBouncer: session mode):
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
pub use server::check_url;
pub use store::PostgresResults;

// The archive in ClickHouse keeps its plans here.
pub(crate) use database::Database;
pub(crate) use error::from_sqlx;

#[cfg(test)]
mod tests;
