//! `boxbox`: one binary for every service of Ok, Box Box, and the tools around them.

#![allow(unreachable_pub, reason = "this is a program: no other crate uses it, and pub marks what a module offers to the others")]

mod access;
mod allocator;
mod cli;
mod clock_watch;
mod config_check;
mod data;
mod demo;
mod fleet;
mod http;
mod instance;
mod league;
mod ledger;
mod log;
mod logs;
mod node;
mod outbox;
mod ports;
mod private;
mod race;
mod recompute;
mod replay;
mod score;
mod sender;
mod session;
mod show;
mod signals;
mod simulate;
mod spool;
mod traces;
mod watch;

use std::time::Duration;

use crate::show::stderr;

/// What this program writes is for its user alone: keys, logs and spools hold what others must not read or change.
#[cfg(unix)]
fn private_files() {
    rustix::process::umask(rustix::fs::Mode::RWXG | rustix::fs::Mode::RWXO);
}

#[cfg(not(unix))]
fn private_files() {}

/// How long the clients of a Kafka log may take to close: a broker that does not answer must not keep the program running.
const CLOSE_PATIENCE: Duration = Duration::from_secs(3);

/// The exit code of a wrong command line, which is clap's.
const WRONG_COMMAND_LINE: u8 = 2;

fn main() -> std::process::ExitCode {
    allocator::give_back_at_once();
    cli::secret::hide();
    let (cli, origins) = cli::Cli::of_process();
    private_files();
    let begun = cli.watched().and_then(|(logs, traces)| {
        let logs = logs::begin(logs)?;
        let traces = traces.map(|options| traces::begin(&options)).transpose()?;
        Ok((logs, traces))
    });
    let (logs, traces) = match begun {
        Ok(begun) => begun,
        Err(error) => return failed(&error, &origins),
    };
    // Commands that are only clients need it as well: a race has one connection for each car.
    node::handles::raise();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&anyhow::Error::new(error).context("cannot start threads"), &origins),
    };
    let outcome = runtime.block_on(cli.run());
    // This drops every task, and with the tasks the logs that they hold.
    drop(runtime);
    boxbox_log::kafka::wait_until_closed(CLOSE_PATIENCE);
    if let Some(traces) = traces {
        traces.end();
    }
    logs.end();
    match outcome {
        Ok(()) => std::process::ExitCode::SUCCESS,
        Err(error) => failed(&error, &origins),
    }
}

fn failed(error: &anyhow::Error, origins: &cli::Origins) -> std::process::ExitCode {
    // An argument in a wrong place may be a secret.
    stderr::note(&cli::secret::masked(&origins.explained(&format!("boxbox: {error:#}"))));
    if error.is::<cli::config::Wrong>() { WRONG_COMMAND_LINE.into() } else { std::process::ExitCode::FAILURE }
}
