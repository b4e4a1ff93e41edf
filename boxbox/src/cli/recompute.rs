//! The options of `recompute`.

use std::path::PathBuf;

use boxbox_schemas::{SessionId, TenantId};
use clap::Args;

use crate::cli::defaults;
use crate::cli::node::stores::StoreArgs;
use crate::config_check::Findings;
use crate::recompute::{RecomputeOptions, Which};

/// Options of `recompute`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["session", "all"])))]
pub struct RecomputeArgs {
    /// The session's id, 32 hexadecimal digits, as the API lists it
    session: Option<SessionId>,
    /// All sessions of the tenant
    #[arg(long)]
    all: bool,
    /// Write the new results; without it they are only compared with the stored ones
    #[arg(long)]
    apply: bool,
    /// Tenant whose sessions they are
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    tenant: TenantId,
    /// Folder of the embedded profile. No service may use it meanwhile: stop `boxbox up` first
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
    #[command(flatten)]
    stores: StoreArgs,
}

impl RecomputeArgs {
    /// Look for what is wrong with the stores.
    pub fn look(self, findings: &mut Findings) {
        self.stores.look(findings);
        findings.kept(self.stores.options());
    }

    /// The options that the command takes.
    ///
    /// # Errors
    /// As [`StoreArgs::options`].
    pub fn options(self) -> anyhow::Result<RecomputeOptions> {
        Ok(RecomputeOptions {
            which: self.session.map_or(Which::All, Which::One),
            apply: self.apply,
            tenant: self.tenant,
            data: self.data,
            stores: self.stores.options()?,
        })
    }
}
