//! [`NodeOptions`]: which services a process runs, where their data is, and the settings of each.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::ensure;

use crate::log::{LogOptions, LogRetention};
use crate::node::handles::{LogBackend, StoreBackend, Workload};
use crate::node::stores::{Login, StoreOptions};

/// Which services a process runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Roles {
    /// The edge.
    pub ingest: bool,
    /// The processor.
    pub processor: bool,
    /// The API.
    pub api: bool,
}

impl Roles {
    /// All in one.
    pub const ALL: Roles = Roles { ingest: true, processor: true, api: true };
    /// The edge.
    pub const INGEST: Roles = Roles { ingest: true, processor: false, api: false };
    /// The processor.
    pub const PROCESSOR: Roles = Roles { ingest: false, processor: true, api: false };
    /// The API.
    pub const API: Roles = Roles { ingest: false, processor: false, api: true };

    /// The name of the service, if it is the only one.
    pub fn alone(self) -> Option<&'static str> {
        match self {
            Roles::INGEST => Some("ingest"),
            Roles::PROCESSOR => Some("processor"),
            Roles::API => Some("api"),
            _ => None,
        }
    }
}

/// What the services of one process are started with.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// The data folder.
    pub data: PathBuf,
    /// Which services run.
    pub roles: Roles,
    /// The log.
    pub log: LogOptions,
    /// How much the log keeps, if it is files.
    pub log_retention: LogRetention,
    /// Where results and frames are kept; an edge alone opens neither.
    pub stores: StoreOptions,
    /// The results in PostgreSQL that an edge alone asks which sessions are closed on purpose. Without them it cannot tell its clients.
    pub closed_in: Option<Login>,
    /// UDP address for sim clients; port 0 takes a free one.
    pub quic: SocketAddr,
    /// Host name under which sim clients reach this machine; `None`: the address on which the edge listens.
    pub public_host: Option<String>,
    /// The edge's budgets.
    pub limits: boxbox_ingest::Limits,
    /// The processor.
    pub processor: boxbox_processor::Config,
    /// The API. Its tenant is also the tenant of the grants that the node makes. Its connections are the most that are accepted: a
    /// process with few handles accepts fewer.
    pub api: boxbox_api::Config,
    /// Sim clients in the same process.
    pub clients: usize,
}

impl NodeOptions {
    /// Check that there is a log for these services.
    ///
    /// # Errors
    /// If one service runs alone, and its log is files that the other services cannot reach. The API needs no log to read the stores.
    pub fn check_log(&self) -> anyhow::Result<()> {
        ensure!(
            self.log.url.is_some() || self.roles.alone().is_none() || self.roles == Roles::API,
            "one service needs a log that the other services can reach: give --log-url kafka://host:9092/topic, or run all services with `boxbox up`"
        );
        Ok(())
    }

    /// What needs handles in this process. `partitions`: those of its log, if it has a log.
    pub fn workload(&self, partitions: Option<usize>) -> Workload {
        let log = if self.log.url.is_some() { LogBackend::Kafka } else { LogBackend::Embedded };
        let stores = match self.stores {
            StoreOptions::Files => StoreBackend::Files,
            StoreOptions::Servers(_) => StoreBackend::Servers,
        };
        let asked = self.closed_in.as_ref().map(|_| StoreBackend::Asked);
        Workload {
            log: partitions.map(|partitions| (log, partitions)),
            stores: if self.roles == Roles::INGEST { asked } else { Some(stores) },
            processes: self.roles.processor,
            clients: self.clients,
        }
    }
}
