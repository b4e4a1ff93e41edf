//! The options of a server's services.

mod memory;
pub mod stores;
pub mod up;

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use boxbox_schemas::TenantId;
use clap::Args;

use crate::cli::defaults;
use crate::cli::log::LogArgs;
use crate::cli::node::stores::StoreArgs;
use crate::cli::size::Size;
use crate::config_check::Findings;
use crate::log::LogRetention;
use crate::node::options::{NodeOptions, Roles};
use crate::node::stores::{ARCHIVE_MAX_BYTES, StoreOptions};
use crate::ports;

/// Where data is kept, where services listen, and how they are set.
#[derive(Args)]
pub struct NodeArgs {
    /// Folder of the embedded profile: log, results, archive, keys. Created if missing
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
    #[arg(
        long,
        env = "BOXBOX_QUIC_PORT",
        help = format!("UDP port for sim clients; 0 takes a free one [default: {}; demo and replay: a free one]", ports::QUIC)
    )]
    quic_port: Option<u16>,
    #[arg(
        long,
        env = "BOXBOX_API_PORT",
        help = format!("TCP port of the HTTP API; 0 takes a free one [default: {}; demo and replay: a free one]", ports::API)
    )]
    api_port: Option<u16>,
    /// Address on which sim clients connect; 0.0.0.0 accepts them from any network (each needs a grant)
    #[arg(long, env = "BOXBOX_QUIC_HOST", default_value_t = Ipv4Addr::LOCALHOST.into())]
    quic_host: IpAddr,
    /// Address of the HTTP API; unless it is a loopback address, every request needs a read grant
    #[arg(long, env = "BOXBOX_API_HOST", default_value_t = Ipv4Addr::LOCALHOST.into())]
    api_host: IpAddr,
    /// When the API needs a grant: auto: on any address but a loopback one, and for what a proxy passes on; always: for every request, as
    /// it must be where a reverse proxy on this machine stands in front of it
    #[arg(long, env = "BOXBOX_API_GRANTS", value_enum, default_value_t = ApiGrants::Auto)]
    api_grants: ApiGrants,
    /// Address or network of a reverse proxy in front of the API, e.g. 10.0.0.5 or 10.0.0.0/8; several with commas. Clients then count by
    /// the address that it names (X-Forwarded-For, or Forwarded)
    #[arg(long, env = "BOXBOX_TRUSTED_PROXY", value_delimiter = ',', value_name = "NETWORK")]
    trusted_proxy: Vec<boxbox_api::Network>,
    /// Most HTTP connections at once from one address; those of a trusted proxy are not counted
    #[arg(long, env = "BOXBOX_API_CONNECTIONS_PER_ADDRESS", default_value_t = boxbox_api::Config::default().connections_per_address)]
    api_connections_per_address: usize,
    #[arg(
        long,
        env = "BOXBOX_PROBE_PORT",
        help = format!(
            "TCP port for probes alone (livez, readyz, api/health, metrics), which answers also when the API is busy; 0 takes a free one [default: {} beside \
             the usual API port, else a free one]",
            ports::PROBES
        )
    )]
    probe_port: Option<u16>,
    /// Address for probes [default: that of the API]; unless it is a loopback address, metrics and health need a read grant
    #[arg(long, env = "BOXBOX_PROBE_HOST")]
    probe_host: Option<IpAddr>,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    stores: StoreArgs,
    /// Tenant of the embedded profile: the API shows its data to requests from this machine, and new grants are for it
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    tenant: TenantId,
    /// Most sim clients connected at once; an idle client costs about 50 KB
    #[arg(long, env = "BOXBOX_CONNECTIONS", default_value_t = boxbox_ingest::Limits::default().connections)]
    connections: usize,
    /// Most sim clients connected at once from one address; clients on this machine are not counted
    #[arg(long, env = "BOXBOX_CONNECTIONS_PER_ADDRESS", default_value_t = boxbox_ingest::Limits::default().connections_per_address)]
    connections_per_address: usize,
    /// A session is closed when no client has sent for this long, e.g. 90s, 5m, 2h; it opens again by itself when frames of it come
    #[arg(long, env = "BOXBOX_CLOSE_AFTER", default_value_t = boxbox_processor::Config::default().close_after.into())]
    close_after: humantime::Duration,
    /// A closed session is retired at this age, e.g. 30days: its results are kept, and it cannot be opened again
    #[arg(long, env = "BOXBOX_RETIRE_AFTER", default_value_t = boxbox_processor::Config::default().retire_after.into())]
    retire_after: humantime::Duration,
    /// Most bytes of memory that sessions may take, about; beyond it they take turns. One that alone takes more is parked: its records are
    /// skipped [default: a quarter of the memory there is]
    #[arg(long, env = "BOXBOX_SESSION_MAX_BYTES")]
    session_max_bytes: Option<Size>,
    /// Most bytes of telemetry in files, e.g. 100GiB; the oldest is removed first. Laps and all other results are kept
    #[arg(long, env = "BOXBOX_ARCHIVE_MAX_BYTES", default_value_t = Size(ARCHIVE_MAX_BYTES))]
    archive_max_bytes: Size,
    /// Most bytes of the log in files, e.g. 2GB; the oldest is removed first, but nothing that results or archive have not processed
    #[arg(long, env = "BOXBOX_LOG_MAX_BYTES", default_value_t = Size(LogRetention::default().max_bytes), value_parser = log_size)]
    log_max_bytes: Size,
    /// Age at which the log in files is removed, e.g. 12h, 7days, but nothing that results or archive have not processed
    #[arg(long, env = "BOXBOX_LOG_MAX_AGE", default_value_t = LogRetention::default().max_age.into())]
    log_max_age: humantime::Duration,
    /// Go on if results or archive were restored to a state before the oldest record of the log; what is missing is counted. Without
    /// this their partition stops
    #[arg(long, env = "BOXBOX_SKIP_REMOVED")]
    skip_removed: bool,
}

fn log_size(text: &str) -> Result<Size, String> {
    let least = LogRetention::MIN_BYTES;
    text.parse().and_then(|size: Size| if size.0 >= least { Ok(size) } else { Err(format!("give {} MiB or more", least >> 20)) })
}

/// When the API needs a grant.
#[derive(clap::ValueEnum, Clone, Copy, PartialEq, Eq, Debug)]
pub enum ApiGrants {
    /// On any address but a loopback one, and for what a proxy passes on.
    Auto,
    /// For every request.
    Always,
}

/// Which ports services use when none is given.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Ports {
    /// The ports in [`ports`].
    Usual,
    /// Free ports, which the system picks.
    Free,
}

impl NodeArgs {
    /// Look for what is wrong with log and stores, each by itself.
    pub fn look(&self, findings: &mut Findings) {
        self.log.look(findings);
        self.stores.look(findings);
    }

    /// The options that the services take.
    ///
    /// # Errors
    /// As [`StoreArgs::options`].
    pub fn options(self, roles: Roles, ports: Ports) -> anyhow::Result<NodeOptions> {
        let port = |given: Option<u16>, usual| given.unwrap_or(if ports == Ports::Free { 0 } else { usual });
        let api_port = port(self.api_port, ports::API);
        // Several servers of a machine have other API ports: then the usual port for probes may be another's.
        let probe_port = self.probe_port.unwrap_or(if api_port == ports::API { ports::PROBES } else { 0 });
        Ok(NodeOptions {
            quic: SocketAddr::new(self.quic_host, port(self.quic_port, ports::QUIC)),
            public_host: None,
            limits: boxbox_ingest::Limits {
                connections_per_address: self.connections_per_address,
                ..boxbox_ingest::Limits::default().with_connections(self.connections)
            },
            processor: boxbox_processor::Config {
                close_after: *self.close_after,
                retire_after: *self.retire_after,
                session_max_bytes: self.session_max_bytes.map_or_else(memory::default_session_bytes, |size| size.0),
                archive_max_bytes: Some(self.archive_max_bytes.0),
                archive_max_age: Some(self.stores.archive_max_age()),
                skip_removed: self.skip_removed,
                ..boxbox_processor::Config::default()
            },
            api: boxbox_api::Config {
                listen: SocketAddr::new(self.api_host, api_port),
                probes: Some(SocketAddr::new(self.probe_host.unwrap_or(self.api_host), probe_port)),
                local_tenant: self.tenant,
                always_grants: self.api_grants == ApiGrants::Always,
                trusted_proxies: self.trusted_proxy,
                connections_per_address: self.api_connections_per_address,
                answers_mib: memory::default_answers_mib(),
                ..boxbox_api::Config::default()
            },
            data: self.data,
            log: self.log.options(),
            closed_in: if roles == Roles::INGEST { self.stores.results()? } else { None },
            // An edge alone keeps nothing.
            stores: if roles == Roles::INGEST { StoreOptions::Files } else { self.stores.options()? },
            log_retention: LogRetention { max_bytes: self.log_max_bytes.0, max_age: *self.log_max_age },
            roles,
            clients: 0,
        })
    }
}
