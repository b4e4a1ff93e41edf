//! [`Connections`]: who is connected. Where there are as many as there may be (in all, from one address, for one driver), the
//! connection among them that has been idle longest gives its place to the new one, first those without a grant.
//!
//! So no client is shut out by those who only hold a connection, however many they are and whatever they send to keep it: an idle
//! connection costs its client nothing to open again. A connection is idle while no request of it that may read is being answered: a head
//! that comes slowly, an answer that is read slowly and what anybody may ask make nobody busy. What is being answered is bounded in
//! time ([`Config::request_timeout`](crate::Config::request_timeout)) and by [`Heavy`](crate::heavy::Heavy).

use std::collections::{BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::Arc;

use boxbox_schemas::places::{Caps, Full, Group, Place, Places};
use boxbox_schemas::{DriverId, TenantId};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::ApiMetrics;

/// All connections of a listener.
pub(crate) struct Connections {
    state: Mutex<State>,
    metrics: ApiMetrics,
}

/// A connection that is open; its place is free again when it is dropped.
pub(crate) struct Guest {
    id: u64,
    /// Whose connection it is.
    pub(crate) peer: IpAddr,
    /// It is a proxy's, which stands for many: it counts for no address and no driver, and no other connection takes its place.
    pub(crate) is_proxy: bool,
    /// Its place went to another: it must be closed.
    pub(crate) displaced: CancellationToken,
    of: Arc<Connections>,
}

struct State {
    places: Places,
    /// Counts connections, and the order in which they became idle.
    count: u64,
    open: HashMap<u64, Open>,
    /// In each scope: those without a name first, and of these the one that is idle longest.
    idle: BTreeSet<(Scope, bool, u64, u64)>,
}

struct Open {
    place: Place,
    /// The moment since which it is idle, as a count.
    idle_since: Option<u64>,
    displaced: CancellationToken,
    is_proxy: bool,
}

/// Among which connections one is looked for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    All,
    Of(Group),
}

impl Open {
    fn scopes(&self) -> impl Iterator<Item = Scope> + use<> {
        let from = self.place.address().into_iter().flat_map(Group::of);
        let held = self.place.holder().into_iter().flat_map(|(tenant, driver)| [Group::Driver(tenant, driver), Group::Tenant(tenant)]);
        let is_proxy = self.is_proxy;
        std::iter::once(Scope::All).chain(from.chain(held).map(Scope::Of)).filter(move |_| !is_proxy)
    }

    fn is_named(&self) -> bool {
        self.place.holder().is_some()
    }
}

impl State {
    fn set_idle(&mut self, id: u64, idle: bool) {
        self.count += 1;
        let Some(open) = self.open.get_mut(&id) else { return };
        let named = open.is_named();
        if let Some(since) = open.idle_since.take() {
            for scope in open.scopes() {
                self.idle.remove(&(scope, named, since, id));
            }
        }
        if idle {
            open.idle_since = Some(self.count);
            self.idle.extend(open.scopes().map(|scope| (scope, named, self.count, id)));
        }
    }

    fn leave(&mut self, id: u64) -> Option<CancellationToken> {
        self.set_idle(id, false);
        let open = self.open.remove(&id)?;
        self.places.leave(open.place);
        Some(open.displaced)
    }

    /// Frees a place where `full` says that there is none for somebody of these groups. `false`: none of them is idle.
    fn displace(&mut self, full: Full, mut groups: impl Iterator<Item = Group>) -> bool {
        let scope = match full {
            Full::All | Full::Reserved => Some(Scope::All),
            Full::Address => groups.find(|g| matches!(g, Group::V4(_) | Group::V6 { bits: 64, .. })).map(Scope::Of),
            Full::Net56 => groups.find(|g| matches!(g, Group::V6 { bits: 56, .. })).map(Scope::Of),
            Full::Net48 => groups.find(|g| matches!(g, Group::V6 { bits: 48, .. })).map(Scope::Of),
            Full::Driver => groups.find(|g| matches!(g, Group::Driver(..))).map(Scope::Of),
            Full::Tenant => groups.find(|g| matches!(g, Group::Tenant(_))).map(Scope::Of),
        };
        let Some(scope) = scope else { return false };
        let first = self.idle.range((scope, false, 0, 0)..).next().copied();
        let found = first.filter(|(of, named, ..)| *of == scope && !(*named && full == Full::Reserved));
        let displaced = found.and_then(|(.., id)| self.leave(id));
        displaced.inspect(CancellationToken::cancel).is_some()
    }
}

impl Connections {
    pub(crate) fn new(caps: Caps, metrics: ApiMetrics) -> Arc<Self> {
        let state = State { places: Places::new(caps), count: 0, open: HashMap::new(), idle: BTreeSet::new() };
        Arc::new(Self { state: Mutex::new(state), metrics })
    }

    /// Lets a connection in, or says why not.
    pub(crate) fn enter(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Result<Guest, Full> {
        let mut state = self.state.lock();
        let address = Some(peer).filter(|_| !is_proxy);
        let place = loop {
            match state.places.take(address) {
                Ok(place) => break place,
                // Each turn frees a place, of which there is a number: this ends.
                Err(full) if state.displace(full, address.into_iter().flat_map(Group::of)) => self.metrics.displaced.with(full.name()).increment(1),
                Err(full) => {
                    self.metrics.turned_away.with(full.name()).increment(1);
                    return Err(full);
                }
            }
        };
        state.count += 1;
        let (id, displaced) = (state.count, CancellationToken::new());
        state.open.insert(id, Open { place, idle_since: None, displaced: displaced.clone(), is_proxy });
        state.set_idle(id, true);
        Ok(Guest { id, peer, is_proxy, displaced, of: self.clone() })
    }

    /// Frees a place of somebody who is idle, because the system has no more handles.
    pub(crate) fn make_room(&self) {
        if self.state.lock().displace(Full::All, std::iter::empty()) {
            self.metrics.displaced.with("handles").increment(1);
        }
    }

    #[cfg(test)]
    fn taken(&self) -> u32 {
        self.state.lock().places.taken()
    }
}

impl Guest {
    /// A request of it is being answered, until what this returns is dropped.
    pub(crate) fn busy(&self) -> Busy<'_> {
        self.of.state.lock().set_idle(self.id, false);
        Busy(self)
    }

    /// The connection is this driver's: it counts for the driver and the tenant from now on.
    pub(crate) fn name(&self, tenant: TenantId, driver: DriverId) -> Result<(), Full> {
        if self.is_proxy {
            return Ok(());
        }
        let mut guard = self.of.state.lock();
        let state = &mut *guard;
        loop {
            // Without a place it was displaced: it is closed in a moment.
            let Some(open) = state.open.get_mut(&self.id) else { return Ok(()) };
            // A name is given while a request is answered: in no scope is it idle under its name of before.
            debug_assert!(open.idle_since.is_none());
            match state.places.name(&mut open.place, tenant, driver) {
                Ok(()) => return Ok(()),
                Err(full) if state.displace(full, [Group::Driver(tenant, driver), Group::Tenant(tenant)].into_iter()) => {
                    self.of.metrics.displaced.with(full.name()).increment(1);
                }
                Err(full) => {
                    self.of.metrics.turned_away.with(full.name()).increment(1);
                    return Err(full);
                }
            }
        }
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        self.of.state.lock().leave(self.id);
    }
}

/// See [`Guest::busy`].
pub(crate) struct Busy<'a>(&'a Guest);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.of.state.lock().set_idle(self.0.id, true);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CAPS: Caps = Caps { all: 8, reserved: 2, address: 3, net56: 3, net48: 4, driver: 2, tenant: 3 };

    fn connections() -> Arc<Connections> {
        Connections::new(CAPS, ApiMetrics::new())
    }

    fn at(host: u8) -> IpAddr {
        IpAddr::from([127, 0, 0, host])
    }

    fn holder(driver: &str) -> (TenantId, DriverId) {
        (TenantId::new("league").unwrap(), DriverId::new(driver).unwrap())
    }

    #[test]
    fn the_one_that_is_idle_longest_gives_its_place() {
        let all = connections();
        let guests: Vec<_> = (0..3).map(|_| all.enter(at(1), false).unwrap()).collect();
        drop(guests[0].busy());
        let fourth = all.enter(at(1), false).unwrap();
        let displaced: Vec<_> = guests.iter().map(|g| g.displaced.is_cancelled()).collect();
        assert_eq!(displaced, [false, true, false], "the first has asked since, the third came later");
        assert_eq!(all.taken(), 3);
        drop((guests, fourth));
        assert_eq!(all.taken(), 0);
        let state = all.state.lock();
        assert!(state.idle.is_empty() && state.open.is_empty());
    }

    #[test]
    fn who_is_being_answered_keeps_the_place() {
        let all = connections();
        let guests: Vec<_> = (0..3).map(|_| all.enter(at(1), false).unwrap()).collect();
        let busy: Vec<_> = guests.iter().map(Guest::busy).collect();
        assert_eq!(all.enter(at(1), false).err(), Some(Full::Address));
        let other = all.enter(at(2), false).unwrap();
        drop(busy);
        assert!(all.enter(at(1), false).is_ok());
        assert!(!other.displaced.is_cancelled());
    }

    #[test]
    fn those_without_a_grant_displace_each_other_and_nobody_with_one() {
        let all = connections();
        let named = all.enter(at(1), false).unwrap();
        let busy = named.busy();
        let (tenant, driver) = holder("anna");
        named.name(tenant, driver).unwrap();
        drop(busy);
        let crowd: Vec<_> = (0..40).map(|n| all.enter(at(10 + n), false).unwrap()).collect();
        assert!(!named.displaced.is_cancelled());
        assert_eq!(crowd.iter().filter(|g| !g.displaced.is_cancelled()).count(), 6, "all but the two that are reserved");
    }

    #[test]
    fn a_driver_displaces_only_its_own() {
        let all = connections();
        let enter = |driver: &str, host| {
            let guest = all.enter(at(host), false).unwrap();
            let (tenant, driver) = holder(driver);
            let busy = guest.busy();
            guest.name(tenant, driver).unwrap();
            drop(busy);
            guest
        };
        let ben = enter("ben", 9);
        let annas: Vec<_> = (0..5).map(|n| enter("anna", n)).collect();
        assert!(!ben.displaced.is_cancelled());
        assert_eq!(annas.iter().filter(|g| !g.displaced.is_cancelled()).count(), 2);
    }

    #[test]
    fn a_proxy_stands_for_many() {
        let all = connections();
        let proxies: Vec<_> = (0..5).map(|_| all.enter(at(1), true).unwrap()).collect();
        for n in 0..20 {
            let _ = all.enter(at(n), false).unwrap();
        }
        assert!(proxies.iter().all(|g| !g.displaced.is_cancelled()));
    }
}
