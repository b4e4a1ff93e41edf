//! [`Config`] of the API: where it listens, and every limit with its reason.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use boxbox_schemas::TenantId;

/// The address and the limits of an API.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The tenant whose data a request without a grant may read, on a loopback address.
    pub local_tenant: TenantId,
    /// Open connections at most; others wait to be accepted. Each takes some 30 KB and a file handle. The process must keep enough
    /// handles for its other needs, because connections are accepted until there are no handles left.
    pub max_connections: usize,
    /// Time limit for a request's head, also of the next request on an open connection: slow senders and idle connections are
    /// disconnected.
    pub header_timeout: Duration,
    /// Time limit of an answer; after it the answer is 503.
    pub request_timeout: Duration,
    /// A client that reads nothing of its answer for this long is disconnected.
    pub write_timeout: Duration,
    /// When stopping: time limit for requests that are being answered.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            local_tenant: TenantId::new("local").expect("five letters are an id"),
            max_connections: 2_048,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            write_timeout: Duration::from_secs(10),
            drain: Duration::from_secs(5),
        }
    }
}
