//! Steps 11 and 12: what decisions about a season do to a competitor (`season.adjustment`, `season.excluded`).

use std::collections::BTreeMap;

use crate::league::League;
use crate::league::act::{Against, ChampionshipSet, PenaltyAt, Sanction, Subject};
use crate::league::result::Why;
use crate::scoring::{Excluded, Points};

/// What decisions about the season did to a competitor.
#[derive(Clone, Default)]
pub(super) struct Adjusted {
    pub(super) points: Points,
    pub(super) excluded: Excluded,
    /// One of them names this championship.
    pub(super) named: bool,
    pub(super) why: Vec<Why>,
}

/// What decisions in force did to each competitor of a championship.
pub(super) fn adjusted(league: &League, championship: &ChampionshipSet) -> BTreeMap<String, Adjusted> {
    let mut out: BTreeMap<String, Adjusted> = BTreeMap::new();
    let here = |of: &Option<_>| of.is_none_or(|of| of == championship.championship);
    for at in league.penalties.values().filter(|at| at.it.in_force() && at.it.given.at == PenaltyAt::Season(championship.season)) {
        let given = &at.it.given;
        let Some(competitor) = competitor(league, championship, &given.against) else { continue };
        let why = |rule: &str, text: &str, points: Option<Points>| Why {
            rule: rule.into(),
            text: text.into(),
            points,
            act: Some(at.seq),
            penalty: Some(given.penalty),
        };
        match &given.sanction {
            Sanction::SeasonPoints { points, championship } if here(championship) => {
                let of = out.entry(competitor).or_default();
                of.points += -points.clone();
                of.named |= championship.is_some();
                of.why.push(why("season.adjustment", "points of the season", Some(-points.clone())));
            }
            Sanction::Excluded { keeps_points, championship } if here(championship) => {
                let of = out.entry(competitor).or_default();
                of.excluded = if *keeps_points && of.excluded != Excluded::Points { Excluded::Rank } else { Excluded::Points };
                of.named |= championship.is_some();
                of.why.push(why("season.excluded", "out of the ranking", None));
            }
            _ => {}
        }
    }
    out
}

/// The competitor of a championship against whom a decision is.
fn competitor(league: &League, championship: &ChampionshipSet, against: &Against) -> Option<String> {
    match (against, championship.subject) {
        (Against::Person(person), Subject::Driver) => Some(league.person(*person).to_string()),
        (Against::Team(team), Subject::Team) => Some(team.to_string()),
        (Against::Manufacturer(id), Subject::Manufacturer) => Some(id.to_string()),
        (Against::Entry(entry), Subject::Entry) => Some(entry.to_string()),
        _ => None,
    }
}
