//! The project's own commands, and stacks of real services for tests of other crates (`stack::Stack`).
//!
//! Each command is one module: `test` runs everything, `campaign` the fault runs for longer, `stack` real services,
//! `doctor` says what the machine lacks. `supply` and `tidy` are checks that `test` makes.

#[cfg(not(unix))]
compile_error!("xtask starts and signals processes as Unix does; on Windows use WSL 2. The client itself builds: cargo build -p boxbox-client");

pub mod campaign;
pub mod doctor;
mod fetch;
mod folders;
mod not_run;
pub mod stack;
pub mod steps;
mod supply;
pub mod test;
mod tidy;
pub mod tools;
mod version;

pub use fetch::{compose, schemathesis};
pub use not_run::{not_applicable, not_run};
pub use stack::commands::StackCommand;
