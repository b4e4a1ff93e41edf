//! State of an open log: its settings, its identity, its client for metadata.

use boxbox_schemas::LogId;

use super::config::KafkaConfig;
use super::topic::Metadata;

/// Shared by the log and its readers.
pub(super) struct Inner {
    pub(super) config: KafkaConfig,
    pub(super) id: LogId,
    pub(super) partitions: u32,
    pub(super) metadata: Metadata,
}
