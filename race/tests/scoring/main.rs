//! Penalties, points and championships against worked cases, published seasons and official results, and by properties.

#![allow(clippy::unwrap_used, clippy::expect_used, unused_crate_dependencies, reason = "a test may stop at what it did not expect")]

mod cases;
mod documents;
mod formula1;
mod leagues;
mod properties;
mod shares;
