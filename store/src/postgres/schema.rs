//! The schema: migrating a database to it, and checking whether a database has it.

use sqlx::migrate::{Migrate, Migrator};

use super::error::{from_migration, from_sqlx};
use super::server::{Server, close_soon};
use crate::StoreError;

static MIGRATIONS: Migrator = sqlx::migrate!("migrations/postgres");

/// Migrate the database at `url` to the schema of this program. Doing so again, or from several processes at once, does no harm.
///
/// # Errors
/// [`StoreError::Unreadable`] for a database that a newer program has migrated; else as [`PostgresResults::open`](super::PostgresResults::open).
pub async fn migrate(url: &str, password: Option<&str>) -> Result<(), StoreError> {
    // A migration may rewrite tables, and waits for other processes that migrate.
    let patient = [("statement_timeout", "0"), ("lock_timeout", "0")];
    let server = Server::parse(url, password)?.named("migrate").with(patient);
    let mut connection = server.login().await?;
    let done = MIGRATIONS.run_direct(None, &mut connection, false).await;
    // The connection is closed in any case: a failed migration keeps its lock as long as its connection.
    close_soon(connection);
    done.map_err(|e| server.at(from_migration(e)))
}

/// Whether the database has exactly the schema that this program knows.
pub(super) async fn check(server: &Server) -> Result<(), StoreError> {
    let mut connection = server.login().await?;
    let wrong = |what: String| server.at(StoreError::Unreadable(what));
    let exists: bool = sqlx::query_scalar("SELECT to_regclass($1) IS NOT NULL")
        .bind(&*MIGRATIONS.table_name)
        .fetch_one(&mut connection)
        .await
        .map_err(|e| server.at(from_sqlx(e)))?;
    if !exists {
        return Err(wrong("it has no tables yet: run `boxbox migrate`".into()));
    }
    let applied = connection.list_applied_migrations(&MIGRATIONS.table_name).await.map_err(|e| server.at(from_migration(e)))?;
    let half_done = connection.dirty_version(&MIGRATIONS.table_name).await.map_err(|e| server.at(from_migration(e)))?;
    close_soon(connection);
    if let Some(version) = half_done {
        return Err(wrong(format!("its migration to version {version} has not ended well")));
    }
    if let Some(newer) = applied.iter().find(|a| !MIGRATIONS.version_exists(a.version)) {
        return Err(wrong(format!("its schema has version {}, which this program does not know", newer.version)));
    }
    for known in MIGRATIONS.iter() {
        match applied.iter().find(|a| a.version == known.version) {
            None => return Err(wrong(format!("its schema lacks version {}: run `boxbox migrate`", known.version))),
            Some(a) if a.checksum != known.checksum => return Err(wrong(format!("version {} of its schema is another one", known.version))),
            Some(_) => {}
        }
    }
    Ok(())
}
