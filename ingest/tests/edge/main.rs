//! The edge under real QUIC on loopback, with the reference log behind it and clients that may misbehave.
//!
//! Counters are global to a process, so these tests take turns ([`world::World`] holds the turn).

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod bad_input;
mod client;
mod counters;
mod drain;
mod neighbours;
mod outage;
mod path;
mod shares;
mod slow_log;
mod watched;
mod world;
