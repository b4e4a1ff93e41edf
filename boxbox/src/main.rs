//! `boxbox`: one binary for every service of Ok, Box Box, and the tools around them.

#![allow(unreachable_pub, reason = "a program: nothing is reached from outside, and pub says what a module offers")]

mod access;
mod cli;
mod data;
mod demo;
mod fleet;
mod log;
mod node;
mod ports;
mod race;
mod replay;
mod sender;
mod show;
mod signals;
mod simulate;

use std::time::Duration;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How long a Kafka log's clients may take to close; a broker that is away must not hold the program.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

fn main() -> std::process::ExitCode {
    let cli = cli::Cli::of_process();
    // Standard output is for results; logs go to standard error.
    let filter = tracing_subscriber::EnvFilter::try_new(&cli.log).unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(cli::DEFAULT_LOG));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    // Also for clients: a race has many of them.
    node::handles::raise();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("boxbox: cannot start threads: {error}");
            return std::process::ExitCode::FAILURE;
        }
    };
    let outcome = runtime.block_on(cli.run());
    // Whatever still holds a log lets go of it.
    drop(runtime);
    boxbox_log::kafka::wait_until_closed(CLOSE_PATIENCE);
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("boxbox: {error:#}");
            std::process::ExitCode::FAILURE
        }
    }
}
