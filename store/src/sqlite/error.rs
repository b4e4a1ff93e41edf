//! The meaning of SQLite's errors for the caller.

use sqlx::migrate::MigrateError;

use crate::StoreError;

pub(super) fn from_sqlx(e: sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    match e {
        E::Database(e) => {
            let primary = e.code().and_then(|c| c.parse::<i32>().ok()).unwrap_or(0) & 0xff;
            from_code(primary, e.message())
        }
        E::Io(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed => StoreError::Unavailable(e.to_string()),
        E::ColumnDecode { .. } | E::Decode(_) | E::ColumnNotFound(_) | E::ColumnIndexOutOfBounds { .. } => StoreError::Unreadable(e.to_string()),
        E::Migrate(e) => from_migration(*e),
        other => StoreError::Refused(other.to_string()),
    }
}

pub(super) fn from_migration(e: MigrateError) -> StoreError {
    match e {
        MigrateError::Execute(e) | MigrateError::ExecuteMigration(e, _) => from_sqlx(e),
        MigrateError::VersionMissing(version) => {
            StoreError::Unreadable(format!("its schema has version {version}, which this program does not know"))
        }
        other => StoreError::Unreadable(format!("its schema: {other}")),
    }
}

/// Primary result codes, <https://www.sqlite.org/rescode.html>.
fn from_code(code: i32, message: &str) -> StoreError {
    match code {
        // FULL: a person has to free space, but then the same call succeeds.
        13 => StoreError::Unavailable(format!("the disk is full: {message}")),
        // BUSY, LOCKED, NOMEM, READONLY, INTERRUPT, IOERR, CANTOPEN, PROTOCOL.
        5 | 6 | 7 | 8 | 9 | 10 | 14 | 15 => StoreError::Unavailable(message.to_owned()),
        // CORRUPT, FORMAT, NOTADB; SCHEMA and ERROR after preparing: a table or column that does not exist.
        1 | 11 | 17 | 24 | 26 => StoreError::Unreadable(message.to_owned()),
        _ => StoreError::Refused(message.to_owned()),
    }
}
