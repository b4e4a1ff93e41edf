//! The arguments of `clock`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::defaults;
use crate::clock_watch;
use crate::show::report;

/// `boxbox clock …`.
#[derive(Subcommand)]
pub enum ClockCommand {
    /// Say that this machine's clock is right, after a server has found that it jumped: what is old by it is deleted again
    Confirm(ConfirmArgs),
}

/// Whose server it is.
#[derive(Args)]
pub struct ConfirmArgs {
    /// Data folder of the server
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
}

impl ClockCommand {
    /// Do what was asked.
    pub fn run(self) -> anyhow::Result<()> {
        let Self::Confirm(ConfirmArgs { data }) = self;
        clock_watch::confirm(&data)?;
        report::line("confirmed: the server believes the clock of this machine within a second, or from its next start");
        Ok(())
    }
}
