//! Recordings that were made after public bug reports of other programs (`cases` of BOXBOX_TESTDATA): each is replayed as people
//! send it, and the API's answers are compared with what the folder's README says must come out.
//!
//! The drivers' files arrive one after the other. Times are exact to [`NEAR_US`] where a test says nothing else.

#![allow(clippy::unwrap_used, unreachable_pub, dead_code, reason = "in a test, a panic is the answer; shared modules have more than this test needs")]

mod asked;
#[path = "../common/mod.rs"]
mod common;
#[path = "../../../race/tests/common/csv.rs"]
mod csv;
mod descriptions;
mod drivers;
mod finish;
mod laps;
#[path = "../frozen/logs.rs"]
mod logs;
#[path = "../frozen/pipeline.rs"]
mod pipeline;
mod pits;
#[path = "../frozen/recordings.rs"]
mod recordings;
#[path = "../frozen/records.rs"]
mod records;
mod sessions;

/// How exact a time is, µs.
const NEAR_US: i64 = 3_000;
