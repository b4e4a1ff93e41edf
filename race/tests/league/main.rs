//! Leagues: acts, results, tables, revisions (docs/RULES.md, chapter 21).

#![allow(clippy::unwrap_used, clippy::expect_used, unused_crate_dependencies, reason = "a test may stop at what it did not expect")]

mod acts;
mod admitted;
mod classes;
mod facts;
mod golden;
mod identity;
mod penalties;
mod properties;
mod published;
mod seasons;
mod size;
mod world;
