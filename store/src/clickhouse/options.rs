//! How the archive is kept: [`Options`].

use std::time::Duration;

/// How the archive is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// The tables' engine, when they are made: `MergeTree`, or for replicas
    /// `ReplicatedMergeTree('/clickhouse/tables/{shard}/{table}', '{replica}')`.
    pub engine: String,
    /// Part of every block's token: raised where an operator has removed frames that are to be archived again.
    pub generation: u32,
    /// Frames whose records the log took longer ago than this, whole seconds, are removed; `None`: never. [`migrate`](super::migrate) settles it.
    pub max_age: Option<Duration>,
    /// Compress what goes over the network, with LZ4. On one machine it costs more than it gives.
    pub compress: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { engine: "MergeTree".into(), generation: 1, max_age: None, compress: false }
    }
}
