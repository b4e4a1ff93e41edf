//! Opening a log by its URL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use boxbox_schemas::secret::Secret;

use crate::embedded::{self, EmbeddedLog};
use crate::kafka::{KafkaConfig, KafkaLog, Security};
use crate::memory::MemoryLog;
use crate::{Limits, Log, LogError};

/// Options of a log, whichever the backend. `Options::default()` is right for most logs.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Partitions that the log must have; a new log is made with them. `None`: as many as an existing log has, or the backend's default.
    pub partitions: Option<u32>,
    /// How much each writer may hold.
    pub limits: Limits,
    /// Further librdkafka settings, for a Kafka log: see [`KafkaConfig::settings`].
    pub kafka_settings: BTreeMap<String, String>,
    /// The password of a Kafka log whose URL says `sasl=`; it is never in the URL, which others can see.
    pub kafka_password: Option<Secret>,
    /// Further options of a log in a folder.
    pub embedded: embedded::Options,
}

/// Open the log that `url` names, or create it: see the table in the [crate's documentation](crate).
///
/// `?partitions=8` is understood everywhere (it wins over the options); Kafka also takes `replication`, `min_isr` and
/// `compression` (`none`, `lz4`), `tls=on` with `ca=/path/ca.pem` (else the system's), and `sasl` (`plain`, `scram-sha-256`,
/// `scram-sha-512`) with `user`. Values of `ca` and `user` may be percent-encoded. TLS and SCRAM need the cargo feature `kafka-tls`.
///
/// # Errors
/// [`LogError::Mismatch`] for a URL that names no log or has a password in it; else as the backend's `open`.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Log>, LogError> {
    match Backend::parse(url, options)? {
        Backend::Memory { partitions, limits } => Ok(Arc::new(MemoryLog::with_limits(partitions, limits))),
        Backend::Folder(path, options) => match tokio::task::spawn_blocking(move || EmbeddedLog::open(path, options)).await {
            Ok(log) => Ok(Arc::new(log?)),
            Err(e) if e.is_cancelled() => Err(LogError::Unavailable("the runtime is shutting down".into())),
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        },
        Backend::Kafka(config) => Ok(Arc::new(KafkaLog::open(config).await?)),
    }
}

/// Check that `url` names a log that this program can open, without opening it.
///
/// # Errors
/// [`LogError::Mismatch`] as [`open`], also for a file of certificates that cannot be read.
pub fn check(url: &str, options: Options) -> Result<(), LogError> {
    match Backend::parse(url, options)? {
        Backend::Kafka(config) => config.security.check(&config.brokers),
        Backend::Memory { .. } | Backend::Folder(..) => Ok(()),
    }
}

/// The Kafka log that `url` names.
pub(crate) fn kafka_config(url: &str, options: Options) -> Result<KafkaConfig, LogError> {
    match Backend::parse(url, options)? {
        Backend::Kafka(config) => Ok(config),
        _ => Err(LogError::Mismatch("only a Kafka log has a control topic: kafka://host:9092/topic".into())),
    }
}

#[derive(Debug)]
enum Backend {
    Memory { partitions: u32, limits: Limits },
    Folder(PathBuf, embedded::Options),
    Kafka(KafkaConfig),
}

impl Backend {
    fn parse(url: &str, options: Options) -> Result<Self, LogError> {
        let wrong = |why: &str| {
            let shown = shown(url);
            LogError::Mismatch(format!("{shown:?} names no log ({why}); write file:///path/to/folder, kafka://host:9092/topic or memory://"))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it is no URL"))?;
        let (address, query) = rest.split_once('?').unwrap_or((rest, ""));
        if has_login(scheme, address, query) {
            // The message repeats no part of the URL: it is not known where a password ends.
            return Err(LogError::Mismatch(
                "a log's URL takes no password, and no user before an '@': command lines and environments are seen by others. Write \
                 kafka://host:9093/topic?sasl=plain&user=NAME, and give a file that holds the password with --log-password-file"
                    .into(),
            ));
        }
        let mut query: BTreeMap<&str, &str> =
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let mut number = |name: &str| -> Result<Option<u32>, LogError> {
            let Some(text) = query.remove(name) else { return Ok(None) };
            text.parse().ok().filter(|n| *n > 0).map(Some).ok_or_else(|| wrong(&format!("{name} must be a number from 1")))
        };
        let partitions = number("partitions")?.or(options.partitions);
        let backend = match scheme {
            "memory" if address.is_empty() => {
                Backend::Memory { partitions: partitions.unwrap_or(embedded::DEFAULT_PARTITIONS), limits: options.limits }
            }
            "memory" => return Err(wrong("a log in memory has no path")),
            "file" if address.is_empty() => return Err(wrong("the path is missing")),
            "file" => Backend::Folder(address.into(), embedded::Options { partitions, limits: options.limits, ..options.embedded }),
            "kafka" => {
                let (brokers, topic) = address.split_once('/').ok_or_else(|| wrong("the topic is missing"))?;
                let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
                if brokers.is_empty()
                    || !brokers.split(',').all(|b| b.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok()))
                {
                    return Err(wrong("brokers are host:port, separated by commas"));
                }
                if topic.is_empty() || topic.len() > 249 || !topic.bytes().all(legal) {
                    return Err(wrong("a topic's name is 1 to 249 characters of a-z, A-Z, 0-9, '.', '_' and '-'"));
                }
                let (replication, min_isr) = (number("replication")?, number("min_isr")?);
                let compression = match query.remove("compression") {
                    None | Some("none") => crate::kafka::Compression::None,
                    Some("lz4") => crate::kafka::Compression::Lz4,
                    Some(_) => return Err(wrong("compression is none or lz4")),
                };
                let security = Security::from_query(&mut query, options.kafka_password).map_err(wrong)?;
                Backend::Kafka(KafkaConfig {
                    security,
                    partitions,
                    replication,
                    min_isr,
                    limits: options.limits,
                    compression,
                    settings: options.kafka_settings,
                    ..KafkaConfig::new(brokers, topic)
                })
            }
            _ => return Err(wrong("the scheme is unknown")),
        };
        match query.keys().next() {
            Some(unknown) => Err(wrong(&format!("{unknown} is no option of it"))),
            None => Ok(backend),
        }
    }
}

/// Whether something like `user:password@` or `?password=` is in a URL. A password may have any characters, also `/` and `?`.
fn has_login(scheme: &str, address: &str, query: &str) -> bool {
    let named = query.split('&').any(|pair| pair.split('=').next().is_some_and(|name| name.to_ascii_lowercase().contains("pass")));
    named
        || match scheme {
            // A path may contain an '@', but not where a host would be.
            "file" => address.split('/').next().is_some_and(|host| host.contains('@')),
            _ => address.contains('@') || (!address.contains('/') && query.contains('@')),
        }
}

/// A URL as messages show it: the names of its options without their values, one of which may be a password.
fn shown(url: &str) -> String {
    let (address, query) = url.split_once('?').unwrap_or((url, ""));
    // A text that is not one of our URLs may be a URL with a login, cut short or with a mistyped scheme.
    let address = address.rsplit_once('@').map_or_else(|| address.to_owned(), |(_, rest)| format!("…@{rest}"));
    let options: Vec<&str> = query.split('&').filter_map(|pair| pair.split('=').next()).filter(|name| !name.is_empty()).collect();
    let values = if options.is_empty() { String::new() } else { format!("?{}=…", options.join("=…&")) };
    address + &values
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Backend, LogError> {
        Backend::parse(url, Options::default())
    }

    #[test]
    fn a_url_is_checked_without_opening_anything() {
        for right in ["kafka://nowhere.invalid:9092/topic", "memory://", "file:///nowhere/at/all"] {
            assert!(check(right, Options::default()).is_ok(), "{right}");
        }
        for wrong in ["kafka://h/topic", "kafka://h:1/t?sasl=plain&user=u", "kafka://h:1/t?tls=on&ca=/nowhere/ca.pem", "x"] {
            assert!(check(wrong, Options::default()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn urls_name_their_backend() {
        assert!(matches!(parse("memory://?partitions=2"), Ok(Backend::Memory { partitions: 2, .. })));
        let Ok(Backend::Folder(path, options)) = parse("file:///var/lib/boxbox/log") else { panic!() };
        assert_eq!((path.to_str(), options.partitions), (Some("/var/lib/boxbox/log"), None));
        let Ok(Backend::Kafka(config)) = parse("kafka://a:9092,b:9093/boxbox.frames?partitions=12&replication=1&compression=lz4") else { panic!() };
        assert_eq!((config.brokers.as_str(), config.topic.as_str()), ("a:9092,b:9093", "boxbox.frames"));
        assert_eq!((config.partitions, config.replication, config.min_isr), (Some(12), Some(1), None));
    }

    #[test]
    fn other_urls_say_what_is_wrong_with_them() {
        for (url, why) in [
            ("/var/lib/log", "no URL"),
            ("postgres://x/y", "scheme is unknown"),
            ("file://", "path is missing"),
            ("kafka://host:9092", "topic is missing"),
            ("kafka://host/topic", "host:port"),
            ("kafka://host:9092/a b", "topic's name"),
            ("kafka://host:9092/t?partitions=0", "number from 1"),
            ("kafka://host:9092/t?compression=zip", "none or lz4"),
            ("memory://?replication=2", "replication is no option"),
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.contains(why) && error.contains("kafka://host:9092/topic"), "{url}: {error}");
        }
    }

    fn with_password(url: &str) -> Result<KafkaConfig, LogError> {
        let kafka_password = Some(Secret::from_file_content(b"hunter2\n").unwrap());
        kafka_config(url, Options { kafka_password, ..Options::default() })
    }

    #[test]
    fn a_kafka_url_says_how_to_log_in() {
        use crate::kafka::Mechanism;
        let config = with_password("kafka://a:9093,b:9093/t?tls=on&ca=/etc/ca%20s.pem&sasl=scram-sha-512&user=league@example&partitions=4").unwrap();
        let sasl = config.security.sasl.as_ref().unwrap();
        assert_eq!((sasl.mechanism, sasl.user.as_str(), sasl.password.expose()), (Mechanism::ScramSha512, "league@example", "hunter2"));
        assert_eq!(config.security.tls.as_ref().unwrap().ca.as_deref(), Some("/etc/ca s.pem".as_ref()));
        assert!(!format!("{config:?}").contains("hunter2"));
        let Ok(Backend::Kafka(open)) = parse("kafka://a:9092/t") else { panic!() };
        assert!(open.security.tls.is_none() && open.security.sasl.is_none());
        assert!(matches!(parse("kafka://a:9092/t?tls=on"), Ok(Backend::Kafka(config)) if config.security.tls.as_ref().unwrap().ca.is_none()));
        for (url, why) in [
            ("kafka://a:9092/t?sasl=plain", "user=NAME"),
            ("kafka://a:9092/t?sasl=gssapi&user=x", "sasl is plain"),
            ("kafka://a:9092/t?user=x", "user= is for"),
            ("kafka://a:9092/t", "no sasl="),
            ("kafka://a:9092/t?tls=yes", "on or off"),
            ("kafka://a:9092/t?ca=/x&sasl=plain&user=x", "ca= is for"),
            ("kafka://a:9092/t?sasl=plain&user=%zz", "cannot be read"),
        ] {
            let error = with_password(url).expect_err(url).to_string();
            assert!(error.contains(why), "{url}: {error}");
        }
        assert!(parse("kafka://a:9092/t?sasl=plain&user=x").unwrap_err().to_string().contains("--log-password-file"));
    }

    #[test]
    fn a_password_in_a_url_is_refused_and_not_repeated() {
        for url in [
            "kafka://me:hunter2@a:9092/t",
            "kafka://me:hunt/er2@a:9092/t",
            "kafka://me:hunt?er2@a:9092/t",
            "kafka://hunter2@a:9092/t?sasl=plain&user=x",
            "file://me:hunter2@host/path",
            "memory://me:hunter2@",
            "kafka://a:9092/t?password=hunt&er2",
            "kafka://a:9092/t?sasl=plain&user=x&sasl.password=hunter2",
        ] {
            let error = parse(url).expect_err(url).to_string();
            assert!(error.contains("--log-password-file") && !error.contains("hunt") && !error.contains("er2"), "{url}: {error}");
        }
        for url in ["kafka://a:9092/t?secret=hunter2", "kafka:/me:hunter2@a:9092/t"] {
            let error = parse(url).expect_err(url).to_string();
            assert!(!error.contains("hunter2"), "{url}: {error}");
        }
        assert!(matches!(parse("file:///srv/me@home/log"), Ok(Backend::Folder(..))));
    }
}
