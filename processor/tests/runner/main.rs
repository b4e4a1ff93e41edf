//! The processor as a whole, on the reference log and stores: outages, takeovers, bad records, one partition of several
//! that fails, and when it commits.

#![allow(clippy::unwrap_used, unreachable_pub, reason = "in a test, a panic is the answer")]

mod archive;
mod commits;
mod life;
mod outages;
mod running;
#[path = "../support/mod.rs"]
mod support;
