//! [`EdgeError`]: why an edge does not start, or why it ends.

use std::net::SocketAddr;

use boxbox_log::LogError;

/// Why an edge does not start or ends.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The UDP port is taken.
    #[error("UDP {0} is in use by another program: stop it, or listen elsewhere (port 0 takes a free one)")]
    Busy(SocketAddr),
    /// The socket cannot be made.
    #[error("UDP {address} cannot be opened: {source}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The certificate or its key is unusable.
    #[error("the edge's certificate or key is unusable: {0}. Remove both, and new ones are made; clients then need the new pin")]
    Identity(String),
    /// A limit makes no sense.
    #[error("{0}")]
    Config(String),
    /// The system starts no threads.
    #[error("the edge's threads cannot be started: {0}")]
    Threads(std::io::Error),
    /// A bug: the serving task panicked.
    #[error("the edge ended because of a bug: {0}")]
    Failed(String),
    /// The log opened no writer.
    #[error(transparent)]
    Log(#[from] LogError),
}
