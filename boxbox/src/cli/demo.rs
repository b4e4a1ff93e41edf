//! The options of `demo`.

use clap::Args;

use crate::cli::node::{NodeArgs, Ports};
use crate::cli::race::RaceArgs;
use crate::config_check::{Findings, services};
use crate::demo::{self, DemoOptions};
use crate::node::options::Roles;
use crate::race::CARS;

/// Options of `demo`.
#[derive(Args)]
pub struct DemoArgs {
    #[command(flatten)]
    race: RaceArgs,
    /// Print lines instead of drawing the tower, also on a terminal
    #[arg(long, env = "BOXBOX_PLAIN")]
    plain: bool,
    #[command(flatten)]
    node: NodeArgs,
}

impl DemoArgs {
    /// Look for what is wrong.
    pub fn look(self, findings: &mut Findings) {
        self.node.look(findings);
        if let Some(options) = findings.kept(self.options()) {
            services::node(&options.node, findings);
        }
    }

    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`NodeArgs::options`].
    pub fn options(self) -> anyhow::Result<DemoOptions> {
        Ok(DemoOptions {
            cars: self.race.cars().unwrap_or(usize::from(CARS)),
            race: self.race.options(),
            speed: self.race.speed_or(demo::SPEED),
            plain: self.plain,
            node: self.node.options(Roles::ALL, Ports::Free)?,
        })
    }
}
