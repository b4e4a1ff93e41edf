//! `cargo xtask`: see `cargo xtask --help`.

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use xtask::{StackCommand, campaign::CampaignArgs, doctor::DoctorArgs, monitoring::MonitoringArgs, test::TestArgs};

/// The project's own commands.
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask")]
struct Xtask {
    #[command(subcommand)]
    command: XtaskCommand,
}

#[derive(Debug, Subcommand)]
enum XtaskCommand {
    /// Check everything: format, lints, supply chain, all tests against real services, the README's first command
    Test(TestArgs),
    /// Run the fault tests for longer, with a printed seed
    Campaign(CampaignArgs),
    /// Start and stop the real services that tests run against
    #[command(subcommand)]
    Stack(StackCommand),
    /// Make dashboards, alerts and their tests from the tables in grafana/source
    Monitoring(MonitoringArgs),
    /// List what this machine needs, what it has, and how to get the rest
    Doctor(DoctorArgs),
}

fn main() -> ExitCode {
    let result = match Xtask::parse().command {
        XtaskCommand::Test(args) => args.run(),
        XtaskCommand::Campaign(args) => args.run(),
        XtaskCommand::Stack(command) => command.run().map(|()| true),
        XtaskCommand::Monitoring(args) => args.run(),
        XtaskCommand::Doctor(args) => args.run(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
