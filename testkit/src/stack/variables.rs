//! The variables that point programs at a stack: what `stack up` prints and `cargo xtask test` gives to the tests.
//!
//! | variable | meaning |
//! |---|---|
//! | `KAFKA_BROKERS` | every node, as bootstrap.servers takes it; plain text, no user |
//! | `KAFKA_SASL_BROKERS`, `KAFKA_TLS_BROKERS` | the listeners with SASL PLAIN and with SASL PLAIN under TLS, where asked for |
//! | `KAFKA_SASL_USER`, `KAFKA_SASL_PASSWORD_FILE` | the user of both |
//! | `KAFKA_TLS_CA` | the authority to trust for TLS, PEM |
//! | `POSTGRES_URL`, `POSTGRES_PASSWORD_FILE`, `POSTGRES_CA` | TLS is offered and not demanded |
//! | `CLICKHOUSE_URL`, `CLICKHOUSE_PASSWORD_FILE` | the HTTP port |
//!
//! Passwords are in separate files, readable for their owner only: a variable is in every process list and core dump.

use std::path::{Path, PathBuf};

use super::kafka_settings::shared;
use super::record::Record;
use super::secrets::USER;
use super::service::PartFiles;

impl Record {
    /// Names and values, for the stack in `folder`.
    pub(super) fn variables(&self, folder: &Path) -> Vec<(String, String)> {
        let mut all = self.kafka_variables(folder);
        if let Some(postgres) = self.postgres() {
            all.push(("POSTGRES_URL", postgres.url()));
            all.push(("POSTGRES_PASSWORD_FILE", show(postgres_file(folder, "password"))));
            all.push(("POSTGRES_CA", show(postgres_file(folder, "ca.pem"))));
        }
        if let Some(clickhouse) = self.clickhouse() {
            all.push(("CLICKHOUSE_URL", clickhouse.url()));
            all.push(("CLICKHOUSE_PASSWORD_FILE", show(clickhouse_password(folder))));
        }
        all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    fn kafka_variables(&self, folder: &Path) -> Vec<(&'static str, String)> {
        let at = |ports: Vec<u16>| ports.iter().map(|port| format!("127.0.0.1:{port}")).collect::<Vec<_>>().join(",");
        let sasl: Vec<u16> = self.kafka().filter_map(|node| node.sasl_port).collect();
        let tls: Vec<u16> = self.kafka().filter_map(|node| node.tls_port).collect();
        let mut all = Vec::new();
        all.extend(self.brokers().map(|brokers| ("KAFKA_BROKERS", brokers)));
        if !(sasl.is_empty() && tls.is_empty()) {
            all.push(("KAFKA_SASL_USER", USER.into()));
            all.push(("KAFKA_SASL_PASSWORD_FILE", show(shared(folder, "password"))));
        }
        if !sasl.is_empty() {
            all.push(("KAFKA_SASL_BROKERS", at(sasl)));
        }
        if !tls.is_empty() {
            all.push(("KAFKA_TLS_BROKERS", at(tls)));
            all.push(("KAFKA_TLS_CA", show(shared(folder, "ca.pem"))));
        }
        all
    }

    /// Every Kafka node, as bootstrap.servers takes it.
    pub(super) fn brokers(&self) -> Option<String> {
        let brokers: Vec<String> = self.kafka().map(super::kafka::Kafka::broker).collect();
        (!brokers.is_empty()).then(|| brokers.join(","))
    }
}

/// A file of the PostgreSQL in the stack of this folder.
pub(super) fn postgres_file(folder: &Path, extension: &str) -> PathBuf {
    PartFiles { stack: folder, part: "postgres" }.file(extension)
}

/// The password file of the ClickHouse in the stack of this folder.
pub(super) fn clickhouse_password(folder: &Path) -> PathBuf {
    PartFiles { stack: folder, part: "clickhouse" }.file("password")
}

fn show(path: PathBuf) -> String {
    path.display().to_string()
}
