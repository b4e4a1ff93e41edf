//! How the archive is kept: [`Options`].

use std::time::Duration;

/// How the archive is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The engine of new tables: `MergeTree`, or for replicas
    /// `ReplicatedMergeTree('/clickhouse/tables/{shard}/{table}', '{replica}')`.
    pub engine: String,
    /// Part of every block's token: raise it after removing frames that are to be archived again.
    pub generation: u32,
    /// Frames whose records the log appended longer ago than this, whole seconds, are removed; `None`: never. [`migrate`](fn@super::migrate)
    /// puts this into the tables.
    pub max_age: Option<Duration>,
    /// Compress the network traffic with LZ4. On one machine this costs more than it saves.
    pub compress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { engine: "MergeTree".into(), generation: 1, max_age: None, compress: false }
    }
}
