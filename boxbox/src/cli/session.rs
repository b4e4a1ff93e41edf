//! The options of `session`.

use boxbox_schemas::event::Judging;
use boxbox_schemas::{DriverId, RunId, SessionId};
use clap::{Args, Subcommand};

use crate::cli::api::ApiArgs;
use crate::session::{self, JudgeOptions};

/// `boxbox session …`.
#[derive(Subcommand)]
pub enum SessionCommand {
    /// Exclude a driver from a session: nothing that the driver's client reported counts, until the driver is reinstated
    Exclude(WhomArgs),
    /// Reinstate a driver that was excluded from a session: everything counts again
    Reinstate(WhomArgs),
}

/// Whom, of which session.
#[derive(Args)]
pub struct WhomArgs {
    /// The session's id, 32 hexadecimal digits, as the API lists it
    session: SessionId,
    /// The driver, as the grant names them
    #[arg(long)]
    driver: DriverId,
    /// One start of the driver's client only: its run, 32 hexadecimal digits, as the session's ledger names it
    #[arg(long)]
    run: Option<RunId>,
    #[command(flatten)]
    api: ApiArgs,
}

impl SessionCommand {
    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        let (code, args) = match self {
            Self::Exclude(args) => (Judging::EXCLUDED, args),
            Self::Reinstate(args) => (Judging::REINSTATED, args),
        };
        let WhomArgs { session, driver, run, api } = args;
        session::judge(&JudgeOptions { code, session, driver, run, api: api.options() }).await
    }
}
