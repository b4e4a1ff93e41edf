//! Which part of which ruleset decides what (`league.rules`).

use super::League;
use super::act::{ChampionshipSet, ClassScoring, Per, Role, Subject};
use super::ids::{Digest, EventSlug};
use crate::scoring::{self, DriverRules, PointsRules, Ruleset, ScoredBy, SeasonRules, TeamRules};

/// Read a ruleset and its hash. The error says what is wrong, line by line.
pub(super) fn parse(document: &str) -> Result<(Ruleset, Digest), String> {
    let rules = Ruleset::parse(document).map_err(|errors| {
        let lines: Vec<String> = errors.iter().map(|e| format!("line {}, column {}: {} {}", e.line, e.column, e.field, e.message)).collect();
        lines.join("; ")
    })?;
    let hash = Digest(rules.hash());
    Ok((rules, hash))
}

/// The rules of a championship at an event; without one, those of a season without events.
fn of<'a>(league: &'a League, championship: &ChampionshipSet, event: Option<EventSlug>) -> Option<(&'a Ruleset, Digest)> {
    let id = league.rules_at(championship.season, Some(championship.championship), event)?;
    let rules = &league.rulesets.get(&id)?.it;
    Some((rules.rules.as_ref()?, rules.added.hash))
}

/// What a ruleset says about teams or manufacturers.
fn of_teams<'a>(rules: &'a Ruleset, championship: &ChampionshipSet) -> Option<&'a TeamRules> {
    match championship.subject {
        Subject::Team => rules.teams.as_ref(),
        Subject::Manufacturer => rules.manufacturers.as_ref(),
        Subject::Driver | Subject::Class | Subject::Entry => None,
    }
}

/// What places of a session are worth in a championship; `None`: nothing.
pub(super) fn points(league: &League, championship: &ChampionshipSet, role: Role, event: EventSlug) -> Option<PointsRules> {
    let roles = &championship.roles;
    if role == Role::Practice && !roles.contains(&role) || !roles.is_empty() && !roles.contains(&role) {
        return None;
    }
    let (rules, _) = of(league, championship, Some(event))?;
    let (mut points, of_races) = match (championship.points.get(&role).map(|name| name.as_str()), role) {
        (Some("none"), _) | (None, Role::Practice) => return None,
        (Some(name), _) => (rules.points_of(name)?.clone(), matches!(name, "race" | "feature")),
        (None, Role::Qualifying) => (rules.qualifying.clone()?, false),
        (None, Role::Sprint) => (rules.sprint.clone().unwrap_or_else(|| rules.race.clone()), rules.sprint.is_none()),
        (None, _) => (rules.race.clone(), true),
    };
    if let Some(teams) = of_teams(rules, championship) {
        if of_races && !teams.table.is_empty() {
            points.table.clone_from(&teams.table);
        }
        if !teams.bonuses {
            points.bonuses.clear();
        }
    }
    let one = scoring::Points::from(1);
    let own = if points.multiplier.is_zero() { one } else { points.multiplier.clone() };
    let of_event = &league.events.get(&event)?.it.multiplier;
    points.multiplier = own * of_event * &last_event(league, championship, rules, event);
    points.by = scored_by(league, championship, points.by);
    Some(points)
}

/// What a ruleset multiplies the last event with, if this is the last.
fn last_event(league: &League, championship: &ChampionshipSet, rules: &Ruleset, event: EventSlug) -> scoring::Points {
    let calendar = league.calendar(championship.season);
    let number = calendar.iter().position(|other| *other == event).map_or(0, |at| at as u32 + 1);
    rules.multiplier(number, rules.season.events.unwrap_or(calendar.len() as u32))
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

/// How the season of a championship counts, by the rules at its last event, and the hash of these rules.
pub(super) fn season(league: &League, championship: &ChampionshipSet) -> Option<(SeasonRules, Digest)> {
    let last = league.calendar(championship.season).last().copied();
    let (rules, hash) = of(league, championship, last)?;
    let season = of_teams(rules, championship).map_or(&rules.season, |teams| &teams.season);
    Some((season.clone(), hash))
}

/// How many cars of a competitor count at an event, and of what they are the best; `None`: all.
pub(super) fn best_cars(league: &League, championship: &ChampionshipSet, event: EventSlug) -> Option<(usize, Per)> {
    if let Some(best) = championship.best_cars {
        return Some((best.cars as usize, best.per));
    }
    let (rules, _) = of(league, championship, Some(event))?;
    let teams = of_teams(rules, championship)?;
    let per = if teams.per == scoring::Per::Event { Per::Event } else { Per::Session };
    teams.best.map(|best| (best as usize, per))
}

/// What the drivers of a shared car get at an event (`league.drive-time`).
pub(super) fn drivers(league: &League, championship: &ChampionshipSet, event: EventSlug) -> DriverRules {
    of(league, championship, Some(event)).map(|(rules, _)| rules.drivers.clone()).unwrap_or_default()
}

/// Whether places of sessions of this role count in a countback (`league.countback`).
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
    name == "none" || rules.points_of(name).is_some()
}
