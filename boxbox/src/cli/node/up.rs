//! The options of `up` and of the commands that run one service.

use boxbox_schemas::DriverId;
use clap::Args;

use crate::cli::defaults;
use crate::cli::node::{NodeArgs, Ports};
use crate::node::options::Roles;
use crate::node::up::{ConnectOptions, UpOptions};

/// Options of `up`.
#[derive(Args)]
pub struct UpArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Host name in the printed connect string, if clients do not reach this machine at --quic-host
    #[arg(long, env = "BOXBOX_PUBLIC_HOST")]
    public_host: Option<String>,
    /// Driver whose connect string is printed
    #[arg(long, env = "BOXBOX_DRIVER", default_value = defaults::DRIVER)]
    driver: DriverId,
}

impl UpArgs {
    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`NodeArgs::options`].
    pub fn options(self) -> anyhow::Result<UpOptions> {
        let connect = Some(ConnectOptions { driver: self.driver, public_host: self.public_host });
        Ok(UpOptions { node: self.node.options(Roles::ALL, Ports::Usual)?, connect })
    }
}

/// Options of a command that runs one service.
#[derive(Args)]
pub struct RoleArgs {
    #[command(flatten)]
    node: NodeArgs,
}

impl RoleArgs {
    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`NodeArgs::options`].
    pub fn options(self, roles: Roles) -> anyhow::Result<UpOptions> {
        Ok(UpOptions { node: self.node.options(roles, Ports::Usual)?, connect: None })
    }
}
