//! [`Pace`]: how many bytes a second a driver, or a tenant, may send: enough for every honest client and for catching up after an
//! outage, and no more than a small disk takes in. A stream that is ahead of its pace is read later; QUIC then stops the client, whose
//! spool keeps what waits. No client is disconnected.
//!
//! The state is one number, the time at which everything taken so far is paid for at the given rate, so taking costs a few nanoseconds
//! for each record.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use parking_lot::Mutex;

/// Bytes a second, and how many at once after a pause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Rate {
    /// Bytes a second.
    pub bytes_per_s: u64,
    /// Bytes that may come at once, on top of that, from a sender that has sent nothing for a while.
    pub burst_bytes: u64,
}

impl Rate {
    /// Nanoseconds for a byte, with [`FRACTION_BITS`] bits behind the point, rounded up. A division for each record would cost more than all else
    /// that is done here.
    fn ns_per_byte(self) -> u64 {
        (1_000_000_000 << FRACTION_BITS) / self.bytes_per_s.max(1) + 1
    }
}

/// Bits behind the binary point of nanoseconds for a byte: a second for a byte still fits in 64 bits.
const FRACTION_BITS: u32 = 33;
const _: () = assert!(1_000_000_000_u128 << FRACTION_BITS < u64::MAX as u128);

fn ns_for(ns_per_byte: u64, bytes: u64) -> u64 {
    let ns = (u128::from(bytes) * u128::from(ns_per_byte)) >> FRACTION_BITS;
    u64::try_from(ns).unwrap_or(u64::MAX)
}

/// What one driver or tenant has sent. Times are ns of the edge's clock.
#[derive(Debug)]
pub(crate) struct Pace {
    ns_per_byte: u64,
    burst_ns: u64,
    /// When everything taken is paid for.
    paid_at: AtomicU64,
}

impl Pace {
    fn new(rate: Rate) -> Self {
        let ns_per_byte = rate.ns_per_byte();
        Self { ns_per_byte, burst_ns: ns_for(ns_per_byte, rate.burst_bytes), paid_at: AtomicU64::new(0) }
    }

    /// Take `bytes`, which were received at `now`; returns how long to wait before more is read.
    pub(crate) fn take(&self, bytes: usize, now: Duration) -> Duration {
        self.add(ns_for(self.ns_per_byte, bytes as u64), now)
    }

    /// As [`Pace::take`], for what may be sent in `time`.
    pub(crate) fn take_time(&self, time: Duration, now: Duration) -> Duration {
        self.add(ns(time), now)
    }

    fn add(&self, cost: u64, now: Duration) -> Duration {
        let now = ns(now);
        let add = |paid_at: u64| paid_at.max(now).saturating_add(cost);
        let before = self.paid_at.fetch_update(Relaxed, Relaxed, |paid_at| Some(add(paid_at))).unwrap_or(now);
        Duration::from_nanos(add(before).saturating_sub(now).saturating_sub(self.burst_ns))
    }

    fn is_paid(&self, now: Duration) -> bool {
        self.paid_at.load(Relaxed) <= ns(now)
    }
}

fn ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The paces of all who send, and of all who have sent so much that they still pay for it: reconnecting brings no new burst.
#[derive(Debug)]
pub(crate) struct Paces<K> {
    rate: Rate,
    known: Mutex<Known<K>>,
}

#[derive(Debug)]
struct Known<K> {
    paces: HashMap<K, Arc<Pace>>,
    /// At this many entries those without use are dropped.
    clean_at: usize,
}

impl<K: Eq + Hash> Paces<K> {
    const CLEAN_MIN: usize = 64;

    pub(crate) fn new(rate: Rate) -> Self {
        Self { rate, known: Mutex::new(Known { paces: HashMap::new(), clean_at: Self::CLEAN_MIN }) }
    }

    /// The pace of `key`.
    pub(crate) fn of(&self, key: K, now: Duration) -> Arc<Pace> {
        let mut known = self.known.lock();
        if known.paces.len() >= known.clean_at {
            known.paces.retain(|_, pace| Arc::strong_count(pace) > 1 || !pace.is_paid(now));
            known.clean_at = (2 * known.paces.len()).max(Self::CLEAN_MIN);
        }
        known.paces.entry(key).or_insert_with(|| Arc::new(Pace::new(self.rate))).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const RATE: Rate = Rate { bytes_per_s: 1_000, burst_bytes: 500 };

    proptest! {
        /// A sender that waits as told never gets more than the burst and the rate over any span of time, plus the one record that is taken whole,
        /// and a sender below the rate never waits.
        #[test]
        fn nobody_gets_more_than_the_rate(takes in proptest::collection::vec((1usize..400, 0u64..2_000), 1..100)) {
            let (pace, mut now, mut taken) = (Pace::new(RATE), Duration::from_secs(5), Vec::<(Duration, usize)>::new());
            for (bytes, idle_ms) in takes {
                let wait = pace.take(bytes, now);
                taken.push((now, bytes));
                for (i, (since, _)) in taken.iter().enumerate() {
                    let sum: usize = taken[i..].iter().map(|(_, bytes)| bytes).sum();
                    prop_assert!(sum as f64 <= 500.0 + 400.0 + (now - *since).as_secs_f64() * 1_000.0 + 1.0, "{} since {:?}", sum, since);
                }
                now += wait.max(Duration::from_millis(idle_ms));
            }
            let (slow, mut now) = (Pace::new(RATE), Duration::ZERO);
            for (_, bytes) in &taken {
                prop_assert_eq!(slow.take(*bytes, now), Duration::ZERO);
                now += Duration::from_millis(*bytes as u64 + 1);
            }
        }
    }

    #[test]
    fn who_pays_is_remembered_and_who_has_paid_is_forgotten() {
        let (paces, second) = (Paces::new(RATE), Duration::from_secs(1));
        paces.of(0, Duration::ZERO).take(2_000, Duration::ZERO);
        for key in 1..1_000 {
            paces.of(key, second);
        }
        assert!(paces.known.lock().paces.len() <= 128);
        assert!(!paces.of(0, second).take(1, second).is_zero(), "it still pays");
        for key in 1..1_000 {
            paces.of(key, 10 * second);
        }
        assert!(paces.of(0, 10 * second).take(1, 10 * second).is_zero());
    }
}
