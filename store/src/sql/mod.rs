//! What the SQL backends share.
//!
//! [`rows`] is a module like any other. The other files here, `commit.rs`, `decode.rs` and `results.rs`, are included twice: as
//! modules of `sqlite` and of `postgres`, by `#[path]`. They name their database through their parent (`use super::Connection`),
//! so each copy is plain code of one database. Generics over `sqlx::Database` would say the same with a wall of bounds on
//! every function, that each value encodes, each column decodes, each connection executes.
//!
//! A parent provides:
//!
//! * the types `Db`, `Connection`, `Row`, and `Store`, whose [`Steps`](crate::Steps) and [`Sessions`](crate::Sessions) are written here by means of its methods
//!   `write`, `load_at_length`, `all` and `answers`;
//! * the macros `for_update!`, `to_nobody!` and `no_bytes!`: pieces of SQL that differ;
//! * the modules `error` (what an error means), `upsert` (many rows in few statements: SQLite wants many values, PostgreSQL
//!   arrays), `moments` (two questions that want to be asked in different ways), `members` (several processors, or one) and
//!   `outbox` (laps to be copied elsewhere, or nothing).
//!
//! Parameters are `$1`, which both take, and whole numbers are bound as `i64`, which both have.

macro_rules! session_select {
    () => {
        "SELECT s.*, d.body AS description FROM sessions s LEFT JOIN descriptions d ON d.session = s.id"
    };
}

/// $1 tenant, $2 session. Each entry of a session by one step in the index to the next: few, whatever laps there are.
macro_rules! entries {
    () => {
        "WITH RECURSIVE entries (entry) AS ( \
         SELECT (SELECT l.entry FROM laps l WHERE l.session = $2 AND EXISTS (SELECT 1 FROM sessions WHERE id = $2 AND tenant = $1) ORDER BY l.entry LIMIT 1) \
         UNION ALL SELECT (SELECT l.entry FROM laps l WHERE l.session = $2 AND l.entry > e.entry ORDER BY l.entry LIMIT 1) \
         FROM entries e WHERE e.entry IS NOT NULL) "
    };
}

pub(crate) mod rows;
