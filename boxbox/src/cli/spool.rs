//! The options of `spool`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::cli::defaults;
use crate::cli::secret::ToArgs;
use crate::config_check::Findings;
use crate::spool;

/// `boxbox spool …`.
#[derive(Subcommand)]
pub enum SpoolCommand {
    /// List what clients on this machine could not send yet
    List {
        #[command(flatten)]
        of: FolderArgs,
    },
    /// Send a spool, also to another address than it was for
    Send {
        /// The spool's name, as `spool list` prints it; without it, the only one of the driver of the connect string
        name: Option<String>,
        #[command(flatten)]
        to: ToArgs,
        #[command(flatten)]
        of: FolderArgs,
    },
    /// Delete a spool: its frames are lost
    Delete {
        /// The spool's name, as `spool list` prints it
        name: String,
        /// Do not ask
        #[arg(long)]
        yes: bool,
        #[command(flatten)]
        of: FolderArgs,
    },
}

/// Where spools are.
#[derive(Args)]
pub struct FolderArgs {
    /// Data folder of the client: the one that `replay --to` had
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
}

impl SpoolCommand {
    /// Look for what is wrong with the connect string, if one is needed.
    pub fn look(self, findings: &mut Findings) {
        if let Self::Send { to, .. } = self {
            findings.kept(to.check());
        }
    }

    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::List { of } => spool::list(&of.data),
            Self::Send { name, to, of } => spool::send(&of.data, name.as_deref(), to.connect()?).await,
            Self::Delete { name, yes, of } => spool::delete(&of.data, &name, yes),
        }
    }
}
