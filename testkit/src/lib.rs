//! Helpers for the tests of all crates: stacks of real services ([`stack::Stack`]), reports of tests that were not run
//! ([`not_run`]), waiting ([`wait`]), hand-made frames, records, laps and rows (`frames`, `laps`, `rows`), seeds and repetitions
//! ([`campaign`]), a server that takes what is posted ([`sink`]), real recordings ([`recordings`]), and the tools and downloads that stacks need.

#[cfg(not(unix))]
compile_error!("testkit starts and signals processes as Unix does; on Windows use WSL 2. The client itself builds: cargo build -p boxbox-client");

pub mod campaign;
pub mod fetch;
pub mod folders;
#[cfg(feature = "pipeline")]
pub mod frames;
#[cfg(feature = "pipeline")]
pub mod laps;
mod needed;
pub mod not_run;
pub mod recordings;
#[cfg(feature = "pipeline")]
pub mod rows;
pub mod sink;
pub mod stack;
pub mod tools;
pub mod version;
pub mod wait;

pub use fetch::{compose, schemathesis};
pub use needed::needed;
pub use not_run::{not_applicable, not_run};
pub use recordings::recording;
pub use stack::commands::StackCommand;
