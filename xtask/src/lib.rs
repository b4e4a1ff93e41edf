//! The project's own commands.
//!
//! Each command is one module: `test` runs everything, `campaign` the fault runs for longer, `doctor` says what the machine
//! lacks, `monitoring` makes dashboards and alerts; `stack`, for real services, is in testkit. `supply` and `tidy` are checks that `test` makes.

#[cfg(not(unix))]
compile_error!("xtask starts and signals processes as Unix does; on Windows use WSL 2. The client itself builds: cargo build -p boxbox-client");

pub mod campaign;
pub mod doctor;
pub mod monitoring;
pub mod steps;
mod supply;
pub mod test;
mod tidy;

pub use boxbox_testkit::StackCommand;
