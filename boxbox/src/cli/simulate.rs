//! The options of `simulate`.

use std::path::{Path, PathBuf};

use boxbox_schemas::TenantId;
use boxbox_sources::synth::TICK_HZ;
use clap::Args;

use crate::cli::defaults;
use crate::cli::race::RaceArgs;
use crate::cli::secret;
use crate::config_check::Findings;
use crate::fleet::Rates;
use crate::simulate::{self, SimulateOptions};

/// Options of `simulate`.
#[derive(Args)]
pub struct SimulateArgs {
    /// Connect string of a car's driver, as `grant create` printed it, in single quotes; give it once for each car. `-` reads one from each
    /// line of standard input. Other users of this machine could read it for a moment in the list of processes: --to-file and `-` are better
    #[arg(long, value_name = "STRING", env = "BOXBOX_TO", hide_env_values = true, value_delimiter = ' ')]
    to: Vec<String>,
    /// File with one connect string on each line, instead of --to; `-` is standard input
    #[arg(long, visible_alias = "grants", value_name = "FILE", env = "BOXBOX_GRANTS", conflicts_with = "to")]
    to_file: Option<PathBuf>,
    #[command(flatten)]
    race: RaceArgs,
    /// Frames a second of every car: 60 or a divisor of it
    #[arg(long, env = "BOXBOX_RATE", default_value_t = TICK_HZ, value_parser = rate)]
    rate: u32,
    /// Frames a second of all other cars, which every client sends as simulators do; 0: none
    #[arg(long, env = "BOXBOX_FIELD", default_value_t = 0, value_parser = clap::value_parser!(u32).range(0..=20))]
    field: u32,
    /// Data folder of a server that runs on this machine: without --to and --grants, the cars' grants are made there
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
    /// Tenant of the grants that are made in --data
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    tenant: TenantId,
}

impl SimulateArgs {
    /// The options that the command takes.
    ///
    /// # Errors
    /// If a connect string cannot be read, or is none.
    pub fn options(self) -> anyhow::Result<SimulateOptions> {
        let to = match (&self.to_file, self.to.as_slice()) {
            (Some(file), _) => secret::read(file)?,
            (None, [only]) if only == "-" => secret::read(Path::new("-"))?,
            (None, strings) => secret::parse(&strings.join("\n"))?,
        };
        Ok(SimulateOptions {
            cars: self.race.cars(),
            race: self.race.options(),
            rates: Rates { speed: self.race.speed_or(simulate::SPEED), car_hz: self.rate, field_hz: self.field },
            to,
            data: self.data,
            tenant: self.tenant,
        })
    }
}

impl SimulateArgs {
    /// Look for what is wrong with the connect strings; standard input is not read.
    pub fn look(self, findings: &mut Findings) {
        let is_input = self.to_file.as_deref() == Some(Path::new("-")) || self.to.iter().any(|to| to == "-");
        if !is_input {
            findings.kept(self.options());
        }
    }
}

fn rate(text: &str) -> Result<u32, String> {
    text.parse().ok().filter(|hz| *hz > 0 && TICK_HZ.is_multiple_of(*hz)).ok_or_else(|| "give 60, 30, 20, 15, 12, 10, 6, 5, 4, 3, 2 or 1".into())
}
