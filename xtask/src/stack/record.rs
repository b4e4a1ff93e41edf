//! `stack.json`: what a stack is made of and where it answers, kept beside its data so that a restart finds both.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::kafka::Kafka;

/// The form of `stack.json` written and read here.
const FORMAT: u32 = 1;

/// The file's name in a stack's folder.
pub(super) const FILE: &str = "stack.json";

/// What a stack is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    /// The stack's name, also its folder's.
    pub name: String,
    /// Its parts, in the order they start in.
    pub parts: Vec<Part>,
    /// The variables that point programs at it: written for people and scripts, made anew from the parts at every start.
    pub addresses: BTreeMap<String, String>,
}

/// One process of a stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Part {
    /// Its name within the stack, also that of its folder and pid file: `kafka`.
    pub name: String,
    /// What it is.
    #[serde(flatten)]
    pub kind: Kind,
}

/// The kinds of part there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Kind {
    /// A Kafka broker.
    Kafka(Kafka),
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
        let record: Self = serde_json::from_str(&text).with_context(|| format!("{} is damaged", file.display()))?;
        ensure!(record.format == FORMAT, "{} has format {}, this xtask writes {FORMAT}", file.display(), record.format);
        Ok(Some(record))
    }

    /// Writes the record, whole or not at all.
    pub(super) fn write(&mut self, folder: &Path) -> Result<()> {
        self.addresses = self.parts.iter().flat_map(Part::addresses).collect();
        let (file, part) = (folder.join(FILE), folder.join("stack.json.part"));
        let text = serde_json::to_string_pretty(self)? + "\n";
        std::fs::write(&part, text).and_then(|()| std::fs::rename(&part, &file)).with_context(|| format!("cannot write {}", file.display()))
    }

    /// The part of this name.
    pub fn part(&self, name: &str) -> Result<&Part> {
        let names = || self.parts.iter().map(|part| part.name.as_str()).collect::<Vec<_>>().join(", ");
        let found = self.parts.iter().find(|part| part.name == name);
        found.with_context(|| format!("stack {} has no part {name:?}; it has: {}", self.name, names()))
    }

    /// The stack's Kafka, if it has one.
    pub fn kafka(&self) -> Option<&Kafka> {
        self.parts
            .iter()
            .map(|part| match &part.kind {
                Kind::Kafka(kafka) => kafka,
            })
            .next()
    }

    /// Every port the stack holds, whether it runs or not.
    pub(super) fn ports(&self) -> impl Iterator<Item = u16> {
        self.parts.iter().flat_map(Part::ports)
    }
}

impl Part {
    /// The ports it holds.
    pub(super) fn ports(&self) -> Vec<u16> {
        match &self.kind {
            Kind::Kafka(kafka) => vec![kafka.port, kafka.controller_port],
        }
    }

    /// The variables that point programs at it.
    pub fn addresses(&self) -> Vec<(String, String)> {
        match &self.kind {
            Kind::Kafka(kafka) => vec![("KAFKA_BROKERS".into(), kafka.brokers())],
        }
    }

    /// What it is, for people: "Kafka 4.3.1".
    pub fn title(&self) -> String {
        match &self.kind {
            Kind::Kafka(kafka) => format!("Kafka {}", kafka.version),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::kafka::KafkaOptions;
    use super::*;

    fn record() -> Record {
        let mut options = KafkaOptions::default();
        options.settings.insert("message.max.bytes".into(), "1048576".into());
        let mut record = Record::new("default");
        record.parts.push(Part { name: "kafka".into(), kind: Kind::Kafka(Kafka::new(&options, &[]).unwrap()) });
        record
    }

    #[test]
    fn written_and_read_back_it_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(Record::read(dir.path()).unwrap(), None);
        let mut written = record();
        written.write(dir.path()).unwrap();
        assert_eq!(written.addresses["KAFKA_BROKERS"], written.kafka().unwrap().brokers());
        assert_eq!(Record::read(dir.path()).unwrap(), Some(written));
    }

    #[test]
    fn a_damaged_or_foreign_record_is_named() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join(FILE), "{\"format\":").unwrap();
        assert!(Record::read(dir.path()).unwrap_err().to_string().contains("is damaged"));
        let mut newer = record();
        newer.format = FORMAT + 1;
        newer.write(dir.path()).unwrap();
        assert!(Record::read(dir.path()).unwrap_err().to_string().contains("has format 2"));
    }

    #[test]
    fn an_unknown_part_is_told_which_there_are() {
        let error = record().part("postgres").unwrap_err().to_string();
        assert!(error.contains("it has: kafka"), "{error}");
    }
}
