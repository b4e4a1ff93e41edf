//! [`Who`]: by what a request counts where places and turns are shared out.

use std::net::IpAddr;

use boxbox_schemas::places::Group;
use boxbox_schemas::{DriverId, TenantId};

/// By what a request counts.
#[derive(Clone, Copy)]
pub(crate) struct Who {
    /// Where it comes from.
    pub(crate) address: IpAddr,
    /// Whose grant it has.
    pub(crate) holder: Option<(TenantId, DriverId)>,
}

impl Who {
    /// The address, if there is no grant to count by: behind one address there may be a whole league.
    pub(crate) fn unnamed_address(&self) -> Option<IpAddr> {
        Some(self.address).filter(|_| self.holder.is_none())
    }

    /// All that it counts by.
    pub(crate) fn groups(&self) -> impl Iterator<Item = Group> {
        let held = self.holder.into_iter().flat_map(|(tenant, driver)| [Group::Driver(tenant, driver), Group::Tenant(tenant)]);
        self.unnamed_address().into_iter().flat_map(Group::of).chain(held)
    }
}
