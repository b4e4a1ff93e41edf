//! The options of `league`.

use std::path::PathBuf;

use boxbox_schemas::connect::{Pin, parse_pin};
use boxbox_schemas::grant::DEFAULT_DAYS;
use boxbox_schemas::{DriverId, SessionId, TenantId};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::access::auth;
use crate::access::grant::{CreateOptions, GrantStore};
use crate::cli::api::ApiArgs;
use crate::cli::defaults;
use crate::cli::log::LogArgs;
use crate::league::{self, Attach, Import, Init, Publish, Shown, Source};

/// `boxbox league …`.
#[derive(Subcommand)]
pub enum LeagueCommand {
    /// Make a league with a season, its rules, a class and a championship of drivers
    Init(InitArgs),
    /// Make or change an event of a season
    Event(EventArgs),
    /// Entries of a season
    #[command(subcommand)]
    Entries(EntriesCommand),
    /// Sessions of an event
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Give a penalty in a session
    Penalty(PenaltyArgs),
    /// Send acts as JSON, one or a list: everything that a league can decide
    Acts {
        /// The league
        league: String,
        /// File with the acts; `-` is standard input
        file: PathBuf,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Publish the result of a session or the table of a championship
    Publish(PublishArgs),
    /// Print the table of a championship
    Standings(StandingsArgs),
}

/// `boxbox league entries …`.
#[derive(Subcommand)]
pub enum EntriesCommand {
    /// Make entries from CSV, and a connect string for each driver in a file beside it
    Import(ImportArgs),
}

/// `boxbox league sessions …`.
#[derive(Subcommand)]
pub enum SessionsCommand {
    /// Say which session of the telemetry, or which result file, a session of an event is
    Attach(AttachArgs),
}

/// Options of `league init`.
#[derive(Args)]
pub struct InitArgs {
    /// The league: 1 to 40 of a-z, 0-9 and -
    league: String,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// Its time zone
    #[arg(long, default_value = "UTC")]
    time_zone: String,
    /// The rules: a preset (`boxbox score --list-rules`) or a file
    #[arg(long, default_value = "f1-2010")]
    rules: String,
    /// The season
    #[arg(long, default_value = "season-1")]
    season: String,
    /// The first day of the season
    #[arg(long, default_value = "2026-01-01")]
    starts: String,
    /// A class of the season; give several for several
    #[arg(long = "class", default_value = "all")]
    classes: Vec<String>,
    /// Make a championship of teams too
    #[arg(long)]
    teams: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// Options of `league event`.
#[derive(Args)]
pub struct EventArgs {
    /// The league
    league: String,
    /// The season
    season: String,
    /// The event: 1 to 40 of a-z, 0-9 and -
    event: String,
    /// Its place in the calendar
    #[arg(long)]
    index: u32,
    /// Its date
    #[arg(long)]
    date: String,
    /// Its name
    #[arg(long)]
    name: Option<String>,
    /// All its points times this: 2 for double points
    #[arg(long, default_value = "1")]
    multiplier: String,
    /// It cannot be dropped
    #[arg(long)]
    not_droppable: bool,
    #[command(flatten)]
    api: ApiArgs,
}

/// Options of `league entries import`.
#[derive(Args)]
pub struct ImportArgs {
    /// The league
    league: String,
    /// The season
    season: String,
    /// The file: a line for each driver of each car, with the columns entry, number, class, name, team, driver, sim, account, status, car,
    /// manufacturer, from_event
    file: PathBuf,
    /// File for the connect strings of the drivers of the column `driver`; by default FILE.connect
    #[arg(long, value_name = "FILE")]
    strings: Option<PathBuf>,
    /// Make no grants
    #[arg(long)]
    no_strings: bool,
    /// Days until the grants expire
    #[arg(long, default_value_t = DEFAULT_DAYS, value_parser = clap::value_parser!(u32).range(1..=36_500))]
    days: u32,
    /// Tenant of the grants
    #[arg(long, env = "BOXBOX_TENANT", default_value_t = defaults::tenant())]
    tenant: TenantId,
    /// Host name or address under which clients reach the server, if the server does not run now
    #[arg(long = "public-host", value_name = "HOST", env = "BOXBOX_PUBLIC_HOST")]
    host: Option<String>,
    /// UDP port of the server, if the server does not run now
    #[arg(long, env = "BOXBOX_QUIC_PORT")]
    quic_port: Option<u16>,
    /// Pin of an edge with another data folder
    #[arg(long, env = "BOXBOX_PIN", value_delimiter = ',', value_parser = parse_pin)]
    pin: Vec<Pin>,
    /// Data folder of the server, where the grants are made
    #[arg(long, env = "BOXBOX_DATA", default_value = defaults::DATA_FOLDER)]
    data: PathBuf,
    #[command(flatten)]
    log: LogArgs,
    #[command(flatten)]
    api: ApiArgs,
}

/// Options of `league sessions attach`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("source").required(true).args(["telemetry", "file"])))]
pub struct AttachArgs {
    /// The league
    league: String,
    /// The event
    event: String,
    /// The session: 1 to 40 of a-z, 0-9 and -
    session: String,
    /// What it is: practice, qualifying, sprint, heat, consolation, feature or stage
    #[arg(long, default_value = "feature")]
    role: String,
    /// The session in the telemetry, as `/api/v1/sessions` lists it; several for a race that was stopped and went on
    #[arg(long, value_delimiter = ',')]
    telemetry: Vec<SessionId>,
    /// A result file: iRacing's result JSON, that of a server of Assetto Corsa (Competizione), or CSV
    #[arg(long)]
    file: Option<PathBuf>,
    /// Which session of the file, by its name in it
    #[arg(long, requires = "file")]
    part: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Options of `league penalty`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["seconds", "positions", "points", "disqualified"])))]
pub struct PenaltyArgs {
    /// The league
    league: String,
    /// The session
    session: String,
    /// The entry
    entry: String,
    /// Seconds added to the time
    #[arg(long)]
    seconds: Option<u32>,
    /// Places back
    #[arg(long)]
    positions: Option<u32>,
    /// Points of the session taken off
    #[arg(long)]
    points: Option<String>,
    /// Out of the results
    #[arg(long)]
    disqualified: bool,
    /// Why
    #[arg(long)]
    reason: String,
    #[command(flatten)]
    api: ApiArgs,
}

/// Options of `league publish`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("scope").required(true).args(["session", "championship"])))]
pub struct PublishArgs {
    /// The league
    league: String,
    /// The session whose result is published
    #[arg(long)]
    session: Option<String>,
    /// The championship whose table is published
    #[arg(long)]
    championship: Option<String>,
    /// provisional, official or amended
    #[arg(long, default_value = "provisional")]
    state: String,
    /// Why; an amended result needs it
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    api: ApiArgs,
}

/// Options of `league standings`.
#[derive(Args)]
pub struct StandingsArgs {
    /// The league
    league: String,
    /// The championship
    championship: String,
    /// Where each point of this competitor comes from: a name, or a part of it
    #[arg(long, value_name = "WHO")]
    why: Option<String>,
    /// An earlier revision
    #[arg(long)]
    revision: Option<u32>,
    /// As it would be published now
    #[arg(long, conflicts_with = "revision")]
    preview: bool,
    /// Print the document of the API
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    api: ApiArgs,
}

impl LeagueCommand {
    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Init(args) => {
                let InitArgs { league, name, time_zone, rules, season, starts, classes, teams, api } = args;
                league::init(&api.options(), Init { league, name, time_zone, rules, season, starts, classes, teams }).await
            }
            Self::Event(args) => {
                let (league, api, act) = args.act();
                league::decide(&api.options(), &league, &act).await
            }
            Self::Entries(EntriesCommand::Import(args)) => args.run().await,
            Self::Sessions(SessionsCommand::Attach(args)) => {
                let AttachArgs { league, event, session, role, telemetry, file, part, api } = args;
                let source = file.map_or(Source::Telemetry(telemetry), |file| Source::File { file, part });
                league::attach(&api.options(), Attach { league, event, session, role, source }).await
            }
            Self::Penalty(args) => {
                let (league, api, act) = args.act();
                league::decide(&api.options(), &league, &act).await
            }
            Self::Acts { league, file, api } => league::acts(&api.options(), &league, &file).await,
            Self::Publish(args) => {
                let PublishArgs { league, session, championship, state, reason, api } = args;
                league::publish(&api.options(), Publish { league, session, championship, state, reason }).await
            }
            Self::Standings(args) => {
                let StandingsArgs { league, championship, why, revision, preview, json, api } = args;
                league::standings(&api.options(), Shown { league, championship, why, revision, preview, json }).await
            }
        }
    }
}

impl EventArgs {
    fn act(self) -> (String, ApiArgs, Value) {
        let Self { league, season, event, index, date, name, multiplier, not_droppable, api } = self;
        let mut act = json!({ "kind": "event_set", "season": season, "event": event, "index": index, "date": date, "multiplier": multiplier,
            "droppable": !not_droppable });
        league::with_name(&mut act, name);
        (league, api, act)
    }
}

impl PenaltyArgs {
    fn act(self) -> (String, ApiArgs, Value) {
        let Self { league, session, entry, seconds, positions, points, disqualified: _, reason, api } = self;
        let sanction = match (seconds, positions, points) {
            (Some(seconds), _, _) => json!({ "kind": "time", "us": u64::from(seconds) * 1_000_000 }),
            (_, Some(places), _) => json!({ "kind": "positions", "places": places }),
            (_, _, Some(points)) => json!({ "kind": "points", "points": points }),
            _ => json!({ "kind": "disqualified" }),
        };
        let act =
            json!({ "kind": "penalty_given", "at": { "session": session }, "against": { "entry": entry }, "sanction": sanction, "reason": reason });
        (league, api, act)
    }
}

impl ImportArgs {
    async fn run(self) -> anyhow::Result<()> {
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
