//! Secured access to a Kafka log: TLS and SASL, as the URL and the password file say.
//!
//! TLS and SCRAM need OpenSSL in librdkafka, which is built in by the cargo feature `kafka-tls`; SASL PLAIN does not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use boxbox_schemas::secret::Secret;
use rdkafka::ClientConfig;

use crate::LogError;

/// Whether this build supports TLS and SCRAM.
const HAS_OPENSSL: bool = cfg!(feature = "kafka-tls");

/// How a client connects to the brokers. The default is plain text without a login.
#[derive(Clone, Debug, Default)]
pub struct Security {
    /// TLS, if wanted.
    pub tls: Option<Tls>,
    /// The login, if there is one.
    pub sasl: Option<Sasl>,
}

/// TLS with the broker's certificate and host name checked.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// PEM file of the certificates that may have signed the broker's; `None`: the system's.
    pub ca: Option<PathBuf>,
}

/// A login.
#[derive(Clone, Debug)]
pub struct Sasl {
    /// How the password is proved.
    pub mechanism: Mechanism,
    /// The user.
    pub user: String,
    /// The password.
    pub password: Secret,
}

/// How a login proves its password.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mechanism {
    /// By sending it: use this only over TLS, or on this machine.
    Plain,
    /// SCRAM with SHA-256: the password is not sent.
    ScramSha256,
    /// SCRAM with SHA-512: the password is not sent.
    ScramSha512,
}

impl Mechanism {
    const fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl Security {
    /// Reads the URL's options `tls`, `ca`, `sasl` and `user`; the password comes separately. The error says what is wrong.
    pub(crate) fn from_query(query: &mut BTreeMap<&str, &str>, password: Option<Secret>) -> Result<Self, &'static str> {
        let mut text = |name| query.remove(name).map(|text| decoded(text).filter(|t| !t.is_empty()).ok_or("an option's value cannot be read"));
        let ca = text("ca").transpose()?.map(PathBuf::from);
        let user = text("user").transpose()?;
        let tls = match query.remove("tls") {
            Some("on") => Some(Tls { ca }),
            None | Some("off") if ca.is_some() => return Err("ca= is for tls=on"),
            None | Some("off") => None,
            Some(_) => return Err("tls is on or off"),
        };
        let mechanism = match query.remove("sasl") {
            None if user.is_some() => return Err("user= is for sasl=plain, sasl=scram-sha-256 or sasl=scram-sha-512"),
            None if password.is_some() => return Err("a password is given, and no sasl= that would use it"),
            None => return Ok(Self { tls, sasl: None }),
            Some("plain") => Mechanism::Plain,
            Some("scram-sha-256") => Mechanism::ScramSha256,
            Some("scram-sha-512") => Mechanism::ScramSha512,
            Some(_) => return Err("sasl is plain, scram-sha-256 or scram-sha-512"),
        };
        let user = user.ok_or("sasl= needs user=NAME")?;
        let password = password.ok_or("sasl= needs a password, from a file: --log-password-file")?;
        Ok(Self { tls, sasl: Some(Sasl { mechanism, user, password }) })
    }

    /// Checks that this build supports these settings, and warns if others could read the password.
    ///
    /// # Errors
    /// [`LogError::Mismatch`] for TLS or SCRAM in a build without them, and for a file of certificates that cannot be read.
    pub(crate) fn check(&self, brokers: &str) -> Result<(), LogError> {
        let scram = self.sasl.as_ref().filter(|sasl| sasl.mechanism != Mechanism::Plain);
        let asked = match (&self.tls, scram) {
            (Some(_), _) => Some("tls=on"),
            (None, Some(_)) => Some("sasl=scram-…"),
            (None, None) => None,
        };
        if let (Some(asked), false) = (asked, HAS_OPENSSL) {
            return Err(LogError::Mismatch(format!(
                "{asked} needs OpenSSL, which this program was built without: build it with `cargo build --release -p boxbox --features kafka-tls`"
            )));
        }
        if let Some(ca) = self.tls.as_ref().and_then(|tls| tls.ca.as_ref()) {
            std::fs::File::open(ca).map_err(|e| LogError::Mismatch(format!("cannot read the certificates in {}: {e}", ca.display())))?;
        }
        let readable = self.tls.is_none() && self.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == Mechanism::Plain);
        if readable && !brokers.split(',').all(is_loopback) {
            tracing::warn!(brokers, "sasl=plain without tls=on: anyone on the network path to Kafka can read the password");
        }
        Ok(())
    }

    /// Put these settings into a librdkafka configuration.
    pub(super) fn apply(&self, c: &mut ClientConfig) {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => return,
            (None, Some(_)) => "SASL_PLAINTEXT",
            (Some(_), None) => "SSL",
            (Some(_), Some(_)) => "SASL_SSL",
        };
        c.set("security.protocol", protocol);
        if let Some(tls) = &self.tls {
            // A librdkafka with OpenSSL inside does not know where the system's certificates are: it looks in the usual places.
            c.set("ssl.ca.location", tls.ca.as_ref().map_or_else(|| "probe".into(), |path| path.to_string_lossy()));
            c.set("ssl.endpoint.identification.algorithm", "https");
        }
        if let Some(sasl) = &self.sasl {
            c.set("sasl.mechanism", sasl.mechanism.name());
            c.set("sasl.username", &sasl.user);
            c.set("sasl.password", sasl.password.expose());
        }
    }
}

/// True for a `host:port` on this machine.
fn is_loopback(broker: &str) -> bool {
    let host = broker.rsplit_once(':').map_or(broker, |(host, _)| host);
    let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
    host.eq_ignore_ascii_case("localhost") || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A value of a URL's query: `%26` stands for `&`, and so on. `None` if it is not valid text.
fn decoded(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((byte, more)) = rest.split_first() {
        rest = more;
        if *byte != b'%' {
            out.push(*byte);
            continue;
        }
        let (digits, more) = rest.split_first_chunk::<2>()?;
        let digit = |b: u8| (b as char).to_digit(16);
        out.push((digit(digits[0])? << 4 | digit(digits[1])?) as u8);
        rest = more;
    }
    String::from_utf8(out).ok().filter(|text| !text.contains('\0'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loopback_is_this_machine_alone() {
        assert!(["127.0.0.1:9092", "127.9.9.9:1", "localhost:9092", "[::1]:9092"].into_iter().all(is_loopback));
        assert!(!["10.0.0.1:9092", "localhost.example:9092", "[fe80::1]:9092", "kafka:9092"].into_iter().any(is_loopback));
    }

    #[test]
    fn values_are_decoded_once() {
        assert_eq!(decoded("svc%26x%2525").as_deref(), Some("svc&x%25"));
        assert_eq!(decoded("a+b").as_deref(), Some("a+b"));
        assert!(["%", "%4", "%zz", "%ff", "%00"].into_iter().all(|text| decoded(text).is_none()));
    }

    #[test]
    fn librdkafka_gets_the_settings_that_were_asked_for() {
        let settings = |security: &Security| {
            let mut c = ClientConfig::new();
            security.apply(&mut c);
            ["security.protocol", "ssl.ca.location", "sasl.mechanism", "sasl.username"].map(|key| c.get(key).map(str::to_owned))
        };
        let sasl = Sasl { mechanism: Mechanism::ScramSha512, user: "u".into(), password: Secret::from_file_content(b"p").unwrap() };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(settings(&Security::default()), [None, None, None, None]);
        let both = Security { tls: Some(Tls { ca: Some("/ca.pem".into()) }), sasl: Some(sasl.clone()) };
        assert_eq!(settings(&both), [some("SASL_SSL"), some("/ca.pem"), some("SCRAM-SHA-512"), some("u")]);
        assert_eq!(settings(&Security { tls: Some(Tls::default()), sasl: None }), [some("SSL"), some("probe"), None, None]);
        assert_eq!(settings(&Security { tls: None, sasl: Some(sasl) }), [some("SASL_PLAINTEXT"), None, some("SCRAM-SHA-512"), some("u")]);
    }

    #[cfg(not(feature = "kafka-tls"))]
    #[test]
    fn a_build_without_openssl_says_how_to_get_it() {
        let security = Security { tls: Some(Tls::default()), sasl: None };
        let error = security.check("h:1").unwrap_err();
        assert!(!error.is_retryable() && error.to_string().contains("--features kafka-tls"), "{error}");
    }
}
