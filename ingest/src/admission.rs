//! Which connection attempts may begin a handshake: budgets for all of them, for each address, and for open connections.
//! Pure: the time is passed in.
//!
//! Above a rate limit the edge does not answer. A flood then costs nothing, and an honest client, which repeats its first
//! packet after a second, still gets in. When there are too many connections the edge refuses, so that the client tries
//! another edge at once.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Instant;

use crate::config::Limits;

/// Addresses that are remembered at most. Beyond it, idle addresses with full buckets are forgotten, and no new address gets in.
const ADDRESSES_MAX: usize = 16_384;

/// The decision about a connection attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
    /// Begin the handshake; the connection is counted until [`Admission::connection_ended`].
    Accept,
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
    open: usize,
    pending: usize,
    addresses: HashMap<u64, Peer>,
}

#[derive(Debug)]
struct Peer {
    bucket: Bucket,
    open: usize,
}

impl Admission {
    pub(crate) fn new(limits: Limits, now: Instant) -> Self {
        let all = Bucket::full(limits.handshakes_per_s, limits.handshake_burst, now);
        Self { limits, all, open: 0, pending: 0, addresses: HashMap::new() }
    }

    /// Decides about an attempt from `address`; `validated`: the client has proved that it receives packets there.
    pub(crate) fn decide(&mut self, address: IpAddr, validated: bool, now: Instant) -> Verdict {
        let exempt = self.limits.exempt_loopback && address.to_canonical().is_loopback();
        let key = key(address);
        if !exempt {
            if self.addresses.len() >= ADDRESSES_MAX && !self.addresses.contains_key(&key) {
                self.addresses.retain(|_, peer| peer.open > 0 || !peer.bucket.is_full(now));
                if self.addresses.len() >= ADDRESSES_MAX {
                    return Verdict::Ignore("addresses");
                }
            }
            let fresh = || Peer { bucket: Bucket::full(self.limits.address_handshakes_per_s, self.limits.address_handshake_burst, now), open: 0 };
            let peer = self.addresses.entry(key).or_insert_with(fresh);
            if !peer.bucket.has(now) {
                return Verdict::Ignore("address_rate");
            }
            if peer.open >= self.limits.connections_per_address {
                return Verdict::Refuse("address_connections");
            }
        }
        if !self.all.has(now) {
            return Verdict::Ignore("rate");
        }
        if self.open >= self.limits.connections {
            return Verdict::Refuse("connections");
        }
        if !validated && self.pending >= self.limits.retry_above_pending {
            return Verdict::Retry;
        }
        self.all.take();
        if let Some(peer) = self.addresses.get_mut(&key).filter(|_| !exempt) {
            peer.bucket.take();
            peer.open += 1;
        }
        self.open += 1;
        self.pending += 1;
        Verdict::Accept
    }

    /// An accepted connection has finished its handshake and hello, or has ended before.
    pub(crate) fn handshake_ended(&mut self) {
        self.pending = self.pending.saturating_sub(1);
    }

    /// An accepted connection has ended.
    pub(crate) fn connection_ended(&mut self, address: IpAddr) {
        self.open = self.open.saturating_sub(1);
        if let Some(peer) = self.addresses.get_mut(&key(address)) {
            peer.open = peer.open.saturating_sub(1);
        }
    }

    /// Handshakes and hellos that are not finished.
    pub(crate) fn pending(&self) -> usize {
        self.pending
    }
}

/// The key under which an address is counted: an IPv4 address, or the 64-bit network of an IPv6 address.
fn key(address: IpAddr) -> u64 {
    match address.to_canonical() {
        // 2001:db8::/32 is reserved for documentation, so these keys equal no real network.
        IpAddr::V4(v4) => 0x2001_0db8_0000_0000 | u64::from(v4.to_bits()),
        IpAddr::V6(v6) => (v6.to_bits() >> 64) as u64,
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
            let (mut now, mut open, mut accepted) = (start, Vec::<IpAddr>::new(), Vec::<(Instant, IpAddr)>::new());
            for (host, ms, validated, leave) in steps {
                now += Duration::from_millis(ms);
                if leave && let Some(gone) = open.pop() {
                    admission.handshake_ended();
                    admission.connection_ended(gone);
                }
                let address = IpAddr::from([10, 0, 0, host]);
                let verdict = admission.decide(address, validated, now);
                prop_assert!(verdict != Verdict::Retry || !validated);
                if verdict == Verdict::Accept {
                    open.push(address);
                    accepted.push((now, address));
                }
                prop_assert!(open.len() <= limits.connections);
                prop_assert!(open.iter().filter(|a| **a == address).count() <= limits.connections_per_address);
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
    fn an_ipv6_network_is_one_address_and_mapped_ipv4_is_ipv4() {
        let (a, b, c): (IpAddr, IpAddr, IpAddr) =
            ("2a00:1:2:3::1".parse().unwrap(), "2a00:1:2:3:ffff::9".parse().unwrap(), "2a00:1:2:4::1".parse().unwrap());
        assert_eq!(key(a), key(b));
        assert_ne!(key(a), key(c));
        assert_eq!(key("::ffff:192.0.2.1".parse().unwrap()), key("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn loopback_is_exempt_only_from_the_budgets_of_addresses() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { retry_above_pending: 100, ..limits() }, now);
        let verdicts: Vec<_> = (0..16).map(|_| admission.decide(IpAddr::from([127, 0, 0, 1]), false, now)).collect();
        assert!(verdicts[..15].iter().all(|v| *v == Verdict::Accept));
        assert_eq!(verdicts[15], Verdict::Ignore("rate"));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let now = Instant::now();
        let mut admission = Admission::new(Limits { handshake_burst: 100_000, connections: 100_000, retry_above_pending: 100_000, ..limits() }, now);
        for i in 0..40_000u32 {
            admission.decide(IpAddr::from((0x0a00_0000 + i).to_be_bytes()), true, now);
        }
        assert!(admission.addresses.len() <= ADDRESSES_MAX);
    }
}
