//! [`Server`]: ClickHouse's address and login, and statements in bounded time.

use std::path::PathBuf;
use std::time::Duration;

use clickhouse::query::Query;
use clickhouse::{Client, Compression, RowOwned, RowRead};
use hyper_rustls::ConfigBuilderExt;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use tokio::time::timeout;

use super::error::from_clickhouse;
use crate::StoreError;

/// How long connecting may take.
const CONNECT_DEADLINE: Duration = Duration::from_secs(5);
/// How long a statement may take that reads no frames.
const SHORT: Duration = Duration::from_secs(15);
/// An idle connection is closed after this long: before ClickHouse closes it, after 10 s.
const IDLE: Duration = Duration::from_secs(3);
/// The database if the URL names none.
const DATABASE: &str = "boxbox";

/// A ClickHouse database.
#[derive(Clone)]
pub(super) struct Server {
    pub(super) client: Client,
    pub(super) database: String,
    address: String,
}

/// Check a database's URL without connecting: its form, and the certificates that it names.
///
/// # Errors
/// [`StoreError::Refused`], as [`ClickHouseArchive::open`](super::ClickHouseArchive::open).
pub fn check_url(url: &str) -> Result<(), StoreError> {
    Server::parse(url, None, false).map(drop)
}

/// The parts of a URL.
#[derive(PartialEq, Eq, Debug)]
struct Address {
    user: String,
    host: String,
    port: u16,
    database: String,
    tls: bool,
    ca: Option<PathBuf>,
}

impl Server {
    /// `clickhouse://USER@HOST:PORT/DATABASE`, ClickHouse's HTTP port; `clickhouses://`, or `?tls=on`, for HTTPS, with `&ca=FILE`
    /// for the certificates (PEM) that its own may be signed by, instead of the system's.
    ///
    /// # Errors
    /// [`StoreError::Refused`] for an invalid URL, for one with a password, which the error does not repeat, and for a file without
    /// certificates.
    pub(super) fn parse(url: &str, password: Option<&str>, compress: bool) -> Result<Self, StoreError> {
        let Address { user, host, port, database, tls, ca } = Address::parse(url)?;
        let mut tcp = HttpConnector::new();
        tcp.enforce_http(false);
        tcp.set_nodelay(true);
        tcp.set_connect_timeout(Some(CONNECT_DEADLINE));
        tcp.set_keepalive(Some(Duration::from_secs(30)));
        let pool = || {
            let mut pool = HttpClient::builder(TokioExecutor::new());
            pool.pool_idle_timeout(IDLE);
            pool
        };
        let client = if tls {
            let connector = hyper_rustls::HttpsConnectorBuilder::new().with_tls_config(trusting(ca)?).https_only().enable_http1();
            Client::with_http_client(pool().build(connector.wrap_connector(tcp)))
        } else {
            Client::with_http_client(pool().build(tcp))
        };
        let scheme = if tls { "https" } else { "http" };
        let client = client.with_url(format!("{scheme}://{host}:{port}")).with_user(&user).with_password(password.unwrap_or_default());
        let client = client.with_database(&database).with_compression(if compress { Compression::Lz4 } else { Compression::None });
        Ok(Self { client, address: format!("ClickHouse, {user}@{host}:{port}/{database}"), database })
    }

    /// A statement without a result.
    pub(super) async fn execute(&self, query: Query) -> Result<(), StoreError> {
        self.within(SHORT, query.execute()).await
    }

    /// The statement's rows.
    pub(super) async fn rows<T: RowOwned + RowRead>(&self, query: Query) -> Result<Vec<T>, StoreError> {
        self.within(SHORT, query.fetch_all()).await
    }

    /// The statement's only row.
    pub(super) async fn row<T: RowOwned + RowRead>(&self, query: Query) -> Result<T, StoreError> {
        self.within(SHORT, query.fetch_one()).await
    }

    /// The result of `work`, if it comes within `deadline`.
    pub(super) async fn within<T>(&self, deadline: Duration, work: impl Future<Output = clickhouse::error::Result<T>>) -> Result<T, StoreError> {
        match timeout(deadline, work).await {
            Ok(done) => done.map_err(|e| self.at(from_clickhouse(e))),
            Err(_) => Err(self.at(StoreError::Unavailable(format!("no answer within {deadline:?}")))),
        }
    }

    /// An error with the server's address, which is not secret.
    pub(super) fn at(&self, e: StoreError) -> StoreError {
        let address = &self.address;
        match e {
            StoreError::Unavailable(what) => StoreError::Unavailable(format!("{address}: {what}")),
            StoreError::Unreadable(what) => StoreError::Unreadable(format!("{address}: {what}")),
            StoreError::Refused(what) => StoreError::Refused(format!("{address}: {what}")),
            fenced @ StoreError::Fenced { .. } => fenced,
        }
    }
}

impl Address {
    fn parse(url: &str) -> Result<Self, StoreError> {
        let refused = |why: &str| StoreError::Refused(format!("the URL of ClickHouse {why}"));
        let (rest, mut tls) = match (url.strip_prefix("clickhouse://"), url.strip_prefix("clickhouses://")) {
            (Some(rest), _) => (rest, false),
            (_, Some(rest)) => (rest, true),
            _ => return Err(refused("does not begin with clickhouse:// or clickhouses://")),
        };
        let (location, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = location.split_once('/').unwrap_or((location, ""));
        let (user, host) = authority.rsplit_once('@').ok_or_else(|| refused("names no user: clickhouse://USER@HOST:PORT/DATABASE"))?;
        let parameters: Vec<_> = query.split('&').filter(|p| !p.is_empty()).map(|p| p.split_once('=').unwrap_or((p, ""))).collect();
        if user.contains(':') || parameters.iter().any(|(name, _)| name.eq_ignore_ascii_case("password")) {
            return Err(refused("has a password in it, where others can see it: give a file with --archive-password-file"));
        }
        let mut ca = None;
        for (name, value) in parameters {
            match (name, value) {
                ("tls", "on") => tls = true,
                ("tls", "off") if !url.starts_with("clickhouses") => tls = false,
                ("ca", file) if !file.is_empty() => ca = Some(PathBuf::from(file)),
                _ => return Err(refused(&format!("has a parameter {name}={value}; there are tls=on and ca=FILE"))),
            }
        }
        if ca.is_some() && !tls {
            return Err(refused("names certificates, but not tls=on"));
        }
        let port_of = |text: &str| text.parse::<u16>().map_err(|_| refused(&format!("has a port {text:?}")));
        let (host, port) = match host.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, port_of(port)?),
            _ => (host, if tls { 8443 } else { 8123 }),
        };
        let name = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'));
        let ipv6 = |text: &str| text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).is_some_and(|t| t.parse::<std::net::Ipv6Addr>().is_ok());
        let database = if database.is_empty() { DATABASE } else { database };
        if !name(user) || !(name(host) || ipv6(host)) || !name(database) || database.contains(['-', '.']) {
            return Err(refused("is none: clickhouse://USER@HOST:PORT/DATABASE, the database of letters, digits and _"));
        }
        Ok(Self { user: user.into(), host: host.into(), port, database: database.into(), tls, ca })
    }
}

/// TLS 1.2 or newer with ring, trusting the certificates in a file or the system's.
fn trusting(ca: Option<PathBuf>) -> Result<rustls::ClientConfig, StoreError> {
    let refused = |why: String| StoreError::Refused(format!("TLS to ClickHouse: {why}"));
    let builder = rustls::ClientConfig::builder_with_provider(rustls::crypto::ring::default_provider().into());
    let builder = builder.with_safe_default_protocol_versions().map_err(|e| refused(e.to_string()))?;
    let Some(file) = ca else {
        let builder = builder.with_native_roots().map_err(|e| refused(format!("{e}: name the certificates with ?tls=on&ca=FILE")))?;
        return Ok(builder.with_no_client_auth());
    };
    let name = file.display();
    let mut roots = rustls::RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(&file).map_err(|e| refused(format!("{name}: {e}")))? {
        let added = certificate.map_err(|e| e.to_string()).and_then(|c| roots.add(c).map_err(|e| e.to_string()));
        added.map_err(|e| refused(format!("{name}: {e}")))?;
    }
    if roots.is_empty() {
        return Err(refused(format!("{name} has no certificate in it")));
    }
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(url: &str) -> Result<Address, String> {
        Address::parse(url).map_err(|e| e.to_string())
    }

    #[test]
    fn urls_say_where_and_how() {
        let plain = Address { user: "app".into(), host: "db".into(), port: 8123, database: "boxbox".into(), tls: false, ca: None };
        assert_eq!(address("clickhouse://app@db").unwrap(), plain);
        assert_eq!(address("clickhouse://app@db:8123/boxbox?tls=off").unwrap(), plain);
        let tls = address("clickhouses://app@[::1]/telemetry?ca=/etc/ca.pem").unwrap();
        assert_eq!((tls.host.as_str(), tls.port, tls.database.as_str(), tls.tls), ("[::1]", 8443, "telemetry", true));
        assert_eq!(tls.ca, Some("/etc/ca.pem".into()));
        assert!(address("clickhouse://app@db:9440/x?tls=on").unwrap().tls);
    }

    #[test]
    fn a_password_in_the_url_is_refused_and_not_repeated() {
        for url in ["clickhouse://app:hunter2@db/x", "clickhouse://app@db/x?password=hunter2", "clickhouse://a:hunter2@b@db/x"] {
            let e = address(url).unwrap_err();
            assert!(e.contains("--archive-password-file") && !e.contains("hunter2"), "{e}");
        }
    }

    #[test]
    fn what_is_no_url_is_refused_plainly() {
        for (url, why) in [
            ("http://app@db", "clickhouse://"),
            ("clickhouse://db/x", "no user"),
            ("clickhouse://app@db:http/x", "port"),
            ("clickhouse://app@db/x;DROP", "is none"),
            ("clickhouse://app@db/x?tls=maybe", "tls=on"),
            ("clickhouse://app@db/x?ca=/a.pem", "not tls=on"),
            ("clickhouses://app@db/x?tls=off", "tls=on"),
            ("clickhouse://app@[db]/x", "is none"),
        ] {
            let e = address(url).unwrap_err();
            assert!(e.contains(why), "{url}: {e}");
        }
    }
}
