//! [`Places`]: how many connections (or requests) there are, and how many of them come from one address, from one network, for
//! one driver and for one tenant. The edge and the API count with it, so that nobody can take the places of all others. Pure:
//! no clock, no I/O.
//!
//! A place is taken before it is known for whom: by its address alone. Once a grant was shown it is *named*, and counts for
//! that driver and tenant too. [`Caps::reserved`] places are for named ones: those without a name never fill a server. A server
//! needs a short deadline for its unnamed places, because whoever comes with a grant comes through one of them.

use std::collections::HashMap;
use std::net::IpAddr;

use crate::{DriverId, TenantId};

/// How many places there are at most. A cap that is at least [`Caps::all`] has no effect of its own.
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
mod tests {
    use proptest::prelude::*;

    use super::*;

    const CAPS: Caps = Caps { all: 20, reserved: 5, address: 4, net56: 6, net48: 8, driver: 3, tenant: 5 };

    fn address() -> impl Strategy<Value = Option<IpAddr>> {
        let v4 = (0u8..5).prop_map(|host| Some(IpAddr::from([10, 0, 0, host])));
        let v6 = (0u16..2, 0u16..3, 0u16..3).prop_map(|(a, b, c)| Some(IpAddr::from([0x2a00, 1, a, b << 8 | c, 0, 0, 0, 9])));
        prop_oneof![3 => v4, 3 => v6, 1 => Just(None)]
    }

    fn holder(n: u8) -> (TenantId, DriverId) {
        (TenantId::new(&format!("t{}", n % 3)).unwrap(), DriverId::new(&format!("d{}", n / 3)).unwrap())
    }

    #[derive(Debug, Clone)]
    enum Step {
        Take(Option<IpAddr>),
        Name(usize, u8),
        Leave(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            3 => address().prop_map(Step::Take),
            3 => (any::<usize>(), 0u8..12).prop_map(|(i, n)| Step::Name(i, n)),
            1 => any::<usize>().prop_map(Step::Leave),
        ]
    }

    /// The same counts, by walking over all places that are held.
    fn full_by_hand(held: &[Place], address: Option<IpAddr>) -> Option<Full> {
        let from = |bits: u32| {
            let cut = |a: IpAddr| match a {
                IpAddr::V4(a) => u128::from(a.to_bits()),
                IpAddr::V6(a) => a.to_bits() >> (128 - bits),
            };
            held.iter()
                .filter(|p| p.address.is_some_and(|a| Some(a.is_ipv4()) == address.map(|a| a.is_ipv4()) && Some(cut(a)) == address.map(cut)))
                .count()
        };
        let unnamed = held.iter().filter(|p| p.holder.is_none()).count();
        if held.len() >= 20 {
            Some(Full::All)
        } else if unnamed >= 15 {
            Some(Full::Reserved)
        } else if from(64) >= 4 {
            Some(Full::Address)
        } else if address.is_some_and(|a| a.is_ipv6()) && from(56) >= 6 {
            Some(Full::Net56)
        } else if address.is_some_and(|a| a.is_ipv6()) && from(48) >= 8 {
            Some(Full::Net48)
        } else {
            None
        }
    }

    proptest! {
        /// Whatever comes, is named and leaves: no cap is exceeded, nobody is refused below the caps, and nothing stays counted.
        #[test]
        fn caps_hold_and_nothing_is_kept(steps in proptest::collection::vec(step(), 0..200)) {
            let (mut places, mut held) = (Places::new(CAPS), Vec::<Place>::new());
            for step in steps {
                match step {
                    Step::Take(address) => {
                        let expected = full_by_hand(&held, address);
                        match places.take(address) {
                            Ok(place) => {
                                prop_assert_eq!(expected, None);
                                held.push(place);
                            }
                            Err(full) => prop_assert_eq!(Some(full), expected),
                        }
                    }
                    Step::Name(i, n) if !held.is_empty() => {
                        let (i, (tenant, driver)) = (i % held.len(), holder(n));
                        let others = || held.iter().enumerate().filter(|(k, _)| *k != i).filter_map(|(_, p)| p.holder);
                        let of_driver = others().filter(|h| *h == (tenant, driver)).count();
                        let of_tenant = others().filter(|h| h.0 == tenant).count();
                        let same = held[i].holder == Some((tenant, driver));
                        let expected = same || (of_driver < 3 && of_tenant < 5);
                        let before = held[i].holder;
                        let named = places.name(&mut held[i], tenant, driver);
                        prop_assert_eq!(named.is_ok(), expected, "{:?}", named);
                        prop_assert_eq!(held[i].holder, if expected { Some((tenant, driver)) } else { before });
                    }
                    Step::Leave(i) if !held.is_empty() => places.leave(held.swap_remove(i % held.len())),
                    Step::Name(..) | Step::Leave(_) => {}
                }
                prop_assert_eq!(places.taken() as usize, held.len());
                prop_assert_eq!(places.unnamed() as usize, held.iter().filter(|p| p.holder.is_none()).count());
                prop_assert!(places.groups.len() <= 5 * held.len(), "memory is of places that are taken only");
            }
            held.into_iter().for_each(|place| places.leave(place));
            prop_assert!(places.groups.is_empty() && places.taken() == 0 && places.unnamed() == 0);
        }
    }

    #[test]
    fn an_ipv6_host_has_one_place_to_count_by_and_mapped_ipv4_is_ipv4() {
        let groups = |text: &str| Group::of(text.parse().unwrap()).collect::<Vec<_>>();
        assert_eq!(groups("::ffff:192.0.2.1"), groups("192.0.2.1"));
        let (a, b) = (groups("2a00:1:2:3400::1"), groups("2a00:1:2:34ff::1"));
        assert_eq!(a.len(), 3);
        assert_ne!(a[0], b[0], "another /64");
        assert_eq!(a[1..], b[1..], "one /56, one /48");
        assert_ne!(groups("2a00:1:2:3400::1")[1], groups("2a00:1:2:3500::1")[1]);
        assert_eq!(groups("2a00:1:2:3400::1")[2], groups("2a00:1:2:ffff::1")[2]);
    }

    /// Those without a grant leave places to those with one.
    #[test]
    fn what_is_reserved_is_for_names() {
        let mut places = Places::new(CAPS);
        let mut held: Vec<_> = (0..15).map(|_| places.take(None).unwrap()).collect();
        assert_eq!(places.take(None), Err(Full::Reserved));
        assert!(places.scarce());
        let (tenant, driver) = holder(0);
        places.name(&mut held[0], tenant, driver).unwrap();
        held.push(places.take(None).unwrap());
        assert_eq!(places.take(None), Err(Full::Reserved));
    }
}
