//! `cargo xtask stack …`: the commands. Output for programs goes to stdout, output for people to stderr.

use std::time::Instant;

use anyhow::{Context, Result};
use clap::{Args, Subcommand};

use super::process::{State, is_paused, resident_mib};
use super::{ClickhouseOptions, DEFAULT, KafkaOptions, Options, PostgresOptions, Stack};

/// The real services that tests run against, on this machine.
#[derive(Debug, Subcommand)]
pub enum StackCommand {
    /// Start a stack and print where it answers: `export $(cargo xtask stack up)`
    #[command(
        after_help = "The processes keep running after the command. A stack that is up already stays as it is; its addresses are printed again."
    )]
    Up(Up),
    /// Stop a stack; its data and ports are kept for the next `up`
    Down {
        /// Which one
        #[command(flatten)]
        which: Which,
        /// Delete its data, logs and ports too
        #[arg(long)]
        wipe: bool,
        /// Every stack of this target folder
        #[arg(long, conflicts_with = "name")]
        all: bool,
    },
    /// List all stacks: what runs, where, with how much memory
    Status,
    /// Kill -9 one part, as a crash does
    Kill(OnePart),
    /// Stop one part cleanly
    Stop(OnePart),
    /// Start one part again, on its port and data
    Start(OnePart),
    /// Stop one part's clock: its connections stay open, nothing answers
    Pause(OnePart),
    /// Resume a paused part
    Resume(OnePart),
}

/// A part of a stack.
#[derive(Debug, Args)]
pub struct OnePart {
    /// The stack
    name: String,
    /// The part: kafka, postgres, clickhouse; in a cluster kafka-1 and so on, or kafka for every node
    part: String,
}

/// The choice of a stack.
#[derive(Debug, Args)]
pub struct Which {
    /// The stack's name; several of different names run side by side
    #[arg(long, default_value = DEFAULT, env = "BOXBOX_STACK")]
    name: String,
}

/// The options of a stack.
#[derive(Debug, Args)]
pub struct Up {
    #[command(flatten)]
    which: Which,
    /// With a Kafka; naming no part means every part there is
    #[arg(long)]
    kafka: bool,
    /// With a PostgreSQL
    #[arg(long)]
    postgres: bool,
    /// With a ClickHouse
    #[arg(long)]
    clickhouse: bool,
    /// How many nodes Kafka has: 1, or as many as the stack has already
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=9))]
    kafka_nodes: Option<u16>,
    /// A listener that asks for a user and a password (SASL PLAIN) beside the open one
    #[arg(long)]
    kafka_sasl: bool,
    /// A listener that asks for them under TLS
    #[arg(long)]
    kafka_tls: bool,
    /// Java heap of a Kafka node in MiB; the process takes about 150 MB more
    #[arg(long, default_value_t = KafkaOptions::default().heap_mib, value_name = "MIB")]
    kafka_heap: u32,
    /// A broker setting, for example message.max.bytes=1048576 (repeatable; takes effect when the broker starts)
    #[arg(long = "kafka-set", value_name = "KEY=VALUE", value_parser = key_value)]
    kafka_set: Vec<(String, String)>,
}

impl StackCommand {
    /// Carries it out.
    pub fn run(self) -> Result<()> {
        match self {
            Self::Up(up) => up.run(),
            Self::Down { which, wipe, all } => {
                let names = if all { Stack::names() } else { vec![which.name] };
                for name in names {
                    Stack::down_by_name(&name, wipe)?;
                    eprintln!("stack {name} is down{}", if wipe { ", its data deleted" } else { "; its data is kept (--wipe deletes it)" });
                }
                Ok(())
            }
            Self::Status => status(),
            Self::Kill(OnePart { name, part }) => Stack::open(&name)?.kill(&part).map(|()| eprintln!("killed {part} of stack {name}")),
            Self::Stop(OnePart { name, part }) => Stack::open(&name)?.stop(&part).map(|()| eprintln!("stopped {part} of stack {name}")),
            Self::Pause(OnePart { name, part }) => {
                let again = format!("cargo xtask stack resume {name} {part}");
                Stack::open(&name)?.pause(&part).map(|()| eprintln!("{part} of stack {name} is paused; {again} resumes it"))
            }
            Self::Resume(OnePart { name, part }) => Stack::open(&name)?.resume(&part).map(|()| eprintln!("{part} of stack {name} is resumed")),
            Self::Start(OnePart { name, part }) => {
                let since = Instant::now();
                Stack::open(&name)?.start(&part)?;
                eprintln!("{part} of stack {name} answers after {:.1} s", since.elapsed().as_secs_f64());
                Ok(())
            }
        }
    }
}

impl Up {
    #[expect(clippy::print_stdout, reason = "the addresses are the command's result")]
    fn run(self) -> Result<()> {
        let since = Instant::now();
        // An option of Kafka implies a Kafka.
        let kafka = self.kafka || self.kafka_nodes.is_some() || self.kafka_sasl || self.kafka_tls;
        let every_part = !(kafka || self.postgres || self.clickhouse);
        let options = KafkaOptions {
            nodes: self.kafka_nodes,
            heap_mib: self.kafka_heap,
            sasl: self.kafka_sasl,
            tls: self.kafka_tls,
            settings: self.kafka_set.into_iter().collect(),
            java: vec![],
        };
        let stack = Stack::up(Options {
            name: self.which.name,
            kafka: (kafka || every_part).then_some(options),
            postgres: (self.postgres || every_part).then(PostgresOptions::default),
            clickhouse: (self.clickhouse || every_part).then(ClickhouseOptions::default),
            detached: true,
        })?;
        let name = &stack.record().name;
        eprintln!("stack {name} answers after {:.1} s; data and logs: {}", since.elapsed().as_secs_f64(), stack.folder().display());
        eprintln!("stop it with: cargo xtask stack down --name {name}");
        for (variable, address) in stack.variables() {
            println!("{variable}={address}");
        }
        Ok(())
    }
}

#[expect(clippy::print_stdout, reason = "the table is the command's result")]
fn status() -> Result<()> {
    let names = Stack::names();
    if names.is_empty() {
        eprintln!("no stacks: cargo xtask stack up makes one");
        return Ok(());
    }
    println!("{:<20} {:<12} {:<9} {:>8} {:>8}  {:<45} FOLDER", "STACK", "PART", "STATE", "PID", "MEMORY", "ADDRESS");
    for name in names {
        let stack = match Stack::open(&name) {
            Ok(stack) => stack,
            Err(error) => {
                println!("{name:<20} {error:#}");
                continue;
            }
        };
        for part in &stack.record().parts {
            let (state, pid, memory) = match stack.state(part) {
                State::Running(pid) => (
                    if is_paused(pid) { "paused" } else { "up" },
                    pid.to_string(),
                    resident_mib(pid).map_or_else(String::new, |mib| format!("{mib} MiB")),
                ),
                State::Gone => ("crashed", String::new(), String::new()),
                State::Stopped => ("down", String::new(), String::new()),
            };
            let address = part.engine.service().address();
            println!("{name:<20} {:<12} {state:<9} {pid:>8} {memory:>8}  {address:<45} {}", part.name, stack.folder().display());
        }
    }
    Ok(())
}

fn key_value(text: &str) -> Result<(String, String)> {
    let (key, value) = text.split_once('=').with_context(|| format!("{text:?} is not KEY=VALUE"))?;
    Ok((key.trim().to_owned(), value.trim().to_owned()))
}
