//! [`Places`]: how many connections (or requests) there are, and how many of them come from one address, from one network, for
//! one driver and for one tenant. The edge and the API count with it, so that no client can take the places of all others. Pure:
//! no clock, no I/O.
//!
//! A place is taken before it is known for whom: by its address alone. Once a grant was shown it is *named*, and counts for
//! that driver and tenant too. [`Caps::reserved`] places are for named ones: those without a name never fill a server. A server
//! needs a short deadline for its unnamed places, because a client with a grant comes through one of them.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::{DriverId, TenantId};

/// How many places there are at most. A cap that is at least [`Caps::all`] has no effect.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Caps {
    /// In all.
    pub all: u32,
    /// Of these, only for places with a name.
    pub reserved: u32,
    /// From one address: IPv4, or the /64 of IPv6, which is one host's or one home's.
    pub address: u32,
    /// From one /56 of IPv6: what a provider gives to one home or a small host.
    pub net56: u32,
    /// From one /48 of IPv6: what anyone can get from a tunnel or for a small company.
    pub net48: u32,
    /// For one driver of a tenant.
    pub driver: u32,
    /// For one tenant.
    pub tenant: u32,
}

/// Which cap a place would exceed.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Full {
    /// [`Caps::all`].
    All,
    /// What is left is [`Caps::reserved`].
    Reserved,
    /// [`Caps::address`].
    Address,
    /// [`Caps::net56`].
    Net56,
    /// [`Caps::net48`].
    Net48,
    /// [`Caps::driver`].
    Driver,
    /// [`Caps::tenant`].
    Tenant,
}

impl Full {
    /// Every [`Full::name`].
    pub const NAMES: &'static [&'static str] = &["all", "reserved", "address", "net56", "net48", "driver", "tenant"];

    /// The cap's name, for labels of metrics and for logs.
    pub fn name(self) -> &'static str {
        match self {
            Full::All => "all",
            Full::Reserved => "reserved",
            Full::Address => "address",
            Full::Net56 => "net56",
            Full::Net48 => "net48",
            Full::Driver => "driver",
            Full::Tenant => "tenant",
        }
    }
}

/// What places are counted by.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub enum Group {
    /// An IPv4 address.
    V4(u32),
    /// The first bits of an IPv6 address: all others are 0.
    V6 {
        /// How many bits: 64, 56 or 48.
        bits: u8,
        /// The address.
        prefix: u128,
    },
    /// A driver of a tenant.
    Driver(TenantId, DriverId),
    /// A tenant.
    Tenant(TenantId),
}

impl Group {
    /// The groups of an address, the smallest first: one of IPv4, three of IPv6. An IPv4 address that is mapped into IPv6 is one of IPv4.
    pub fn of(address: IpAddr) -> impl Iterator<Item = Group> {
        let (v4, v6) = match address.to_canonical() {
            IpAddr::V4(v4) => (Some(Group::V4(v4.to_bits())), None),
            IpAddr::V6(v6) => (None, Some(v6.to_bits())),
        };
        let nets = v6.into_iter().flat_map(|all| [64, 56, 48].map(|bits| Group::V6 { bits, prefix: all & !(u128::MAX >> bits) }));
        v4.into_iter().chain(nets)
    }
}

/// A place that was taken: give it back with [`Places::leave`].
#[derive(PartialEq, Eq, Debug)]
#[must_use = "a place that is not given back stays taken"]
pub struct Place {
    address: Option<IpAddr>,
    holder: Option<(TenantId, DriverId)>,
}

impl Place {
    /// Who was named as its holder.
    pub fn holder(&self) -> Option<(TenantId, DriverId)> {
        self.holder
    }

    /// The address by which it is counted; `None`: by none.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

/// See the [module](self). Takes memory for places that are taken only.
#[derive(Debug)]
pub struct Places {
    caps: Caps,
    taken: u32,
    named: u32,
    groups: HashMap<Group, u32>,
}

impl Places {
    /// All free.
    pub fn new(caps: Caps) -> Self {
        Self { caps, taken: 0, named: 0, groups: HashMap::new() }
    }

    /// Takes a place for somebody at `address`, without a name. `None`: an address that stands for many others and has no caps, as a
    /// reverse proxy's.
    pub fn take(&mut self, address: Option<IpAddr>) -> Result<Place, Full> {
        if self.taken >= self.caps.all {
            return Err(Full::All);
        }
        if self.unnamed() >= self.caps.all.saturating_sub(self.caps.reserved) {
            return Err(Full::Reserved);
        }
        self.fits(address.into_iter().flat_map(Group::of))?;
        self.taken += 1;
        self.count(address.into_iter().flat_map(Group::of));
        Ok(Place { address, holder: None })
    }

    /// Takes a place for somebody who has shown a grant already, as a request does on a connection: also one that is reserved.
    pub fn take_named(&mut self, address: Option<IpAddr>, tenant: TenantId, driver: DriverId) -> Result<Place, Full> {
        if self.taken >= self.caps.all {
            return Err(Full::All);
        }
        self.fits(address.into_iter().flat_map(Group::of).chain(of_holder((tenant, driver))))?;
        self.taken += 1;
        self.named += 1;
        self.count(address.into_iter().flat_map(Group::of).chain(of_holder((tenant, driver))));
        Ok(Place { address, holder: Some((tenant, driver)) })
    }

    /// Names the holder of a place, or another holder than before. If that driver or tenant has its places already, the place stays
    /// as it was: give it back, or free another one first.
    pub fn name(&mut self, place: &mut Place, tenant: TenantId, driver: DriverId) -> Result<(), Full> {
        if place.holder == Some((tenant, driver)) {
            return Ok(());
        }
        // A place changes its driver within the tenant: it does not count against the tenant twice.
        let same_tenant = place.holder.is_some_and(|(held, _)| held == tenant);
        self.fits([Group::Driver(tenant, driver)].into_iter().chain((!same_tenant).then_some(Group::Tenant(tenant))))?;
        match place.holder.replace((tenant, driver)) {
            Some(before) => self.discount(of_holder(before)),
            None => self.named += 1,
        }
        self.count(of_holder((tenant, driver)));
        Ok(())
    }

    /// Gives a place back.
    pub fn leave(&mut self, place: Place) {
        self.taken = self.taken.saturating_sub(1);
        if let Some(holder) = place.holder {
            self.named = self.named.saturating_sub(1);
            self.discount(of_holder(holder));
        }
        self.discount(place.address.into_iter().flat_map(Group::of));
    }

    /// Places that are taken.
    pub fn taken(&self) -> u32 {
        self.taken
    }

    /// Places that are taken without a name.
    pub fn unnamed(&self) -> u32 {
        self.taken.saturating_sub(self.named)
    }

    /// Whether more than half of the places that need no name are taken: the time for short deadlines.
    pub fn scarce(&self) -> bool {
        self.unnamed() > self.caps.all.saturating_sub(self.caps.reserved) / 2
    }

    /// Places that a group has taken.
    pub fn of(&self, group: Group) -> u32 {
        self.groups.get(&group).copied().unwrap_or(0)
    }

    fn fits(&self, groups: impl Iterator<Item = Group>) -> Result<(), Full> {
        for group in groups {
            let (cap, full) = match group {
                Group::V4(_) | Group::V6 { bits: 64.., .. } => (self.caps.address, Full::Address),
                Group::V6 { bits: 56.., .. } => (self.caps.net56, Full::Net56),
                Group::V6 { .. } => (self.caps.net48, Full::Net48),
                Group::Driver(..) => (self.caps.driver, Full::Driver),
                Group::Tenant(_) => (self.caps.tenant, Full::Tenant),
            };
            if self.of(group) >= cap {
                return Err(full);
            }
        }
        Ok(())
    }

    fn count(&mut self, groups: impl Iterator<Item = Group>) {
        groups.for_each(|group| *self.groups.entry(group).or_default() += 1);
    }

    fn discount(&mut self, groups: impl Iterator<Item = Group>) {
        for group in groups {
            if let Some(count) = self.groups.get_mut(&group) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    self.groups.remove(&group);
                }
            }
        }
    }
}

fn of_holder((tenant, driver): (TenantId, DriverId)) -> impl Iterator<Item = Group> {
    [Group::Driver(tenant, driver), Group::Tenant(tenant)].into_iter()
}

#[cfg(test)]
mod tests;
