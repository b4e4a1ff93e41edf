//! The options of `up` and of the commands that run one service.

use boxbox_schemas::DriverId;
use clap::Args;

use crate::cli::defaults;
use crate::cli::node::{NodeArgs, Ports};
use crate::config_check::{Findings, services};
use crate::node::options::{NodeOptions, Roles};
use crate::node::up::UpOptions;

/// Options of `up`.
#[derive(Args)]
pub struct UpArgs {
    #[command(flatten)]
    node: NodeArgs,
    /// Host name in connect strings, if clients do not reach this machine at --quic-host
    #[arg(long, env = "BOXBOX_PUBLIC_HOST")]
    public_host: Option<String>,
    /// Driver whose connect string is printed
    #[arg(long, env = "BOXBOX_DRIVER", default_value = defaults::DRIVER)]
    driver: DriverId,
}

impl UpArgs {
    /// Look for what is wrong.
    pub fn look(self, findings: &mut Findings) {
        self.node.look(findings);
        if let Some(options) = findings.kept(self.options()) {
            services::up(&options, findings);
        }
    }

    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`NodeArgs::options`].
    pub fn options(self) -> anyhow::Result<UpOptions> {
        let node = NodeOptions { public_host: self.public_host, ..self.node.options(Roles::ALL, Ports::Usual)? };
        Ok(UpOptions { node, connect: Some(self.driver) })
    }
}

/// Options of a command that runs one service.
#[derive(Args)]
pub struct RoleArgs {
    #[command(flatten)]
    node: NodeArgs,
}

impl RoleArgs {
    /// Look for what is wrong.
    pub fn look(self, roles: Roles, findings: &mut Findings) {
        self.node.look(findings);
        if let Some(options) = findings.kept(self.options(roles)) {
            services::up(&options, findings);
        }
    }

    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`NodeArgs::options`].
    pub fn options(self, roles: Roles) -> anyhow::Result<UpOptions> {
        Ok(UpOptions { node: self.node.options(roles, Ports::Usual)?, connect: None })
    }
}
