//! What tests of all crates share: stacks of real engines ([`stack::Stack`]), what a test says that was not run
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
