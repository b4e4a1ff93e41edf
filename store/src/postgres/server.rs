//! [`Server`]: the database's address, its user, and the settings of each connection.

use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{ConnectOptions, Connection};
use tokio::time::timeout;

use super::error::from_sqlx;
use crate::StoreError;

/// How long a statement may take on the server. Those of this crate take milliseconds.
const STATEMENT_TIMEOUT: &str = "10s";
/// How long a statement waits for a lock. [`IDLE_IN_TRANSACTION`] and [`STATEMENT_TIMEOUT`] bound how long another holds it.
const LOCK_TIMEOUT: &str = "5s";
/// The server ends a transaction after this long without a statement, which frees its locks.
const IDLE_IN_TRANSACTION: &str = "10s";
/// How long connecting and logging in may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// Prepared statements kept for each connection: more than this crate's different statements.
const STATEMENTS: usize = 200;
/// Parameters allowed after the `?` of a URL. Others are set here, or would change the settings below.
const PARAMETERS: [&str; 5] = ["sslmode", "sslrootcert", "sslcert", "sslkey", "host"];

/// Parameters whose values are files.
const FILES: [&str; 3] = ["sslrootcert", "sslcert", "sslkey"];

/// Check a database's URL without connecting: its form, and that the files it names can be read.
///
/// # Errors
/// [`StoreError::Refused`], as [`PostgresResults::open`](super::PostgresResults::open).
pub fn check_url(url: &str) -> Result<(), StoreError> {
    Server::parse(url, None)?;
    let parameters = url.split_once('?').map_or("", |(_, query)| query).split('&').filter_map(|pair| pair.split_once('='));
    // Of a percent-encoded name it is not known here which file it is.
    for (name, file) in parameters.filter(|(name, file)| FILES.contains(name) && !file.contains('%')) {
        std::fs::File::open(file).map_err(|e| StoreError::Refused(format!("{name}: cannot read {file}: {e}")))?;
    }
    Ok(())
}

/// A database and its login.
#[derive(Clone)]
pub(crate) struct Server {
    options: PgConnectOptions,
}

impl Server {
    /// `postgres://USER@HOST:PORT/DATABASE`, with `?sslmode=…&sslrootcert=…`. Without an `sslmode` the server's certificate is
    /// verified, unless the server is on this machine. Without a password, `PGPASSWORD` and `~/.pgpass` are used, as
    /// PostgreSQL's own programs do.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an invalid URL, and for one with a password, which the error does not repeat.
    pub(crate) fn parse(url: &str, password: Option<&str>) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Refused(format!("the URL of the PostgreSQL database {why}"));
        let rest = url.strip_prefix("postgres://").or_else(|| url.strip_prefix("postgresql://"));
        let rest = rest.ok_or_else(|| refused("does not begin with postgres://"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = place.split_once('/').unwrap_or((place, ""));
        let (user, host) = authority.rsplit_once('@').ok_or_else(|| refused("names no user: postgres://USER@HOST:PORT/DATABASE"))?;
        let parameters: Vec<_> = query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
        if user.contains(':') || parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case("password")) {
            return Err(refused("has a password in it, where others can see it: give a file with --results-password-file"));
        }
        if user.is_empty() || database.is_empty() {
            return Err(refused("names no user or no database: postgres://USER@HOST:PORT/DATABASE"));
        }
        if let Some((name, _)) = parameters.iter().find(|(name, _)| !PARAMETERS.contains(name)) {
            return Err(refused(&format!("has a parameter {name:?}; there are {}", PARAMETERS.join(", "))));
        }
        let given = |wanted: &str| parameters.iter().any(|(name, _)| *name == wanted);
        let mut options: PgConnectOptions = url.parse().map_err(|e: sqlx::Error| refused(&format!("is none: {e}")))?;
        if !given("sslmode") {
            let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
            let here = given("host") || name.starts_with("127.") || ["", "localhost", "[::1]"].contains(&name);
            options = options.ssl_mode(if here { PgSslMode::Prefer } else { PgSslMode::VerifyFull });
        }
        if let Some(password) = password {
            options = options.password(password);
        }
        Ok(Self { options: options.statement_cache_capacity(STATEMENTS).options(SETTINGS) })
    }

    /// The same, with connections named `boxbox-NAME`.
    pub(crate) fn named(&self, name: &str) -> Self {
        Self { options: self.options.clone().application_name(&format!("boxbox-{name}")) }
    }

    /// The same, with other settings on each connection.
    pub(crate) fn with<const N: usize>(&self, settings: [(&'static str, &'static str); N]) -> Self {
        Self { options: self.options.clone().options(settings) }
    }

    /// A new connection, in bounded time.
    pub(crate) async fn connection(&self) -> Result<PgConnection, StoreError> {
        match timeout(CONNECT_DEADLINE, self.options.connect()).await {
            Ok(connected) => connected.map_err(|e| self.at(from_sqlx(e))),
            Err(_) => Err(self.at(StoreError::Unavailable(format!("no connection within {CONNECT_DEADLINE:?}")))),
        }
    }

    /// The first connection. A login that is refused now stays refused until a person changes something, so that is an error at once.
    pub(crate) async fn login(&self) -> Result<PgConnection, StoreError> {
        match timeout(CONNECT_DEADLINE, self.options.connect()).await {
            Ok(Err(e)) if is_for_a_person(&e) => {
                let said = e.as_database_error().map_or_else(|| e.to_string(), |e| e.message().to_owned());
                Err(self.at(StoreError::Refused(format!("no way into the database: {said}"))))
            }
            Ok(connected) => connected.map_err(|e| self.at(from_sqlx(e))),
            Err(_) => Err(self.at(StoreError::Unavailable(format!("no connection within {CONNECT_DEADLINE:?}")))),
        }
    }

    /// An error with the server's address, which is not secret.
    pub(crate) fn at(&self, e: StoreError) -> StoreError {
        let o = &self.options;
        let place = format!("PostgreSQL, {}@{}:{}/{}", o.get_username(), o.get_host(), o.get_port(), o.get_database().unwrap_or_default());
        match e {
            StoreError::Unavailable(what) => StoreError::Unavailable(format!("{place}: {what}")),
            StoreError::Unreadable(what) => StoreError::Unreadable(format!("{place}: {what}")),
            StoreError::Refused(what) => StoreError::Refused(format!("{place}: {what}")),
            fenced @ StoreError::Fenced { .. } => fenced,
        }
    }
}

/// Whether a login failed for a reason that a person must remove: a wrong password, no such user or database, an invalid
/// certificate.
fn is_for_a_person(e: &sqlx::Error) -> bool {
    match e {
        sqlx::Error::Database(e) => e.code().is_some_and(|state| state.starts_with("28") || state.starts_with("3D")),
        sqlx::Error::Tls(_) | sqlx::Error::Configuration(_) => true,
        // Errors of rustls about a certificate.
        sqlx::Error::Io(e) => e.kind() == std::io::ErrorKind::InvalidData,
        _ => false,
    }
}

/// The settings of every connection, made when it opens.
const SETTINGS: [(&str, &str); 9] = [
    // A confirmed commit is on the disk, and on that of a synchronous standby.
    ("synchronous_commit", "on"),
    ("statement_timeout", STATEMENT_TIMEOUT),
    ("lock_timeout", LOCK_TIMEOUT),
    ("idle_in_transaction_session_timeout", IDLE_IN_TRANSACTION),
    // The server notices during a statement that a client is gone, and within half a minute that a machine is gone.
    ("client_connection_check_interval", "1s"),
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20s"),
];

/// Close the connection in order; a server that does not answer is not waited for.
pub(super) async fn close(connection: PgConnection) {
    drop(timeout(CONNECT_DEADLINE, connection.close()).await);
}

/// The same in the background.
pub(super) fn close_soon(connection: PgConnection) {
    tokio::spawn(close(connection));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> Result<Server, String> {
        Server::parse(url, None).map_err(|e| e.to_string())
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        for url in ["postgres://boxbox:hunter2@db/boxbox", "postgres://boxbox@db/boxbox?password=hunter2", "postgres://a:hunter2@x@db/boxbox"] {
            let e = parsed(url).err().unwrap();
            assert!(e.contains("--results-password-file") && !e.contains("hunter2"), "{e}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_plainly() {
        for (url, why) in [
            ("mysql://boxbox@db/boxbox", "postgres://"),
            ("postgres://db/boxbox", "no user"),
            ("postgres://boxbox@db", "no database"),
            ("postgres://boxbox@db:port/boxbox", "is none"),
            ("postgres://boxbox@db/boxbox?sslmode=perhaps", "is none"),
            ("postgres://boxbox@db/boxbox?options=-cfsync=off", "options"),
        ] {
            let e = parsed(url).err().unwrap();
            assert!(e.contains(why), "{url}: {e}");
        }
    }

    #[test]
    fn files_that_a_url_names_are_looked_at() {
        let check = |query: &str| check_url(&format!("postgres://boxbox@db/boxbox{query}")).map_err(|e| e.to_string());
        assert_eq!(check(""), Ok(()));
        assert_eq!(check(concat!("?sslmode=verify-full&sslrootcert=", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml")), Ok(()));
        assert!(check("?sslrootcert=/nowhere/ca.pem").is_err_and(|e| e.contains("sslrootcert") && e.contains("/nowhere/ca.pem")));
        assert!(check("?sslmode=perhaps").is_err());
    }

    #[test]
    fn other_machines_must_prove_who_they_are() {
        let mode = |url: &str| format!("{:?}", parsed(url).unwrap().options.get_ssl_mode());
        assert_eq!(mode("postgres://boxbox@db.example/boxbox"), "VerifyFull");
        assert_eq!(mode("postgres://boxbox@127.0.0.1:5433/boxbox"), "Prefer");
        assert_eq!(mode("postgres://boxbox@[::1]:5433/boxbox"), "Prefer");
        assert_eq!(mode("postgres://boxbox@localhost/boxbox"), "Prefer");
        assert_eq!(mode("postgres://boxbox@localhost.example/boxbox"), "VerifyFull");
        assert_eq!(mode("postgres://boxbox@localhost/boxbox?sslmode=require"), "Require");
    }
}
