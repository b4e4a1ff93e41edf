//! The options of `league` about seasons: what there is, who takes part, what was driven.

use std::path::PathBuf;

use boxbox_schemas::connect::{Pin, parse_pin};
use boxbox_schemas::grant::DEFAULT_DAYS;
use boxbox_schemas::{DriverId, SessionId, TenantId};
use clap::Args;

use crate::access::auth;
use crate::access::grant::{CreateOptions, GrantStore};
use crate::cli::api::ApiArgs;
use crate::cli::defaults;
use crate::cli::log::LogArgs;
use crate::league::{self, Import};

/// Options of `league init`.
#[derive(Args)]
pub struct InitArgs {
    /// The league: 1 to 40 of a-z, 0-9 and -
    pub(super) league: String,
    /// Its name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// Its time zone
    #[arg(long, default_value = "UTC")]
    pub(super) time_zone: String,
    /// The rules: a preset (`boxbox score --list-rules`) or a file
    #[arg(long, default_value = "f1-2010")]
    pub(super) rules: String,
    /// The season
    #[arg(long, default_value = "season-1")]
    pub(super) season: String,
    /// The first day of the season
    #[arg(long, default_value = "2026-01-01")]
    pub(super) starts: String,
    /// A class of the season; give several for several
    #[arg(long = "class", default_value = "all")]
    pub(super) classes: Vec<String>,
    /// Make a championship of teams too
    #[arg(long)]
    pub(super) teams: bool,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// Options of `league event`.
#[derive(Args)]
pub struct EventArgs {
    /// The league
    pub(super) league: String,
    /// The season
    pub(super) season: String,
    /// The event: 1 to 40 of a-z, 0-9 and -
    pub(super) event: String,
    /// Its place in the calendar, from 1; a new event needs it
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) index: Option<u32>,
    /// Its date; a new event needs it
    #[arg(long)]
    pub(super) date: Option<String>,
    /// Its name
    #[arg(long)]
    pub(super) name: Option<String>,
    /// All its points times this: 2 for double points; of a new event 1
    #[arg(long)]
    pub(super) multiplier: Option<String>,
    /// It cannot be dropped
    #[arg(long)]
    pub(super) not_droppable: bool,
    /// It can be dropped, as a new event can
    #[arg(long, conflicts_with = "not_droppable")]
    pub(super) droppable: bool,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// Options of `league entries import`.
#[derive(Args)]
pub struct ImportArgs {
    /// The league
    pub(super) league: String,
    /// The season
    pub(super) season: String,
    /// The file: a line for each driver of each car, with the columns entry, number, class, name, team, driver, sim, account, status, car,
    /// manufacturer, from_event
    pub(super) file: PathBuf,
    /// File for the connect strings of the drivers of the column `driver`; by default FILE.connect
    // It is written, not read.
    #[arg(long, value_name = "FILE", value_hint = clap::ValueHint::Other)]
    pub(super) strings: Option<PathBuf>,
    /// Make no grants
    #[arg(long)]
    pub(super) no_strings: bool,
    /// Days until the grants expire
    #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    pub(super) days: u32,
    /// Tenant of the grants
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    pub(super) tenant: TenantId,
    /// Host name or address under which clients reach the server, if the server does not run now
    #[arg(long = "public-host", value_name = "HOST", env = "BOXBOX_PUBLIC_HOST")]
    pub(super) host: Option<String>,
    /// UDP port of the server, if the server does not run now
    #[arg(long, env = "BOXBOX_QUIC_PORT")]
    pub(super) quic_port: Option<u16>,
    /// Pin of an edge with another data folder
    #[arg(long, env = "BOXBOX_PIN", value_delimiter = ',', value_parser = parse_pin)]
    pub(super) pin: Vec<Pin>,
    /// Data folder of the server, where the grants are made
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    pub(super) data: PathBuf,
    #[command(flatten)]
    pub(super) log: LogArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// What is in a result file, at the end of `--help`.
const RESULT_FILE: &str = "\
A result file is what a simulator or its server writes (iRacing's result JSON, that of a server of Assetto Corsa or Assetto Corsa Competizione), or
CSV in UTF-8, a line for each car. Its first line names columns:
  account       of the driver in the simulator, as in the file of entries: by it the car finds its entry, and never by its number alone
  sim           whose account it is: iracing (as if empty), acc, ac …
  number        of the car: it decides where the driver has several entries
  car           what the car is called, where that is neither account nor number; one of the three must be there
  laps          laps completed; a race needs them
  time          of the whole race, 1:32:14.123
  position      1, 2, …; it orders cars of equal laps whose times are not known
  best_lap      1:32.123; it orders qualifying
  status        finished (as if empty), dnf, dns, dsq
  class, model  as the simulator calls the class and the car
  grid, laps_led, incidents";

/// Options of `league sessions attach`.
#[derive(Args)]
#[command(after_long_help = RESULT_FILE)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["telemetry", "file"])))]
pub struct AttachArgs {
    /// The league
    pub(super) league: String,
    /// The event
    pub(super) event: String,
    /// The session: 1 to 40 of a-z, 0-9 and -
    pub(super) session: String,
    /// What it is: practice, qualifying, sprint, heat, consolation, feature or stage. If it is not said it stays what it is; a new session is
    /// feature
    #[arg(long)]
    pub(super) role: Option<String>,
    /// The championships it counts for; a new session counts for all that count sessions of its role
    #[arg(long, value_delimiter = ',', value_name = "CHAMPIONSHIP")]
    pub(super) counts_for: Vec<String>,
    /// Laps that it was to have, for what is decided by the part of the distance
    #[arg(long, value_name = "LAPS")]
    pub(super) planned_laps: Option<u32>,
    /// The session in the telemetry, as `/api/v1/sessions` lists it; several for a race that was stopped and went on
    #[arg(long, value_delimiter = ',')]
    pub(super) telemetry: Vec<SessionId>,
    /// A result file: iRacing's result JSON, that of a server of Assetto Corsa (Competizione), or CSV, whose columns --help lists
    #[arg(long)]
    pub(super) file: Option<PathBuf>,
    /// Which session of the file, by its name in it
    #[arg(long, requires = "file")]
    pub(super) part: Option<String>,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

impl ImportArgs {
    /// Import, and make the grants.
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let Self { league, season, file, strings, no_strings, days, tenant, host, quic_port, pin, data, log, api } = self;
        let strings = strings.unwrap_or_else(|| {
            let mut name = file.clone().into_os_string();
            name.push(".connect");
            name.into()
        });
        let store = GrantStore { data, log: log.options() };
        let driver = DriverId::new("driver").map_err(|e| anyhow::anyhow!("{e}"))?;
        let grants = CreateOptions { driver, abilities: auth::SEND, days, event: None, tenant, host, quic_port, pins: pin, new: false, store };
        league::import(&api.options(), Import { league, season, file, strings: (!no_strings).then_some((strings, grants)) }).await
    }
}
