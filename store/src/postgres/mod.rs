//! Results on PostgreSQL: the server profile, which several processors share.
//!
//! What a step writes and what a question asks is that of SQLite (see [`crate::sql`]); what is different is how connections are
//! kept ([`database`]), who owns a partition ([`members`]) and the outbox of laps.
//!
//! A pooler between this and the server must give each connection a server session of its own (PgBouncer: session mode):
//! statements are prepared once, and settings are made when a connection opens.

/// SQL that differs between backends, see [`crate::sql`]. Whoever writes a partition holds its row.
macro_rules! for_update {
    () => {
        " FOR UPDATE"
    };
}

macro_rules! to_nobody {
    () => {
        ", owner = NULL, leaving = FALSE"
    };
}

macro_rules! no_bytes {
    () => {
        "''::bytea"
    };
}

#[path = "../sql/commit.rs"]
mod commit;
mod database;
#[path = "../sql/decode.rs"]
mod decode;
mod error;
mod members;
mod moments;
mod outbox;
#[path = "../sql/results.rs"]
mod results;
mod schema;
mod server;
mod store;
mod upsert;

pub use schema::migrate;
pub use store::PostgresResults;

// The archive in ClickHouse keeps its plans here.
pub(crate) use commit::owned;
pub(crate) use database::Database;
pub(crate) use error::from_sqlx;

type Db = sqlx::Postgres;
type Connection = sqlx::PgConnection;
type Row = sqlx::postgres::PgRow;
type Store = PostgresResults;

#[cfg(test)]
mod tests;
