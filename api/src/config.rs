//! [`Config`]: where the API listens, and every bound of it.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use boxbox_schemas::TenantId;

/// How an API listens and what it puts up with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Whom a request without a grant is shown, on a loopback address.
    pub local_tenant: TenantId,
    /// Open connections at most; others wait to be accepted. Each costs some 30 KB and a file handle: the process must have
    /// set aside what else needs handles, for accepting goes on until there are none.
    pub max_connections: usize,
    /// A request's head must be there within this time, also the next one on an open connection: slow senders and idle
    /// connections do not hold places.
    pub header_timeout: Duration,
    /// A request is answered within this time, or with 503.
    pub request_timeout: Duration,
    /// A client that takes nothing of its answer for this long is disconnected.
    pub write_timeout: Duration,
    /// When stopping, requests that are being answered have this long to end.
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
