//! Defaults that options of several commands share.

use boxbox_schemas::TenantId;

/// The data folder.
pub const DATA_FOLDER: &str = "boxbox-data";
/// The driver of a server with a single driver.
pub const DRIVER: &str = "driver-1";

/// The tenant of a server with a single tenant.
pub fn tenant() -> TenantId {
    boxbox_api::Config::default().local_tenant
}
