//! Which part of which ruleset decides what.

use super::League;
use super::act::{ChampionshipSet, RulesetRef};
use super::act::{ClassScoring, Per, Role};
use super::ids::{Digest, EventSlug};
use crate::scoring::{PointsRules, Ruleset, ScoredBy, SeasonRules};

/// Read a ruleset and its hash. The error says what is wrong, line by line.
pub(super) fn parse(document: &str) -> Result<(Ruleset, Digest), String> {
    let rules: Ruleset = serde_json::from_str(document).map_err(|e| e.to_string())?;
    let hash = super::canon::digest(&rules);
    Ok((rules, hash))
}

/// What places of a session are worth in a championship; `None`: nothing.
pub(super) fn points(league: &League, championship: &ChampionshipSet, role: Role, event: EventSlug) -> Option<PointsRules> {
    let roles = &championship.roles;
    if role == Role::Practice && !roles.contains(&role) || !roles.is_empty() && !roles.contains(&role) {
        return None;
    }
    let id = league.rules_at(championship.season, Some(championship.championship), Some(event))?;
    let rules = league.rulesets.get(&id)?.it.rules.as_ref()?;
    let mut points = match championship.points.get(&role).map(|name| name.as_str()) {
        Some("race" | "feature") => rules.race.clone(),
        Some("sprint") => rules.sprint.clone()?,
        Some("qualifying") => rules.qualifying.clone()?,
        Some(_) => return None,
        None => match role {
            Role::Practice => return None,
            Role::Qualifying => rules.qualifying.clone()?,
            Role::Sprint => rules.sprint.clone().unwrap_or_else(|| rules.race.clone()),
            _ => rules.race.clone(),
        },
    };
    let event = &league.events.get(&event)?.it;
    let own = if points.multiplier.is_zero() { 1.into() } else { points.multiplier.clone() };
    points.multiplier = own * &event.multiplier;
    points.by = scored_by(league, championship, points.by);
    Some(points)
}

/// Whose places count: what the classes of the championship say, if they agree, else what the rules say.
fn scored_by(league: &League, championship: &ChampionshipSet, by: ScoredBy) -> ScoredBy {
    let of = league.classes.values().map(|at| &at.it).filter(|class| class.season == championship.season);
    let mut scorings = of.filter(|class| championship.classes.is_empty() || championship.classes.contains(&class.class)).map(|class| class.scoring);
    let Some(first) = scorings.next() else { return by };
    match (first, scorings.all(|scoring| scoring == first)) {
        (ClassScoring::Own, true) => ScoredBy::Class,
        (ClassScoring::Overall, true) => ScoredBy::Overall,
        _ => by,
    }
}

/// How the season of a championship counts: the rules at its last event.
pub(super) fn season(league: &League, championship: &ChampionshipSet) -> Option<(SeasonRules, Digest)> {
    let last = league.calendar(championship.season).last().copied();
    let id = league.rules_at(championship.season, Some(championship.championship), last)?;
    let rules = &league.rulesets.get(&id)?.it;
    Some((rules.rules.as_ref()?.season.clone(), rules.added.hash))
}

/// How many cars of a competitor count, and of what they are the best; `None`: all.
pub(super) fn best_cars(championship: &ChampionshipSet) -> Option<(usize, Per)> {
    championship.best_cars.map(|best| (best.cars as usize, best.per))
}

/// Whether places of sessions of this role count in a countback.
pub(super) fn in_countback(championship: &ChampionshipSet, role: Role) -> bool {
    let has = |role| championship.roles.is_empty() || championship.roles.contains(&role);
    match (&championship.countback[..], role) {
        ([], Role::Practice | Role::Qualifying) => false,
        ([], role) => role == Role::Feature || !has(Role::Feature),
        (roles, role) => roles.contains(&role),
    }
}

/// Whether a ruleset has this part.
pub(super) fn has_part(rules: &Ruleset, name: &str) -> bool {
    match name {
        "none" | "race" | "feature" => true,
        "sprint" => rules.sprint.is_some(),
        "qualifying" => rules.qualifying.is_some(),
        _ => false,
    }
}
