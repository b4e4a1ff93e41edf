//! The log on Apache Kafka: one topic, one idempotent producer per writer, one consumer thread per reader (E8).
//!
//! Kafka's own bookkeeping is not used: no consumer groups (partitions are assigned, and the reader keeps its
//! offsets), no transactions, no client-side partitioner. The log's id is the cluster's id, the topic and the number of
//! partitions, so that a checkpoint is never read against another topic. Durable means acknowledged by all in-sync
//! replicas; with a replication factor of 1 a durable record survives a killed broker, but not a lost machine.
//!
//! A reader costs one thread and one set of broker connections, which suits the 16 or so partitions of one node;
//! spread more partitions over more nodes.

mod blocking;
mod closing;
mod config;
pub mod control;
mod inner;
mod ledger;
mod log;
mod reader;
mod security;
mod statistics;
#[cfg(test)]
mod tests;
mod topic;
mod writer;

pub use self::closing::wait_until_closed;
pub use self::config::{Compression, KafkaConfig};
pub use self::log::KafkaLog;
pub use self::security::{Mechanism, Sasl, Security, Tls};
pub use self::statistics::KafkaMetrics;
