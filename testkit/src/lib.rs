//! Helpers for the tests of all crates: stacks of real services ([`stack::Stack`]), reports of tests that were not run
//! ([`not_run`]), and the tools and downloads that both need.

#[cfg(not(unix))]
compile_error!("testkit starts and signals processes as Unix does; on Windows use WSL 2. The client itself builds: cargo build -p boxbox-client");

pub mod fetch;
pub mod folders;
pub mod not_run;
pub mod stack;
pub mod tools;
pub mod version;

pub use fetch::{compose, schemathesis};
pub use not_run::{not_applicable, not_run};
pub use stack::commands::StackCommand;
