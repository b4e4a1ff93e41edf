//! The options of `league`.

mod decided;
mod season;

use std::path::PathBuf;

use clap::Subcommand;

use self::decided::{PenaltyArgs, PublishArgs, ResultArgs, StandingsArgs};
use self::season::{AttachArgs, EventArgs, ImportArgs, InitArgs};
use crate::cli::api::ApiArgs;
use crate::config_check::Findings;
use crate::league::{self, Attach, Event, Init, Publish, Source};

/// `boxbox league …`.
#[derive(Subcommand)]
pub enum LeagueCommand {
    /// Make a league with a season, its rules, a class and a championship of drivers
    Init(InitArgs),
    /// Make an event of a season, or change what is said of one; the rest stays as it is
    Event(EventArgs),
    /// Entries of a season
    #[command(subcommand)]
    Entries(EntriesCommand),
    /// Sessions of an event
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Give a penalty in a session
    Penalty(PenaltyArgs),
    /// List the penalties of a league, or of one session, with their ids
    Penalties {
        /// The league
        league: String,
        /// The session; without it all
        session: Option<String>,
        #[command(flatten)]
        api: ApiArgs,
    },
    /// Take a penalty back
    Rescind {
        /// The league
        league: String,
        /// The penalty, as `league penalties` lists it
        penalty: String,
        /// Why
        #[arg(long)]
        reason: String,
        #[command(flatten)]
        api: ApiArgs,
    },
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
    /// Print the result of a session
    Result(ResultArgs),
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

impl LeagueCommand {
    /// Look for what is wrong with the log that learns of new grants.
    pub fn look(self, findings: &mut Findings) {
        if let Self::Entries(EntriesCommand::Import(args)) = self {
            args.log.look(findings);
        }
    }

    /// Do what was asked.
    pub async fn run(self) -> anyhow::Result<()> {
        match self {
            Self::Init(args) => {
                let InitArgs { league, name, time_zone, rules, season, starts, classes, teams, api } = args;
                league::init(&api.options(), Init { league, name, time_zone, rules, season, starts, classes, teams }).await
            }
            Self::Event(args) => {
                let EventArgs { league, season, event, index, date, name, multiplier, not_droppable, droppable, api } = args;
                let droppable = (droppable || not_droppable).then_some(droppable);
                league::event(&api.options(), Event { league, season, event, index, date, name, multiplier, droppable }).await
            }
            Self::Entries(EntriesCommand::Import(args)) => args.run().await,
            Self::Sessions(SessionsCommand::Attach(args)) => {
                let AttachArgs { league, event, session, role, counts_for, planned_laps, telemetry, file, part, api } = args;
                let source = file.map_or(Source::Telemetry(telemetry), |file| Source::File { file, part });
                league::attach(&api.options(), Attach { league, event, session, role, counts_for, planned_laps, source }).await
            }
            Self::Penalty(args) => {
                let (league, api, act) = args.act();
                league::decide(&api.options(), &league, &act).await
            }
            Self::Penalties { league, session, api } => league::penalties(&api.options(), &league, session.as_deref()).await,
            Self::Rescind { league, penalty, reason, api } => league::rescind(&api.options(), &league, &penalty, &reason).await,
            Self::Acts { league, file, api } => league::acts(&api.options(), &league, &file).await,
            Self::Publish(args) => {
                let PublishArgs { league, session, championship, state, reason, api } = args;
                league::publish(&api.options(), Publish { league, session, championship, state, reason }).await
            }
            Self::Result(args) => {
                let ResultArgs { league, session, why, which, api } = args;
                league::result(&api.options(), &league, &session, &which.of(why)).await
            }
            Self::Standings(args) => {
                let StandingsArgs { league, championship, why, which, api } = args;
                league::standings(&api.options(), &league, &championship, &which.of(why)).await
            }
        }
    }
}
