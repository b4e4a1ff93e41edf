//! Penalties, points and championships: from cars as they were driven to the table of a season (docs/RULES.md, `score.*`).
//!
//! ```text
//! DrivenCar, Penalty ──classify──▶ ClassifiedCar ──award──▶ Score ──▶ EventScore ──table──▶ TableLine
//!                     steps 1-6                  steps 7-8       9                10-12
//! ```
//!
//! Everything here is a function of its arguments, and the order in which cars, penalties and competitors are given changes nothing.

mod award;
mod classify;
mod document;
mod driven;
mod points;
mod presets;
mod qualifying;
mod rules;
mod ruleset;
mod season;
mod shares;

pub use award::{Distance, Reason, Score, award, driver_points, team_points};
pub use classify::{ClassifiedCar, Standing, classify};
pub use document::{DOCUMENT_MAX, FORMAT, RuleError};
pub use driven::{DrivenCar, Ended, Penalty, PenaltyKind};
pub use points::{InvalidPoints, Points};
pub use presets::{PRESETS, UnknownPreset, find_preset, preset, preset_document};
pub use qualifying::qualify;
pub use rules::{
    Bonus, BonusKind, BonusTie, ClassificationRules, Counted, DriverRules, DropCounts, Guests, Halves, Ineligible, Leader, Partial, Per, PointsRules,
    RetiredOrder, Rounding, ScoredBy, SeasonRules, Share, TeamRules, TieBreak, Ties, TimePenalty, Unclassified,
};
pub use ruleset::{Ruleset, Years};
pub use season::{EventScore, Excluded, Season, TableLine, table};
pub use shares::{event_points, share_points, team_scores};
