//! Loopback ports for parts: picked once, kept for restarts.
//!
//! A part that is down must get its port back, so ports come from below the range that systems hand out by themselves
//! (32768 and up on Linux, 49152 and up elsewhere): neither an outgoing connection nor a test that binds port 0 takes one.

use std::net::{Ipv4Addr, TcpListener};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

const POLL: Duration = Duration::from_millis(20);

const LOWEST: u16 = 20_000;
const HIGHEST: u16 = 31_999;

/// Tries before giving up: with half the range taken, 64 misses in a row do not happen.
const TRIES: usize = 64;

/// A free port that is none of `reserved` (those of other stacks, which may be down right now).
pub(crate) fn pick(reserved: &[u16]) -> Result<u16> {
    let fresh = |port: &u16| !reserved.contains(port) && is_free(*port);
    std::iter::repeat_with(|| fastrand::u16(LOWEST..=HIGHEST))
        .take(TRIES)
        .find(fresh)
        .with_context(|| format!("found no free loopback port between {LOWEST} and {HIGHEST} in {TRIES} tries"))
}

/// True if no process listens on this loopback port, or soon none does.
pub(crate) fn free_within(port: u16, patience: Duration) -> bool {
    let since = Instant::now();
    while !is_free(port) {
        if since.elapsed() > patience {
            return false;
        }
        std::thread::sleep(POLL);
    }
    true
}

/// True if no process listens on this loopback port.
fn is_free(port: u16) -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn picked_ports_are_free_and_not_reserved() {
        let reserved: Vec<u16> = (LOWEST..=HIGHEST).filter(|port| port % 2 == 0).collect();
        for _ in 0..20 {
            let port = pick(&reserved).unwrap();
            assert!(port % 2 == 1 && (LOWEST..=HIGHEST).contains(&port));
        }
        let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        assert!(!is_free(taken.local_addr().unwrap().port()));
        let all: Vec<u16> = (LOWEST..=HIGHEST).collect();
        assert!(pick(&all).is_err());
    }
}
