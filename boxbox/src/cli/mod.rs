//! The command line. Every option that is a setting has an environment variable, and every option a help text that explains it. Only this
//! folder uses clap: the commands take plain options, which this folder makes from the arguments.

mod api;
mod clock;
pub mod config;
mod defaults;
mod demo;
mod described;
mod grant;
mod league;
mod ledger;
mod log;
mod logs;
mod node;
mod origins;
mod race;
mod recompute;
mod reference;
mod replay;
mod score;
pub mod secret;
mod session;
mod simulate;
mod size;
mod spool;
mod verbosity;

use std::ffi::OsString;

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

use crate::config_check::Findings;
use crate::logs::LogOptions;
use crate::node::options::Roles;
use crate::node::stores::{NOTHING_TO_MIGRATE, StoreOptions};
use crate::show::report;
use crate::traces::TraceOptions;
use config::ConfigCommand;
pub use origins::Origins;

/// Ok, Box Box: telemetry for sim racing leagues. Sim clients stream frames over QUIC; the services compute laps.
#[derive(Parser)]
#[command(name = "boxbox", version, max_term_width = 110)]
pub struct Cli {
    #[command(flatten)]
    pub logs: logs::LogArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Show how it works: a race of synthetic cars through the whole pipeline, in this process
    Demo(demo::DemoArgs),
    /// Send the demo's race to a server, as sim clients only
    Simulate(simulate::SimulateArgs),
    /// Stream an iRacing recording (.ibt or .ibt.gz) and print its laps next to the simulator's own times: to a server with --to-file, else
    /// through the embedded pipeline in this process
    Replay(replay::ReplayArgs),
    /// Run all services in this process until Ctrl-C
    Up(node::up::UpArgs),
    /// Run only the edge: QUIC in, Kafka out; needs --log-url
    Ingest(node::up::RoleArgs),
    /// Run only the processor: Kafka in, results out; needs --log-url
    Processor(node::up::RoleArgs),
    /// Run only the API
    Api(node::up::RoleArgs),
    /// Prepare PostgreSQL and ClickHouse, or update them; run it before the services start, and after each upgrade
    Migrate(node::stores::StoreArgs),
    /// Compute stored sessions again from the archive, with the rules of this version, and print what is different
    Recompute(recompute::RecomputeArgs),
    /// The tables of a season from files of results, by the rules of a real championship or your own: points, drops, teams, and why
    Score(score::ScoreArgs),
    /// Make and revoke grants, which say who may send and who may read
    #[command(subcommand)]
    Grant(grant::GrantCommand),
    /// What clients on this machine could not send yet: list it, send it, delete it
    #[command(subcommand)]
    Spool(spool::SpoolCommand),
    /// Exclude drivers from sessions, and reinstate them
    #[command(subcommand)]
    Session(session::SessionCommand),
    /// Leagues: entries, sessions, penalties, what is published, standings. Asks the API of a running server
    #[command(subcommand)]
    League(league::LeagueCommand),
    /// The ledgers of decisions in the results store: check, export, import
    #[command(subcommand)]
    Ledger(ledger::LedgerCommand),
    /// After a jump of this machine's clock
    #[command(subcommand)]
    Clock(clock::ClockCommand),
    /// The configuration: check it, print the reference of all options
    #[command(subcommand)]
    Config(ConfigCommand),
}

impl Cli {
    /// The command line of this process, and where the values come from. A wrong one ends the process with a message, as `--help` does.
    pub fn of_process() -> (Self, Origins) {
        Self::of(std::env::args_os().collect()).unwrap_or_else(|error| {
            let text = error.to_string();
            // Help names no secrets.
            if !error.use_stderr() || secret::masked(&text) == text {
                error.exit();
            }
            // In one colour, but without the secret.
            eprint!("{}", secret::masked(&text));
            std::process::exit(error.exit_code())
        })
    }

    fn of(words: Vec<OsString>) -> Result<(Self, Origins), clap::Error> {
        let program = Self::command();
        let parsed = prepared(Self::command()).try_get_matches_from(&words);
        Self::read(&program, &parsed.map_err(|error| origins::with_variables(error, &program, &words))?)
    }

    fn read(program: &clap::Command, matches: &ArgMatches) -> Result<(Self, Origins), clap::Error> {
        Ok((Self::from_arg_matches(matches)?, Origins::of(program, matches)))
    }

    /// What this process logs, and where errors and traces go. A command that looks at a configuration sends nothing: what is wrong with these
    /// options is among its findings.
    ///
    /// # Errors
    /// If an address cannot be read, or is none.
    pub fn watched(&self) -> anyhow::Result<(LogOptions, Option<TraceOptions>)> {
        match self.command {
            Command::Config(_) => Ok((self.logs.lines_alone(), None)),
            _ => Ok((self.logs.logs()?, self.logs.traces()?)),
        }
    }

    /// Run the command.
    pub async fn run(self) -> anyhow::Result<()> {
        match self.command {
            Command::Demo(args) => crate::demo::run(args.options()?).await,
            Command::Simulate(args) => crate::simulate::run(&args.options()?).await,
            Command::Replay(args) => crate::replay::run(args.options()?).await,
            Command::Up(args) => crate::node::up::run(&args.options()?).await,
            Command::Ingest(args) => crate::node::up::run(&args.options(Roles::INGEST)?).await,
            Command::Processor(args) => crate::node::up::run(&args.options(Roles::PROCESSOR)?).await,
            Command::Api(args) => crate::node::up::run(&args.options(Roles::API)?).await,
            Command::Migrate(args) => crate::node::stores::migrate(&args.options()?).await,
            Command::Recompute(args) => crate::recompute::run(args.options()?).await,
            Command::Score(args) => crate::score::run(&args.options()),
            Command::Grant(command) => command.run().await,
            Command::Spool(command) => command.run().await,
            Command::Session(command) => command.run().await,
            Command::League(command) => command.run().await,
            Command::Ledger(command) => command.run().await,
            Command::Clock(command) => command.run(),
            Command::Config(ConfigCommand::Check(args)) => check(&args.command_line()),
            Command::Config(ConfigCommand::Reference) => {
                report::line(reference::markdown(&Self::command()).trim_end());
                Ok(())
            }
        }
    }
}

impl Command {
    /// Look for what is wrong with the options beyond their form, and start nothing.
    fn look(self, findings: &mut Findings) {
        match self {
            Self::Up(args) => args.look(findings),
            Self::Ingest(args) => args.look(Roles::INGEST, findings),
            Self::Processor(args) => args.look(Roles::PROCESSOR, findings),
            Self::Api(args) => args.look(Roles::API, findings),
            Self::Demo(args) => args.look(findings),
            Self::Replay(args) => args.look(findings),
            Self::Simulate(args) => args.look(findings),
            Self::Migrate(args) => {
                args.look(findings);
                if matches!(findings.kept(args.options()), Some(StoreOptions::Files)) {
                    findings.problem(NOTHING_TO_MIGRATE);
                }
            }
            Self::Recompute(args) => args.look(findings),
            Self::Ledger(command) => command.look(findings),
            Self::Grant(command) => command.look(findings),
            Self::Spool(command) => command.look(findings),
            Self::League(command) => command.look(findings),
            // Their options have nothing to check but their form and the files that they name.
            Self::Score(_) | Self::Session(_) | Self::Clock(_) | Self::Config(_) => {}
        }
    }
}

/// `config check`. A variable with a wrong value is noted and left out, so that all of them are found at once.
fn check(words: &[OsString]) -> anyhow::Result<()> {
    let program = Cli::command();
    let mut findings = Findings::default();
    let mut parsed_as = prepared(Cli::command());
    let matches = loop {
        let error = match parsed_as.clone().try_get_matches_from(words) {
            Ok(matches) => break Some(matches),
            Err(error) if !error.use_stderr() => error.exit(),
            Err(error) => error,
        };
        let variable = origins::variable_of(&error, &parsed_as, words);
        findings.problem(&origins::in_one_line(&origins::with_variables(error, &parsed_as, words)));
        match variable {
            Some(variable) => parsed_as = without_variable(parsed_as, &variable),
            None => break None,
        }
    };
    let mut origins = Origins::default();
    if let Some(matches) = matches {
        let (cli, of) = Cli::read(&program, &matches)?;
        origins = of;
        config::look_at_files(&origins, &mut findings);
        cli.logs.look(&mut findings);
        cli.command.look(&mut findings);
    }
    let known = described::leaves(&program).iter().flat_map(|leaf| leaf.args.iter().copied().filter_map(described::variable)).collect();
    let set = std::env::vars_os().filter_map(|(name, _)| name.into_string().ok());
    config::look_for_unknown(set, &known, &mut findings);
    Ok(config::report(&origins, &findings, report::line)?)
}

/// The command without those variables that are set and empty, as `NAME=` in a file of settings, where that means something: of a list it is a list
/// of nothing, of an address for reports or traces it is no address. Help texts do not show variables whose values look like secrets.
fn prepared(command: clap::Command) -> clap::Command {
    let ready = |arg: clap::Arg| match arg.get_env().and_then(std::env::var_os) {
        Some(value) if value.is_empty() && (arg.get_value_delimiter().is_some() || logs::may_be_empty(arg.get_id().as_str())) => {
            arg.env(None::<&str>)
        }
        Some(value) if value.to_str().is_none_or(|value| secret::masked_value(value) != value) => arg.hide_env_values(true),
        _ => arg,
    };
    command.mut_args(ready).mut_subcommands(prepared)
}

fn without_variable(command: clap::Command, variable: &str) -> clap::Command {
    let is_it = |arg: &clap::Arg| described::variable(arg).as_deref() == Some(variable);
    let command = command.mut_args(|arg| if is_it(&arg) { arg.env(None::<&str>) } else { arg });
    command.mut_subcommands(|below| without_variable(below, variable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::node::stores::{ARCHIVE_MAX_AGE, ARCHIVE_MAX_BYTES};

    #[test]
    fn services_have_their_own_defaults() {
        let Ok(Cli { command: Command::Up(args), .. }) = Cli::try_parse_from(["boxbox", "up"]) else { panic!("`boxbox up` needs no option") };
        let node = args.options().unwrap().node;
        assert_eq!(node.limits, boxbox_ingest::Limits::default());
        assert_eq!(node.log_retention, crate::log::LogRetention::default());
        let (archive_max_bytes, archive_max_age) = (Some(ARCHIVE_MAX_BYTES), Some(ARCHIVE_MAX_AGE));
        // It depends on the memory of the machine.
        let session_max_bytes = node.processor.session_max_bytes;
        assert!(session_max_bytes > 0);
        assert_eq!(node.processor, boxbox_processor::Config { archive_max_bytes, archive_max_age, session_max_bytes, ..Default::default() });
        assert_eq!(node.api.local_tenant, boxbox_api::Config::default().local_tenant);
    }

    #[test]
    fn who_may_ask_the_api_and_where_it_answers_probes_is_an_option() {
        let api = |args: &[&str]| {
            let Cli { command: Command::Up(args), .. } = Cli::try_parse_from([&["boxbox", "up"], args].concat())? else { panic!("not up") };
            Ok::<_, clap::Error>(args.options().unwrap().node.api)
        };
        let usual = api(&[]).unwrap();
        assert!(!usual.always_grants && usual.trusted_proxies.is_empty());
        assert_eq!(usual.probes.unwrap().to_string(), "127.0.0.1:7490");
        let free = api(&["--api-port", "8000", "--api-host", "0.0.0.0"]).unwrap();
        assert_eq!(free.probes.unwrap().to_string(), "0.0.0.0:0", "the usual port may be another server's of this machine");
        let behind = ["--api-grants", "always", "--trusted-proxy", "127.0.0.1,10.0.0.0/8", "--trusted-proxy", "::1"];
        let behind = api(&[&behind[..], &["--probe-port", "9", "--probe-host", "::1", "--api-connections-per-address", "7"]].concat()).unwrap();
        assert_eq!(behind.trusted_proxies.iter().map(ToString::to_string).collect::<Vec<_>>(), ["127.0.0.1/32", "10.0.0.0/8", "::1/128"]);
        assert_eq!((behind.always_grants, behind.probes.unwrap().to_string(), behind.connections_per_address), (true, "[::1]:9".into(), 7));
        // What guards a door is whole or an error.
        for wrong in ["", "proxy.example", "10.0.0.1/8", "10.0.0.0/8,", "10.0.0.0/8, 10.1.0.0/16", "0.0.0.0/0", "::/0", "10.0.0.1,::/0"] {
            assert!(api(&["--trusted-proxy", wrong]).is_err(), "{wrong:?}");
        }
        assert!(api(&["--api-grants", "never"]).is_err());
    }

    #[test]
    fn what_is_secret_can_be_given_in_a_file() {
        use described::Secrecy;
        let program = Cli::command();
        let leaves = described::leaves(&program);
        let mut secrets = 0;
        for leaf in &leaves {
            for arg in leaf.args.iter().filter(|arg| described::secrecy(arg) == Secrecy::Secret) {
                secrets += 1;
                let twin = described::twin(arg, &leaf.args).unwrap_or_else(|| panic!("{}: {} has no -file", leaf.name, described::name(arg)));
                assert_eq!(described::secrecy(twin), Secrecy::InFile, "{}", leaf.name);
                let (of, of_twin) = (described::variable(arg), described::variable(twin));
                assert!(of.is_some() == of_twin.is_some(), "{}: a file is to be given in the same way", leaf.name);
            }
        }
        assert!(secrets > 0);
    }

    #[test]
    fn every_setting_is_explained() {
        let program = Cli::command();
        for (arg, variable) in described::leaves(&program).iter().flat_map(|leaf| &leaf.args).filter_map(|arg| Some((arg, described::variable(arg)?)))
        {
            assert!(variable.starts_with("BOXBOX_"), "{variable}");
            assert!(variable.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'_'), "{variable}");
            assert!(!described::sentence(arg).trim_matches('.').is_empty(), "{variable} is not explained");
        }
    }

    #[test]
    fn help_shows_the_defaults() {
        let mut command = Cli::command();
        // Lines are wrapped anywhere.
        let mut help = |name: &str| {
            let help = command.find_subcommand_mut(name).unwrap().render_long_help().to_string();
            help.split_whitespace().collect::<Vec<_>>().join(" ")
        };
        let up = [
            "boxbox-data",
            "7443;",
            "7480;",
            "7490",
            "auto",
            "256",
            "127.0.0.1",
            "local",
            "10000",
            "64",
            "5m",
            "30days",
            "20GiB",
            "8GiB",
            "7days",
            "driver-1",
        ];
        let demo = ["24;", "6", "demo 5, simulate 1", "1"];
        for (name, defaults) in [("up", up.as_slice()), ("demo", demo.as_slice()), ("replay", ["max", "driver-1"].as_slice())] {
            let help = help(name);
            for default in defaults {
                let shown = [format!("[default: {default}]"), format!("[default: {default} ")].iter().any(|text| help.contains(text));
                assert!(shown, "{name} {default}: {help}");
            }
        }
    }
}
