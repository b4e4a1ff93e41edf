//! The parameters in the paths of leagues.

use boxbox_race::league::{ChampionshipSlug, RulesetSlug, SeasonSlug, SessionSlug};
use boxbox_schemas::league::LeagueId;
use serde::Deserialize;
use utoipa::IntoParams;

/// `leagues/{league}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct LeaguePath {
    /// The league's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "gt3")]
    pub(crate) league: LeagueId,
}

/// `leagues/{league}/seasons/{season}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct SeasonPath {
    /// The league's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "gt3")]
    pub(crate) league: LeagueId,
    /// The season's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "2026")]
    pub(crate) season: SeasonSlug,
}

/// `leagues/{league}/sessions/{session}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct LeagueSessionPath {
    /// The league's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "gt3")]
    pub(crate) league: LeagueId,
    /// The session's id in the league; not that of a session in the telemetry
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "monza-race")]
    pub(crate) session: SessionSlug,
}

/// `leagues/{league}/championships/{championship}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct ChampionshipPath {
    /// The league's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "gt3")]
    pub(crate) league: LeagueId,
    /// The championship's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "drivers")]
    pub(crate) championship: ChampionshipSlug,
}

/// `leagues/{league}/rulesets/{ruleset}/{version}`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Path)]
pub(crate) struct RulesetPath {
    /// The league's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "gt3")]
    pub(crate) league: LeagueId,
    /// The ruleset's id
    #[param(value_type = String, pattern = "^[a-z0-9][a-z0-9-]{0,39}$", example = "f1")]
    pub(crate) ruleset: RulesetSlug,
    /// Its version, 1-based
    #[param(minimum = 1, maximum = 4_294_967_295u32, example = 1)]
    pub(crate) version: u32,
}
