//! The options of `ledger`.

use std::path::PathBuf;

use boxbox_schemas::TenantId;
use boxbox_schemas::league::LeagueId;
use clap::{Args, Subcommand};

use crate::cli::defaults;
use crate::cli::node::stores::StoreArgs;
use crate::config_check::Findings;
use crate::ledger::{self, Place};

/// `boxbox ledger …`.
#[derive(Subcommand)]
pub enum LedgerCommand {
    /// Check the ledgers: that no act was changed, removed or added by hand, and that everything beside them is what they say
    Verify {
        /// One league; without it all of the tenant
        league: Option<LeagueId>,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Print a ledger as NDJSON, with its facts, its published revisions and its texts
    Export {
        /// The league
        league: LeagueId,
        /// Leave out names, reasons and accounts, which are personal. Where such an export is imported, results and tables can be read, but
        /// nothing about accounts or new results can be decided
        #[arg(long)]
        without_texts: bool,
        /// As without an option
        #[arg(long, hide = true, conflicts_with = "without_texts")]
        with_texts: bool,
        #[command(flatten)]
        place: PlaceArgs,
    },
    /// Take over a ledger that was exported: into a store that does not have it, or has its beginning, or has it without texts
    Import {
        /// The league
        league: LeagueId,
        /// The file; `-` is standard input
        file: PathBuf,
        #[command(flatten)]
        place: PlaceArgs,
    },
}

/// Where the ledgers are.
#[derive(Args)]
pub struct PlaceArgs {
    /// Tenant whose leagues they are
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    tenant: TenantId,
    /// Folder of the embedded profile. No service may use it meanwhile: stop `boxbox up` first
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
    #[command(flatten)]
    stores: StoreArgs,
}

impl PlaceArgs {
    fn options(self) -> anyhow::Result<Place> {
        Ok(Place { tenant: self.tenant, data: self.data, stores: self.stores.options()? })
    }
}

impl LedgerCommand {
    /// Look for what is wrong with the store where the ledgers are.
    pub fn look(self, findings: &mut Findings) {
        let (Self::Verify { place, .. } | Self::Export { place, .. } | Self::Import { place, .. }) = self;
        place.stores.look(findings);
        findings.kept(place.stores.options());
    }

    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Verify { league, place } => ledger::verify(&place.options()?, league).await,
            Self::Export { league, without_texts, with_texts: _, place } => ledger::export(&place.options()?, league, !without_texts).await,
            Self::Import { league, file, place } => ledger::import(&place.options()?, league, &file).await,
        }
    }
}
