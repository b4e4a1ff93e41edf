//! The options of `league` about what was decided and what came of it.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::api::ApiArgs;
use crate::league::Which;
use crate::score::seconds_us;

/// Options of `league penalty`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("what").required(true).args(["seconds", "positions", "points", "disqualified"])))]
pub struct PenaltyArgs {
    /// The league
    pub(super) league: String,
    /// The session
    pub(super) session: String,
    /// The entry
    pub(super) entry: String,
    /// Seconds added to the time: 5, or 2.5
    #[arg(long, value_parser = seconds_us)]
    pub(super) seconds: Option<i64>,
    /// Places back
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub(super) positions: Option<u32>,
    /// Points of the session taken off
    #[arg(long)]
    pub(super) points: Option<String>,
    /// Out of the results
    #[arg(long)]
    pub(super) disqualified: bool,
    /// Why
    #[arg(long)]
    pub(super) reason: String,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// Options of `league publish`.
#[derive(Args)]
#[command(group(clap::ArgGroup::new("scope").required(true).args(["session", "championship"])))]
pub struct PublishArgs {
    /// The league
    pub(super) league: String,
    /// The session whose result is published
    #[arg(long)]
    pub(super) session: Option<String>,
    /// The championship whose table is published
    #[arg(long)]
    pub(super) championship: Option<String>,
    /// provisional, official or amended
    #[arg(long, default_value = "provisional")]
    pub(super) state: String,
    /// Why; an amended result needs it
    #[arg(long)]
    pub(super) reason: Option<String>,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// Which revision of a result or a table is shown, and how.
#[derive(Args)]
pub struct WhichArgs {
    /// An earlier revision
    #[arg(long)]
    revision: Option<u32>,
    /// As it would be published now
    #[arg(long, conflicts_with = "revision")]
    preview: bool,
    /// Print the document of the API
    #[arg(long)]
    json: bool,
}

impl WhichArgs {
    pub(super) fn of(self, why: Option<String>) -> Which {
        Which { why, revision: self.revision, preview: self.preview, json: self.json }
    }
}

/// Options of `league result`.
#[derive(Args)]
pub struct ResultArgs {
    /// The league
    pub(super) league: String,
    /// The session
    pub(super) session: String,
    /// Why this car has its place and its points, with what was decided: its entry, its number, or a driver's name or a part of it
    #[arg(long, value_name = "CAR")]
    pub(super) why: Option<String>,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

/// Options of `league standings`.
#[derive(Args)]
pub struct StandingsArgs {
    /// The league
    pub(super) league: String,
    /// The championship
    pub(super) championship: String,
    /// Where each point of this competitor comes from: a name, or a part of it
    #[arg(long, value_name = "WHO")]
    pub(super) why: Option<String>,
    #[command(flatten)]
    pub(super) which: WhichArgs,
    #[command(flatten)]
    pub(super) api: ApiArgs,
}

impl PenaltyArgs {
    /// The league, its API, and the act.
    pub(super) fn act(self) -> (String, ApiArgs, Value) {
        let Self { league, session, entry, seconds, positions, points, disqualified: _, reason, api } = self;
        let sanction = match (seconds, positions, points) {
            (Some(seconds), _, _) => json!({ "kind": "time", "us": seconds }),
            (_, Some(places), _) => json!({ "kind": "positions", "places": places }),
            (_, _, Some(points)) => json!({ "kind": "points", "points": points }),
            _ => json!({ "kind": "disqualified" }),
        };
        let act =
            json!({ "kind": "penalty_given", "at": { "session": session }, "against": { "entry": entry }, "sanction": sanction, "reason": reason });
        (league, api, act)
    }
}
