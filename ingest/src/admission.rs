//! Which connection attempts may begin a handshake, and which clients may stay: a budget of handshakes for all and for each address and
//! network, and places for open connections ([`Places`]). Pure: the time is passed in.
//!
//! Above a rate limit the edge does not answer. A flood then costs nothing, and an honest client, which repeats its first
//! packet after a second, still gets in. When there are too many connections the edge refuses, so that the client tries
//! another edge at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use boxbox_schemas::places::{Full, Group, Place, Places};
use boxbox_schemas::{DriverId, TenantId};

use crate::config::Limits;

/// Addresses and networks that are remembered at most. Beyond it, those with full buckets are forgotten, and no new one gets in.
const PEERS_MAX: usize = 3 * 16_384;

/// The decision about a connection attempt.
#[derive(PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Begin the handshake; the place is taken until [`Admission::connection_ended`].
    Accept(Place),
    /// Ask the client to prove its address first.
    Retry,
    /// Do not answer, for this reason.
    Ignore(&'static str),
    /// Refuse, for this reason.
    Refuse(&'static str),
}

/// The state of all budgets.
#[derive(Debug)]
pub(crate) struct Admission {
    limits: Limits,
    all: Bucket,
    pending: usize,
    places: Places,
    /// Handshakes of each address and network.
    peers: HashMap<Group, Bucket>,
}

impl Admission {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let all = Bucket::full(limits.handshakes_per_s, limits.handshake_burst, now);
        Self { places: Places::new(limits.caps()), limits, all, pending: 0, peers: HashMap::new() }
    }

    /// Decides about an attempt from `address`; `validated`: the client has proved that it receives packets there.
    pub(crate) fn decide(&mut self, address: IpAddr, validated: bool, now: Instant) -> Verdict {
        let counted = Some(address).filter(|address| !(self.limits.exempt_loopback && address.to_canonical().is_loopback()));
        let groups = || counted.into_iter().flat_map(Group::of);
        if let Some(reason) = groups().find_map(|group| self.too_fast(group, now)) {
            return Verdict::Ignore(reason);
        }
        if !self.all.has(now) {
            return Verdict::Ignore("rate");
        }
        let retry = !validated && self.pending >= self.limits.retry_above_pending;
        let place = match self.places.take(counted) {
            Ok(place) if retry => {
                self.places.leave(place);
                return Verdict::Retry;
            }
            Ok(place) => place,
            Err(full) => return Verdict::Refuse(reason(full)),
        };
        self.all.take();
        for group in groups() {
            if let Some(bucket) = self.peers.get_mut(&group) {
                bucket.take();
            }
        }
        self.pending += 1;
        Verdict::Accept(place)
    }

    /// Why an address or a network may not begin a handshake now.
    fn too_fast(&mut self, group: Group, now: Instant) -> Option<&'static str> {
        if self.peers.len() >= PEERS_MAX && !self.peers.contains_key(&group) {
            self.peers.retain(|_, bucket| !bucket.is_full(now));
            if self.peers.len() >= PEERS_MAX {
                return Some("addresses");
            }
        }
        // A network has its hosts' budgets some times over: a home is not one host, and still no crowd.
        let (times, reason) = match group {
            Group::V6 { bits: 48, .. } => (4, "net48_rate"),
            Group::V6 { bits: 56, .. } => (2, "net56_rate"),
            _ => (1, "address_rate"),
        };
        let (per_s, burst) = (self.limits.address_handshakes_per_s, self.limits.address_handshake_burst);
        let bucket = self.peers.entry(group).or_insert_with(|| Bucket::full(per_s.saturating_mul(times), burst.saturating_mul(times), now));
        (!bucket.has(now)).then_some(reason)
    }

    /// The client at `place` has shown its grant. An error names what is full: the client must not stay.
    pub(crate) fn name(&mut self, place: &mut Place, tenant: TenantId, driver: DriverId) -> Result<(), Full> {
        self.places.name(place, tenant, driver)
    }

    /// An accepted connection has finished its handshake and hello, or has ended before.
    pub(crate) fn handshake_ended(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// An accepted connection has ended.
    pub(crate) fn connection_ended(&mut self, place: Place) {
        self.places.leave(place);
    }

    /// Handshakes and hellos that are not finished.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }
}

/// What is full, as the metrics name it.
pub(crate) fn reason(full: Full) -> &'static str {
    match full {
        Full::All => "connections",
        Full::Reserved => "reserved_connections",
        Full::Address => "address_connections",
        Full::Net56 => "net56_connections",
        Full::Net48 => "net48_connections",
        Full::Driver => "driver_connections",
        Full::Tenant => "tenant_connections",
    }
}

/// A token bucket.
#[derive(Debug)]
struct Bucket {
    per_s: f64,
    burst: f64,
    tokens: f64,
    at: Instant,
}

impl Bucket {
    fn full(per_s: u32, burst: u32, now: Instant) -> Self {
        let burst = f64::from(burst.max(1));
        Self { per_s: f64::from(per_s), burst, tokens: burst, at: now }
    }
    fn refill(&mut self, now: Instant) {
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * self.per_s).min(self.burst);
        self.at = now;
    }
    fn has(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= 1.0
    }
    fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= self.burst
    }
    fn take(&mut self) {
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    fn limits() -> Limits {
        Limits {
            connections: 20,
            connections_per_address: 5,
            handshakes_per_s: 10,
            handshake_burst: 15,
            address_handshakes_per_s: 2,
            address_handshake_burst: 4,
            retry_above_pending: 6,
            ..Limits::default()
        }
    }

    proptest! {
        /// Whatever attempts come in whatever order, no budget is exceeded, and a connection that ends makes room for another.
        #[test]
        fn budgets_hold(steps in proptest::collection::vec((0u8..6, 0u64..400, any::<bool>(), any::<bool>()), 1..400)) {
            let (limits, start) = (limits(), Instant::now());
            let mut admission = Admission::new(limits.clone(), start);
            let (mut now, mut open, mut accepted) = (start, Vec::<(IpAddr, Place)>::new(), Vec::<(Instant, IpAddr)>::new());
            for (host, ms, validated, leave) in steps {
                now += Duration::from_millis(ms);
                if leave && let Some((_, gone)) = open.pop() {
                    admission.handshake_ended();
                    admission.connection_ended(gone);
                }
                let address = IpAddr::from([10, 0, 0, host]);
                let verdict = admission.decide(address, validated, now);
                prop_assert!(verdict != Verdict::Retry || !validated);
                if let Verdict::Accept(place) = verdict {
                    open.push((address, place));
                    accepted.push((now, address));
                }
                prop_assert!(open.len() <= limits.connections);
                prop_assert!(open.iter().filter(|(a, _)| *a == address).count() <= limits.connections_per_address);
                // In any window up to now: at most the burst and what was refilled within the window.
                for (i, (since, _)) in accepted.iter().enumerate() {
                    let refilled = now.duration_since(*since).as_secs_f64();
                    prop_assert!((accepted.len() - i) as f64 <= f64::from(limits.handshake_burst) + refilled * f64::from(limits.handshakes_per_s) + 1e-6);
                    let from_here = accepted[i..].iter().filter(|(_, a)| *a == address).count() as f64;
                    prop_assert!(from_here <= f64::from(limits.address_handshake_burst) + refilled * f64::from(limits.address_handshakes_per_s) + 1e-6);
                }
            }
        }
    }

    #[test]
    fn loopback_is_exempt_only_from_the_budgets_of_addresses() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { retry_above_pending: 100, ..limits() }, now);
        let verdicts: Vec<_> = (0..16).map(|_| admission.decide(IpAddr::from([127, 0, 0, 1]), false, now)).collect();
        assert!(verdicts[..15].iter().all(|v| matches!(v, Verdict::Accept(_))));
        assert_eq!(verdicts[15], Verdict::Ignore("rate"));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { handshake_burst: 100_000, connections: 100_000, retry_above_pending: 100_000, ..limits() }, now);
        for i in 0..40_000u32 {
            admission.decide(IpAddr::from((0x0a00_0000 + i).to_be_bytes()), true, now);
        }
        assert!(admission.peers.len() <= PEERS_MAX);
    }

    /// Neither one host nor one network has so many addresses that it takes the handshakes of all others.
    #[test]
    fn a_network_of_ipv6_is_no_crowd() {
        let now = Instant::now();
        let crowd =
            Limits { handshake_burst: 100_000, connections: 100_000, retry_above_pending: 100_000, connections_per_net48: 100_000, ..limits() };
        let accepted = |admission: &mut Admission, net: u16| {
            let from = |host: u32| IpAddr::from([0x2a00, 1, net, host as u16, 0, 0, 0, 9]);
            (0..20_000).filter(|host| matches!(admission.decide(from(*host), true, now), Verdict::Accept(_))).count()
        };
        let mut admission = Admission::new(crowd, now);
        assert_eq!(accepted(&mut admission, 1), 16, "four times the burst of one address");
        assert_eq!(accepted(&mut admission, 2), 16, "another network has its own");
    }
}
