//! `stack.json`: a stack's parts and their addresses, kept beside its data so that a restart finds both.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::clickhouse::Clickhouse;
use super::kafka::Kafka;
use super::postgres::Postgres;
use super::service::Service;

/// The format of `stack.json` that this version writes and reads.
const FORMAT: u32 = 2;

/// The file's name in a stack's folder.
pub(super) const FILE: &str = "stack.json";

/// A stack's parts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// The stack's name, also its folder's.
    pub name: String,
    /// Its parts, in the order they were asked for.
    pub parts: Vec<Part>,
    /// The variables that point programs at it: written for people and scripts, made anew from the parts at every start.
    pub addresses: BTreeMap<String, String>,
}

/// One process of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name within the stack, also that of its folder and pid file: `postgres`, `kafka`, or `kafka-2` of a cluster.
    pub name: String,
    /// The service that it runs.
    #[serde(flatten)]
    pub engine: Engine,
}

/// The service of a part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Engine {
    /// A Kafka broker.
    Kafka(Kafka),
    /// A PostgreSQL.
    Postgres(Postgres),
    /// A ClickHouse.
    Clickhouse(Clickhouse),
}

impl Engine {
    /// The operations of the service.
    pub(super) fn service(&self) -> &dyn Service {
        match self {
            Self::Kafka(kafka) => kafka,
            Self::Postgres(postgres) => postgres,
            Self::Clickhouse(clickhouse) => clickhouse,
        }
    }
}

impl Record {
    pub(super) fn new(name: &str) -> Self {
        Self { format: FORMAT, name: name.into(), parts: Vec::new(), addresses: BTreeMap::new() }
    }

    /// Reads the record of a stack's folder; `None` if the folder has none.
    pub(super) fn read(folder: &Path) -> Result<Option<Self>> {
        let file = folder.join(FILE);
        let text = match std::fs::read_to_string(&file) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            other => other.with_context(|| format!("cannot read {}", file.display()))?,
        };
        // The format first: a record of another format may not parse as this one.
        let value: serde_json::Value = serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
        let format = value.get("format").and_then(serde_json::Value::as_u64).unwrap_or(0);
        ensure!(format == u64::from(FORMAT), "{} has format {format}, this xtask writes {FORMAT}", file.display());
        let record = serde_json::from_value(value).with_context(|| format!("{} is damaged", file.display()))?;
        Ok(Some(record))
    }

    /// Writes the record, whole or not at all.
    pub(super) fn write(&mut self, folder: &Path) -> Result<()> {
        self.addresses = self.variables(folder).into_iter().collect();
        let (file, part) = (folder.join(FILE), folder.join("stack.json.part"));
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &file)).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The part of this name.
    pub fn part(&self, name: &str) -> Result<&Part> {
        let found = self.parts.iter().find(|part| part.name == name);
        found.with_context(|| format!("stack {} has no part {name:?}; it has: {}", self.name, self.names()))
    }

    /// The parts that a name means: one part, or with `kafka` all nodes of a cluster.
    pub fn parts(&self, name: &str) -> Result<Vec<&Part>> {
        let of_cluster = |part: &&Part| name == "kafka" && matches!(part.engine, Engine::Kafka(_));
        let found: Vec<&Part> = self.parts.iter().filter(|part| part.name == name || of_cluster(part)).collect();
        ensure!(!found.is_empty(), "stack {} has no part {name:?}; it has: {}", self.name, self.names());
        Ok(found)
    }

    fn names(&self) -> String {
        self.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ")
    }

    /// The nodes of the stack's Kafka.
    pub fn kafka(&self) -> impl Iterator<Item = &Kafka> {
        self.parts.iter().filter_map(|part| match &part.engine {
            Engine::Kafka(kafka) => Some(kafka),
            _ => None,
        })
    }

    /// The stack's PostgreSQL, if it has one.
    pub fn postgres(&self) -> Option<&Postgres> {
        self.parts.iter().find_map(|part| match &part.engine {
            Engine::Postgres(postgres) => Some(postgres),
            _ => None,
        })
    }

    /// The stack's ClickHouse, if it has one.
    pub fn clickhouse(&self) -> Option<&Clickhouse> {
        self.parts.iter().find_map(|part| match &part.engine {
            Engine::Clickhouse(clickhouse) => Some(clickhouse),
            _ => None,
        })
    }

    /// Every port the stack holds, whether it runs or not.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.parts.iter().flat_map(|part| part.engine.service().ports())
    }
}

#[cfg(test)]
mod tests {
    use super::super::kafka::KafkaOptions;
    use super::*;

    fn record(nodes: u16) -> Record {
        let mut record = Record::new("default");
        let mut next = 20_000;
        let port = || {
            next += 1;
            Ok(next)
        };
        let kafka = Kafka::cluster(&KafkaOptions { nodes: Some(nodes), ..KafkaOptions::default() }, port).unwrap();
        record.parts.extend(kafka.into_iter().map(|node| Part { name: format!("kafka-{}", node.node), engine: Engine::Kafka(node) }));
        record.parts.push(Part { name: "postgres".into(), engine: Engine::Postgres(Postgres::new(5432)) });
        record.parts.push(Part { name: "clickhouse".into(), engine: Engine::Clickhouse(Clickhouse::new(8123)) });
        record
    }

    #[test]
    fn written_and_read_back_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let mut written = record(3);
        written.write(dir.path()).unwrap();
        assert_eq!(written.addresses["POSTGRES_URL"], written.postgres().unwrap().url());
        assert_eq!(Record::read(dir.path()).unwrap(), Some(written));
    }

    #[test]
    fn a_damaged_or_foreign_record_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"format\":").unwrap();
        assert!(Record::read(dir.path()).unwrap_err().to_string().contains("is damaged"));
        std::fs::write(dir.path().join(FILE), "{\"format\": 1, \"name\": 3}").unwrap();
        assert!(Record::read(dir.path()).unwrap_err().to_string().contains("has format 1"));
    }

    #[test]
    fn a_name_means_a_part_or_all_nodes_of_a_cluster() {
        let record = record(3);
        let names = |name| record.parts(name).unwrap().into_iter().map(|part| part.name.as_str()).collect::<Vec<_>>();
        assert_eq!(names("kafka"), ["kafka-1", "kafka-2", "kafka-3"]);
        assert_eq!(names("kafka-2"), ["kafka-2"]);
        assert_eq!(names("postgres"), ["postgres"]);
        let error = record.parts("redis").unwrap_err().to_string();
        assert!(error.contains("it has: kafka-1, kafka-2, kafka-3, postgres, clickhouse"), "{error}");
        assert!(record.part("kafka").is_err());
        assert_eq!(record.ports().count(), 8);
    }
}
