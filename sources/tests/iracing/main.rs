//! The .ibt reader: round trips of files it did not write itself, meaning, damage, and truth from a real recording.

#![allow(clippy::unwrap_used, reason = "the helpers of a test are tests")]

mod damage;
mod helpers;
mod meaning;
mod roundtrip;
mod sessions;
mod text;
mod truth;
mod writer;
