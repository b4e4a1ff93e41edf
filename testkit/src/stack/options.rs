//! The options of a stack, and how they change its record.

use std::path::Path;

use anyhow::{Result, bail, ensure};

use super::clickhouse::{Clickhouse, ClickhouseOptions};
use super::folder::wipe_hint;
use super::kafka::{Kafka, KafkaOptions};
use super::postgres::{Postgres, PostgresOptions};
use super::record::{Engine, Part, Record};
use super::{kafka_settings, ports};
use crate::fetch;

/// How a stack is brought up. A part that a stack of this name has already stays, asked for or not.
#[derive(Debug, Clone)]
pub struct Options {
    /// Its name, of `a-z`, `0-9` and `-`; several stacks of different names run side by side.
    pub name: String,
    /// The Kafka to add.
    pub kafka: Option<KafkaOptions>,
    /// The PostgreSQL to add.
    pub postgres: Option<PostgresOptions>,
    /// The ClickHouse to add.
    pub clickhouse: Option<ClickhouseOptions>,
    /// True: it outlives the value and the process. False: it is taken down and wiped with the value, or killed with the process.
    pub detached: bool,
}

impl Options {
    /// A stack for one test: with a new name and one Kafka; it ends with the test.
    pub fn owned() -> Self {
        Self { kafka: Some(KafkaOptions::default()), ..Self::empty() }
    }

    /// A stack for one test of the server profile: as `owned`, with one Kafka, a PostgreSQL and a ClickHouse.
    pub fn server() -> Self {
        Self { postgres: Some(PostgresOptions::default()), clickhouse: Some(ClickhouseOptions::default()), ..Self::owned() }
    }

    /// An owned stack without parts, to which parts can be added.
    pub fn empty() -> Self {
        let name = format!("owned-{}-{:08x}", std::process::id(), fastrand::u32(..));
        Self { name, kafka: None, postgres: None, clickhouse: None, detached: false }
    }

    /// Fetches what the parts need and this machine does not have. An error that `tools::missing` knows says what it lacks.
    pub(super) fn fetch(&self) -> Result<()> {
        use anyhow::Context;
        if self.kafka.is_some() {
            fetch::kafka_jars().and_then(|_| fetch::java()).context("cannot start Kafka")?;
        }
        if self.postgres.is_some() {
            fetch::postgres().context("cannot start PostgreSQL")?;
        }
        if self.clickhouse.is_some() {
            fetch::clickhouse().and_then(|_| fetch::python()).context("cannot start ClickHouse")?;
        }
        Ok(())
    }

    /// Adds missing parts to a record, and gives existing ones the new settings. `reserved` are the ports of other stacks, `running`
    /// says which parts run.
    pub(super) fn adopt(&self, record: &mut Record, folder: &Path, reserved: &[u16], running: impl Fn(&Part) -> bool) -> Result<()> {
        for part in &record.parts {
            let service = part.engine.service();
            let (data, ours) = service.version();
            ensure!(data == ours, "stack {} holds data of {}, this xtask starts {ours}. {}", record.name, service.title(), wipe_hint(&record.name));
        }
        let mut taken: Vec<u16> = reserved.iter().copied().chain(record.ports()).collect();
        let mut port = || {
            let port = ports::pick(&taken)?;
            taken.push(port);
            Ok(port)
        };
        if let Some(options) = &self.kafka {
            adopt_kafka(options, record, folder, &mut port, running)?;
        }
        if let Some(options) = &self.postgres {
            if record.postgres().is_none() {
                record.parts.push(Part { name: "postgres".into(), engine: Engine::Postgres(Postgres::new(port()?)) });
            }
            let postgres = record.parts.iter_mut().find_map(|part| match &mut part.engine {
                Engine::Postgres(postgres) => Some(postgres),
                _ => None,
            });
            postgres.into_iter().for_each(|postgres| postgres.adopt(options));
        }
        if self.clickhouse.is_some() && record.clickhouse().is_none() {
            record.parts.push(Part { name: "clickhouse".into(), engine: Engine::Clickhouse(Clickhouse::new(port()?)) });
        }
        record.write(folder)
    }
}

fn adopt_kafka(
    options: &KafkaOptions,
    record: &mut Record,
    folder: &Path,
    mut port: impl FnMut() -> Result<u16>,
    running: impl Fn(&Part) -> bool,
) -> Result<()> {
    let (has, name) = (record.kafka().count(), record.name.clone());
    match options.nodes {
        _ if has == 0 => {
            let nodes = Kafka::cluster(options, &mut port)?;
            let alone = nodes.len() == 1;
            let part = |node: Kafka| Part { name: if alone { "kafka".into() } else { format!("kafka-{}", node.node) }, engine: Engine::Kafka(node) };
            record.parts.extend(nodes.into_iter().map(part));
        }
        Some(wanted) if usize::from(wanted) != has => {
            bail!("stack {name} has a Kafka of {has} nodes and cannot become one of {wanted}. {}", wipe_hint(&name))
        }
        _ => {}
    }
    for part in &mut record.parts {
        let runs = running(part);
        let Engine::Kafka(node) = &mut part.engine else { continue };
        if node.adopt(options, &mut port)? && runs {
            bail!("stack {name} runs, and Kafka gets no new listener while it does: cargo xtask stack down --name {name}, then this again");
        }
        kafka_settings::make_secrets(folder, node)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn adopt(options: &Options, record: &mut Record, runs: bool) -> Result<()> {
        let dir = tempfile::tempdir()?;
        options.adopt(record, dir.path(), &[], |_| runs)
    }

    #[test]
    fn what_is_there_stays_and_what_is_asked_for_is_added() {
        let mut record = Record::new("default");
        adopt(&Options::owned(), &mut record, false).unwrap();
        let before = record.parts.clone();
        adopt(&Options::server(), &mut record, true).unwrap();
        assert_eq!(record.parts[..1], before);
        assert_eq!(record.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>(), ["kafka", "postgres", "clickhouse"]);
        let all = record.parts.clone();
        adopt(&Options::server(), &mut record, true).unwrap();
        assert_eq!(record.parts, all);
        let mut ports: Vec<u16> = record.ports().collect();
        ports.sort_unstable();
        ports.dedup();
        assert_eq!(ports.len(), 4);
    }

    #[test]
    fn a_kafka_does_not_change_its_size_nor_its_listeners_while_it_runs() {
        let kafka = |nodes, sasl| Options { kafka: Some(KafkaOptions { nodes, sasl, ..KafkaOptions::default() }), ..Options::empty() };
        let mut record = Record::new("default");
        adopt(&kafka(Some(3), false), &mut record, false).unwrap();
        assert_eq!(record.kafka().count(), 3);
        adopt(&kafka(None, false), &mut record, true).unwrap();
        assert!(adopt(&kafka(Some(1), false), &mut record, false).unwrap_err().to_string().contains("3 nodes"));
        assert!(adopt(&kafka(None, true), &mut record.clone(), true).unwrap_err().to_string().contains("stack down"));
        adopt(&kafka(None, true), &mut record, false).unwrap();
        assert!(record.addresses.contains_key("KAFKA_SASL_BROKERS"));
        adopt(&kafka(None, false), &mut record, true).unwrap();
        assert!(record.kafka().all(|node| node.sasl_port.is_some()), "a listener stays");
    }

    #[test]
    fn data_of_another_version_is_not_started() {
        let mut record = Record::new("default");
        let mut old = Postgres::new(5432);
        old.version = "9.6".into();
        record.parts.push(Part { name: "postgres".into(), engine: Engine::Postgres(old) });
        let error = adopt(&Options::server(), &mut record, false).unwrap_err().to_string();
        assert!(error.contains("PostgreSQL 9.6") && error.contains("--wipe"), "{error}");
    }
}
