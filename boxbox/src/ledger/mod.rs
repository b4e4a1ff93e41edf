//! `boxbox ledger`: the ledgers of decisions, in the results store itself.

mod acts;
mod texts;
mod transfer;
mod verify;

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::ensure;
use boxbox_schemas::TenantId;
use boxbox_store::Leagues;

use crate::data::DataFolder;
use crate::node::stores::{self, StoreOptions};

pub use transfer::{export, import};
pub use verify::verify;

/// Rows read at once.
const AT_ONCE: u32 = 1_000;

/// Where the ledgers are.
pub struct Place {
    /// Whose.
    pub tenant: TenantId,
    /// The data folder.
    pub data: PathBuf,
    /// The stores.
    pub stores: StoreOptions,
}

impl Place {
    /// The store. `new`: there may be none yet. What is returned beside it holds the folder.
    async fn open(&self, new: bool) -> anyhow::Result<(Arc<dyn Leagues>, DataFolder)> {
        // Files have one owner; servers are shared, with a lock of this command's own.
        let role = match self.stores {
            StoreOptions::Files => {
                let there = self.data.join("results.db").exists();
                ensure!(new || there, "there are no results in {}: choose another folder with --data", self.data.display());
                None
            }
            StoreOptions::Servers(_) => Some("ledger"),
        };
        let folder = DataFolder::open(&self.data, role)?;
        let opened = stores::open(&self.stores, &folder).await?;
        Ok((opened.leagues, folder))
    }
}
