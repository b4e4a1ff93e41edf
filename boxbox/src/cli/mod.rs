//! The command line: every option has a help text that teaches and an environment variable.

use std::net::IpAddr;
use std::path::PathBuf;
use std::time::Duration;

use boxbox_schemas::{DriverId, TenantId};
use clap::{Args, Parser, Subcommand};

use crate::access::grant;
use crate::node::data;
use crate::node::stores::{self, StoreArgs};
use crate::{demo, node, replay, simulate};

/// UDP port for sim clients.
pub const QUIC_PORT: u16 = 7443;
/// TCP port of the HTTP API.
pub const API_PORT: u16 = 7480;

/// Ok, Box Box: telemetry for sim racing leagues. Sim clients stream frames over QUIC; laps come out.
#[derive(Parser)]
#[command(name = "boxbox", version, max_term_width = 110)]
pub struct Cli {
    /// What to log on standard error: a level, or `target=level,…`
    #[arg(long, global = true, env = "BOXBOX_LOG", default_value = "warn")]
    pub log: String,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// See it work: a race of 24 synthetic cars through the whole pipeline, in this process
    Demo(demo::DemoArgs),
    /// Drive the demo's race as sim clients only, to a server
    Simulate(simulate::SimulateArgs),
    /// Stream an iRacing recording (.ibt or .ibt.gz) and print its laps beside the simulator's own times
    Replay(replay::ReplayArgs),
    /// Run all services in this process until Ctrl-C
    Up(UpArgs),
    /// Run the edge alone: QUIC in, Kafka out; needs --log-url
    Ingest(RoleArgs),
    /// Run the processor alone: Kafka in, results out; needs --log-url
    Processor(RoleArgs),
    /// Run the API alone
    Api(RoleArgs),
    /// Prepare PostgreSQL and ClickHouse, or bring them up to date; before the services that use them, and after each upgrade
    Migrate(MigrateArgs),
    /// Make and revoke grants: who may send, who may read
    #[command(subcommand)]
    Grant(grant::GrantCommand),
}

/// Where data lives and where services listen.
#[derive(Args, Clone)]
pub struct NodeArgs {
    /// Folder of the embedded profile: log, results, archive, keys. Made if missing
    #[arg(long, env = "BOXBOX_DATA", default_value = "boxbox-data")]
    pub data: PathBuf,
    /// UDP port for sim clients; 0 takes a free one [default: 7443; demo and replay: a free one]
    #[arg(long, env = "BOXBOX_QUIC_PORT")]
    pub quic_port: Option<u16>,
    /// TCP port of the HTTP API; 0 takes a free one [default: 7480; demo and replay: a free one]
    #[arg(long, env = "BOXBOX_API_PORT")]
    pub api_port: Option<u16>,
    /// Address for sim clients to reach; 0.0.0.0 takes them from anywhere (each needs a grant)
    #[arg(long, env = "BOXBOX_QUIC_HOST", default_value = "127.0.0.1")]
    pub quic_host: IpAddr,
    /// Address of the HTTP API; on any but a loopback address every request needs a read grant
    #[arg(long, env = "BOXBOX_API_HOST", default_value = "127.0.0.1")]
    pub api_host: IpAddr,
    #[command(flatten)]
    pub log: LogArgs,
    #[command(flatten)]
    pub stores: StoreArgs,
    /// Tenant of the embedded profile: whom the API shows to people on this machine, and new grants are for
    #[arg(long, env = "BOXBOX_TENANT", default_value = "local")]
    pub tenant: TenantId,
    /// Sim clients connected at once; an idle one costs about 50 KB [default: 10000]
    #[arg(long, env = "BOXBOX_CONNECTIONS")]
    pub connections: Option<usize>,
    /// Sim clients connected at once from one address; this machine's own are not counted [default: 64]
    #[arg(long, env = "BOXBOX_CONNECTIONS_PER_ADDRESS")]
    pub connections_per_address: Option<usize>,
    /// A session is closed when nobody has sent for so long, e.g. 90s, 5m, 2h; what comes later changes no result
    #[arg(long, env = "BOXBOX_CLOSE_AFTER", default_value = "5m", value_parser = humantime::parse_duration)]
    pub close_after: Duration,
    /// A closed session is retired at this age, e.g. 30days: its results stay, it cannot be opened again
    #[arg(long, env = "BOXBOX_RETIRE_AFTER", default_value = "30days", value_parser = humantime::parse_duration)]
    pub retire_after: Duration,
    /// Telemetry kept at most in files, bytes; the oldest goes first. Laps and all other results stay [default: 20 GiB]
    #[arg(long, env = "BOXBOX_ARCHIVE_MAX_BYTES", default_value_t = 20 << 30, hide_default_value = true)]
    pub archive_max_bytes: u64,
    /// Telemetry received longer ago is removed, e.g. 30days. Laps and all other results stay
    #[arg(long, env = "BOXBOX_ARCHIVE_MAX_AGE", default_value = "30days", value_parser = humantime::parse_duration)]
    pub archive_max_age: Duration,
}

/// Which log, and how to get in.
#[derive(Args, Clone)]
pub struct LogArgs {
    /// The log: nothing for files in the data folder, or kafka://host:9092/topic, all of whose nodes know the same keys and
    /// revocations. Behind a `?`, joined by `&`: tls=on, ca=FILE, sasl=plain or scram-sha-256 or scram-sha-512, user=NAME
    #[arg(long = "log-url", env = "BOXBOX_LOG_URL", hide_env_values = true)]
    pub log_url: Option<String>,
    /// File that holds the password of a log whose URL says sasl=…
    #[arg(long, env = "BOXBOX_LOG_PASSWORD_FILE")]
    pub log_password_file: Option<PathBuf>,
}

impl LogArgs {
    /// What opening the log needs beside the URL.
    pub fn options(&self) -> anyhow::Result<boxbox_log::open::Options> {
        let kafka_password = self.log_password_file.as_deref().map(data::read_secret).transpose()?;
        Ok(boxbox_log::open::Options { kafka_password, ..Default::default() })
    }
}

#[derive(Args)]
struct UpArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Host name to put into the connect string, if clients reach this machine under another than --quic-host
    #[arg(long, env = "BOXBOX_PUBLIC_HOST")]
    public_host: Option<String>,
    /// Driver whose connect string is printed
    #[arg(long, env = "BOXBOX_DRIVER", default_value = "driver-1")]
    driver: DriverId,
}

#[derive(Args)]
struct MigrateArgs {
    #[command(flatten)]
    stores: StoreArgs,
    /// How long telemetry is kept, e.g. 30days, 1year: ClickHouse removes it by itself then. Laps stay
    #[arg(long, env = "BOXBOX_ARCHIVE_MAX_AGE", default_value = "30days", value_parser = humantime::parse_duration)]
    archive_max_age: Duration,
}

#[derive(Args)]
struct RoleArgs {
    #[command(flatten)]
    node: NodeArgs,
}

impl Cli {
    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(args) => demo::run(args).await,
            Command::Simulate(args) => simulate::run(args).await,
            Command::Replay(args) => replay::run(args).await,
            Command::Up(args) => node::up(&args.node, node::Roles::ALL, Some((args.driver, args.public_host))).await,
            Command::Ingest(args) => node::up(&args.node, node::Roles::INGEST, None).await,
            Command::Processor(args) => node::up(&args.node, node::Roles::PROCESSOR, None).await,
            Command::Api(args) => node::up(&args.node, node::Roles::API, None).await,
            Command::Migrate(args) => stores::migrate(&args.stores, args.archive_max_age).await,
            Command::Grant(command) => grant::run(command).await,
        }
    }
}
