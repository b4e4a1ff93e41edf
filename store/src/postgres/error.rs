//! The meaning of PostgreSQL's errors for the caller.

use sqlx::migrate::MigrateError;
use sqlx::postgres::PgDatabaseError;

use crate::StoreError;

pub(crate) fn from_sqlx(e: sqlx::Error) -> StoreError {
    use sqlx::Error as E;
    match e {
        E::Database(e) => {
            let said = e.try_downcast_ref::<PgDatabaseError>().map_or(String::new(), |e| e.code().to_owned());
            from_state(&said, e.message())
        }
        // A protocol error means that the connection broke within a message, or that the other end is not PostgreSQL.
        E::Io(_) | E::Tls(_) | E::Protocol(_) | E::PoolTimedOut | E::PoolClosed | E::WorkerCrashed | E::BeginFailed => {
            StoreError::Unavailable(e.to_string())
        }
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

/// By SQLSTATE, <https://www.postgresql.org/docs/18/errcodes-appendix.html>.
fn from_state(state: &str, message: &str) -> StoreError {
    #[cfg(test)]
    if state == "25P02" {
        tests::IN_FAILED_TRANSACTION.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
    match state {
        // A person has to free space, but then the same call succeeds.
        "53100" => StoreError::Unavailable(format!("the database's disk is full: {message}")),
        "25006" => StoreError::Unavailable(format!("the database only reads, as a standby does: {message}")),
        "55P03" => StoreError::Unavailable(format!("a lock was not given in time: {message}")),
        "57014" => StoreError::Unavailable(format!("the database took too long: {message}")),
        "42P01" | "42703" | "3F000" => StoreError::Unreadable(format!("its schema is another one ({message}): run `boxbox migrate`")),
        "42501" => StoreError::Unavailable(format!("the database does not let this user do that: {message}")),
        _ => match state.get(..2).unwrap_or("") {
            // The server decides who may log in, and a person can change that while this program runs.
            "28" | "3D" => StoreError::Unavailable(format!("no way into the database: {message}")),
            // Connections, resources, operators, deadlocks; a transaction that the server ended; I/O; a statement that was prepared
            // before a migration, which the next connection prepares again.
            "08" | "53" | "57" | "40" | "25" | "58" | "0A" => StoreError::Unavailable(message.to_owned()),
            // Damage.
            "XX" => StoreError::Unreadable(message.to_owned()),
            _ => StoreError::Refused(format!("{message} (SQLSTATE {state})")),
        },
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Statements in a transaction that had failed before: the program continued after the failure.
    pub(in crate::postgres) static IN_FAILED_TRANSACTION: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

    #[test]
    fn states_say_whether_trying_again_helps() {
        for state in ["08006", "53300", "53100", "57P01", "57014", "40001", "40P01", "55P03", "25006", "25P03", "28P01", "3D000", "58030"] {
            assert!(from_state(state, "x").is_retryable(), "{state}");
        }
        for state in ["42P01", "42703", "XX001"] {
            assert!(matches!(from_state(state, "x"), StoreError::Unreadable(_)), "{state}");
        }
        for state in ["22021", "23503", "42601", ""] {
            assert!(matches!(from_state(state, "x"), StoreError::Refused(_)), "{state}");
        }
        assert!(from_state("53100", "x").to_string().contains("disk is full"));
    }
}
