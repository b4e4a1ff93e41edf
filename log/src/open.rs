//! A log by its URL.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::embedded::{self, EmbeddedLog};
use crate::kafka::{KafkaConfig, KafkaLog};
use crate::memory::MemoryLog;
use crate::{Limits, Log, LogError};

/// What can be said of a log of any kind. Zero of everything, `Options::default()`, is right for most.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Partitions that the log must have; a new log is made with them. `None`: what it has, or the backend's default.
    pub partitions: Option<u32>,
    /// What each writer may hold.
    pub limits: Limits,
    /// Further librdkafka settings, for a Kafka log: see [`KafkaConfig::settings`].
    pub kafka_settings: BTreeMap<String, String>,
    /// For logs in a folder: everything else.
    pub embedded: embedded::Options,
}

/// Open the log that `url` names, or make it: see the table in the [crate's documentation](crate).
///
/// `?partitions=8` is understood everywhere (it wins over the options); Kafka also takes `replication`, `min_isr` and
/// `compression` (`none`, `lz4`).
///
/// # Errors
/// [`LogError::Mismatch`] for a URL that names no log; else as the backend's `open`.
pub async fn open(url: &str, options: Options) -> Result<Arc<dyn Log>, LogError> {
    match Place::parse(url, options)? {
        Place::Memory { partitions, limits } => Ok(Arc::new(MemoryLog::with_limits(partitions, limits))),
        Place::Folder(path, options) => match tokio::task::spawn_blocking(move || EmbeddedLog::open(path, options)).await {
            Ok(log) => Ok(Arc::new(log?)),
            Err(e) if e.is_cancelled() => Err(LogError::Unavailable("the runtime is shutting down".into())),
            Err(e) => std::panic::resume_unwind(e.into_panic()),
        },
        Place::Kafka(config) => Ok(Arc::new(KafkaLog::open(config).await?)),
    }
}

#[derive(Debug)]
enum Place {
    Memory { partitions: u32, limits: Limits },
    Folder(PathBuf, embedded::Options),
    Kafka(KafkaConfig),
}

impl Place {
    fn parse(url: &str, options: Options) -> Result<Self, LogError> {
        let wrong = |why: &str| {
            LogError::Mismatch(format!("{url:?} names no log ({why}); write file:///path/to/folder, kafka://host:9092/topic or memory://"))
        };
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("it is no URL"))?;
        let (place, query) = rest.split_once('?').unwrap_or((rest, ""));
        let mut query: BTreeMap<&str, &str> =
            query.split('&').filter(|pair| !pair.is_empty()).map(|pair| pair.split_once('=').unwrap_or((pair, ""))).collect();
        let mut number = |name: &str| -> Result<Option<u32>, LogError> {
            let Some(text) = query.remove(name) else { return Ok(None) };
            text.parse().ok().filter(|n| *n > 0).map(Some).ok_or_else(|| wrong(&format!("{name} must be a number from 1")))
        };
        let partitions = number("partitions")?.or(options.partitions);
        let place = match scheme {
            "memory" if place.is_empty() => Place::Memory { partitions: partitions.unwrap_or(embedded::DEFAULT_PARTITIONS), limits: options.limits },
            "memory" => return Err(wrong("a log in memory has no path")),
            "file" if place.is_empty() => return Err(wrong("the path is missing")),
            "file" => Place::Folder(place.into(), embedded::Options { partitions, limits: options.limits, ..options.embedded }),
            "kafka" => {
                let (brokers, topic) = place.split_once('/').ok_or_else(|| wrong("the topic is missing"))?;
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
                Place::Kafka(KafkaConfig {
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
            None => Ok(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> Result<Place, LogError> {
        Place::parse(url, Options::default())
    }

    #[test]
    fn urls_name_their_backend() {
        assert!(matches!(parse("memory://?partitions=2"), Ok(Place::Memory { partitions: 2, .. })));
        let Ok(Place::Folder(path, options)) = parse("file:///var/lib/boxbox/log") else { panic!() };
        assert_eq!((path.to_str(), options.partitions), (Some("/var/lib/boxbox/log"), None));
        let Ok(Place::Kafka(config)) = parse("kafka://a:9092,b:9093/boxbox.frames?partitions=12&replication=1&compression=lz4") else { panic!() };
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
}
