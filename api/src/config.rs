//! [`Config`] of the API: where it listens, and every limit with its reason.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use boxbox_schemas::TenantId;
use boxbox_schemas::places::Caps;

use crate::client::Network;

/// The address and the limits of an API.
#[derive(Clone, Debug)]
pub struct Config {
    /// Address and port; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Address and port of a second listener for health and metrics alone, with separate connections and a separate thread: what is done to
    /// the API delays no probe. `None`: there is none.
    pub probes: Option<SocketAddr>,
    /// The tenant whose data a request without a grant may read, on a loopback address.
    pub local_tenant: TenantId,
    /// Whether each request needs a grant, on a loopback address too: for a machine on which a proxy stands in front of the API.
    pub always_grants: bool,
    /// Reverse proxies, whose word for a client's address is taken (`X-Forwarded-For`, or `Forwarded`).
    pub trusted_proxies: Vec<Network>,
    /// Open connections at most; at one more, one that is idle is closed. Each takes some 30 KB and a file handle. The process must
    /// keep enough handles for its other needs, because connections are accepted until there are no handles left.
    pub max_connections: usize,
    /// Open connections from one address at most (IPv6: also from one /56); twice as many from a /48. Those of a trusted proxy are not
    /// counted so.
    pub connections_per_address: usize,
    /// Time limit for a request's head, also of the next request on an open connection: slow senders and idle connections are
    /// disconnected.
    pub header_timeout: Duration,
    /// Time limit of an answer; after it the answer is 503.
    pub request_timeout: Duration,
    /// Time limit for a request's body, beside that of the answer; a body that comes slowly is refused long before.
    pub body_timeout: Duration,
    /// A client that reads nothing of its answer for this long is disconnected.
    pub write_timeout: Duration,
    /// Memory of all answers that are being made, MiB; at least [`Config::ANSWERS_MIB_LEAST`].
    pub answers_mib: u32,
    /// When stopping: time limit for requests that are being answered.
    pub drain: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 0).into(),
            probes: None,
            local_tenant: TenantId::new("local").expect("five letters are an id"),
            always_grants: false,
            trusted_proxies: vec![],
            max_connections: 2_048,
            connections_per_address: 256,
            header_timeout: Duration::from_secs(5),
            request_timeout: Duration::from_secs(10),
            body_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(10),
            answers_mib: Self::ANSWERS_MIB_MOST,
            drain: Duration::from_secs(5),
        }
    }
}

impl Config {
    /// The memory that one answer about the longest session takes, MiB: with less, there would be none.
    pub const ANSWERS_MIB_LEAST: u32 = 144;
    /// Two such answers at once, MiB: more would only compete for the threads that make them.
    pub const ANSWERS_MIB_MOST: u32 = 288;

    /// The places of connections. A quarter is for those with a grant, and no driver and no tenant can take all of that.
    pub(crate) fn places(&self) -> Caps {
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let all = count(self.max_connections);
        let address = count(self.connections_per_address);
        Caps {
            all,
            reserved: all / 4,
            address,
            net56: address,
            net48: address.saturating_mul(2),
            driver: (all / 32).max(4),
            tenant: (all / 4).max(8),
        }
    }
}
