//! What `boxbox-bench` (load) and `boxbox-attack` (attacks) are made of. Both start a server and send to it alone.

#![allow(unreachable_pub, missing_docs, reason = "no library for others: two programs share these modules")]

pub mod attack;
mod car;
mod connection;
mod freshness;
pub mod load;
mod memory_limit;
pub mod options;
mod process;
mod report;
mod server;
