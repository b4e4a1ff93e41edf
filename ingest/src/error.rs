//! [`EdgeError`]: why an edge does not start, or why it ends.

use std::net::SocketAddr;

use boxbox_log::LogError;

/// Why an edge does not start or ends.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// The UDP port is taken.
    #[error("UDP {0} is in use by another program: stop it, or listen elsewhere (port 0 takes a free one)")]
    Busy(SocketAddr),
    /// The socket could not be made.
    #[error("UDP {address} cannot be opened: {source}")]
    Socket {
        /// Where.
        address: SocketAddr,
        /// The system's error.
        source: std::io::Error,
    },
    /// The certificate or its key is unusable.
    #[error("the edge's certificate or key is unusable: {0}. Remove both to have new ones made; clients then need the new pin")]
    Identity(String),
    /// A budget makes no sense.
    #[error("{0}")]
    Config(String),
    /// The system gives no threads.
    #[error("no threads for the edge: {0}")]
    Threads(std::io::Error),
    /// A defect: the serving task panicked.
    #[error("the edge ended by a defect: {0}")]
    Failed(String),
    /// The log gives no writer.
    #[error(transparent)]
    Log(#[from] LogError),
}
