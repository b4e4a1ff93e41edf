//! Stacks: the real services that tests run against, started from package registries alone, without root or containers.
//!
//! A stack is a folder under `<target>/xtask/stacks` with a record (`stack.json`) and, for each part, a data folder, a log and
//! a pid file. Parts are detached processes on loopback ports picked once and kept, so that each can be killed and started
//! again alone, with its data, at the same address. The parts are: Kafka (one node or a cluster), PostgreSQL, ClickHouse.
//!
//! ```no_run
//! use boxbox_testkit::stack::{Options, Stack};
//! # fn main() -> anyhow::Result<()> {
//! let stack = Stack::up(Options::server())?; // gone with this value, and with this process
//! println!("{}", stack.postgres_url().unwrap_or_default());
//! stack.kill("postgres")?; // kill -9
//! stack.start("postgres")?; // same port, same data
//! stack.pause("kafka")?; // and resume: a machine that hangs for a while
//! # Ok(()) }
//! ```

mod clickhouse;
mod clickhouse_probe;
pub mod commands;
mod folder;
mod handle;
mod kafka;
mod kafka_probe;
mod kafka_service;
mod kafka_settings;
mod options;
mod parts;
mod ports;
mod postgres;
mod postgres_probe;
mod process;
mod process_table;
mod record;
mod saves;
mod secrets;
mod service;
pub mod tether;
mod variables;

pub use clickhouse::{Clickhouse, ClickhouseOptions};
pub use handle::Stack;
pub use kafka::{Kafka, KafkaOptions};
pub use options::Options;
pub use postgres::{Postgres, PostgresOptions};
pub use record::{Engine, Part, Record};

/// The stack a command means when it names none.
pub const DEFAULT: &str = "default";

#[cfg(test)]
mod tests;
