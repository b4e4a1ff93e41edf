//! The options of `grant`.

use std::path::PathBuf;

use anyhow::Context;
use boxbox_schemas::connect::{Pin, parse_pin};
use boxbox_schemas::grant::DEFAULT_DAYS;
use boxbox_schemas::{DriverId, GrantId, TenantId};
use clap::{Args, Subcommand};

use crate::access::auth;
use crate::access::grant::{self, CreateOptions, GrantStore};
use crate::cli::defaults;
use crate::cli::log::LogArgs;
use crate::config_check::Findings;

/// `boxbox grant …`.
#[derive(Subcommand)]
pub enum GrantCommand {
    /// Make a grant and print the connect string or token for its holder
    Create(CreateArgs),
    /// Revoke a grant; its connections are closed within 5 seconds
    Revoke {
        /// The id that `grant create` and `grant list` print
        id: GrantId,
        #[command(flatten)]
        store: GrantStoreArgs,
    },
    /// Sign new grants with a new key; grants signed with older keys stay valid
    Rotate {
        #[command(flatten)]
        store: GrantStoreArgs,
    },
    /// List the grants made in this data folder, and with a Kafka log the keys in use
    List {
        #[command(flatten)]
        store: GrantStoreArgs,
    },
    /// Remove a key from all nodes of a Kafka log; grants signed with it become invalid, and their connections are closed
    RemoveKey {
        /// The id that `grant list` prints
        id: String,
        #[command(flatten)]
        store: GrantStoreArgs,
    },
}

impl GrantCommand {
    /// Look for what is wrong with the log, and with the host of a new grant.
    pub fn look(self, findings: &mut Findings) {
        let (host, store) = match self {
            Self::Create(args) => (args.host, args.store),
            Self::Revoke { store, .. } | Self::Rotate { store } | Self::List { store } | Self::RemoveKey { store, .. } => (None, store),
        };
        if let Some(host) = host {
            findings.kept(auth::check_host(&host));
        }
        store.log.look(findings);
    }

    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Create(args) => grant::create(&args.options()?).await,
            Self::Revoke { id, store } => grant::revoke(&store.options(), id).await,
            Self::Rotate { store } => grant::rotate(&store.options()).await,
            Self::List { store } => grant::list(&store.options()).await,
            Self::RemoveKey { id, store } => grant::remove_key(&store.options(), &id).await,
        }
    }
}

/// Where keys and revocations are kept.
#[derive(Args)]
pub struct GrantStoreArgs {
    /// Data folder of the server; with a Kafka log, a folder that holds only keys is enough
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
    #[command(flatten)]
    log: LogArgs,
}

impl GrantStoreArgs {
    fn options(self) -> GrantStore {
        GrantStore { data: self.data, log: self.log.options() }
    }
}

/// Options of `grant create`.
#[derive(Args)]
pub struct CreateArgs {
    /// The driver as your league knows them (1 to 40 of a-z A-Z 0-9 - _ . :)
    #[arg(long, env = "BOXBOX_DRIVER", required_unless_present_any = ["read", "steward", "manage"])]
    driver: Option<DriverId>,
    /// Make a grant to read the tenant's results through the API, instead of a grant to send
    #[arg(long, env = "BOXBOX_GRANT_READ")]
    read: bool,
    /// Make a grant to read, and to decide penalties and correct results in leagues
    #[arg(long, env = "BOXBOX_GRANT_STEWARD")]
    steward: bool,
    /// Make a grant to read, to manage leagues, and to close sessions and open them again
    #[arg(long, env = "BOXBOX_GRANT_MANAGE")]
    manage: bool,
    /// Days until the grant expires, 1 to 36500
    #[arg(long, env = "BOXBOX_GRANT_DAYS", default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// The only event that the grant is for
    #[arg(long, env = "BOXBOX_GRANT_EVENT")]
    event: Option<String>,
    /// Tenant of the grant
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    tenant: TenantId,
    /// Host name or address under which clients reach the server, if the server does not run now
    #[arg(long = "public-host", visible_alias = "host", value_name = "HOST", env = "BOXBOX_PUBLIC_HOST")]
    host: Option<String>,
    /// UDP port of the server, if the server does not run now
    #[arg(long, env = "BOXBOX_QUIC_PORT")]
    quic_port: Option<u16>,
    /// Pin that an edge with another data folder prints when it starts; give several for several edges behind one host name
    #[arg(long, env = "BOXBOX_PIN", value_delimiter = ',', value_parser = parse_pin)]
    pin: Vec<Pin>,
    /// Make keys in a folder that has none, without asking
    #[arg(long, env = "BOXBOX_GRANT_NEW")]
    new: bool,
    #[command(flatten)]
    store: GrantStoreArgs,
}

impl CreateArgs {
    fn options(self) -> anyhow::Result<CreateOptions> {
        Ok(CreateOptions {
            driver: match self.driver {
                Some(driver) => driver,
                // A grant that only reads needs no driver's name.
                None => DriverId::new("reader").context("a fixed text")?,
            },
            abilities: match (self.manage, self.steward, self.read) {
                (true, _, _) => auth::MANAGE,
                (_, true, _) => auth::STEWARD,
                (_, _, true) => auth::READ,
                _ => auth::SEND,
            },
            days: self.days,
            event: self.event,
            tenant: self.tenant,
            host: self.host,
            quic_port: self.quic_port,
            pins: self.pin,
            new: self.new,
            store: self.store.options(),
        })
    }
}
